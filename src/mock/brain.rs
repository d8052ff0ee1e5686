//! What the model says: a model that does the tasks it is given with the tools it is offered, and else talks a little.
//!
//! Which kind of answer it is follows from the request alone, the first that fits:
//!
//! ```text
//! compaction asked for ───────────▶ a summary
//! output in a schema asked for ───▶ JSON that fits the schema
//! a tool is forced ───────────────▶ a call of it
//! tasks with calls left ──────────▶ the next calls, side by side
//! tasks with all results there ───▶ what was done, quoting the results
//! anything else ──────────────────▶ a friendly word
//! ```
//!
//! Where a task stands is read from the conversation: a call counts as made when the same call stands in it after the
//! task. So the brain keeps nothing, and any mock can go on with a session that another began. Refuses nothing
//! ([`super::strict`] did) and frames nothing ([`super::reply`] does).

use serde_json::{Value, json};

use super::reply::{self, Turn, Usage};
use super::strict::Asked;
use super::task::{self, Call, Task, Tools};

/// The model's turn after a conversation. `number` distinguishes the ids of otherwise equal answers.
pub fn answer(asked: &Asked, number: u64) -> Turn {
    let said = say(asked);
    let seed = seed(&asked.body, number);
    let mut turn = Turn {
        id: format!("msg_mock{seed:016x}"),
        model: asked.model().to_owned(),
        content: thoughts(asked, &said, seed),
        stop_reason: said.stop_reason,
        stop_sequence: None,
        usage: Usage { input: reply::input_tokens(&asked.body), ..Usage::default() },
        context_management: !asked.body["context_management"].is_null(),
    };
    turn.usage.thinking = said_tokens(&turn.content);
    turn.content.extend(said.blocks(seed));
    turn.usage.searches = u64::from(said.search.is_some());
    stop(asked, &mut turn);
    turn.usage.output = said_tokens(&turn.content).max(1);
    turn.usage.thinking = turn.usage.thinking.min(turn.usage.output);
    turn
}

fn said_tokens(content: &[Value]) -> u64 {
    content.iter().map(reply::output_tokens).sum()
}

/// What is said, before it is made into blocks.
#[derive(Default)]
struct Said {
    text: String,
    calls: Vec<Call>,
    /// A search that the provider itself makes.
    search: Option<String>,
    stop_reason: &'static str,
}

impl Said {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), stop_reason: "end_turn", ..Self::default() }
    }

    fn calls(text: impl Into<String>, calls: Vec<Call>) -> Self {
        Self { text: text.into(), calls, stop_reason: "tool_use", ..Self::default() }
    }

    fn blocks(&self, seed: u64) -> Vec<Value> {
        let mut blocks = Vec::new();
        if let Some(query) = &self.search {
            let id = format!("srvtoolu_mock{seed:016x}");
            let found = json!({
                "type": "web_search_result", "title": "A page of the mock", "url": "https://example.com/mock",
                "encrypted_content": "bW9jaw==", "page_age": "1 day ago",
            });
            blocks.push(
                json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}}),
            );
            blocks.push(json!({"type": "web_search_tool_result", "tool_use_id": id, "content": [found]}));
        }
        if !self.text.is_empty() {
            blocks.push(json!({"type": "text", "text": self.text}));
        }
        blocks.extend(self.calls.iter().enumerate().map(|(n, call)| {
            let id = format!("toolu_mock{seed:016x}{n:02}");
            json!({"type": "tool_use", "id": id, "name": call.tool, "input": call.input})
        }));
        blocks
    }
}

fn say(asked: &Asked) -> Said {
    let body = &asked.body;
    let talk = Talk::new(body);
    if talk.is_refused() {
        return Said { stop_reason: "refusal", ..Said::default() };
    }
    if talk.is_compaction() {
        return Said::text(talk.summary());
    }
    if let Some(schema) = schema(body) {
        return Said::text(task::sample(&schema, &talk.title()).to_string());
    }
    let tools = Tools::new(body, talk.folder);
    if let Some(said) = forced(body, &tools, &talk) {
        return said;
    }
    let plan = Plan::new(&talk, &tools);
    let may_call = body["tool_choice"]["type"] != "none";
    let mut text = plan.done.join("\n\n");
    let mut calls = if may_call { plan.next } else { Vec::new() };
    if body["tool_choice"]["disable_parallel_tool_use"] == true {
        calls.truncate(1);
    }
    if !calls.is_empty() {
        let names: Vec<&str> = calls.iter().map(|call| call.tool.as_str()).collect();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        return Said::calls(format!("{text}I will use {}.", names.join(" and ")), calls);
    }
    // Claude Code's `--json-schema` offers a tool for the final answer.
    match tools
        .named(STRUCTURED)
        .filter(|call| may_call && !talk.calls.iter().any(|made| made.tool == call.tool))
    {
        Some(call) => Said::calls("", vec![call]),
        None => Said::text(if text.is_empty() { talk.chat() } else { text }),
    }
}

/// The schema that the answer has to fit, if one is asked for: in words, as providers without a field for it are asked,
/// or by the field.
fn schema(body: &Value) -> Option<Value> {
    let system = body["system"].as_str().into_iter().chain(texts(&body["system"]));
    let messages = body["messages"].as_array().into_iter().flatten();
    let last = messages.flat_map(|m| m["content"].as_str().into_iter().chain(texts(&m["content"]))).last();
    system.chain(last).find_map(worded).or_else(|| {
        let formats = [&body["output_config"]["format"], &body["output_format"]];
        let format = formats.into_iter().find(|f| f["type"] == "json_schema")?;
        Some(format["schema"].clone())
    })
}

/// The object that the words `JSON Schema` lead to, at the end of their sentence.
fn worded(text: &str) -> Option<Value> {
    let mut places = text.match_indices(SCHEMA).map(|(at, words)| &text[at + words.len()..]);
    places.find_map(|rest| {
        let (between, object) = rest.split_at(rest.find('{')?);
        let between = between.trim_end();
        let leads = between.len() <= MAX_LEAD && (between.is_empty() || between.ends_with(['.', ':', '`']));
        if !leads {
            return None;
        }
        serde_json::Deserializer::from_str(object).into_iter().next()?.ok()
    })
}

/// The answer where `tool_choice` leaves none but a call. A forced tool that was called for this ask is done.
fn forced(body: &Value, tools: &Tools<'_>, talk: &Talk<'_>) -> Option<Said> {
    let choice = &body["tool_choice"];
    let name = match choice["type"].as_str() {
        Some("tool") => choice["name"].as_str()?,
        // A plan with calls left satisfies it too, and makes more sense.
        Some("any") if Plan::new(talk, tools).next.is_empty() => {
            return Some(Said::calls("", vec![tools.first()?]));
        }
        _ => return None,
    };
    let offered = body["tools"].as_array()?.iter().find(|tool| tool["name"] == name)?;
    if offered["type"].as_str().is_some_and(|kind| kind.starts_with("web_search_")) {
        let said = Said::text("The mock found one page, https://example.com/mock, and it says nothing.");
        return Some(Said { search: Some(talk.title()), ..said });
    }
    // A task that calls this very tool fills it in with more sense.
    let planned = Plan::new(talk, tools).next.into_iter().find(|call| call.tool == name);
    Some(Said::calls("", vec![planned.or_else(|| tools.named(name))?]))
}

/// A call that the conversation holds, with its result if that is there.
struct Made<'a> {
    tool: &'a str,
    input: &'a Value,
    result: Option<(String, bool)>,
}

/// The conversation as the brain reads it.
struct Talk<'a> {
    /// The user's texts since the model last came to an end, reminders left out.
    texts: Vec<&'a str>,
    /// The user's texts before that.
    earlier: Vec<&'a str>,
    /// Calls since the model last came to an end.
    calls: Vec<Made<'a>>,
    /// The client's working directory.
    folder: Option<&'a str>,
}

impl<'a> Talk<'a> {
    fn new(body: &'a Value) -> Self {
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let begin = begin(messages);
        let texts = |messages: &'a [Value]| {
            messages.iter().filter(|m| m["role"] == "user").flat_map(texts_of).collect()
        };
        let texts: Vec<&str> = texts(&messages[begin..]);
        let earlier = messages[..begin].iter().filter(|m| m["role"] == "user").flat_map(texts_of).collect();
        Self { calls: calls(&messages[begin..]), texts, earlier, folder: folder(body) }
    }

    /// The tasks of the latest text that has any.
    fn tasks(&self) -> Vec<Task> {
        let all = self.texts.iter().rev().map(|text| task::find(text));
        all.into_iter().find(|tasks| !tasks.is_empty()).unwrap_or_default()
    }

    fn last(&self) -> &'a str {
        self.texts.last().copied().unwrap_or_default()
    }

    fn is_refused(&self) -> bool {
        self.last().contains(MAGIC_REFUSAL)
    }

    fn is_compaction(&self) -> bool {
        self.last().trim_start().starts_with(COMPACTION)
    }

    /// A few words of what the user wants.
    fn title(&self) -> String {
        let words: Vec<&str> =
            self.last().split_whitespace().filter(|word| !word.starts_with('<')).take(6).collect();
        if words.is_empty() { "A talk with the mock".to_owned() } else { words.join(" ") }
    }

    /// All that was asked, in words that do not ask for it again; what a summary before told included.
    fn asked(&self) -> Vec<String> {
        let mut told = Vec::new();
        for text in self.earlier.iter().chain(&self.texts) {
            told.extend(text.lines().filter_map(|line| line.trim().strip_prefix(TOLD)).map(str::to_owned));
            told.extend(task::find(text).iter().filter(|task| **task != Task::Recall).map(Task::tell));
        }
        told
    }

    fn summary(&self) -> String {
        let mut list: String = self.asked().iter().flat_map(|told| [TOLD, told, "\n"]).collect();
        if list.is_empty() {
            list.push_str("(nothing was asked for)\n");
        }
        format!(
            "<analysis>\nThe mock looked through the conversation.\n</analysis>\n\n<summary>\nThe user asked, in this \
             order:\n{list}All of it was done.\n</summary>"
        )
    }

    fn chat(&self) -> String {
        let results: Vec<String> = self.calls.iter().filter_map(Made::quote).collect();
        if !results.is_empty() {
            return results.join("\n\n");
        }
        let said = clip(self.last().trim(), MAX_ECHO);
        if said.is_empty() {
            return GREETING.to_owned();
        }
        format!("{GREETING} You said: {said}")
    }
}

impl Made<'_> {
    fn quote(&self) -> Option<String> {
        let (text, is_error) = self.result.as_ref()?;
        let verb = if *is_error { "failed" } else { "answered" };
        Some(format!("{} {verb}: {}", self.tool, clip(text.trim(), MAX_QUOTE)))
    }
}

/// What is still to be called, and what can be told.
#[derive(Default)]
struct Plan {
    next: Vec<Call>,
    done: Vec<String>,
}

impl Plan {
    fn new(talk: &Talk<'_>, tools: &Tools<'_>) -> Self {
        let mut plan = Self::default();
        let mut unused: Vec<&Made<'_>> = talk.calls.iter().collect();
        for task in talk.tasks() {
            plan.add(&task, talk, tools, &mut unused);
        }
        plan
    }

    /// Adds one task: its first call that was not made, or its results. A call that failed ends its task.
    fn add<'a>(&mut self, todo: &Task, talk: &Talk<'_>, tools: &Tools<'_>, unused: &mut Vec<&'a Made<'a>>) {
        match todo {
            Task::Count { to } => self.done.push(count(*to)),
            Task::Recall => self.done.push(format!("I was asked: {}.", talk.asked().join("; "))),
            _ => {}
        }
        let calls = match todo.calls(tools) {
            Ok(calls) => calls,
            Err(why) => return self.done.push(format!("I cannot {}: {why}.", todo.tell())),
        };
        let mut quoted = None;
        for call in calls {
            let Some(made) = take(unused, &call) else { return self.next.push(call) };
            quoted = made.quote();
            if made.result.as_ref().is_none_or(|(_, is_error)| *is_error) {
                break;
            }
        }
        if let Some(quoted) = quoted {
            self.done.push(format!("I did {}. {quoted}", todo.tell()));
        }
    }
}

/// Takes the call out of those made: the equal one, else one of the same tool. Clients change the inputs that they keep
/// (Claude Code adds `replace_all` to an Edit), and a call that is not found again would be made for ever.
fn take<'a>(unused: &mut Vec<&'a Made<'a>>, call: &Call) -> Option<&'a Made<'a>> {
    let same = |made: &&Made<'_>| made.tool == call.tool;
    let equal = unused.iter().position(|made| same(made) && *made.input == call.input);
    equal.or_else(|| unused.iter().position(same)).map(|at| unused.remove(at))
}

/// The blocks of thinking before the answer.
fn thoughts(asked: &Asked, said: &Said, seed: u64) -> Vec<Value> {
    let mut blocks = Vec::new();
    if Talk::new(&asked.body).last().contains(MAGIC_REDACTED) {
        blocks.push(json!({"type": "redacted_thinking", "data": reply::signature("", seed)}));
    }
    if asked.thinks() && said.stop_reason != "refusal" {
        let shown = asked.shows_thinking();
        let thought = match said.calls.as_slice() {
            _ if !shown => String::new(),
            [] => "The mock has all it needs and answers.".to_owned(),
            calls => format!("The mock needs {} tool call(s) for this.", calls.len()),
        };
        let signature = reply::signature(&thought, seed);
        blocks.push(json!({"type": "thinking", "thinking": thought, "signature": signature}));
    }
    blocks
}

/// Ends the turn early at a stop sequence or at the output limit, as far as text goes. A call that the limit leaves no
/// room for is left out.
fn stop(asked: &Asked, turn: &mut Turn) {
    let sequences = asked.body["stop_sequences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let sequences: Vec<&str> = sequences.collect();
    let limit = asked.body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    let mut left = limit;
    for at in 0..turn.content.len() {
        if let Some(text) = turn.content[at]["text"].as_str().map(str::to_owned) {
            let found = sequences.iter().filter_map(|s| text.find(s).map(|place| (place, *s))).min();
            if let Some((place, sequence)) = found {
                turn.stop_reason = "stop_sequence";
                turn.stop_sequence = Some(sequence.to_owned());
                return cut(turn, at, &text[..place]);
            }
            if reply::output_tokens(&turn.content[at]) > left {
                turn.stop_reason = "max_tokens";
                let bytes =
                    usize::try_from(left.saturating_mul(reply::BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
                return cut(turn, at, clip_bytes(&text, bytes));
            }
        }
        let tokens = reply::output_tokens(&turn.content[at]);
        if tokens > left {
            turn.stop_reason = "max_tokens";
            turn.content.truncate(at);
            return;
        }
        left -= tokens;
    }
}

/// Keeps the blocks before `at`, and of that one only `text`.
fn cut(turn: &mut Turn, at: usize, text: &str) {
    turn.content.truncate(at + usize::from(!text.is_empty()));
    if let Some(block) = turn.content.get_mut(at) {
        block["text"] = json!(text);
    }
}

/// Where the model's present work begins: after its last answer without a call, if the user said something since.
/// Claude Code goes on after an answer that broke off with a mere reminder.
fn begin(messages: &[Value]) -> usize {
    let is_end =
        |message: &Value| message["role"] == "assistant" && blocks(message).all(|b| b["type"] != "tool_use");
    let is_asked = |message: &Value| message["role"] == "user" && texts_of(message).next().is_some();
    let asked = messages.iter().rposition(is_asked).unwrap_or(0);
    messages[..asked].iter().rposition(is_end).map_or(0, |at| at + 1)
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

/// The user's own words in a message: not what the client puts around them.
fn texts_of(message: &Value) -> impl Iterator<Item = &str> {
    let text = message["content"].as_str().into_iter();
    let texts = text.chain(blocks(message).filter_map(|block| block["text"].as_str()));
    let texts = texts.map(without_reminders);
    texts.filter(|text| !text.is_empty() && *text != "Tool loaded." && !text.starts_with(BROKEN_OFF))
}

/// A text without reminders at its begin and end.
fn without_reminders(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(rest) = text.strip_prefix(REMINDER) {
        text = rest.find(REMINDER_END).map_or("", |at| rest[at + REMINDER_END.len()..].trim());
    }
    while text.ends_with(REMINDER_END) {
        let Some(at) = text.rfind(REMINDER) else { break };
        text = text[..at].trim();
    }
    text
}

fn calls(messages: &[Value]) -> Vec<Made<'_>> {
    let results: Vec<&Value> =
        messages.iter().flat_map(blocks).filter(|b| b["type"] == "tool_result").collect();
    let uses = messages
        .iter()
        .filter(|m| m["role"] == "assistant")
        .flat_map(blocks)
        .filter(|b| b["type"] == "tool_use");
    let made = uses.map(|call| {
        let result = results.iter().find(|result| result["tool_use_id"] == call["id"]);
        let result = result.map(|r| (text_of(&r["content"]), r["is_error"] == true));
        Made { tool: call["name"].as_str().unwrap_or_default(), input: &call["input"], result }
    });
    made.collect()
}

/// A result in words.
fn text_of(content: &Value) -> String {
    let Some(blocks) = content.as_array() else { return content.as_str().unwrap_or("(nothing)").to_owned() };
    let words = blocks.iter().map(|block| match block["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", block["type"].as_str().unwrap_or("?")),
    });
    words.collect::<Vec<_>>().join("\n")
}

/// The client's working directory, from wherever it tells it: the system prompt, a system message, or a reminder.
fn folder(body: &Value) -> Option<&str> {
    let system = body["system"].as_str().into_iter().chain(texts(&body["system"]));
    let messages = body["messages"].as_array().into_iter().flatten();
    let messages = messages.flat_map(|m| m["content"].as_str().into_iter().chain(texts(&m["content"])));
    system.chain(messages).find_map(|text| {
        let named = FOLDER.iter().find_map(|name| Some(&text[text.find(name)? + name.len()..]))?;
        let path = named.lines().next()?.trim().trim_end_matches(['`', '"']);
        path.starts_with('/').then_some(path)
    })
}

fn texts(blocks: &Value) -> impl Iterator<Item = &str> {
    blocks.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str())
}

fn count(to: u64) -> String {
    let numbers = 1..=to.min(MAX_COUNT);
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
}

/// The first `most` characters, with a mark where something was left out.
fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn clip_bytes(text: &str, most: usize) -> &str {
    let at = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..at.unwrap_or(0)]
}

/// What distinguishes this turn from others: of this mock by the number, of another by the conversation.
fn seed(body: &Value, number: u64) -> u64 {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.last().map(Value::to_string).unwrap_or_default();
    reply::hash(&[&number.to_be_bytes(), &messages.len().to_be_bytes(), last.as_bytes()])
}

const GREETING: &str = "Hello! This is pointsman's bundled mock: no real model answers here.";
const COMPACTION: &str = "CRITICAL: Respond with TEXT ONLY";
const REMINDER: &str = "<system-reminder>";
const REMINDER_END: &str = "</system-reminder>";
const TOLD: &str = "- asked: ";
const BROKEN_OFF: &str = "Your response above was cut off mid-stream";
const STRUCTURED: &str = "StructuredOutput";
const SCHEMA: &str = "JSON Schema";
/// How clients name the working directory.
const FOLDER: &[&str] =
    &["Primary working directory: ", "Working directory: ", "working directory is ", "cwd: "];
/// Anthropic's own words for trying these out.
const MAGIC_REFUSAL: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL";
const MAGIC_REDACTED: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING";
/// Bytes between the words and the schema that they are about.
const MAX_LEAD: usize = 60;
/// Characters of the user's text that are said back.
const MAX_ECHO: usize = 200;
/// Characters of a result that are quoted.
const MAX_QUOTE: usize = 4_000;
/// An answer of about half a megabyte.
const MAX_COUNT: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{Options, Request, strict};

    /// The turn after a conversation, as the real checks let it through.
    fn turn(body: &Value) -> Turn {
        let text = body.to_string();
        let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
        let request = Request {
            method: "POST",
            path: "/v1/messages",
            query: "",
            headers: &headers,
            body: text.as_bytes(),
        };
        let asked = strict::messages(&request, &Options::default());
        answer(&asked.unwrap_or_else(|refusal| panic!("{}: {body}", refusal.message)), 1)
    }

    #[allow(clippy::needless_pass_by_value)] // A literal at every use.
    fn body(messages: Value) -> Value {
        let tool = |name: &str, fields: &[&str]| {
            let fields: serde_json::Map<String, Value> =
                fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
            json!({"name": name, "input_schema": {"type": "object", "properties": fields}})
        };
        json!({
            "model": "claude-haiku-4-5", "max_tokens": 2000, "messages": messages,
            "tools": [
                tool("Bash", &["command"]), tool("Edit", &["file_path", "old_string", "new_string"]),
                tool("Read", &["file_path"]), tool("Write", &["file_path", "content"]),
            ],
        })
    }

    fn user(content: impl Into<Value>) -> Value {
        json!({"role": "user", "content": content.into()})
    }

    /// The names that a turn calls, and its text.
    fn told(turn: &Turn) -> (Vec<&str>, String) {
        let calls =
            turn.content.iter().filter(|b| b["type"] == "tool_use").filter_map(|b| b["name"].as_str());
        let texts = turn.content.iter().filter_map(|b| b["text"].as_str());
        (calls.collect(), texts.collect())
    }

    /// Plays the client: answers every call with `result`, until the model comes to an end. All calls of all turns.
    fn play(mut body: Value, result: &Value) -> (Vec<Vec<String>>, String) {
        let mut made = Vec::new();
        for _ in 0..6 {
            let turn = turn(&body);
            let (calls, text) = told(&turn);
            if calls.is_empty() {
                return (made, text);
            }
            made.push(calls.into_iter().map(str::to_owned).collect());
            let results = turn.content.iter().filter(|b| b["type"] == "tool_use").map(|call| {
                let mut block = json!({"type": "tool_result", "tool_use_id": call["id"]});
                block.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
                block
            });
            let results: Vec<Value> = results.collect();
            let messages = body["messages"].as_array_mut().unwrap();
            // Claude Code adds fields of its own to the inputs that it keeps.
            let mut said = turn.content.clone();
            for call in said.iter_mut().filter(|b| b["name"] == "Edit") {
                call["input"]["replace_all"] = json!(false);
            }
            messages.push(json!({"role": "assistant", "content": said}));
            messages.push(user(results));
        }
        panic!("no end: {made:?}");
    }

    #[test]
    fn tasks_are_done_by_calls_and_their_results_are_quoted() {
        for (task, calls) in [
            ("TASK: write a containing b", vec![vec!["Write"]]),
            ("TASK: read a", vec![vec!["Read"]]),
            ("TASK: edit a replacing b with c", vec![vec!["Read"], vec!["Edit"]]),
            ("TASK: bash ls", vec![vec!["Bash"]]),
            ("TASK: write a containing b and bash ls", vec![vec!["Write", "Bash"]]),
            ("TASK: read a\nTASK: read b", vec![vec!["Read", "Read"]]),
            ("TASK: edit a replacing b with c and read d", vec![vec!["Read", "Read"], vec!["Edit"]]),
            ("TASK: read a and read a", vec![vec!["Read", "Read"]]),
        ] {
            for content in [
                user(task),
                user(json!([{"type": "text", "text": task}])),
                user(json!([
                    {"type": "text", "text": "<system-reminder>\nTASK: bash rm -r /\n</system-reminder>"},
                    {"type": "text", "text": task},
                ])),
            ] {
                let (made, text) = play(body(json!([content])), &json!({"content": "the result"}));
                assert_eq!(made, calls, "{task}");
                assert!(text.contains("the result"), "{task}: {text}");
            }
        }
    }

    #[test]
    fn a_schema_may_be_asked_for_in_words() {
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#;
        for (words, expected) in [
            (format!("Answer with JSON that fits this JSON Schema.\n{schema}"), true),
            (format!("Keep to this JSON Schema: {schema} and nothing else."), true),
            (format!("Keep to this JSON Schema, and to nothing else: {schema}"), true),
            (format!("A JSON Schema is something like {schema}"), false),
            ("JSON Schema: {not one".to_owned(), false),
        ] {
            let mut asked = body(json!([user("hi")]));
            asked["system"] = json!(words);
            let (_, text) = told(&turn(&asked));
            assert_eq!(text == r#"{"n":1}"#, expected, "{words}: {text}");
        }
    }

    #[test]
    fn a_call_that_failed_ends_its_task() {
        let (made, text) = play(
            body(json!([user("TASK: edit a replacing b with c")])),
            &json!({"content": "no such file", "is_error": true}),
        );
        assert_eq!(made, [["Read"]]);
        assert!(text.contains("Read failed: no such file"), "{text}");
    }

    #[test]
    fn a_result_may_have_no_content_or_blocks() {
        for (result, quoted) in [
            (json!({}), "(nothing)"),
            (json!({"content": [{"type": "text", "text": "words"}]}), "words"),
            (json!({"content": [{"type": "tool_reference", "tool_name": "Bash"}]}), "[tool_reference]"),
        ] {
            let (_, text) = play(body(json!([user("TASK: read a")])), &result);
            assert!(text.contains(quoted), "{text}");
        }
    }

    #[test]
    fn a_task_of_an_earlier_turn_is_not_done_again() {
        let done = json!([
            user("TASK: read a"),
            {"role": "assistant", "content": "It says b."},
            user("thanks"),
        ]);
        let (calls, text) = {
            let turn = turn(&body(done));
            let (c, t) = told(&turn);
            (c.len(), t)
        };
        assert_eq!(calls, 0);
        assert!(text.contains("You said: thanks"), "{text}");
    }

    #[test]
    fn an_answer_that_broke_off_is_gone_on_with() {
        for reminder in [
            "<system-reminder>\nYour response above was cut off mid-stream. Resume directly.\n</system-reminder>",
            "Your response above was cut off mid-stream. Resume directly.",
        ] {
            let cut =
                json!([user("TASK: read a"), {"role": "assistant", "content": "I will"}, user(reminder)]);
            assert_eq!(told(&turn(&body(cut))).0, ["Read"], "{reminder}");
        }
    }

    #[test]
    fn the_working_directory_makes_paths_whole() {
        for (place, text) in [
            ("system", "# Environment\n - Primary working directory: /work\n - Platform: linux"),
            ("reminder", "<env>\nWorking directory: /work\n</env>"),
        ] {
            let mut asked = body(json!([user("TASK: read a")]));
            match place {
                "system" => asked["system"] = json!([{"type": "text", "text": text}]),
                _ => {
                    asked["messages"][0]["content"] = json!([
                        {"type": "text", "text": format!("<system-reminder>{text}</system-reminder>")},
                        {"type": "text", "text": "TASK: read a"},
                    ]);
                }
            }
            let turn = turn(&asked);
            let call = turn.content.iter().find(|b| b["type"] == "tool_use").unwrap();
            assert_eq!(call["input"]["file_path"], "/work/a", "{place}");
        }
    }

    #[test]
    fn side_requests_get_a_fitting_answer() {
        let mut title = body(json!([user("TASK: read a")]));
        title["model"] = json!("claude-haiku-5-5");
        title["tools"] = json!([]);
        title["thinking"] = json!({"type": "disabled"});
        title["output_config"] = json!({"format": {"type": "json_schema", "schema": {
            "type": "object", "additionalProperties": false,
            "properties": {"title": {"type": "string", "maxLength": 9}}}}});
        let titled: Value = serde_json::from_str(&told(&turn(&title)).1).unwrap();
        assert_eq!(titled, json!({"title": "TASK: rea"}));

        let compact = body(json!([
            user("TASK: write a containing b"),
            {"role": "assistant", "content": "done"},
            user("CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."),
        ]));
        let (calls, summary) = {
            let turn = turn(&compact);
            let (c, t) = told(&turn);
            (c.len(), t)
        };
        assert!(calls == 0 && summary.contains("<summary>") && summary.contains("write a"), "{summary}");

        // What the summary tells is remembered, and not done again.
        let after = body(json!([user(summary), user("TASK: recall")]));
        assert_eq!(told(&turn(&after)).1, "I was asked: write a.");

        let mut search = body(json!([user("search for trains")]));
        search["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
        search["tool_choice"] = json!({"type": "tool", "name": "web_search"});
        let found = turn(&search);
        assert_eq!(found.content[0]["type"], "server_tool_use");
        assert_eq!(found.content[1]["type"], "web_search_tool_result");
        assert_eq!((found.stop_reason, found.usage.searches), ("end_turn", 1));
    }

    #[test]
    fn a_choice_of_tools_is_kept_to() {
        for (choice, task, calls) in [
            (json!({"type": "none"}), "TASK: read a", vec![]),
            (json!({"type": "any"}), "hello", vec!["Bash"]),
            (json!({"type": "any"}), "TASK: read a", vec!["Read"]),
            (json!({"type": "tool", "name": "Edit"}), "hello", vec!["Edit"]),
            (
                json!({"type": "auto", "disable_parallel_tool_use": true}),
                "TASK: read a and read b",
                vec!["Read"],
            ),
        ] {
            let mut asked = body(json!([user(task)]));
            asked["tool_choice"] = choice.clone();
            assert_eq!(told(&turn(&asked)).0, calls, "{choice} {task}");
        }
    }

    #[test]
    fn the_turn_ends_at_a_sequence_or_at_the_limit() {
        for (field, value, reason, text) in [
            ("stop_sequences", json!(["4", "6"]), "stop_sequence", "1 2 3 "),
            ("max_tokens", json!(2), "max_tokens", "1 2 3 4 "),
            ("max_tokens", json!(0), "max_tokens", ""),
            ("max_tokens", json!(50), "end_turn", "1 2 3 4 5 6 7"),
        ] {
            let mut asked = body(json!([user("TASK: count to 7")]));
            asked[field] = value.clone();
            let turn = turn(&asked);
            assert_eq!((turn.stop_reason, told(&turn).1.as_str()), (reason, text), "{field}: {value}");
        }
    }

    #[test]
    fn thinking_is_signed_and_shown_as_asked() {
        for (model, thinking, expected) in [
            ("claude-haiku-4-5", Value::Null, None),
            ("claude-haiku-4-5", json!({"type": "enabled", "budget_tokens": 1024}), Some(true)),
            ("claude-opus-5-5", Value::Null, Some(false)),
            ("claude-opus-5-5", json!({"type": "adaptive", "display": "summarized"}), Some(true)),
            ("claude-haiku-5-5", json!({"type": "disabled"}), None),
            ("claude-sonnet-5-5", json!({"type": "between_tools"}), None),
        ] {
            let mut asked = body(json!([user("hi")]));
            asked["model"] = json!(model);
            if !thinking.is_null() {
                asked["thinking"] = thinking.clone();
            }
            let turn = turn(&asked);
            let block = turn.content.iter().find(|b| b["type"] == "thinking");
            assert_eq!(block.map(|b| b["thinking"] != ""), expected, "{model} {thinking}");
            if let Some(block) = block {
                assert!(reply::is_signed(
                    block["thinking"].as_str().unwrap(),
                    block["signature"].as_str().unwrap()
                ));
            }
        }
    }
}
