//! In whose words a fault speaks: Anthropic's, or those of the Chat provider that the path belongs to.
//!
//! Knows the forms of errors, whole and in a stream, and what ends a stream. Decides on no fault.

use serde_json::json;

use super::chat::flavour::Flavour;
use super::chat::{self, OVERLOADED, Refusal};
use super::reply::event;
use super::{Answer, Request, request_id};

/// Who speaks.
#[derive(Clone, Copy)]
pub enum Voice {
    /// Anthropic.
    Anthropic,
    /// A provider of Chat Completions.
    Chat(&'static Flavour),
}

impl Voice {
    /// The one that a request is for.
    pub fn of(request: &Request<'_>) -> Self {
        chat::route(request).map_or(Self::Anthropic, |(flavour, _)| Self::Chat(flavour))
    }

    /// The answer of this status; `type` and message by the status where they are not given.
    pub fn error(self, status: u16, kind: Option<&str>, message: Option<&str>, number: u64) -> Answer {
        match self {
            Self::Anthropic => {
                let kind = kind.unwrap_or_else(|| kind_of(status));
                Answer::error(status, kind, message.unwrap_or_else(|| default_message(kind)), number)
            }
            Self::Chat(flavour) => Refusal::of_status(status, kind, message).answer(flavour, number),
        }
    }

    /// A 200 whose body is an error.
    pub fn inside(self, kind: Option<&str>, message: Option<&str>, number: u64) -> Answer {
        match self {
            Self::Anthropic => {
                let kind = kind.unwrap_or(OVERLOAD);
                let message = message.unwrap_or_else(|| default_message(kind));
                let error = json!({"type": kind, "message": message});
                let body = json!({"type": "error", "error": error, "request_id": request_id(number)});
                Answer::json(200, &body).with("request-id", request_id(number))
            }
            Self::Chat(flavour) => Answer { status: 200, ..overload(kind, message).answer(flavour, number) },
        }
    }

    /// An error inside a stream, with what follows it.
    pub fn events(self, kind: Option<&str>, message: Option<&str>, number: u64) -> Vec<Vec<u8>> {
        match self {
            Self::Anthropic => {
                let kind = kind.unwrap_or(OVERLOAD);
                let error =
                    json!({"type": kind, "message": message.unwrap_or_else(|| default_message(kind))});
                vec![event("error", json!({"error": error, "request_id": request_id(number)}))]
            }
            Self::Chat(flavour) => overload(kind, message).events(flavour),
        }
    }

    /// An event that is no JSON.
    pub fn broken(self) -> Vec<u8> {
        match self {
            Self::Anthropic => {
                [b"event: content_block_delta\ndata: ", super::fault::BROKEN, b"\n\n"].concat()
            }
            Self::Chat(_) => {
                b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"conte\n\n"
                    .to_vec()
            }
        }
    }

    /// Whether an event tells why the model stopped.
    pub fn finishes(self, event: &[u8]) -> bool {
        let mark: &[u8] = match self {
            Self::Anthropic => b"event: message_delta",
            Self::Chat(_) => b"\"finish_reason\":\"",
        };
        memchr::memmem::find(event, mark).is_some()
    }
}

/// What a fault without a type or a message says.
fn overload(kind: Option<&str>, message: Option<&str>) -> Refusal {
    Refusal::of_status(503, kind, Some(message.unwrap_or(OVERLOADED)))
}

const OVERLOAD: &str = "overloaded_error";

/// Anthropic's type for a status (`wire.md` section 12).
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn default_message(kind: &str) -> &'static str {
    match kind {
        "authentication_error" => "invalid x-api-key",
        "billing_error" => "Your credit balance is too low to access the Anthropic API.",
        "permission_error" => "Your API key does not have permission to use the specified resource.",
        "not_found_error" => "Not found",
        "timeout_error" => "Request timed out",
        "request_too_large" => "Request exceeds the maximum size",
        "rate_limit_error" => "This request would exceed your account's rate limit. Please try again later.",
        "overloaded_error" => "Overloaded",
        "api_error" => "Internal server error",
        _ => "The mock was asked to fail",
    }
}
