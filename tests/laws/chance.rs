//! Generated and mutated input, the same on every run.

use serde_json::Value;

/// A small generator (xorshift64*): the seed gives the sequence.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// The bytes with a few small wounds.
    pub fn wound(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(out.len().max(1));
            let end = (at + self.below(12)).min(out.len());
            match self.below(6) {
                0 => out.truncate(at),
                1 => drop(out.drain(at..end)),
                2 => out.insert(at, *self.pick(b"\"\\{}[],: \n\r0tn\x00\xff")),
                3 => {
                    let piece = out[at..end].to_vec();
                    out.splice(at..at, piece);
                }
                4 => out.extend_from_slice(self.pick::<&[u8]>(&[b" ", b"}", b"x", b"\n"])),
                _ => {
                    if let Some(byte) = out.get_mut(at) {
                        *byte = *self.pick(b"\"\\{}[],: 0a");
                    }
                }
            }
        }
        out
    }

    /// The text of an object with odd blanks, escapes, numbers and names.
    pub fn object(&mut self, depth: usize) -> String {
        let members: Vec<_> = (0..self.below(6))
            .map(|_| {
                let name = self.name();
                let (a, b) = (self.blank(), self.blank());
                format!("{a}{name}{b}:{}", self.value(depth))
            })
            .collect();
        format!("{{{}{}}}", members.join(","), self.blank())
    }

    fn value(&mut self, depth: usize) -> String {
        let (front, back) = (self.blank(), self.blank());
        let inner = match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => (*self.pick(&["0", "-1", "1.0", "1e5", "-0.25E-3", "12345678901234567890"])).to_owned(),
            1 => (*self.pick(&["true", "false", "null"])).to_owned(),
            2 | 3 => self.text(),
            4 => self.object(depth - 1),
            _ => {
                let elements: Vec<_> = (0..self.below(5)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", elements.join(","))
            }
        };
        format!("{front}{inner}{back}")
    }

    fn name(&mut self) -> String {
        let known =
            ["\"model\"", "\"messages\"", "\"stream\"", "\"max_tokens\"", "\"mo\\u0064el\"", "\"system\""];
        if self.below(2) == 0 { (*self.pick(&known)).to_owned() } else { self.text() }
    }

    fn text(&mut self) -> String {
        let pieces = [
            "a",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\\\"",
            "\\\\",
            "\\n",
            "\\u00e9",
            "é",
            "xxxxxxxxxxxxxxxxxxxxxxxx",
            " ",
        ];
        let inner: String = (0..self.below(8)).map(|_| *self.pick(&pieces)).collect();
        format!("\"{inner}\"")
    }

    fn blank(&mut self) -> &'static str {
        self.pick::<&str>(&["", "", "", " ", "\n\t", "\r\n"])
    }

    /// A whole answer with texts of different lengths.
    pub fn reply(&mut self) -> Value {
        let text = "word ".repeat(self.below(50));
        let mut count = || self.below(10_000);
        serde_json::json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": count(), "output_tokens": count(), "cache_read_input_tokens": count(),
                "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "server_tool_use": {"web_search_requests": count()},
            },
        })
    }
}
