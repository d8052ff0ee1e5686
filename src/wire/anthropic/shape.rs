//! Makes a Messages request fit the model that it goes to, by edits of byte ranges.
//!
//! Where the model sent is the one that the client asked for, its name is all that may change. Otherwise what that model
//! would refuse is changed to what it takes ([`capability`]), what it refused before is left out ([`super::repair`]), and
//! the output limit is kept within the provider's. Everything else stays byte for byte: unknown fields, key order,
//! spelling of numbers. Adds nothing that the client did not ask for in some form. Every change is named in [`Loss`],
//! but for the model's name.

use super::capability::{self, Capability, Management, Sampling};
use super::drops::Drops;
use super::history::{self, Cut, History};
use super::marks::Marks;
use super::repair::{Beta, Field, Site};
use super::request::{Ask, is_type, member_of, strip_context_mark};
use super::thinking::{self, Asked, Form};
use crate::error::{Error, Kind, Stage};
use crate::json::{self, Edits, Member, Span, Spliced, text};
use crate::wire::Loss;

/// What a request is shaped for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name as the provider wants it.
    pub model: &'a str,
    /// Largest output that the provider is configured to be asked for, in tokens.
    pub limit: Option<u64>,
    /// Bits of [`super::Repair`]s that this provider is known to need for this model.
    pub repairs: u64,
    /// Whether all thinking is cut out of the history ([`super::Repair::CutThinking`]).
    pub cut_thinking: bool,
}

/// A request as it is to be sent.
#[derive(Clone, Debug)]
pub struct Shaped<'b> {
    /// The body.
    pub body: Spliced<'b>,
    /// The value of `anthropic-beta`; `None`: the header is not sent.
    pub betas: Option<String>,
    /// What was changed.
    pub loss: Loss,
}

/// Shapes a request. `betas` are the client's `anthropic-beta` lines, joined with commas. An error is the client's: the
/// model takes nothing of what the messages hold.
pub fn shape<'b>(ask: &Ask<'b>, betas: Option<&str>, target: &Target<'_>) -> Result<Shaped<'b>, Error> {
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
        let most = self.model.map_or(u64::MAX, |model| model.max_output).min(self.target.limit.unwrap_or(u64::MAX));
        if asked <= most {
            return Some(asked);
        }
        self.edits.replace(at.value, most.to_string());
        self.loss.add("max_tokens");
        Some(most)
    }

    /// Brings `thinking` into the form that the model takes; tells whether it will think.
    fn thinking(&mut self, room: Option<u64>) -> Thinks {
        let by_default = Thinks::Default(capability::of(self.target.model).map(Capability::thinks_by_default));
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
            Some((at, _)) if asked.kind == thinking::Kind::Enabled => self.edits.replace(at.value, budget.to_string()),
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
        gone.iter().for_each(|(_, field)| self.loss.add(field.name()));
        if self.drops.has(Field::OutputConfig) || (!inner.is_empty() && gone.len() == inner.len()) {
            self.edits.remove(config.whole());
            self.loss.add(Field::OutputConfig.name());
            return;
        }
        gone.iter().for_each(|(member, _)| self.edits.remove(member.whole()));
        if !self.drops.has(Field::Effort) {
            self.lower_effort(thinks);
        }
    }

    fn lower_effort(&mut self, thinks: Thinks) {
        let Some(model) = self.model else { return };
        let Some((member, level)) = self.effort() else { return };
        let mut fits = model.nearest_effort(&level).unwrap_or(&level);
        if model.thinking == capability::Thinking::Default && thinks == Thinks::Off && matches!(fits, "xhigh" | "max") {
            fits = "high";
        }
        if fits != level {
            let fits = text::quote(fits);
            self.edits.replace(member.value, fits);
            self.loss.add(Field::Effort.name());
        }
    }

    /// Leaves out the edits that the model does not know, or that want thinking where there is none.
    fn context_management(&mut self, thinks: Thinks) {
        let Some(field) = self.ask.context_management else { return };
        if self.drops.has(Field::ContextManagement) {
            return;
        }
        let body = self.ask.body;
        let Some(list) = member_of(body, field.value, "edits") else { return };
        let all: Vec<Span> = json::elements(body, list.value).map_while(Result::ok).collect();
        let gone: Vec<Span> = all.iter().copied().filter(|edit| self.is_edit_refused(*edit, thinks)).collect();
        if gone.is_empty() {
            return;
        }
        self.loss.add("context_management.edits");
        if gone.len() == all.len() {
            self.drops.add(Field::ContextManagement);
        } else {
            gone.into_iter().for_each(|edit| self.edits.remove(edit));
        }
    }

    fn is_edit_refused(&self, edit: Span, thinks: Thinks) -> bool {
        let body = self.ask.body;
        let kind = member_of(body, edit, "type").and_then(|kind| text::string(kind.value.of(body)));
        let kind = kind.unwrap_or_default();
        let compact = self.model.is_none_or(|model| model.management == Management::Compact);
        let ours = self.model.is_some() || self.reformed;
        (kind.starts_with("compact_") && !compact) || (kind.starts_with("clear_thinking_") && ours && !thinks.at_all())
    }

    /// Leaves out sampling parameters that the model refuses, by nature or because it thinks.
    fn sampling(&mut self, thinks: Thinks) {
        let Some(model) = self.model else { return };
        let given = |member: Option<Member>| member.filter(|member| member.value.of(self.ask.body) != b"null");
        let (temperature, top_p, top_k) =
            (given(self.ask.temperature), given(self.ask.top_p), given(self.ask.top_k));
        let odd = |member: &Member| !is_one(member.value.of(self.ask.body));
        let mut gone = Vec::new();
        match model.sampling {
            Sampling::Fixed => {
                gone.extend(temperature.filter(odd).map(|at| (at, Field::Temperature)));
                gone.extend(top_p.filter(odd).map(|at| (at, Field::TopP)));
                gone.extend(top_k.map(|at| (at, Field::TopK)));
            }
            Sampling::Free | Sampling::Either => {
                if thinks == Thinks::On {
                    gone.extend(temperature.filter(odd).map(|at| (at, Field::Temperature)));
                    gone.extend(top_k.map(|at| (at, Field::TopK)));
                } else if let (Sampling::Either, Some(temperature), Some(top_p)) = (model.sampling, temperature, top_p) {
                    // A temperature of 1 says nothing: the other one is meant.
                    gone.push(if odd(&temperature) { (top_p, Field::TopP) } else { (temperature, Field::Temperature) });
                }
            }
        }
        for (member, field) in gone {
            self.edits.remove(member.whole());
            self.loss.add(field.name());
        }
    }

    /// A tool that may not be forced is left to the model's choice.
    fn tool_choice(&mut self) {
        let Some(choice) = self.ask.tool_choice.filter(|_| !self.drops.has(Field::ToolChoice)) else { return };
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
        let gone = self.drops.fields().filter(|field| !matches!(field, Field::Thinking | Field::OutputConfig));
        for field in gone {
            if let Site::Top(name) = field.site() {
                if let Some(member) = self.top(name) {
                    self.edits.remove(member.whole());
                    self.loss.add(field.name());
                }
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
        gone.into_iter().for_each(|field| self.loss.add(field.name()));
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
        let (_, large) = strip_context_mark(&self.ask.model);
        let needs = large && capability::of(self.target.model).is_some_and(|model| model.beta_window.is_some());
        let added = (needs && !self.drops.takes_out(Beta::of(LARGE_CONTEXT))).then_some(LARGE_CONTEXT);
        let betas = self.drops.header(self.betas, added, &mut self.loss);
        Shaped { body: self.edits.on(self.ask.body), betas, loss: self.loss }
    }
}

/// Whether the model will think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinks {
    /// The request says so.
    On,
    /// The request says that it shall not.
    Off,
    /// The request says nothing; what the model does then, if that is known.
    Default(Option<bool>),
}

impl Thinks {
    fn at_all(self) -> bool {
        matches!(self, Self::On | Self::Default(Some(true)))
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

fn is_one(value: &[u8]) -> bool {
    std::str::from_utf8(value).ok().and_then(|number| number.parse().ok()) == Some(1.0_f64)
}

fn nothing_left(model: &str) -> Error {
    let message = format!("messages: nothing in them is for `{model}`; send at least one message of the user");
    Error::new(Stage::Wire, Kind::BadRequest, message)
}

/// The beta for a window of a million tokens, where a model has that only by it.
const LARGE_CONTEXT: &str = "context-1m-2025-08-07";
const SUMMARIZED: &str = "\"summarized\"";
