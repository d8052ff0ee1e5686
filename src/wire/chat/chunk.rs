//! One chunk of a stream, or one whole answer, as byte ranges: both have the same frame, and are read by the same walk.
//!
//! ```text
//! {id, model, usage, x_groq: {usage}, error, choices: [{index: 0, delta | message, finish_reason, stop_reason}]}
//! ```
//!
//! Keys may stand in any order and unknown ones are skipped; only the first choice is looked at. Means nothing by what it
//! finds: that is told by [`super::finish`] and the decoder.

use crate::json::{self, Span, text};

/// What stands where. A member that is `null` is as one that is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    pub id: Option<Span>,
    pub model: Option<Span>,
    /// At most two, the usual one last.
    pub usage: [Option<Span>; 2],
    /// There is an `error`, or all of it is one (`object: "error"`).
    pub error: bool,
    /// It has the member `choices`.
    pub choices: bool,
    /// The choice of index 0.
    pub choice: Option<Choice>,
    /// `object: "list"`, as embeddings have it.
    pub list: bool,
}

/// The first choice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choice {
    pub delta: Option<Span>,
    pub message: Option<Span>,
    pub finish: Option<Span>,
    /// What else is told of the end: the stop sequence, in some servers.
    pub stopped: Option<Span>,
}

/// What a delta or a message holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub reasoning: Option<Span>,
    pub details: Option<Span>,
    pub content: Option<Span>,
    pub refusal: Option<Span>,
    pub annotations: Option<Span>,
    pub calls: Option<Span>,
    /// The one call of the legacy form.
    pub call: Option<Span>,
}

impl Chunk {
    /// Reads an event's data or a body; `None` if it is no JSON object.
    pub fn read(data: &[u8]) -> Option<Self> {
        let mut chunk = Self::default();
        for member in json::members(data, Span::all(data)) {
            let member = member.ok()?;
            let value = member.value;
            let slot = match member.key.of(data) {
                b"\"id\"" => &mut chunk.id,
                b"\"model\"" => &mut chunk.model,
                b"\"usage\"" => &mut chunk.usage[1],
                b"\"x_groq\"" => {
                    chunk.usage[0] = inner(data, value, "usage");
                    continue;
                }
                b"\"error\"" => {
                    chunk.error |= there(data, value);
                    continue;
                }
                b"\"object\"" => {
                    chunk.error |= value.of(data) == b"\"error\"";
                    chunk.list = value.of(data) == b"\"list\"";
                    continue;
                }
                b"\"choices\"" => {
                    chunk.choices = true;
                    chunk.choice = first(data, value);
                    continue;
                }
                _ => continue,
            };
            *slot = there(data, value).then_some(value);
        }
        Some(chunk)
    }

    /// Whether nothing but usage is in it.
    pub fn only_usage(&self) -> bool {
        self.choices && self.choice.is_none() && self.usage[1].is_some() && !self.error
    }
}

impl Said {
    /// Reads a delta or a message. Empty texts and lists are as absent ones.
    pub fn read(data: &[u8], object: Span) -> Self {
        let mut said = Self::default();
        for member in json::members(data, object).map_while(Result::ok) {
            let slot = match member.key.of(data) {
                b"\"content\"" => &mut said.content,
                b"\"tool_calls\"" => &mut said.calls,
                // Some servers say the same under both names.
                b"\"reasoning_content\"" | b"\"reasoning\"" => &mut said.reasoning,
                b"\"reasoning_details\"" => &mut said.details,
                b"\"refusal\"" => &mut said.refusal,
                b"\"annotations\"" => &mut said.annotations,
                b"\"function_call\"" => &mut said.call,
                _ => continue,
            };
            if !matches!(member.value.of(data), b"null" | b"\"\"" | b"[]") {
                *slot = Some(member.value);
            }
        }
        said
    }

    /// Whether there is anything at all.
    pub fn anything(&self) -> bool {
        let Self { reasoning, details, content, refusal, annotations, calls, call } = self;
        [reasoning, details, content, refusal, annotations, calls, call].into_iter().any(Option::is_some)
    }
}

/// The choice of index 0; none has none in a chunk that only tells usage.
fn first(data: &[u8], choices: Span) -> Option<Choice> {
    json::elements(data, choices).map_while(Result::ok).find_map(|element| choice(data, element))
}

fn choice(data: &[u8], element: Span) -> Option<Choice> {
    let mut choice = Choice::default();
    for member in json::members(data, element).map_while(Result::ok) {
        let value = member.value;
        let slot = match member.key.of(data) {
            b"\"delta\"" => &mut choice.delta,
            b"\"message\"" => &mut choice.message,
            b"\"finish_reason\"" => &mut choice.finish,
            b"\"stop_reason\"" | b"\"matched_stop\"" => &mut choice.stopped,
            b"\"index\"" if text::count(value.of(data)).is_some_and(|index| index > 0) => return None,
            _ => continue,
        };
        if there(data, value) {
            *slot = Some(value);
        }
    }
    Some(choice)
}

fn inner(data: &[u8], object: Span, name: &str) -> Option<Span> {
    json::member_of(data, object, name).map(|member| member.value).filter(|value| there(data, *value))
}

fn there(data: &[u8], value: Span) -> bool {
    value.of(data) != b"null"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_found_in_any_order_of_keys() {
        for data in [
            r#"{"id":"i","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":null,"error":null}"#,
            r#"{"usage":null,"choices":[{"index":1,"delta":{"content":"no"}},{"stop_reason":null,"finish_reason":"stop","delta":{"content":"x"},"index":0}],"model":"m","id":"i"}"#,
        ] {
            let data = data.as_bytes();
            let chunk = Chunk::read(data).unwrap();
            let choice = chunk.choice.unwrap();
            let of = |span: Option<Span>| std::str::from_utf8(span.unwrap().of(data)).unwrap();
            assert_eq!((of(chunk.id), of(chunk.model), of(choice.finish)), ("\"i\"", "\"m\"", "\"stop\""));
            assert_eq!(of(Said::read(data, choice.delta.unwrap()).content), "\"x\"");
            assert!(chunk.usage == [None, None] && !chunk.error && choice.stopped.is_none());
        }
    }

    #[test]
    fn errors_usage_and_strangers_are_told_apart() {
        for (data, error, only_usage) in [
            (r#"{"error":{"message":"m"}}"#, true, false),
            (r#"{"error":"m"}"#, true, false),
            (r#"{"object":"error","message":"m"}"#, true, false),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false, true),
            (r#"{"choices":[],"usage":null}"#, false, false),
            (r#"{"choices":[],"x_groq":{"usage":{}}}"#, false, false),
            (r#"{"choices":[{"delta":{}}],"usage":{}}"#, false, false),
            (r#"{"type":"response.created"}"#, false, false),
        ] {
            let chunk = Chunk::read(data.as_bytes()).unwrap();
            assert_eq!((chunk.error, chunk.only_usage()), (error, only_usage), "{data}");
        }
        for data in ["[DONE]", "", "{\"a\"", "[1]"] {
            assert!(Chunk::read(data.as_bytes()).is_none(), "{data}");
        }
    }
}
