//! The content blocks of a Messages request as blocks of the IR (wire.md 1.3).
//!
//! One walk over a block's members, then a table of types. A block may become none (a blank text), one, or several (a
//! document made of blocks). Blocks of the provider's own tools and those that are not known here stay raw, with the
//! dialect as their owner. Which of them a target takes is not known here.

use std::borrow::Cow;

use super::{Place, name, said};
use crate::error::Error;
use crate::json::{self, Span, text};
use crate::wire::anthropic::request::{cache, not_json};
use crate::wire::anthropic::signature::{self, Field};
use crate::wire::ir::{Block, Content, Escaped, Media, MediaKind, Source, Ttl};
use crate::wire::{Dialect, Loss};

/// Reads one block behind `out`.
pub(super) fn read<'b>(
    body: &'b [u8],
    span: Span,
    place: Place<'_>,
    out: &mut Vec<Block<'b>>,
    loss: &mut Loss,
) -> Result<(), Error> {
    let found = Found::read(body, span, place)?;
    if found.plain(place, out, loss)? {
        return Ok(());
    }
    let content = match &*found.kind {
        "tool_use" => found.call(place)?,
        "tool_result" => found.result(place, loss)?,
        "thinking" => found.thinking(),
        "redacted_thinking" => found.redacted(),
        // The conversation in short, as the API wrote it for itself.
        "compaction" => match found.content.and_then(said) {
            Some(summary) => summary,
            None => return Ok(()),
        },
        // Says only that another model answered.
        "fallback" => return Ok(()),
        kind if is_server(kind) => Content::Server { owner: Dialect::Messages, raw: found.raw.into() },
        _ => Content::Opaque { owner: Dialect::Messages, raw: found.raw.into() },
    };
    out.push(found.marked(content));
    Ok(())
}

/// Whether a block is a call or an answer of the provider's own tools.
fn is_server(kind: &str) -> bool {
    kind == "server_tool_use"
        || kind == "container_upload"
        || kind.starts_with("mcp_")
        || kind.ends_with("_tool_result")
}

/// A block's members. `null` is the same as absent.
#[derive(Default)]
struct Found<'b> {
    body: &'b [u8],
    raw: &'b [u8],
    kind: Cow<'b, str>,
    text: Option<&'b [u8]>,
    source: Option<Span>,
    id: Option<&'b [u8]>,
    name: Option<&'b [u8]>,
    input: Option<&'b [u8]>,
    content: Option<&'b [u8]>,
    /// The elements of `content`, where it is an array.
    inner: Vec<Span>,
    failed: bool,
    /// `thinking`.
    thought: Option<&'b [u8]>,
    /// `signature` or `data`.
    opaque: Option<&'b [u8]>,
    cache: Option<Ttl>,
    title: Option<&'b [u8]>,
    context: Option<&'b [u8]>,
    /// `tool` of a change of tools.
    tool: Option<Span>,
    cited: bool,
}

impl<'b> Found<'b> {
    fn read(body: &'b [u8], span: Span, place: Place<'_>) -> Result<Self, Error> {
        let raw = span.of(body);
        if raw.first() != Some(&b'{') {
            return Err(place.no_object(raw));
        }
        let mut found = Self { body, raw, ..Self::default() };
        let mut kind = None;
        let mut members = json::members(body, span);
        while let Some(member) = members.next_opening("content", &mut found.inner) {
            let member = member.map_err(|fault| not_json(body, fault))?;
            let value = member.value.of(body);
            if value == b"null" {
                continue;
            }
            match &*name(member.key.of(body)) {
                b"type" => kind = Some(value),
                b"text" => found.text = Some(value),
                b"source" => found.source = Some(member.value),
                b"id" | b"tool_use_id" => found.id = Some(value),
                b"name" | b"tool_name" => found.name = Some(value),
                b"input" => found.input = Some(value),
                b"content" => found.content = Some(value),
                b"is_error" => found.failed = value == b"true",
                b"thinking" => found.thought = Some(value),
                b"signature" | b"data" => found.opaque = Some(value),
                b"cache_control" => found.cache = cache::read(value),
                b"title" => found.title = Some(value),
                b"context" => found.context = Some(value),
                b"tool" => found.tool = Some(member.value),
                b"citations" => found.cited = !matches!(value, b"[]" | b"{\"enabled\":false}"),
                _ => {}
            }
        }
        let kind = kind.ok_or_else(|| place.missing("type"))?;
        found.kind = text::string(kind).ok_or_else(|| place.wrong("type", "a string", kind))?;
        Ok(found)
    }

    fn marked(&self, content: Content<'b>) -> Block<'b> {
        Block { content, cache: self.cache }
    }

    /// The kinds that may stand in a tool's result too, and become texts and media; `false` if it is another one.
    fn plain(&self, place: Place<'_>, out: &mut Vec<Block<'b>>, loss: &mut Loss) -> Result<bool, Error> {
        let before = out.len();
        match &*self.kind {
            "text" => {
                let value = self.text.ok_or_else(|| place.missing("text"))?;
                if !value.starts_with(b"\"") {
                    return Err(place.wrong("text", "a string", value));
                }
                out.extend(said(value).map(Block::new));
            }
            "image" => out.push(Block::new(self.media(MediaKind::Image, place)?)),
            "document" => self.document(place, out, loss)?,
            "search_result" => out.push(Block::new(self.search_result())),
            "tool_reference" => out.push(Block::new(told(b"Tool loaded: ", self.name))),
            "tool_addition" | "tool_removal" => {
                out.push(Block::new(self.tool_change()));
                loss.add("messages.tool_changes");
            }
            _ => return Ok(false),
        }
        if self.cited {
            loss.add("messages.citations");
        }
        if let Some(last) = out.get_mut(before..).and_then(<[Block<'b>]>::last_mut) {
            last.cache = self.cache;
        }
        Ok(true)
    }

    fn call(&self, place: Place<'_>) -> Result<Content<'b>, Error> {
        let id = named(self.id, "id", place)?;
        let name = named(self.name, "name", place)?;
        let args = self.input.unwrap_or(b"{}");
        if !args.starts_with(b"{") {
            return Err(place.wrong("input", "an object", args));
        }
        Ok(Content::ToolCall { id, name, args: args.into() })
    }

    fn result(&self, place: Place<'_>, loss: &mut Loss) -> Result<Content<'b>, Error> {
        let id = named(self.id, "tool_use_id", place)?;
        let mut blocks = Vec::new();
        match self.content {
            None => {}
            Some(text) if text.starts_with(b"\"") => blocks.extend(said(text).map(Block::new)),
            Some(list) if list.starts_with(b"[") => {
                for (index, span) in self.inner.iter().enumerate() {
                    let place = Place { within: Some(&place), list: "content", index };
                    let inner = Found::read(self.body, *span, place)?;
                    if !inner.plain(place, &mut blocks, loss)? {
                        loss.add(format!("messages.tool_result.{}", inner.kind));
                    }
                }
            }
            Some(other) => return Err(place.wrong("content", "a string or an array", other)),
        }
        Ok(Content::ToolResult { id, blocks, error: self.failed })
    }

    fn thinking(&self) -> Content<'b> {
        let text = self.thought.and_then(Escaped::of_value).unwrap_or_default();
        let seal = inside(self.opaque).and_then(|value| signature::read(Field::Signature, value, FAMILY));
        Content::Thinking { text, seal }
    }

    fn redacted(&self) -> Content<'b> {
        let seal = inside(self.opaque).and_then(|value| signature::read(Field::Data, value, FAMILY));
        Content::Thinking { text: Escaped::default(), seal }
    }

    fn media(&self, kind: MediaKind, place: Place<'_>) -> Result<Content<'b>, Error> {
        let source = self.source.ok_or_else(|| place.missing("source"))?;
        let source = Pointed::read(self.body, source).source(place)?;
        Ok(Content::Media(Media {
            kind,
            source,
            title: self.title.and_then(Escaped::of_value),
            detail: None,
        }))
    }

    /// A document, behind what is told about it; one that is made of blocks becomes these.
    fn document(&self, place: Place<'_>, out: &mut Vec<Block<'b>>, loss: &mut Loss) -> Result<(), Error> {
        out.extend(self.context.and_then(said).map(Block::new));
        let source = self.source.ok_or_else(|| place.missing("source"))?;
        let pointed = Pointed::read(self.body, source);
        let Some(content) = pointed.content else {
            out.push(Block::new(self.media(MediaKind::Document, place)?));
            return Ok(());
        };
        out.extend(self.title.and_then(said).map(Block::new));
        out.extend(said(content.of(self.body)).map(Block::new));
        for (index, span) in json::elements(self.body, content).map_while(Result::ok).enumerate() {
            let place = Place { within: Some(&place), list: "source.content", index };
            let inner = Found::read(self.body, span, place)?;
            match &*inner.kind {
                "text" => out.extend(inner.text.and_then(said).map(Block::new)),
                "image" => out.push(Block::new(inner.media(MediaKind::Image, place)?)),
                kind => loss.add(format!("messages.document.{kind}")),
            }
        }
        Ok(())
    }

    /// Title, address, and what was found there.
    fn search_result(&self) -> Content<'b> {
        let address = self.source.map(|source| source.of(self.body));
        let texts = self.inner.iter().filter_map(|span| json::member_of(self.body, *span, "text"));
        let texts = texts.map(|text| Some(text.value.of(self.body)));
        let lines = [self.title, address].into_iter().chain(texts).filter_map(inside);
        Content::Text(Escaped::raw(lines.collect::<Vec<_>>().join(&b"\\n"[..])))
    }

    /// A change of tools in words; the list of tools of the request is what holds.
    fn tool_change(&self) -> Content<'b> {
        let named = |name| Some(json::member_of(self.body, self.tool?, name)?.value.of(self.body));
        let name = self.name.or_else(|| named("name")).or_else(|| named("tool_name"));
        told(if self.kind == "tool_removal" { b"Tool removed: " } else { b"Tool added: " }, name)
    }
}

/// What the `source` of a medium points to.
#[derive(Default)]
struct Pointed<'b> {
    kind: &'b [u8],
    mime: Option<&'b [u8]>,
    data: Option<&'b [u8]>,
    url: Option<&'b [u8]>,
    file: Option<&'b [u8]>,
    /// A text, or blocks.
    content: Option<Span>,
}

impl<'b> Pointed<'b> {
    fn read(body: &'b [u8], source: Span) -> Self {
        let mut found = Self::default();
        for member in json::members(body, source).map_while(Result::ok) {
            let value = member.value.of(body);
            match &*name(member.key.of(body)) {
                b"type" => found.kind = value,
                b"media_type" => found.mime = Some(value),
                b"data" => found.data = Some(value),
                b"url" => found.url = Some(value),
                b"file_id" => found.file = Some(value),
                b"content" => found.content = Some(member.value),
                _ => {}
            }
        }
        found
    }

    fn source(&self, place: Place<'_>) -> Result<Source<'b>, Error> {
        Ok(match self.kind {
            b"\"base64\"" => Source::Base64 {
                mime: named(self.mime, "source.media_type", place)?,
                data: named(self.data, "source.data", place)?,
            },
            b"\"text\"" => Source::Text(named(self.data, "source.data", place)?),
            b"\"url\"" => Source::Url(named(self.url, "source.url", place)?),
            b"\"file\"" => Source::File(named(self.file, "source.file_id", place)?),
            b"" => return Err(place.missing("source.type")),
            other => {
                let expected = "`base64`, `url`, `text`, `content` or `file`";
                return Err(place.wrong("source.type", expected, other));
            }
        })
    }
}

/// A text of ours about a tool.
fn told<'b>(what: &[u8], name: Option<&[u8]>) -> Content<'b> {
    Content::Text(Escaped::raw([what, inside(name).unwrap_or_default()].concat()))
}

/// A string that must be there and not be empty.
fn named<'b>(value: Option<&'b [u8]>, name: &str, place: Place<'_>) -> Result<Escaped<'b>, Error> {
    let value = value.ok_or_else(|| place.missing(name))?;
    let text = Escaped::of_value(value).filter(|text| !text.is_empty());
    text.ok_or_else(|| place.wrong(name, "a string that is not empty", value))
}

/// The inside of a string.
fn inside(value: Option<&[u8]>) -> Option<&[u8]> {
    value?.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whose the native values of the dialect's opaque fields are.
const FAMILY: &str = "anthropic";
