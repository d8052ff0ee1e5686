//! How many tokens a conversation has at the least, by its bytes.
//!
//! Meant for leaving out models whose window is much too small, before they are asked: so it must never be more than what
//! a provider counts, and may be a good deal less. A text has 3.6 bytes to a token (wire.md section 21), a plain one 4.5.
//! `BYTES_PER_TOKEN` is near twice that, because the frames of blocks and the thinking of earlier turns are sent but
//! not counted. What is no text at all is left out: images and documents in base64, signatures and sealed thinking, rows
//! of the same sign. Nothing is said where the provider itself takes out of the conversation before it counts.
//!
//! Knows no windows but the smallest, and counts no tokens exactly: nobody but the provider can.

use memchr::memmem;

use super::capability::SMALLEST_WINDOW;
use super::request::Ask;

/// The fewest tokens that the messages and the system prompt can have; `None` where that fits every known window, or
/// cannot be said. Tools are not counted, since those that are deferred are not read.
///
/// Only a body of more than `BYTES_PER_TOKEN` times the smallest window is looked through: one pass over it.
pub fn fewest_tokens(ask: &Ask<'_>) -> Option<u64> {
    if tokens(ask.body.len()) <= SMALLEST_WINDOW || is_edited(ask) {
        return None;
    }
    let parts = [Some(ask.messages_at), ask.system].into_iter().flatten();
    let fewest = tokens(parts.map(|part| text_bytes(part.value.of(ask.body))).sum());
    (fewest > SMALLEST_WINDOW).then_some(fewest)
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(u64::MAX)
}

/// Whether the provider takes tool results or whole turns out before it counts. Thinking is allowed for anyway.
fn is_edited(ask: &Ask<'_>) -> bool {
    let edits = ask.context_management.map_or(&[][..], |edits| edits.value.of(ask.body));
    let count = |what: &str| memmem::find_iter(edits, what).count();
    count("\"type\"") > count("\"clear_thinking_") || memmem::find(ask.body, b"\"compaction\"").is_some()
}

/// Bytes that may be text: all but long runs of base64's alphabet and repetitions of other bytes.
fn text_bytes(json: &[u8]) -> usize {
    let (mut text, mut run, mut last) = (0, 0, 0);
    for &byte in json {
        if MAY_BE_DATA[usize::from(byte)] {
            run += 1;
        } else {
            text += if run <= LONGEST_WORD { run } else { 0 } + usize::from(byte != last);
            run = 0;
        }
        last = byte;
    }
    text + if run <= LONGEST_WORD { run } else { 0 }
}

const BYTES_PER_TOKEN: usize = 8;

/// Longer runs are data and no words. Lines of base64 have 64 or 76 characters, and their ends are part of a run.
const LONGEST_WORD: usize = 64;

/// The alphabets of base64, and the backslash of `\/` and `\n` that JSON may have put in between.
static MAY_BE_DATA: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // Below 256.
        let at = byte as u8;
        table[byte] = at.is_ascii_alphanumeric() || matches!(at, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::anthropic::Call;

    /// What is estimated for a request with this text in its only message and these further fields.
    fn fewest(content: &str, more: &str) -> Option<u64> {
        let body = format!(
            r#"{{"model":"m","max_tokens":1,{more}"messages":[{{"role":"user","content":{content}}}]}}"#
        );
        fewest_tokens(&Ask::read(body.as_bytes(), Call::Messages).unwrap())
    }

    fn words(bytes: usize) -> String {
        format!("\"{}\"", "some plain words of a long talk. ".repeat(bytes / 33))
    }

    #[test]
    fn a_long_conversation_has_an_eighth_of_its_bytes_in_tokens() {
        let tokens = fewest(&words(4_000_000), "").unwrap();
        assert!((499_000..501_000).contains(&tokens), "{tokens}");
        // In the system prompt as well, and with edits that only concern thinking.
        let system = format!(
            r#""system":{},"context_management":{{"edits":[{{"type":"clear_thinking_20251015","keep":"all"}}]}},"#,
            words(1_000_000)
        );
        let tokens = fewest(&words(1_000_000), &system).unwrap();
        assert!((249_000..251_000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn nothing_is_said_of_what_may_fit() {
        let data = "iVBORw0KGgoAAAANSUhEUgAA/+".repeat(100_000);
        let lines =
            "iVBORw0KGgoAAAANSUhEUgAAiVBORw0KGgoAAAANSUhEUgAAiVBORw0KGgoAAAANSUhEUg\\n".repeat(40_000);
        let escaped = "iVBORw0KGgoAAAANSUhEUgAA\\/".repeat(100_000);
        let image = |data: &str| {
            format!(
                r#"[{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]"#
            )
        };
        let edits = r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]},"#;
        let tools = format!(r#""tools":[{{"name":"t","description":{}}}],"#, words(2_000_000));
        let compacted = format!(r#"[{{"type":"compaction","content":{}}}]"#, words(2_000_000));
        for (name, content, more) in [
            ("short", words(1_000), ""),
            ("below the smallest window", words(1_590_000), ""),
            ("an image", image(&data), ""),
            ("an image in lines", image(&lines), ""),
            ("an image with escaped slashes", image(&escaped), ""),
            ("blanks", format!("\"{}\"", " ".repeat(2_000_000)), ""),
            ("tool results that the provider clears", words(2_000_000), edits),
            ("a compaction", compacted, ""),
            ("tools", words(1_000), &tools),
        ] {
            assert_eq!(fewest(&content, more), None, "{name}");
        }
    }

    #[test]
    fn no_known_window_is_smaller_than_the_smallest() {
        let windows = super::super::capability::known().filter_map(super::super::capability::window);
        assert_eq!(windows.min(), Some(SMALLEST_WINDOW));
    }
}
