//! Paths: which surface and which endpoint a request means.
//!
//! One table for all surfaces of INTERFACE section 3. Endpoints of later versions are known by name, so that they are
//! told apart from typing mistakes (501 and 404). Decides nothing about the answer.

use super::head::Method;

/// Whose format the client speaks. Authentication and routing use it as well: the edge stands above both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Anthropic Messages.
    Anthropic,
    /// `OpenAI` Chat, Responses, embeddings.
    OpenAi,
    /// Gemini.
    Gemini,
    /// Bedrock.
    Bedrock,
    /// Vertex.
    Vertex,
    /// The gateway's own endpoints.
    Own,
}

impl Surface {
    /// The word of `allow.surfaces` and of records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::Own => "own",
        }
    }
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'p> {
    /// `POST …/v1/messages`
    Messages,
    /// `POST …/v1/messages/count_tokens`
    CountTokens,
    /// `GET …/v1/models`
    Models,
    /// `GET …/v1/models/{id}`
    Model(&'p str),
    /// `HEAD /` and the like: is anybody there?
    Hello,
    /// `GET /healthz`
    Healthz,
    /// `GET /readyz`
    Readyz,
    /// Known, not offered by this version.
    Later,
}

/// What a path and method mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'p> {
    /// An endpoint.
    To(Surface, Endpoint<'p>),
    /// The path exists, for these methods.
    WrongMethod(Surface, &'static str),
    /// There is no such path.
    Unknown(Surface),
}

/// Finds the route of a request.
pub fn route(method: Method, path: &str) -> Route<'_> {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let Some((surface, methods, endpoint)) = find(path) else { return Route::Unknown(surface_of(path)) };
    let hello = method == Method::Head
        && matches!(path, "" | "/" | "/anthropic" | "/anthropic/api/hello" | "/api/hello");
    let allowed = match method {
        Method::Get => methods.contains("GET"),
        Method::Post => methods.contains("POST"),
        Method::Head => hello || methods.contains("HEAD"),
        Method::Delete => methods.contains("DELETE"),
        Method::Options | Method::Other => false,
    };
    if allowed || methods == ANY {
        Route::To(surface, endpoint)
    } else {
        Route::WrongMethod(surface, methods)
    }
}

fn find(path: &str) -> Option<(Surface, &'static str, Endpoint<'_>)> {
    use Surface::{Anthropic, OpenAi, Own};
    let found = match path {
        "" | "/" | "/anthropic" | "/anthropic/api/hello" | "/api/hello" => {
            (Anthropic, "GET, HEAD", Endpoint::Hello)
        }
        "/anthropic/v1/messages" | "/v1/messages" => (Anthropic, "POST", Endpoint::Messages),
        "/anthropic/v1/messages/count_tokens" | "/v1/messages/count_tokens" => {
            (Anthropic, "POST", Endpoint::CountTokens)
        }
        "/anthropic/v1/models" | "/v1/models" => (Anthropic, "GET, HEAD", Endpoint::Models),
        "/openai/v1/models" | "/openai/models" => (OpenAi, "GET, HEAD", Endpoint::Later),
        "/openai/v1/chat/completions"
        | "/v1/chat/completions"
        | "/openai/chat/completions"
        | "/openai/v1/responses"
        | "/v1/responses"
        | "/openai/responses"
        | "/openai/v1/responses/input_tokens"
        | "/v1/responses/input_tokens"
        | "/openai/v1/embeddings"
        | "/v1/embeddings"
        | "/openai/embeddings" => (OpenAi, "POST", Endpoint::Later),
        "/healthz" => (Own, "GET, HEAD", Endpoint::Healthz),
        "/readyz" => (Own, "GET, HEAD", Endpoint::Readyz),
        "/metrics" | "/v1/usage" | "/ui" => (Own, "GET, HEAD", Endpoint::Later),
        "/v1/metrics" | "/v1/logs" | "/v1/traces" => (Own, "POST", Endpoint::Later),
        _ => return find_by_prefix(path),
    };
    Some(found)
}

fn find_by_prefix(path: &str) -> Option<(Surface, &'static str, Endpoint<'_>)> {
    let model = path.strip_prefix("/anthropic/v1/models/").or_else(|| path.strip_prefix("/v1/models/"));
    if let Some(id) = model.filter(|id| !id.is_empty()) {
        return Some((Surface::Anthropic, "GET, HEAD", Endpoint::Model(id)));
    }
    let later = [
        ("/genai/v1beta/models", Surface::Gemini),
        ("/v1beta/models", Surface::Gemini),
        ("/bedrock/model/", Surface::Bedrock),
        ("/bedrock/inference-profiles", Surface::Bedrock),
        ("/vertex/v1/projects/", Surface::Vertex),
        ("/openai/v1/models/", Surface::OpenAi),
        ("/admin/v1/", Surface::Own),
        ("/ui/", Surface::Own),
    ];
    let (_, surface) = later.iter().find(|(prefix, _)| path.starts_with(prefix))?;
    Some((*surface, ANY, Endpoint::Later))
}

/// Whose error format an unknown path is answered in.
fn surface_of(path: &str) -> Surface {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
    match first {
        "openai" => Surface::OpenAi,
        "genai" | "v1beta" => Surface::Gemini,
        "bedrock" => Surface::Bedrock,
        "vertex" => Surface::Vertex,
        "admin" | "ui" => Surface::Own,
        _ => Surface::Anthropic,
    }
}

const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

#[cfg(test)]
mod tests {
    use super::{Endpoint, Method, Route, Surface, route};

    #[test]
    fn paths_and_methods() {
        use Endpoint::{CountTokens, Healthz, Hello, Later, Messages, Model, Models};
        use Surface::{Anthropic, Gemini, OpenAi, Own};
        for (method, path, expected) in [
            (Method::Post, "/anthropic/v1/messages", Route::To(Anthropic, Messages)),
            (Method::Post, "/v1/messages", Route::To(Anthropic, Messages)),
            (Method::Post, "/v1/messages/", Route::To(Anthropic, Messages)),
            (Method::Get, "/v1/messages", Route::WrongMethod(Anthropic, "POST")),
            (Method::Post, "/v1/messages/count_tokens", Route::To(Anthropic, CountTokens)),
            (Method::Get, "/anthropic/v1/models", Route::To(Anthropic, Models)),
            (Method::Get, "/v1/models/claude-x", Route::To(Anthropic, Model("claude-x"))),
            (Method::Head, "/", Route::To(Anthropic, Hello)),
            (Method::Head, "/anthropic", Route::To(Anthropic, Hello)),
            (Method::Head, "/anthropic/api/hello", Route::To(Anthropic, Hello)),
            (Method::Get, "/healthz", Route::To(Own, Healthz)),
            (Method::Delete, "/healthz", Route::WrongMethod(Own, "GET, HEAD")),
            (Method::Post, "/openai/v1/chat/completions", Route::To(OpenAi, Later)),
            (Method::Post, "/v1beta/models/x:generateContent", Route::To(Gemini, Later)),
            (Method::Get, "/nothing", Route::Unknown(Anthropic)),
            (Method::Get, "/openai/v1/nothing", Route::Unknown(OpenAi)),
            (Method::Other, "/v1/messages", Route::WrongMethod(Anthropic, "POST")),
        ] {
            assert_eq!(route(method, path), expected, "{method:?} {path}");
        }
    }
}
