//! A refusal on its way to the client: what is wrong, in the flavour's words and in its form.
//!
//! Also the errors that a fault asks for. Checks no request itself.

use std::fmt::Display;

use serde_json::{Value, json};

use super::flavour::{Envelope, Flavour};
use super::words::{self, Wrong};
use crate::mock::{Answer, request_id};

/// A refusal before it has a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `type`.
    pub kind: String,
    /// `param`.
    pub param: Option<String>,
    /// `code`.
    pub code: Option<String>,
    /// `message`.
    pub message: String,
    /// What stands in `metadata.raw` at `OpenRouter`.
    pub raw: Option<Box<str>>,
}

impl Refusal {
    /// A 400 in `OpenAI`'s form, whoever says it.
    pub fn invalid(param: &str, code: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error".to_owned(),
            param: Some(param.to_owned()).filter(|param| !param.is_empty()),
            code: code.map(str::to_owned),
            message: message.into(),
            raw: None,
        }
    }

    /// What the flavour says to this, with the values filled in.
    pub fn says(flavour: &Flavour, wrong: Wrong, param: &str, values: &[(&str, &dyn Display)]) -> Self {
        let word = words::find(flavour.words, wrong);
        let mut message = word.text.to_owned();
        for (name, value) in values {
            message = message.replace(&format!("{{{name}}}"), &value.to_string());
        }
        let code = Some(word.code).filter(|code| !code.is_empty());
        Self { status: word.status, kind: word.kind.to_owned(), ..Self::invalid(param, code, message) }
    }

    /// The error of a status, as a fault asks for it.
    pub fn of_status(status: u16, kind: Option<&str>, message: Option<&str>) -> Self {
        let (usual, code, text) = match status {
            401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
            402 => ("insufficient_quota", Some("insufficient_quota"), "Insufficient credits."),
            403 => ("invalid_request_error", None, "You are not allowed to access this resource."),
            404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
            408 | 504 => ("timeout", None, "Request timed out."),
            413 => ("invalid_request_error", None, "Request body is too large."),
            429 => (
                "tokens",
                Some("rate_limit_exceeded"),
                "Rate limit reached for tokens per min (TPM): Limit 30000, Used 29800, Requested 900. Please try again \
                 in 812ms.",
            ),
            503 | 529 => ("server_error", None, OVERLOADED),
            500.. => ("server_error", None, FAILED),
            _ => ("invalid_request_error", None, "The mock was asked to fail"),
        };
        let code = code.filter(|_| kind.is_none());
        let refusal = Self::invalid("", code, message.unwrap_or(text));
        Self { status, kind: kind.unwrap_or(usual).to_owned(), ..refusal }
    }

    /// The answer that carries it.
    pub fn answer(&self, flavour: &Flavour, number: u64) -> Answer {
        Answer::json(self.status, &self.body(flavour)).with("x-request-id", request_id(number))
    }

    /// The body of that answer.
    pub fn body(&self, flavour: &Flavour) -> Value {
        let Self { status, kind, param, code, message, .. } = self;
        match flavour.envelope {
            Envelope::OpenAi => {
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
            }
            Envelope::Short => {
                let mut body = json!({"error": {"message": message, "type": kind}});
                if let Some(code) = code {
                    body["error"]["code"] = json!(code);
                }
                body
            }
            Envelope::OpenRouter => {
                let mut body = json!({"error": {"message": message, "code": status}, "user_id": "user_mock"});
                if let Some(raw) = &self.raw {
                    body["error"]["metadata"] = json!({"raw": raw, "provider_name": "Anthropic"});
                }
                body
            }
            Envelope::Mistral if *status == 401 => json!({"detail": message}),
            Envelope::Mistral => json!({
                "object": "error", "message": self.mistral_message(), "type": kind, "param": null, "code": code,
                "raw_status_code": status,
            }),
            Envelope::Xai => json!({"code": code.as_deref().unwrap_or("invalid-argument"), "error": message}),
            Envelope::Google => json!([{"error": self.google()}]),
            Envelope::Coded => json!({"error": {"message": message, "type": kind, "code": status}}),
            Envelope::Vllm => {
                let kind = if kind == "invalid_request_error" { "BadRequestError" } else { kind };
                json!({"error": {"message": message, "type": kind, "param": param, "code": status}})
            }
            Envelope::Zai => {
                json!({"error": {"code": code.as_deref().unwrap_or("1210"), "message": message}})
            }
            Envelope::Flat => json!({"message": message, "type": kind, "param": param, "code": code}),
        }
    }

    /// The error as events of a stream that began well, the end included.
    pub fn events(&self, flavour: &Flavour) -> Vec<Vec<u8>> {
        let error = match flavour.envelope {
            Envelope::OpenRouter => {
                let choice = json!({
                    "index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error",
                    "native_finish_reason": "error",
                });
                json!({
                    "id": "gen-mock", "object": "chat.completion.chunk", "provider": "Mock", "choices": [choice],
                    "error": {"code": self.status, "message": self.message},
                })
            }
            Envelope::Google => json!({"error": self.google()}),
            Envelope::Xai | Envelope::Mistral | Envelope::Flat => {
                json!({"error": {"message": self.message, "type": self.kind, "code": self.code}})
            }
            _ => self.body(flavour),
        };
        let named = if flavour.name == "groq" { "event: error\n" } else { "" };
        let mut events = vec![format!("{named}data: {error}\n\n").into_bytes()];
        if flavour.done && flavour.name != "groq" {
            events.push(b"data: [DONE]\n\n".to_vec());
        }
        events
    }

    fn google(&self) -> Value {
        let status = match self.status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        json!({"code": self.status, "message": self.message, "status": status})
    }

    /// Where a field is wrong, a list of places; else the text.
    fn mistral_message(&self) -> Value {
        let Some(field) = self.param.as_ref().filter(|_| self.status == 422) else {
            return json!(self.message);
        };
        let place =
            ["body"].into_iter().chain(field.split(['.', '[']).map(|part| part.trim_end_matches(']')));
        let place: Vec<Value> =
            place.map(|part| part.parse::<u64>().map_or_else(|_| json!(part), |at| json!(at))).collect();
        json!({"detail": [{"type": "extra_forbidden", "loc": place, "msg": self.message, "input": null}]})
    }
}

/// `Ok` if it holds, else what `refusal` makes.
pub fn guard(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}

/// The message of an overload.
pub const OVERLOADED: &str = "The engine is currently overloaded, please try again later";
/// The message of a failure.
pub const FAILED: &str = "The server had an error while processing your request. Sorry about that!";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::chat::flavour::of_path;

    fn flavour(base: &str) -> &'static Flavour {
        of_path(&format!("{base}/chat/completions")).unwrap().0
    }

    #[test]
    fn every_provider_has_its_own_form_of_an_error() {
        for (base, expected) in [
            (
                "/openai/v1",
                json!({"error": {"message": "Unknown parameter: 'x'.", "type": "invalid_request_error", "param": "x", "code": "unknown_parameter"}}),
            ),
            (
                "/groq/openai/v1",
                json!({"error": {"message": "property 'x' is unsupported", "type": "invalid_request_error"}}),
            ),
            (
                "/mistral/v1",
                json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "Extra inputs are not permitted", "input": null}]}, "type": "invalid_request_error", "param": null, "code": null, "raw_status_code": 422}),
            ),
            ("/xai/v1", json!({"code": "unknown_parameter", "error": "Unknown parameter: 'x'."})),
            (
                "/vllm/v1",
                json!({"error": {"message": "Unknown parameter: 'x'.", "type": "BadRequestError", "param": "x", "code": 400}}),
            ),
        ] {
            let flavour = flavour(base);
            let refusal =
                Refusal::says(flavour, Wrong::Field, "x", &[("field", &"x"), ("name", &"x"), ("place", &"")]);
            assert_eq!(refusal.body(flavour), expected, "{base}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_an_event_of_its_own() {
        for (base, begins, done) in [
            ("/openai/v1", r#"data: {"error":{"code":null"#, true),
            ("/groq/openai/v1", "event: error\ndata: {\"error\"", false),
            ("/openrouter/api/v1", r#"data: {"choices":[{"delta""#, true),
            ("/gemini/v1beta/openai", r#"data: {"error":{"code":503"#, true),
            ("/perplexity", r#"data: {"error""#, false),
        ] {
            let text = String::from_utf8(Refusal::of_status(503, None, None).events(flavour(base)).concat())
                .unwrap();
            assert!(text.starts_with(begins), "{base}: {text}");
            assert_eq!(text.ends_with("data: [DONE]\n\n"), done, "{base}");
        }
    }
}
