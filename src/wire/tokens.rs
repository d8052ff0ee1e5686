//! How many tokens a conversation has: an estimate by what can be counted cheaply, corrected by what came back.
//!
//! ```text
//! Conversation ──measure──▶ Measure ──tokens(factor)──▶ estimate, never 0
//!                              │                            ▲
//!                              └──Fit::saw(actual)──Factor──┘
//! ```
//!
//! A [`Measure`] weighs text by its kind of bytes, and knows what is no text: media count by their size, seals and
//! signatures not at all. A [`Fit`] learns two numbers for a model: how far the weights are off, and what it adds
//! once a tool is offered (its instructions for tools are not in the request: 200 to 500 tokens). It is recursive
//! least squares with forgetting, so that the first request counts nearly fully and old ones fade. Knows no model and
//! no tokenizer, keeps no state between calls; where a fit is kept is `learn`'s.

use super::ir::{Block, Choice, Content, Conversation, Format, Media, MediaKind, Source};

/// What a request is made of, in bytes and pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Letters of ASCII in texts, arguments and results.
    pub letters: u64,
    /// Digits and punctuation, escapes included.
    pub marks: u64,
    /// Blanks.
    pub blanks: u64,
    /// Bytes beyond ASCII.
    pub wide: u64,
    /// Bytes of the list of tools and of the answer's schema.
    pub schemas: u64,
    /// Turns, the instructions in front as one.
    pub turns: u64,
    /// Blocks.
    pub blocks: u64,
    /// Tokens of media, by their size.
    pub media: u64,
    /// Whether a tool may be called.
    pub tools: bool,
}

/// Measures a conversation: one pass over its texts.
pub fn measure(conversation: &Conversation<'_>) -> Measure {
    let mut measure = Measure::default();
    if !conversation.system.is_empty() {
        measure.turns += 1;
        measure.blocks(&conversation.system);
    }
    for turn in &conversation.turns {
        measure.turns += 1;
        measure.blocks(&turn.blocks);
    }
    // Who may call none is shown none, as a rule.
    let tools = conversation.tools.filter(|_| conversation.choice != Some(Choice::None));
    if let Some(tools) = tools.filter(|tools| tools.len() > EMPTY_LIST) {
        measure.tools = true;
        measure.schemas += length(tools);
    }
    if let Format::Schema { schema, .. } = conversation.format {
        measure.schemas += length(schema);
    }
    measure
}

impl Measure {
    /// The estimate; at least 1.
    pub fn tokens(&self, factor: Factor) -> u64 {
        let tokens = self.weight() * f64::from(factor.scale) + self.tool_use() * f64::from(factor.tools);
        // From 1 to some billions.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = tokens.round().max(1.0) as u64;
        whole
    }

    /// The estimate without any knowledge of the model.
    fn weight(&self) -> f64 {
        let parts = [
            (self.letters, PER_LETTER),
            (self.marks, PER_MARK),
            (self.blanks, PER_BLANK),
            (self.wide, PER_WIDE),
            (self.schemas, PER_SCHEMA),
            (self.turns, PER_TURN),
            (self.blocks, PER_BLOCK),
            (self.media, 1.0),
        ];
        parts.iter().map(|(count, weight)| float(*count) * weight).sum()
    }

    fn tool_use(&self) -> f64 {
        if self.tools { 1.0 } else { 0.0 }
    }

    fn blocks(&mut self, blocks: &[Block<'_>]) {
        for block in blocks {
            self.block(block);
            // Results hold texts and media only.
            if let Content::ToolResult { blocks, .. } = &block.content {
                for inner in blocks {
                    self.block(inner);
                }
            }
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        self.blocks += 1;
        match &block.content {
            Content::Text(text) | Content::Refusal(text) | Content::Thinking { text, .. } => {
                self.text(text.as_bytes());
            }
            Content::Media(media) => self.medium(media),
            Content::ToolCall { name, args, .. } => {
                self.text(name.as_bytes());
                self.text(args);
            }
            // What the provider's own tools said: mostly sealed pages, which count for less than their bytes.
            Content::Server { raw, .. } | Content::Opaque { raw, .. } => self.schemas += length(raw) / 4,
            Content::ToolResult { .. } => {}
        }
    }

    fn medium(&mut self, media: &Media<'_>) {
        match &media.source {
            Source::Text(text) => self.text(text.as_bytes()),
            Source::Base64 { data, .. } => self.media += by_size(media.kind, length(data.as_bytes()) / 4 * 3),
            Source::Url(_) | Source::File(_) => self.media += by_size(media.kind, UNSEEN),
        }
    }

    /// Counts each kind of byte. Three sums over one byte each, so that the compiler takes 16 bytes at a time.
    fn text(&mut self, text: &[u8]) {
        let (mut letters, mut blanks, mut wide) = (0, 0, 0);
        for piece in text.chunks(usize::from(u8::MAX)) {
            letters += count(piece, |byte| (byte | 0x20).wrapping_sub(b'a') < 26);
            blanks += count(piece, |byte| byte == b' ');
            wide += count(piece, |byte| byte >= 0x80);
        }
        self.letters += letters;
        self.blanks += blanks;
        self.wide += wide;
        self.marks += length(text) - letters - blanks - wide;
    }
}

/// What is known of a model: multiplied with the weight of a request, and added where tools are offered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// About 1.
    pub scale: f32,
    /// Tokens.
    pub tools: f32,
}

impl Default for Factor {
    /// Of a model that was never heard of.
    fn default() -> Self {
        Self { scale: 1.0, tools: 0.0 }
    }
}

/// A factor and how sure it is: the covariance of its two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best guess.
    pub factor: Factor,
    /// Variances of scale and tools.
    pub spread: (f32, f32),
    /// Covariance of the two; its square is at most the product of the variances.
    pub cross: f32,
}

impl Default for Fit {
    fn default() -> Self {
        Self { factor: Factor::default(), spread: (SCALE_SPREAD, TOOLS_SPREAD), cross: 0.0 }
    }
}

impl Fit {
    /// The fit after a request that turned out to have so many tokens of input, cached ones included. Nothing is
    /// learnt from 0, which providers tell where they do not count.
    #[must_use]
    pub fn saw(self, measure: &Measure, actual: u64) -> Self {
        if actual == 0 {
            return self;
        }
        let (weight, tool_use) = (measure.weight(), measure.tool_use());
        let (scale, tools) = (f64::from(self.factor.scale), f64::from(self.factor.tools));
        let actual = float(actual);
        // An outlier (a truncated context, a cache that is told twice) pulls by so much only.
        let guess = scale * weight + tools * tool_use;
        let pull = guess.max(1.0) * OUTLIER;
        let miss = (actual - guess).clamp(-pull, pull);
        let noise = (NOISE * actual + NOISE_TOKENS).powi(2);
        // How the doubt about each number shows in this request, and what of the miss each one answers for.
        let (of_scale, of_tools) = (f64::from(self.spread.0), f64::from(self.spread.1));
        let cross = f64::from(self.cross);
        let seen = (of_scale * weight + cross * tool_use, cross * weight + of_tools * tool_use);
        let doubt = weight * seen.0 + tool_use * seen.1 + noise;
        let gain = (seen.0 / doubt, seen.1 / doubt);
        let left = |before: f64, gone: f64, most: f32| ((before - gone) / MEMORY).clamp(0.0, f64::from(most));
        let spread =
            (left(of_scale, gain.0 * seen.0, SCALE_SPREAD), left(of_tools, gain.1 * seen.1, TOOLS_SPREAD));
        let most = (spread.0 * spread.1).sqrt();
        Self {
            factor: Factor {
                scale: single((scale + gain.0 * miss).clamp(SCALES.0, SCALES.1)),
                tools: single((tools + gain.1 * miss).clamp(0.0, MOST_TOOLS)),
            },
            spread: (single(spread.0), single(spread.1)),
            cross: single(((cross - gain.0 * seen.1) / MEMORY).clamp(-most, most)),
        }
    }
}

/// Tokens of a medium of so many bytes.
fn by_size(kind: MediaKind, bytes: u64) -> u64 {
    let (per_token, least, most) = match kind {
        // A screenshot of 1000 × 800 has 100 KB and 1066 tokens; providers scale larger ones down.
        MediaKind::Image => (100, 85, 1600),
        // A page has 50 KB and 1500 tokens; at most 100 pages are taken.
        MediaKind::Document => (33, 250, 150_000),
        // 16 kHz, 16 bits: 32 KB and 20 tokens a second.
        MediaKind::Audio => (1600, 20, 150_000),
    };
    (bytes / per_token).clamp(least, most)
}

fn count(piece: &[u8], is: impl Fn(u8) -> bool) -> u64 {
    // A piece has 255 bytes at most.
    u64::from(piece.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(is(*byte)))))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_precision_loss)] // Counts of bytes and tokens stay far below 2^52.
fn float(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::cast_possible_truncation)] // Seven digits are plenty.
fn single(number: f64) -> f32 {
    number as f32
}

/// Weights of a usual tokenizer, fitted on the recorded session of `tests/fixtures/sessions`.
const PER_LETTER: f64 = 0.24;
const PER_MARK: f64 = 0.40;
const PER_BLANK: f64 = 0.20;
const PER_WIDE: f64 = 0.50;
const PER_SCHEMA: f64 = 0.23;
const PER_TURN: f64 = 4.0;
const PER_BLOCK: f64 = 3.0;

/// `[]`, with some blanks.
const EMPTY_LIST: usize = 4;
/// Bytes of a medium that is not in the request: a small picture, a page.
const UNSEEN: u64 = 40_000;

/// Variances of what is known before the first request: the scale is right by half, tools take up to some hundreds.
const SCALE_SPREAD: f32 = 0.25;
const TOOLS_SPREAD: f32 = 90_000.0;
/// What is right is right by 5 %, and by a few tokens.
const NOISE: f64 = 0.05;
const NOISE_TOKENS: f64 = 4.0;
/// How much of what was learnt is kept with each request: half of it after seven.
const MEMORY: f64 = 0.9;
/// A request pulls at most this often its estimate: enough for a first guess that is wrong by a factor of eight.
const OUTLIER: f64 = 8.0;
/// Scales between which tokenizers lie.
const SCALES: (f64, f64) = (0.25, 4.0);
const MOST_TOOLS: f64 = 4000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{Escaped, Role, Seal, Turn};

    fn text(text: &str) -> Content<'_> {
        Content::Text(Escaped::raw(text.as_bytes()))
    }

    fn says(content: Content<'_>) -> Conversation<'_> {
        let turns = vec![Turn { role: Role::User, blocks: vec![Block::new(content)] }];
        Conversation { turns, ..Conversation::default() }
    }

    #[test]
    fn each_kind_of_byte_is_counted() {
        let long = "ab 1{é".repeat(1000);
        let found = measure(&says(text(&long)));
        let expected = Measure {
            letters: 2000,
            blanks: 1000,
            marks: 2000,
            wide: 2000,
            turns: 1,
            blocks: 1,
            ..Measure::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_estimate_is_never_nothing() {
        let nothing = measure(&Conversation::default());
        assert_eq!(nothing.tokens(Factor::default()), 1);
        assert_eq!(nothing.tokens(Factor { scale: 0.25, tools: 0.0 }), 1);
    }

    #[test]
    fn what_is_no_text_is_not_counted_by_its_bytes() {
        let data = "iVBORw0KGgo".repeat(100_000);
        let image = |kind| {
            let source =
                Source::Base64 { mime: Escaped::raw(&b"image/png"[..]), data: Escaped::raw(data.as_bytes()) };
            Content::Media(Media { kind, source, title: None, detail: None })
        };
        let seal = Seal { family: "anthropic".into(), payload: data.as_bytes().into() };
        for (name, content, most) in [
            ("an image", image(MediaKind::Image), 1600),
            ("a PDF of 800 KB", image(MediaKind::Document), 25_000),
            ("a signature", Content::Thinking { text: Escaped::default(), seal: Some(seal) }, 0),
        ] {
            let found = measure(&says(content));
            assert!(found.media <= most && found.letters == 0, "{name}: {found:?}");
        }
    }

    #[test]
    fn tools_that_may_not_be_called_are_not_shown() {
        let tools = br#"[{"name":"a","input_schema":{"type":"object"}}]"#;
        let mut conversation = says(text("hello"));
        assert!(!measure(&conversation).tools);
        conversation.tools = Some(tools);
        let with = measure(&conversation);
        assert!(with.tools && with.schemas == length(tools));
        conversation.choice = Some(Choice::None);
        assert_eq!(measure(&conversation), measure(&says(text("hello"))));
    }

    #[test]
    fn a_fit_finds_both_numbers_of_a_model() {
        let (mut fit, truth) = (Fit::default(), Factor { scale: 1.3, tools: 340.0 });
        for turn in 1..30 {
            let measure =
                Measure { letters: turn * 700, turns: turn, tools: turn % 7 != 0, ..Measure::default() };
            if turn > 12 {
                let (guess, right) = (float(measure.tokens(fit.factor)), float(measure.tokens(truth)));
                assert!((guess / right - 1.0).abs() < 0.02, "{turn}: {guess} for {right}");
            }
            fit = fit.saw(&measure, measure.tokens(truth));
        }
    }

    #[test]
    fn a_count_that_cannot_be_moves_little() {
        let measure = Measure { letters: 40_000, turns: 9, ..Measure::default() };
        let mut fit = Fit::default();
        for _ in 0..9 {
            fit = fit.saw(&measure, 9000);
        }
        assert_eq!(fit.saw(&measure, 0), fit);
        let odd = fit.saw(&measure, u64::MAX);
        assert!(odd.factor.scale.is_finite() && odd.factor.scale <= 4.0);
        let back = odd.saw(&measure, 9000).saw(&measure, 9000).saw(&measure, 9000);
        assert!((measure.tokens(back.factor)).abs_diff(9000) < 900, "{back:?}");
    }
}
