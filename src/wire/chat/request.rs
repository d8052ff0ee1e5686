//! What the gateway needs of a Chat Completions or embeddings body, found in one pass and kept as byte ranges.
//!
//! Only what the gateway itself reads is checked: `model`, `stream`, the output limits, `messages` or `input`. Everything
//! else is the provider's to judge; unknown fields pass. Questions that need a look inside (the session, whether a new
//! turn begins) are methods, so that they cost nothing where nobody asks. Messages are taken apart by [`read`] only.

pub mod read;
pub mod tools;
pub mod write;

use std::borrow::Cow;

use crate::error::Error;
use crate::json::{self, Member, Span, member_of, text};
use crate::wire::refusal::{bad, missing, not_json, once, wrong};

/// A request body, as far as the gateway reads it. All spans are ranges of [`Ask::body`].
#[derive(Clone, Debug)]
pub struct Ask<'b> {
    /// The body as it came.
    pub body: &'b [u8],
    /// `model` as the client wrote it, `[1m]` included.
    pub model: Cow<'b, str>,
    /// Where `model` stands.
    pub model_at: Member,
    /// `stream`; absent and `null` are `false`.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// `max_completion_tokens`, else `max_tokens`.
    pub max_output: Option<u64>,
    /// The elements of `messages`, in order; none for embeddings.
    pub messages: Vec<Span>,
    /// Where `messages` stands; `None` only for embeddings.
    pub messages_at: Option<Member>,
    /// Every member of the body, in order.
    pub fields: Vec<Member>,
}

impl<'b> Ask<'b> {
    /// Reads a body; `embeddings`: it has `input` and no `messages`. The error names the field, what came and what was
    /// expected.
    pub fn read(body: &'b [u8], embeddings: bool) -> Result<Self, Error> {
        let mut seen = Seen::default();
        let (mut messages, mut fields) = (Vec::new(), Vec::with_capacity(FIELDS));
        let mut members = json::members(body, Span::all(body));
        while let Some(member) = members.next_opening("messages", &mut messages) {
            let member = member.map_err(|fault| not_json(body, fault))?;
            seen.note(body, member)?;
            fields.push(member);
        }
        let max_output = seen.limit();
        let (model_at, model) = seen.model.ok_or_else(|| missing("model"))?;
        if model.is_empty() {
            return Err(bad("model: must not be empty"));
        }
        match embeddings {
            true if !seen.input => return Err(missing("input")),
            false if seen.messages.is_none() => return Err(missing("messages")),
            false if messages.is_empty() => return Err(bad("messages: must not be empty")),
            true | false => {}
        }
        Ok(Self {
            body,
            model,
            model_at,
            stream: seen.stream.unwrap_or(false),
            include_usage: seen.include_usage,
            max_output,
            messages,
            messages_at: seen.messages,
            fields,
        })
    }

    /// The first member of that name of the body.
    pub fn field(&self, name: &str) -> Option<Member> {
        self.fields.iter().find(|member| member.is(self.body, name)).copied()
    }

    /// The session by the names that clients have for it: `session_id`, else `prompt_cache_key`.
    pub fn session(&self) -> Option<Cow<'b, str>> {
        let named = ["session_id", "prompt_cache_key"].into_iter().filter_map(|name| self.field(name));
        named.filter_map(|id| text::string(id.value.of(self.body))).find(|id| !id.is_empty())
    }

    /// Whether the user speaks, and no tool answers: the last message that holds no instructions is the user's.
    pub fn new_turn(&self) -> bool {
        let roles = self.messages.iter().rev().filter_map(|message| role(self.body, *message));
        let mut spoken = roles.filter(|role| !matches!(*role, b"\"system\"" | b"\"developer\""));
        spoken.next() == Some(b"\"user\"")
    }
}

/// The role of one message, with its quotes.
fn role(body: &[u8], message: Span) -> Option<&[u8]> {
    Some(member_of(body, message, "role")?.value.of(body))
}

/// A limit that was sent.
#[derive(Clone, Copy)]
enum Limit {
    None,
    Tokens(u64),
}

/// The members seen so far; what is required is still optional.
#[derive(Default)]
struct Seen<'b> {
    model: Option<(Member, Cow<'b, str>)>,
    stream: Option<bool>,
    include_usage: bool,
    max_tokens: Option<Limit>,
    max_completion_tokens: Option<Limit>,
    messages: Option<Member>,
    input: bool,
}

impl<'b> Seen<'b> {
    /// The output limit; the newer name's where both say one.
    fn limit(&self) -> Option<u64> {
        let both = [self.max_completion_tokens, self.max_tokens];
        both.into_iter().flatten().find_map(|limit| match limit {
            Limit::None => None,
            Limit::Tokens(tokens) => Some(tokens),
        })
    }

    fn note(&mut self, body: &'b [u8], member: Member) -> Result<(), Error> {
        let value = member.value.of(body);
        match text::string(member.key.of(body)).as_deref() {
            Some("model") => {
                let model = text::string(value).ok_or_else(|| wrong("model", "a string", value))?;
                once("model", self.model.replace((member, model)).is_some())
            }
            Some("stream") => {
                let stream = if value == b"null" { Some(false) } else { text::boolean(value) };
                let stream = stream.ok_or_else(|| wrong("stream", "a boolean", value))?;
                once("stream", self.stream.replace(stream).is_some())
            }
            Some(name @ "max_tokens") => once(name, self.max_tokens.replace(limit(name, value)?).is_some()),
            Some(name @ "max_completion_tokens") => {
                once(name, self.max_completion_tokens.replace(limit(name, value)?).is_some())
            }
            Some("messages") => {
                if !value.starts_with(b"[") {
                    return Err(wrong("messages", "an array", value));
                }
                once("messages", self.messages.replace(member).is_some())
            }
            Some("stream_options") => {
                let usage = member_of(body, member.value, "include_usage");
                self.include_usage = usage.is_some_and(|usage| usage.value.of(body) == b"true");
                Ok(())
            }
            Some("input") => {
                self.input = true;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A count or `null`.
fn limit(name: &str, value: &[u8]) -> Result<Limit, Error> {
    if value == b"null" {
        return Ok(Limit::None);
    }
    text::count(value).map(Limit::Tokens).ok_or_else(|| wrong(name, "an integer >= 0", value))
}

/// Agents send 6 to 12 members.
const FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Ask<'_>, String> {
        Ask::read(body.as_bytes(), false).map_err(|error| error.message)
    }

    #[test]
    fn what_the_gateway_reads_is_found() {
        let body = r#" {"max_tokens":5,"max_completion_tokens":7,"stream":true,"stream_options":{"include_usage":true},"tools":[{"name":"model"}],"messages":[{"role":"user","content":"hi"},{}],"model":"a\u0062[1m]","x":{"model":1}} "#;
        let ask = read(body).unwrap();
        assert_eq!((&*ask.model, ask.stream, ask.include_usage), ("ab[1m]", true, true));
        assert_eq!((ask.max_output, ask.messages.len(), ask.fields.len()), (Some(7), 2, 8));
        assert_eq!(ask.messages[0].of(ask.body), br#"{"role":"user","content":"hi"}"#);
        assert_eq!(ask.field("tools").unwrap().value.of(ask.body), br#"[{"name":"model"}]"#);
        assert_eq!(ask.model_at.whole().of(ask.body), br#""model":"a\u0062[1m]""#);
        let plain = read(r#"{"model":"a","messages":[{}],"max_tokens":null,"stream":null}"#).unwrap();
        assert_eq!((plain.max_output, plain.stream, plain.include_usage), (None, false, false));
    }

    #[test]
    fn a_refusal_names_the_field_what_came_and_what_was_expected() {
        for (body, message) in [
            ("", "body: not a JSON object (the text ends early at line 1, column 1, byte 0)"),
            ("{}", "model: field required"),
            (r#"{"model":""}"#, "model: must not be empty"),
            (r#"{"model":5}"#, "model: expected a string, got 5"),
            (r#"{"model":"a"}"#, "messages: field required"),
            (r#"{"model":"a","messages":"hi"}"#, "messages: expected an array, got a string"),
            (r#"{"model":"a","messages":[]}"#, "messages: must not be empty"),
            (r#"{"max_tokens":1.5}"#, "max_tokens: expected an integer >= 0, got 1.5"),
            (r#"{"max_completion_tokens":-1}"#, "max_completion_tokens: expected an integer >= 0, got -1"),
            (r#"{"stream":"yes"}"#, "stream: expected a boolean, got a string"),
            (r#"{"model":"a","model":"b"}"#, "model: the key stands there twice; send it once"),
            (r#"{"max_tokens":null,"max_tokens":1}"#, "max_tokens: the key stands there twice; send it once"),
            (
                r#"{"max_completion_tokens":1,"max_completion_tokens":1}"#,
                "max_completion_tokens: the key stands there twice; send it once",
            ),
            (r#"{"stream":true,"stre\u0061m":true}"#, "stream: the key stands there twice; send it once"),
        ] {
            assert_eq!(read(body).unwrap_err(), message, "{body}");
        }
    }

    #[test]
    fn embeddings_have_an_input_and_no_messages() {
        assert!(Ask::read(br#"{"model":"e","input":"x"}"#, true).is_ok());
        let refused = Ask::read(br#"{"model":"e","messages":[{}]}"#, true).unwrap_err();
        assert_eq!(refused.message, "input: field required");
    }

    #[test]
    fn the_session_has_two_names() {
        for (fields, session) in [
            (r#""prompt_cache_key":"b","session_id":"a""#, Some("a")),
            (r#""session_id":"","prompt_cache_key":"b""#, Some("b")),
            (r#""session_id":5"#, None),
            (r#""x":1"#, None),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{{}}],{fields}}}"#);
            assert_eq!(read(&body).unwrap().session().as_deref(), session, "{fields}");
        }
    }

    #[test]
    fn a_turn_begins_where_the_user_speaks() {
        for (messages, new) in [
            (r#"{"role":"user","content":"hi"}"#, true),
            (r#"{"role":"user","content":"hi"},{"role":"system","content":"x"}"#, true),
            (r#"{"role":"user","content":"hi"},{"role":"tool","content":"x"}"#, false),
            (r#"{"role":"user","content":"hi"},{"role":"assistant","content":"x"}"#, false),
            (r#"{"role":"developer","content":"hi"}"#, false),
            ("5", false),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
            assert_eq!(read(&body).unwrap().new_turn(), new, "{messages}");
        }
    }
}
