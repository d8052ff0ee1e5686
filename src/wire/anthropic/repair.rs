//! What can be left out of a request that a model refused, so that it takes the rest.
//!
//! [`super::fault`] names the field that a refusal is about, `shape` leaves it out of the body or the beta header, and the
//! routing remembers it for that provider and model as bits of one number, so that the next request goes out right at
//! once. Finds nothing out and changes no body itself.
//!
//! ```
//! use pointsman::wire::anthropic::repair::{Beta, Field};
//! let refused = [Field::TopK, Field::Beta(Beta::of("effort-2025-11-24"))];
//! let bits = refused.iter().fold(0, |bits, field| bits | field.bit());
//! assert!(Field::from_bits(bits).eq(refused));
//! ```

use std::borrow::Cow;

/// What can be left out of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `thinking`.
    Thinking,
    /// `thinking.display`.
    ThinkingDisplay,
    /// `thinking.block_binding`.
    ThinkingBinding,
    /// `output_config`, all of it.
    OutputConfig,
    /// `output_config.effort`.
    Effort,
    /// `output_config.format`.
    OutputFormat,
    /// `output_config.task_budget`.
    TaskBudget,
    /// `output_format`, the older spelling of `output_config.format`.
    LegacyFormat,
    /// `context_management`.
    ContextManagement,
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `top_k`.
    TopK,
    /// `speed`.
    Speed,
    /// `metadata`.
    Metadata,
    /// `service_tier`.
    ServiceTier,
    /// `inference_geo`.
    InferenceGeo,
    /// `diagnostics`.
    Diagnostics,
    /// `fallbacks`.
    Fallbacks,
    /// `container`.
    Container,
    /// `mcp_servers`.
    McpServers,
    /// `tool_choice`.
    ToolChoice,
    /// The top-level `cache_control` (automatic caching).
    AutoCache,
    /// Every `cache_control` of tools, system and message blocks.
    CacheMarks,
    /// `scope` in every `cache_control`.
    CacheScope,
    /// `ttl` in every `cache_control`.
    CacheTtl,
    /// `strict` of every tool.
    ToolStrict,
    /// `defer_loading` of every tool.
    ToolDefer,
    /// `eager_input_streaming` of every tool.
    ToolEager,
    /// `input_examples` of every tool.
    ToolExamples,
    /// `allowed_callers` of every tool.
    ToolCallers,
    /// `output_config` of every message.
    MessageConfig,
    /// The role `system` inside `messages`: such a message becomes the user's.
    SystemRole,
    /// Every value of `anthropic-beta`: one was refused and the answer does not say which.
    Betas,
    /// One value of `anthropic-beta`.
    Beta(Beta),
}

/// Where a [`Field`] stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// A top-level member of that name.
    Top(&'static str),
    /// A member of a top-level object: `("output_config", "effort")`.
    Inside(&'static str, &'static str),
    /// A member of that name in each tool.
    Tool(&'static str),
    /// Each `cache_control` of tools, system blocks and message blocks.
    Marks,
    /// A member of that name in each `cache_control`, also in the top-level one.
    Mark(&'static str),
    /// A member of that name in each message.
    Message(&'static str),
    /// Messages with the role `system`.
    SystemRole,
    /// The whole list of betas.
    Betas,
    /// The values of the beta list for which [`Beta::of`] gives this.
    Beta(Beta),
}

impl Field {
    /// The bit that stands for it where refusals are remembered.
    pub fn bit(self) -> u64 {
        1 << self.place()
    }

    /// The fields that a number stands for. Bits that stand for nothing are skipped.
    pub fn from_bits(bits: u64) -> impl Iterator<Item = Self> {
        let betas = (0..BETAS.len()).filter_map(|index| u8::try_from(index).ok());
        let all = FIELDS.into_iter().chain(betas.map(|index| Self::Beta(Beta(index))));
        all.filter(move |field| bits & field.bit() != 0)
    }

    /// Where it stands.
    pub fn site(self) -> Site {
        match self {
            Self::Thinking => Site::Top("thinking"),
            Self::ThinkingDisplay => Site::Inside("thinking", "display"),
            Self::ThinkingBinding => Site::Inside("thinking", "block_binding"),
            Self::OutputConfig => Site::Top("output_config"),
            Self::Effort => Site::Inside("output_config", "effort"),
            Self::OutputFormat => Site::Inside("output_config", "format"),
            Self::TaskBudget => Site::Inside("output_config", "task_budget"),
            Self::LegacyFormat => Site::Top("output_format"),
            Self::ContextManagement => Site::Top("context_management"),
            Self::Temperature => Site::Top("temperature"),
            Self::TopP => Site::Top("top_p"),
            Self::TopK => Site::Top("top_k"),
            Self::Speed => Site::Top("speed"),
            Self::Metadata => Site::Top("metadata"),
            Self::ServiceTier => Site::Top("service_tier"),
            Self::InferenceGeo => Site::Top("inference_geo"),
            Self::Diagnostics => Site::Top("diagnostics"),
            Self::Fallbacks => Site::Top("fallbacks"),
            Self::Container => Site::Top("container"),
            Self::McpServers => Site::Top("mcp_servers"),
            Self::ToolChoice => Site::Top("tool_choice"),
            Self::AutoCache => Site::Top("cache_control"),
            Self::CacheMarks => Site::Marks,
            Self::CacheScope => Site::Mark("scope"),
            Self::CacheTtl => Site::Mark("ttl"),
            Self::ToolStrict => Site::Tool("strict"),
            Self::ToolDefer => Site::Tool("defer_loading"),
            Self::ToolEager => Site::Tool("eager_input_streaming"),
            Self::ToolExamples => Site::Tool("input_examples"),
            Self::ToolCallers => Site::Tool("allowed_callers"),
            Self::MessageConfig => Site::Message("output_config"),
            Self::SystemRole => Site::SystemRole,
            Self::Betas => Site::Betas,
            Self::Beta(beta) => Site::Beta(beta),
        }
    }

    /// The field that is this top-level member.
    pub fn top(name: &str) -> Option<Self> {
        FIELDS.into_iter().find(|field| matches!(field.site(), Site::Top(top) if top == name))
    }

    /// All fields but the betas, in the order of their bits.
    pub fn all() -> impl Iterator<Item = Self> {
        FIELDS.into_iter()
    }

    /// The name for `x-pointsman-loss`.
    pub fn name(self) -> Cow<'static, str> {
        match self.site() {
            Site::Top(name) => name.into(),
            Site::Inside(outer, inner) => format!("{outer}.{inner}").into(),
            Site::Tool(name) => format!("tools.{name}").into(),
            Site::Marks => "cache_control.marks".into(),
            Site::Mark(name) => format!("cache_control.{name}").into(),
            Site::Message(name) => format!("messages.{name}").into(),
            Site::SystemRole => "messages.system".into(),
            Site::Betas => "anthropic-beta".into(),
            Site::Beta(beta) => format!("anthropic-beta:{}", beta.name()).into(),
        }
    }

    /// Its place in the number: fields from below, betas behind them.
    fn place(self) -> usize {
        match self {
            Self::Beta(beta) => FIELDS.len() + usize::from(beta.0),
            plain => FIELDS.iter().position(|field| *field == plain).unwrap_or_default(),
        }
    }
}

/// A value of `anthropic-beta` without its date, as one of a fixed set. Values that are not in it are all the same
/// [`Beta::OTHER`]: if one of them is refused, all of them go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Beta(u8);

impl Beta {
    /// Every value that has no place of its own.
    pub const OTHER: Self = Self(0);

    /// `context-1m`, which some messages name in words.
    pub const CONTEXT_1M: Self = Self(1);

    /// The place of a value (`effort-2025-11-24`, `claude-code-20250219`).
    pub fn of(value: &str) -> Self {
        let family = undated(value.trim());
        let index = BETAS.iter().position(|name| *name == family).unwrap_or_default();
        Self(u8::try_from(index).unwrap_or_default())
    }

    /// Its name without a date; `other` for [`Beta::OTHER`].
    pub fn name(self) -> &'static str {
        BETAS.get(usize::from(self.0)).copied().unwrap_or_default()
    }
}

/// A beta without the date at its end, in either of its spellings: `-2025-11-24`, `-20250219`.
fn undated(value: &str) -> &str {
    let digits = value.bytes().rev().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
    let (front, date) = value.split_at(value.len() - digits);
    match date.len() {
        // The hyphen in front belongs to the date.
        9 | 11 if date.starts_with('-') => front,
        _ => value,
    }
}

/// The order is that of the bits. It lives in memory only, so it may change.
const FIELDS: [Field; 33] = [
    Field::Thinking,
    Field::ThinkingDisplay,
    Field::ThinkingBinding,
    Field::OutputConfig,
    Field::Effort,
    Field::OutputFormat,
    Field::TaskBudget,
    Field::LegacyFormat,
    Field::ContextManagement,
    Field::Temperature,
    Field::TopP,
    Field::TopK,
    Field::Speed,
    Field::Metadata,
    Field::ServiceTier,
    Field::InferenceGeo,
    Field::Diagnostics,
    Field::Fallbacks,
    Field::Container,
    Field::McpServers,
    Field::ToolChoice,
    Field::AutoCache,
    Field::CacheMarks,
    Field::CacheScope,
    Field::CacheTtl,
    Field::ToolStrict,
    Field::ToolDefer,
    Field::ToolEager,
    Field::ToolExamples,
    Field::ToolCallers,
    Field::MessageConfig,
    Field::SystemRole,
    Field::Betas,
];

/// Betas with a place of their own: what Claude Code sends (claude-code-traffic.md section 2) and what clients add to
/// it. The first stands for all others.
const BETAS: [&str; 31] = [
    "other",
    "context-1m",
    "claude-code",
    "oauth",
    "interleaved-thinking",
    "thinking-token-count",
    "context-management",
    "prompt-caching-scope",
    "extended-cache-ttl",
    "mid-conversation-system",
    "mid-conversation-tool-changes",
    "mid-conversation-output-config",
    "per-turn-control",
    "effort",
    "task-budgets",
    "advanced-tool-use",
    "tool-search-tool",
    "tool-examples",
    "fine-grained-tool-streaming",
    "token-efficient-tools",
    "thinking-display-updates",
    "thinking-binding-controls",
    "structured-outputs",
    "fallback-credit",
    "token-counting",
    "fast-mode",
    "output-128k",
    "compact",
    "advisor-tool",
    "mcp-client",
    "files-api",
];

// Every field and every beta has a bit of its own.
const _: () = assert!(FIELDS.len() + BETAS.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_remembered_comes_back_from_its_bit() {
        let all: Vec<_> = Field::from_bits(u64::MAX).collect();
        assert_eq!(all.len(), FIELDS.len() + BETAS.len());
        for field in all {
            assert_eq!(field.bit().count_ones(), 1, "{field:?}");
            assert!(Field::from_bits(field.bit()).eq([field]), "{field:?}");
        }
        assert_eq!(Field::from_bits(0).count(), 0);
    }

    #[test]
    fn every_field_stands_somewhere_else() {
        for (index, field) in FIELDS.into_iter().enumerate() {
            assert!(FIELDS[..index].iter().all(|other| other.site() != field.site()), "{field:?}");
            if let Site::Top(name) = field.site() {
                assert_eq!(Field::top(name), Some(field));
            }
        }
        assert_eq!(Field::top("model"), None);
    }

    #[test]
    fn a_beta_is_known_by_its_name_whatever_its_date() {
        for (value, name) in [
            ("effort-2025-11-24", "effort"),
            (" effort-2027-01-01 ", "effort"),
            ("claude-code-20250219", "claude-code"),
            ("context-1m-2025-08-07", "context-1m"),
            ("output-128k-2025-02-19", "output-128k"),
            ("effort", "effort"),
            (Beta::CONTEXT_1M.name(), "context-1m"),
            ("effort-2", "other"),
            ("brand-new-2026-12-01", "other"),
            ("2025-11-24", "other"),
            ("", "other"),
        ] {
            assert_eq!(Beta::of(value).name(), name, "{value}");
        }
    }

    #[test]
    fn names_fit_the_loss_header() {
        let names: Vec<_> = Field::from_bits(u64::MAX).map(Field::name).collect();
        let mut loss = crate::wire::Loss::default();
        for name in &names {
            loss.add(name.clone());
        }
        assert!(loss.names().eq(names.iter().map(AsRef::as_ref)));
    }
}
