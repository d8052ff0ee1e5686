//! `messages`: instructions first, then what was said, in runs of one side each.
//!
//! ```text
//! assistant…  ──▶ one message: thinking, content, calls
//! user…       ──▶ one `tool` message for each of those calls, in their order
//!                 then what else was said, images of results first
//! ```
//!
//! A call without a result gets one that says so, and a result without a call becomes the user's text: strict servers refuse
//! both, and so would each turn after. Never writes an empty message. Contents are written by `pieces`.

use super::pieces::{self, Pieces};
use super::{Request, replay};
use crate::json::text;
use crate::wire::chat::repair::Field;
use crate::wire::ir::{Block, Content, Escaped, Format, Role, Ttl, Turn};
use crate::wire::names;
use crate::wire::traits::{FormatForm, LateSystem, Replay, SystemRole};

/// Writes all messages; `false`: there is nothing to be said.
pub(super) fn write(request: &mut Request<'_, '_>) -> bool {
    let start = request.out.len();
    let mut history = History { request, pieces: Pieces::default(), answers: Vec::new(), start };
    history.instructions();
    let mut rest = history.request.given.conversation.turns.as_slice();
    let mut calls: &[Turn<'_>] = &[];
    while let Some(first) = rest.first() {
        let assistant = first.role == Role::Assistant;
        let length = rest.iter().take_while(|turn| (turn.role == Role::Assistant) == assistant).count();
        let (run, after) = rest.split_at(length);
        if assistant {
            history.assistant(run);
        } else {
            history.others(run, calls);
        }
        calls = if assistant { run } else { &[] };
        rest = after;
    }
    history.request.out.len() > start
}

/// A result, by the id of its call.
struct Answer<'c> {
    id: &'c [u8],
    block: &'c Block<'c>,
    taken: bool,
}

struct History<'r, 'g, 'a> {
    request: &'r mut Request<'g, 'a>,
    pieces: Pieces,
    /// Results of the run at hand, by id; one list for all runs.
    answers: Vec<Answer<'a>>,
    /// Where the first message begins.
    start: usize,
}

impl<'a> History<'_, '_, 'a> {
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.request.out
    }

    fn put(&mut self, bytes: &[u8]) {
        self.request.out.extend_from_slice(bytes);
    }

    /// `{"role":"…"` of a new message, behind a comma where it is not the first.
    fn begin(&mut self, role: &[u8]) {
        if self.request.out.len() > self.start {
            self.put(b",");
        }
        self.put(b"{\"role\":\"");
        self.put(role);
        self.put(b"\"");
    }

    fn system_role(&self) -> &'static [u8] {
        let given = self.request.given;
        match given.traits.system {
            _ if given.drops(Field::SystemRole) => b"user",
            SystemRole::ByModel if given.drops(Field::DeveloperRole) => b"system",
            SystemRole::ByModel if given.model.is_some_and(|model| model.developer) => b"developer",
            SystemRole::ByModel | SystemRole::System => b"system",
        }
    }

    /// The instructions in front of everything, with what the provider has no field for.
    fn instructions(&mut self) {
        let conversation = self.request.given.conversation;
        let hint = hint(&conversation.format, self.request.given.traits.format);
        self.system(&conversation.system, hint.as_deref());
    }

    fn system(&mut self, blocks: &[Block<'_>], hint: Option<&[u8]>) {
        if hint.is_none() && !blocks.iter().any(is_text) {
            return;
        }
        self.begin(self.system_role());
        self.put(b",\"content\":");
        let marks = self.request.given.marks;
        self.pieces.begin(&mut self.request.out, marks);
        for block in blocks {
            self.pieces.block(self.request, block);
        }
        if let Some(hint) = hint {
            self.pieces.text(&mut self.request.out, hint, None);
        }
        self.pieces.end(&mut self.request.out);
        self.put(b"}");
    }

    fn assistant(&mut self, run: &[Turn<'_>]) {
        let given = self.request.given;
        let blocks = || run.iter().flat_map(|turn| &turn.blocks);
        for block in blocks() {
            pieces::note_foreign(&mut self.request.loss, block);
        }
        let tools = given.traits.tools;
        let has_calls = tools && blocks().any(is_call);
        let has_text = blocks().any(|block| is_text(block) || (!tools && is_call(block)));
        let replayed = replay::find(self.request, blocks());
        if !(has_calls || has_text || replayed) {
            return;
        }
        self.begin(b"assistant");
        if given.traits.replay != Replay::Part {
            replay::fields(self.request, blocks(), replayed, has_calls);
        }
        self.put(b",\"content\":");
        let parts = given.traits.replay == Replay::Part && replayed;
        if has_text || parts {
            self.pieces.begin(&mut self.request.out, parts || (given.marks && has_text));
            if parts {
                self.pieces.raw(&mut self.request.out, |out| replay::parts(out, blocks(), &given.family));
            }
            self.spoken(run);
            self.pieces.end(&mut self.request.out);
        } else {
            let empty = given.traits.empty_content || !has_calls;
            self.put(if empty { b"\"\"" } else { b"null" });
        }
        if has_calls {
            self.calls(blocks());
        }
        self.put(b"}");
    }

    /// The texts of an assistant's message. Blocks that follow each other are one text; behind a call a new one begins.
    fn spoken(&mut self, run: &[Turn<'_>]) {
        let tools = self.request.given.traits.tools;
        for turn in run {
            self.pieces.apart();
            for block in &turn.blocks {
                match &block.content {
                    Content::Text(_) | Content::Refusal(_) => {
                        self.pieces.block(self.request, block);
                        self.pieces.together();
                    }
                    Content::ToolCall { name, args, .. } if !tools => {
                        self.pieces.apart();
                        let told = [b"[Called ", name.as_bytes(), b" with "].concat();
                        self.pieces.open(&mut self.request.out);
                        self.put(&told);
                        text::escape_into(self.out(), args);
                        self.put(b"]");
                        self.pieces.close(&mut self.request.out, None);
                        self.pieces.apart();
                    }
                    _ => self.pieces.apart(),
                }
            }
        }
    }

    fn calls<'c>(&mut self, blocks: impl Iterator<Item = &'c Block<'c>>) {
        let traits = self.request.given.traits;
        let model = self.request.given.target.model;
        let mut mark = traits.call_mark.filter(|(family, _)| model.starts_with(family)).map(|(_, mark)| mark);
        let mut front: &[u8] = b",\"tool_calls\":[{\"id\":\"";
        for block in blocks {
            let Content::ToolCall { id, name, args } = &block.content else { continue };
            self.put(front);
            self.put(&names::fit_id(id, traits.ids));
            self.put(b"\",\"type\":\"function\",\"function\":{\"name\":\"");
            self.put(&names::fit_name(name, traits.name_length));
            self.put(b"\",\"arguments\":\"");
            text::escape_into(self.out(), args);
            self.put(b"\"}");
            self.put(mark.take().unwrap_or_default().as_bytes());
            self.put(b"}");
            front = b",{\"id\":\"";
        }
        self.put(b"]");
    }

    /// What the other side says between two messages of the assistant.
    fn others(&mut self, run: &'a [Turn<'a>], calls: &[Turn<'_>]) {
        self.collect(run);
        let mut pictured = false;
        if self.request.given.traits.tools {
            for block in calls.iter().flat_map(|turn| &turn.blocks) {
                if let Content::ToolCall { id, .. } = &block.content {
                    pictured |= self.answer(id);
                }
            }
        }
        let mut open = false;
        if pictured {
            self.open_user(true, &mut open);
            self.pictures();
        }
        for turn in run {
            match turn.role {
                Role::System => self.late(turn, &mut open),
                Role::User | Role::Assistant => self.user(turn, &mut open),
            }
        }
        self.close_user(&mut open);
    }

    /// Finds the results of a run.
    fn collect(&mut self, run: &'a [Turn<'a>]) {
        self.answers.clear();
        for block in run.iter().flat_map(|turn| &turn.blocks) {
            if let Content::ToolResult { id, .. } = &block.content {
                self.answers.push(Answer { id: id.as_bytes(), block, taken: false });
            }
        }
        self.answers.sort_by_key(|answer| answer.id);
    }

    fn place(&self, id: &[u8]) -> Option<usize> {
        let place = self.answers.partition_point(|answer| answer.id < id);
        self.answers.get(place).is_some_and(|answer| answer.id == id).then_some(place)
    }

    /// Writes the `tool` message of a call; tells whether there is something in the result that it cannot hold.
    fn answer(&mut self, id: &Escaped<'_>) -> bool {
        let place = self.place(id.as_bytes());
        let answer = place.and_then(|place| self.answers.get_mut(place)).filter(|answer| !answer.taken);
        let block = answer.map(|answer| {
            answer.taken = true;
            answer.block
        });
        self.begin(b"tool");
        self.put(b",\"tool_call_id\":\"");
        let fitted = names::fit_id(id, self.request.given.traits.ids);
        self.put(&fitted);
        self.put(b"\",\"content\":");
        let marks = self.request.given.marks;
        self.pieces.begin(&mut self.request.out, marks);
        let pictured = block.is_some_and(|block| self.pieces.result(self.request, block));
        if block.is_none() {
            self.request.loss.add("messages.tool_use");
            self.pieces.text(&mut self.request.out, b"(no result)", None);
        }
        self.pieces.end(&mut self.request.out);
        self.put(b"}");
        pictured
    }

    /// Images and documents of the results, in the order of the run.
    fn pictures(&mut self) {
        for place in 0..self.answers.len() {
            let Some(answer) = self.answers.get(place).filter(|answer| answer.taken) else { continue };
            let block = answer.block;
            self.pieces.pictures(self.request, block);
        }
    }

    /// What the user says beside results.
    fn user(&mut self, turn: &Turn<'_>, open: &mut bool) {
        let said = |block: &&Block<'_>| match &block.content {
            Content::ToolResult { id, .. } => !self.is_answer(id, block),
            _ => is_text(block) || matches!(block.content, Content::Media(_)),
        };
        let mut pieces = turn.blocks.iter().filter(said);
        let (first, more) = (pieces.next(), pieces.next().is_some());
        for block in &turn.blocks {
            pieces::note_foreign(&mut self.request.loss, block);
        }
        let Some(first) = first else { return };
        let single = !more && is_text(first);
        self.open_user(!single, open);
        for block in &turn.blocks {
            match &block.content {
                Content::ToolResult { id, .. } if self.is_answer(id, block) => {}
                Content::ToolResult { .. } => self.orphan(block),
                _ => self.pieces.block(self.request, block),
            }
        }
        if !self.request.given.traits.alternate {
            self.close_user(open);
        }
    }

    /// Whether this very block was written as the answer to a call.
    fn is_answer(&self, id: &Escaped<'_>, block: &Block<'_>) -> bool {
        let answer = self.place(id.as_bytes()).and_then(|place| self.answers.get(place));
        answer.is_some_and(|answer| answer.taken && std::ptr::eq(answer.block, block))
    }

    /// A result that answers no call.
    fn orphan(&mut self, block: &Block<'_>) {
        if self.request.given.traits.tools {
            self.request.loss.add("messages.tool_result");
        }
        self.pieces.open(&mut self.request.out);
        self.put(b"Result of a tool call:\\n");
        let pictured = pieces::result_text(self.request, block);
        let mark = block.cache.filter(|_| self.request.given.marks);
        self.pieces.close(&mut self.request.out, mark);
        if pictured {
            self.pieces.pictures(self.request, block);
        }
    }

    /// Instructions in the middle of the conversation.
    fn late(&mut self, turn: &Turn<'_>, open: &mut bool) {
        if !turn.blocks.iter().any(is_text) {
            return;
        }
        let given = self.request.given;
        match given.traits.late_system {
            LateSystem::InPlace if !given.drops(Field::SystemRole) => {
                self.close_user(open);
                self.system(&turn.blocks, None);
            }
            LateSystem::InPlace | LateSystem::AsUser => {
                self.open_user(false, open);
                self.reminder(turn);
                if !self.request.given.traits.alternate {
                    self.close_user(open);
                }
            }
        }
    }

    /// Instructions in the user's words.
    fn reminder(&mut self, turn: &Turn<'_>) {
        self.pieces.open(&mut self.request.out);
        let mut texts = turn.blocks.iter().filter_map(|block| match &block.content {
            Content::Text(text) if !text.is_blank() => Some(text),
            _ => None,
        });
        let first = texts.next().map_or(&b""[..], |text| text.as_bytes());
        let framed = first.starts_with(b"<system-reminder>");
        if !framed {
            self.put(b"<system-reminder>\\n");
        }
        self.put(first);
        for text in texts {
            self.put(b"\\n\\n");
            self.put(text.as_bytes());
        }
        if !framed {
            self.put(b"\\n</system-reminder>");
        }
        let mark = turn.blocks.iter().rev().find_map(|block| block.cache);
        let mark: Option<Ttl> = mark.filter(|_| self.request.given.marks);
        self.pieces.close(&mut self.request.out, mark);
    }

    /// Begins a message of the user's unless one is open. `parts`: its content does not fit a string.
    fn open_user(&mut self, parts: bool, open: &mut bool) {
        if std::mem::replace(open, true) {
            return;
        }
        let given = self.request.given;
        self.begin(b"user");
        self.put(b",\"content\":");
        // What a later turn adds to an open message may not fit a string.
        let array = given.takes_parts() && (parts || given.marks || given.traits.alternate);
        self.pieces.begin(&mut self.request.out, array);
    }

    fn close_user(&mut self, open: &mut bool) {
        if std::mem::take(open) {
            self.pieces.end(&mut self.request.out);
            self.put(b"}");
        }
    }
}

fn is_text(block: &Block<'_>) -> bool {
    matches!(&block.content, Content::Text(text) | Content::Refusal(text) if !text.is_blank())
}

fn is_call(block: &Block<'_>) -> bool {
    matches!(block.content, Content::ToolCall { .. })
}

/// What the instructions must say of the answer's form, since the field for it does not.
fn hint(format: &Format<'_>, form: FormatForm) -> Option<Vec<u8>> {
    match (format, form) {
        (Format::Text, _) | (Format::Schema { .. }, FormatForm::Schema) => None,
        // The field demands that the word stands somewhere (wire.md 2.1).
        (Format::Json, _) => Some(b"Answer with a JSON object and nothing else.".to_vec()),
        (Format::Schema { schema, .. }, FormatForm::Json | FormatForm::Never) => {
            let mut hint =
                b"Answer with JSON and nothing else: a value that fits this JSON Schema.\\n".to_vec();
            text::escape_into(&mut hint, schema);
            Some(hint)
        }
    }
}
