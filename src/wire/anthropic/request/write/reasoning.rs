//! Whether and how much a Claude model shall think, in the form that it takes (wire.md 13.1).
//!
//! Decided here rather than left to the shaping of the body, since a wish for an effort is met by a budget on older models
//! without loss. What the history holds is not looked at.

use crate::wire::anthropic::capability::{Capability, Thinking};
use crate::wire::anthropic::envelope::number;
use crate::wire::anthropic::thinking::{Form, budget_of, fitted};
use crate::wire::ir::{Effort, Reasoning, Switch};

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thinks {
    form: Form,
    effort: Option<&'static str>,
    /// Whether the thinking shall be shown, where that is to be said.
    shown: Option<bool>,
    /// It is less, or more, than what was wished for.
    less: bool,
}

impl Thinks {
    /// What becomes of a wish. `forced`: a tool is, which goes with no thinking; `room` is the output limit that is sent.
    pub(super) fn decide(wish: &Reasoning, known: Option<&Capability>, forced: bool, room: u64) -> Self {
        let off = wish.switch == Switch::Off || wish.effort == Some(Effort::None);
        let on = wish.switch == Switch::On || wish.effort.is_some() || wish.budget.is_some();
        match (off, on) {
            (true, _) => Self::off(known),
            (false, true) if forced => {
                let off = Self::off(known);
                Self { less: true, ..off }
            }
            (false, true) => Self::on_by(wish, known, room),
            (false, false) => Self::silent(false),
        }
    }

    /// Whether it is known to think.
    pub(super) fn on(self) -> bool {
        matches!(self.form, Form::Budget(_) | Form::Adaptive)
    }

    /// `output_config.effort`.
    pub(super) fn effort(self) -> Option<&'static str> {
        self.effort
    }

    /// Whether the wish was not met.
    pub(super) fn is_less(self) -> bool {
        self.less
    }

    /// Writes `thinking` as a further member.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let kind = match self.form {
            Form::Same | Form::Gone => return,
            Form::Budget(_) => "enabled",
            Form::Adaptive => "adaptive",
            Form::Disabled => "disabled",
            Form::BetweenTools => "between_tools",
        };
        out.extend_from_slice(b",\"thinking\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        if let Form::Budget(budget) = self.form {
            number(out, ",\"budget_tokens\":", budget);
        }
        match self.shown.filter(|_| self.on()) {
            Some(false) => out.extend_from_slice(b",\"display\":\"omitted\""),
            Some(true) => out.extend_from_slice(b",\"display\":\"summarized\""),
            None => {}
        }
        out.push(b'}');
    }

    fn silent(less: bool) -> Self {
        Self { form: Form::Gone, effort: None, shown: None, less }
    }

    fn off(known: Option<&Capability>) -> Self {
        let (form, less) = match known.map(|model| model.thinking) {
            Some(Thinking::Never) => (Form::Gone, false),
            Some(Thinking::Always) => (Form::Gone, true),
            Some(Thinking::BetweenTools) => (Form::BetweenTools, false),
            Some(Thinking::Budget | Thinking::Both | Thinking::Adaptive | Thinking::Default) | None => {
                (Form::Disabled, false)
            }
        };
        Self { form, ..Self::silent(less) }
    }

    fn on_by(wish: &Reasoning, known: Option<&Capability>, room: u64) -> Self {
        let (effort, lowered) = effort(wish, known);
        let budget = match known.map(|model| model.thinking) {
            Some(Thinking::Never) => return Self::silent(true),
            Some(Thinking::Budget) => Some(wish.budget.unwrap_or_else(|| worth(wish.effort))),
            Some(Thinking::Both) | None => wish.budget,
            Some(Thinking::Adaptive | Thinking::Default | Thinking::BetweenTools | Thinking::Always) => None,
        };
        let form = budget.map_or(Form::Adaptive, |budget| fitted(budget, Some(room)));
        // A budget shows its thinking unless told otherwise.
        let shown = wish.shown.filter(|shown| !(*shown && budget.is_some()));
        Self { form, effort, shown, less: lowered || form == Form::Gone }
    }
}

/// The word of `output_config.effort` and whether it is another level than was wished for.
fn effort(wish: &Reasoning, known: Option<&Capability>) -> (Option<&'static str>, bool) {
    let takes = |model: &Capability| !model.effort.is_empty();
    let budget_alone = known.is_none_or(|model| matches!(model.thinking, Thinking::Budget | Thinking::Both));
    let told = if budget_alone { None } else { wish.budget.map(Effort::from_budget) };
    let Some(level) = wish.effort.or(told).filter(|_| known.is_none_or(takes)) else { return (None, false) };
    let word = if level <= Effort::Low { Effort::Low } else { level }.word();
    let sent = known.map_or(word, |model| model.nearest_effort(word).unwrap_or(word));
    (Some(sent), sent != word)
}

/// The budget that an effort is worth.
fn worth(effort: Option<Effort>) -> u64 {
    match effort {
        Some(Effort::Minimal) => 1_024,
        other => budget_of(other.map(Effort::word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::anthropic::capability;

    fn sent(model: &str, wish: Reasoning, forced: bool) -> String {
        let thinks = Thinks::decide(&wish, capability::of(model), forced, 32_000);
        let mut out = Vec::new();
        thinks.write(&mut out);
        let form = String::from_utf8(out).unwrap();
        let form = form.strip_prefix(",\"thinking\":").unwrap_or("-").replace('"', "");
        format!("{form} {}{}", thinks.effort().unwrap_or("-"), if thinks.is_less() { " less" } else { "" })
    }

    #[test]
    fn a_wish_for_thinking_takes_the_form_that_the_model_knows() {
        let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
        let off = Reasoning { switch: Switch::Off, ..Reasoning::default() };
        let budget = Reasoning { switch: Switch::On, budget: Some(5_000), ..Reasoning::default() };
        let shown = Reasoning { switch: Switch::On, shown: Some(true), ..Reasoning::default() };
        for (model, wish, expected) in [
            ("claude-3-5-haiku", effort(Effort::High), "- - less"),
            ("claude-3-5-haiku", off, "- -"),
            ("claude-haiku-4-5", effort(Effort::High), "{type:enabled,budget_tokens:16000} -"),
            ("claude-haiku-4-5", effort(Effort::Minimal), "{type:enabled,budget_tokens:1024} -"),
            ("claude-haiku-4-5", effort(Effort::Max), "{type:enabled,budget_tokens:24000} -"),
            ("claude-haiku-4-5", effort(Effort::None), "{type:disabled} -"),
            ("claude-haiku-4-5", budget, "{type:enabled,budget_tokens:5000} -"),
            ("claude-haiku-4-5", shown, "{type:enabled,budget_tokens:16000} -"),
            ("claude-opus-4-5", effort(Effort::XHigh), "{type:enabled,budget_tokens:24000} high less"),
            ("claude-sonnet-4-6", effort(Effort::XHigh), "{type:adaptive} high less"),
            ("claude-sonnet-4-6", budget, "{type:enabled,budget_tokens:5000} -"),
            ("claude-opus-4-7", effort(Effort::Minimal), "{type:adaptive} low"),
            ("claude-opus-4-7", budget, "{type:adaptive} medium"),
            ("claude-opus-5", shown, "{type:adaptive,display:summarized} -"),
            ("claude-opus-5", off, "{type:disabled} -"),
            ("claude-sonnet-5-5", off, "{type:between_tools} -"),
            ("claude-opus-5-5", off, "- - less"),
            ("claude-opus-5", Reasoning::default(), "- -"),
            ("glm-4.6", effort(Effort::Minimal), "{type:adaptive} low"),
            ("glm-4.6", budget, "{type:enabled,budget_tokens:5000} -"),
            ("glm-4.6", off, "{type:disabled} -"),
        ] {
            assert_eq!(sent(model, wish, false), expected, "{model} {wish:?}");
        }
    }

    #[test]
    fn a_forced_tool_and_thinking_do_not_go_together() {
        let wish = Reasoning { effort: Some(Effort::High), ..Reasoning::default() };
        assert_eq!(sent("claude-haiku-4-5", wish, true), "{type:disabled} - less");
        assert_eq!(sent("claude-haiku-4-5", Reasoning::default(), true), "- -");
    }

    #[test]
    fn a_budget_without_room_is_no_thinking() {
        let wish = Reasoning { effort: Some(Effort::High), ..Reasoning::default() };
        let thinks = Thinks::decide(&wish, capability::of("claude-haiku-4-5"), false, 1_000);
        assert!(!thinks.on() && thinks.is_less());
    }
}
