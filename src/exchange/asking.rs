//! What every attempt of one request is made of, and how it is sent to one provider.
//!
//! The body is brought into the form of that provider's dialect, the head is its entry's. Reads no answer and judges none.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use super::attempt::{Failed, Said, Stop, told};
use super::watch::{Patience, Watch};
use crate::config::snapshot::{Kind as Type, Provider};
use crate::edge::Head;
use crate::error::{Class, Error, Failure, Kind, Stage};
use crate::gateway::Gateway;
use crate::http::Fields;
use crate::route::Candidate;
use crate::runtime::Locals;
use crate::upstream::provider::entry::{Entry, entry};
use crate::upstream::provider::head::{self, Parts};
use crate::upstream::{Answer, Origin, Request, Upstreams};
use crate::wire::memo::Memo;
use crate::wire::names::Names;
use crate::wire::transcode::{Frame, Route};
use crate::wire::translate::{Prepared, Target, Unfit, prepare};
use crate::wire::{Ask, Call as Which, fault};

/// What every attempt of one request is made of.
pub struct Asking<'a> {
    /// Translated lists of tools.
    pub memos: &'a Locals<Memo>,
    /// Connections.
    pub upstreams: &'a Upstreams,
    /// The client's head.
    pub head: &'a Head,
    /// Which endpoint.
    pub which: Which,
    /// The body as it was read.
    pub ask: &'a Ask<'a>,
    /// `anthropic-beta` as the client sent it, its lines joined; `None`: it sent none.
    pub betas: Option<Cow<'a, str>>,
    /// The name that the answer carries.
    pub asked: &'a str,
    /// The session that the request belongs to.
    pub session: Option<&'a str>,
    /// Our mark for requests that come round again.
    pub via: &'a str,
    /// A loss is refused rather than told.
    pub strict: bool,
}

impl<'a> Asking<'a> {
    /// The same for every attempt.
    pub fn new(
        gateway: &'a Gateway,
        head: &'a Head,
        which: Which,
        ask: &'a Ask<'a>,
        asked: &'a str,
        session: Option<&'a str>,
    ) -> Self {
        let strict = head.get("x-pointsman-strict").is_some_and(|v| v.trim() == "1");
        let betas = joined(head, "anthropic-beta");
        let Gateway { memos, upstreams, via, .. } = gateway;
        Self { memos, upstreams, head, which, ask, betas, asked, session, via, strict }
    }

    /// The request as `candidate` wants it.
    pub fn prepare<'p>(
        &'p self,
        watch: &mut Watch<'_, '_>,
        candidate: &Candidate<'_>,
        betas: Option<&'p str>,
        cut_thinking: bool,
    ) -> Result<Result<Prepared<'p>, Failed>, Stop> {
        let provider = candidate.provider;
        let entry = entry(provider.kind);
        let target = Target {
            model: candidate.model,
            traits: &entry.traits,
            limit: provider.max_output_tokens,
            repairs: candidate.repairs,
            cut_thinking,
            context_1m: candidate.context_1m,
        };
        let mut memo = self.memos.of(watch.call.home());
        let prepared = match prepare(self.ask, entry.dialect, betas, &target, self.session, &mut memo) {
            Ok(prepared) => prepared,
            Err(Unfit::Request(error)) => return Err(Stop::Refused(error)),
            Err(Unfit::Target(error)) => return Ok(Err(self.unfit(&error, watch.story.id()))),
        };
        let loss = &prepared.loss;
        if (self.strict || provider.strict) && !loss.is_empty() {
            return Err(Stop::Refused(too_strict(provider, &loss.header())));
        }
        if !loss.is_empty() || !watch.story.lost().is_empty() {
            watch.story.loss(&loss.header());
        }
        Ok(Ok(prepared))
    }

    /// How the answer of `candidate` gets to the client.
    pub fn route(&self, watch: &Watch<'_, '_>, candidate: &Candidate<'_>, names: Arc<Names>) -> Route {
        let Entry { dialect, traits, .. } = entry(candidate.provider.kind);
        Route {
            client: self.which.dialect(),
            target: *dialect,
            traits,
            family: traits.family_of(candidate.model),
            frame: Frame {
                id: watch.story.id().into(),
                model: self.asked.into(),
                created: watch.story.unix_seconds(),
                usage: self.ask.usage(),
                names,
            },
        }
    }

    /// Sends a request and waits for the head of its answer.
    #[inline(never)] // A frame of its own: stacks stay small while others wait.
    pub fn send(
        &self,
        watch: &mut Watch<'_, '_>,
        candidate: &Candidate<'_>,
        origin: &Arc<Origin>,
        prepared: &Prepared<'_>,
        patience: &Patience,
    ) -> Result<Result<Answer, Failed>, Stop> {
        let pieces = prepared.body.pieces();
        let head = self.head(candidate, origin, prepared, pieces.iter().map(|piece| piece.len()).sum());
        let request = Request { head: &head, body: &pieces };
        watch.story.sending();
        let home = watch.call.home();
        let mut over = None;
        let mut on_tick = || {
            watch.tick(patience, true).map_err(|why| {
                over = Some(why);
                io::Error::from(io::ErrorKind::TimedOut)
            })
        };
        let sent = self.upstreams.send(
            home,
            origin,
            request,
            patience.connect(),
            &mut || patience.sent(),
            &mut on_tick,
        );
        told(sent, over)
    }

    /// The client's betas and those of the configuration, where the provider has such a header.
    pub fn betas_with(&self, provider: &'a Provider) -> Option<Cow<'_, str>> {
        head::with_configured(self.betas.as_deref(), &provider.headers)
    }

    fn head(
        &self,
        candidate: &Candidate<'_>,
        origin: &Origin,
        prepared: &Prepared<'_>,
        length: usize,
    ) -> Vec<u8> {
        let provider = candidate.provider;
        let entry = entry(provider.kind);
        let same = entry.dialect == self.which.dialect();
        let as_sent = same && prepared.betas.as_deref() == self.betas.as_deref();
        head::head(&Parts {
            call: if same { self.which } else { Which::answer_in(entry.dialect) },
            entry,
            base_path: &origin.base.path,
            host: &origin.host_field,
            key: candidate.credential.map(|c| c.secret.expose()),
            same,
            stream: self.ask.stream(),
            query: self.head.query(),
            client: &self.head.fields,
            betas: if as_sent { None } else { Some(prepared.betas.as_deref().unwrap_or("")) },
            session: self.session,
            extra: &provider.headers,
            faults: provider.kind == Type::Mock,
            via: provider.foreign_base.then_some(self.via),
            length,
        })
    }

    fn unfit(&self, error: &Error, id: &str) -> Failed {
        let failure = Failure { status: error.kind.status(), ..Failure::silent(Class::Unable) };
        let body = fault::body(self.which.dialect(), error, id);
        let said = Said { status: failure.status, fields: Fields::default(), body, ours: true };
        Failed { failure, detail: error.message.clone(), repair: None, said: Some(said) }
    }
}

/// The values of a field that may stand in several lines, as one list.
fn joined<'h>(head: &'h Head, name: &'h str) -> Option<Cow<'h, str>> {
    let mut lines = head.fields.all(name).filter_map(|value| std::str::from_utf8(value).ok());
    let first = lines.next()?;
    Some(lines.fold(Cow::Borrowed(first), |list, line| Cow::Owned(format!("{list},{line}"))))
}

fn too_strict(provider: &Provider, loss: &str) -> Error {
    let message = format!(
        "the provider `{}` cannot take this request without a loss ({loss}), and `strict` is set: send it without, or to another model",
        provider.id
    );
    Error::new(Stage::Wire, Kind::BadRequest, message)
}
