//! What a key may use: surfaces and models. An [`Entry`] is the proof that it was looked at.
//!
//! Providers are not looked at here: `route` leaves the ones out that the key may not use, because another one may do.
//! Reads no clock and counts nothing.

use crate::auth::{Caller, Surface};
use crate::config::snapshot::Snapshot;
use crate::error::{Error, Kind, Stage};

/// Proof that a caller may use a surface and a model. Made by [`enter`] only; `route::plan` needs it.
#[derive(Clone, Debug)]
pub struct Entry(Caller);

impl Entry {
    /// Who was let in.
    pub fn caller(&self) -> &Caller {
        &self.0
    }
}

/// Lets a caller in, or says what it may use. `model` is what the client asks for (a `[1m]` at its end does not count);
/// `None` for requests without one, such as a list of models.
pub fn enter(
    snapshot: &Snapshot,
    caller: &Caller,
    surface: Surface,
    model: Option<&str>,
) -> Result<Entry, Error> {
    if caller.account() >= snapshot.accounts.len() {
        return Err(Error::new(
            Stage::Govern,
            Kind::Internal,
            "the key's account is gone; send the request again",
        ));
    }
    surface_allowed(caller, surface)?;
    if let Some(model) = model {
        model_allowed(caller, bare(model).0)?;
    }
    Ok(Entry(caller.clone()))
}

fn surface_allowed(caller: &Caller, surface: Surface) -> Result<(), Error> {
    match &caller.allow().surfaces {
        // What the gateway itself tells a key about its own use is nobody's API.
        Some(allowed) if surface != Surface::Own && !allowed.iter().any(|s| s == surface.word()) => {
            Err(forbidden(format!(
                "the virtual key `{}` may not use the {} API: it may use {}",
                caller.key(),
                surface.word(),
                listed(allowed.iter().map(String::as_str)),
            )))
        }
        _ => Ok(()),
    }
}

fn model_allowed(caller: &Caller, model: &str) -> Result<(), Error> {
    match &caller.allow().models {
        Some(allowed) if !allowed.iter().any(|p| p.matches(model)) => Err(forbidden(format!(
            "the virtual key `{}` may not use the model `{model}`: it may use {}",
            caller.key(),
            listed(allowed.iter().map(crate::config::pattern::Pattern::as_str)),
        ))),
        _ => Ok(()),
    }
}

/// A model's name without the `[1m]` that Claude Code puts behind it, and whether that was there.
pub fn bare(model: &str) -> (&str, bool) {
    match model.len().checked_sub(MILLION.len()).and_then(|at| model.split_at_checked(at)) {
        Some((name, end)) if end.eq_ignore_ascii_case(MILLION) => (name, true),
        _ => (model, false),
    }
}

/// Names for a message: `` `a`, `b` ``, or `nothing`.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for name in names {
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(comma);
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

fn forbidden(message: String) -> Error {
    Error::new(Stage::Govern, Kind::Forbidden, message)
}

const MILLION: &str = "[1m]";

#[cfg(test)]
mod tests {
    use super::{bare, enter, listed};
    use crate::auth::{Keys, Surface};
    use crate::route::testing::read;

    fn entered(allow: &str, surface: Surface, model: Option<&str>) -> String {
        let text = format!(
            "accounts: [{{ id: acc, providers: [{{ id: a, type: mock }}] }}]\n\
             virtual_keys: [{{ id: dev, key: secret{allow} }}]"
        );
        let snapshot = read(&text);
        let Some(caller) = Keys::new(&snapshot).by_id("dev") else { return "nobody".to_owned() };
        match enter(&snapshot, &caller, surface, model) {
            Ok(entry) => entry.caller().key().to_owned(),
            Err(e) => format!("{} {}", e.kind.status(), e.message),
        }
    }

    #[test]
    fn a_key_may_use_what_its_allow_names() {
        let models = ", allow: { models: [\"claude-*\", \"bedrock/*\", tiny] }";
        let surfaces = ", allow: { surfaces: [anthropic, openai] }";
        for (allow, surface, model, expected) in [
            ("", Surface::Gemini, Some("anything"), true),
            (models, Surface::Anthropic, Some("claude-sonnet-4-5"), true),
            (models, Surface::Anthropic, Some("claude-sonnet-4-5[1m]"), true),
            (models, Surface::Anthropic, Some("bedrock/claude-x"), true),
            (models, Surface::Anthropic, Some("tiny"), true),
            (models, Surface::Anthropic, Some("tiny[1m]"), true),
            (models, Surface::Anthropic, Some("tiny2"), false),
            (models, Surface::Anthropic, Some("openai/claude-x"), false),
            (models, Surface::Anthropic, Some("Claude-x"), false),
            (models, Surface::Anthropic, Some(""), false),
            (models, Surface::Anthropic, None, true),
            (surfaces, Surface::Anthropic, Some("m"), true),
            (surfaces, Surface::OpenAi, None, true),
            (surfaces, Surface::Gemini, Some("m"), false),
            (surfaces, Surface::Own, None, true),
        ] {
            let told = entered(allow, surface, model);
            assert_eq!(told == "dev", expected, "{allow} {surface:?} {model:?}: {told}");
            assert!(expected || told.starts_with("403 the virtual key `dev` may not use"), "{told}");
        }
    }

    #[test]
    fn a_refusal_says_what_may_be_used() {
        let told = entered(", allow: { models: [\"claude-*\", tiny] }", Surface::Anthropic, Some("gpt-4o"));
        assert_eq!(
            told,
            "403 the virtual key `dev` may not use the model `gpt-4o`: it may use `claude-*`, `tiny`"
        );
    }

    #[test]
    fn the_long_context_mark_is_taken_off_once() {
        for (model, expected) in [
            ("claude-x[1m]", ("claude-x", true)),
            ("claude-x[1M]", ("claude-x", true)),
            ("claude-x", ("claude-x", false)),
            ("[1m]", ("", true)),
            ("1m]", ("1m]", false)),
            ("é[1m]", ("é", true)),
            ("éé", ("éé", false)),
            ("", ("", false)),
        ] {
            assert_eq!(bare(model), expected, "{model}");
        }
    }

    #[test]
    fn names_are_listed() {
        assert_eq!(listed([].into_iter()), "nothing");
        assert_eq!(listed(["a", "b"].into_iter()), "`a`, `b`");
    }
}
