//! Edits inside `messages`: thinking that is cut, system messages that become the user's, references to tools.
//!
//! What happens to a message depends on the message and on what the model takes, never on its place or on what follows
//! it: the same message comes out the same on every turn, so that prompt caches hit. A message that nothing of this
//! concerns is not even taken apart. Thinking and signatures are never changed, only kept or cut whole.

use std::sync::LazyLock;

use memchr::memmem;

use super::drops::Drops;
use super::marks::Marks;
use super::repair::{Beta, Field};
use super::request::{Ask, Role, blocks, holds, is_type, member_of, role};
use crate::json::{Edits, Member, Span, text};
use crate::wire::Loss;

/// Which thinking is cut out of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// What another family's answer was sealed into: it was never the API's own.
    Sealed,
    /// All of it: a signature was refused.
    Refused,
    /// All of it: the model does not think.
    Untaken,
}

impl Cut {
    /// Whether this block is thinking that goes.
    fn takes(self, body: &[u8], block: Span) -> bool {
        let opaque = match self {
            Self::Refused | Self::Untaken => return is_thinking(body, block),
            Self::Sealed if is_type(body, block, "thinking") => "signature",
            Self::Sealed if is_type(body, block, "redacted_thinking") => "data",
            Self::Sealed => return false,
        };
        member_of(body, block, opaque).is_some_and(|seal| seal.value.of(body).starts_with(SEAL))
    }

    /// Bytes without which a message holds nothing that goes.
    fn trace(self) -> &'static [u8] {
        match self {
            Self::Sealed => SEAL,
            Self::Refused | Self::Untaken => b"thinking",
        }
    }

    fn name(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Refused => "thinking.signature".into(),
            Self::Sealed | Self::Untaken => "messages.thinking".into(),
        }
    }
}

/// Whether the body holds a seal of ours at all; bodies without one cost this search and no more.
pub(super) fn is_sealed(ask: &Ask<'_>) -> bool {
    static MARK: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(SEAL));
    MARK.find(ask.messages_at.value.of(ask.body)).is_some()
}

/// Whether the tool loop that the request goes on with begins without the thinking that a budget demands, once what is
/// cut is gone (wire.md 13.4). System messages are passed over, as the API does.
pub(super) fn lacks_thinking(ask: &Ask<'_>, cut: Cut) -> bool {
    let body = ask.body;
    let mut begin = None;
    // The user's turn that is being walked through: whether a tool's result has been seen in it.
    let mut answered: Option<bool> = None;
    for message in ask.messages.iter().rev() {
        match role(body, *message) {
            Some(Role::User) => {
                let result = holds(body, *message, "tool_result");
                answered = Some(answered.unwrap_or(false) || result);
            }
            Some(Role::Assistant) => match answered {
                Some(false) => break,
                // The assistant has the last word: nothing is gone on with.
                None if begin.is_none() => return false,
                None | Some(true) => {
                    begin = Some(*message);
                    answered = None;
                }
            },
            Some(Role::System | Role::Other) | None => {}
        }
    }
    begin.is_some_and(|message| {
        let first = blocks(body, message).find(|block| !cut.takes(body, *block));
        first.is_none_or(|block| !is_thinking(body, block))
    })
}

/// What is done to the messages of one request.
#[derive(Debug)]
pub(super) struct History<'a, 'b> {
    pub(super) ask: &'a Ask<'b>,
    /// What the model does not take.
    pub(super) drops: Drops,
    pub(super) cut: Cut,
    pub(super) edits: &'a mut Edits,
    pub(super) loss: &'a mut Loss,
}

impl History<'_, '_> {
    /// Makes the edits; tells how many messages are left.
    pub(super) fn edit(mut self) -> usize {
        let marks = Marks::of(self.drops);
        let mut left = self.ask.messages.len();
        for message in &self.ask.messages {
            if self.concerns(*message, marks) && !self.message(*message, marks) {
                self.edits.remove(*message);
                left -= 1;
            }
        }
        left
    }

    /// Whether a message may need an edit, told by traces of bytes alone.
    fn concerns(&self, message: Span, marks: Option<Marks>) -> bool {
        let bytes = message.of(self.ask.body);
        let has = |trace: &[u8]| memmem::find(bytes, trace).is_some();
        has(self.cut.trace())
            || has(b"\"system\"")
            || (self.drops.has(Field::MessageConfig) && (has(b"\"output_config\"") || has(b"\"clear_at\"")))
            || (self.drops.has(Field::ToolDefer) && has(b"\"tool_reference\""))
            || (marks.is_some() && has(b"\"cache_control\""))
    }

    /// Edits one message; `false` if nothing of it is left.
    fn message(&mut self, message: Span, marks: Option<Marks>) -> bool {
        let speaker = role(self.ask.body, message);
        let system = speaker == Some(Role::System);
        let kept = match speaker {
            Some(Role::System) if self.drops.has(Field::SystemRole) => self.system_to_user(message, marks),
            Some(Role::System) => self.tool_changes(message),
            Some(Role::Assistant) => self.thinking(message),
            Some(Role::User) => self.references(message),
            Some(Role::Other) | None => true,
        };
        if self.drops.has(Field::MessageConfig) {
            self.turn_control(message);
        }
        if let Some(marks) = marks {
            self.marks(message, marks, system);
        }
        kept
    }

    /// Cuts thinking; `false` if the message held nothing else.
    fn thinking(&mut self, message: Span) -> bool {
        let body = self.ask.body;
        let mut left = member_of(body, message, "content")
            .is_some_and(|content| !content.value.of(body).starts_with(b"["));
        for block in blocks(body, message) {
            if self.cut.takes(body, block) {
                self.edits.remove(block);
                self.loss.add(self.cut.name());
            } else {
                left = true;
            }
        }
        // What came empty stays as it came: the API judges it.
        left || blocks(body, message).next().is_none()
    }

    /// Turns references to deferred tools, which only models with tool search take, into words. The tools themselves
    /// are offered plainly then.
    fn references(&mut self, message: Span) -> bool {
        if self.drops.has(Field::ToolDefer) {
            let body = self.ask.body;
            for result in blocks(body, message).filter(|block| is_type(body, *block, "tool_result")) {
                for block in blocks(body, result).filter(|block| is_type(body, *block, "tool_reference")) {
                    self.edits.replace(block, loaded(body, block));
                    self.loss.add("messages.tool_reference");
                }
            }
        }
        true
    }

    /// Takes changes of tools out of a system message where the model takes none; `false` if it held nothing else.
    fn tool_changes(&mut self, message: Span) -> bool {
        if !self.drops.takes_out(Beta::of(TOOL_CHANGES)) {
            return true;
        }
        let body = self.ask.body;
        let (changes, others): (Vec<Span>, Vec<Span>) =
            blocks(body, message).partition(|block| is_tool_change(body, *block));
        if changes.is_empty() {
            return true;
        }
        for block in changes {
            self.edits.remove(block);
        }
        self.loss.add("messages.tool_changes");
        // An empty system message is fine where it bears a setting of its own.
        let config =
            member_of(body, message, "output_config").is_some() && !self.drops.has(Field::MessageConfig);
        !others.is_empty() || config
    }

    /// Makes a system message the user's, as Claude Code itself does for older models: its texts as reminders, in the
    /// same place. `false` if it says nothing: such a message only carried a setting.
    fn system_to_user(&mut self, message: Span, marks: Option<Marks>) -> bool {
        let body = self.ask.body;
        self.loss.add(Field::SystemRole.name());
        let Some(content) = member_of(body, message, "content") else { return false };
        let mark = member_of(body, message, "cache_control");
        let last = if content.value.of(body).starts_with(b"\"") {
            self.text_to_block(content.value, mark.filter(|_| marks.is_none_or(|marks| !marks.all())))
        } else {
            self.blocks_to_reminders(message)
        };
        let Some(last) = last else { return false };
        if let Some(at) = member_of(body, message, "role") {
            self.edits.replace(at.value, "\"user\"");
        }
        if let Some(mark) = mark {
            self.edits.remove(mark.whole());
            self.move_mark(mark, last, marks);
        }
        true
    }

    /// A text content as a list of one block, so that it looks the same with a mark and without. Tells the block,
    /// which is nowhere in the body (and empty for that reason), unless the text is blank.
    fn text_to_block(&mut self, content: Span, mark: Option<Member>) -> Option<Span> {
        let body = self.ask.body;
        if is_blank(body, content) {
            return None;
        }
        let mut behind = b"".to_vec();
        if let Some(mark) = mark {
            behind.extend_from_slice(b",\"cache_control\":");
            behind.extend_from_slice(mark.value.of(body));
        }
        behind.extend_from_slice(b"}]");
        self.edits.insert(content.start, "[{\"type\":\"text\",\"text\":");
        self.remind(content);
        self.edits.insert(content.end, behind);
        Some(Span::new(content.start, content.start))
    }

    /// Makes the texts of a list reminders and takes out what a user cannot say. Tells the last block that stays.
    fn blocks_to_reminders(&mut self, message: Span) -> Option<Span> {
        let body = self.ask.body;
        let mut last = None;
        for block in blocks(body, message) {
            let text = member_of(body, block, "text").filter(|_| is_type(body, block, "text"));
            if is_tool_change(body, block) {
                self.edits.remove(block);
                self.loss.add("messages.tool_changes");
            } else if text.is_some_and(|text| is_blank(body, text.value)) {
                self.edits.remove(block);
            } else {
                last = Some(block);
                if let Some(text) = text {
                    self.remind(text.value);
                }
            }
        }
        last
    }

    /// Wraps a text as the reminder that older models know, unless it is one.
    fn remind(&mut self, text: Span) {
        if text.of(self.ask.body).starts_with(REMINDER) {
            return;
        }
        self.edits.replace(Span::new(text.start, text.start + 1), REMINDER_BEGIN);
        self.edits.replace(Span::new(text.end - 1, text.end), REMINDER_END);
    }

    /// A mark on the message becomes one on its last block: a user's message has none of its own.
    fn move_mark(&mut self, mark: Member, last: Span, marks: Option<Marks>) {
        let body = self.ask.body;
        let goes = marks.is_some_and(Marks::all);
        if !last.is_empty() && !goes && member_of(body, last, "cache_control").is_none() {
            self.edits.insert_member(last, "cache_control", mark.value.of(body));
        }
    }

    /// Takes the settings of a single turn off a message.
    fn turn_control(&mut self, message: Span) {
        for (name, lost) in [("output_config", "messages.output_config"), ("clear_at", "messages.clear_at")] {
            if let Some(member) = member_of(self.ask.body, message, name) {
                self.edits.remove(member.whole());
                self.loss.add(lost);
            }
        }
    }

    /// Takes refused marks off the blocks, those inside of results too.
    fn marks(&mut self, message: Span, marks: Marks, system: bool) {
        let body = self.ask.body;
        let mut inner: Vec<Span> = blocks(body, message).collect();
        let results = inner.clone().into_iter().filter(|block| is_type(body, *block, "tool_result"));
        inner.extend(results.flat_map(|result| blocks(body, result)));
        if system && !self.drops.has(Field::SystemRole) {
            inner.push(message);
        }
        for object in inner {
            if let Some(field) = marks.edit(body, object, self.edits) {
                self.loss.add(field.name());
            }
        }
    }
}

fn is_thinking(body: &[u8], block: Span) -> bool {
    is_type(body, block, "thinking") || is_type(body, block, "redacted_thinking")
}

fn is_tool_change(body: &[u8], block: Span) -> bool {
    is_type(body, block, "tool_addition") || is_type(body, block, "tool_removal")
}

/// Whether a text is empty or only blanks, which the API refuses in a user's message.
fn is_blank(body: &[u8], value: Span) -> bool {
    text::string(value.of(body)).is_some_and(|text| text.trim().is_empty())
}

/// The words for a loaded tool. The name is taken over as it is written, escapes included.
fn loaded(body: &[u8], reference: Span) -> Vec<u8> {
    let name = member_of(body, reference, "tool_name").map(|name| name.value.of(body));
    let name = name.and_then(|name| name.strip_prefix(b"\"")?.strip_suffix(b"\"")).unwrap_or_default();
    [b"{\"type\":\"text\",\"text\":\"Tool loaded: ", name, b"\"}"].concat()
}

/// Each string value that begins so is a seal of ours (wire.md 13.5). A quotation of one in a text has its quotes
/// escaped, and only the opaque fields of thinking are looked at in the end.
const SEAL: &[u8] = b"\"pm1.";
/// Any date will do.
const TOOL_CHANGES: &str = "mid-conversation-tool-changes";

const REMINDER: &[u8] = b"\"<system-reminder>";
const REMINDER_BEGIN: &str = "\"<system-reminder>\\n";
const REMINDER_END: &str = "\\n</system-reminder>\"";
