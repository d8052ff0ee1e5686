//! What one message says: a string, or parts.
//!
//! Texts and data are borrowed as they stand; a data URL is taken apart into its type and its base64. Fetches nothing.

use std::borrow::Cow;

use crate::error::Error;
use crate::json::{self, Span, member_of};
use crate::wire::Loss;
use crate::wire::ir::{Block, Content, Escaped, Media, MediaKind, Source, Ttl};
use crate::wire::refusal::{bad, missing, wrong};
use crate::wire::seal;

/// Where a content stands, for errors.
pub(super) struct Site<'b> {
    pub(super) body: &'b [u8],
    pub(super) name: String,
}

/// Reads a content.
pub(super) fn read<'b>(site: &Site<'b>, content: Span, loss: &mut Loss) -> Result<Vec<Block<'b>>, Error> {
    let raw = content.of(site.body);
    if let Some(text) = Escaped::of_value(raw) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Block::new(Content::Text(text))] });
    }
    if !raw.starts_with(b"[") {
        return Err(wrong(&site.name, "a string or an array of parts", raw));
    }
    let mut blocks = Vec::new();
    for part in json::elements(site.body, content).map_while(Result::ok) {
        let Some(content) = site.part(part, loss)? else { continue };
        let cache = mark(site.body, part);
        blocks.push(Block { content, cache });
    }
    Ok(blocks)
}

/// The cache mark of an object, if it has one; `null` is none.
pub(in crate::wire::chat::request) fn mark(body: &[u8], object: Span) -> Option<Ttl> {
    let mark = member_of(body, object, "cache_control")?.value;
    (mark.of(body) != b"null").then(|| ttl(body, mark))
}

/// How long a `cache_control` shall hold.
pub(super) fn ttl(body: &[u8], mark: Span) -> Ttl {
    match member_of(body, mark, "ttl").map(|ttl| ttl.value.of(body)) {
        Some(b"\"1h\"") => Ttl::Hour,
        Some(_) | None => Ttl::Default,
    }
}

impl<'b> Site<'b> {
    /// One part; `None` for what the conversation has no place for.
    fn part(&self, part: Span, loss: &mut Loss) -> Result<Option<Content<'b>>, Error> {
        let kind = self.text(part, "type").ok_or_else(|| missing(&self.field("type")))?;
        Ok(Some(match kind.as_bytes() {
            b"text" => Content::Text(self.demanded(part, "text")?),
            b"refusal" => Content::Refusal(self.demanded(part, "refusal")?),
            b"image_url" => Content::Media(self.image(part)?),
            b"input_audio" => Content::Media(self.audio(part)?),
            b"file" => Content::Media(self.file(part)?),
            b"thinking" => self.thinking(part),
            other => {
                loss.add(format!("messages.{}", String::from_utf8_lossy(other)));
                return Ok(None);
            }
        }))
    }

    fn field(&self, name: &str) -> String {
        format!("{}[].{name}", self.name)
    }

    /// The inside of a member that is a string.
    fn raw(&self, object: Span, name: &str) -> Option<&'b [u8]> {
        inner(member_of(self.body, object, name)?.value.of(self.body))
    }

    fn text(&self, object: Span, name: &str) -> Option<Escaped<'b>> {
        self.raw(object, name).map(Escaped::raw)
    }

    fn demanded(&self, object: Span, name: &str) -> Result<Escaped<'b>, Error> {
        self.text(object, name).ok_or_else(|| missing(&self.field(name)))
    }

    /// `image_url: {url, detail}`, or the URL alone as some clients write it.
    fn image(&self, part: Span) -> Result<Media<'b>, Error> {
        let object = member_of(self.body, part, "image_url");
        let object = object.ok_or_else(|| missing(&self.field("image_url")))?.value;
        let url = match inner(object.of(self.body)) {
            Some(url) => url,
            None => self.raw(object, "url").ok_or_else(|| missing(&self.field("image_url.url")))?,
        };
        let detail = self.text(object, "detail");
        Ok(Media { kind: MediaKind::Image, source: self.source(url)?, title: None, detail })
    }

    fn audio(&self, part: Span) -> Result<Media<'b>, Error> {
        let inner = member_of(self.body, part, "input_audio");
        let inner = inner.ok_or_else(|| missing(&self.field("input_audio")))?.value;
        let source =
            Source::Base64 { mime: self.demanded(inner, "format")?, data: self.demanded(inner, "data")? };
        Ok(Media { kind: MediaKind::Audio, source, title: None, detail: None })
    }

    fn file(&self, part: Span) -> Result<Media<'b>, Error> {
        let inner = member_of(self.body, part, "file").ok_or_else(|| missing(&self.field("file")))?.value;
        let source = if let Some(id) = self.text(inner, "file_id") {
            Source::File(id)
        } else {
            let data = self.raw(inner, "file_data");
            self.source(data.ok_or_else(|| missing(&self.field("file.file_data")))?)?
        };
        Ok(Media { kind: MediaKind::Document, source, title: self.text(inner, "filename"), detail: None })
    }

    /// `data:` URLs hold what they name; all others say where it is.
    fn source(&self, url: &'b [u8]) -> Result<Source<'b>, Error> {
        let Some(rest) = url.strip_prefix(b"data:") else { return Ok(Source::Url(Escaped::raw(url))) };
        let parts = memchr::memchr(b',', rest).map(|comma| rest.split_at(comma));
        let parts = parts.and_then(|(head, data)| Some((head.strip_suffix(b";base64")?, data)));
        let (head, data) = parts.ok_or_else(|| {
            bad(format!("{}: expected a data URL as `data:<type>;base64,<data>`", self.field("url")))
        })?;
        let mime = head.split(|byte| *byte == b';').next().unwrap_or_default();
        // `image\/png` is the same type.
        let mime: Cow<'b, [u8]> = match memchr::memchr(b'\\', mime) {
            None => Cow::Borrowed(mime),
            Some(_) => mime.iter().copied().filter(|byte| *byte != b'\\').collect::<Vec<u8>>().into(),
        };
        let data = data.get(1..).unwrap_or_default();
        Ok(Source::Base64 { mime: Escaped::raw(mime), data: Escaped::raw(data) })
    }

    /// A part of type `thinking`: `{thinking: [{type: "text", text}], signature}`, or the text alone.
    fn thinking(&self, part: Span) -> Content<'b> {
        let text = match member_of(self.body, part, "thinking").map(|inner| inner.value) {
            Some(inner) if inner.of(self.body).starts_with(b"[") => self.joined(inner),
            Some(inner) => Escaped::of_value(inner.of(self.body)).unwrap_or_default(),
            None => Escaped::default(),
        };
        let signature = self.text(part, "signature");
        let seal = signature.and_then(|signature| seal::read(signature.as_bytes()));
        Content::Thinking { text, seal }
    }

    fn joined(&self, parts: Span) -> Escaped<'b> {
        let mut texts = json::elements(self.body, parts).map_while(Result::ok);
        let first = texts.next().and_then(|part| self.text(part, "text")).unwrap_or_default();
        let mut rest = texts.filter_map(|part| self.text(part, "text")).peekable();
        if rest.peek().is_none() {
            return first;
        }
        let rest = rest.flat_map(|text| text.as_bytes().to_vec());
        Escaped::raw(first.as_bytes().iter().copied().chain(rest).collect::<Vec<u8>>())
    }
}

/// The inside of a string value.
fn inner(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}
