//! Lists of tools in Chat Completions, read and written.
//!
//! Schemas cross as they stand, key order and spelling of numbers kept. A tool that only its own dialect's providers
//! can run is left out of a list that is written, and told. Which tool must be called is the request's
//! ([`super::write`]).

use std::sync::Arc;

use super::read::mark;
use crate::error::Error;
use crate::json::{self, Span, member_of, text};
use crate::wire::Loss;
use crate::wire::chat::capability;
use crate::wire::ir::{Escaped, Tool, ToolKind, Ttl};
use crate::wire::names;
use crate::wire::refusal::wrong;
use crate::wire::traits::{CacheForm, Traits};
use crate::wire::translate::Toolbox;

/// Reads a list; what cannot be read into the IR is noted. Entries of the older `functions` are taken too.
pub fn read<'b>(raw: &'b [u8], loss: &mut Loss) -> Result<Vec<Tool<'b>>, Error> {
    let mut tools = Vec::new();
    for entry in json::elements(raw, Span::all(raw)) {
        let entry = entry.map_err(|_| wrong("tools", "an array of objects", raw))?;
        if !entry.of(raw).starts_with(b"{") {
            return Err(wrong("tools[]", "an object", entry.of(raw)));
        }
        tools.push(Tool { kind: kind(raw, entry, loss)?, cache: mark(raw, entry) });
    }
    Ok(tools)
}

fn kind<'b>(raw: &'b [u8], entry: Span, loss: &mut Loss) -> Result<ToolKind<'b>, Error> {
    let whole = entry.of(raw);
    let word = member_of(raw, entry, "type").and_then(|word| text::string(word.value.of(raw)));
    match (word.as_deref(), member_of(raw, entry, "function"), member_of(raw, entry, "custom")) {
        (Some("function") | None, Some(function), _) => self::function(raw, function.value, loss),
        (Some("function") | None, None, _) => self::function(raw, entry, loss),
        (Some("custom"), _, Some(custom)) => {
            let name = name(raw, custom.value, "tools[].custom.name")?;
            Ok(ToolKind::Known { name, word: "custom".into(), raw: whole })
        }
        (Some(_), _, _) => {
            let word = word.unwrap_or_default();
            let name = match member_of(raw, entry, "name") {
                Some(name) => Escaped::of_value(name.value.of(raw)).unwrap_or_default(),
                None => Escaped::of(&word),
            };
            Ok(ToolKind::Server { name, word, raw: whole })
        }
    }
}

fn function<'b>(raw: &'b [u8], function: Span, loss: &mut Loss) -> Result<ToolKind<'b>, Error> {
    let part = |name| {
        let value = member_of(raw, function, name)?.value.of(raw);
        (value != b"null").then_some(value)
    };
    let schema = part("parameters");
    if let Some(schema) = schema.filter(|schema| !schema.starts_with(b"{")) {
        return Err(wrong("tools[].function.parameters", "an object", schema));
    }
    let description = part("description").and_then(Escaped::of_value);
    if description.is_none() && part("description").is_some() {
        loss.add("tools.description");
    }
    Ok(ToolKind::Function {
        name: name(raw, function, "tools[].function.name")?,
        description,
        schema,
        strict: part("strict").and_then(text::boolean),
    })
}

fn name<'b>(raw: &'b [u8], object: Span, field: &str) -> Result<Escaped<'b>, Error> {
    let value = member_of(raw, object, "name").map_or(&[][..], |name| name.value.of(raw));
    let name = Escaped::of_value(value).filter(|name| !name.is_empty());
    name.ok_or_else(|| wrong(field, "a name", value))
}

/// Writes a list. The order is the client's, and `offered` names the entries of `json` one by one.
pub fn write(tools: &[Tool<'_>], traits: &Traits, model: &str) -> Toolbox {
    let mut list = List {
        out: Vec::with_capacity(tools.iter().map(size).sum()),
        toolbox: Toolbox::default(),
        marks: traits.cache == CacheForm::Marks && capability::takes_marks(model),
    };
    for tool in tools {
        list.push(tool, traits);
    }
    list.finish()
}

/// Room for one entry.
fn size(tool: &Tool<'_>) -> usize {
    match &tool.kind {
        ToolKind::Function { name, description, schema, .. } => {
            let description = description.as_ref().map_or(0, |text| text.as_bytes().len());
            name.as_bytes().len() + description + schema.map_or(0, <[u8]>::len) + FRAME
        }
        ToolKind::Known { .. } | ToolKind::Server { .. } => 0,
    }
}

/// A list as it grows.
struct List {
    out: Vec<u8>,
    toolbox: Toolbox,
    marks: bool,
}

impl List {
    fn push(&mut self, tool: &Tool<'_>, traits: &Traits) {
        match &tool.kind {
            ToolKind::Function { name, .. } if !traits.tools => {
                self.toolbox.loss.add("tools");
                self.toolbox.left_out.push(name.as_bytes().into());
            }
            ToolKind::Function { name, description, schema, strict } => {
                self.function(name, description.as_ref(), *schema, traits);
                match strict {
                    Some(strict) if traits.strict_tools => {
                        self.out.extend_from_slice(if *strict {
                            b",\"strict\":true"
                        } else {
                            b",\"strict\":false"
                        });
                    }
                    Some(true) => self.toolbox.loss.add("tools.strict"),
                    Some(false) | None => {}
                }
                self.out.push(b'}');
                self.mark(tool.cache);
                self.out.push(b'}');
                self.toolbox.offered.push(name.as_bytes().into());
            }
            ToolKind::Known { name, word, .. } | ToolKind::Server { name, word, .. } => {
                self.toolbox.loss.add(format!("tools.{word}"));
                self.toolbox.left_out.push(name.as_bytes().into());
            }
        }
    }

    /// `{"type":"function","function":{…`, both still open.
    fn function(
        &mut self,
        name: &Escaped<'_>,
        description: Option<&Escaped<'_>>,
        schema: Option<&[u8]>,
        traits: &Traits,
    ) {
        let sent = names::fit_name(name, traits.name_length);
        Arc::make_mut(&mut self.toolbox.names).note(name.as_bytes(), &sent);
        self.out.push(if self.toolbox.offered.is_empty() { b'[' } else { b',' });
        self.out.extend_from_slice(b"{\"type\":\"function\",\"function\":{\"name\":\"");
        self.out.extend_from_slice(&sent);
        self.out.push(b'"');
        if let Some(description) = description {
            self.out.extend_from_slice(b",\"description\":\"");
            self.out.extend_from_slice(description.as_bytes());
            self.out.push(b'"');
        }
        // Every server takes the empty object; not every one takes a tool without `parameters`.
        self.out.extend_from_slice(b",\"parameters\":");
        self.out.extend_from_slice(schema.unwrap_or(b"{\"type\":\"object\",\"properties\":{}}"));
    }

    fn mark(&mut self, cache: Option<Ttl>) {
        if let Some(ttl) = cache.filter(|_| self.marks) {
            self.out.extend_from_slice(super::write::cache_control(ttl));
        }
    }

    fn finish(mut self) -> Toolbox {
        if !self.toolbox.offered.is_empty() {
            self.out.push(b']');
        }
        self.toolbox.json = self.out.into_boxed_slice();
        self.toolbox
    }
}

/// What stands around name, description and schema.
const FRAME: usize = 160;
