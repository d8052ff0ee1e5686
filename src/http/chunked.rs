//! The chunked transfer coding, decoded (RFC 9112 section 7.1).
//!
//! ```text
//!   Size ──line──▶ Data ──bytes──▶ DataEnd ──CRLF──▶ Size          Size ──0──▶ Trailer ──empty line──▶ Done
//! ```
//!
//! Strict: hexadecimal digits only, at most 16 of them; every line ends with CRLF; lines and trailers are bounded.
//! Extensions and trailers are read and dropped. Does no I/O.

use crate::limits::MAX_CHUNK_LINE;

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Where a decoder stands. `left` is the number of data bytes still to come, `> 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailer { seen: usize },
    Done,
}

/// A decoder of one body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size }
    }
}

impl Chunked {
    /// Whether the last chunk and its trailer were read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes as much of `input` as it can: appends data to `out` and returns how many bytes of `input` are used up.
    /// What is left over is the beginning of a line, or what follows the body.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Done => return Ok(used),
                State::Data { left } => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    out.extend_from_slice(&rest[..n]);
                    used += n;
                    let left = left - n as u64;
                    if left > 0 {
                        self.state = State::Data { left };
                        return Ok(used);
                    }
                    self.state = State::DataEnd;
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(used),
                    _ => return Err(Malformed("a chunk is longer than its size says")),
                },
                State::Size => {
                    let Some(line) = line(rest)? else { return Ok(used) };
                    used += line.len() + 2;
                    self.state = match size(line)? {
                        0 => State::Trailer { seen: 0 },
                        left => State::Data { left },
                    };
                }
                State::Trailer { seen } => {
                    let Some(line) = line(rest)? else { return Ok(used) };
                    used += line.len() + 2;
                    let seen = seen + line.len() + 2;
                    if seen > MAX_CHUNK_LINE {
                        return Err(Malformed("the trailer is too long"));
                    }
                    self.state = if line.is_empty() { State::Done } else { State::Trailer { seen } };
                }
            }
        }
    }
}

/// The line at the beginning of `rest`, without its CRLF; `None`: it is not whole yet.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return if rest.len() > MAX_CHUNK_LINE {
            Err(Malformed("a chunk's line is too long"))
        } else {
            Ok(None)
        };
    };
    match rest[..end].split_last() {
        Some((b'\r', line)) if !line.contains(&b'\r') && line.len() <= MAX_CHUNK_LINE => Ok(Some(line)),
        _ => Err(Malformed("a chunk's line does not end with CRLF")),
    }
}

fn size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let after = &line[digits..];
    let extension = after.trim_ascii_start();
    if digits == 0 || digits > 16 || !(after.is_empty() || extension.starts_with(b";")) {
        return Err(Malformed("a chunk's size is no hexadecimal number"));
    }
    let text = std::str::from_utf8(&line[..digits]).unwrap_or("");
    u64::from_str_radix(text, 16).map_err(|_| Malformed("a chunk's size is no hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use super::Chunked;

    fn decode_in_pieces(input: &[u8], piece: usize) -> Result<(Vec<u8>, bool), &'static str> {
        let (mut decoder, mut out, mut held) = (Chunked::default(), Vec::new(), Vec::new());
        for part in input.chunks(piece) {
            held.extend_from_slice(part);
            let used = decoder.decode(&held, &mut out).map_err(|e| e.0)?;
            held.drain(..used);
        }
        Ok((out, decoder.is_done()))
    }

    #[test]
    fn any_split_gives_the_same_body() {
        let body = b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
        for piece in 1..=body.len() {
            assert_eq!(decode_in_pieces(body, piece), Ok((b"hello world".to_vec(), true)), "piece {piece}");
        }
    }

    #[test]
    fn what_follows_the_body_is_left_over() {
        let (mut decoder, mut out) = (Chunked::default(), Vec::new());
        let input = b"1\r\na\r\n0\r\n\r\nGET /";
        assert_eq!(decoder.decode(input, &mut out), Ok(input.len() - 5));
    }

    #[test]
    fn bad_sizes_and_lines_are_refused() {
        for body in [
            "x\r\n",
            "-1\r\n",
            "+1\r\na\r\n",
            "0x1\r\na\r\n",
            " 1\r\na\r\n",
            "1 2\r\na\r\n",
            "\r\n",
            "11111111111111111\r\n",
            "1\na\r\n",
            "1\r\r\na",
            "1\r\nab\r\n",
        ] {
            assert!(decode_in_pieces(body.as_bytes(), body.len()).is_err(), "{body:?}");
        }
        let long = format!("1;{}\r\na", "x".repeat(5000));
        assert!(decode_in_pieces(long.as_bytes(), 100).is_err());
    }
}
