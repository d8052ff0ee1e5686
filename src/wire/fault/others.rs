//! Error bodies in the formats of clients whose dialects are not spoken yet: an unknown path or an endpoint that is not
//! offered is refused in the surface's own words (wire.md section 12).
//!
//! Only writes; the formats of the dialects that are spoken are theirs.

use serde_json::json;

/// Google's `{"error": {"code", "message", "status"}}`.
pub fn google(status: u16, message: &str) -> Vec<u8> {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({"error": {"code": status, "message": message, "status": word}}).to_string().into_bytes()
}

/// Bedrock's `{"message": …}`.
pub fn bedrock(message: &str) -> Vec<u8> {
    json!({"message": message}).to_string().into_bytes()
}

/// The gateway's own endpoints: `{"error": {"message": …}}`.
pub fn own(message: &str) -> Vec<u8> {
    json!({"error": {"message": message}}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_surface_has_its_words() {
        for (body, expected) in [
            (super::google(501, "no"), r#"{"error":{"code":501,"message":"no","status":"UNIMPLEMENTED"}}"#),
            (super::bedrock("no"), r#"{"message":"no"}"#),
            (super::own("no"), r#"{"error":{"message":"no"}}"#),
        ] {
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
    }
}
