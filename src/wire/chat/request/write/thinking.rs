//! Whether and how much the model will think, and how that is said (wire.md 13.1).
//!
//! The client's switch, effort and budget become one level that the model takes; the provider's form of it is a trait.
//! What an earlier answer thought is `replay`'s.

use super::{Given, Request};
use crate::wire::chat::capability::Thinks;
use crate::wire::ir::{Effort, Switch};
use crate::wire::traits::EffortForm;

/// How much the model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// On, off, or not said.
    switch: Switch,
    /// As the model takes it; `None`: its own.
    effort: Option<Effort>,
    /// Whether it will think.
    pub(super) thinks: bool,
}

/// Decides the level. `off`: whatever the client says, this call goes without thinking.
pub(super) fn level(given: &Given<'_>, off: bool) -> Level {
    let asked = given.conversation.reasoning;
    let wanted = if off || asked.switch == Switch::Off {
        Some(Effort::None)
    } else {
        asked.effort.or(asked.budget.map(Effort::from_budget))
    };
    let switch = match (wanted, asked.switch) {
        (Some(Effort::None), _) => Switch::Off,
        (Some(_), _) | (None, Switch::On) => Switch::On,
        (None, switch) => switch,
    };
    let Some(model) = given.model else {
        return Level { switch, effort: fit(wanted, given.traits.efforts), thinks: switch == Switch::On };
    };
    let taken = if model.efforts.is_empty() { given.traits.efforts } else { model.efforts };
    // A model that does not think of itself has to be told how much.
    let wanted = match switch {
        Switch::On if !model.thinks_unasked => wanted.or(Some(Effort::Medium)),
        Switch::On | Switch::Off | Switch::Unsaid => wanted,
    };
    let thinks = match (model.thinks, switch) {
        (Thinks::Never, _) | (Thinks::Switchable, Switch::Off) => false,
        (Thinks::Always, _) | (Thinks::Switchable, Switch::On) => true,
        (Thinks::Switchable, Switch::Unsaid) => model.thinks_unasked,
    };
    Level { switch, effort: fit(wanted, taken), thinks }
}

fn fit(wanted: Option<Effort>, taken: &[Effort]) -> Option<Effort> {
    wanted.map(|wanted| wanted.nearest(taken).unwrap_or(wanted))
}

/// Writes the level in the provider's form.
pub(super) fn write(request: &mut Request<'_, '_>, level: Level) {
    let asked = request.given.conversation.reasoning.switch;
    let thinks = request.given.model.map(|model| model.thinks);
    if level.switch == Switch::Unsaid {
        return;
    }
    if thinks == Some(Thinks::Never) || request.given.traits.effort == EffortForm::Never {
        if asked == Switch::On {
            request.loss.add("thinking");
        }
        return;
    }
    if asked == Switch::Off && thinks == Some(Thinks::Always) {
        request.loss.add("thinking");
    }
    match request.given.traits.effort {
        EffortForm::Never => {}
        EffortForm::Word => word(request, level),
        EffortForm::Object => object(request, level),
        EffortForm::Switch | EffortForm::SwitchOnly if thinks == Some(Thinks::Always) => {
            if request.given.traits.effort == EffortForm::Switch && level.switch == Switch::On {
                word(request, level);
            }
        }
        EffortForm::SwitchOnly => switch(request, level),
        EffortForm::Switch => {
            switch(request, level);
            if level.switch == Switch::On {
                word(request, level);
            }
        }
        EffortForm::Template => {
            let on = level.switch == Switch::On;
            let value: &[u8] =
                if on { b"{\"enable_thinking\":true}" } else { b"{\"enable_thinking\":false}" };
            request.member("chat_template_kwargs", value);
        }
    }
}

fn word(request: &mut Request<'_, '_>, level: Level) {
    if request.given.model.is_some_and(|model| !model.effort) {
        return;
    }
    // A model that nobody has described may not think at all: then `none` is nothing that it knows.
    let knows_none = request.given.model.is_some() || request.given.traits.efforts.contains(&Effort::None);
    match level.effort {
        _ if level.switch == Switch::Off && !knows_none => {}
        Some(effort) => request.word("reasoning_effort", effort.word().as_bytes()),
        None => {}
    }
}

fn object(request: &mut Request<'_, '_>, level: Level) {
    let asked = request.given.conversation.reasoning;
    if !request.opens("reasoning") {
        return;
    }
    let value = match (level.switch, asked.effort, asked.budget, level.effort) {
        (Switch::On, None, Some(budget), _) => format!("{{\"max_tokens\":{budget}}}"),
        (_, _, _, Some(effort)) => format!("{{\"effort\":\"{}\"}}", effort.word()),
        (_, _, _, None) => "{\"enabled\":true}".to_owned(),
    };
    request.out.extend_from_slice(value.as_bytes());
}

fn switch(request: &mut Request<'_, '_>, level: Level) {
    let on = level.switch == Switch::On;
    request.member("thinking", if on { b"{\"type\":\"enabled\"}" } else { b"{\"type\":\"disabled\"}" });
}
