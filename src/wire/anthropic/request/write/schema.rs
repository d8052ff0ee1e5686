//! A schema of another dialect as Messages takes it for an answer: every object closed (wire.md 14).
//!
//! Dialects in which a schema need not hold exactly let objects stand open; Anthropic refuses such a schema. An answer that
//! fits the closed one fits the open one too. Nothing else is changed: what is still refused then is left out by repair.

use crate::json::{self, Edits, Span, member_of};

/// The schema with `additionalProperties: false` in every object that says nothing of it. All else stays byte for byte.
pub fn closed(schema: &[u8]) -> Vec<u8> {
    if schema.len() > LONGEST {
        // Each level is walked again; what is so long is no schema of an answer.
        return schema.to_vec();
    }
    let mut edits = Edits::new();
    let mut open = vec![Span::all(schema)];
    while let Some(value) = open.pop() {
        match value.of(schema).trim_ascii_start().first() {
            Some(b'{') => object(schema, value, &mut edits, &mut open),
            Some(b'[') => open.extend(json::elements(schema, value).map_while(Result::ok)),
            _ => {}
        }
    }
    edits.on(schema).to_vec()
}

fn object(schema: &[u8], object: Span, edits: &mut Edits, open: &mut Vec<Span>) {
    let kind = member_of(schema, object, "type").map(|kind| kind.value.of(schema));
    if kind == Some(b"\"object\"") && member_of(schema, object, "additionalProperties").is_none() {
        edits.insert_member(object, "additionalProperties", b"false");
    }
    let members = json::members(schema, object).map_while(Result::ok);
    // These hold values and no schemas.
    let schemas = members.filter(|member| !VALUES.iter().any(|name| member.is(schema, name)));
    open.extend(schemas.map(|member| member.value));
}

const LONGEST: usize = 64 * 1024;
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

#[cfg(test)]
mod tests {
    use super::closed;

    #[test]
    fn open_objects_are_closed_and_nothing_else_changes() {
        for (schema, expected) in [
            (
                r#"{"type":"object", "properties":{"a":{"type":"object","properties":{}},"b":{"anyOf":[{"type":"object"},{"type":"null"}]}}}"#,
                r#"{"additionalProperties":false,"type":"object", "properties":{"a":{"additionalProperties":false,"type":"object","properties":{}},"b":{"anyOf":[{"additionalProperties":false,"type":"object"},{"type":"null"}]}}}"#,
            ),
            (
                r#"{"type":"object","additionalProperties":true}"#,
                r#"{"type":"object","additionalProperties":true}"#,
            ),
            (
                r#"{"type":"string","default":{"type":"object"}}"#,
                r#"{"type":"string","default":{"type":"object"}}"#,
            ),
            ("true", "true"),
            ("{", "{"),
        ] {
            assert_eq!(String::from_utf8(closed(schema.as_bytes())).unwrap(), expected);
        }
    }
}
