//! The form of `thinking` that a model takes: a budget, adaptive, or off.
//!
//! What a client asked for is read, and what its model takes is decided, as values; `shape` makes the edits. A form is
//! only changed where the model would refuse it. Whether the history holds the thinking that a budget demands is
//! `history`'s to find out.

use super::capability::{Capability, Thinking};
use super::request::{Ask, member_of};
use crate::json::{Member, text};

/// What the client asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The member itself.
    pub(super) member: Member,
    /// `type`.
    pub(super) kind: Kind,
    /// `budget_tokens` with its place.
    pub(super) budget: Option<(Member, u64)>,
    /// `display`.
    pub(super) display: Option<Member>,
    /// `block_binding`.
    pub(super) binding: Option<Member>,
}

/// The values of `thinking.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Enabled,
    Adaptive,
    Disabled,
    BetweenTools,
    /// Something newer than this module.
    Unknown,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Stays as it is.
    Same,
    /// Left out: the model's default, or off.
    Gone,
    /// `enabled` with this budget.
    Budget(u64),
    /// `adaptive`.
    Adaptive,
    /// `disabled`.
    Disabled,
    /// `between_tools`.
    BetweenTools,
}

/// Whether the model will think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// The request says so.
    On,
    /// The request says that it shall not.
    Off,
    /// The request says nothing; what the model does then, if that is known.
    Default(Option<bool>),
}

impl Thinks {
    /// Whether it is known to.
    pub(super) fn at_all(self) -> bool {
        matches!(self, Self::On | Self::Default(Some(true)))
    }
}

impl Asked {
    /// Reads `thinking`; `None` if it is absent, `null`, or no object with a `type`.
    pub(super) fn read(ask: &Ask<'_>) -> Option<Self> {
        let (body, member) = (ask.body, ask.thinking?);
        let inner = |name| member_of(body, member.value, name);
        let kind = match text::string(inner("type")?.value.of(body))?.as_ref() {
            "enabled" => Kind::Enabled,
            "adaptive" => Kind::Adaptive,
            "disabled" => Kind::Disabled,
            "between_tools" => Kind::BetweenTools,
            _ => Kind::Unknown,
        };
        let budget = inner("budget_tokens").and_then(|at| Some((at, text::count(at.value.of(body))?)));
        Some(Self { member, kind, budget, display: inner("display"), binding: inner("block_binding") })
    }

    /// The form that `model` takes. `effort` is the client's, `room` the output limit that is sent.
    pub(super) fn form(&self, model: &Capability, effort: Option<&str>, room: Option<u64>) -> Form {
        match (self.kind, model.thinking) {
            (Kind::Enabled | Kind::Adaptive | Kind::BetweenTools, Thinking::Never)
            | (Kind::Disabled | Kind::BetweenTools, Thinking::Always) => Form::Gone,
            (Kind::Adaptive, Thinking::Budget) => fitted(budget_of(effort), room),
            (
                Kind::Enabled,
                Thinking::Adaptive | Thinking::Default | Thinking::BetweenTools | Thinking::Always,
            ) => Form::Adaptive,
            (Kind::Disabled, Thinking::BetweenTools) => Form::BetweenTools,
            (
                Kind::BetweenTools,
                Thinking::Budget | Thinking::Both | Thinking::Adaptive | Thinking::Default,
            ) => Form::Disabled,
            (Kind::Enabled, Thinking::Budget | Thinking::Both)
            | (
                Kind::Adaptive,
                Thinking::Both
                | Thinking::Adaptive
                | Thinking::Default
                | Thinking::BetweenTools
                | Thinking::Always,
            )
            | (
                Kind::Disabled,
                Thinking::Never | Thinking::Budget | Thinking::Both | Thinking::Adaptive | Thinking::Default,
            )
            | (Kind::BetweenTools, Thinking::BetweenTools)
            | (Kind::Unknown, _) => Form::Same,
        }
    }

    /// The same form with a budget that lies below the output limit, where only our lowering of the limit made it too
    /// large. (With interleaved thinking a client may ask for more than the limit; that stays.)
    pub(super) fn within(&self, form: Form, before: Option<u64>, room: Option<u64>) -> Form {
        match (form, self.budget, before) {
            (Form::Same, Some((_, budget)), Some(before))
                if self.kind == Kind::Enabled
                    && budget < before
                    && room.is_some_and(|room| budget >= room) =>
            {
                fitted(budget, room)
            }
            _ => form,
        }
    }

    /// Whether this form demands that the history holds its thinking (wire.md 13.4).
    pub(super) fn demands_history(&self, form: Form) -> bool {
        matches!(form, Form::Budget(_)) || (form == Form::Same && self.kind == Kind::Enabled)
    }

    /// Whether this form says `enabled` or `adaptive`; `None` where it leaves that to the model.
    pub(super) fn is_on(&self, form: Form) -> Option<bool> {
        match (form, self.kind) {
            (Form::Budget(_) | Form::Adaptive, _) | (Form::Same, Kind::Enabled | Kind::Adaptive) => {
                Some(true)
            }
            (Form::Disabled | Form::BetweenTools, _) | (Form::Same, Kind::Disabled | Kind::BetweenTools) => {
                Some(false)
            }
            (Form::Gone, _) | (Form::Same, Kind::Unknown) => None,
        }
    }
}

/// A budget that leaves at least a quarter of the output for the answer; no thinking where that is too little for any.
pub(super) fn fitted(budget: u64, room: Option<u64>) -> Form {
    let most = room.map_or(u64::MAX, |room| room - room / 4);
    match budget.min(most) {
        too_small if too_small < LEAST_BUDGET => Form::Gone,
        budget => Form::Budget(budget),
    }
}

/// The budget that an effort is worth (wire.md 13.1); without one, that of `high`, which is the default.
pub(super) fn budget_of(effort: Option<&str>) -> u64 {
    match effort {
        Some("low") => 2_048,
        Some("medium") => 8_192,
        Some("xhigh") => 24_000,
        Some("max") => 31_999,
        _ => 16_000,
    }
}

/// The API's own minimum (wire.md 1.2).
const LEAST_BUDGET: u64 = 1_024;
