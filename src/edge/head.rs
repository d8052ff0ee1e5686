//! Request heads: found, parsed, and refused where two readers could understand them differently.
//!
//! A head ends at the first empty line; it is parsed once, when it is whole. Everything that a smuggler could use is a
//! 400: both lengths, two lengths, an unknown transfer coding, obsolete folding, a bare CR or LF, white space before a
//! colon, no `Host` or two. Does no I/O.

use std::ops::Range;

use crate::error::{Error, Kind, Stage};
use crate::http::{Fields, fields};
use crate::limits::{MAX_HEAD, MAX_HEADERS};

/// A request's head.
#[derive(Debug)]
pub struct Head {
    /// The method, as sent.
    pub method: Method,
    /// HTTP/1.0: no chunks, no keep-alive unless asked for.
    pub old: bool,
    /// Of an absolute target.
    authority: Option<Range<usize>>,
    path: Range<usize>,
    query: Range<usize>,
    /// The header fields.
    pub fields: Fields,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the connection may serve another request afterwards.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other.
    Other,
}

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes, `> 0`.
    Sized(u64),
    /// In chunks.
    Chunked,
}

impl Head {
    /// The path without the query, percent-encoding as sent.
    pub fn path(&self) -> &str {
        self.text(&self.path)
    }

    /// The query without its `?`; empty if there is none.
    pub fn query(&self) -> &str {
        self.text(&self.query)
    }

    /// Which host the request is for: the authority of an absolute target, which then counts alone (RFC 9112 section
    /// 3.2.2), else the `Host` field. `None` only where neither was sent, which HTTP/1.0 may do; a field that is not
    /// text is the empty host.
    pub fn host(&self) -> Option<&str> {
        if let Some(authority) = &self.authority {
            return Some(self.text(authority));
        }
        let value = self.fields.all("host").next()?;
        Some(std::str::from_utf8(value).unwrap_or(""))
    }

    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.fields.bytes().get(range.clone()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }
}

/// Where the head at the beginning of `bytes` ends, given that the first `searched` bytes hold no end.
///
/// `Ok(None)`: it is not whole yet.
pub fn end(bytes: &[u8], searched: usize) -> Result<Option<usize>, Error> {
    let from = searched.saturating_sub(3);
    let found = fields::end(&bytes[from..]).map(|at| from + at);
    if found.unwrap_or(bytes.len()) > MAX_HEAD {
        let message = format!("the request's head is larger than {MAX_HEAD} bytes");
        return Err(Error::new(Stage::Edge, Kind::HeadTooLarge, message));
    }
    if found.is_none() && memchr::memmem::find(&bytes[from..], b"\n\n").is_some() {
        return Err(malformed("a line of the head does not end with CRLF"));
    }
    Ok(found)
}

/// Parses a whole head: `bytes` ends with the empty line.
#[inline(never)] // A frame of its own: stacks stay small while others wait.
pub fn parse(bytes: &[u8]) -> Result<Head, Error> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut room) {
        Ok(httparse::Status::Complete(n)) if n == bytes.len() => {}
        Ok(_) => return Err(malformed("the head is not whole")),
        Err(httparse::Error::TooManyHeaders) => {
            let message = format!("the request has more than {MAX_HEADERS} header fields");
            return Err(Error::new(Stage::Edge, Kind::HeadTooLarge, message));
        }
        Err(httparse::Error::Version) => {
            return Err(Error::new(Stage::Edge, Kind::Version, "only HTTP/1.1 and HTTP/1.0 are spoken here"));
        }
        Err(error) => return Err(malformed(&format!("the head is malformed: {error}"))),
    }
    refuse_bare_line_ends(bytes, request.headers)?;
    let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
    let start = target.as_ptr() as usize - bytes.as_ptr() as usize;
    let Target { authority, path, query } = split_target(target, start)?;
    let old = request.version == Some(0);
    let method = method_of(method);
    let fields = Fields::new(bytes.to_vec(), bytes, request.headers);
    let mut head = Head {
        method,
        old,
        authority,
        path,
        query,
        framing: framing(&fields, old)?,
        keep_alive: keep_alive(&fields, old),
        expects_continue: false,
        fields,
    };
    head.expects_continue = expectation(&head)?;
    one_host(&head)?;
    Ok(head)
}

fn method_of(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    }
}

/// `httparse` takes a lone LF for a line's end; another reader may not. (A lone CR it refuses itself.) Every line ends
/// where the next field's name begins; the last one ends with the empty line, which was found with its CRs.
fn refuse_bare_line_ends(bytes: &[u8], fields: &[httparse::Header<'_>]) -> Result<(), Error> {
    let whole_line = |field: &httparse::Header<'_>| {
        let start = field.name.as_ptr() as usize - bytes.as_ptr() as usize;
        bytes[..start].ends_with(b"\r\n")
    };
    if bytes.ends_with(b"\r\n\r\n") && fields.iter().all(whole_line) {
        return Ok(());
    }
    Err(malformed("a line of the head does not end with CRLF"))
}

/// A request's target as ranges of the head.
struct Target {
    authority: Option<Range<usize>>,
    path: Range<usize>,
    query: Range<usize>,
}

/// Takes a target that begins at `start` of the head apart: a path with its query, `*`, or an absolute URL.
fn split_target(target: &str, start: usize) -> Result<Target, Error> {
    let authority = authority(target)?;
    let skip = authority.as_ref().map_or(0, |a| a.end);
    let rest = &target[skip..];
    if !rest.starts_with('/') && target != "*" && authority.is_none() {
        return Err(malformed("the request's target must begin with a slash"));
    }
    let begin = start + skip;
    let stop = start + target.len();
    let (path, query) = match rest.find('?') {
        Some(mark) => (begin..begin + mark, begin + mark + 1..stop),
        None => (begin..stop, stop..stop),
    };
    Ok(Target { authority: authority.map(|a| start + a.start..start + a.end), path, query })
}

/// Where the authority of an absolute target stands in it; `None`: the target is not absolute.
fn authority(target: &str) -> Result<Option<Range<usize>>, Error> {
    let Some(scheme) = target.find("://").filter(|_| !target.starts_with('/')) else { return Ok(None) };
    if !["http", "https"].iter().any(|known| target[..scheme].eq_ignore_ascii_case(known)) {
        return Err(malformed("the scheme of the request's target is not `http` or `https`"));
    }
    let begin = scheme + 3;
    let end = target[begin..].find(['/', '?', '#']).map_or(target.len(), |at| begin + at);
    // RFC 9110 section 4.2.4: user info in a target hides where it leads.
    if begin == end || target[begin..end].contains('@') {
        return Err(malformed("the request's target has no host, or user info in front of it"));
    }
    Ok(Some(begin..end))
}

fn framing(fields: &Fields, old: bool) -> Result<Framing, Error> {
    let mut lengths = fields.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(malformed("two `content-length` fields"));
    }
    let mut codings = fields.all("transfer-encoding");
    match (codings.next(), codings.next(), length) {
        (None, _, None) => Ok(Framing::None),
        (None, _, Some(text)) => sized(text),
        (Some(_), _, Some(_)) => Err(malformed("both `content-length` and `transfer-encoding`")),
        (Some(coding), None, None) if !old && coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (Some(_), _, None) => Err(malformed("the only `transfer-encoding` is `chunked`, once, in HTTP/1.1")),
    }
}

fn sized(text: &[u8]) -> Result<Framing, Error> {
    let digits = text.trim_ascii();
    let all_digits = !digits.is_empty() && digits.len() <= 19 && digits.iter().all(u8::is_ascii_digit);
    match std::str::from_utf8(digits).ok().filter(|_| all_digits).and_then(|t| t.parse().ok()) {
        Some(0) => Ok(Framing::None),
        Some(n) => Ok(Framing::Sized(n)),
        None => Err(malformed("`content-length` is not a number")),
    }
}

fn keep_alive(fields: &Fields, old: bool) -> bool {
    if old { fields.has_token("connection", "keep-alive") } else { !fields.has_token("connection", "close") }
}

fn expectation(head: &Head) -> Result<bool, Error> {
    match head.get("expect") {
        None => Ok(false),
        Some(value) if value.trim().eq_ignore_ascii_case("100-continue") => {
            Ok(!head.old && head.framing != Framing::None)
        }
        Some(_) => {
            Err(Error::new(Stage::Edge, Kind::Expectation, "the only `expect` that is met is `100-continue`"))
        }
    }
}

fn one_host(head: &Head) -> Result<(), Error> {
    match head.fields.all("host").count() {
        1 => Ok(()),
        0 if head.old => Ok(()),
        0 => Err(malformed("`host` is missing")),
        _ => Err(malformed("two `host` fields")),
    }
}

fn malformed(message: &str) -> Error {
    Error::new(Stage::Edge, Kind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::{Framing, Method, end, parse};
    use crate::error::Kind;

    fn with(fields: &str) -> Vec<u8> {
        format!("POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
    }

    #[test]
    fn a_usual_head() {
        let head = parse(&with("Content-Length: 12\r\nX-Api-Key:  k \r\nExpect: 100-continue\r\n")).unwrap();
        assert_eq!((head.method, head.path(), head.query()), (Method::Post, "/v1/messages", "beta=true"));
        assert_eq!((head.framing, head.get("x-api-key")), (Framing::Sized(12), Some("k")));
        assert!(head.keep_alive && head.expects_continue);
    }

    #[test]
    fn an_absolute_target_is_read_by_its_path() {
        let head = parse(b"GET http://host:1/a/b?c HTTP/1.1\r\nHost: host:1\r\n\r\n").unwrap();
        assert_eq!((head.path(), head.query()), ("/a/b", "c"));
    }

    #[test]
    fn an_absolute_target_names_the_host_and_the_field_counts_no_more() {
        for (target, field, host, path) in [
            ("/a", "Host: field\r\n", Some("field"), "/a"),
            ("http://one.example:1/a", "Host: field\r\n", Some("one.example:1"), "/a"),
            ("HTTPS://one.example", "Host: field\r\n", Some("one.example"), ""),
            ("http://one.example?u=/b", "Host: field\r\n", Some("one.example"), ""),
            ("/a?u=http://one.example/b", "Host: field\r\n", Some("field"), "/a"),
            ("/a", "Host:\r\n", Some(""), "/a"),
            ("/a", "", None, "/a"),
        ] {
            let version = if field.is_empty() { "1.0" } else { "1.1" };
            let head = parse(format!("GET {target} HTTP/{version}\r\n{field}\r\n").as_bytes()).unwrap();
            assert_eq!((head.host(), head.path()), (host, path), "{target}");
        }
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n").unwrap().host(), Some(""));
    }

    #[test]
    fn what_a_smuggler_could_use_is_refused() {
        for (name, head) in [
            ("both lengths", with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")),
            ("two lengths", with("Content-Length: 1\r\nContent-Length: 1\r\n")),
            ("two lengths in one", with("Content-Length: 1, 1\r\n")),
            ("a signed length", with("Content-Length: +1\r\n")),
            ("a length in hex", with("Content-Length: 0x1\r\n")),
            ("an empty length", with("Content-Length: \r\n")),
            ("a length past 64 bits", with("Content-Length: 99999999999999999999\r\n")),
            ("another coding", with("Transfer-Encoding: gzip, chunked\r\n")),
            ("chunked twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
            ("a disguised coding", with("Transfer-Encoding: xchunked\r\n")),
            ("obsolete folding", with("A: b\r\n c\r\n")),
            ("a bare CR", with("A: b\rc\r\n")),
            ("a bare LF", with("A: b\nC: d\r\n")),
            ("space before the colon", with("Content-Length : 1\r\n")),
            ("an empty name", with(": 1\r\n")),
            ("a NUL", with("A: b\0\r\n")),
            ("two hosts", with("Host: b\r\n")),
            ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
            ("no slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            ("another scheme", b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            ("no scheme", b"GET a?b=http://c/ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            ("a target without a host", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            ("user info in a target", b"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
            ("chunked in 1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        ] {
            assert_eq!(parse(&head).err().map(|e| e.kind), Some(Kind::BadRequest), "{name}");
        }
    }

    #[test]
    fn sizes_of_heads_are_bounded() {
        let many = "A: b\r\n".repeat(100);
        assert_eq!(parse(&with(&many)).err().map(|e| e.kind), Some(Kind::HeadTooLarge));
        assert!(parse(&with(&"A: b\r\n".repeat(99))).is_ok());
        let endless = vec![b'a'; 70_000];
        assert_eq!(end(&endless, 0).err().map(|e| e.kind), Some(Kind::HeadTooLarge));
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n", 0).ok(), Some(None));
        assert!(end(b"GET / HTTP/1.1\nA: b\n\n", 0).is_err());
    }
}
