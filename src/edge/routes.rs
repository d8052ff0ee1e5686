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
    /// `POST …/v1/chat/completions`
    Chat,
    /// `POST …/v1/embeddings`
    Embeddings,
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
    let allowed = match method {
        _ if methods == ANY => true,
        Method::Get | Method::Head => methods == READ,
        Method::Post => methods == POST,
        Method::Delete | Method::Options | Method::Other => false,
    };
    if allowed { Route::To(surface, endpoint) } else { Route::WrongMethod(surface, methods) }
}

/// What a path stands for, and the methods that it takes.
type Found<'p> = (Surface, &'static str, Endpoint<'p>);

/// Each surface has a prefix of its own, and is there without it as well. `/v1/models`, which two of them have, is
/// Anthropic's: the shape of its answer follows the request's headers.
fn find(path: &str) -> Option<Found<'_>> {
    let below = |prefix| path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let (first, second) =
        below("/openai").map_or((None, None), |rest| (Some(rest), rest.strip_prefix("/v1")));
    own(path)
        .or_else(|| anthropic(below("/anthropic").unwrap_or(path)))
        .or_else(|| openai(second.or(first).or(below("/v1"))?))
        .or_else(|| gemini(below("/genai").unwrap_or(path)))
        .or_else(|| bedrock(below("/bedrock").unwrap_or(path)))
        .or_else(|| vertex(below("/vertex").unwrap_or(path)))
}

fn own(path: &str) -> Option<Found<'_>> {
    let (methods, endpoint) = match path {
        "/healthz" => (READ, Endpoint::Healthz),
        "/readyz" => (READ, Endpoint::Readyz),
        "/metrics" | "/v1/usage" | "/ui" => (READ, Endpoint::Later),
        "/v1/metrics" | "/v1/logs" | "/v1/traces" => (POST, Endpoint::Later),
        "/admin/v1" => (ANY, Endpoint::Later),
        _ if path.starts_with("/ui/") => (READ, Endpoint::Later),
        _ if path.starts_with("/admin/v1/") => (ANY, Endpoint::Later),
        _ => return None,
    };
    Some((Surface::Own, methods, endpoint))
}

fn anthropic(path: &str) -> Option<Found<'_>> {
    let (methods, endpoint) = match path {
        "" | "/" | "/api/hello" => (READ, Endpoint::Hello),
        "/v1/messages" => (POST, Endpoint::Messages),
        "/v1/messages/count_tokens" => (POST, Endpoint::CountTokens),
        "/v1/models" => (READ, Endpoint::Models),
        _ => (READ, Endpoint::Model(path.strip_prefix("/v1/models/").filter(|id| !id.is_empty())?)),
    };
    Some((Surface::Anthropic, methods, endpoint))
}

/// A path behind the version.
fn openai(path: &str) -> Option<Found<'_>> {
    let (methods, endpoint) = match path {
        "/chat/completions" => (POST, Endpoint::Chat),
        "/embeddings" => (POST, Endpoint::Embeddings),
        "/responses" | "/responses/input_tokens" => (POST, Endpoint::Later),
        "/models" => (READ, Endpoint::Models),
        _ => (READ, Endpoint::Model(path.strip_prefix("/models/").filter(|id| !id.is_empty())?)),
    };
    Some((Surface::OpenAi, methods, endpoint))
}

fn gemini(path: &str) -> Option<Found<'_>> {
    const VERBS: [&str; 4] = ["generateContent", "streamGenerateContent", "countTokens", "embedContent"];
    let model = path.strip_prefix("/v1beta/models")?;
    let methods = match model.rsplit_once(':') {
        None if model.is_empty() || model.starts_with('/') => READ,
        Some((model, verb)) if model.len() > 1 && model.starts_with('/') && VERBS.contains(&verb) => POST,
        _ => return None,
    };
    Some((Surface::Gemini, methods, Endpoint::Later))
}

/// The id of a model may hold slashes: it ends at the last one.
fn bedrock(path: &str) -> Option<Found<'_>> {
    const CALLS: [&str; 5] =
        ["invoke", "invoke-with-response-stream", "converse", "converse-stream", "count-tokens"];
    let profiles = path.strip_prefix("/inference-profiles");
    let call = path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/'));
    let methods = match (profiles, call) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => READ,
        (_, Some((id, call))) if !id.is_empty() && CALLS.contains(&call) => POST,
        _ => return None,
    };
    Some((Surface::Bedrock, methods, Endpoint::Later))
}

fn vertex(path: &str) -> Option<Found<'_>> {
    let mut parts = path.strip_prefix("/v1/projects/")?.splitn(7, '/');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let (_project, locations, _location) = (part()?, part()?, part()?);
    let (publishers, publisher, models) = (part()?, part()?, part()?);
    let (model, verb) = part()?.rsplit_once(':')?;
    let verbs: &[&str] = match publisher {
        "anthropic" => &["rawPredict", "streamRawPredict"],
        "google" => &["generateContent", "streamGenerateContent", "countTokens"],
        _ => return None,
    };
    let named = (locations, publishers, models) == ("locations", "publishers", "models");
    let known = named && !model.is_empty() && verbs.contains(&verb);
    known.then_some((Surface::Vertex, POST, Endpoint::Later))
}

/// Whose error format an unknown path is answered in.
fn surface_of(path: &str) -> Surface {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next().unwrap_or(""), parts.next().unwrap_or("")) {
        ("openai", _) | ("v1", "chat" | "completions" | "responses" | "embeddings") => Surface::OpenAi,
        ("genai" | "v1beta", _) => Surface::Gemini,
        ("bedrock" | "model" | "inference-profiles", _) => Surface::Bedrock,
        ("vertex", _) | ("v1", "projects") => Surface::Vertex,
        ("admin" | "ui", _) => Surface::Own,
        _ => Surface::Anthropic,
    }
}

const READ: &str = "GET, HEAD";
const POST: &str = "POST";
/// What is not built yet and will take several.
const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

#[cfg(test)]
mod tests {
    use super::{Endpoint, Method, Route, Surface, route};

    #[test]
    #[rustfmt::skip]
    fn paths_and_methods() {
        use Endpoint::{Chat, CountTokens, Embeddings, Healthz, Hello, Later, Messages, Model, Models};
        use Surface::{Anthropic, Bedrock, Gemini, OpenAi, Own, Vertex};
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
            (Method::Post, "/openai/v1/chat/completions", Route::To(OpenAi, Chat)),
            (Method::Post, "/v1/embeddings", Route::To(OpenAi, Embeddings)),
            (Method::Get, "/openai/v1/models", Route::To(OpenAi, Models)),
            (Method::Post, "/v1beta/models/x:generateContent", Route::To(Gemini, Later)),
            (Method::Other, "/v1beta/models/x:generateContent", Route::WrongMethod(Gemini, "POST")),
            (Method::Get, "/genai/v1beta/models/a/b:countTokens", Route::WrongMethod(Gemini, "POST")),
            (Method::Post, "/v1beta/models", Route::WrongMethod(Gemini, "GET, HEAD")),
            (Method::Post, "/v1beta/models/x:nothing", Route::Unknown(Gemini)),
            (Method::Post, "/v1beta/models/:generateContent", Route::Unknown(Gemini)),
            (Method::Get, "/v1beta/modelsx", Route::Unknown(Gemini)),
            (Method::Get, "/v1/models", Route::To(Anthropic, Models)),
            (Method::Get, "/v1/models/a/b", Route::To(Anthropic, Model("a/b"))),
            (Method::Get, "/v1/models/", Route::To(Anthropic, Models)),
            (Method::Get, "/openai/models/x", Route::To(OpenAi, Model("x"))),
            (Method::Post, "/openai/responses/input_tokens", Route::To(OpenAi, Later)),
            (Method::Get, "/v1/responses", Route::WrongMethod(OpenAi, "POST")),
            (Method::Get, "/v1/responses/x", Route::Unknown(OpenAi)),
            (Method::Post, "/openaiv1/responses", Route::Unknown(Anthropic)),
            (Method::Post, "/bedrock/model/x/invoke", Route::To(Bedrock, Later)),
            (Method::Post, "/model/arn:aws:x/y/invoke-with-response-stream", Route::To(Bedrock, Later)),
            (Method::Get, "/bedrock/model/x/invoke", Route::WrongMethod(Bedrock, "POST")),
            (Method::Get, "/inference-profiles", Route::To(Bedrock, Later)),
            (Method::Post, "/bedrock/inference-profiles", Route::WrongMethod(Bedrock, "GET, HEAD")),
            (Method::Post, "/model/x/nothing", Route::Unknown(Bedrock)),
            (Method::Post, "/vertex/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict", Route::To(Vertex, Later)),
            (Method::Post, "/v1/projects/p/locations/l/publishers/google/models/m:countTokens", Route::To(Vertex, Later)),
            (Method::Get, "/v1/projects/p/locations/l/publishers/google/models/m:countTokens", Route::WrongMethod(Vertex, "POST")),
            (Method::Post, "/v1/projects/p/locations/l/publishers/google/models/m:rawPredict", Route::Unknown(Vertex)),
            (Method::Get, "/vertex/v1/projects/p", Route::Unknown(Vertex)),
            (Method::Other, "/admin/v1/keys", Route::To(Own, Later)),
            (Method::Post, "/ui/x", Route::WrongMethod(Own, "GET, HEAD")),
            (Method::Get, "/nothing", Route::Unknown(Anthropic)),
            (Method::Get, "/openai/v1/nothing", Route::Unknown(OpenAi)),
            (Method::Other, "/v1/messages", Route::WrongMethod(Anthropic, "POST")),
        ] {
            assert_eq!(route(method, path), expected, "{method:?} {path}");
        }
    }

    #[test]
    fn every_path_is_there_with_and_without_its_prefix() {
        for (method, prefix, paths) in [
            (Method::Post, "/anthropic", &["/v1/messages", "/v1/messages/count_tokens"][..]),
            (Method::Get, "/anthropic", &["/v1/models", "/v1/models/x", "/api/hello", "/"]),
            (Method::Post, "/openai", &["/v1/chat/completions", "/v1/responses", "/v1/embeddings"]),
            (Method::Post, "/openai", &["/v1/responses/input_tokens"]),
            (
                Method::Post,
                "/genai",
                &["/v1beta/models/x:embedContent", "/v1beta/models/a%2Fb:generateContent"],
            ),
            (Method::Get, "/genai", &["/v1beta/models"]),
            (Method::Post, "/bedrock", &["/model/x/invoke", "/model/x/converse", "/model/x/count-tokens"]),
            (Method::Get, "/bedrock", &["/inference-profiles"]),
            (
                Method::Post,
                "/vertex",
                &["/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"],
            ),
        ] {
            for path in paths {
                let there = route(method, path);
                assert!(matches!(there, Route::To(..)), "{path}: {there:?}");
                assert_eq!(route(method, &format!("{prefix}{path}")), there, "{prefix}{path}");
                if let Some(plain) = path.strip_prefix("/v1").filter(|_| prefix == "/openai") {
                    assert_eq!(route(method, &format!("/openai{plain}")), there, "/openai{plain}");
                }
            }
        }
    }
}
