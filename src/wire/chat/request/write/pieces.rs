//! The content of one message: a string in which texts are joined, or an array of parts.
//!
//! Which of both it is, is decided when it begins; every piece is then written in that form. Images, documents and sounds
//! become parts where provider and model take them, and otherwise a word in their place, so that the model knows that
//! something stood there.

use super::{Request, cache_control};
use crate::json::{Span, member_of, text};
use crate::wire::Loss;
use crate::wire::ir::{Block, Content, Escaped, Media, MediaKind, Source, Ttl};

/// What stands between two texts of a string.
const BETWEEN: &[u8] = b"\\n\\n";

/// The content of the message that is being written.
#[derive(Default)]
pub(super) struct Pieces {
    array: bool,
    /// How many pieces it has.
    count: usize,
    /// The next text goes on with the one before it.
    joined: bool,
}

impl Pieces {
    /// Begins a content.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, array: bool) {
        *self = Self { array, count: 0, joined: false };
        out.push(if array { b'[' } else { b'"' });
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        out.push(if self.array { b']' } else { b'"' });
    }

    /// The next text is one with the last one.
    pub(super) fn together(&mut self) {
        self.joined = true;
    }

    /// The next text stands for itself.
    pub(super) fn apart(&mut self) {
        self.joined = false;
    }

    /// Begins a text; its inside is written by the caller.
    pub(super) fn open(&mut self, out: &mut Vec<u8>) {
        if self.array {
            out.extend_from_slice(if self.count == 0 {
                b"{\"type\":\"text\",\"text\":\""
            } else {
                b",{\"type\":\"text\",\"text\":\""
            });
        } else if self.count > 0 && !self.joined {
            out.extend_from_slice(BETWEEN);
        }
        self.joined = false;
        self.count += 1;
    }

    /// Ends a text.
    pub(super) fn close(&mut self, out: &mut Vec<u8>, mark: Option<Ttl>) {
        if self.array {
            out.push(b'"');
            if let Some(ttl) = mark {
                out.extend_from_slice(cache_control(ttl));
            }
            out.push(b'}');
        }
    }

    /// A text, escaped.
    pub(super) fn text(&mut self, out: &mut Vec<u8>, text: &[u8], mark: Option<Ttl>) {
        self.open(out);
        out.extend_from_slice(text);
        self.close(out, mark);
    }

    /// Parts that are written whole; only in an array.
    pub(super) fn raw(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.count > 0 {
            out.push(b',');
        }
        self.count += 1;
        write(out);
    }

    /// A text or media; anything else is written by others or nowhere.
    pub(super) fn block(&mut self, request: &mut Request<'_, '_>, block: &Block<'_>) {
        let mark = block.cache.filter(|_| request.given.marks);
        match &block.content {
            Content::Text(text) | Content::Refusal(text) if !text.is_blank() => {
                self.text(&mut request.out, text.as_bytes(), mark);
            }
            Content::Media(media) => self.media(request, media, mark),
            _ => {}
        }
    }

    /// The texts of a result as one piece; tells whether something in it has to follow elsewhere.
    pub(super) fn result(&mut self, request: &mut Request<'_, '_>, block: &Block<'_>) -> bool {
        self.open(&mut request.out);
        let pictured = result_text(request, block);
        let Content::ToolResult { blocks, .. } = &block.content else { return false };
        let mark = block.cache.or_else(|| blocks.iter().rev().find_map(|block| block.cache));
        self.close(&mut request.out, mark.filter(|_| request.given.marks));
        pictured
    }

    /// What stands in a result and fits no text.
    pub(super) fn pictures(&mut self, request: &mut Request<'_, '_>, block: &Block<'_>) {
        let Content::ToolResult { blocks, .. } = &block.content else { return };
        for inner in blocks {
            match &inner.content {
                Content::Media(media) if is_taken(request, media) => {
                    let mark = inner.cache.filter(|_| request.given.marks);
                    self.media(request, media, mark);
                }
                _ => {}
            }
        }
    }

    fn media(&mut self, request: &mut Request<'_, '_>, media: &Media<'_>, mark: Option<Ttl>) {
        if !(self.array && is_taken(request, media)) {
            self.open(&mut request.out);
            match &media.source {
                Source::Text(text) => document(&mut request.out, media.title.as_ref(), text),
                Source::Base64 { .. } | Source::Url(_) | Source::File(_) => left_out(request, media),
            }
            self.close(&mut request.out, mark);
            return;
        }
        self.raw(&mut request.out, |out| {
            part(out, media);
            if let Some(ttl) = mark {
                out.extend_from_slice(cache_control(ttl));
            }
            out.push(b'}');
        });
    }
}

/// Notes what no provider of this dialect can be told.
pub(super) fn note_foreign(loss: &mut Loss, block: &Block<'_>) {
    let (Content::Server { raw, .. } | Content::Opaque { raw, .. }) = &block.content else { return };
    let kind = member_of(raw, Span::all(raw), "type");
    let kind = kind.and_then(|kind| text::string(kind.value.of(raw)));
    loss.add(format!("messages.{}", kind.as_deref().unwrap_or("block")));
}

/// The texts of a result, as the inside of one text; tells whether something in it has to follow elsewhere.
pub(super) fn result_text(request: &mut Request<'_, '_>, block: &Block<'_>) -> bool {
    let Content::ToolResult { blocks, error, .. } = &block.content else { return false };
    let start = request.out.len();
    let mut pictured = false;
    for block in blocks {
        let between = request.out.len();
        if between > start {
            request.out.extend_from_slice(b"\\n");
        }
        let began = request.out.len();
        match &block.content {
            Content::Text(text) => request.out.extend_from_slice(text.as_bytes()),
            Content::Media(Media { source: Source::Text(text), title, .. }) => {
                document(&mut request.out, title.as_ref(), text);
            }
            Content::Media(media) if is_taken(request, media) => {
                pictured = true;
                request.out.extend_from_slice(placeholder(media.kind));
            }
            Content::Media(media) => left_out(request, media),
            _ => {}
        }
        if request.out.len() == began {
            request.out.truncate(between);
        }
    }
    if request.out.len() == start {
        request.out.extend_from_slice(b"(no output)");
    }
    if *error && !request.out.get(start..).is_some_and(|text| text.starts_with(b"Error:")) {
        let _ = request.out.splice(start..start, *b"Error: ");
    }
    pictured
}

/// Whether it can be sent as a part.
fn is_taken(request: &Request<'_, '_>, media: &Media<'_>) -> bool {
    let given = request.given;
    match (media.kind, &media.source) {
        (MediaKind::Image, Source::Base64 { .. } | Source::Url(_)) => given.takes_images(),
        (MediaKind::Document, Source::Base64 { .. }) => given.traits.files,
        (MediaKind::Audio, Source::Base64 { .. }) => given.traits.audio,
        (MediaKind::Image, Source::Text(_) | Source::File(_))
        | (MediaKind::Document | MediaKind::Audio, Source::Text(_) | Source::File(_) | Source::Url(_)) => {
            false
        }
    }
}

/// A part, still open.
fn part(out: &mut Vec<u8>, media: &Media<'_>) {
    match (media.kind, &media.source) {
        (MediaKind::Audio, Source::Base64 { mime, data }) => {
            let format = mime.as_bytes();
            let format = format.strip_prefix(b"audio/").unwrap_or(format);
            let format = if format == b"mpeg" { b"mp3" } else { format };
            put(out, &[b"{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"", data.as_bytes()]);
            put(out, &[b"\",\"format\":\"", format, b"\"}"]);
        }
        (MediaKind::Document, Source::Base64 { mime, data }) => {
            let name = media.title.as_ref().map_or(&b"document.pdf"[..], Escaped::as_bytes);
            put(out, &[b"{\"type\":\"file\",\"file\":{\"filename\":\"", name, b"\",\"file_data\":\"data:"]);
            put(out, &[mime.as_bytes(), b";base64,", data.as_bytes(), b"\"}"]);
        }
        (_, source) => {
            out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":{\"url\":\"");
            match source {
                Source::Base64 { mime, data } => {
                    put(out, &[b"data:", mime.as_bytes(), b";base64,", data.as_bytes()]);
                }
                Source::Url(text) | Source::Text(text) | Source::File(text) => {
                    out.extend_from_slice(text.as_bytes());
                }
            }
            if let Some(detail) = &media.detail {
                put(out, &[b"\",\"detail\":\"", detail.as_bytes()]);
            }
            out.extend_from_slice(b"\"}");
        }
    }
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// A text document, below its title.
fn document(out: &mut Vec<u8>, title: Option<&Escaped<'_>>, text: &Escaped<'_>) {
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        put(out, &[title.as_bytes(), b":\\n"]);
    }
    out.extend_from_slice(text.as_bytes());
}

/// A word in the place of what the target does not take.
fn left_out(request: &mut Request<'_, '_>, media: &Media<'_>) {
    let (word, name): (&[u8], _) = match media.kind {
        MediaKind::Image => (b"image", "messages.image"),
        MediaKind::Document => (b"document", "messages.document"),
        MediaKind::Audio => (b"sound", "messages.audio"),
    };
    request.loss.add(name);
    put(&mut request.out, &[b"[", word, b" left out"]);
    if let Source::Url(url) = &media.source {
        put(&mut request.out, &[b": ", url.as_bytes()]);
    }
    request.out.push(b']');
}

/// A word in the place of what follows in a message of the user's.
fn placeholder(kind: MediaKind) -> &'static [u8] {
    match kind {
        MediaKind::Image => b"[image: in the next message of the user]",
        MediaKind::Document => b"[document: in the next message of the user]",
        MediaKind::Audio => b"[sound: in the next message of the user]",
    }
}
