//! What the gateway needs of a Messages or `count_tokens` body, found in one pass and kept as byte ranges.
//!
//! Only what the gateway itself reads is checked: `model`, `stream`, `max_tokens`, `messages`. Everything else is the
//! provider's to judge; unknown fields pass. Questions that need a look inside (the session, whether a new turn
//! begins, the cache's lifetime) are methods, so that they cost nothing where nobody asks.

mod cache;
pub mod read;
pub mod tools;
pub mod write;

use std::borrow::Cow;

use memchr::memmem;

use crate::error::Error;
pub(super) use crate::json::member_of;
use crate::json::{self, Member, Span, text};
use crate::wire::refusal::{bad, missing, not_json, once, wrong};

/// Which endpoint a body was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`: no `max_tokens`, no `stream`.
    CountTokens,
}

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
    /// `max_tokens`; `None` only for `count_tokens`.
    pub max_tokens: Option<u64>,
    /// Where `max_tokens` stands.
    pub max_tokens_at: Option<Member>,
    /// The elements of `messages`, in order.
    pub messages: Vec<Span>,
    /// Where `messages` stands.
    pub messages_at: Member,
    /// `system`.
    pub system: Option<Member>,
    /// `tools`.
    pub tools: Option<Member>,
    /// `tool_choice`.
    pub tool_choice: Option<Member>,
    /// `thinking`.
    pub thinking: Option<Member>,
    /// `output_config`.
    pub output_config: Option<Member>,
    /// `context_management`.
    pub context_management: Option<Member>,
    /// `metadata`.
    pub metadata: Option<Member>,
    /// `session_id`, as routers of other makes take it.
    pub session_id: Option<Member>,
    /// `prompt_cache_key`, as `OpenAI`'s clients send it.
    pub prompt_cache_key: Option<Member>,
    /// `temperature`.
    pub temperature: Option<Member>,
    /// `top_p`.
    pub top_p: Option<Member>,
    /// `top_k`.
    pub top_k: Option<Member>,
    /// `speed`.
    pub speed: Option<Member>,
    /// Members that the gateway itself has no use for, in order.
    pub unread: Vec<Member>,
}

impl<'b> Ask<'b> {
    /// Reads a body. The error names the field, what came and what was expected.
    pub fn read(body: &'b [u8], call: Call) -> Result<Self, Error> {
        let mut seen = Seen::default();
        let mut messages = Vec::new();
        let mut members = json::members(body, Span::all(body));
        while let Some(member) = members.next_opening("messages", &mut messages) {
            let member = member.map_err(|fault| not_json(body, fault))?;
            seen.note(body, member)?;
        }
        seen.finish(body, call, messages)
    }

    /// The session that `metadata.user_id` names: Claude Code writes a JSON string with `session_id`, or
    /// `user_…_account_…_session_<uuid>`.
    pub fn session(&self) -> Option<Cow<'b, str>> {
        let user = member_of(self.body, self.metadata?.value, "user_id")?;
        let user = text::string(user.value.of(self.body))?;
        if let Some((_, session)) = user.rsplit_once("_session_") {
            return (!session.is_empty()).then(|| Cow::Owned(session.to_owned()));
        }
        let inner = user.as_bytes();
        let session = member_of(inner, Span::all(inner), "session_id")?;
        let session = text::string(session.value.of(inner))?;
        (!session.is_empty()).then(|| Cow::Owned(session.into_owned()))
    }

    /// The session by the names that other clients have for it: `session_id`, else `prompt_cache_key`.
    pub fn session_of_others(&self) -> Option<Cow<'b, str>> {
        let named = [self.session_id, self.prompt_cache_key].into_iter().flatten();
        named.filter_map(|id| text::string(id.value.of(self.body))).find(|id| !id.is_empty())
    }

    /// Whether the user speaks: the last message that is not a system one is the user's and holds no tool result.
    /// A tool loop in the middle of a turn is none.
    pub fn new_turn(&self) -> bool {
        let last =
            self.messages.iter().rev().find(|message| role(self.body, **message) != Some(Role::System));
        last.is_some_and(|message| {
            role(self.body, *message) == Some(Role::User) && !holds(self.body, *message, "tool_result")
        })
    }

    /// Whether any cache mark asks for an hour (`"ttl":"1h"`); otherwise caches live five minutes. A quotation inside
    /// a string has escaped quotes and is not taken for a mark.
    pub fn caches_for_an_hour(&self) -> bool {
        memmem::find_iter(self.body, b"\"1h\"").any(|at| {
            let front = self.body[..at].trim_ascii_end().strip_suffix(b":");
            front.is_some_and(|front| front.trim_ascii_end().ends_with(b"\"ttl\""))
        })
    }
}

/// Takes Claude Code's mark for a large context off a model's name: `claude-sonnet-4-5[1m]`.
pub fn strip_context_mark(model: &str) -> (&str, bool) {
    match model.strip_suffix("[1m]") {
        Some(plain) => (plain, true),
        None => (model, false),
    }
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    System,
    Other,
}

/// The role of one message; `None` if it is no object or has none.
pub(super) fn role(body: &[u8], message: Span) -> Option<Role> {
    let role = member_of(body, message, "role")?;
    Some(match role.value.of(body) {
        b"\"user\"" => Role::User,
        b"\"assistant\"" => Role::Assistant,
        b"\"system\"" => Role::System,
        _ => Role::Other,
    })
}

/// The content blocks of a message; none where the content is plain text.
pub(super) fn blocks(body: &[u8], message: Span) -> impl Iterator<Item = Span> {
    let content = member_of(body, message, "content").map(|content| content.value);
    let blocks = content.map(|content| json::elements(body, content).map_while(Result::ok));
    blocks.into_iter().flatten()
}

/// Whether the value of `type` of this object is `name`.
pub(super) fn is_type(body: &[u8], object: Span, name: &str) -> bool {
    let kind = member_of(body, object, "type").and_then(|member| text::string(member.value.of(body)));
    kind.is_some_and(|kind| kind == name)
}

/// Whether a message holds a content block of that type.
pub(super) fn holds(body: &[u8], message: Span, kind: &str) -> bool {
    blocks(body, message).any(|block| is_type(body, block, kind))
}

/// The members seen so far; what is required is still optional.
#[derive(Default)]
struct Seen<'b> {
    model: Option<(Member, Cow<'b, str>)>,
    stream: Option<bool>,
    max_tokens: Option<(Member, u64)>,
    messages: Option<Member>,
    others: [Option<Member>; OTHERS.len()],
    unread: Vec<Member>,
}

impl<'b> Seen<'b> {
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
            Some("max_tokens") => {
                let limit =
                    text::count(value).ok_or_else(|| wrong("max_tokens", "an integer >= 0", value))?;
                once("max_tokens", self.max_tokens.replace((member, limit)).is_some())
            }
            Some("messages") => {
                if !value.starts_with(b"[") {
                    return Err(wrong("messages", "an array", value));
                }
                once("messages", self.messages.replace(member).is_some())
            }
            Some(name) => {
                match OTHERS.iter().position(|other| *other == name) {
                    Some(slot) => self.others[slot] = Some(member),
                    None => self.unread.push(member),
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn finish(self, body: &'b [u8], call: Call, messages: Vec<Span>) -> Result<Ask<'b>, Error> {
        let (model_at, model) = self.model.ok_or_else(|| missing("model"))?;
        if model.is_empty() {
            return Err(bad("model: must not be empty"));
        }
        let messages_at = self.messages.ok_or_else(|| missing("messages"))?;
        if self.max_tokens.is_none() && call == Call::Messages {
            return Err(missing("max_tokens"));
        }
        let [system, tools, tool_choice, thinking, output_config, context_management, metadata, rest @ ..] =
            self.others;
        let [session_id, prompt_cache_key, temperature, top_p, top_k, speed] = rest;
        Ok(Ask {
            body,
            model,
            model_at,
            stream: self.stream.unwrap_or(false),
            max_tokens: self.max_tokens.map(|(_, limit)| limit),
            max_tokens_at: self.max_tokens.map(|(member, _)| member),
            messages,
            messages_at,
            system,
            tools,
            tool_choice,
            thinking,
            output_config,
            context_management,
            metadata,
            session_id,
            prompt_cache_key,
            temperature,
            top_p,
            top_k,
            speed,
            unread: self.unread,
        })
    }
}

/// Members that are only remembered by their place, in the order in which [`Seen::finish`] takes them apart.
const OTHERS: [&str; 13] = [
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "context_management",
    "metadata",
    "session_id",
    "prompt_cache_key",
    "temperature",
    "top_p",
    "top_k",
    "speed",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Ask<'_>, String> {
        Ask::read(body.as_bytes(), Call::Messages).map_err(|error| error.message)
    }

    #[test]
    fn what_the_gateway_reads_is_found() {
        let body = r#" {"max_tokens":5,"stream":true,"tools":[{"name":"model"}],"messages":[{"role":"user","content":"hi"},{}],"model":"a\u0062[1m]","x":{"model":1}} "#;
        let ask = read(body).unwrap();
        assert_eq!(
            (&*ask.model, ask.stream, ask.max_tokens, ask.messages.len()),
            ("ab[1m]", true, Some(5), 2)
        );
        assert_eq!(ask.messages[1].of(body.as_bytes()), b"{}");
        assert_eq!(ask.tools.unwrap().value.of(body.as_bytes()), b"[{\"name\":\"model\"}]");
        assert_eq!(ask.model_at.whole().of(body.as_bytes()), br#""model":"a\u0062[1m]""#);
        assert!(ask.system.is_none() && ask.thinking.is_none());
        assert_eq!(strip_context_mark(&ask.model), ("ab", true));
        assert_eq!(strip_context_mark("ab"), ("ab", false));
    }

    #[test]
    fn a_refusal_names_the_field_what_came_and_what_was_expected() {
        for (body, message) in [
            ("", "body: not a JSON object (the text ends early at line 1, column 1, byte 0)"),
            ("[1]", "body: not a JSON object (expected an object at line 1, column 1, byte 0)"),
            ("{\"model\":\"a\",\n}", "body: not a JSON object (unexpected `}` at line 2, column 1, byte 14)"),
            (
                r#"{"messages":[1,]}"#,
                "body: not a JSON object (unexpected `]` at line 1, column 16, byte 15)",
            ),
            ("{}", "model: field required"),
            (r#"{"model":""}"#, "model: must not be empty"),
            (r#"{"model":5}"#, "model: expected a string, got 5"),
            (r#"{"model":"\x"}"#, "model: expected a string, got a string that is not valid JSON text"),
            (r#"{"model":"a"}"#, "messages: field required"),
            (r#"{"model":"a","messages":"hi"}"#, "messages: expected an array, got a string"),
            (r#"{"model":"a","messages":[]}"#, "max_tokens: field required"),
            (
                r#"{"model":"a","messages":[],"max_tokens":1.5}"#,
                "max_tokens: expected an integer >= 0, got 1.5",
            ),
            (
                r#"{"model":"a","messages":[],"max_tokens":-1}"#,
                "max_tokens: expected an integer >= 0, got -1",
            ),
            (
                r#"{"model":"a","messages":[],"max_tokens":null}"#,
                "max_tokens: expected an integer >= 0, got null",
            ),
            (r#"{"model":"a","messages":[],"stream":"yes"}"#, "stream: expected a boolean, got a string"),
            (r#"{"model":"a","model":"b"}"#, "model: the key stands there twice; send it once"),
            (r#"{"messages":[],"messages":[]}"#, "messages: the key stands there twice; send it once"),
            (r#"{"stream":true,"stre\u0061m":true}"#, "stream: the key stands there twice; send it once"),
        ] {
            assert_eq!(read(body).unwrap_err(), message, "{body}");
        }
        let count = r#"{"model":"a","messages":[],"stream":null}"#;
        let ask = Ask::read(count.as_bytes(), Call::CountTokens).unwrap();
        assert_eq!((ask.max_tokens, ask.stream), (None, false));
    }

    #[test]
    fn the_session_is_found_in_both_spellings() {
        for (user, session) in [
            (r#""{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s-1\"}""#, Some("s-1")),
            (r#""user_ab_account_cd_session_s-2""#, Some("s-2")),
            (r#""user_ab_account_cd_session_""#, None),
            (r#""{\"session_id\":\"\"}""#, None),
            (r#""just me""#, None),
            ("5", None),
        ] {
            let body =
                format!(r#"{{"model":"a","messages":[],"max_tokens":1,"metadata":{{"user_id":{user}}}}}"#);
            assert_eq!(read(&body).unwrap().session().as_deref(), session, "{user}");
        }
    }

    #[test]
    fn the_session_is_found_by_the_names_of_other_clients() {
        for (fields, session) in [
            (r#""session_id":"s-1","prompt_cache_key":"k-1""#, Some("s-1")),
            (r#""prompt_cache_key":"k-1""#, Some("k-1")),
            (r#""session_id":"","prompt_cache_key":"k-1""#, Some("k-1")),
            (r#""session_id":5"#, None),
            (r#""x":{"session_id":"s-1"}"#, None),
        ] {
            let body = format!(r#"{{"model":"a","messages":[],"max_tokens":1,{fields}}}"#);
            assert_eq!(read(&body).unwrap().session_of_others().as_deref(), session, "{fields}");
        }
    }

    #[test]
    fn a_tool_loop_is_no_new_turn() {
        let user = r#"{"role":"user","content":"hi"}"#;
        let result = r#"{"content":[{"type":"tool_result","tool_use_id":"t"},{"type":"text","text":"x"}],"role":"user"}"#;
        let answer = r#"{"role":"assistant","content":[{"type":"text","text":"tool_result"}]}"#;
        let system = r#"{"role":"system","content":"5 tokens left"}"#;
        for (messages, new) in [
            (vec![user], true),
            (vec![user, answer, user], true),
            (vec![user, answer, result], false),
            (vec![user, answer, result, system], false),
            (vec![user, system], true),
            (vec![user, answer], false),
            (vec![system], false),
            (vec![], false),
        ] {
            let body = format!(r#"{{"model":"a","max_tokens":1,"messages":[{}]}}"#, messages.join(","));
            assert_eq!(read(&body).unwrap().new_turn(), new, "{body}");
        }
    }

    #[test]
    fn an_hour_of_cache_is_a_mark_and_no_quotation() {
        let asks = |system: &str| {
            let body = format!(r#"{{"model":"a","max_tokens":1,"messages":[],"system":{system}}}"#);
            read(&body).unwrap().caches_for_an_hour()
        };
        assert!(asks(r#"[{"cache_control":{"type":"ephemeral","ttl" : "1h"}}]"#));
        assert!(!asks(r#"[{"cache_control":{"type":"ephemeral","ttl":"5m"}}]"#));
        assert!(!asks(r#""say \"ttl\":\"1h\"""#));
        assert!(!asks(r#"["1h"]"#));
    }
}
