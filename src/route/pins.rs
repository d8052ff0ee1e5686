//! What a model's name asks for: aliases first, then pins (`PROVIDER/MODEL`), then the bare name.
//!
//! Knows nothing of health and weights; whether the pinned provider may be asked is `lineup`'s.

use super::Want;
use crate::auth::Surface;
use crate::config::snapshot::{Account, Kind, Models, Provider, Snapshot};
use crate::error::{Error, Kind as ErrorKind, Stage};
use crate::govern::access::{bare, listed};

/// A model's name, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What the client named, without `[1m]`.
    pub named: &'a str,
    /// The model, without the pin in front.
    pub model: &'a str,
    /// `[1m]` stood at the end of what the client named, or of what its alias stands for.
    pub context_1m: bool,
    /// Whether an alias was resolved.
    pub alias: bool,
    /// Who is asked.
    pub pin: Pin,
}

/// Who is asked, as far as the name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Anyone.
    None,
    /// Anyone, but first the providers whose `model` this is.
    Preferred,
    /// Only the provider with this index.
    Provider(usize),
    /// Only the providers of this type.
    Kind(Kind),
}

/// Resolves the name that a client asked for. `slashes`: model names of the account may hold slashes, so that an unknown
/// pin may be part of one.
pub fn resolve<'a>(
    snapshot: &'a Snapshot,
    account: &'a Account,
    slashes: bool,
    want: &Want<'a>,
) -> Result<Asked<'a>, Error> {
    let (named, million) = bare(want.model);
    let alias = snapshot.aliases.iter().find(|a| a.name == want.model || a.name == named);
    let (target, context_1m) = match alias {
        Some(alias) => {
            let (target, also) = bare(&alias.target);
            (target, million || also)
        }
        None => (named, million),
    };
    let asked = Asked { named, model: target, context_1m, alias: alias.is_some(), pin: Pin::None };
    if let Some((pin, model)) = pinned(account, slashes, target)? {
        return Ok(Asked { model, pin, ..asked });
    }
    let preferred = want.surface == Surface::Anthropic
        && !target.starts_with("claude")
        && account.providers.iter().any(|p| is_preferred(p, target));
    Ok(Asked { pin: if preferred { Pin::Preferred } else { Pin::None }, ..asked })
}

/// Whether a bare name is the `model` of a provider.
pub fn is_preferred(provider: &Provider, name: &str) -> bool {
    matches!(&provider.models, Models::One(model) if model == name)
}

fn pinned<'a>(account: &Account, slashes: bool, name: &'a str) -> Result<Option<(Pin, &'a str)>, Error> {
    let Some((word, model)) = name.split_once('/') else { return Ok(None) };
    let pin = if let Some((at, model)) = by_id(account, name) {
        Some((Pin::Provider(at), model))
    } else if let Some(p) = account.providers.iter().find(|p| p.kind.word() == word) {
        Some((Pin::Kind(p.kind), model))
    } else if !slashes && Kind::words().any(|known| known == word) {
        // A type that the account does not have, and not a part of a model's name.
        return Err(no_such_type(account, word));
    } else {
        None
    };
    match pin {
        Some((_, "")) => Err(Error::new(
            Stage::Route,
            ErrorKind::NotFound,
            format!("the model `{name}` names a provider but no model: write `{name}MODEL`"),
        )),
        pin => Ok(pin),
    }
}

/// The provider whose id stands in front of a slash (ids may hold slashes themselves; the longest one counts).
fn by_id<'a>(account: &Account, name: &'a str) -> Option<(usize, &'a str)> {
    let rest = |p: &Provider| name.strip_prefix(p.id.as_str()).and_then(|r| r.strip_prefix('/'));
    let hits = account.providers.iter().enumerate().filter_map(|(at, p)| Some((at, rest(p)?)));
    hits.min_by_key(|(_, model)| model.len())
}

fn no_such_type(account: &Account, word: &str) -> Error {
    let enabled = || account.providers.iter().filter(|p| p.enabled);
    let mut types: Vec<&str> = enabled().map(|p| p.kind.word()).collect();
    types.sort_unstable();
    types.dedup();
    Error::new(
        Stage::Route,
        ErrorKind::NotFound,
        format!(
            "the account `{}` has no provider of type `{word}`: it has the providers {} and the types {}",
            account.id,
            listed(enabled().map(|p| p.id.as_str())),
            listed(types.into_iter()),
        ),
    )
}
