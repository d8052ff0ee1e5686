//! Makes a Messages request fit the model that it goes to, by edits of byte ranges.
//!
//! Where the model sent is the one that the client asked for, its name is all that may change. Otherwise what that model
//! would refuse is changed to what it takes ([`capability`]), what it refused before is left out ([`super::repair`]), and
//! the output limit is kept within the provider's. Everything else stays byte for byte: unknown fields, key order,
//! spelling of numbers. Adds nothing that the client did not ask for in some form. Every change is named in [`Loss`],
//! but for the model's name and for betas that nothing in the request uses (`drops` says which those are).
//!
//! The order of the steps is that of what they know of each other:
//!
//! ```text
//! drops ──▶ output limit ──▶ thinking ──▶ output_config
//!   ▲                                 ├─▶ context_management ──▶ (drops)
//!   │                                 └─▶ sampling
//!   └── tools · fields · marks · messages ──▶ betas
//! ```
//!
//! - What is left out is known first, betas and their fields in pairs: the form of `thinking` depends on it.
//! - A budget must lie below the output limit that is sent, so the limit comes before the thinking.
//! - Effort, the edits of thinking and sampling depend on whether the model will think, which the thinking step tells.
//! - `context_management` may lose all its edits. Then the whole field goes, which the steps below read in the drops:
//!   the field goes with the other fields, its beta with the betas.
//! - Betas come last: they are told as lost only with a field that was lost.
//!
//! Steps on one line of the drawing do not know of each other; no byte is edited by two of them. What goes of sampling
//! and context management is decided in `sampling` and `management`, as values, as the form of thinking is in
//! `thinking`; the edits are made here.

use std::borrow::Cow;

use super::capability::{self, Capability, Management};
use super::drops::Drops;
use super::history::{self, Cut, History};
use super::marks::Marks;
use super::repair::{Beta, Field, Site};
use super::request::{Ask, is_type, member_of, strip_context_mark};
use super::thinking::{self, Asked, Form, Thinks};
use super::{management, sampling};
use crate::error::Error;
use crate::json::{self, Edits, Member, Span, Spliced, text};
use crate::wire::Loss;
use crate::wire::refusal::bad;

/// What a request is shaped for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name as the provider wants it.
    pub model: &'a str,
    /// Largest output that the provider is configured to be asked for, in tokens.
    pub limit: Option<u64>,
    /// Bits of [`Field`]s that this provider is known to need for this model.
    pub repairs: u64,
    /// Whether all thinking is cut out of the history (a signature in it was refused).
    pub cut_thinking: bool,
    /// Whether a window of a million tokens is wanted (`[1m]` behind the name or its alias).
    pub context_1m: bool,
}

/// A request as it is to be sent.
#[derive(Clone, Debug)]
pub struct Shaped<'b> {
    /// The body.
    pub body: Spliced<'b>,
    /// The value of `anthropic-beta`; `None`: the header is not sent.
    pub betas: Option<Cow<'b, str>>,
    /// What was changed.
    pub loss: Loss,
}

/// Shapes a request. `betas` are the client's `anthropic-beta` lines, joined with commas. An error is the client's: the
/// model takes nothing of what the messages hold.
pub fn shape<'b>(ask: &Ask<'b>, betas: Option<&'b str>, target: &Target<'_>) -> Result<Shaped<'b>, Error> {
    if needs_nothing(ask, target) {
        let body = Edits::new().on(ask.body);
        return Ok(Shaped { body, betas: betas.map(Cow::Borrowed), loss: Loss::default() });
    }
    let mut shaper = Shaper::new(ask, betas, target);
    shaper.model();
    let room = shaper.output_limit();
    let thinks = shaper.thinking(room);
    shaper.output_config(thinks);
    shaper.context_management(thinks);
    shaper.sampling(thinks);
    shaper.tool_choice();
    shaper.tools();
    shaper.fields();
    shaper.marks();
    shaper.messages()?;
    Ok(shaper.finish())
}

/// Whether a request goes out as it came: nearly all do.
fn needs_nothing(ask: &Ask<'_>, target: &Target<'_>) -> bool {
    ask.model == target.model
        && target.repairs == 0
        && !target.cut_thinking
        && !target.context_1m
        && target.limit.is_none_or(|most| ask.max_tokens.is_none_or(|asked| asked <= most))
        && !history::is_sealed(ask)
}

/// A request on its way into shape.
struct Shaper<'a, 'b> {
    ask: &'a Ask<'b>,
    betas: Option<&'a str>,
    target: &'a Target<'a>,
    /// What the model sent takes, where that may be less than what the client knows of: `None` where it is the model
    /// asked for, under whatever spelling, and for unknown models.
    model: Option<&'static Capability>,
    /// Whether the history holds a seal of ours.
    sealed: bool,
    /// Whether the form of `thinking` was changed.
    reformed: bool,
    drops: Drops,
    edits: Edits,
    loss: Loss,
}

impl<'a, 'b> Shaper<'a, 'b> {
    fn new(ask: &'a Ask<'b>, betas: Option<&'a str>, target: &'a Target<'a>) -> Self {
        let (asked, sent) = (capability::of(&ask.model), capability::of(target.model));
        let model = sent.filter(|sent| asked.is_none_or(|asked| !std::ptr::eq(asked, *sent)));
        let mut drops = Drops::remembered(target.repairs);
        if let Some(model) = model {
            drops.add_untaken(model);
        }
        drops.pair(betas.unwrap_or_default());
        let sealed = history::is_sealed(ask);
        let (edits, loss) = (Edits::new(), Loss::default());
        Self { ask, betas, target, model, sealed, reformed: false, drops, edits, loss }
    }

    fn model(&mut self) {
        if self.ask.model != self.target.model {
            self.edits.replace(self.ask.model_at.value, text::quote(self.target.model));
        }
    }

    /// Lowers the output limit to what model and provider allow; tells the limit that is sent.
    fn output_limit(&mut self) -> Option<u64> {
        let (asked, at) = (self.ask.max_tokens?, self.ask.max_tokens_at?);
        let most =
            self.model.map_or(u64::MAX, |model| model.max_output).min(self.target.limit.unwrap_or(u64::MAX));
        if asked <= most {
            return Some(asked);
        }
        self.edits.replace(at.value, most.to_string());
        self.loss.add("max_tokens");
        Some(most)
    }

    /// Brings `thinking` into the form that the model takes; tells whether it will think.
    fn thinking(&mut self, room: Option<u64>) -> Thinks {
        let by_default =
            Thinks::Default(capability::of(self.target.model).map(Capability::thinks_by_default));
        let Some(asked) = Asked::read(self.ask) else { return by_default };
        let form = self.form(&asked, room);
        match form {
            Form::Same => self.display_and_binding(&asked),
            Form::Gone => self.edits.remove(asked.member.whole()),
            Form::Budget(budget) => self.budget(&asked, budget),
            Form::Adaptive => self.adaptive(&asked),
            Form::Disabled => self.edits.replace(asked.member.value, "{\"type\":\"disabled\"}"),
            Form::BetweenTools => self.edits.replace(asked.member.value, "{\"type\":\"between_tools\"}"),
        }
        if form != Form::Same {
            self.reformed = true;
            self.loss.add(Field::Thinking.name());
        }
        match asked.is_on(form) {
            Some(true) => Thinks::On,
            Some(false) => Thinks::Off,
            None => by_default,
        }
    }

    fn form(&self, asked: &Asked, room: Option<u64>) -> Form {
        if self.drops.has(Field::Thinking) {
            return Form::Gone;
        }
        let effort = self.effort().map(|(_, level)| level);
        let form = self.model.map_or(Form::Same, |model| asked.form(model, effort.as_deref(), room));
        let form = asked.within(form, self.ask.max_tokens, room);
        let changed = self.model.is_some() || self.target.cut_thinking || self.sealed;
        if !(changed && asked.demands_history(form) && history::lacks_thinking(self.ask, self.cut())) {
            return form;
        }
        match capability::of(self.target.model).map(|model| model.thinking) {
            // Adaptive thinking goes on without it.
            Some(capability::Thinking::Both) => Form::Adaptive,
            _ => Form::Gone,
        }
    }

    fn display_and_binding(&mut self, asked: &Asked) {
        let body = self.ask.body;
        if let Some(display) = asked.display {
            if self.drops.has(Field::ThinkingDisplay) {
                self.edits.remove(display.whole());
                self.loss.add(Field::ThinkingDisplay.name());
            } else if self.is_refused_display(body, display) {
                self.edits.replace(display.value, SUMMARIZED);
                self.loss.add(Field::ThinkingDisplay.name());
            }
        }
        if let Some(binding) = asked.binding.filter(|_| self.drops.has(Field::ThinkingBinding)) {
            self.edits.remove(binding.whole());
            self.loss.add(Field::ThinkingBinding.name());
        }
    }

    /// `updates` goes with its beta only; a summary is what comes nearest.
    fn is_refused_display(&self, body: &[u8], display: Member) -> bool {
        display.value.of(body) == b"\"updates\"" && self.drops.takes_out(Beta::of("thinking-display-updates"))
    }

    fn budget(&mut self, asked: &Asked, budget: u64) {
        match asked.budget {
            Some((at, _)) if asked.kind == thinking::Kind::Enabled => {
                self.edits.replace(at.value, budget.to_string());
            }
            _ => {
                let with = format!("{{\"type\":\"enabled\",\"budget_tokens\":{budget}}}");
                self.edits.replace(asked.member.value, with);
            }
        }
    }

    /// Models with a budget show their thinking unless told otherwise, those without hide it: the client that asked
    /// for a budget goes on seeing it.
    fn adaptive(&mut self, asked: &Asked) {
        let with = match asked.display {
            _ if self.drops.has(Field::ThinkingDisplay) => b"{\"type\":\"adaptive\"}".to_vec(),
            Some(display) => adaptive_shown(display.value.of(self.ask.body)),
            None => adaptive_shown(SUMMARIZED.as_bytes()),
        };
        self.edits.replace(asked.member.value, with);
    }

    /// The client's `output_config.effort`.
    fn effort(&self) -> Option<(Member, String)> {
        let member = member_of(self.ask.body, self.ask.output_config?.value, "effort")?;
        Some((member, text::string(member.value.of(self.ask.body))?.into_owned()))
    }

    /// Effort, format and task budget, each as the model takes it; the whole is left out when nothing of it stays.
    fn output_config(&mut self, thinks: Thinks) {
        let Some(config) = self.ask.output_config else { return };
        let body = self.ask.body;
        let inner: Vec<Member> = json::members(body, config.value).map_while(Result::ok).collect();
        let gone: Vec<(Member, Field)> = [Field::Effort, Field::OutputFormat, Field::TaskBudget]
            .into_iter()
            .filter(|field| self.drops.has(*field))
            .filter_map(|field| Some((inside(&inner, body, field)?, field)))
            .collect();
        for (_, field) in &gone {
            self.loss.add(field.name());
        }
        if self.drops.has(Field::OutputConfig) || (!inner.is_empty() && gone.len() == inner.len()) {
            self.edits.remove(config.whole());
            self.loss.add(Field::OutputConfig.name());
            return;
        }
        for (member, _) in &gone {
            self.edits.remove(member.whole());
        }
        if !self.drops.has(Field::Effort) {
            self.lower_effort(thinks);
        }
    }

    fn lower_effort(&mut self, thinks: Thinks) {
        let Some(model) = self.model else { return };
        let Some((member, level)) = self.effort() else { return };
        let mut fits = model.nearest_effort(&level).unwrap_or(&level);
        let capped =
            matches!(model.thinking, capability::Thinking::Default | capability::Thinking::BetweenTools);
        if capped && thinks == Thinks::Off && matches!(fits, "xhigh" | "max") {
            fits = "high";
        }
        if fits != level {
            let fits = text::quote(fits);
            self.edits.replace(member.value, fits);
            self.loss.add(Field::Effort.name());
        }
    }

    /// Leaves out the edits that the model does not know, or that want thinking where there is none; all of it where
    /// none is left.
    fn context_management(&mut self, thinks: Thinks) {
        let Some(field) = self.ask.context_management.filter(|_| !self.drops.has(Field::ContextManagement))
        else {
            return;
        };
        let rule = management::Rule {
            compacts: self.model.is_none_or(|model| model.management == Management::Compact),
            // Where nothing of thinking was changed, what goes with it is the client's own affair.
            thinks: thinks.at_all() || (self.model.is_none() && !self.reformed),
        };
        match rule.on(self.ask.body, field) {
            management::Gone::Nothing => return,
            management::Gone::All => self.drops.add(Field::ContextManagement),
            management::Gone::Some(edits) => edits.into_iter().for_each(|edit| self.edits.remove(edit)),
        }
        self.loss.add("context_management.edits");
    }

    /// Leaves out sampling parameters that the model refuses, by nature or because it thinks.
    fn sampling(&mut self, thinks: Thinks) {
        let Some(model) = self.model else { return };
        for (member, field) in sampling::refused(self.ask, model.sampling, thinks) {
            self.edits.remove(member.whole());
            self.loss.add(field.name());
        }
    }

    /// A tool that may not be forced is left to the model's choice.
    fn tool_choice(&mut self) {
        let Some(choice) = self.ask.tool_choice.filter(|_| !self.drops.has(Field::ToolChoice)) else {
            return;
        };
        let body = self.ask.body;
        let forced = ["any", "tool"].into_iter().any(|kind| is_type(body, choice.value, kind));
        if self.model.is_none_or(|model| model.forced_tools) || !forced {
            return;
        }
        if let Some(kind) = member_of(body, choice.value, "type") {
            self.edits.replace(kind.value, "\"auto\"");
        }
        if let Some(name) = member_of(body, choice.value, "name") {
            self.edits.remove(name.whole());
        }
        self.loss.add(Field::ToolChoice.name());
    }

    /// Leaves out members of tools, and the tool that only stands for deferred ones.
    fn tools(&mut self) {
        let Some(tools) = self.ask.tools else { return };
        let fields: Vec<(Field, &'static str)> = self.drops.fields().filter_map(of_tools).collect();
        if fields.is_empty() {
            return;
        }
        let body = self.ask.body;
        for tool in json::elements(body, tools.value).map_while(Result::ok) {
            if self.drops.has(Field::ToolDefer) && is_placeholder(body, tool) {
                self.edits.remove(tool);
                self.loss.add(Field::ToolDefer.name());
                continue;
            }
            for (field, name) in &fields {
                if let Some(member) = member_of(body, tool, name) {
                    self.edits.remove(member.whole());
                    self.loss.add(field.name());
                }
            }
        }
    }

    /// Leaves out whole top-level fields. `thinking` and `output_config` have been seen to.
    fn fields(&mut self) {
        let gone =
            self.drops.fields().filter(|field| !matches!(field, Field::Thinking | Field::OutputConfig));
        for field in gone {
            let Site::Top(name) = field.site() else { continue };
            if let Some(member) = self.top(name) {
                self.edits.remove(member.whole());
                self.loss.add(field.name());
            }
        }
    }

    /// A top-level member; those that the request was read for are known, others are looked for.
    fn top(&self, name: &str) -> Option<Member> {
        let ask = self.ask;
        match name {
            "context_management" => ask.context_management,
            "temperature" => ask.temperature,
            "top_p" => ask.top_p,
            "top_k" => ask.top_k,
            "speed" => ask.speed,
            "metadata" => ask.metadata,
            "tool_choice" => ask.tool_choice,
            other => member_of(ask.body, Span::all(ask.body), other),
        }
    }

    /// Takes refused cache marks off tools and system blocks; those in messages are the history's.
    fn marks(&mut self) {
        let Some(marks) = Marks::of(self.drops) else { return };
        let body = self.ask.body;
        let lists = [self.ask.tools, self.ask.system].into_iter().flatten();
        let objects = lists.flat_map(|list| json::elements(body, list.value).map_while(Result::ok));
        let mut gone: Vec<Field> =
            objects.filter_map(|object| marks.edit(body, object, &mut self.edits)).collect();
        if let Some(mark) = self.top("cache_control").filter(|_| !self.drops.has(Field::AutoCache)) {
            gone.extend(marks.trim(body, mark.value, &mut self.edits));
        }
        for field in gone {
            self.loss.add(field.name());
        }
    }

    /// Which thinking is cut out of the history.
    fn cut(&self) -> Cut {
        match self.model.map(|model| model.thinking) {
            _ if self.target.cut_thinking => Cut::Refused,
            Some(capability::Thinking::Never) => Cut::Untaken,
            _ => Cut::Sealed,
        }
    }

    fn messages(&mut self) -> Result<(), Error> {
        let (ask, cut) = (self.ask, self.cut());
        if self.drops == Drops::default() && cut == Cut::Sealed && !self.sealed {
            return Ok(());
        }
        let history = History { ask, drops: self.drops, cut, edits: &mut self.edits, loss: &mut self.loss };
        match history.edit() {
            0 if !ask.messages.is_empty() => Err(nothing_left(self.target.model)),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Shaped<'b> {
        self.drops.pair(self.betas.unwrap_or_default());
        let large = self.target.context_1m || strip_context_mark(&self.ask.model).1;
        let needs =
            large && capability::of(self.target.model).is_some_and(|model| model.beta_window.is_some());
        let added = (needs && !self.drops.takes_out(Beta::of(LARGE_CONTEXT))).then_some(LARGE_CONTEXT);
        let betas = self.drops.header(self.betas, added, self.target.repairs, &mut self.loss);
        Shaped { body: self.edits.on(self.ask.body), betas: betas.map(Cow::Owned), loss: self.loss }
    }
}

/// The member of `output_config` that a field stands for.
fn inside(members: &[Member], body: &[u8], field: Field) -> Option<Member> {
    let Site::Inside(_, name) = field.site() else { return None };
    members.iter().copied().find(|member| member.is(body, name))
}

/// A field that stands in each tool, with its name there.
fn of_tools(field: Field) -> Option<(Field, &'static str)> {
    match field.site() {
        Site::Tool(name) => Some((field, name)),
        _ => None,
    }
}

/// Whether a tool is Claude Code's stand-in for the deferred ones, which nobody can call (claude-code-traffic.md
/// section 3).
fn is_placeholder(body: &[u8], tool: Span) -> bool {
    let named = |name: Member| name.value.of(body) == b"\"DeferredToolPlaceholder\"";
    member_of(body, tool, "name").is_some_and(named) && member_of(body, tool, "defer_loading").is_some()
}

fn adaptive_shown(display: &[u8]) -> Vec<u8> {
    [b"{\"type\":\"adaptive\",\"display\":", display, b"}"].concat()
}

fn nothing_left(model: &str) -> Error {
    bad(format!("messages: nothing in them is for `{model}`; send at least one message of the user"))
}

/// The beta for a window of a million tokens, where a model has that only by it.
const LARGE_CONTEXT: &str = "context-1m-2025-08-07";
const SUMMARIZED: &str = "\"summarized\"";

#[cfg(test)]
mod tests {
    use super::super::request::Call;
    use super::*;
    use crate::error::Kind;

    fn target(model: &str) -> Target<'_> {
        Target { model, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
    }

    fn repaired<'a>(model: &'a str, fields: &[Field]) -> Target<'a> {
        let repairs = fields.iter().fold(0, |bits, field| bits | field.bit());
        Target { repairs, ..target(model) }
    }

    /// A body for `asked` with these members behind the model, in the order of the text.
    fn body(asked: &str, members: &str) -> String {
        let messages = r#""max_tokens":32000,"messages":[{"role":"user","content":"hi"}]"#;
        let required = if members.contains(r#""messages""#) { "" } else { messages };
        let comma = if members.is_empty() || required.is_empty() { "" } else { "," };
        format!(r#"{{"model":"{asked}",{required}{comma}{members}}}"#)
    }

    struct Sent {
        body: String,
        betas: Option<String>,
        loss: String,
    }

    fn send(body: &str, betas: Option<&str>, target: &Target<'_>) -> Sent {
        let ask = Ask::read(body.as_bytes(), Call::CountTokens).expect(body);
        let shaped = shape(&ask, betas, target).expect(body);
        let body = String::from_utf8(shaped.body.to_vec()).expect(body);
        serde_json::from_str::<serde_json::Value>(&body).expect(&body);
        Sent { body, betas: shaped.betas.map(Cow::into_owned), loss: shaped.loss.header() }
    }

    /// What comes of `members` when the model asked for is `asked` and the one sent is `sent`.
    fn becomes(asked: &str, sent: &str, members: &str) -> (String, String) {
        let shaped = send(&body(asked, members), None, &target(sent));
        let rest =
            shaped.body.strip_prefix(&format!(r#"{{"model":"{sent}","#)).expect(&shaped.body).to_owned();
        let required = r#""max_tokens":32000,"messages":[{"role":"user","content":"hi"}]"#;
        let rest = rest.strip_prefix(required).unwrap_or(&rest);
        (rest.trim_start_matches(',').strip_suffix('}').expect(rest).to_owned(), shaped.loss)
    }

    #[test]
    fn the_model_that_was_asked_for_gets_its_name_and_nothing_else() {
        let odd = r#"  "thinking" : {"type":"whatever"}, "temperature":0.30, "new":{"a" : [1.0,2E3]} , "speed":"fast""#;
        for (asked, sent) in [
            ("claude-haiku-4-5", "claude-haiku-4-5"),
            ("claude-haiku-4-5[1m]", "claude-haiku-4-5"),
            ("claude-haiku-4-5", "anthropic/claude-haiku-4.5"),
            ("gpt-4o", "some-model"),
        ] {
            let came = body(asked, odd);
            let betas = Some(" effort-2025-11-24 ,, x");
            let shaped = send(&came, betas, &target(sent));
            assert_eq!(shaped.body, came.replacen(asked, sent, 1), "{asked}");
            assert_eq!(shaped.betas.as_deref(), betas, "{asked}");
            assert_eq!(shaped.loss, "", "{asked}");
        }
    }

    #[test]
    fn thinking_takes_the_form_that_the_model_knows() {
        let enabled = r#""thinking":{"type":"enabled","budget_tokens":31999}"#;
        let adaptive = r#""thinking":{"type":"adaptive"}"#;
        let disabled = r#""thinking":{"type":"disabled"}"#;
        let between = r#""thinking":{"type":"between_tools"}"#;
        let shown = r#""thinking":{"type":"adaptive","display":"summarized"}"#;
        for (sent, from_budget, from_adaptive, from_off) in [
            ("claude-3-5-haiku", "", "", disabled),
            (
                "claude-sonnet-4-5",
                enabled,
                r#""thinking":{"type":"enabled","budget_tokens":16000}"#,
                disabled,
            ),
            ("claude-opus-4-6", enabled, adaptive, disabled),
            ("claude-opus-4-7", shown, adaptive, disabled),
            ("claude-opus-5", shown, adaptive, disabled),
            ("claude-haiku-5-5", shown, adaptive, disabled),
            ("claude-sonnet-5-5", shown, adaptive, between),
            ("claude-opus-5-5", shown, adaptive, ""),
            ("claude-fable-5", shown, adaptive, ""),
        ] {
            for (came, expected) in [(enabled, from_budget), (adaptive, from_adaptive), (disabled, from_off)]
            {
                let (members, _) =
                    becomes("gpt-4o", sent, &format!(r#"{came},"max_tokens":64000,"messages":[1]"#));
                assert_eq!(
                    members.split(r#""max_tokens""#).next().map(|m| m.trim_end_matches(',')),
                    Some(expected),
                    "{sent} {came}"
                );
            }
        }
        assert_eq!(becomes("claude-sonnet-5-5", "claude-opus-5", between).0, disabled);
        assert_eq!(becomes("claude-sonnet-5-5", "claude-opus-5-5", between).0, "");
    }

    #[test]
    fn a_budget_stays_below_the_output_limit() {
        let ask =
            |kind: &str, limit: u64| format!(r#""thinking":{kind},"max_tokens":{limit},"messages":[1]"#);
        let adaptive = r#"{"type":"adaptive"}"#;
        let (members, loss) = becomes("claude-opus-5-5", "claude-opus-4-1", &ask(adaptive, 128_000));
        assert!(
            members.contains(r#"{"type":"enabled","budget_tokens":16000},"max_tokens":32000"#),
            "{members}"
        );
        assert_eq!(loss, "max_tokens, thinking");
        let (members, _) = becomes("claude-opus-5-5", "claude-haiku-4-5", &ask(adaptive, 4_000));
        assert!(members.contains(r#""budget_tokens":3000}"#), "{members}");
        let (members, _) = becomes("claude-opus-5-5", "claude-haiku-4-5", &ask(adaptive, 1_200));
        assert!(!members.contains("thinking"), "{members}");
        // The limit is the provider's, and the model is the one that was asked for.
        let came = body("claude-haiku-4-5", &ask(r#"{"type":"enabled","budget_tokens":31999}"#, 32_000));
        let shaped = send(&came, None, &Target { limit: Some(16_000), ..target("claude-haiku-4-5") });
        assert!(shaped.body.contains(r#""budget_tokens":12000},"max_tokens":16000"#), "{}", shaped.body);
        // A client may ask for more than the limit where thinking is interleaved.
        let came = body("claude-opus-4-5", &ask(r#"{"type":"enabled","budget_tokens":50000}"#, 32_000));
        assert!(send(&came, None, &target("claude-haiku-4-5")).body.contains("50000"));
    }

    #[test]
    fn the_budget_follows_the_effort() {
        for (effort, budget) in
            [("low", 2_048), ("medium", 8_192), ("high", 16_000), ("xhigh", 24_000), ("max", 24_000)]
        {
            let members =
                format!(r#""output_config":{{"effort":"{effort}"}},"thinking":{{"type":"adaptive"}}"#);
            let (members, loss) = becomes("claude-opus-5", "claude-haiku-4-5", &members);
            assert_eq!(
                members,
                format!(r#""thinking":{{"type":"enabled","budget_tokens":{budget}}}"#),
                "{effort}"
            );
            assert_eq!(loss, "thinking, output_config.effort, output_config");
        }
    }

    #[test]
    fn an_effort_is_lowered_or_left_out() {
        for (sent, came, expected) in [
            (
                "claude-opus-4-6",
                r#""output_config":{"effort":"xhigh"}"#,
                r#""output_config":{"effort":"high"}"#,
            ),
            (
                "claude-opus-4-5",
                r#""output_config":{"effort": "max","x":1}"#,
                r#""output_config":{"effort": "high","x":1}"#,
            ),
            ("claude-haiku-4-5", r#""output_config":{"effort":"low","x":1}"#, r#""output_config":{"x":1}"#),
            ("claude-haiku-4-5", r#""output_config":{"effort":"low"}"#, ""),
            ("claude-haiku-4-5", r#""output_config":{}"#, r#""output_config":{}"#),
            (
                "claude-opus-5",
                r#""thinking":{"type":"disabled"},"output_config":{"effort":"max"}"#,
                r#""thinking":{"type":"disabled"},"output_config":{"effort":"high"}"#,
            ),
            (
                "claude-sonnet-5-5",
                r#""thinking":{"type":"disabled"},"output_config":{"effort":"xhigh"}"#,
                r#""thinking":{"type":"between_tools"},"output_config":{"effort":"high"}"#,
            ),
        ] {
            assert_eq!(
                becomes("claude-fable-5", sent, came).0,
                expected.trim_start_matches(r#""thinking":{},"#),
                "{sent} {came}"
            );
        }
    }

    #[test]
    fn a_tool_is_not_forced_upon_a_model_that_refuses_it() {
        let forced = r#""tool_choice":{"type":"tool","name":"web_search","disable_parallel_tool_use":true}"#;
        let free = r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#;
        assert_eq!(
            becomes("claude-haiku-4-5", "claude-opus-5-5", forced),
            (free.to_owned(), "tool_choice".to_owned())
        );
        assert_eq!(becomes("claude-haiku-4-5", "claude-opus-5", forced), (forced.to_owned(), String::new()));
    }

    #[test]
    fn a_beta_header_dropped_while_its_body_field_stays() {
        let betas = "claude-code-20250219,context-management-2025-06-27,effort-2025-11-24,fast-mode-2026-02-01,\
                     mid-conversation-system-2026-04-07,per-turn-control-2026-07-01,structured-outputs-2025-12-15";
        let members = r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]},"speed":"fast","output_config":{"effort":"low","format":{}},"messages":[{"role":"user","content":"hi"},{"role":"system","content":"s","output_config":{"effort":"max"}}]"#;
        let pairs = [
            ("context-management", "\"context_management\""),
            ("effort", "\"effort\":\"low\""),
            ("fast-mode", "\"speed\""),
            ("mid-conversation-system", "\"system\""),
            ("per-turn-control", "\"effort\":\"max\""),
            ("structured-outputs", "\"format\""),
        ];
        let models =
            ["claude-3-5-haiku", "claude-sonnet-4", "claude-haiku-4-5", "claude-opus-4-5", "claude-opus-4-6"];
        let models = models.into_iter().chain(capability::known());
        let unrepaired = models.map(target);
        let each =
            Field::from_bits(u64::MAX).map(|field| Target { repairs: field.bit(), ..target("unknown") });
        for target in unrepaired.chain(each) {
            let shaped = send(&body("gpt-4o", members), Some(betas), &target);
            let sent = shaped.betas.unwrap_or_default();
            for (beta, field) in pairs {
                let (has_beta, has_field) = (sent.contains(beta), shaped.body.contains(field));
                assert_eq!(has_beta, has_field, "{beta} for {target:?}: {sent} {}", shaped.body);
            }
        }
    }

    /// `strict` refuses losses: a header that Claude Code sends with every request is none.
    #[test]
    fn a_beta_that_nothing_in_the_request_uses_is_no_loss() {
        let betas = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
                     context-1m-2025-08-07,effort-2025-11-24";
        let sent =
            |members: &str, target: &Target<'_>| send(&body("claude-opus-5-5", members), Some(betas), target);
        let plain = sent("", &target("claude-3-5-haiku"));
        assert_eq!(
            (plain.betas.as_deref(), plain.loss.as_str()),
            (Some("claude-code-20250219"), "max_tokens")
        );
        let used = sent(r#""output_config":{"effort":"low"}"#, &target("claude-haiku-4-5"));
        assert_eq!(used.loss, "output_config.effort, output_config, anthropic-beta:effort-2025-11-24");
        // What a header does by itself is not known: where the provider refused it, that is told.
        let refused =
            sent("", &repaired("claude-opus-5-5", &[Field::Beta(Beta::of("interleaved-thinking"))]));
        assert_eq!(refused.loss, "anthropic-beta:interleaved-thinking-2025-05-14");
        let refused = sent("", &repaired("claude-opus-5-5", &[Field::Beta(Beta::of("effort"))]));
        assert_eq!(refused.loss, "");
    }

    #[test]
    fn a_large_context_is_asked_for_where_the_model_has_it_by_a_beta_only() {
        for (asked, sent, came, expected) in [
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5", None, Some("context-1m-2025-08-07")),
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5", Some("a"), Some("a,context-1m-2025-08-07")),
            (
                "claude-sonnet-4-5[1m]",
                "claude-sonnet-4-5",
                Some("context-1m-2025-08-07"),
                Some("context-1m-2025-08-07"),
            ),
            ("claude-opus-5-5[1m]", "claude-opus-5-5", None, None),
            ("claude-opus-5-5[1m]", "claude-haiku-4-5", Some("context-1m-2025-08-07"), None),
            (
                "claude-opus-5-5",
                "claude-opus-5",
                Some("context-1m-2025-08-07"),
                Some("context-1m-2025-08-07"),
            ),
        ] {
            let shaped = send(&body(asked, ""), came, &target(sent));
            assert_eq!(shaped.betas.as_deref(), expected, "{asked} {sent} {came:?}");
        }
        let by_alias = Target { context_1m: true, ..target("claude-sonnet-4-5") };
        assert!(send(&body("big", ""), None, &by_alias).betas.is_some());
    }

    #[test]
    fn a_system_message_becomes_a_reminder_of_the_user_in_the_same_place() {
        let user = r#"{"role":"user","content":"hi"}"#;
        for (came, expected) in [
            (
                r#"{"role":"system","content":"a\"b"}"#,
                r#",{"role":"user","content":[{"type":"text","text":"<system-reminder>\na\"b\n</system-reminder>"}]}"#,
            ),
            (
                r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":" "}],"role" : "system","cache_control":{"type":"ephemeral"}}"#,
                r#",{"content":[{"cache_control":{"type":"ephemeral"},"type":"text","text":"<system-reminder>\na\n</system-reminder>"}],"role" : "user"}"#,
            ),
            (
                r#"{"role":"system","cache_control":{"type":"ephemeral"},"content":"a"}"#,
                r#",{"role":"user","content":[{"type":"text","text":"<system-reminder>\na\n</system-reminder>","cache_control":{"type":"ephemeral"}}]}"#,
            ),
            (
                r#"{"role":"system","content":[{"type":"text","text":"<system-reminder>x"}],"clear_at":"never"}"#,
                r#",{"role":"user","content":[{"type":"text","text":"<system-reminder>x"}]}"#,
            ),
            (r#"{"role":"system","content":[],"output_config":{"effort":"low"}}"#, ""),
            (r#"{"role":"system","content":[{"type":"tool_removal","tool":{}}]}"#, ""),
            (r#"{"role":"system","content":" \n"}"#, ""),
        ] {
            let (members, loss) = becomes(
                "claude-opus-5-5",
                "claude-haiku-4-5",
                &format!(r#""messages":[{user},{came},{user}]"#),
            );
            assert_eq!(members, format!(r#""messages":[{user}{expected},{user}]"#), "{came}");
            assert!(loss.contains("messages.system"), "{loss}");
        }
    }

    #[test]
    fn a_request_of_which_nothing_is_left_is_refused() {
        let came = body("claude-opus-5-5", r#""messages":[{"role":"system","content":[]}]"#);
        let ask = Ask::read(came.as_bytes(), Call::CountTokens).expect("a request");
        let refused = shape(&ask, None, &target("claude-haiku-4-5")).expect_err("nothing left");
        assert_eq!(refused.kind, Kind::BadRequest);
    }

    #[test]
    fn a_model_that_takes_system_messages_loses_of_them_only_what_it_refuses() {
        let came = r#"{"role":"system","content":[{"type":"text","text":"a"},{"type":"tool_addition","tool":{}}],"output_config":{"effort":"low"}}"#;
        let members = format!(r#""messages":[{{"role":"user","content":"hi"}},{came}]"#);
        let betas = Some("mid-conversation-tool-changes-2026-07-01");
        let sent = |model| send(&body("claude-opus-5-5", &members), betas, &target(model)).body;
        assert!(sent("claude-fable-5-1").contains(came));
        assert!(sent("claude-opus-4-8").contains(r#"{"type":"tool_addition","tool":{}}]}"#));
        assert!(sent("claude-sonnet-5").contains(r#""content":[{"type":"text","text":"a"}]}"#));
    }

    const LOOP: &str = r#""thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"user","content":"go"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"SIG"},{"type":"tool_use","id":"a","name":"b","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}]"#;

    #[test]
    fn thinking_that_another_family_sealed_is_cut_and_not_asked_for_in_that_turn() {
        let sealed = LOOP.replace("SIG", "pm1.openai.abc");
        let shaped = send(&body("claude-haiku-4-5", &sealed), None, &target("claude-haiku-4-5"));
        assert!(!shaped.body.contains("thinking"), "{}", shaped.body);
        assert_eq!(shaped.loss, "thinking, messages.thinking");
        // A new turn of the user demands nothing.
        let next = sealed.replace(
            r#""tool_use_id":"a"}]}"#,
            r#""tool_use_id":"a"}]},{"role":"assistant","content":"ok"},{"role":"user","content":"more"}"#,
        );
        let shaped = send(&body("claude-haiku-4-5", &next), None, &target("claude-haiku-4-5"));
        assert!(
            shaped.body.contains(r#""budget_tokens":2000"#) && !shaped.body.contains("pm1."),
            "{}",
            shaped.body
        );
        // Adaptive thinking goes on without it.
        let shaped = send(&body("claude-haiku-4-5", &sealed), None, &target("claude-opus-4-6"));
        assert!(
            shaped.body.contains(r#""type":"adaptive""#) && !shaped.body.contains("pm1."),
            "{}",
            shaped.body
        );
    }

    #[test]
    fn only_thinking_bears_seals() {
        let quoted = LOOP.replace(
            r#""content":"go""#,
            r#""content":[{"type":"text","text":"pm1.x"},{"type":"text","text":"\"pm1.y"}]"#,
        );
        let came = body("claude-haiku-4-5", &quoted);
        assert_eq!(send(&came, None, &target("claude-haiku-4-5")).body, came);
    }

    #[test]
    fn all_thinking_is_cut_when_a_signature_was_refused() {
        let redacted = LOOP.replace(
            r#"{"type":"tool_use""#,
            r#"{"type":"redacted_thinking","data":"x"},{"type":"tool_use""#,
        );
        let only = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"}]},"#;
        let members = redacted.replace(
            r#"[{"role":"user","content":"go"},"#,
            &format!(r#"[{{"role":"user","content":"go"}},{only}{{"role":"user","content":"on"}},"#),
        );
        let target = Target { cut_thinking: true, ..target("claude-haiku-4-5") };
        let shaped = send(&body("claude-haiku-4-5", &members), None, &target);
        assert_eq!(
            shaped.body,
            r#"{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"go"},{"role":"user","content":"on"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}]}"#
        );
        assert_eq!(shaped.loss, "thinking, thinking.signature");
    }

    #[test]
    fn a_model_without_tool_search_gets_all_tools_and_hears_what_was_loaded() {
        let members = r#""tools":[{"name":"DeferredToolPlaceholder","defer_loading":true},{"name":"A","defer_loading":true,"input_schema":{}}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"tool_reference","tool_name":"A"}]}]}]"#;
        let (shaped, loss) = becomes("claude-opus-5-5", "claude-sonnet-4", members);
        assert_eq!(
            shaped,
            r#""tools":[{"name":"A","input_schema":{}}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"Tool loaded: A"}]}]}]"#
        );
        assert_eq!(loss, "tools.defer_loading, messages.tool_reference");
        assert_eq!(becomes("claude-opus-5-5", "claude-haiku-4-5", members).0, members);
    }

    #[test]
    fn clearing_of_thinking_goes_with_the_thinking() {
        let managed = |edits: &str| {
            format!(r#""thinking":{{"type":"disabled"}},"context_management":{{"edits":[{edits}]}}"#)
        };
        let clear = r#"{"type":"clear_thinking_20251015","keep":"all"}"#;
        let tools = r#"{"type":"clear_tool_uses_20250919"}"#;
        let betas = Some("context-management-2025-06-27");
        let both = send(
            &body("claude-opus-5", &managed(&format!("{clear},{tools}"))),
            betas,
            &target("claude-haiku-4-5"),
        );
        assert!(both.body.ends_with(&format!("{}}}", managed(tools))), "{}", both.body);
        assert_eq!(both.betas.as_deref(), betas);
        let one = send(&body("claude-opus-5", &managed(clear)), betas, &target("claude-haiku-4-5"));
        assert!(!one.body.contains("context_management"), "{}", one.body);
        assert_eq!(one.betas, None);
    }

    #[test]
    fn what_was_refused_once_is_left_out() {
        let mark = r#"{"type":"ephemeral","ttl":"1h","scope":"global"}"#;
        let members = format!(
            r#""thinking":{{"type":"adaptive","display":"updates"}},"output_config":{{"effort":"low","format":1}},"tools":[{{"name":"t","strict":true,"cache_control":{mark}}}],"service_tier":"auto","system":[{{"type":"text","text":"s","cache_control":{mark}}}],"messages":[{{"role":"user","content":[{{"type":"text","text":"m","cache_control":{mark}}}]}}]"#
        );
        let came = body("m", &members);
        for (field, from, to) in [
            (Field::ThinkingDisplay, r#","display":"updates""#, ""),
            (Field::Beta(Beta::of("thinking-display-updates-2026-08-18")), "updates", "summarized"),
            (Field::Thinking, r#""thinking":{"type":"adaptive","display":"updates"},"#, ""),
            (Field::Effort, r#""effort":"low","#, ""),
            (Field::OutputConfig, r#""output_config":{"effort":"low","format":1},"#, ""),
            (Field::ToolStrict, r#""strict":true,"#, ""),
            (Field::ServiceTier, r#""service_tier":"auto","#, ""),
            (Field::CacheScope, r#","scope":"global""#, ""),
            (Field::CacheTtl, r#","ttl":"1h""#, ""),
            (Field::CacheMarks, &format!(r#","cache_control":{mark}"#), ""),
            (Field::Metadata, "nowhere", ""),
        ] {
            let betas = Some("thinking-display-updates-2026-08-18");
            let shaped = send(&came, betas, &repaired("m", &[field]));
            assert_eq!(shaped.body, came.replace(from, to), "{field:?}");
            assert_eq!(shaped.loss.is_empty(), !came.contains(from), "{field:?}: {}", shaped.loss);
        }
        let user =
            r#"{"role":"user","content":"m"},{"role":"system","content":[{"type":"text","text":"x"}]}"#;
        let shaped =
            send(&body("m", &format!(r#""messages":[{user}]"#)), None, &repaired("m", &[Field::SystemRole]));
        assert!(shaped.body.contains("<system-reminder>"), "{}", shaped.body);
    }
}
