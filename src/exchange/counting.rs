//! How many tokens a request has, where the provider does not count: an estimate that learns from the usage of answers.
//!
//! Asked for `count_tokens` only; what answers tell is learnt of requests that could have been counted. Knows no format:
//! what a request is made of is measured by `wire`, what was learnt lies in [`crate::learn`].

use super::asking::Asking;
use super::attempt::{Said, Stop};
use super::story::Story;
use crate::config::snapshot::Provider;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::http::Fields;
use crate::upstream::provider::entry::entry;
use crate::wire::tokens::Measure;
use crate::wire::{Call as Which, Dialect, counted_as, translate};

/// The answer to a request for a count that nobody is asked for.
pub fn estimate(
    gateway: &Gateway,
    asking: &Asking<'_>,
    story: &mut Story,
    provider: &Provider,
    model: &str,
) -> Result<Said, Stop> {
    let tokens = measure(asking)?.tokens(gateway.learned.factor(&provider.stable, model));
    story.estimated(tokens);
    Ok(Said { status: 200, fields: Fields::default(), body: counted_as(tokens), ours: true })
}

/// Whether the provider counts no tokens, so that nobody need be asked.
pub fn is_ours(which: Which, provider: &Provider) -> bool {
    which == Which::CountTokens && entry(provider.kind).dialect != Dialect::Messages
}

/// Learns from an answer of a model whose tokens are estimated here. The first requests count most, later ones are
/// looked at now and then: it takes a look through the whole body.
pub fn learn(gateway: &Gateway, asking: &Asking<'_>, story: &Story, provider: &Provider, model: &str) {
    let counts = asking.which == Which::Messages && entry(provider.kind).dialect != Dialect::Messages;
    let Some(actual) = story.input_told().filter(|_| counts) else { return };
    if gateway.learned.is_due(&provider.stable, model)
        && let Ok(measure) = measure(asking)
    {
        gateway.learned.saw(&provider.stable, model, &measure, actual);
    }
}

fn measure(asking: &Asking<'_>) -> Result<Measure, Error> {
    translate::measure(asking.ask)
}
