//! `messages`: who said what, with calls and results in their places.
//!
//! Instructions in front of everything become the conversation's, later ones turns of their own. Results of tools that stand
//! together become one turn of the user's, as the richer formats have it. A result must answer a call of the
//! assistant's message in front of it, as every provider demands. Contents are read by [`parts`].

use std::borrow::Cow;
use std::collections::HashSet;

use super::parts::{self, Site};
use crate::error::Error;
use crate::json::{self, Member, Span, member_of, text};
use crate::wire::Loss;
use crate::wire::chat::Ask;
use crate::wire::ir::{Block, Content, Conversation, Escaped, Role, Ttl, Turn};
use crate::wire::refusal::{bad, missing, wrong};
use crate::wire::seal;

/// Reads all messages into the conversation.
pub(super) fn read<'b>(ask: &Ask<'b>, conversation: &mut Conversation<'b>) -> Result<(), Error> {
    let mut history = History { conversation, calls: HashSet::new(), legacy: None, answering: false };
    for (index, message) in ask.messages.iter().enumerate() {
        history.message(&Message::read(ask.body, *message, index)?)?;
    }
    Ok(())
}

/// One message, its members found but not yet read.
struct Message<'b> {
    body: &'b [u8],
    index: usize,
    role: &'b [u8],
    members: Vec<Member>,
}

impl<'b> Message<'b> {
    fn read(body: &'b [u8], message: Span, index: usize) -> Result<Self, Error> {
        let members: Result<Vec<Member>, _> = json::members(body, message).collect();
        let members =
            members.map_err(|_| wrong(&format!("messages[{index}]"), "an object", message.of(body)))?;
        let mut read = Self { body, index, role: b"", members };
        read.role = read.get("role").ok_or_else(|| missing(&read.name("role")))?.of(body);
        Ok(read)
    }

    /// The value of a member that is not `null`.
    fn get(&self, name: &str) -> Option<Span> {
        let member = self.members.iter().find(|member| member.is(self.body, name))?;
        (member.value.of(self.body) != b"null").then_some(member.value)
    }

    fn text(&self, name: &str) -> Option<Escaped<'b>> {
        Escaped::of_value(self.get(name)?.of(self.body))
    }

    fn name(&self, field: &str) -> String {
        format!("messages[{}].{field}", self.index)
    }

    /// The content, with the mark that some clients hang on the message itself.
    fn content(&self, loss: &mut Loss) -> Result<Vec<Block<'b>>, Error> {
        let Some(content) = self.get("content") else { return Ok(Vec::new()) };
        let site = Site { body: self.body, name: self.name("content") };
        let mut blocks = parts::read(&site, content, loss)?;
        if let (Some(mark), Some(last)) = (self.mark(), blocks.last_mut()) {
            last.cache = Some(mark);
        }
        Ok(blocks)
    }

    fn mark(&self) -> Option<Ttl> {
        self.get("cache_control").map(|mark| parts::ttl(self.body, mark))
    }
}

/// The conversation as it grows.
struct History<'h, 'b> {
    conversation: &'h mut Conversation<'b>,
    /// Ids of the calls that may be answered.
    calls: HashSet<Vec<u8>>,
    /// Id of the call of the older kind (`function_call`), which has none of its own.
    legacy: Option<Escaped<'b>>,
    /// The message before was a tool's.
    answering: bool,
}

impl<'b> History<'_, 'b> {
    fn message(&mut self, message: &Message<'b>) -> Result<(), Error> {
        if message.get("name").is_some() && message.role != b"\"function\"" {
            self.conversation.loss.add("messages.name");
        }
        let answering = std::mem::take(&mut self.answering);
        match message.role {
            b"\"system\"" | b"\"developer\"" => self.instructions(message),
            b"\"user\"" => self.user(message),
            b"\"assistant\"" => self.assistant(message),
            b"\"tool\"" => self.result(message, answering),
            b"\"function\"" => self.legacy_result(message, answering),
            role => Err(wrong(&message.name("role"), "developer, system, user, assistant or tool", role)),
        }
    }

    fn instructions(&mut self, message: &Message<'b>) -> Result<(), Error> {
        let blocks = message.content(&mut self.conversation.loss)?;
        if self.conversation.turns.is_empty() {
            self.conversation.system.extend(blocks);
        } else if !blocks.is_empty() {
            self.conversation.turns.push(Turn { role: Role::System, blocks });
        }
        Ok(())
    }

    fn user(&mut self, message: &Message<'b>) -> Result<(), Error> {
        let blocks = message.content(&mut self.conversation.loss)?;
        self.conversation.turns.push(Turn { role: Role::User, blocks });
        Ok(())
    }

    fn assistant(&mut self, message: &Message<'b>) -> Result<(), Error> {
        let mut blocks = thinking(message);
        blocks.extend(message.content(&mut self.conversation.loss)?);
        if let Some(refusal) = message.text("refusal").filter(|refusal| !refusal.is_empty()) {
            blocks.push(Block::new(Content::Refusal(refusal)));
        }
        if message.get("audio").is_some() {
            self.conversation.loss.add("messages.audio");
        }
        self.calls.clear();
        if let Some(calls) = message.get("tool_calls") {
            for call in json::elements(message.body, calls).map_while(Result::ok) {
                blocks.push(Block::new(self.call(message, call)?));
            }
        }
        if let Some(call) = message.get("function_call") {
            let id = Escaped::raw(format!("function_{}", message.index).into_bytes());
            self.legacy = Some(id.clone());
            blocks.push(Block::new(self.function(message, call, id)?));
        }
        self.conversation.turns.push(Turn { role: Role::Assistant, blocks });
        Ok(())
    }

    /// One of `tool_calls`.
    fn call(&mut self, message: &Message<'b>, call: Span) -> Result<Content<'b>, Error> {
        let body = message.body;
        let id = member_of(body, call, "id").and_then(|id| Escaped::of_value(id.value.of(body)));
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| missing(&message.name("tool_calls[].id")))?;
        self.calls.insert(id.as_bytes().to_vec());
        if let Some(function) = member_of(body, call, "function") {
            return self.function(message, function.value, id);
        }
        let custom =
            member_of(body, call, "custom").ok_or_else(|| missing(&message.name("tool_calls[].function")))?;
        let name = call_name(message, custom.value)?;
        let input = member_of(body, custom.value, "input").map_or(&b"\"\""[..], |input| input.value.of(body));
        Ok(Content::ToolCall { id, name, args: [b"{\"input\":", input, b"}"].concat().into() })
    }

    fn function(
        &mut self,
        message: &Message<'b>,
        function: Span,
        id: Escaped<'b>,
    ) -> Result<Content<'b>, Error> {
        let name = call_name(message, function)?;
        let args = member_of(message.body, function, "arguments").map(|args| args.value.of(message.body));
        Ok(Content::ToolCall { id, name, args: arguments(args, &mut self.conversation.loss) })
    }

    fn result(&mut self, message: &Message<'b>, answering: bool) -> Result<(), Error> {
        let field = message.name("tool_call_id");
        let id = message.text("tool_call_id").ok_or_else(|| missing(&field))?;
        if !self.calls.contains(id.as_bytes()) {
            return Err(bad(format!(
                "{field}: expected the id of a call in the assistant's message before it, got `{}`",
                id.plain()
            )));
        }
        self.answer(message, id, answering)
    }

    /// A result of the older kind, which names the function and not the call.
    fn legacy_result(&mut self, message: &Message<'b>, answering: bool) -> Result<(), Error> {
        let id = self.legacy.take().ok_or_else(|| {
            bad(format!(
                "{}: `function` needs a `function_call` in the message before it",
                message.name("role")
            ))
        })?;
        self.answer(message, id, answering)
    }

    fn answer(&mut self, message: &Message<'b>, id: Escaped<'b>, answering: bool) -> Result<(), Error> {
        let mut blocks = message.content(&mut self.conversation.loss)?;
        let cache = blocks.iter_mut().rev().find_map(|block| block.cache.take());
        let block = Block { content: Content::ToolResult { id, blocks, error: false }, cache };
        self.answering = true;
        match self.conversation.turns.last_mut() {
            Some(turn) if answering => turn.blocks.push(block),
            _ => self.conversation.turns.push(Turn { role: Role::User, blocks: vec![block] }),
        }
        Ok(())
    }
}

fn call_name<'b>(message: &Message<'b>, function: Span) -> Result<Escaped<'b>, Error> {
    let name = member_of(message.body, function, "name");
    let name = name.and_then(|name| Escaped::of_value(name.value.of(message.body)));
    name.filter(|name| !name.is_empty()).ok_or_else(|| missing(&message.name("tool_calls[].function.name")))
}

/// The arguments of a call as a JSON object. They come as a string that holds it; nothing, `""` and `null` mean `{}`,
/// what is no object is kept under a name.
fn arguments<'b>(value: Option<&'b [u8]>, loss: &mut Loss) -> Cow<'b, [u8]> {
    let value = value.unwrap_or(b"null");
    if value.starts_with(b"{") {
        return Cow::Borrowed(value);
    }
    let Some(meant) = text::string(value) else { return Cow::Borrowed(NOTHING) };
    if matches!(meant.trim(), "" | "null" | "\"\"" | "\"null\"") {
        return Cow::Borrowed(NOTHING);
    }
    if json::members(meant.as_bytes(), Span::all(meant.as_bytes())).all(|member| member.is_ok()) {
        return match meant {
            Cow::Borrowed(meant) => Cow::Borrowed(meant.as_bytes()),
            Cow::Owned(meant) => Cow::Owned(meant.into_bytes()),
        };
    }
    loss.add("messages.tool_calls.arguments");
    [b"{\"arguments\":", value, b"}"].concat().into()
}

/// The thinking of an assistant's message, in front of what it said: what `reasoning_details` say, else the plain
/// text.
fn thinking<'b>(message: &Message<'b>) -> Vec<Block<'b>> {
    let mut blocks = Vec::new();
    if let Some(details) = message.get("reasoning_details") {
        for detail in json::elements(message.body, details).map_while(Result::ok) {
            push_detail(message.body, detail, &mut blocks);
        }
    }
    let told =
        |block: &Block<'_>| matches!(&block.content, Content::Thinking { text, .. } if !text.is_empty());
    if blocks.iter().any(told) {
        return blocks;
    }
    let mut plain = ["reasoning_content", "reasoning"].into_iter().filter_map(|name| message.text(name));
    let plain = plain.find(|text| !text.is_empty());
    // Details that hold state alone belong to the text beside them; its parts are not known, and the first has it all.
    match (plain, blocks.first_mut()) {
        (Some(plain), Some(Block { content: Content::Thinking { text, .. }, .. })) => *text = plain,
        (Some(text), _) => blocks.push(Block::new(Content::Thinking { text, seal: None })),
        (None, _) => {}
    }
    blocks
}

/// One element of `reasoning_details`. Opaque state is ours where it bears our mark; any other belongs to a provider that
/// nobody can tell, and goes.
fn push_detail<'b>(body: &'b [u8], detail: Span, blocks: &mut Vec<Block<'b>>) {
    let part = |name| member_of(body, detail, name).and_then(|part| Escaped::of_value(part.value.of(body)));
    let text = part("text").or_else(|| part("summary")).unwrap_or_default();
    let seal = ["signature", "data"].into_iter().find_map(|name| seal::read(part(name)?.as_bytes()));
    match (text.is_empty(), seal, blocks.last_mut()) {
        (true, None, _) => {}
        (true, Some(state), Some(Block { content: Content::Thinking { seal: open @ None, .. }, .. })) => {
            *open = Some(state);
        }
        (_, seal, _) => blocks.push(Block::new(Content::Thinking { text, seal })),
    }
}

const NOTHING: &[u8] = b"{}";
