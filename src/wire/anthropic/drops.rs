//! What is left out of a request, and the `anthropic-beta` header that goes with the rest.
//!
//! A beta and its fields travel as a pair: the API refuses one without the other (wire.md 9.1). So whatever takes one of
//! them out takes the other too, in both directions, before any edit is made. Makes no edits itself.

use super::capability::{Capability, Management, Thinking};
use super::repair::{Beta, Field};
use crate::wire::Loss;

/// A set of fields, and of betas by their families: their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drops(u64);

impl Drops {
    /// What was refused before.
    pub(super) fn remembered(repairs: u64) -> Self {
        let mut drops = Self(repairs);
        drops.add_parts();
        drops
    }

    /// What a model does not take.
    pub(super) fn add_untaken(&mut self, model: &Capability) {
        let beta = |name: &str| Field::Beta(Beta::of(name));
        for (field, taken) in [
            (Field::Effort, !model.effort.is_empty()),
            (Field::OutputFormat, model.formats),
            (Field::LegacyFormat, model.formats),
            (Field::TaskBudget, model.task_budget),
            (Field::ContextManagement, model.management != Management::None),
            (beta("compact"), model.management == Management::Compact),
            (Field::Speed, model.fast),
            (Field::ToolDefer, model.tool_search),
            (Field::SystemRole, model.system_role),
            (Field::MessageConfig, model.turn_control),
            (beta("mid-conversation-tool-changes"), model.tool_changes),
            (beta("thinking-display-updates"), model.updates),
            (Field::ThinkingBinding, model.binding),
            (beta("interleaved-thinking"), model.thinking != Thinking::Never),
            (beta("thinking-token-count"), model.thinking != Thinking::Never),
            (beta("context-1m"), model.takes_large_context()),
        ] {
            if !taken {
                self.add(field);
            }
        }
        self.add_parts();
    }

    /// Takes the other half of each pair out too. `betas` is the client's header: a field that is taken without a beta
    /// stays where the client did not send one.
    pub(super) fn pair(&mut self, betas: &str) {
        loop {
            let before = *self;
            self.pair_once(betas);
            self.add_parts();
            // Each round adds a bit or is the last; a chain is at most a few pairs long.
            if *self == before {
                return;
            }
        }
    }

    fn pair_once(&mut self, betas: &str) {
        for beta in values(betas).map(Beta::of) {
            let fields = fields_of(beta);
            if self.takes_out(beta) {
                for field in fields {
                    self.add(*field);
                }
            } else if !fields.is_empty() && fields.iter().all(|field| self.has(*field)) {
                self.add(Field::Beta(beta));
            }
        }
    }

    /// Adds what cannot stay without what goes already.
    fn add_parts(&mut self) {
        for (whole, part) in PARTS {
            if self.has(*whole) {
                self.add(*part);
            }
        }
        // A display of updates becomes a summary where its beta is refused, so this holds in one direction only.
        if self.has(Field::ThinkingDisplay) {
            self.add(Field::Beta(Beta::of("thinking-display-updates")));
        }
        if self.has(Field::SystemRole) {
            self.add(Field::Beta(Beta::of("mid-conversation-tool-changes")));
        }
    }

    /// Adds one field.
    pub(super) fn add(&mut self, field: Field) {
        self.0 |= field.bit();
    }

    /// Whether a field goes.
    pub(super) fn has(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Whether a beta goes, alone or with all others.
    pub(super) fn takes_out(self, beta: Beta) -> bool {
        self.has(Field::Betas) || self.has(Field::Beta(beta))
    }

    /// All fields that go; betas are not among them.
    pub(super) fn fields(self) -> impl Iterator<Item = Field> {
        Field::all().filter(move |field| self.has(*field))
    }

    /// The header to send: as it came where nothing goes and nothing is added, else the values that stay. `None`: no
    /// header. `refused` are the repairs that the provider asked for, `loss` holds the fields that went.
    pub(super) fn header(
        self,
        came: Option<&str>,
        added: Option<&str>,
        refused: u64,
        loss: &mut Loss,
    ) -> Option<String> {
        let betas = came.unwrap_or_default();
        let added = added.filter(|new| !values(betas).any(|value| Beta::of(value) == Beta::of(new)));
        let gone = |value: &&str| self.takes_out(Beta::of(value));
        if added.is_none() && !values(betas).any(|value| gone(&value)) {
            return came.map(str::to_owned);
        }
        let told = values(betas).filter(gone).filter(|value| is_loss(Beta::of(value), refused, loss));
        let names: Vec<String> = told.map(|value| format!("anthropic-beta:{value}")).collect();
        for name in names {
            loss.add(name);
        }
        let kept: Vec<&str> = values(betas).filter(|value| !gone(value)).chain(added).collect();
        (!kept.is_empty()).then(|| kept.join(","))
    }
}

/// Whether it matters that a beta goes.
///
/// Header and field travel as a pair (wire.md 9.1), so a beta that has fields matters with them: where the request lost
/// one. Without such a field the request asked for nothing that the beta allows. A beta without fields works by the
/// header alone: where the model has nothing that it could change (a model that never thinks, a window that is what it
/// is) nothing is lost; where the provider refused it, that is not known, so it is told.
fn is_loss(beta: Beta, refused: u64, loss: &Loss) -> bool {
    match fields_of(beta) {
        [] => Drops(refused).takes_out(beta),
        fields => fields.iter().any(|field| loss.names().any(|name| name == field.name())),
    }
}

/// The fields that exist by a beta.
fn fields_of(beta: Beta) -> &'static [Field] {
    PAIRS.iter().find(|(name, _)| *name == beta.name()).map_or(&[], |(_, fields)| fields)
}

/// The values of a header's lines.
fn values(betas: &str) -> impl Iterator<Item = &str> {
    betas.split(',').map(str::trim).filter(|value| !value.is_empty())
}

/// Fields that go with another: that holds them, or that is their newer spelling.
const PARTS: &[(Field, Field)] = &[
    (Field::OutputConfig, Field::Effort),
    (Field::OutputConfig, Field::OutputFormat),
    (Field::OutputConfig, Field::TaskBudget),
    (Field::OutputFormat, Field::LegacyFormat),
    (Field::Thinking, Field::ThinkingDisplay),
    (Field::Thinking, Field::ThinkingBinding),
    (Field::SystemRole, Field::MessageConfig),
    (Field::CacheMarks, Field::CacheScope),
    (Field::CacheMarks, Field::CacheTtl),
];

/// Betas without their dates, and the fields that exist by them. A beta stays while any of its fields does. Not among
/// them is what became general under a beta's name and is taken without it, but for what Claude Code sends as a pair.
const PAIRS: &[(&str, &[Field])] = &[
    ("effort", &[Field::Effort]),
    ("context-management", &[Field::ContextManagement]),
    ("fast-mode", &[Field::Speed]),
    ("mid-conversation-system", &[Field::SystemRole]),
    ("per-turn-control", &[Field::MessageConfig]),
    ("mid-conversation-output-config", &[Field::MessageConfig]),
    ("structured-outputs", &[Field::OutputFormat, Field::LegacyFormat]),
    ("task-budgets", &[Field::TaskBudget]),
    ("thinking-binding-controls", &[Field::ThinkingBinding]),
    ("prompt-caching-scope", &[Field::CacheScope]),
    ("extended-cache-ttl", &[Field::CacheTtl]),
    ("advanced-tool-use", &[Field::ToolDefer, Field::ToolExamples, Field::ToolCallers]),
    ("tool-search-tool", &[Field::ToolDefer]),
    ("tool-examples", &[Field::ToolExamples]),
    ("fine-grained-tool-streaming", &[Field::ToolEager]),
    ("mcp-client", &[Field::McpServers]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::anthropic::capability;

    const CLAUDE_CODE: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
                               per-turn-control-2026-07-01,effort-2025-11-24";

    fn header(repairs: &[Field], betas: &str, added: Option<&str>) -> (Option<String>, String) {
        let bits = repairs.iter().fold(0, |bits, field| bits | field.bit());
        let mut drops = Drops::remembered(bits);
        drops.pair(betas);
        let mut loss = Loss::default();
        let header = drops.header(Some(betas), added, bits, &mut loss);
        (header, loss.header())
    }

    #[test]
    fn a_beta_goes_with_its_field_and_a_field_with_its_beta() {
        let (sent, loss) = header(&[Field::Effort], "a-2025-01-01, effort-2025-11-24", None);
        assert_eq!(sent.as_deref(), Some("a-2025-01-01"));
        // The body of this test has no such field.
        assert_eq!(loss, "");
        let mut drops = Drops::remembered(Field::Beta(Beta::of("effort")).bit());
        drops.pair("effort-2025-11-24");
        assert!(drops.has(Field::Effort));
    }

    #[test]
    fn a_field_that_needs_no_beta_stays_where_none_was_sent() {
        let mut drops = Drops::remembered(Field::Betas.bit());
        drops.pair("claude-code-20250219,context-management-2025-06-27");
        assert!(drops.has(Field::ContextManagement));
        assert!(!drops.has(Field::Effort));
    }

    #[test]
    fn a_beta_of_several_fields_stays_while_one_of_them_does() {
        let (sent, _) = header(&[Field::ToolExamples], "advanced-tool-use-2025-11-20", None);
        assert_eq!(sent.as_deref(), Some("advanced-tool-use-2025-11-20"));
    }

    #[test]
    fn a_header_of_which_nothing_goes_is_sent_as_it_came() {
        let odd = " a , b,,c ";
        assert_eq!(header(&[Field::TopK], odd, None).0.as_deref(), Some(odd));
        assert_eq!(
            header(&[], "context-1m-2025-08-07", Some("context-1m-2025-08-07")).0.as_deref(),
            Some("context-1m-2025-08-07")
        );
        assert_eq!(
            header(&[], "a", Some("context-1m-2025-08-07")).0.as_deref(),
            Some("a,context-1m-2025-08-07")
        );
        assert_eq!(header(&[Field::Betas], "a,b", None).0, None);
    }

    #[test]
    fn a_model_loses_the_betas_that_it_does_not_take() {
        for (model, sent) in [
            ("claude-opus-5-5", CLAUDE_CODE),
            (
                "claude-opus-4-6",
                "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,effort-2025-11-24",
            ),
            (
                "claude-haiku-4-5",
                "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
            ),
            ("claude-3-5-haiku", "claude-code-20250219"),
        ] {
            let mut drops = Drops::default();
            drops.add_untaken(capability::of(model).expect(model));
            drops.pair(CLAUDE_CODE);
            assert_eq!(
                drops.header(Some(CLAUDE_CODE), None, 0, &mut Loss::default()).as_deref(),
                Some(sent),
                "{model}"
            );
        }
    }
}
