//! Which edits of `context_management` a model takes.
//!
//! Tells what goes; `shape` makes the edits, and leaves the whole field out where no edit is left. An edit of a kind that
//! is not known here stays: the API judges it.

use super::request::member_of;
use crate::json::{self, Member, Span, text};

/// What of it is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// `compact_…`.
    pub(super) compacts: bool,
    /// `clear_thinking_…`, which the API refuses where nothing is thought.
    pub(super) thinks: bool,
}

/// What goes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    Nothing,
    /// These elements of `edits`.
    Some(Vec<Span>),
    All,
}

impl Rule {
    /// What goes of `field`, the member of `body`.
    pub(super) fn on(self, body: &[u8], field: Member) -> Gone {
        let Some(list) = member_of(body, field.value, "edits") else { return Gone::Nothing };
        let all: Vec<Span> = json::elements(body, list.value).map_while(Result::ok).collect();
        let gone: Vec<Span> = all.iter().copied().filter(|edit| !self.takes(body, *edit)).collect();
        match gone.len() {
            0 => Gone::Nothing,
            some if some < all.len() => Gone::Some(gone),
            _ => Gone::All,
        }
    }

    fn takes(self, body: &[u8], edit: Span) -> bool {
        let kind = member_of(body, edit, "type").and_then(|kind| text::string(kind.value.of(body)));
        let kind = kind.unwrap_or_default();
        (self.compacts || !kind.starts_with("compact_"))
            && (self.thinks || !kind.starts_with("clear_thinking_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_goes_where_the_model_has_no_use_for_it() {
        const TOOLS: &str = r#"{"type":"clear_tool_uses_20250919"}"#;
        const THINKING: &str = r#"{"keep":"all","type":"clear_thinking_20251015"}"#;
        const COMPACT: &str = r#"{"type":"compact_20260112"}"#;
        const NEW: &str = r#"{"type":"brand_new"}"#;
        for (compacts, thinks, edits, gone) in [
            (true, true, vec![TOOLS, THINKING, COMPACT, NEW], Some(vec![])),
            (false, true, vec![TOOLS, THINKING, COMPACT, NEW], Some(vec![COMPACT])),
            (true, false, vec![TOOLS, THINKING, COMPACT, NEW], Some(vec![THINKING])),
            (false, false, vec![THINKING, COMPACT, NEW], Some(vec![THINKING, COMPACT])),
            (false, false, vec![THINKING, COMPACT], None),
            (false, false, vec![], Some(vec![])),
        ] {
            let body = format!(r#"{{"context_management":{{"edits":[{}]}}}}"#, edits.join(","));
            let body = body.as_bytes();
            let field = member_of(body, Span::all(body), "context_management").expect("the field");
            let found = match (Rule { compacts, thinks }).on(body, field) {
                Gone::Nothing => Some(Vec::new()),
                Gone::Some(spans) => {
                    Some(spans.iter().map(|span| std::str::from_utf8(span.of(body)).expect("text")).collect())
                }
                Gone::All => None,
            };
            assert_eq!(found, gone, "{compacts} {thinks} {edits:?}");
        }
    }
}
