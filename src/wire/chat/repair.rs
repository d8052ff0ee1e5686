//! What can be left out of a Chat request that a server refused, or written in another way, so that it takes the rest.
//!
//! [`super::fault`] names the field that a refusal is about, whoever writes the request honours it, and the routing
//! remembers it for that provider and model as bits of one number, so that the next request goes out right at once.
//! Finds nothing out and changes no body itself.
//!
//! ```
//! use pointsman::wire::chat::repair::{Field, has};
//! let bits = Field::Temperature.bit() | Field::MaxTokens.bit();
//! assert!(has(bits, Field::MaxTokens) && !has(bits, Field::Stop));
//! assert!(Field::from_bits(bits).eq([Field::Temperature, Field::MaxTokens]));
//! ```

/// What can be left out of a request or written in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `top_k`.
    TopK,
    /// `min_p`.
    MinP,
    /// `stop`.
    Stop,
    /// `seed`; Mistral's `random_seed` too.
    Seed,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `presence_penalty`.
    PresencePenalty,
    /// `repetition_penalty`.
    RepetitionPenalty,
    /// `logprobs`, and `top_logprobs` which needs it.
    Logprobs,
    /// `logit_bias`.
    LogitBias,
    /// `n`.
    Choices,
    /// `parallel_tool_calls`.
    ParallelTools,
    /// `tool_choice`.
    ToolChoice,
    /// `strict` of every tool's function.
    ToolStrict,
    /// `response_format`.
    ResponseFormat,
    /// `reasoning_effort`.
    ReasoningEffort,
    /// `reasoning`, the object.
    Reasoning,
    /// `thinking`.
    Thinking,
    /// `verbosity`.
    Verbosity,
    /// `stream_options`.
    StreamOptions,
    /// `max_tokens` is refused: the limit goes as `max_completion_tokens`.
    MaxTokens,
    /// `max_completion_tokens` is refused: the limit goes as `max_tokens`. With [`Field::MaxTokens`] as well it is left
    /// out.
    MaxCompletionTokens,
    /// `service_tier`.
    ServiceTier,
    /// `user`.
    User,
    /// `safety_identifier`.
    SafetyIdentifier,
    /// `prompt_cache_key`.
    CacheKey,
    /// `prompt_cache_retention`.
    CacheRetention,
    /// `cache_control` of every part, message and tool, and the top-level one.
    CacheControl,
    /// `store`.
    Store,
    /// `metadata`.
    Metadata,
    /// `prediction`.
    Prediction,
    /// `modalities`, and `audio` beside it.
    Modalities,
    /// `web_search_options`.
    WebSearch,
    /// The role `developer`: such a message becomes the system's.
    DeveloperRole,
    /// The role `system`: such a message becomes the user's.
    SystemRole,
    /// `name` of every message.
    MessageName,
    /// `reasoning_content` of every message.
    MessageReasoningContent,
    /// `reasoning` of every message.
    MessageReasoning,
    /// `reasoning_details` of every message.
    MessageReasoningDetails,
}

/// Where a [`Field`] stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Top-level members of these names; the first is the field's own.
    Top(&'static [&'static str]),
    /// The first name is not taken; the value goes under the second, unless that is refused too.
    Renamed(&'static str, &'static str),
    /// A member of that name in each tool's `function`.
    Tool(&'static str),
    /// A member of that name in each message.
    Message(&'static str),
    /// Each `cache_control`, wherever it stands.
    Marks,
    /// Messages of the first role get the second.
    Role(&'static str, &'static str),
}

/// Whether a field stands in a number of remembered bits.
pub fn has(bits: u64, field: Field) -> bool {
    bits & field.bit() != 0
}

/// The fields that a number of remembered bits stands for ([`Field::from_bits`]).
pub fn dropped(bits: u64) -> impl Iterator<Item = Field> {
    Field::from_bits(bits)
}

impl Field {
    /// The bit that stands for it where refusals are remembered.
    pub fn bit(self) -> u64 {
        // The place in the table is the place in the enum, as a test holds.
        1 << self as u64
    }

    /// The fields that a number stands for, in the order of their bits. Bits that stand for nothing are skipped.
    pub fn from_bits(bits: u64) -> impl Iterator<Item = Self> {
        FIELDS.iter().map(|(field, _)| *field).filter(move |field| has(bits, *field))
    }

    /// Where it stands.
    pub fn site(self) -> Site {
        // Every field is in the table, as a test holds.
        FIELDS.iter().find(|(field, _)| *field == self).map_or(Site::Top(&[]), |(_, site)| *site)
    }

    /// The name for `x-pointsman-loss`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolStrict => "tools.strict",
            Self::DeveloperRole => "messages.developer",
            Self::SystemRole => "messages.system",
            Self::MessageName => "messages.name",
            Self::MessageReasoningContent => "messages.reasoning_content",
            Self::MessageReasoning => "messages.reasoning",
            Self::MessageReasoningDetails => "messages.reasoning_details",
            plain => match plain.site() {
                Site::Top(names) => names.first().copied().unwrap_or_default(),
                Site::Renamed(name, _) | Site::Tool(name) | Site::Message(name) | Site::Role(name, _) => name,
                Site::Marks => "cache_control",
            },
        }
    }

    /// The field that is this top-level member.
    pub fn top(name: &str) -> Option<Self> {
        let stands = |site: &Site| match site {
            Site::Top(names) => names.contains(&name),
            Site::Renamed(own, _) => *own == name,
            Site::Marks => name == "cache_control",
            Site::Tool(_) | Site::Message(_) | Site::Role(..) => false,
        };
        FIELDS.iter().find(|(_, site)| stands(site)).map(|(field, _)| *field)
    }

    /// The field that is this member of a message.
    pub fn of_message(name: &str) -> Option<Self> {
        let stands = |site: &Site| matches!(site, Site::Message(own) if *own == name);
        FIELDS.iter().find(|(_, site)| stands(site)).map(|(field, _)| *field)
    }
}

/// The order is that of the bits. It lives in memory only, so it may change.
const FIELDS: &[(Field, Site)] = &[
    (Field::Temperature, Site::Top(&["temperature"])),
    (Field::TopP, Site::Top(&["top_p"])),
    (Field::TopK, Site::Top(&["top_k"])),
    (Field::MinP, Site::Top(&["min_p"])),
    (Field::Stop, Site::Top(&["stop"])),
    (Field::Seed, Site::Top(&["seed", "random_seed"])),
    (Field::FrequencyPenalty, Site::Top(&["frequency_penalty"])),
    (Field::PresencePenalty, Site::Top(&["presence_penalty"])),
    (Field::RepetitionPenalty, Site::Top(&["repetition_penalty"])),
    (Field::Logprobs, Site::Top(&["logprobs", "top_logprobs"])),
    (Field::LogitBias, Site::Top(&["logit_bias"])),
    (Field::Choices, Site::Top(&["n"])),
    (Field::ParallelTools, Site::Top(&["parallel_tool_calls"])),
    (Field::ToolChoice, Site::Top(&["tool_choice"])),
    (Field::ToolStrict, Site::Tool("strict")),
    (Field::ResponseFormat, Site::Top(&["response_format"])),
    (Field::ReasoningEffort, Site::Top(&["reasoning_effort"])),
    (Field::Reasoning, Site::Top(&["reasoning"])),
    (Field::Thinking, Site::Top(&["thinking"])),
    (Field::Verbosity, Site::Top(&["verbosity"])),
    (Field::StreamOptions, Site::Top(&["stream_options"])),
    (Field::MaxTokens, Site::Renamed("max_tokens", "max_completion_tokens")),
    (Field::MaxCompletionTokens, Site::Renamed("max_completion_tokens", "max_tokens")),
    (Field::ServiceTier, Site::Top(&["service_tier"])),
    (Field::User, Site::Top(&["user"])),
    (Field::SafetyIdentifier, Site::Top(&["safety_identifier"])),
    (Field::CacheKey, Site::Top(&["prompt_cache_key"])),
    (Field::CacheRetention, Site::Top(&["prompt_cache_retention"])),
    (Field::CacheControl, Site::Marks),
    (Field::Store, Site::Top(&["store"])),
    (Field::Metadata, Site::Top(&["metadata"])),
    (Field::Prediction, Site::Top(&["prediction"])),
    (Field::Modalities, Site::Top(&["modalities", "audio"])),
    (Field::WebSearch, Site::Top(&["web_search_options"])),
    (Field::DeveloperRole, Site::Role("developer", "system")),
    (Field::SystemRole, Site::Role("system", "user")),
    (Field::MessageName, Site::Message("name")),
    (Field::MessageReasoningContent, Site::Message("reasoning_content")),
    (Field::MessageReasoning, Site::Message("reasoning")),
    (Field::MessageReasoningDetails, Site::Message("reasoning_details")),
];

// Every field has a bit of its own.
const _: () = assert!(FIELDS.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_from_its_bit_and_has_a_name() {
        let all: Vec<_> = Field::from_bits(u64::MAX).collect();
        assert_eq!(all.len(), FIELDS.len());
        let mut loss = crate::wire::Loss::default();
        for (place, field) in all.iter().enumerate() {
            assert_eq!(field.bit(), 1 << place, "{field:?}");
            assert!(dropped(field.bit()).eq([*field]), "{field:?}");
            loss.add(field.name());
        }
        assert!(loss.names().eq(all.iter().map(|field| field.name())));
        assert!(loss.names().all(|name| !name.is_empty()));
        assert_eq!(dropped(0).count(), 0);
    }

    #[test]
    fn a_member_is_found_by_its_name() {
        for (name, field) in [
            ("temperature", Some(Field::Temperature)),
            ("top_logprobs", Some(Field::Logprobs)),
            ("max_tokens", Some(Field::MaxTokens)),
            ("cache_control", Some(Field::CacheControl)),
            ("reasoning", Some(Field::Reasoning)),
            ("strict", None),
            ("model", None),
            ("messages", None),
        ] {
            assert_eq!(Field::top(name), field, "{name}");
        }
        assert_eq!(Field::of_message("reasoning"), Some(Field::MessageReasoning));
        assert_eq!(Field::of_message("content"), None);
    }
}
