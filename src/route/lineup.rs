//! Who may be asked for a request at all, as which model, and why the others are left out.
//!
//! Looks at the configuration only: what rests is `plan`'s matter, because a rest may be over before the next attempt.

use std::fmt;

use super::Want;
use super::pins::{Asked, Pin, is_preferred};
use super::table::Seats;
use crate::auth::Caller;
use crate::config::snapshot::{Account, Models, Provider};
use crate::error::{Error, Kind, Stage};
use crate::govern::access::{bare, listed};

/// One provider that may be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    /// Index into the account's providers.
    pub at: usize,
    /// As which model it is asked, without `[1m]`.
    pub model: &'a str,
    /// The client, its alias or the configuration names that model with `[1m]`.
    pub context_1m: bool,
    /// The configuration names that model with `[1m]`: whatever it is, it has that window.
    pub marked: bool,
    /// The window of a million tokens is asked for, by `[1m]` or by the beta itself.
    pub large: bool,
    pub tier: Tier,
    pub state: State,
}

impl Slot<'_> {
    /// The window of its model in tokens, as far as it is known. `known` is [`Want::window`].
    pub fn window(&self, known: fn(&str) -> Option<u64>) -> Option<u64> {
        let plain = known(self.model);
        // To ask a model for a large window that nobody knows it to have does not give it one.
        let large = self.marked || (self.large && plain.is_some());
        if large { known(&format!("{}[1m]", self.model)) } else { plain }
    }
}

/// How a provider fared in this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It may be asked.
    Open,
    /// It failed; only asked again where it is alone.
    Failed,
    /// Asking again cannot help.
    Hopeless,
}

/// Groups that follow one another in failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Its `model` is what the client named.
    Preferred,
    Usual,
    Standby,
}

/// A provider that is not asked, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// Why.
    pub reason: Reason,
}

/// Why a provider is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `enabled: false`.
    Disabled,
    /// The request is pinned to another one.
    Pinned,
    /// The key may not use it.
    NotAllowed,
    /// Weight 0: only by a pin.
    NoWeight,
    /// Its `models` do not offer the model.
    NotOffered,
    /// None of its keys may be used for the model.
    NoKey,
    /// Embeddings are asked for, and it has none.
    NoEmbeddings,
    /// The request holds images, and it takes none.
    NoImages,
    /// The conversation does not fit the model's window, in tokens.
    Window(u64),
    /// The conversation did not fit a window of at least this many tokens, and this model's holds no more.
    NoLarger(u64),
    /// The conversation fits no known smaller window, and this model's is not known.
    WindowUnknown,
    /// It rests, for so many milliseconds more.
    Rests(super::health::Cause, u64),
    /// Another request is finding out whether it works again.
    Probed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::Pinned => f.write_str("the request is pinned to another provider"),
            Self::NotAllowed => f.write_str("the key may not use it"),
            Self::NoWeight => f.write_str("weight 0: asked only by a pin"),
            Self::NotOffered => f.write_str("its `models` do not offer the model"),
            Self::NoKey => f.write_str("none of its keys may be used for the model"),
            Self::NoEmbeddings => f.write_str("it offers no embeddings"),
            Self::NoImages => f.write_str("it takes no images"),
            Self::Window(tokens) => write!(f, "the conversation does not fit its window of {tokens} tokens"),
            Self::NoLarger(tokens) => {
                write!(f, "its window of {tokens} tokens is no larger than the one that was too small")
            }
            Self::WindowUnknown => f.write_str("its model's window is not known to be larger"),
            Self::Rests(cause, ms) => write!(f, "rests for {} s more: {}", ms.div_ceil(1000), cause.word()),
            Self::Probed => f.write_str("another request is finding out whether it works again"),
        }
    }
}

/// Those that may be asked, in order of tier and weight.
pub(super) struct Lineup<'a> {
    pub slots: Vec<Slot<'a>>,
    pub left_out: Vec<LeftOut<'a>>,
}

/// Sifts an account's providers.
pub(super) fn lineup<'a>(
    account: &'a Account,
    seats: &Seats,
    caller: &Caller,
    asked: &Asked<'a>,
    want: &Want<'a>,
) -> Result<Lineup<'a>, Error> {
    let mut slots = Vec::with_capacity(seats.order.len());
    let mut left_out = Vec::new();
    for &at in &seats.order {
        let Some(provider) = account.providers.get(at) else { continue };
        match sift(provider, at, caller, asked, want) {
            Ok(slot) => slots.push(slot),
            Err(reason) => left_out.push(LeftOut { provider: &provider.id, reason }),
        }
    }
    if slots.is_empty() {
        return Err(nobody(account, caller, asked, &left_out));
    }
    if asked.pin == Pin::Preferred {
        slots.sort_by_key(|s| s.tier);
    }
    blind(account, want, &mut slots, &mut left_out);
    too_small(account, want, &mut slots, &mut left_out);
    Ok(Lineup { slots, left_out })
}

fn sift<'a>(
    provider: &'a Provider,
    at: usize,
    caller: &Caller,
    asked: &Asked<'a>,
    want: &Want<'a>,
) -> Result<Slot<'a>, Reason> {
    let pinned = match asked.pin {
        Pin::Provider(only) if only != at => return Err(Reason::Pinned),
        Pin::Kind(only) if only != provider.kind => return Err(Reason::Pinned),
        Pin::Provider(_) | Pin::Kind(_) => true,
        Pin::None | Pin::Preferred => false,
    };
    let preferred = asked.pin == Pin::Preferred && is_preferred(provider, asked.model);
    let tier = match (preferred, provider.standby) {
        (true, _) => Tier::Preferred,
        (false, true) => Tier::Standby,
        (false, false) => Tier::Usual,
    };
    if !provider.enabled {
        return Err(Reason::Disabled);
    }
    if want.embeddings && !(want.traits)(provider.kind).embeddings {
        return Err(Reason::NoEmbeddings);
    }
    if tier == Tier::Usual && !pinned && provider.weight <= 0.0 {
        return Err(Reason::NoWeight);
    }
    let model = if pinned { Some(asked.model) } else { sent(provider, asked.model) };
    let (model, marked) = bare(model.ok_or(Reason::NotOffered)?);
    let context_1m = marked || asked.context_1m;
    let large = want.large_context || context_1m || has_large_context(provider);
    let credentials = &provider.credentials;
    if !credentials.is_empty() && !credentials.iter().any(|c| serves(&c.models, model)) {
        return Err(Reason::NoKey);
    }
    // Last, so that this reason means that the provider would do otherwise.
    match &caller.allow().providers {
        Some(allowed) if !allowed.contains(&provider.id) => Err(Reason::NotAllowed),
        _ => Ok(Slot { at, model, context_1m, marked, large, tier, state: State::Open }),
    }
}

/// Whether its `headers` ask for the window of a million tokens.
fn has_large_context(provider: &Provider) -> bool {
    provider.headers.iter().any(|(name, value)| name == "anthropic-beta" && value.expose().contains(LARGE))
}

/// The model that a provider is asked for, if it offers it.
fn sent<'a>(provider: &'a Provider, asked: &'a str) -> Option<&'a str> {
    match &provider.models {
        Models::AsAsked => Some(asked),
        Models::One(model) => Some(model),
        Models::Map(map) => {
            let (_, model) = map.iter().find(|(pattern, _)| pattern.matches(asked))?;
            Some(if model == "*" { asked } else { model })
        }
    }
}

/// Whether a key with these patterns may be used for a model.
pub(super) fn serves(models: &[crate::config::pattern::Pattern], model: &str) -> bool {
    models.is_empty() || models.iter().any(|p| p.matches(model))
}

/// Leaves out those who take no images, unless that would leave nobody: they can do the rest.
fn blind<'a>(
    account: &'a Account,
    want: &Want<'a>,
    slots: &mut Vec<Slot<'a>>,
    left_out: &mut Vec<LeftOut<'a>>,
) {
    let takes_none = |slot: &Slot<'_>| {
        account.providers.get(slot.at).is_some_and(|provider| !(want.traits)(provider.kind).images)
    };
    // Last, since it takes a look through the whole body.
    if slots.iter().any(takes_none) && (want.images)() {
        sort_out(account, slots, left_out, |slot, _| takes_none(slot).then_some(Reason::NoImages));
    }
}

/// Leaves out those whose window is known to be too small, unless that would leave nobody: the provider's own refusal
/// is then the better answer, because the client knows its wording.
fn too_small<'a>(
    account: &'a Account,
    want: &Want<'a>,
    slots: &mut Vec<Slot<'a>>,
    left_out: &mut Vec<LeftOut<'a>>,
) {
    let Some(needed) = want.context_needed else { return };
    let small = |slot: &Slot<'_>| slot.window(want.window).filter(|&window| window < needed);
    sort_out(account, slots, left_out, |slot, _| small(slot).map(Reason::Window));
}

/// Leaves out everyone against whom there is a reason, or nobody if there is one against all.
fn sort_out<'a>(
    account: &'a Account,
    slots: &mut Vec<Slot<'a>>,
    left_out: &mut Vec<LeftOut<'a>>,
    against: impl Fn(&Slot<'a>, &'a Provider) -> Option<Reason>,
) {
    let reason = |slot: &Slot<'a>| {
        let provider = account.providers.get(slot.at)?;
        Some(LeftOut { provider: &provider.id, reason: against(slot, provider)? })
    };
    if slots.iter().all(|slot| reason(slot).is_some()) {
        return;
    }
    slots.retain(|slot| {
        let reason = reason(slot);
        left_out.extend(reason);
        reason.is_none()
    });
}

/// Why nobody is left, with what to do about it.
fn nobody(account: &Account, caller: &Caller, asked: &Asked<'_>, left_out: &[LeftOut<'_>]) -> Error {
    let relevant = || left_out.iter().filter(|l| l.reason != Reason::Pinned);
    let has = |reason: Reason| relevant().any(|l| l.reason == reason);
    let model = asked.model;
    let (kind, text) = if has(Reason::NotAllowed) {
        let allowed = caller.allow().providers.iter().flatten().map(String::as_str);
        let text = format!(
            "the virtual key `{}` may not use a provider that serves `{model}`: it may use {}",
            caller.key(),
            listed(allowed),
        );
        (Kind::Forbidden, text)
    } else if has(Reason::NotOffered) || has(Reason::NoKey) {
        let text = format!("no provider of the account `{}` offers the model `{model}`", account.id);
        (Kind::NotFound, text)
    } else if has(Reason::NoEmbeddings) {
        let text = format!("no provider of the account `{}` offers embeddings for `{model}`", account.id);
        (Kind::NotOffered, text)
    } else if matches!(asked.pin, Pin::Provider(_) | Pin::Kind(_)) {
        (Kind::NotFound, format!("`{}` names a provider that is disabled", asked.named))
    } else {
        let text = format!("no provider of the account `{}` can be asked for `{model}`", account.id);
        (Kind::Unavailable, text)
    };
    let reasons: Vec<String> = relevant().map(|l| format!("`{}`: {}", l.provider, l.reason)).collect();
    let reasons = if reasons.is_empty() { "it has none".to_owned() } else { reasons.join("; ") };
    Error::new(Stage::Route, kind, format!("{text} ({reasons})"))
}

/// The beta for the window of a million tokens, without its date.
const LARGE: &str = "context-1m-";
