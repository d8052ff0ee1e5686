//! A gzip body, unpacked as it comes.
//!
//! Every piece that the sender flushed comes out when it came in. Any number of members may follow each other (RFC 1952
//! section 2.2). What one step unpacks is bounded; the rest waits packed. Does no I/O.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::runtime::buffer::{LARGE, SMALL};

/// An unpacker of one body.
pub struct Gzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Bytes as they came; those before `used` are unpacked.
    packed: Vec<u8>,
    used: usize,
    /// Whether there was any byte: an empty body is packed by nobody.
    begun: bool,
}

/// The bytes are no gzip, or their checksum is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl Default for Gzip {
    fn default() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), packed: Vec::new(), used: 0, begun: false }
    }
}

impl Gzip {
    /// Where the packed bytes go.
    pub fn packed(&mut self) -> &mut Vec<u8> {
        &mut self.packed
    }

    /// Appends what the packed bytes hold, some [`LARGE`] at most; `true`: that was all of it.
    pub fn unpack(&mut self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        while self.used < self.packed.len() {
            self.begun = true;
            match self.decoder.write(&self.packed[self.used..]) {
                Ok(n) if n > 0 => self.used += n,
                Ok(_) | Err(_) => return Err(Broken),
            }
            if self.decoder.get_ref().len() >= LARGE {
                out.append(self.decoder.get_mut());
                return Ok(false);
            }
        }
        self.packed.clear();
        self.packed.shrink_to(SMALL);
        self.used = 0;
        if self.begun {
            self.decoder.flush().map_err(|_| Broken)?;
            out.append(self.decoder.get_mut());
        }
        Ok(true)
    }

    /// The body is complete: checks that the gzip is too, and appends what it still held.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.begun {
            self.decoder.try_finish().map_err(|_| Broken)?;
            out.append(self.decoder.get_mut());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::{Broken, Gzip, LARGE};

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut coder = GzEncoder::new(Vec::new(), Compression::default());
        coder.write_all(text).unwrap();
        coder.finish().unwrap()
    }

    /// Unpacks a body that comes in pieces of `size` bytes; and how long the longest step's output was.
    fn unpacked(body: &[u8], size: usize) -> Result<(Vec<u8>, usize), Broken> {
        let (mut gzip, mut out, mut longest) = (Gzip::default(), Vec::new(), 0);
        for piece in body.chunks(size) {
            gzip.packed().extend_from_slice(piece);
            loop {
                let before = out.len();
                let all = gzip.unpack(&mut out)?;
                longest = longest.max(out.len() - before);
                if all {
                    break;
                }
            }
        }
        gzip.end(&mut out)?;
        Ok((out, longest))
    }

    #[test]
    fn each_flushed_piece_comes_out_when_it_came_in() {
        let mut coder = GzEncoder::new(Vec::new(), Compression::default());
        let mut gzip = Gzip::default();
        for n in 0..50 {
            let text = format!("piece {n} ").repeat(n * n * 20 + 1);
            coder.write_all(text.as_bytes()).unwrap();
            coder.flush().unwrap();
            gzip.packed().append(coder.get_mut());
            let mut out = Vec::new();
            while !gzip.unpack(&mut out).unwrap() {}
            assert_eq!(String::from_utf8(out).unwrap(), text, "{n}");
        }
        coder.try_finish().unwrap();
        gzip.packed().append(coder.get_mut());
        let mut out = Vec::new();
        assert_eq!(gzip.unpack(&mut out), Ok(true));
        assert_eq!(gzip.end(&mut out), Ok(()));
        assert!(out.is_empty());
    }

    #[test]
    fn members_follow_each_other() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let body = [packed(&text), packed(b"and more"), packed(b"")].concat();
        for size in [1, 7, 1000, body.len()] {
            let (out, _) = unpacked(&body, size).unwrap();
            assert!(out == [&text[..], b"and more"].concat(), "{size}");
        }
        assert_eq!(unpacked(b"", 1), Ok((Vec::new(), 0)));
    }

    #[test]
    fn much_from_little_comes_in_steps() {
        let (out, longest) = unpacked(&packed(&vec![b'x'; 20_000_000]), usize::MAX).unwrap();
        assert_eq!(out.len(), 20_000_000);
        assert!(longest <= 2 * LARGE, "{longest}");
    }

    #[test]
    fn what_is_broken_or_cut_is_no_gzip() {
        let whole = packed(&b"some text that is packed ".repeat(100));
        for cut in 1..whole.len() {
            assert_eq!(unpacked(&whole[..cut], 16), Err(Broken), "{cut}");
        }
        for (at, name) in [(0, "magic"), (whole.len() - 5, "checksum"), (whole.len() - 1, "length")] {
            let mut bad = whole.clone();
            bad[at] ^= 0x55;
            assert_eq!(unpacked(&bad, 16), Err(Broken), "{name}");
        }
        assert_eq!(unpacked(&[&whole[..], b"rubbish after the end"].concat(), 16), Err(Broken));
    }
}
