//! What tells providers of one dialect apart, as plain data: a quirk is a column, not code.
//!
//! The tables are filled by each provider's entry (`upstream/provider`) and read by encoders and decoders. What a model
//! takes, whoever serves it, is the dialect's `capability`. Nothing here reads or writes anything.

use std::borrow::Cow;

pub use super::ir::Effort;

/// How a provider's form of its dialect differs. Columns that a dialect has no use for are ignored by it.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // One column each; they rule nothing out between them.
pub struct Traits {
    /// The name in seals ([`super::seal`]): opaque state goes back to this family only.
    pub family: &'static str,
    /// Families of models behind one provider keep their state apart: the vendor in front of the model's name (`google/…`)
    /// is part of the family.
    pub family_by_vendor: bool,
    /// The field of the output limit.
    pub output_limit: OutputLimit,
    /// The role of instructions.
    pub system: SystemRole,
    /// Instructions in the middle of the conversation.
    pub late_system: LateSystem,
    /// Neighbouring messages of one role are joined, since roles must alternate.
    pub alternate: bool,
    /// The provider takes tools at all.
    pub tools: bool,
    /// The word of `tool_choice` for "some tool".
    pub required: &'static str,
    /// `tool_choice` may name a tool; otherwise that tool is offered alone and required.
    pub named_choice: bool,
    /// `tool_choice` may force a tool at all; otherwise it is left to the model.
    pub forced_choice: ForcedChoice,
    /// `parallel_tool_calls`.
    pub parallel_switch: bool,
    /// `strict` in a tool.
    pub strict_tools: bool,
    /// What ids of tool calls look like.
    pub ids: IdRule,
    /// Longest name of a tool, of `[A-Za-z0-9_-]`.
    pub name_length: usize,
    /// How thinking goes back to the provider.
    pub replay: Replay,
    /// What the first call of each message must bear, where the calls of a model have state of their own that never reached
    /// the client: the beginning of the model's name, and the member that stands for it.
    pub call_mark: Option<(&'static str, &'static str)>,
    /// How much the model shall think.
    pub effort: EffortForm,
    /// The levels of effort that are taken, least first, where the model's own are not known; empty: any.
    pub efforts: &'static [Effort],
    /// `top_k`.
    pub top_k: bool,
    /// Most stop sequences; 0: the field is refused.
    pub stops: usize,
    /// `response_format`.
    pub format: FormatForm,
    /// Images in messages of the user.
    pub images: bool,
    /// `file` parts with a PDF.
    pub files: bool,
    /// `input_audio` parts.
    pub audio: bool,
    /// The field for the end user.
    pub user: UserField,
    /// How prompt caches are asked for.
    pub cache: CacheForm,
    /// `stream_options.include_usage`.
    pub usage_option: bool,
    /// How output tokens are told.
    pub usage: UsageRule,
    /// `service_tier`.
    pub tier: bool,
    /// `seed`, penalties and the like.
    pub settings: bool,
    /// `logprobs`, `logit_bias`, `n` above 1 and `name` of a message are refused; fields that are not known too.
    pub picky: bool,
    /// Thinking may come inside the text, in `<think>` at its very beginning.
    pub think_tags: bool,
    /// An empty text instead of `null` where an assistant's message holds calls only.
    pub empty_content: bool,
    /// Embeddings are offered.
    pub embeddings: bool,
}

impl Traits {
    /// The family whose opaque state a model's answers carry, as seals name it.
    pub fn family_of(&self, model: &str) -> Cow<'static, str> {
        let vendor = model.split_once('/').map(|(vendor, _)| vendor).filter(|_| self.family_by_vendor);
        let Some(vendor) = vendor else { return Cow::Borrowed(self.family) };
        let plain = vendor.chars().filter(char::is_ascii_alphanumeric);
        Cow::Owned([self.family, "-"].into_iter().map(str::to_owned).chain(plain.map(String::from)).collect())
    }
}

/// The field of the output limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputLimit {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The role of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRole {
    /// `system`.
    System,
    /// `developer` for reasoning models, `system` for the others.
    ByModel,
}

/// Instructions in the middle of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateSystem {
    /// Where they stand, as their own message.
    InPlace,
    /// As the user's, in `<system-reminder>`.
    AsUser,
}

/// Whether a tool may be forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedChoice {
    /// Always.
    Free,
    /// Not while the model thinks: then thinking is switched off for the call.
    NotThinking,
    /// Never.
    Never,
}

/// What ids of tool calls look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdRule {
    /// Anything of at most so many bytes.
    AtMost(usize),
    /// Exactly so many letters and digits.
    Alphanumeric(usize),
}

/// How thinking goes back to the provider, in an assistant's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Not at all.
    Never,
    /// As a text in this field, where it is known to be the family's own.
    Field(&'static str),
    /// The same, and in every assistant's message with calls even if it is empty: the provider demands it.
    Demanded(&'static str),
    /// `reasoning_details`, as they came.
    Details,
    /// As a part of type `thinking` in front of the content, as it came.
    Part,
}

/// How effort is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffortForm {
    /// Not at all.
    Never,
    /// `reasoning_effort`, for models that think.
    Word,
    /// `reasoning: {effort}` or `{max_tokens}`.
    Object,
    /// `thinking: {type}`, and `reasoning_effort` beside it where it is enabled.
    Switch,
    /// `thinking: {type}` alone.
    SwitchOnly,
    /// `chat_template_kwargs: {enable_thinking}`.
    Template,
}

/// `response_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatForm {
    /// `json_schema` and `json_object`.
    Schema,
    /// `json_object` only: the schema goes into the instructions.
    Json,
    /// Neither: everything goes into the instructions.
    Never,
}

/// The field for the end user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserField {
    /// None.
    Never,
    /// `user`.
    User,
    /// `safety_identifier`.
    SafetyIdentifier,
}

/// How prompt caches are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheForm {
    /// Not at all: they are automatic, or there are none.
    Never,
    /// `prompt_cache_key`, from the session.
    Key,
    /// `cache_control` on parts and tools, for models of vendors that take it.
    Marks,
}

/// How output tokens are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageRule {
    /// `completion_tokens` with reasoning in it.
    Including,
    /// `completion_tokens` without reasoning, which is told beside it.
    Apart,
}

/// Chat Completions as `OpenAI` has it.
pub const CHAT: Traits = Traits {
    family: "openai",
    family_by_vendor: false,
    output_limit: OutputLimit::MaxCompletionTokens,
    system: SystemRole::ByModel,
    late_system: LateSystem::InPlace,
    alternate: false,
    tools: true,
    required: "required",
    named_choice: true,
    forced_choice: ForcedChoice::Free,
    parallel_switch: true,
    strict_tools: true,
    ids: IdRule::AtMost(40),
    name_length: 64,
    replay: Replay::Never,
    call_mark: None,
    effort: EffortForm::Word,
    efforts: &[],
    top_k: false,
    stops: 4,
    format: FormatForm::Schema,
    images: true,
    files: true,
    audio: true,
    user: UserField::SafetyIdentifier,
    cache: CacheForm::Key,
    usage_option: true,
    usage: UsageRule::Including,
    tier: true,
    settings: true,
    picky: false,
    think_tags: false,
    empty_content: false,
    embeddings: true,
};

/// Messages as Anthropic has it.
pub const MESSAGES: Traits = Traits { family: "anthropic", name_length: 128, embeddings: false, ..CHAT };
