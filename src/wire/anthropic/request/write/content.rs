//! Blocks of the IR as content blocks of Messages (wire.md 1.3, 16).
//!
//! Texts, arguments and opaque state go out as the bytes that they are. Which blocks are written, and in which order, is
//! decided by `turns`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cache;
use crate::error::Error;
use crate::json::text;
use crate::wire::anthropic::envelope;
use crate::wire::anthropic::signature::{self, Field};
use crate::wire::ir::{Block, Content, Escaped, Media, MediaKind, Seal, Source, Ttl};
use crate::wire::names::{fit_name, plain_id};
use crate::wire::refusal::bad;
use crate::wire::traits::Traits;

/// A list that is being written, behind its bracket.
pub(super) struct List<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> List<'o> {
    /// Before the first element.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, empty: true }
    }

    /// Writes a block.
    pub(super) fn block(&mut self, block: &Block<'_>, traits: &Traits) -> Result<(), Error> {
        match &block.content {
            Content::Text(text) | Content::Refusal(text) => self.text(text, block.cache),
            Content::Media(media) => self.media(media, block.cache)?,
            Content::ToolCall { id, name, args } => {
                self.open("tool_use");
                self.string(",\"id\":", &plain_id(id.as_bytes()));
                self.string(",\"name\":", &fit_name(name, traits.name_length));
                self.out.extend_from_slice(b",\"input\":");
                self.out.extend_from_slice(if args.is_empty() { b"{}" } else { args });
                self.close(block.cache);
            }
            Content::ToolResult { id, blocks, error } => {
                self.open("tool_result");
                self.string(",\"tool_use_id\":", &plain_id(id.as_bytes()));
                self.inner(blocks)?;
                if *error {
                    self.out.extend_from_slice(b",\"is_error\":true");
                }
                self.close(block.cache);
            }
            // Nothing of thinking can be marked.
            Content::Thinking { text, seal } => self.thinking(text, seal.as_ref()),
            Content::Server { raw, .. } | Content::Opaque { raw, .. } => {
                self.next();
                self.out.extend_from_slice(raw);
            }
        }
        Ok(())
    }

    /// Writes a text.
    pub(super) fn text(&mut self, text: &Escaped<'_>, cache: Option<Ttl>) {
        self.open("text");
        self.string(",\"text\":", text.as_bytes());
        self.close(cache);
    }

    /// What a tool said. A result may be empty, a text may not.
    fn inner(&mut self, blocks: &[Block<'_>]) -> Result<(), Error> {
        self.out.extend_from_slice(b",\"content\":[");
        let mut list = List::new(self.out);
        for block in blocks {
            match &block.content {
                Content::Text(text) if text.is_blank() => {}
                Content::Text(text) => list.text(text, block.cache),
                Content::Media(media) => list.media(media, block.cache)?,
                // Nothing else is in a result.
                _ => {}
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn thinking(&mut self, text: &Escaped<'_>, seal: Option<&Seal<'_>>) {
        let (field, value) = signature::native(seal.map_or(&[][..], |seal| &seal.payload));
        let value = String::from_utf8_lossy(value);
        match field {
            Field::Signature => {
                self.open("thinking");
                self.string(",\"thinking\":", text.as_bytes());
                self.out.extend_from_slice(b",\"signature\":");
            }
            Field::Data => {
                self.open("redacted_thinking");
                self.out.extend_from_slice(b",\"data\":");
            }
        }
        text::quote_into(self.out, &value);
        self.close(None);
    }

    fn media(&mut self, media: &Media<'_>, cache: Option<Ttl>) -> Result<(), Error> {
        let pdf_or_text = match media.kind {
            MediaKind::Image => false,
            MediaKind::Document => true,
            MediaKind::Audio => return Err(bad("messages: the model takes no sound; send it as text")),
        };
        self.open(if pdf_or_text { "document" } else { "image" });
        self.out.extend_from_slice(b",\"source\":{\"type\":");
        match &media.source {
            Source::Base64 { mime, data } if pdf_or_text && mime.as_bytes().starts_with(b"text/") => {
                let text = decoded(data)?;
                self.string("\"text\",\"media_type\":\"text/plain\",\"data\":", text.as_bytes());
            }
            Source::Base64 { mime, data } => {
                self.string("\"base64\",\"media_type\":", mime_type(mime.as_bytes()));
                self.string(",\"data\":", data.as_bytes());
            }
            Source::Url(url) => self.string("\"url\",\"url\":", url.as_bytes()),
            Source::Text(text) => {
                self.string("\"text\",\"media_type\":\"text/plain\",\"data\":", text.as_bytes());
            }
            Source::File(id) => {
                let id = id.plain();
                return Err(bad(format!(
                    "messages: the file `{id}` was handed to another provider; send its content instead"
                )));
            }
        }
        self.out.push(b'}');
        if let Some(title) = media.title.as_ref().filter(|title| pdf_or_text && !title.is_blank()) {
            self.string(",\"title\":", title.as_bytes());
        }
        self.close(cache);
        Ok(())
    }

    fn open(&mut self, kind: &str) {
        self.next();
        self.out.extend_from_slice(b"{\"type\":\"");
        self.out.extend_from_slice(kind.as_bytes());
        self.out.push(b'"');
    }

    fn close(&mut self, cache: Option<Ttl>) {
        self.out.extend_from_slice(cache::member(cache));
        self.out.push(b'}');
    }

    fn next(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
    }

    fn string(&mut self, front: &str, inside: &[u8]) {
        self.out.extend_from_slice(front.as_bytes());
        envelope::string(inside, self.out);
    }
}

/// The text of a document in base64, which the API takes only as it is.
fn decoded(data: &Escaped<'_>) -> Result<Escaped<'static>, Error> {
    let bytes = STANDARD.decode(data.plain().as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| bad("messages: a text document is no UTF-8 in base64; send it as text"))?;
    Ok(Escaped::of(&text))
}

/// A type in the API's spelling.
fn mime_type(mime: &[u8]) -> &[u8] {
    if mime == b"image/jpg" { b"image/jpeg" } else { mime }
}

/// What the reminders begin with that models know from Claude Code (claude-code-traffic.md section 2).
pub(super) const REMINDER: &[u8] = b"<system-reminder>";
