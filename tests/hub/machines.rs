//! Both dialects' machines behind one set of names, and the recorded streams that they are run on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pointsman::error::{Class, Failure};
use pointsman::wire::frame::Sse;
use pointsman::wire::ir::Event;
use pointsman::wire::meter::Told;
use pointsman::wire::names::Names;
use pointsman::wire::traits::{CHAT, MESSAGES, Traits, UsageRule};
use pointsman::wire::transcode::Frame;
use pointsman::wire::{Dialect, anthropic, chat};

use crate::answer::{Keep, Said, lossy};
use crate::corpus;

/// A recorded answer and how its provider differs.
pub struct Recorded {
    pub name: String,
    pub bytes: Vec<u8>,
    pub dialect: Dialect,
    pub traits: &'static Traits,
}

static OPENAI: Traits = CHAT;
static ANTHROPIC: Traits = MESSAGES;
static XAI: Traits = Traits { family: "xai", usage: UsageRule::Apart, ..CHAT };
static PERPLEXITY: Traits = Traits { family: "perplexity", think_tags: true, ..CHAT };

/// How a folder's provider differs, as far as answers are concerned.
fn traits(folder: &str) -> &'static Traits {
    match folder.split('/').next().unwrap() {
        "xai" => &XAI,
        "perplexity" => &PERPLEXITY,
        _ => &OPENAI,
    }
}

/// Every recorded stream of both dialects.
pub fn streams() -> Vec<Recorded> {
    let messages = corpus::streams().into_iter().map(|(name, bytes)| Recorded {
        name,
        bytes,
        dialect: Dialect::Messages,
        traits: &ANTHROPIC,
    });
    let chat = corpus::chat_streams().into_iter().map(|(name, bytes)| {
        let traits = traits(&name);
        Recorded { name, bytes, dialect: Dialect::Chat, traits }
    });
    let all: Vec<_> = messages.chain(chat).collect();
    assert!(all.len() > 100, "{}", all.len());
    all
}

/// Every recorded whole answer of both dialects.
pub fn replies() -> Vec<Recorded> {
    let messages = corpus::replies().into_iter().map(|(name, bytes)| Recorded {
        name,
        bytes,
        dialect: Dialect::Messages,
        traits: &ANTHROPIC,
    });
    let chat = corpus::chat_replies().into_iter().map(|(name, bytes)| {
        let traits = traits(&name);
        Recorded { name, bytes, dialect: Dialect::Chat, traits }
    });
    let all: Vec<_> = messages.chain(chat).collect();
    assert!(all.len() > 80, "{}", all.len());
    all
}

impl Recorded {
    /// The same answer in other bytes.
    pub fn with(&self, dialect: Dialect, bytes: Vec<u8>) -> Self {
        let traits = match dialect {
            Dialect::Messages => &ANTHROPIC,
            Dialect::Chat => &OPENAI,
        };
        Self { name: self.name.clone(), bytes, dialect, traits }
    }

    /// The events of the stream.
    pub fn decoded(&self) -> Keep {
        self.in_pieces([self.bytes.as_slice()])
    }

    /// The events of the stream as it comes in these pieces.
    pub fn in_pieces<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Keep {
        let mut keep = Keep::default();
        let mut sse = Sse::new();
        match self.dialect {
            Dialect::Messages => {
                let mut decoder = anthropic::stream::read::Decoder::new(self.traits, self.traits.family);
                for piece in pieces {
                    sse.push(piece, |event| decoder.push(&event, &mut |event| keep.take(&event)));
                }
                decoder.end(&mut |event| keep.take(&event));
            }
            Dialect::Chat => {
                let mut decoder = chat::stream::read::Decoder::new(self.traits, self.traits.family);
                for piece in pieces {
                    sse.push(piece, |event| decoder.push(&event, &mut |event| keep.take(&event)));
                }
                decoder.end(&mut |event| keep.take(&event));
            }
        }
        keep
    }

    /// The stream's events, written as a stream of the other dialect or the same. A cut answer ends in an error, as
    /// the exchange tells its client.
    pub fn replayed(&self, to: Dialect) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(to);
        self.each(&mut |event| writer.push(event, &mut out));
        out
    }

    /// The stream's events, folded into a whole answer.
    pub fn folded(&self, to: Dialect) -> Vec<u8> {
        fold(to, |sink| self.each(sink))
    }

    /// The whole answer, read and written again.
    pub fn refolded(&self, to: Dialect) -> Vec<u8> {
        let (traits, family) = (self.traits, self.traits.family);
        fold(to, |sink| {
            let mut sink = |event: Event<'_>| sink(&event);
            match self.dialect {
                Dialect::Messages => anthropic::reply::decode(&self.bytes, traits, family, &mut sink),
                Dialect::Chat => chat::reply::decode(&self.bytes, traits, family, &mut sink),
            };
        })
    }

    /// The events of the whole answer that the bytes are; `None` if they are none.
    pub fn whole(&self) -> Option<Vec<Said>> {
        let mut keep = Keep::default();
        let mut sink = |event: Event<'_>| keep.take(&event);
        let read = match self.dialect {
            Dialect::Messages => {
                anthropic::reply::decode(&self.bytes, self.traits, self.traits.family, &mut sink)
            }
            Dialect::Chat => chat::reply::decode(&self.bytes, self.traits, self.traits.family, &mut sink),
        };
        read.then_some(keep.said)
    }

    fn each(&self, sink: &mut dyn FnMut(&Event<'_>)) {
        let mut grammar = pointsman::wire::grammar::Grammar::new();
        let mut sse = Sse::new();
        let mut heard = |event: Event<'_>| {
            grammar.check(&event).unwrap();
            sink(&event);
        };
        match self.dialect {
            Dialect::Messages => {
                let mut decoder = anthropic::stream::read::Decoder::new(self.traits, self.traits.family);
                sse.push(&self.bytes, |event| decoder.push(&event, &mut heard));
                decoder.end(&mut heard);
            }
            Dialect::Chat => {
                let mut decoder = chat::stream::read::Decoder::new(self.traits, self.traits.family);
                sse.push(&self.bytes, |event| decoder.push(&event, &mut heard));
                decoder.end(&mut heard);
            }
        }
        if !grammar.is_over() {
            sink(&Event::Fault(&cut()));
        }
    }
}

fn fold(to: Dialect, feed: impl FnOnce(&mut dyn FnMut(&Event<'_>))) -> Vec<u8> {
    match to {
        Dialect::Messages => {
            let mut fold = anthropic::reply::Fold::new(frame());
            feed(&mut |event| fold.push(event));
            fold.finish()
        }
        Dialect::Chat => {
            let mut fold = chat::reply::Fold::new(frame());
            feed(&mut |event| fold.push(event));
            fold.finish()
        }
    }
}

/// The encoder of either dialect.
pub enum Writer {
    Messages(anthropic::stream::write::Encoder),
    Chat(chat::stream::write::Encoder),
}

impl Writer {
    pub fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(anthropic::stream::write::Encoder::new(frame())),
            Dialect::Chat => Self::Chat(chat::stream::write::Encoder::new(frame())),
        }
    }

    pub fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Messages(encoder) => encoder.push(event, out),
            Self::Chat(encoder) => encoder.push(event, out),
        }
    }
}

/// What the answers are written with.
pub fn frame() -> Frame {
    Frame {
        id: "req_0123456789abcdef".into(),
        model: MODEL.into(),
        created: 1_760_000_000,
        usage: true,
        names: Arc::new(Names::default()),
    }
}

pub const MODEL: &str = "asked-model";

fn cut() -> Told {
    Told {
        failure: Failure::silent(Class::Overloaded),
        kind: "api_error".into(),
        message: "the upstream went away".into(),
    }
}

/// Runs a law on each, and tells every one that fails or panics by its name.
pub fn each(all: &[Recorded], law: impl Fn(&Recorded) -> Result<(), String>) {
    crate::answer::all(all.iter().map(|recorded| {
        catch_unwind(AssertUnwindSafe(|| law(recorded)))
            .unwrap_or_else(|panic| Err(format!("{}: {}", recorded.name, told(&*panic))))
    }));
}

/// The words of a panic.
pub fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.unwrap_or_else(|| "a panic".to_owned());
    lossy(&text.as_bytes()[..text.len().min(400)])
}
