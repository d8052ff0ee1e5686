//! How each provider's form of Chat Completions differs: a constant for each, by wire.md 8, 13 to 17 and 19.
//!
//! Everyone but `OpenAI` begins as [`COMPATIBLE`], a server of which nothing is known, and says what it can do beyond. What
//! models of one provider do not share (whether one thinks, or sees) is the dialect's `capability`; what a server refuses all
//! the same, the dialect's `repair` takes out. Data only.

use crate::wire::traits::{
    CHAT, CacheForm, Effort, EffortForm, ForcedChoice, FormatForm, IdRule, LateSystem, OutputLimit, Replay,
    SystemRole, Traits, UsageRule, UserField,
};

/// Any server: what is sent is what all of them take. Many put messages into a template of the model's that knows
/// instructions at the front only, and leave thinking in the text where nobody told them to part it.
pub const COMPATIBLE: Traits = Traits {
    family: "compatible",
    output_limit: OutputLimit::MaxTokens,
    system: SystemRole::System,
    late_system: LateSystem::AsUser,
    parallel_switch: false,
    strict_tools: false,
    ids: IdRule::AtMost(64),
    effort: EffortForm::Never,
    files: false,
    audio: false,
    user: UserField::Never,
    cache: CacheForm::Never,
    tier: false,
    picky: true,
    think_tags: true,
    empty_content: true,
    ..CHAT
};

/// By Google's compatible endpoint, which refuses fields that it does not know and counts thoughts apart. Thinking has
/// levels from Gemini 3 on, and older models take their words as well (wire.md 13.1).
pub const GEMINI: Traits = Traits {
    family: "gemini",
    // Its models from 3 on refuse a step whose first call has no signature, and take this in its place (wire.md 4.5).
    call_mark: Some((
        "gemini-3",
        r#","extra_content":{"google":{"thought_signature":"skip_thought_signature_validator"}}"#,
    )),
    effort: EffortForm::Word,
    efforts: &[Effort::Low, Effort::Medium, Effort::High],
    audio: true,
    usage: UsageRule::Apart,
    settings: false,
    think_tags: false,
    ..COMPATIBLE
};

/// Of many vendors, each with state of its own; what a model does not take, it leaves out itself (wire.md 8.1).
pub const OPENROUTER: Traits = Traits {
    family: "openrouter",
    family_by_vendor: true,
    parallel_switch: true,
    ids: IdRule::AtMost(40),
    replay: Replay::Details,
    effort: EffortForm::Object,
    top_k: true,
    files: true,
    audio: true,
    user: UserField::User,
    cache: CacheForm::Marks,
    picky: false,
    think_tags: false,
    ..COMPATIBLE
};

/// Ignores thinking in the history; JSON schemas work with few of its models.
pub const GROQ: Traits = Traits {
    family: "groq",
    output_limit: OutputLimit::MaxCompletionTokens,
    late_system: LateSystem::InPlace,
    parallel_switch: true,
    effort: EffortForm::Word,
    efforts: &[Effort::Low, Effort::Medium, Effort::High],
    format: FormatForm::Json,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Refuses fields that it does not know with 422: `seed` and `stream_options` among them (usage is told always).
pub const MISTRAL: Traits = Traits {
    family: "mistral",
    required: "any",
    parallel_switch: true,
    ids: IdRule::Alphanumeric(9),
    replay: Replay::Part,
    effort: EffortForm::Word,
    efforts: &[Effort::None, Effort::High],
    cache: CacheForm::Key,
    usage_option: false,
    settings: false,
    think_tags: false,
    ..COMPATIBLE
};

/// Thinks unless told not to, and then wants its thinking back with calls and no tool forced.
pub const DEEPSEEK: Traits = Traits {
    family: "deepseek",
    late_system: LateSystem::InPlace,
    forced_choice: ForcedChoice::NotThinking,
    replay: Replay::Demanded("reasoning_content"),
    effort: EffortForm::Switch,
    efforts: &[Effort::Low, Effort::High, Effort::Max],
    stops: 16,
    format: FormatForm::Json,
    images: false,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Its reasoning models, which are nearly all, refuse `stop` and penalties; its output tokens are without reasoning.
pub const XAI: Traits = Traits {
    family: "xai",
    output_limit: OutputLimit::MaxCompletionTokens,
    late_system: LateSystem::InPlace,
    parallel_switch: true,
    effort: EffortForm::Word,
    efforts: &[Effort::Low, Effort::High],
    stops: 0,
    user: UserField::User,
    usage: UsageRule::Apart,
    settings: false,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Open models; `gpt-oss` knows three levels of effort.
pub const TOGETHER: Traits = Traits {
    family: "together",
    effort: EffortForm::Word,
    efforts: &[Effort::Low, Effort::Medium, Effort::High],
    top_k: true,
    ..COMPATIBLE
};

/// Open models; 422 for fields that it does not know.
pub const FIREWORKS: Traits = Traits {
    family: "fireworks",
    replay: Replay::Field("reasoning_content"),
    effort: EffortForm::Word,
    efforts: &[Effort::None, Effort::Low, Effort::Medium, Effort::High],
    top_k: true,
    user: UserField::User,
    think_tags: false,
    ..COMPATIBLE
};

/// Texts only, and no penalties.
pub const CEREBRAS: Traits = Traits {
    family: "cerebras",
    output_limit: OutputLimit::MaxCompletionTokens,
    parallel_switch: true,
    replay: Replay::Field("reasoning"),
    effort: EffortForm::Word,
    efforts: &[Effort::Low, Effort::Medium, Effort::High],
    images: false,
    user: UserField::User,
    settings: false,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Searches instead of calling tools; roles alternate; usage stands in every chunk.
pub const PERPLEXITY: Traits = Traits {
    family: "perplexity",
    alternate: true,
    tools: false,
    top_k: true,
    stops: 0,
    usage_option: false,
    settings: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Takes `tool_choice: auto` and a single stop sequence (its API reference); usage stands in the finish chunk.
pub const ZAI: Traits = Traits {
    family: "zai",
    named_choice: false,
    forced_choice: ForcedChoice::Never,
    replay: Replay::Field("reasoning_content"),
    effort: EffortForm::SwitchOnly,
    stops: 1,
    format: FormatForm::Json,
    usage_option: false,
    settings: false,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Like `DeepSeek` it wants its thinking back with calls; it has no `tool_choice: required` (its API reference).
pub const MOONSHOT: Traits = Traits {
    family: "moonshot",
    named_choice: false,
    forced_choice: ForcedChoice::Never,
    replay: Replay::Demanded("reasoning_content"),
    effort: EffortForm::SwitchOnly,
    format: FormatForm::Json,
    settings: false,
    think_tags: false,
    embeddings: false,
    ..COMPATIBLE
};

/// Open models, each in a container of its own.
pub const NVIDIA: Traits = Traits { family: "nvidia", ..COMPATIBLE };

/// A router to other providers, for chat alone.
pub const HUGGINGFACE: Traits = Traits { family: "huggingface", embeddings: false, ..COMPATIBLE };

/// Models of `OpenAI` and others.
pub const GITHUB: Traits = Traits { family: "github", think_tags: false, ..COMPATIBLE };

/// Ignores what it does not know.
pub const OLLAMA: Traits = Traits {
    family: "ollama",
    replay: Replay::Field("reasoning"),
    effort: EffortForm::Word,
    efforts: &[Effort::None, Effort::Low, Effort::Medium, Effort::High],
    picky: false,
    ..COMPATIBLE
};

/// Whether a model thinks is a variable of its template.
pub const VLLM: Traits = Traits {
    family: "vllm",
    parallel_switch: true,
    replay: Replay::Field("reasoning"),
    effort: EffortForm::Template,
    top_k: true,
    picky: false,
    ..COMPATIBLE
};

/// Takes `tool_choice` as a word only.
pub const LMSTUDIO: Traits =
    Traits { family: "lmstudio", named_choice: false, top_k: true, picky: false, ..COMPATIBLE };

/// The same, and the template's variable as vLLM has it.
pub const LLAMACPP: Traits = Traits {
    family: "llamacpp",
    named_choice: false,
    parallel_switch: true,
    replay: Replay::Field("reasoning_content"),
    effort: EffortForm::Template,
    top_k: true,
    picky: false,
    ..COMPATIBLE
};
