//! What every dialect can be read into and written from: a conversation going out, events coming back.
//!
//! Modelled on the richest ordered form, a list of turns made of content blocks, and borrowing from the body. Text stays
//! as it stood in the JSON ([`Escaped`]): every dialect is JSON, so that a text crosses as bytes, without being unescaped
//! and escaped again. Arguments and schemas stay raw. Belongs to no vendor: what one format alone has is [`Content::Opaque`] with
//! its owner, or a name in the conversation's [`Loss`]. Holds values only; reading and writing is `wire/<dialect>`'s.
//!
//! The grammar of events, kept by every decoder ([`super::grammar`] checks it):
//!
//! ```text
//! Start (Usage)* ((Open Delta* Close) | Usage)* Stop        one open block at a time
//! any prefix of it, then Fault                              the answer broke
//! ```

use std::borrow::Cow;

use super::meter::{Stop, Told, Usage};
use super::{Dialect, Loss};
use crate::json::text;

/// The inside of a JSON string: escapes and all, without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Escaped<'b>(Cow<'b, [u8]>);

impl<'b> Escaped<'b> {
    /// Of a JSON value with its quotes; `None` if it is no string.
    pub fn of_value(value: &'b [u8]) -> Option<Self> {
        let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Self(Cow::Borrowed(inner)))
    }

    /// Of bytes that are escaped already.
    pub fn raw(bytes: impl Into<Cow<'b, [u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Of a text that is not escaped yet.
    pub fn of(plain: &str) -> Self {
        let quoted = text::quote(plain);
        Self(Cow::Owned(quoted[1..quoted.len() - 1].to_vec()))
    }

    /// As it stands between the quotes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that it means. A bad escape leaves it as it stands.
    pub fn plain(&self) -> Cow<'_, str> {
        if memchr::memchr(b'\\', &self.0).is_none() {
            return String::from_utf8_lossy(&self.0);
        }
        let quoted = [b"\"", self.as_bytes(), b"\""].concat();
        match text::string(&quoted) {
            Some(plain) => Cow::Owned(plain.into_owned()),
            None => Cow::Owned(String::from_utf8_lossy(&self.0).into_owned()),
        }
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is nothing but white space, which several vendors refuse as a text block.
    pub fn is_blank(&self) -> bool {
        let first = self.0.iter().find(|byte| !matches!(byte, b' '));
        match first {
            None => true,
            Some(b'\\') => self.plain().trim().is_empty(),
            Some(_) => false,
        }
    }

    /// The same, owning its bytes.
    pub fn into_owned(self) -> Escaped<'static> {
        Escaped(Cow::Owned(self.0.into_owned()))
    }

    /// The same, borrowed from this one.
    pub fn borrowed(&self) -> Escaped<'_> {
        Escaped(Cow::Borrowed(&self.0))
    }
}

/// A request, whatever dialect it came in. What is absent was not said by the client.
#[derive(Clone, Debug, Default)]
pub struct Conversation<'b> {
    /// Instructions in front of the first turn.
    pub system: Vec<Block<'b>>,
    /// What was said, in order. Neighbours may have the same role.
    pub turns: Vec<Turn<'b>>,
    /// The list of tools as it stands in the body (an array); `None` and `[]` are the same.
    pub tools: Option<&'b [u8]>,
    /// Which tool must or may be called.
    pub choice: Option<Choice<'b>>,
    /// Whether several tools may be called at once.
    pub parallel: Option<bool>,
    /// Largest output in tokens, thinking included.
    pub max_output: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<Escaped<'b>>,
    /// Numbers as they are written.
    pub temperature: Option<&'b [u8]>,
    /// As written.
    pub top_p: Option<&'b [u8]>,
    /// As written.
    pub top_k: Option<&'b [u8]>,
    /// Settings that some formats have and others do not, as written.
    pub settings: Vec<(Setting, &'b [u8])>,
    /// Whether and how much the model shall think.
    pub reasoning: Reasoning,
    /// The form of the answer.
    pub format: Format<'b>,
    /// Who the end user is, as the client names it.
    pub user: Option<Escaped<'b>>,
    /// The session, for prompt caches that are found by a key. Set by the caller, not by a decoder.
    pub session: Option<Cow<'b, str>>,
    /// How urgent it is.
    pub tier: Option<Tier>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// What could not be read into this form, by the names of the client's dialect.
    pub loss: Loss,
}

/// What one side said.
#[derive(Clone, Debug)]
pub struct Turn<'b> {
    /// Who.
    pub role: Role,
    /// What, in order.
    pub blocks: Vec<Block<'b>>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions in the middle of the conversation.
    System,
    /// The user, and results of tools.
    User,
    /// The model.
    Assistant,
}

/// One piece of a turn.
#[derive(Clone, Debug)]
pub struct Block<'b> {
    /// What it is.
    pub content: Content<'b>,
    /// A prompt cache shall hold everything up to the end of this block.
    pub cache: Option<Ttl>,
}

impl<'b> Block<'b> {
    /// Without a cache mark.
    pub fn new(content: Content<'b>) -> Self {
        Self { content, cache: None }
    }
}

/// How long a prompt cache shall hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// The provider's default, five minutes.
    Default,
    /// An hour.
    Hour,
}

/// The kinds of blocks.
#[derive(Clone, Debug)]
pub enum Content<'b> {
    /// Text.
    Text(Escaped<'b>),
    /// An image, a document, a sound.
    Media(Media<'b>),
    /// The model calls one of the client's tools.
    ToolCall {
        /// Names the call; its result repeats it.
        id: Escaped<'b>,
        /// The tool.
        name: Escaped<'b>,
        /// A JSON object, raw.
        args: Cow<'b, [u8]>,
    },
    /// What a tool said.
    ToolResult {
        /// The call's.
        id: Escaped<'b>,
        /// [`Content::Text`] and [`Content::Media`] only; may be empty.
        blocks: Vec<Block<'b>>,
        /// The tool failed.
        error: bool,
    },
    /// The model's thinking, as far as it was shown; may be empty where there is a seal.
    Thinking {
        /// The text.
        text: Escaped<'b>,
        /// The provider's opaque state that belongs to it.
        seal: Option<Seal<'b>>,
    },
    /// The model declines.
    Refusal(Escaped<'b>),
    /// The provider's own tool was called or has answered: a block of this dialect, raw.
    Server {
        /// Whose format it is in.
        owner: Dialect,
        /// The block.
        raw: Cow<'b, [u8]>,
    },
    /// A block that only its own dialect knows, raw.
    Opaque {
        /// Whose.
        owner: Dialect,
        /// The block.
        raw: Cow<'b, [u8]>,
    },
}

/// Opaque state of a provider: whose, and what. Valid for that family only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal<'b> {
    /// The family that made it (`anthropic`, `deepseek`, `openrouter-google`): [`super::seal`].
    pub family: Cow<'b, str>,
    /// What the family gave, as it gave it (for a JSON string: what it means, unescaped).
    pub payload: Cow<'b, [u8]>,
}

/// Something that is no text.
#[derive(Clone, Debug)]
pub struct Media<'b> {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: Source<'b>,
    /// A file's name or a document's title.
    pub title: Option<Escaped<'b>>,
    /// How closely an image shall be looked at, as `OpenAI` words it (`low`, `high`, `auto`).
    pub detail: Option<Escaped<'b>>,
}

/// Kinds of [`Media`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An image.
    Image,
    /// A PDF or a text.
    Document,
    /// A sound.
    Audio,
}

/// Where a [`Media`] is.
#[derive(Clone, Debug)]
pub enum Source<'b> {
    /// In the request.
    Base64 {
        /// `image/png`; for sounds the bare format (`wav`) where the client has no more.
        mime: Escaped<'b>,
        /// The bytes in base64.
        data: Escaped<'b>,
    },
    /// There.
    Url(Escaped<'b>),
    /// A text document, in the request.
    Text(Escaped<'b>),
    /// A file that was handed to the provider before: means nothing to another one.
    File(Escaped<'b>),
}

/// One tool.
#[derive(Clone, Debug)]
pub struct Tool<'b> {
    /// What it is.
    pub kind: ToolKind<'b>,
    /// A cache mark.
    pub cache: Option<Ttl>,
}

/// Kinds of [`Tool`].
#[derive(Clone, Debug)]
pub enum ToolKind<'b> {
    /// Run by the client, by a schema.
    Function {
        /// Its name.
        name: Escaped<'b>,
        /// What it does.
        description: Option<Escaped<'b>>,
        /// JSON Schema of its arguments, raw; `None`: it takes none.
        schema: Option<&'b [u8]>,
        /// Whether the model must keep to the schema.
        strict: Option<bool>,
    },
    /// Run by the client, known to the model without a schema, or with a grammar: only its own dialect has it.
    Known {
        /// Its name.
        name: Escaped<'b>,
        /// Its type as the dialect words it.
        word: Cow<'b, str>,
        /// The whole entry.
        raw: &'b [u8],
    },
    /// Run by the provider.
    Server {
        /// Its name, or its type where it has none.
        name: Escaped<'b>,
        /// Its type as the dialect words it.
        word: Cow<'b, str>,
        /// The whole entry.
        raw: &'b [u8],
    },
}

/// Which tool must or may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'b> {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// Some tool.
    Any,
    /// This one.
    Tool(Escaped<'b>),
}

/// Whether and how much the model shall think (wire.md 13.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// On or off.
    pub switch: Switch,
    /// How hard.
    pub effort: Option<Effort>,
    /// Tokens for thinking.
    pub budget: Option<u64>,
    /// The client wants to see it; `None`: it does not say.
    pub shown: Option<bool>,
}

/// Whether the model shall think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// As is usual for the model.
    #[default]
    Unsaid,
    /// Not.
    Off,
    /// Yes.
    On,
}

/// How hard a model thinks, in the field's terms; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// As much as there is.
    Max,
}

impl Effort {
    /// The word that all dialects have for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The level behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];
        all.into_iter().find(|level| level.word() == word)
    }

    /// The level that a budget of thinking tokens stands for (wire.md 13.1).
    pub fn from_budget(tokens: u64) -> Self {
        match tokens {
            0..1024 => Self::Minimal,
            1024..=2048 => Self::Low,
            2049..=8192 => Self::Medium,
            8193..=16384 => Self::High,
            _ => Self::XHigh,
        }
    }

    /// The nearest of `taken` (least first): the highest that is not above this one, else the lowest.
    pub fn nearest(self, taken: &[Self]) -> Option<Self> {
        taken.iter().rfind(|level| **level <= self).or(taken.first()).copied()
    }
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format<'b> {
    /// Free.
    #[default]
    Text,
    /// Some JSON.
    Json,
    /// JSON by a schema.
    Schema {
        /// A name for it, where the dialect has one.
        name: Option<Escaped<'b>>,
        /// JSON Schema, raw.
        schema: &'b [u8],
        /// Whether it must hold exactly.
        strict: Option<bool>,
    },
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Better capacity where the account has it.
    Auto,
    /// The usual capacity only.
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
}

/// Settings that only some formats have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `seed`.
    Seed,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `presence_penalty`.
    PresencePenalty,
    /// `logit_bias`.
    LogitBias,
    /// `logprobs`, `top_logprobs`.
    Logprobs,
}

impl Setting {
    /// Its name, the same wherever it exists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::FrequencyPenalty => "frequency_penalty",
            Self::PresencePenalty => "presence_penalty",
            Self::LogitBias => "logit_bias",
            Self::Logprobs => "logprobs",
        }
    }
}

/// One step of an answer. Byte slices are the insides of JSON strings ([`Escaped`]) unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// The answer begins.
    Start {
        /// The model that the provider says it is.
        model: Option<&'e [u8]>,
    },
    /// A block begins.
    Open(Open<'e>),
    /// More of the open block. Never empty.
    Delta(Delta<'e>),
    /// The open block is whole.
    Close,
    /// What was counted so far; the last one stands.
    Usage(Usage),
    /// The answer is whole.
    Stop {
        /// Why.
        reason: &'e Stop,
        /// The stop sequence that came up.
        sequence: Option<&'e [u8]>,
    },
    /// The answer broke: nothing follows.
    Fault(&'e Told),
}

/// What begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open<'e> {
    /// Text.
    Text,
    /// Thinking.
    Thinking,
    /// A call of one of the client's tools, by the name that was sent.
    ToolCall {
        /// Never empty.
        id: &'e [u8],
        /// Never empty.
        name: &'e [u8],
    },
    /// A text that declines.
    Refusal,
    /// A block that only its dialect knows, whole and raw; no delta follows.
    Opaque {
        /// Whose.
        owner: Dialect,
        /// The block as JSON.
        raw: &'e [u8],
    },
}

/// More of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta<'e> {
    /// Of a text, a refusal, or thinking.
    Text(&'e [u8]),
    /// Of a call's arguments: a fragment of JSON, escaped as the inside of a string. A call without any means `{}`.
    Args(&'e [u8]),
    /// The opaque state of the thinking that is open; once for each block, before its end.
    Seal {
        /// Whose.
        family: &'e str,
        /// As the provider gave it: for a JSON string what it means, unescaped.
        payload: &'e [u8],
    },
    /// A citation of the text that is open: JSON of its owner's format.
    Citation {
        /// Whose.
        owner: Dialect,
        /// A JSON object.
        raw: &'e [u8],
    },
}
