//! `reasoning_details`: fragments of them, merged into the list that goes back to the provider (wire.md 8.1).
//!
//! Elements of one index and type are one: their texts are appended, other fields set. All fields are kept as they were
//! written and in their order, since the provider wants them back unchanged. Shows nothing itself: [`texts`] tells what
//! could be shown.

use super::inner;
use crate::json::{self, Span};

/// The list so far.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Detail>);

/// Fields by their keys, both as written.
#[derive(Debug, Default)]
struct Detail(Vec<(Box<[u8]>, Vec<u8>)>);

/// The texts in a list that a reader may see.
pub(super) fn texts(data: &[u8], list: Span, mut each: impl FnMut(&[u8])) {
    for element in json::elements(data, list).map_while(Result::ok) {
        for member in json::members(data, element).map_while(Result::ok) {
            if matches!(member.key.of(data), b"\"text\"" | b"\"summary\"") {
                each(inner(data, member.value));
            }
        }
    }
}

impl Details {
    /// Reads a list over what is known.
    pub fn read(&mut self, data: &[u8], list: Span) {
        for element in json::elements(data, list).map_while(Result::ok) {
            let known = self.0.iter().position(|detail| detail.goes_on_in(data, element));
            let at = known.unwrap_or_else(|| {
                self.0.push(Detail::default());
                self.0.len() - 1
            });
            if let Some(detail) = self.0.get_mut(at) {
                detail.read(data, element);
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as JSON, empty if there is none; the next one begins.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for detail in self.0.drain(..) {
            out.push(if out.is_empty() { b'[' } else { b',' });
            detail.write(&mut out);
        }
        if !out.is_empty() {
            out.push(b']');
        }
        out
    }
}

impl Detail {
    /// Whether an element tells more of this one: the same index and type, and no other id.
    fn goes_on_in(&self, data: &[u8], element: Span) -> bool {
        let told = |name: &str| json::member_of(data, element, name).map(|member| member.value.of(data));
        let same = |key: &[u8], name: &str| self.field(key) == told(name);
        let other_id = matches!((self.field(b"\"id\""), told("id")), (Some(a), Some(b)) if a != b);
        same(b"\"index\"", "index") && same(b"\"type\"", "type") && !other_id
    }

    fn field(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| **known == *key).map(|(_, value)| value.as_slice())
    }

    fn read(&mut self, data: &[u8], element: Span) {
        for member in json::members(data, element).map_while(Result::ok) {
            let (key, value) = (member.key.of(data), member.value.of(data));
            match self.0.iter_mut().find(|(known, _)| **known == *key) {
                None => self.0.push((key.into(), value.to_vec())),
                Some((_, known)) if known.starts_with(b"\"") && grows(key) => {
                    known.pop();
                    known.extend_from_slice(inner(data, member.value));
                    known.push(b'"');
                }
                Some(_) if value == b"null" => {}
                Some((_, known)) => *known = value.to_vec(),
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for (place, (key, value)) in self.0.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            out.extend_from_slice(key);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.extend_from_slice(if self.0.is_empty() { b"{}" } else { b"}" });
    }
}

fn grows(key: &[u8]) -> bool {
    matches!(key, b"\"text\"" | b"\"summary\"" | b"\"data\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_merged_by_index_and_type_with_their_fields_as_they_were() {
        let mut details = Details::default();
        for list in [
            r#"[{"type":"reasoning.text","text":"a\n","format":"anthropic-claude-v1","index":0}]"#,
            r#"[{"type":"reasoning.text","text":"b","format":null,"index":0}]"#,
            r#"[{"type":"reasoning.text","signature":"s==","index":0}]"#,
            r#"[{"type":"reasoning.encrypted","data":"x","id":"t1","index":0}, {"type":"reasoning.encrypted","data":"y","id":"t2","index":0}]"#,
            r#"[{"index":1,"type":"reasoning.summary","summary":"c"}]"#,
            "[{}]",
        ] {
            details.read(list.as_bytes(), Span::all(list.as_bytes()));
        }
        let expected = concat!(
            r#"[{"type":"reasoning.text","text":"a\nb","format":"anthropic-claude-v1","index":0,"signature":"s=="},"#,
            r#"{"type":"reasoning.encrypted","data":"x","id":"t1","index":0},"#,
            r#"{"type":"reasoning.encrypted","data":"y","id":"t2","index":0},"#,
            r#"{"index":1,"type":"reasoning.summary","summary":"c"},{}]"#,
        );
        assert_eq!(String::from_utf8(details.take()).unwrap(), expected);
        assert!(details.take().is_empty());
    }
}
