//! The providers that speak Chat Completions, as one table: how each of them checks a request and tells an answer.
//!
//! After `wire.md` section 8 and recorded traffic, and on purpose not after the gateway's own tables: a mistake there must
//! show here. What a model takes is `super::models`'. Holds data only; the checks and the renderings read it.

use super::words::{self, Word};

/// One provider.
#[allow(clippy::struct_excessive_bools)] // Columns of a table, each a yes or no of its own.
#[derive(Clone, Copy, Debug)]
pub struct Flavour {
    /// The name shown in `GET /mock/requests`.
    pub name: &'static str,
    /// What stands before `/chat/completions` in its paths.
    pub bases: &'static [&'static str],
    /// Whether a key is wanted.
    pub key: bool,
    /// The body of an error.
    pub envelope: Envelope,
    /// Its own words for what others refuse too; `OpenAI`'s where it has none.
    pub words: &'static [Word],
    /// What becomes of fields that it does not know.
    pub unknown: Unknown,
    /// Fields of a request beyond the common ones.
    pub more: &'static [&'static str],
    /// Common fields that it does not take.
    pub less: &'static [&'static str],
    /// Fields of an assistant's message beyond the common ones.
    pub history: &'static [&'static str],
    /// Whether messages may be the `developer`'s.
    pub developer: bool,
    /// Ids of tool calls in a request.
    pub ids: Ids,
    /// Whether the user may show images.
    pub images: bool,
    /// Whether tools are taken.
    pub tools: bool,
    /// Who may follow whom.
    pub order: Order,
    /// Most stop sequences.
    pub stops: usize,
    /// Whether a format may bear a schema.
    pub schemas: bool,
    /// Levels of `reasoning_effort` where the model has none of its own.
    pub efforts: &'static [&'static str],
    /// Whether what models refuse is refused: `OpenAI`'s own models elsewhere are not looked at so closely.
    pub by_model: bool,
    /// Where thinking stands in an answer.
    pub carrier: Carrier,
    /// How the calls of a stream come, unless a pattern is asked for.
    pub calls: Calls,
    /// Where a stream tells its usage.
    pub usage: UsageAt,
    /// What a usage holds beside the three sums.
    pub shape: Shape,
    /// Whether a stream ends in `[DONE]`.
    pub done: bool,
    /// Comments before the first event of a stream.
    pub comments: &'static [&'static str],
    /// What the id of an answer begins with.
    pub id: &'static str,
    /// What the id of a call begins with.
    pub call_id: &'static str,
}

/// The body of an error (`wire.md` section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `{error: {message, type, param, code}}`.
    OpenAi,
    /// The same without `param`, and without a `code` that is null.
    Short,
    /// `{error: {message, code: status, metadata?}, user_id}`.
    OpenRouter,
    /// `{object: "error", message, type, param, code, raw_status_code}`; a missing key is `{detail}`.
    Mistral,
    /// `{code, error}`.
    Xai,
    /// `[{error: {code: status, message, status}}]`.
    Google,
    /// `{error: {message, type, code: status}}`.
    Coded,
    /// `{error: {message, type, param, code: status}}`.
    Vllm,
    /// `{error: {code, message}}`, the code a text.
    Zai,
    /// `{message, type, param, code}`.
    Flat,
}

/// What becomes of a field that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is passed over.
    Ignored,
    /// The request is refused, in the flavour's words.
    Refused,
}

/// What the id of a call looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Anything.
    Any,
    /// At most so many characters.
    AtMost(usize),
    /// Exactly nine letters and digits.
    Nine,
}

/// Who may follow whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Results follow their calls; else anyone.
    Free,
    /// The same, and the assistant has not the last word unless by `prefix`.
    NotLast,
    /// User and assistant by turns, the user first and last.
    Alternate,
}

/// Where thinking stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Nowhere: it is only counted.
    Hidden,
    /// In a field of the message.
    Field(&'static str),
    /// In `reasoning` and, whole and signed, in `reasoning_details`.
    Details,
    /// In a part of the content.
    Part,
    /// In `<think>` before the text.
    Tags,
}

/// How the calls of a stream come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Id and name first, then the arguments in pieces.
    Fragments,
    /// One chunk for each call.
    Whole,
    /// All of them in the chunk that finishes.
    Finish,
    /// The same without an index.
    FinishBare,
    /// All of them in one chunk before that.
    Together,
    /// Pieces, each with id, type and name again.
    Repeated,
    /// Pieces without an index: a new id begins a new call.
    Bare,
    /// Pieces with null where nothing is to be said.
    Nulls,
    /// Pieces with an empty id and name where they were told before.
    Blank,
    /// Another of them with every request.
    Rotating,
}

impl Calls {
    /// The names in faults and in [`super::PATTERN`], in the order of the rotation.
    pub const NAMED: &[(&str, Self)] = &[
        ("fragments", Self::Fragments),
        ("finish", Self::Finish),
        ("repeated", Self::Repeated),
        ("no_index", Self::Bare),
        ("together", Self::Together),
        ("nulls", Self::Nulls),
        ("blank", Self::Blank),
        ("whole", Self::Whole),
    ];

    /// The pattern of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, calls)| *calls)
    }

    /// The pattern itself, for the request of this number.
    #[must_use]
    pub fn settled(self, number: u64) -> Self {
        if self != Self::Rotating {
            return self;
        }
        let at = number % Self::NAMED.len() as u64;
        Self::NAMED[usize::try_from(at).unwrap_or(0)].1
    }
}

/// Where a stream tells its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageAt {
    /// In a chunk without choices, if asked for.
    Asked,
    /// In the chunk that finishes.
    Finish,
    /// In a second chunk that finishes.
    SecondFinish,
    /// In the chunk that finishes under `x_groq`; if asked for beside it and in a chunk without choices too.
    Groq,
    /// In every chunk, growing.
    Every,
}

/// What a usage holds beside `prompt_tokens`, `completion_tokens` and `total_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Plain,
    /// `prompt_tokens_details` and `completion_tokens_details`.
    Details,
    /// The same without what is not text, and `cached_tokens` only.
    Cached,
    /// With `cost` and its parts.
    OpenRouter,
    /// With times.
    Groq,
    /// `completion_tokens` without reasoning, and `cost_in_usd_ticks`.
    Xai,
    /// With `prompt_cache_hit_tokens` and `prompt_cache_miss_tokens`.
    DeepSeek,
    /// `cached_tokens` beside the sums.
    Together,
    /// With `cost` as an object.
    Perplexity,
    /// `completion_tokens` without reasoning, which only the total holds.
    Google,
}

/// The flavour whose path this is, and what stands behind its base: `chat/completions`, `embeddings`, `models…`.
pub fn of_path(path: &str) -> Option<(&'static Flavour, &str)> {
    let ends = ["/chat/completions", "/embeddings", "/models"];
    let at = ends.iter().find_map(|end| {
        let at = path.rfind(end)?;
        let rest = &path[at + end.len()..];
        (rest.is_empty() || (*end == "/models" && rest.starts_with('/'))).then_some(at)
    })?;
    let (base, what) = (&path[..at], &path[at + 1..]);
    let known = ALL.iter().find(|flavour| flavour.bases.contains(&base));
    // Any other base before /v1 is OpenAI's, but for the models, which were Anthropic's first.
    let open = base.ends_with("/v1") && !what.starts_with("models");
    known.or_else(|| open.then_some(&OPENAI)).map(|flavour| (flavour, what))
}

const HOSTED: Flavour = Flavour {
    name: "",
    bases: &[],
    key: true,
    envelope: Envelope::OpenAi,
    words: &[],
    unknown: Unknown::Ignored,
    more: &[],
    less: &[],
    history: &[],
    developer: true,
    ids: Ids::Any,
    images: true,
    tools: true,
    order: Order::Free,
    stops: 4,
    schemas: true,
    efforts: &[],
    by_model: false,
    carrier: Carrier::Field("reasoning_content"),
    calls: Calls::Fragments,
    usage: UsageAt::Finish,
    shape: Shape::Details,
    done: true,
    comments: &[],
    id: "chatcmpl-",
    call_id: "call_",
};

/// One's own server.
const LOCAL: Flavour = Flavour { key: false, usage: UsageAt::Asked, ..HOSTED };

/// `OpenAI` itself, and whatever bears no other name.
pub const OPENAI: Flavour = Flavour {
    name: "openai",
    bases: &["/openai/v1", "/v1"],
    unknown: Unknown::Refused,
    history: &["annotations"],
    ids: Ids::AtMost(40),
    by_model: true,
    carrier: Carrier::Hidden,
    usage: UsageAt::Asked,
    ..HOSTED
};

const ALL: &[Flavour] = &[
    OPENAI,
    Flavour {
        name: "openrouter",
        bases: &["/openrouter/api/v1"],
        envelope: Envelope::OpenRouter,
        words: words::OPENROUTER,
        carrier: Carrier::Details,
        calls: Calls::Rotating,
        usage: UsageAt::SecondFinish,
        shape: Shape::OpenRouter,
        comments: &["OPENROUTER PROCESSING", "OPENROUTER PROCESSING"],
        id: "gen-",
        ..HOSTED
    },
    Flavour {
        name: "groq",
        bases: &["/groq/openai/v1"],
        envelope: Envelope::Short,
        words: words::GROQ,
        unknown: Unknown::Refused,
        more: &[
            "reasoning_format",
            "include_reasoning",
            "search_settings",
            "compound_custom",
            "documents",
            "citation_options",
        ],
        less: &["logprobs", "top_logprobs", "logit_bias"],
        history: &["reasoning"],
        efforts: &["none", "default", "low", "medium", "high"],
        carrier: Carrier::Field("reasoning"),
        calls: Calls::Whole,
        usage: UsageAt::Groq,
        shape: Shape::Groq,
        ..HOSTED
    },
    Flavour {
        name: "mistral",
        bases: &["/mistral/v1"],
        envelope: Envelope::Mistral,
        words: words::MISTRAL,
        unknown: Unknown::Refused,
        more: &["random_seed", "safe_prompt", "prompt_mode", "guardrails"],
        less: &[
            "max_completion_tokens",
            "seed",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "user",
            "safety_identifier",
            "store",
            "service_tier",
            "verbosity",
            "modalities",
            "audio",
            "web_search_options",
            "prompt_cache_retention",
            "prompt_cache_options",
            "moderation",
            "functions",
            "function_call",
        ],
        history: &["prefix"],
        developer: false,
        ids: Ids::Nine,
        order: Order::NotLast,
        stops: usize::MAX,
        efforts: &["none", "high"],
        carrier: Carrier::Part,
        calls: Calls::FinishBare,
        shape: Shape::Cached,
        id: "",
        call_id: "",
        ..HOSTED
    },
    Flavour {
        name: "deepseek",
        bases: &["/deepseek", "/deepseek/v1", "/deepseek/beta"],
        words: words::DEEPSEEK,
        developer: false,
        images: false,
        stops: 16,
        schemas: false,
        efforts: &["low", "medium", "high", "xhigh", "max"],
        shape: Shape::DeepSeek,
        comments: &["keep-alive"],
        id: "",
        call_id: "call_00_",
        ..HOSTED
    },
    Flavour {
        name: "xai",
        bases: &["/xai/v1"],
        envelope: Envelope::Xai,
        words: words::XAI,
        efforts: &["low", "high"],
        by_model: true,
        calls: Calls::Whole,
        usage: UsageAt::Asked,
        shape: Shape::Xai,
        id: "",
        ..HOSTED
    },
    Flavour {
        name: "together",
        bases: &["/together/v1"],
        words: words::TOGETHER,
        carrier: Carrier::Field("reasoning"),
        shape: Shape::Together,
        id: "",
        ..HOSTED
    },
    Flavour {
        name: "fireworks",
        bases: &["/fireworks/inference/v1"],
        words: words::FIREWORKS,
        id: "",
        ..HOSTED
    },
    Flavour {
        name: "cerebras",
        bases: &["/cerebras/v1"],
        envelope: Envelope::Flat,
        words: words::CEREBRAS,
        unknown: Unknown::Refused,
        more: &["reasoning_format", "disable_reasoning", "clear_thinking", "min_tokens"],
        less: &["frequency_penalty", "presence_penalty", "logit_bias"],
        history: &["reasoning"],
        efforts: &["none", "low", "medium", "high"],
        carrier: Carrier::Field("reasoning"),
        calls: Calls::Whole,
        usage: UsageAt::Asked,
        ..HOSTED
    },
    Flavour {
        name: "perplexity",
        bases: &["/perplexity", "/perplexity/v1"],
        envelope: Envelope::Coded,
        words: words::PERPLEXITY,
        developer: false,
        tools: false,
        order: Order::Alternate,
        efforts: &["minimal", "low", "medium", "high"],
        carrier: Carrier::Tags,
        usage: UsageAt::Every,
        shape: Shape::Perplexity,
        done: false,
        id: "",
        ..HOSTED
    },
    Flavour {
        name: "zai",
        bases: &["/zai/api/paas/v4"],
        envelope: Envelope::Zai,
        words: words::ZAI,
        developer: false,
        calls: Calls::Whole,
        shape: Shape::Cached,
        id: "",
        ..HOSTED
    },
    Flavour {
        name: "moonshot",
        bases: &["/moonshot/v1"],
        envelope: Envelope::Short,
        words: words::MOONSHOT,
        developer: false,
        shape: Shape::Together,
        ..HOSTED
    },
    Flavour {
        name: "gemini",
        bases: &["/gemini/v1beta/openai"],
        envelope: Envelope::Google,
        words: words::GEMINI,
        unknown: Unknown::Refused,
        more: &["extra_body", "google", "cached_content"],
        less: &[
            "logit_bias",
            "prompt_cache_key",
            "prompt_cache_retention",
            "prompt_cache_options",
            "safety_identifier",
            "verbosity",
            "prediction",
            "moderation",
        ],
        history: &["extra_content", "thought_signature"],
        efforts: &["none", "minimal", "low", "medium", "high"],
        stops: 5,
        carrier: Carrier::Hidden,
        calls: Calls::Whole,
        shape: Shape::Google,
        id: "",
        call_id: "function-call-",
        ..HOSTED
    },
    Flavour {
        name: "ollama",
        bases: &["/ollama/v1"],
        words: words::OLLAMA,
        carrier: Carrier::Field("reasoning"),
        calls: Calls::Whole,
        shape: Shape::Plain,
        ..LOCAL
    },
    Flavour {
        name: "vllm",
        bases: &["/vllm/v1"],
        envelope: Envelope::Vllm,
        words: words::VLLM,
        stops: usize::MAX,
        carrier: Carrier::Field("reasoning"),
        shape: Shape::Cached,
        call_id: "chatcmpl-tool-",
        ..LOCAL
    },
    Flavour {
        name: "llamacpp",
        bases: &["/llamacpp/v1"],
        envelope: Envelope::Coded,
        words: words::LLAMACPP,
        stops: usize::MAX,
        shape: Shape::Cached,
        call_id: "",
        ..LOCAL
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_provider() {
        for (path, expected) in [
            ("/v1/chat/completions", Some(("openai", "chat/completions"))),
            ("/foo/v1/chat/completions", Some(("openai", "chat/completions"))),
            ("/openrouter/api/v1/chat/completions", Some(("openrouter", "chat/completions"))),
            ("/groq/openai/v1/models", Some(("groq", "models"))),
            ("/openrouter/api/v1/models/openai/gpt-4o", Some(("openrouter", "models/openai/gpt-4o"))),
            ("/deepseek/chat/completions", Some(("deepseek", "chat/completions"))),
            ("/gemini/v1beta/openai/embeddings", Some(("gemini", "embeddings"))),
            ("/anthropic/v1/models", None),
            ("/v1/messages", None),
            ("/nothing/chat/completions", None),
        ] {
            let found = of_path(path).map(|(flavour, what)| (flavour.name, what));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_rotation_shows_every_pattern() {
        let seen: Vec<Calls> = (0..8).map(|number| Calls::Rotating.settled(number)).collect();
        assert!(Calls::NAMED.iter().all(|(_, calls)| seen.contains(calls)), "{seen:?}");
        assert_eq!(Calls::Whole.settled(3), Calls::Whole);
    }
}
