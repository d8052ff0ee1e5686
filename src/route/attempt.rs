//! One attempt: who is asked, what became of it, and what is told when nobody is left.
//!
//! Plain values; the order of attempts is `plan`'s.

use std::fmt::Write as _;
use std::time::Duration;

use super::health::Probe;
use crate::config::snapshot::{Credential, Provider};
use crate::error::{Class, Error, Failure, Kind, Stage};
use crate::limits;

/// What to do now.
#[derive(Debug)]
#[must_use]
pub enum Next<'a> {
    /// Ask this one.
    Try(Candidate<'a>),
    /// Wait so long, then call [`super::Plan::next`] again.
    Wait(Duration),
    /// Nobody is left.
    Exhausted(Exhausted),
}

/// One provider with one key, to be asked now. Made by [`super::Plan::next`] only.
#[derive(Debug)]
#[must_use]
pub struct Candidate<'a> {
    /// Who.
    pub provider: &'a Provider,
    /// With which key; `None` where the provider has none.
    pub credential: Option<&'a Credential>,
    /// The model to send.
    pub model: &'a str,
    /// Whether the model differs from the one that the client named: then the answer's is put back.
    pub renamed: bool,
    /// The client asked for the window of a million tokens (`[1m]`).
    pub context_1m: bool,
    /// Repairs that this provider needed for this model before, as bits whose meaning is the caller's.
    pub repairs: u64,
    /// Index into [`super::Plan::attempts`].
    pub(super) attempt: usize,
    /// Index into the plan's slots.
    pub(super) slot: usize,
    /// Index into the provider's keys.
    pub(super) key: Option<usize>,
    /// When it was given out, in the registry's milliseconds.
    pub(super) since: u64,
    /// Held, not read: given back on drop.
    #[allow(dead_code)]
    pub(super) probe: Option<Probe<'a>>,
}

/// One attempt for the record and the header.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who was asked.
    pub provider: &'a Provider,
    /// With which key.
    pub credential: Option<&'a Credential>,
    /// As which model.
    pub model: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    pub(super) slot: usize,
    pub(super) key: Option<usize>,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Under way, or given up because the client went away.
    Open,
    /// It answered.
    Ok,
    /// It failed.
    Failed(Failure),
}

impl Attempt<'_> {
    /// How it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        match self.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Open | Outcome::Ok => None,
        }
    }

    /// Its class, if it failed.
    pub(super) fn class(&self) -> Option<Class> {
        self.failure().map(|f| f.class)
    }
}

/// The text of `x-pointsman-attempts`: `openai-primary:429, gemini-fallback:ok`.
pub fn attempts_text(attempts: &[Attempt<'_>]) -> String {
    let mut text = String::with_capacity(attempts.len() * 24);
    write_attempts(attempts, &mut text);
    text
}

/// The same, appended to a text.
pub fn write_attempts(attempts: &[Attempt<'_>], text: &mut String) {
    for (place, attempt) in attempts.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        text.push_str(&attempt.provider.id);
        text.push(':');
        match attempt.outcome {
            Outcome::Open => text.push_str("open"),
            Outcome::Ok => text.push_str("ok"),
            Outcome::Failed(f) if !f.was_told() => text.push_str(f.class.word()),
            // Writing to a string cannot fail.
            Outcome::Failed(f) => drop(write!(text, "{}", f.status)),
        }
    }
}

/// Nobody is left to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Why not.
    pub why: Why,
    /// The soonest time that a provider named for coming back, as far as one did: of those asked and of those that rest.
    /// At most [`limits::MAX_REST`].
    pub retry_after: Option<Duration>,
    /// Which attempt's answer the client should see (index into [`super::Plan::attempts`]): the last one with an answer
    /// that is not about the gateway's own credential or an unknown model; else the last one of the latter; else the last.
    pub tell: Option<usize>,
}

/// Why nobody is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The client's own mistake: another provider would refuse it as well.
    Client,
    /// `retry.attempts` are used up.
    Attempts,
    /// Everyone was asked, or rests until a time that it named itself.
    Asked,
    /// The only one that is left wants a longer wait than `retry.max_wait`.
    TooLong,
    /// The conversation fits no window that is known to be larger.
    Overflow,
}

impl Exhausted {
    /// `resting`: the soonest end that those name who rest and were not asked.
    pub(super) fn new(why: Why, attempts: &[Attempt<'_>], resting: Option<Duration>) -> Self {
        let asked = attempts.iter().filter_map(|a| a.failure()?.retry_after);
        let retry_after = asked.chain(resting).min().map(|r| r.min(limits::MAX_REST));
        Self { why, retry_after, tell: told(attempts) }
    }

    /// What the client is told where no answer of a provider is passed on: the told attempt had none, or is about the
    /// gateway's own credential.
    pub fn error(&self, attempts: &[Attempt<'_>]) -> Error {
        let told = self.tell.and_then(|i| attempts.get(i));
        let Some((attempt, failure)) = told.and_then(|a| Some((a, a.failure()?))) else {
            return Error::new(Stage::Route, Kind::BadGateway, "no provider could be asked");
        };
        let provider = &attempt.provider.id;
        let (kind, text) = match failure.class {
            Class::Credential => (
                Kind::OwnCredential,
                format!(
                    "the provider `{provider}` refused the gateway's own credential: check its `api_key`"
                ),
            ),
            Class::Money => (
                Kind::OwnCredential,
                format!("the gateway's account at the provider `{provider}` has no money left: top it up"),
            ),
            Class::Model => (
                Kind::NotFound,
                format!("the provider `{provider}` does not know the model `{}`", attempt.model),
            ),
            Class::NotOffered => {
                (Kind::NotOffered, format!("the provider `{provider}` does not offer `count_tokens`"))
            }
            Class::RateLimit => {
                (Kind::RateLimit, format!("the provider `{provider}` is at its rate limit: try again later"))
            }
            Class::Overflow => (Kind::TooLong, "prompt is too long for every provider".to_owned()),
            Class::Loop => (Kind::Loop, format!("the provider `{provider}` leads back to this gateway")),
            Class::Unable => (
                Kind::BadRequest,
                format!("the provider `{provider}` cannot be asked for all that the request holds"),
            ),
            Class::Client | Class::Field | Class::Signature => {
                (Kind::BadRequest, format!("the provider `{provider}` refused the request"))
            }
            _ => (Kind::BadGateway, format!("no provider answered ({})", attempts_text(attempts))),
        };
        let error = Error::new(Stage::Upstream, kind, text);
        match self.retry_after {
            Some(wait) if !kind.is_final() => error.after(wait),
            _ => error,
        }
    }
}

fn told(attempts: &[Attempt<'_>]) -> Option<usize> {
    let last = |wanted: fn(Failure) -> bool| attempts.iter().rposition(|a| a.failure().is_some_and(wanted));
    last(|f| {
        f.was_told()
            && !matches!(f.class, Class::Credential | Class::Money | Class::NotOffered | Class::Model)
    })
    .or_else(|| last(|f| f.class == Class::Model))
    // What no format can carry was found out here: it counts where no provider said anything.
    .or_else(|| last(|f| f.class == Class::Unable).filter(|_| last(|f| f.was_told()).is_none()))
    .or_else(|| last(|f| f.class != Class::Unable))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Exhausted, Outcome, Why, attempts_text};
    use crate::route::testing::{failure, house};

    #[test]
    fn what_is_told_when_everyone_failed() {
        let house = house("a; b standby; c standby");
        let providers = &house.snapshot.accounts[0].providers;
        for (answers, text, tell, status, after) in [
            (&["500", "429/9"][..], "a:500, b:429", Some(1), 429, Some(9)),
            (&["429/9", "connect"], "a:429, b:connect", Some(0), 429, Some(9)),
            (&["529", "401"], "a:529, b:401", Some(0), 502, None),
            (&["401", "404"], "a:401, b:404", Some(1), 404, None),
            (&["404", "401"], "a:404, b:401", Some(0), 404, None),
            (&["connect", "402"], "a:connect, b:402", Some(1), 502, None),
            (&["connect", "first_byte"], "a:connect, b:first_byte_timeout", Some(1), 502, None),
            (&["429/90", "429/5", "503/40"], "a:429, b:429, c:503", Some(2), 502, Some(5)),
            (&["429/86400"], "a:429", Some(0), 429, Some(600)),
            (&["500", "400"], "a:500, b:400", Some(1), 400, None),
            // A status of success tells nothing: the words of the other one do.
            (&["500", "empty"], "a:500, b:unreadable", Some(0), 502, None),
            (&["empty"], "a:unreadable", Some(0), 502, None),
            (&["508", "508"], "a:508, b:508", Some(1), 508, None),
            (&["overflow 9>5", "401"], "a:400, b:401", Some(0), 400, None),
            // What no format can carry is told where no provider said anything.
            (&["unable", "connect"], "a:unable, b:connect", Some(0), 400, None),
            (&["unable", "unable"], "a:unable, b:unable", Some(1), 400, None),
            (&["unable", "500"], "a:unable, b:500", Some(1), 502, None),
            (&["429/9", "unable"], "a:429, b:unable", Some(0), 429, Some(9)),
            (&["404", "unable"], "a:404, b:unable", Some(0), 404, None),
            (&["401", "unable"], "a:401, b:unable", Some(0), 502, None),
            (&[], "", None, 502, None),
        ] {
            let attempts: Vec<Attempt<'_>> = answers
                .iter()
                .zip(providers)
                .enumerate()
                .map(|(slot, (answer, provider))| Attempt {
                    provider,
                    credential: None,
                    model: "claude-x",
                    outcome: failure(answer).map_or(Outcome::Ok, Outcome::Failed),
                    slot,
                    key: None,
                })
                .collect();
            let end = Exhausted::new(Why::Asked, &attempts, None);
            let error = end.error(&attempts);
            assert_eq!(attempts_text(&attempts), text);
            assert_eq!((end.tell, error.kind.status(), error.retry_after), (tell, status, after), "{text}");
        }
    }

    #[test]
    fn the_gateways_own_credential_is_never_the_clients_fault() {
        for answer in ["401", "403", "402"] {
            let mut house = house("main");
            house.is("main", answer);
            let mut plan = house.plan("claude-x".into()).unwrap();
            let super::Next::Try(candidate) = plan.next(house.now) else { panic!() };
            plan.failed(&candidate, &failure(answer).unwrap(), house.now);
            let super::Next::Exhausted(end) = plan.next(house.now) else { panic!() };
            let error = end.error(plan.attempts());
            assert_eq!((error.kind.status(), error.kind.is_final()), (502, true), "{answer}");
            assert!(error.message.contains("`main`"), "{}", error.message);
        }
    }
}
