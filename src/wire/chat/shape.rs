//! Makes a Chat Completions request fit the model that it goes to, by edits of byte ranges.
//!
//! The edits, all of them: the model's name; usage asked for at the end of a stream; the output limit, lowered, inserted, or
//! under the name that is taken; what the provider refused before ([`super::repair`]); reasoning that another family
//! sealed, cut; and, where the model sent is another one than the client asked for, what that model would refuse by
//! [`capability`]. Everything else stays byte for byte. Every change but the first two is named in [`Loss`].

use memchr::memmem;

use super::capability::{self, Capability, Sampling, Thinks};
use super::repair::{self, Field, Site};
use super::request::Ask;
use crate::error::Error;
use crate::json::{self, Edits, Member, Span, Spliced, member_of, text};
use crate::wire::Loss;
use crate::wire::ir::Effort;
use crate::wire::seal;
use crate::wire::traits::{OutputLimit, Replay};
use crate::wire::translate::Target;

/// A request as it is to be sent.
#[derive(Clone, Debug)]
pub struct Shaped<'b> {
    /// The body.
    pub body: Spliced<'b>,
    /// What was changed.
    pub loss: Loss,
    /// Usage is asked for and the client did not: the chunk that tells it is taken out of the answer.
    pub usage_added: bool,
}

/// Shapes a request, or one for embeddings, of which only the model's name is changed.
pub fn shape<'b>(ask: &Ask<'b>, target: &Target<'_>) -> Result<Shaped<'b>, Error> {
    let mut shaper = Shaper::new(ask, target);
    shaper.name();
    let Some(messages) = ask.messages_at else { return Ok(shaper.finish(false)) };
    let usage_added = shaper.usage();
    shaper.output_limit();
    shaper.refused();
    shaper.untaken();
    shaper.thinking(messages);
    Ok(shaper.finish(usage_added))
}

/// A request on its way into shape.
struct Shaper<'a, 'b> {
    ask: &'a Ask<'b>,
    target: &'a Target<'a>,
    /// What the model sent takes, where that is another one than the model asked for.
    model: Option<&'static Capability>,
    edits: Edits,
    loss: Loss,
}

impl<'a, 'b> Shaper<'a, 'b> {
    fn new(ask: &'a Ask<'b>, target: &'a Target<'a>) -> Self {
        let (asked, sent) = (capability::of(&ask.model), capability::of(target.model));
        let other = |sent: &&Capability| asked.is_none_or(|asked| asked.family != sent.family);
        let model = sent.filter(|_| ask.model != target.model).filter(other);
        Self { ask, target, model, edits: Edits::new(), loss: Loss::default() }
    }

    fn finish(self, usage_added: bool) -> Shaped<'b> {
        Shaped { body: self.edits.on(self.ask.body), loss: self.loss, usage_added }
    }

    fn name(&mut self) {
        if self.ask.model != self.target.model {
            self.edits.replace(self.ask.model_at.value, text::quote(self.target.model));
        }
    }

    fn drops(&self, field: Field) -> bool {
        repair::has(self.target.repairs, field)
    }

    /// Asks for usage at the end of a stream; tells whether the client did not.
    fn usage(&mut self) -> bool {
        let wanted = self.target.traits.usage_option && !self.drops(Field::StreamOptions);
        if !(self.ask.stream && wanted) || self.ask.include_usage {
            return false;
        }
        let body = self.ask.body;
        let Some(options) = self.ask.field("stream_options") else {
            self.insert("stream_options", USAGE);
            return true;
        };
        let inner: Vec<Member> = json::members(body, options.value).map_while(Result::ok).collect();
        match inner.iter().find(|member| member.is(body, "include_usage")) {
            Some(member) => self.edits.replace(member.value, "true"),
            None if inner.is_empty() => self.edits.replace(options.value, USAGE),
            None => self.edits.insert_member(options.value, "include_usage", b"true"),
        }
        true
    }

    fn insert(&mut self, name: &str, value: &[u8]) {
        self.edits.insert_member(Span::root(self.ask.body), name, value);
    }

    /// The output limit, within what provider and model allow, under a name that they take.
    fn output_limit(&mut self) {
        let names = [COMPLETION, PLAIN].into_iter();
        let mut sent = names.filter_map(|name| Some((name, self.limit(name)?)));
        let (first, second) = (sent.next(), sent.next());
        let Some((name, (member, asked))) = first else {
            let both = self.drops(Field::MaxTokens) && self.drops(Field::MaxCompletionTokens);
            if let Some(limit) = self.target.limit.filter(|_| !both) {
                // `null` says nothing, and would stand behind the limit.
                for name in [COMPLETION, PLAIN] {
                    if let Some(member) = self.ask.field(name) {
                        self.edits.remove(member.whole());
                    }
                }
                self.insert(self.limit_name(self.default_name()), limit.to_string().as_bytes());
            }
            return;
        };
        if let Some((name, (member, other))) = second {
            // One of both is what holds: it must not stand there twice, nor pass the limit under its other name.
            let lowered = self.most().is_some_and(|most| most < other);
            if lowered || self.limit_name(COMPLETION) == self.limit_name(PLAIN) {
                self.edits.remove(member.whole());
                self.loss.add(name);
            }
        }
        if self.drops(Field::MaxTokens) && self.drops(Field::MaxCompletionTokens) {
            self.remove(name);
            return;
        }
        let wanted = self.limit_name(name);
        if wanted != name {
            self.edits.replace(member.key, text::quote(wanted));
        }
        if let Some(most) = self.most().filter(|most| *most < asked) {
            self.edits.replace(member.value, most.to_string());
            self.loss.add(name);
        }
    }

    /// The most that provider and model allow.
    fn most(&self) -> Option<u64> {
        [self.target.limit, self.model.map(|model| model.max_output)].into_iter().flatten().min()
    }

    fn limit(&self, name: &str) -> Option<(Member, u64)> {
        let member = self.ask.field(name)?;
        Some((member, text::count(member.value.of(self.ask.body))?))
    }

    fn default_name(&self) -> &'static str {
        match self.target.traits.output_limit {
            OutputLimit::MaxTokens => PLAIN,
            OutputLimit::MaxCompletionTokens => COMPLETION,
        }
    }

    /// The name under which a limit is taken that came under `name`.
    fn limit_name(&self, name: &'static str) -> &'static str {
        let refuses_plain = capability::of(self.target.model).is_some_and(|model| model.completion_limit);
        match self.target.traits.output_limit {
            _ if self.drops(Field::MaxTokens) => COMPLETION,
            _ if self.drops(Field::MaxCompletionTokens) => PLAIN,
            OutputLimit::MaxTokens => PLAIN,
            OutputLimit::MaxCompletionTokens if refuses_plain => COMPLETION,
            OutputLimit::MaxCompletionTokens => name,
        }
    }

    /// Takes out what was refused before, or writes it as it is taken.
    fn refused(&mut self) {
        for field in Field::from_bits(self.target.repairs) {
            let gone = match field.site() {
                Site::Top(names) => names.iter().filter_map(|name| self.ask.field(name)).collect(),
                Site::Tool(name) => self.of_tools(name, true),
                Site::Message(name) => self.of_messages(name),
                Site::Marks => self.marks(),
                // The limit's name is its own matter, a role is not taken out.
                Site::Renamed(..) => Vec::new(),
                Site::Role(from, to) => {
                    self.roles(field, from, to);
                    Vec::new()
                }
            };
            if !gone.is_empty() {
                self.loss.add(field.name());
            }
            for member in gone {
                self.edits.remove(member.whole());
            }
        }
    }

    /// The members of that name of each tool, or of its function.
    fn of_tools(&self, name: &str, function: bool) -> Vec<Member> {
        let body = self.ask.body;
        let tools = self.ask.field("tools").map(|tools| tools.value);
        let tools = tools.into_iter().flat_map(|tools| json::elements(body, tools).map_while(Result::ok));
        let holders = tools.filter_map(|tool| {
            if function { member_of(body, tool, "function").map(|inner| inner.value) } else { Some(tool) }
        });
        holders.filter_map(|holder| member_of(body, holder, name)).collect()
    }

    fn of_messages(&self, name: &str) -> Vec<Member> {
        let messages = self.ask.messages.iter();
        messages.filter_map(|message| member_of(self.ask.body, *message, name)).collect()
    }

    /// Every `cache_control`: the body's, of messages, of their parts, of tools.
    fn marks(&self) -> Vec<Member> {
        let body = self.ask.body;
        let contents = self.of_messages("content");
        let parts =
            contents.iter().flat_map(|content| json::elements(body, content.value).map_while(Result::ok));
        let parts = parts.filter_map(|part| member_of(body, part, MARK));
        let others = self.of_messages(MARK).into_iter().chain(self.of_tools(MARK, false));
        self.ask.field(MARK).into_iter().chain(others).chain(parts).collect()
    }

    /// Gives messages of a role another one, or the one behind it where that is refused too.
    fn roles(&mut self, field: Field, from: &str, to: &str) {
        let to = if to == "system" && self.drops(Field::SystemRole) { "user" } else { to };
        for role in self.of_messages("role") {
            if text::string(role.value.of(self.ask.body)).is_some_and(|role| role == from) {
                self.edits.replace(role.value, text::quote(to));
                self.loss.add(field.name());
            }
        }
    }

    fn remove(&mut self, name: &'static str) {
        if let Some(member) = self.ask.field(name) {
            self.edits.remove(member.whole());
            self.loss.add(name);
        }
    }

    /// What another model than the one asked for refuses.
    fn untaken(&mut self) {
        let Some(model) = self.model else { return };
        let thinks = self.thinks(model);
        let sampling = match model.sampling {
            Sampling::Free => false,
            Sampling::WithoutThinking => thinks,
            Sampling::Fixed => true,
        };
        let refused = [
            (sampling, &["temperature", "top_p", "logprobs", "top_logprobs"][..]),
            (model.sampling != Sampling::Free, &["frequency_penalty", "presence_penalty", "logit_bias"]),
            (!model.stop, &["stop"]),
            (model.thinks == Thinks::Never, &["reasoning_effort", "reasoning", "thinking"]),
            (!model.parallel, &["parallel_tool_calls"]),
        ];
        for (_, names) in refused.iter().filter(|(refused, _)| *refused) {
            names.iter().for_each(|name| self.remove(name));
        }
        self.effort(model);
    }

    fn asked_effort(&self) -> Option<(Member, Effort)> {
        let member = self.ask.field("reasoning_effort")?;
        let word = text::string(member.value.of(self.ask.body))?;
        Some((member, Effort::from_word(&word)?))
    }

    fn thinks(&self, model: &Capability) -> bool {
        match self.asked_effort() {
            Some((_, effort)) => effort.nearest(model.efforts) != Some(Effort::None),
            None => model.thinks_unasked,
        }
    }

    fn effort(&mut self, model: &Capability) {
        let Some((member, asked)) = self.asked_effort() else { return };
        match asked.nearest(model.efforts) {
            Some(taken) if taken != asked => {
                self.edits.replace(member.value, text::quote(taken.word()));
                self.loss.add("reasoning_effort");
            }
            Some(_) | None => {}
        }
    }

    /// Cuts reasoning that bears a seal, since answers of this dialect are passed on unsealed: another family made it.
    fn thinking(&mut self, messages: Member) {
        let body = self.ask.body;
        if !self.target.cut_thinking && memmem::find(messages.value.of(body), seal::MARK).is_none() {
            return;
        }
        for message in &self.ask.messages {
            let Some(details) = member_of(body, *message, "reasoning_details") else { continue };
            let all: Vec<Span> = json::elements(body, details.value).map_while(Result::ok).collect();
            let cut: Vec<Span> =
                all.iter().copied().filter(|one| self.target.cut_thinking || is_sealed(body, *one)).collect();
            if cut.is_empty() {
                continue;
            }
            self.loss.add("messages.reasoning_details");
            if cut.len() < all.len() {
                for one in cut {
                    self.edits.remove(one);
                }
                continue;
            }
            self.edits.remove(details.whole());
            // Where it is demanded, a text of any family will do.
            if !matches!(self.target.traits.replay, Replay::Demanded(_)) {
                let texts = ["reasoning", "reasoning_content"].into_iter();
                let texts = texts.filter_map(|name| member_of(body, *message, name));
                texts.for_each(|text| self.edits.remove(text.whole()));
            }
        }
    }
}

/// Whether a detail bears a seal of ours.
fn is_sealed(body: &[u8], detail: Span) -> bool {
    let opaque = ["signature", "data"].into_iter().filter_map(|name| member_of(body, detail, name));
    let mut inner = opaque.filter_map(|member| member.value.of(body).strip_prefix(b"\""));
    inner.any(|value| value.starts_with(seal::MARK))
}

const USAGE: &[u8] = b"{\"include_usage\":true}";
const MARK: &str = "cache_control";
const PLAIN: &str = "max_tokens";
const COMPLETION: &str = "max_completion_tokens";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::traits::{CHAT, Traits};

    const DEMANDS: Traits = Traits { replay: Replay::Demanded("reasoning_content"), ..CHAT };
    const OLD: Traits = Traits { output_limit: OutputLimit::MaxTokens, ..CHAT };

    fn target<'a>(model: &'a str, traits: &'static Traits) -> Target<'a> {
        Target { model, traits, limit: None, repairs: 0, cut_thinking: false, context_1m: false }
    }

    fn shaped(body: &str, target: &Target<'_>) -> (String, String, bool) {
        let ask = Ask::read(body.as_bytes(), false).unwrap();
        let shaped = shape(&ask, target).unwrap();
        let sent = String::from_utf8(shaped.body.to_vec()).unwrap();
        serde_json::from_str::<serde_json::Value>(&sent).unwrap();
        (sent, shaped.loss.header(), shaped.usage_added)
    }

    const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

    #[test]
    fn a_request_that_fits_stays_byte_for_byte() {
        let body = format!(" {{ \"model\" : \"gpt-4o\", {MESSAGES} , \"max_tokens\":5, \"x\": 1.0 }} ");
        let ask = Ask::read(body.as_bytes(), false).unwrap();
        assert!(shape(&ask, &target("gpt-4o", &CHAT)).unwrap().body.is_verbatim());
    }

    #[test]
    fn usage_is_asked_for_where_the_client_did_not() {
        for (options, expected, added) in [
            ("", r#"{"stream_options":{"include_usage":true},"#, true),
            (r#""stream_options":null,"#, r#"{"stream_options":{"include_usage":true},"#, true),
            (r#""stream_options":{},"#, r#"{"stream_options":{"include_usage":true},"#, true),
            (
                r#""stream_options":{"include_usage":false},"#,
                r#"{"stream_options":{"include_usage":true},"#,
                true,
            ),
            (r#""stream_options":{"a":1},"#, r#"{"stream_options":{"include_usage":true,"a":1},"#, true),
            (
                r#""stream_options":{"include_usage":true},"#,
                r#"{"stream_options":{"include_usage":true},"#,
                false,
            ),
        ] {
            let body = format!(r#"{{{options}"model":"m","stream":true,{MESSAGES}}}"#);
            let (sent, loss, usage_added) = shaped(&body, &target("m", &CHAT));
            assert_eq!(sent, format!(r#"{expected}"model":"m","stream":true,{MESSAGES}}}"#), "{options}");
            assert_eq!((loss.as_str(), usage_added), ("", added), "{options}");
        }
    }

    #[test]
    fn the_output_limit_has_the_name_that_is_taken() {
        for (model, traits, limit, came, expected, loss) in [
            ("o3", &CHAT, None, r#""max_tokens":5"#, r#""max_completion_tokens":5"#, ""),
            ("gpt-4o", &CHAT, None, r#""max_tokens":5"#, r#""max_tokens":5"#, ""),
            ("m", &OLD, None, r#""max_completion_tokens":5"#, r#""max_tokens":5"#, ""),
            (
                "m",
                &OLD,
                Some(4),
                r#""max_completion_tokens":5"#,
                r#""max_tokens":4"#,
                "max_completion_tokens",
            ),
            (
                "m",
                &OLD,
                None,
                r#""max_tokens":9,"max_completion_tokens":5"#,
                r#""max_tokens":5"#,
                "max_tokens",
            ),
            ("m", &CHAT, Some(9), r#""max_tokens":5"#, r#""max_tokens":5"#, ""),
        ] {
            let body = format!(r#"{{"model":"{model}",{MESSAGES},{came}}}"#);
            let target = Target { limit, ..target(model, traits) };
            let (sent, lost, _) = shaped(&body, &target);
            assert_eq!(
                (sent, lost.as_str()),
                (format!(r#"{{"model":"{model}",{MESSAGES},{expected}}}"#), loss)
            );
        }
        let plain = format!(r#"{{"model":"m",{MESSAGES}}}"#);
        let (sent, ..) = shaped(&plain, &Target { limit: Some(7), ..target("m", &CHAT) });
        assert_eq!(sent, format!(r#"{{"max_completion_tokens":7,"model":"m",{MESSAGES}}}"#));
    }

    #[test]
    fn another_model_gets_what_it_takes() {
        let body = format!(
            r#"{{"model":"gpt-4o",{MESSAGES},"temperature":0.5,"stop":["x"],"parallel_tool_calls":false,"reasoning_effort":"xhigh"}}"#
        );
        let (sent, loss, _) = shaped(&body, &target("o3", &CHAT));
        assert_eq!(sent, format!(r#"{{"model":"o3",{MESSAGES},"reasoning_effort":"high"}}"#));
        assert_eq!(loss, "temperature, stop, parallel_tool_calls, reasoning_effort");
        // The client that asks for a model is told by its provider what it does not take.
        let same = body.replace("gpt-4o", "o3");
        assert_eq!(shaped(&same, &target("o3-2025-04-16", &CHAT)).0, same.replace("o3", "o3-2025-04-16"));
    }

    #[test]
    fn sealed_reasoning_of_another_family_is_cut() {
        let message = |details: &str, texts: &str| {
            format!(
                r#"{{"model":"m","messages":[{{"role":"assistant",{texts}"content":"a"{details}}},{{"role":"user","content":"\"pm1.x"}}]}}"#
            )
        };
        let sealed = r#"{"type":"reasoning.text","text":"t","signature":"pm1.anthropic.AA"}"#;
        let own = r#"{"type":"reasoning.text","text":"t","signature":"AA"}"#;
        let details = |inner: &str| format!(r#","reasoning_details":[{inner}]"#);
        let text = r#""reasoning_content":"t","#;
        for (came, expected) in [
            (message(&details(sealed), text), message("", "")),
            (message(&details(&format!("{sealed},{own}")), text), message(&details(own), text)),
            (message(&details(own), text), message(&details(own), text)),
        ] {
            assert_eq!(shaped(&came, &target("m", &CHAT)).0, expected);
        }
        let (sent, loss, _) = shaped(&message(&details(sealed), text), &target("m", &DEMANDS));
        assert_eq!((sent, loss.as_str()), (message("", text), "messages.reasoning_details"));
        let cut = Target { cut_thinking: true, ..target("m", &CHAT) };
        assert_eq!(shaped(&message(&details(own), text), &cut).0, message("", ""));
    }

    #[test]
    fn what_was_refused_before_is_left_out_or_renamed() {
        let mark = r#","cache_control":{"type":"ephemeral"}"#;
        let body = |mark: &str, limit: &str, rest: &str| {
            format!(
                r#"{{"model":"m","messages":[{{"role":"developer","content":[{{"type":"text","text":"a"{mark}}}]{mark}}},{{"role":"user","content":"b"}}]{limit}{rest}}}"#
            )
        };
        let tools = |strict: &str, mark: &str| {
            format!(r#","tools":[{{"type":"function","function":{{"name":"f"{strict}}}{mark}}}]"#)
        };
        let strict = r#","strict":true"#;
        let came = body(mark, r#","max_tokens":5"#, &tools(strict, mark));
        for (fields, expected, loss) in [
            (&[Field::CacheControl][..], came.replace(mark, ""), "cache_control"),
            (&[Field::ToolStrict], came.replace(strict, ""), "tools.strict"),
            (&[Field::MaxTokens], came.replace("max_tokens", "max_completion_tokens"), ""),
            (
                &[Field::MaxTokens, Field::MaxCompletionTokens],
                came.replace(r#","max_tokens":5"#, ""),
                "max_tokens",
            ),
            (&[Field::DeveloperRole], came.replace("developer", "system"), "messages.developer"),
            (
                &[Field::DeveloperRole, Field::SystemRole],
                came.replace("developer", "user"),
                "messages.developer",
            ),
            (&[Field::Temperature, Field::MessageName], came.clone(), ""),
        ] {
            let repairs = fields.iter().fold(0, |bits, field| bits | field.bit());
            let (sent, lost, _) = shaped(&came, &Target { repairs, ..target("m", &CHAT) });
            assert_eq!((sent, lost.as_str()), (expected, loss), "{fields:?}");
        }
    }

    #[test]
    fn of_embeddings_only_the_models_name_is_changed() {
        let ask = Ask::read(br#"{"model":"a","input":"x","max_tokens":9}"#, true).unwrap();
        let shaped = shape(&ask, &Target { limit: Some(1), ..target("b", &CHAT) }).unwrap();
        assert_eq!(shaped.body.to_vec(), br#"{"model":"b","input":"x","max_tokens":9}"#);
    }
}
