//! A conversation as a Messages request (wire.md 19.1, the reverse column).
//!
//! ```text
//! Conversation ──▶ turns ──────▶ messages, system ─┐
//!              ──▶ reasoning ──▶ thinking, effort ─┼──▶ a full body for nobody's model ──▶ shape ──▶ what the model takes
//!              ──▶ settings ───────────────────────┘
//! ```
//!
//! The body is written as if every model took everything, but for what is better decided while more is known than the body
//! shows; then it is made to fit like any other request, by the same table, with the same repairs. It asks for a model that
//! nobody has described, so that no restriction of the one that is sent is passed over. Nothing is added that the client did
//! not ask for in some form, cache marks least of all.

mod content;
mod reasoning;
mod schema;
mod turns;

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use super::{Ask, Call, cache};
use crate::error::Error;
use crate::json::text;
use crate::wire::Loss;
use crate::wire::anthropic::capability::{self, Capability};
use crate::wire::anthropic::drops::Drops;
use crate::wire::anthropic::{Field, envelope, shape};
use crate::wire::ir::{Choice, Conversation, Escaped, Format, Setting, Tier};
use crate::wire::names::{digest_of, fit_name};
use crate::wire::translate::{Target, Toolbox, Written};
use reasoning::Thinks;
use schema::closed;
use turns::Arranged;

/// Writes a request. `tools` are the conversation's, translated ([`super::tools::write`]).
pub fn write(
    conversation: &Conversation<'_>,
    tools: &Arc<Toolbox>,
    target: &Target<'_>,
) -> Result<Written, Error> {
    let mut writer = Writer::new(conversation, tools, target);
    let body = writer.body()?;
    let ask = Ask::read(&body, Call::Messages)?;
    let shaped = shape::shape(
        &ask,
        None,
        &shape::Target {
            model: target.model,
            limit: target.limit,
            repairs: target.repairs,
            cut_thinking: target.cut_thinking,
            context_1m: target.context_1m,
        },
    )?;
    let mut loss = writer.loss;
    add(&mut loss, &shaped.loss);
    let betas = shaped.betas.map(Cow::into_owned);
    Ok(Written { front: shaped.body.to_vec(), tools: None, back: Vec::new(), betas, loss })
}

fn add(loss: &mut Loss, more: &Loss) {
    for name in more.names() {
        loss.add(name.to_owned());
    }
}

/// A request on its way.
struct Writer<'c> {
    conversation: &'c Conversation<'c>,
    tools: &'c Toolbox,
    target: &'c Target<'c>,
    /// What the model takes, if somebody has described it.
    known: Option<&'static Capability>,
    /// What it refused before.
    refused: Drops,
    loss: Loss,
    out: Vec<u8>,
}

impl<'c> Writer<'c> {
    fn new(conversation: &'c Conversation<'c>, tools: &'c Toolbox, target: &'c Target<'c>) -> Self {
        let mut loss = conversation.loss.clone();
        add(&mut loss, &tools.loss);
        let known = capability::of(target.model);
        let refused = Drops::remembered(target.repairs);
        Self { conversation, tools, target, known, refused, loss, out: Vec::new() }
    }

    fn body(&mut self) -> Result<Vec<u8>, Error> {
        let room = self.room();
        let thinks = self.thinks(room);
        let later_system = self.known.is_some_and(|model| model.system_role);
        let mut arranged = Arranged::read(
            self.conversation,
            self.target.traits.family,
            later_system && !self.refused.has(Field::SystemRole),
            &mut self.loss,
        )?;
        arranged.end(self.known.is_some_and(Capability::takes_prefill) && !thinks.on(), &mut self.loss);
        self.out.extend_from_slice(b"{\"model\":");
        text::quote_into(&mut self.out, NOBODY);
        envelope::number(&mut self.out, ",\"max_tokens\":", room);
        self.system(&arranged)?;
        if !self.tools.json.is_empty() {
            self.member("tools", &self.tools.json);
        }
        self.choice();
        self.settings();
        thinks.write(&mut self.out);
        self.output_config(thinks.effort());
        self.out.extend_from_slice(b",\"messages\":");
        arranged.write(self.target.traits, &mut self.out)?;
        self.out.push(b'}');
        Ok(std::mem::take(&mut self.out))
    }

    /// The output limit: the client's, else what the model gives at most, up to what clients of the dialect ask for.
    fn room(&self) -> u64 {
        let most = self.known.map_or(DEFAULT_OUTPUT, |model| model.max_output.min(DEFAULT_OUTPUT));
        let most = self.target.limit.map_or(most, |limit| most.min(limit));
        self.conversation.max_output.unwrap_or(most)
    }

    fn thinks(&mut self, room: u64) -> Thinks {
        let most = self.known.map_or(u64::MAX, |model| model.max_output);
        let room = room.min(most).min(self.target.limit.unwrap_or(u64::MAX));
        let forced = self.forces_a_tool() && self.known.is_none_or(|model| model.forced_tools);
        let thinks = Thinks::decide(&self.conversation.reasoning, self.known, forced, room);
        if thinks.is_less() {
            self.loss.add("reasoning_effort");
        }
        thinks
    }

    fn forces_a_tool(&self) -> bool {
        match &self.conversation.choice {
            Some(Choice::Any) => !self.tools.json.is_empty(),
            Some(Choice::Tool(name)) => self.tools.offers(name.as_bytes()),
            Some(Choice::Auto | Choice::None) | None => false,
        }
    }

    fn system(&mut self, arranged: &Arranged<'_>) -> Result<(), Error> {
        let hint = self.hint();
        if arranged.system.is_empty() && hint.is_none() {
            return Ok(());
        }
        self.out.extend_from_slice(b",\"system\":[");
        let mut list = content::List::new(&mut self.out);
        for block in &arranged.system {
            list.block(block, self.target.traits)?;
        }
        if let Some(hint) = hint {
            list.text(&hint, None);
        }
        self.out.push(b']');
        Ok(())
    }

    /// The form of the answer in words, where it cannot be told otherwise.
    fn hint(&mut self) -> Option<Escaped<'static>> {
        match &self.conversation.format {
            Format::Text => None,
            Format::Json => Some(Escaped::of(JSON_HINT)),
            Format::Schema { .. } if self.takes_formats() => None,
            Format::Schema { schema, .. } => {
                self.loss.add("response_format");
                Some(Escaped::of(&format!("{SCHEMA_HINT}{}", String::from_utf8_lossy(schema))))
            }
        }
    }

    fn takes_formats(&self) -> bool {
        self.known.is_none_or(|model| model.formats) && !self.refused.has(Field::OutputFormat)
    }

    fn choice(&mut self) {
        let choice = match &self.conversation.choice {
            // Without tools there is nothing to choose; that none is forced is a loss.
            Some(choice) if self.tools.json.is_empty() => {
                if matches!(choice, Choice::Any | Choice::Tool(_)) {
                    self.loss.add("tool_choice");
                }
                return;
            }
            None if self.tools.json.is_empty() || self.conversation.parallel != Some(false) => return,
            Some(Choice::Tool(name)) if !self.tools.offers(name.as_bytes()) => {
                self.loss.add("tool_choice");
                &Choice::Auto
            }
            Some(choice) => choice,
            None => &Choice::Auto,
        };
        self.out.extend_from_slice(b",\"tool_choice\":{\"type\":");
        match choice {
            Choice::Auto => self.out.extend_from_slice(b"\"auto\""),
            Choice::None => self.out.extend_from_slice(b"\"none\""),
            Choice::Any => self.out.extend_from_slice(b"\"any\""),
            Choice::Tool(name) => {
                self.out.extend_from_slice(b"\"tool\",\"name\":");
                envelope::string(&fit_name(name, self.target.traits.name_length), &mut self.out);
            }
        }
        if self.conversation.parallel == Some(false) && *choice != Choice::None {
            self.out.extend_from_slice(b",\"disable_parallel_tool_use\":true");
        }
        self.out.push(b'}');
    }

    fn settings(&mut self) {
        let conversation = self.conversation;
        if let Some(temperature) = conversation.temperature {
            let hot = number(temperature).is_some_and(|degree| degree > 1.0);
            if hot {
                self.loss.add("temperature");
            }
            self.member("temperature", if hot { b"1" } else { temperature });
        }
        for (name, value) in [("top_p", conversation.top_p), ("top_k", conversation.top_k)] {
            if let Some(value) = value {
                self.member(name, value);
            }
        }
        self.stops();
        if let Some(user) = &conversation.user {
            self.out.extend_from_slice(b",\"metadata\":{\"user_id\":");
            self.user(user);
            self.out.push(b'}');
        }
        match conversation.tier {
            Some(Tier::Auto) => self.member("service_tier", b"\"auto\""),
            Some(Tier::Standard) => self.member("service_tier", b"\"standard_only\""),
            Some(Tier::Flex | Tier::Priority) => self.loss.add("service_tier"),
            None => {}
        }
        for (setting, value) in &conversation.settings {
            if says_something(*setting, value) {
                self.loss.add(setting.name());
            }
        }
        if conversation.stream {
            self.member("stream", b"true");
        }
    }

    /// Blank ones are refused.
    fn stops(&mut self) {
        let stop = &self.conversation.stop;
        let said = stop.iter().filter(|text| !text.is_blank());
        let list: Vec<Vec<u8>> = said.map(|text| [b"\"", text.as_bytes(), b"\""].concat()).collect();
        if list.len() < stop.len() {
            self.loss.add("stop");
        }
        if !list.is_empty() {
            self.member("stop_sequences", &[b"[", list.join(&b',').as_slice(), b"]"].concat());
        }
    }

    fn user(&mut self, user: &Escaped<'_>) {
        let plain = user.plain();
        if plain.chars().count() <= LONGEST_USER {
            envelope::string(user.as_bytes(), &mut self.out);
        } else {
            text::quote_into(&mut self.out, &digest_of(plain.as_bytes(), HASHED_USER));
        }
    }

    fn output_config(&mut self, effort: Option<&str>) {
        let schema = match &self.conversation.format {
            Format::Schema { schema, strict: Some(false), .. } if self.takes_formats() => {
                Some(Cow::Owned(closed(schema)))
            }
            Format::Schema { schema, .. } if self.takes_formats() => Some(Cow::Borrowed(*schema)),
            _ => None,
        };
        let mut inner = Vec::new();
        if let Some(effort) = effort {
            // A vector takes everything.
            let _ = write!(inner, "\"effort\":\"{effort}\"");
        }
        if let Some(schema) = schema {
            inner.extend_from_slice(if inner.is_empty() { b"" } else { b"," });
            inner.extend_from_slice(b"\"format\":{\"type\":\"json_schema\",\"schema\":");
            inner.extend_from_slice(&schema);
            inner.push(b'}');
        }
        if !inner.is_empty() {
            self.member("output_config", &[b"{", inner.as_slice(), b"}"].concat());
        }
    }

    fn member(&mut self, name: &str, value: &[u8]) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(value);
    }
}

fn number(value: &[u8]) -> Option<f64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether a setting asks for anything but what is so without it.
fn says_something(setting: Setting, value: &[u8]) -> bool {
    match setting {
        Setting::Seed => true,
        Setting::FrequencyPenalty | Setting::PresencePenalty => number(value) != Some(0.0),
        Setting::LogitBias => value != b"{}",
        Setting::Logprobs => !matches!(value, b"false" | b"0"),
    }
}

/// A model that no table knows: shaping takes every model that is sent for another one.
const NOBODY: &str = "-";
/// What Claude Code asks for of models that it does not know.
const DEFAULT_OUTPUT: u64 = 32_000;
/// wire.md 1.2, in characters.
const LONGEST_USER: usize = 256;
const HASHED_USER: usize = 64;
const JSON_HINT: &str = "Answer with one JSON object and nothing else.";
const SCHEMA_HINT: &str = "Answer with JSON that keeps to this JSON Schema, and with nothing else: ";

#[cfg(test)]
mod tests;
