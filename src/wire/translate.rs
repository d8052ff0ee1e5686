//! A request on its way from its client's dialect to its target's.
//!
//! Same dialect: the body goes out as it came, less the declared edits. Another one: it is read into the IR and written
//! in the target's. Holds the choice between dialects, which each new one joins by a line in every match; formats are
//! `wire/<dialect>`'s.

use std::borrow::Cow;
use std::sync::Arc;

use super::ir::Conversation;
use super::memo::Memo;
use super::names::Names;
use super::tokens::{self, Measure};
use super::traits::Traits;
use super::{Ask, Dialect, Loss, anthropic, chat};
use crate::error::Error;
use crate::json::Spliced;

/// A request as it is sent to one provider.
#[derive(Debug)]
pub struct Prepared<'b> {
    /// Its bytes.
    pub body: Body<'b>,
    /// `anthropic-beta`; `None`: no such header is sent.
    pub betas: Option<Cow<'b, str>>,
    /// What was lost on the way.
    pub loss: Loss,
    /// Names of tools that the answer has to be told by their old ones.
    pub names: Arc<Names>,
}

/// The bytes of a request.
#[derive(Debug)]
pub enum Body<'b> {
    /// The client's, with edits.
    Verbatim(Spliced<'b>),
    /// Written anew.
    Written(Written),
}

impl Body<'_> {
    /// The bytes in order.
    pub fn pieces(&self) -> Vec<&[u8]> {
        match self {
            Self::Verbatim(body) => body.pieces().collect(),
            Self::Written(body) => body.pieces().collect(),
        }
    }
}

/// Why a request cannot be sent to a provider.
#[derive(Debug)]
pub enum Unfit {
    /// Nobody could take it: it is wrong in its own dialect.
    Request(Error),
    /// This target cannot take it; another may.
    Target(Error),
}

/// Brings a request into the form in which `dialect` wants it. `betas` are the client's, if it has such a header; `session` is the one
/// that the request belongs to.
pub fn prepare<'b>(
    ask: &Ask<'b>,
    dialect: Dialect,
    betas: Option<&'b str>,
    target: &Target<'_>,
    session: Option<&str>,
    memo: &mut Memo,
) -> Result<Prepared<'b>, Unfit> {
    match (ask, dialect) {
        (Ask::Messages(ask), Dialect::Messages) => {
            let shaped = anthropic::shape(ask, betas, &target.of_messages()).map_err(Unfit::Request)?;
            let body = Body::Verbatim(shaped.body);
            Ok(Prepared { body, betas: shaped.betas, loss: shaped.loss, names: Arc::default() })
        }
        (Ask::Chat(ask), Dialect::Chat) => {
            let shaped = chat::shape::shape(ask, target).map_err(Unfit::Request)?;
            let body = Body::Verbatim(shaped.body);
            Ok(Prepared { body, betas: None, loss: shaped.loss, names: Arc::default() })
        }
        (Ask::Messages(_), Dialect::Chat) | (Ask::Chat(_), Dialect::Messages) => {
            written(ask, dialect, target, session, memo)
        }
    }
}

/// What a request is made of, for an estimate of its tokens. An error is the client's.
pub fn measure(ask: &Ask<'_>) -> Result<Measure, Error> {
    Ok(tokens::measure(&read(ask)?))
}

fn read<'b>(ask: &Ask<'b>) -> Result<Conversation<'b>, Error> {
    match ask {
        Ask::Messages(ask) => anthropic::request::read::read(ask),
        Ask::Chat(ask) => chat::request::read::read(ask),
    }
}

/// Through the IR.
fn written<'b>(
    ask: &Ask<'b>,
    dialect: Dialect,
    target: &Target<'_>,
    session: Option<&str>,
    memo: &mut Memo,
) -> Result<Prepared<'b>, Unfit> {
    let mut conversation = read(ask).map_err(Unfit::Request)?;
    conversation.session = session.map(Cow::Borrowed);
    let tools = match conversation.tools {
        Some(raw) => memo.toolbox(raw, ask.dialect(), dialect, target).map_err(Unfit::Request)?,
        None => Arc::default(),
    };
    let mut written = match dialect {
        Dialect::Messages => anthropic::request::write::write(&conversation, &tools, target),
        Dialect::Chat => chat::request::write::write(&conversation, &tools, target),
    }
    .map_err(Unfit::Target)?;
    let mut loss = conversation.loss;
    loss.join(&tools.loss);
    loss.join(&written.loss);
    Ok(Prepared {
        betas: written.betas.take().map(Cow::Owned),
        body: Body::Written(written),
        loss,
        names: Arc::clone(&tools.names),
    })
}

/// What a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name as the provider wants it.
    pub model: &'a str,
    /// How the provider's form of the dialect differs.
    pub traits: &'static Traits,
    /// Largest output that the provider is configured to be asked for, in tokens.
    pub limit: Option<u64>,
    /// Bits of repairs that this provider is known to need for this model; their meaning is the target dialect's.
    pub repairs: u64,
    /// Whether all thinking is cut out of the history.
    pub cut_thinking: bool,
    /// Whether a window of a million tokens is wanted (`[1m]` behind the name or its alias).
    pub context_1m: bool,
}

impl Target<'_> {
    fn of_messages(&self) -> anthropic::Target<'_> {
        anthropic::Target {
            model: self.model,
            limit: self.limit,
            repairs: self.repairs,
            cut_thinking: self.cut_thinking,
            context_1m: self.context_1m,
        }
    }
}

/// A request in the target's dialect: `front`, then `tools`, then `back` are its bytes.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Up to the list of tools; all of it where there is none.
    pub front: Vec<u8>,
    /// The list as it was translated before, shared with the memo.
    pub tools: Option<Arc<Toolbox>>,
    /// What follows.
    pub back: Vec<u8>,
    /// `anthropic-beta`, where the target has such a header.
    pub betas: Option<String>,
    /// What could not be carried.
    pub loss: Loss,
}

impl Written {
    /// The bytes of the body, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tools = self.tools.as_ref().map_or(&[][..], |tools| &tools.json);
        [&self.front[..], tools, &self.back].into_iter().filter(|piece| !piece.is_empty())
    }
}

/// A list of tools in the target's dialect.
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    /// The array; empty where no tool is offered.
    pub json: Box<[u8]>,
    /// Names that were changed.
    pub names: Arc<Names>,
    /// The client's names of the tools that are offered, escaped.
    pub offered: Vec<Box<[u8]>>,
    /// The client's names of tools that only its own dialect's providers could run: left out.
    pub left_out: Vec<Box<[u8]>>,
    /// What could not be carried.
    pub loss: Loss,
}

impl Toolbox {
    /// Whether a tool of this name (the client's, escaped) is offered.
    pub fn offers(&self, name: &[u8]) -> bool {
        self.offered.iter().any(|known| **known == *name)
    }
}
