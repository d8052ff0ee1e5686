//! What an error body says, in whatever shape it came.
//!
//! Reads the shapes of wire.md section 12: Anthropic's, `OpenAI`'s, Google's (also wrapped in an array), AWS's, `FastAPI`'s
//! and the plain text or HTML of a proxy in between. Only reads; what the words mean is `wording`'s.

use std::borrow::Cow;

use crate::json::{self, Span, member_of, text};

/// The words of an error body; what it does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'b> {
    /// `type`, else Google's `status`, else AWS's exception.
    pub kind: Cow<'b, str>,
    /// `code`, a number as its digits.
    pub code: Cow<'b, str>,
    /// The text for humans, behind the path of the field where the body gives that apart (`top_k: Extra inputs …`).
    pub message: Cow<'b, str>,
    /// The field that it is about, if the body says so apart from the message.
    pub param: Cow<'b, str>,
}

impl<'b> Said<'b> {
    /// Reads a body. A router's own text says only that somebody failed; what that one said is beside it, as a text or as
    /// a whole body.
    pub fn read(body: &'b [u8]) -> Self {
        let body = body.trim_ascii();
        let said = Self::as_it_stands(body);
        let error = member_of(body, Span::all(body), "error");
        let metadata = error.and_then(|error| member_of(body, error.value, "metadata"));
        match metadata.map(|metadata| word(body, metadata.value, &["raw"])) {
            Some(raw) if !raw.is_empty() => said.routed(&raw),
            _ => said,
        }
    }

    fn routed(self, raw: &str) -> Self {
        let inner = Said::as_it_stands(raw.as_bytes());
        let first = |words: [Cow<'_, str>; 2], own: Cow<'b, str>| {
            let told = words.into_iter().find(|word| !word.is_empty());
            told.map_or(own, |word| Cow::Owned(word.into_owned()))
        };
        Self {
            kind: first([inner.code, inner.kind], self.kind),
            code: self.code,
            message: first([inner.message, Cow::default()], self.message),
            param: first([inner.param, Cow::default()], self.param),
        }
    }

    fn as_it_stands(body: &'b [u8]) -> Self {
        match body.first() {
            Some(b'{') => Self::object(body, Span::all(body)),
            Some(b'[') => match json::elements(body, Span::all(body)).next() {
                Some(Ok(first)) => Self::object(body, first),
                Some(Err(_)) | None => Self::default(),
            },
            Some(_) => Self { message: plain(body), ..Self::default() },
            None => Self::default(),
        }
    }

    fn object(body: &'b [u8], top: Span) -> Self {
        match member_of(body, top, "error").map(|error| error.value) {
            Some(error) if body.get(error.start) == Some(&b'{') => Self::nested(body, error),
            Some(error) if body.get(error.start) == Some(&b'"') => {
                Self { message: string(body, error), code: word(body, top, &["code"]), ..Self::default() }
            }
            _ => Self::flat(body, top),
        }
    }

    /// `{"error": {…}}`.
    fn nested(body: &'b [u8], error: Span) -> Self {
        Self {
            kind: word(body, error, &["type", "status"]),
            code: word(body, error, &["code"]),
            message: message(body, error),
            param: word(body, error, &["param"]),
        }
    }

    /// `{"message": …}`, `{"detail": …}`.
    fn flat(body: &'b [u8], top: Span) -> Self {
        Self {
            kind: word(body, top, &["type", "__type", "error_type", "status"]),
            code: word(body, top, &["code"]),
            message: message(body, top),
            param: word(body, top, &["param"]),
        }
    }
}

/// The message of an object: text, or a list of what is wrong where.
fn message(body: &[u8], object: Span) -> Cow<'_, str> {
    let found = ["message", "Message", "detail", "msg"].iter().find_map(|name| member_of(body, object, name));
    let Some(value) = found.map(|member| member.value) else { return Cow::default() };
    match body.get(value.start) {
        Some(b'"') => string(body, value),
        Some(b'[') => first_detail(body, value),
        Some(b'{') => {
            member_of(body, value, "detail").map_or_else(Cow::default, |list| first_detail(body, list.value))
        }
        _ => Cow::default(),
    }
}

/// The first of `FastAPI`'s `[{"loc": ["body", "top_k"], "msg": …}]`, as `top_k: …`.
fn first_detail(body: &[u8], list: Span) -> Cow<'_, str> {
    let Some(Ok(first)) = json::elements(body, list).next() else { return string(body, list) };
    let msg = word(body, first, &["msg", "message"]);
    let Some(loc) = member_of(body, first, "loc") else { return msg };
    let steps = json::elements(body, loc.value).map_while(Result::ok).map(|step| scalar(body, step));
    let path: Vec<_> = steps.filter(|step| step != "body").collect();
    if path.is_empty() { msg } else { format!("{}: {msg}", path.join(".")).into() }
}

/// The first of these members that is a text or a number and not empty.
fn word<'b>(body: &'b [u8], object: Span, names: &[&str]) -> Cow<'b, str> {
    let words = names
        .iter()
        .filter_map(|name| member_of(body, object, name))
        .map(|member| scalar(body, member.value));
    words.into_iter().find(|word| !word.is_empty()).unwrap_or_default()
}

fn scalar(body: &[u8], value: Span) -> Cow<'_, str> {
    let bytes = value.of(body);
    if text::is_number(bytes) { String::from_utf8_lossy(bytes) } else { string(body, value) }
}

fn string(body: &[u8], value: Span) -> Cow<'_, str> {
    text::string(value.of(body)).unwrap_or_default()
}

/// What stands in a body that is no JSON: the title of a page, else its beginning.
fn plain(body: &[u8]) -> Cow<'_, str> {
    let body = &body[..body.len().min(MAX_PLAIN)];
    if body.first() != Some(&b'<') {
        return String::from_utf8_lossy(body);
    }
    let lower = body.to_ascii_lowercase();
    let start = memchr::memmem::find(&lower, b"<title>").map(|at| at + b"<title>".len());
    let end = memchr::memmem::find(&lower, b"</title>");
    match (start, end) {
        (Some(start), Some(end)) if start <= end => String::from_utf8_lossy(body[start..end].trim_ascii()),
        _ => Cow::default(),
    }
}

/// Pages of proxies say what they have to say at once.
const MAX_PLAIN: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_its_words() {
        // body, kind, code, message, param
        for (body, kind, code, message, param) in [
            (r#"{"type":"error","error":{"type":"a","message":"m"},"request_id":"r"}"#, "a", "", "m", ""),
            (r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#, "t", "c", "m", "p"),
            (r#"{"error":{"message":"m","type":null,"param":null,"code":429}}"#, "", "429", "m", ""),
            (
                r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#,
                "INVALID_ARGUMENT",
                "400",
                "m",
                "",
            ),
            (
                r#" [{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}] "#,
                "UNAVAILABLE",
                "503",
                "m",
                "",
            ),
            (r#"{"message":"m"}"#, "", "", "m", ""),
            (r#"{"Message":"m","__type":"ThrottlingException"}"#, "ThrottlingException", "", "m", ""),
            (
                r#"{"object":"error","message":{"detail":[{"loc":["body","top_k2"],"msg":"M"}]}}"#,
                "",
                "",
                "top_k2: M",
                "",
            ),
            (
                r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"M"}]}"#,
                "",
                "",
                "messages.0.role: M",
                "",
            ),
            (r#"{"detail":"Invalid API Key"}"#, "", "", "Invalid API Key", ""),
            (r#"{"code":"invalid-argument","error":"m"}"#, "", "invalid-argument", "m", ""),
            (
                r#"{"error":{"message":"Provider returned error","metadata":{"raw":"busy"}}}"#,
                "",
                "",
                "busy",
                "",
            ),
            (
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":\"p\",\"code\":\"c\"}}"}}}"#,
                "c",
                "400",
                "m",
                "p",
            ),
            ("<html><head><TITLE> 502 Bad Gateway </title></head>", "", "", "502 Bad Gateway", ""),
            ("<html>", "", "", "", ""),
            ("upstream connect error", "", "", "upstream connect error", ""),
            (r#"{"error":{"message":"cut sho"#, "", "", "", ""),
            (r#"{"type":"error","error":{"type":"a","message":"m"},"re"#, "a", "", "m", ""),
            (r#"{"error":{}}"#, "", "", "", ""),
            ("[", "", "", "", ""),
            ("", "", "", "", ""),
        ] {
            let said = Said::read(body.as_bytes());
            let words = [&said.kind, &said.code, &said.message, &said.param].map(AsRef::as_ref);
            assert_eq!(words, [kind, code, message, param], "{body}");
        }
    }
}
