//! What a user's text asks the model to do with tools, and the calls that do it.
//!
//! ```text
//! TASK: write F containing T          TASK: read F          TASK: edit F replacing A with B          TASK: bash C
//! TASK: call NAME {"any": "input"}    TASK: count to N      TASK: recall
//! ```
//!
//! Several tasks in one text, on lines of their own or joined by ` and ` where a whole task follows, are done side by
//! side. A value may stand in quotes, in which no such word is looked for; `\n` within it is a new line. The tools are
//! those that the request offers: Claude Code's by name, others by what their name and fields look like. Knows nothing
//! of conversations or of answers.

use std::ops::Range;

use serde_json::{Map, Value, json};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Put a text into a file.
    Write { path: String, text: String },
    /// Show a file.
    Read { path: String },
    /// Replace a text in a file.
    Edit { path: String, old: String, new: String },
    /// Run a command.
    Bash { command: String },
    /// Call this tool with this input.
    Call { tool: String, input: Value },
    /// Say all numbers up to this one: an answer of a chosen length.
    Count { to: u64 },
    /// Tell what was asked before.
    Recall,
}

/// A tool call to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool's name as the request offers it.
    pub tool: String,
    /// Its whole input.
    pub input: Value,
}

/// All tasks in a text, in their order.
pub fn find(text: &str) -> Vec<Task> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(MARK));
    lines.flat_map(split).filter_map(parse).collect()
}

/// Parts of a line at those ` and `s behind which a whole task stands: read from its end, so that what follows is known.
fn split(line: &str) -> Vec<&str> {
    let quotes = quotes(line);
    let (mut parts, mut end) = (Vec::new(), line.len());
    for (at, and) in line.rmatch_indices(" and ") {
        let begin = at + and.len();
        // Two ` and `s may share a blank.
        if begin <= end && !is_inside(&quotes, at) && stands_alone(&line[begin..end]) {
            parts.push(&line[begin..end]);
            end = at;
        }
    }
    parts.push(&line[..end]);
    parts.reverse();
    parts
}

/// Whether a part is a task beyond doubt, and not the rest of a sentence that begins with a verb: a path of several words
/// stands in quotes there.
fn stands_alone(part: &str) -> bool {
    let is_path = |path: &str| !path.is_empty() && (!path.contains(char::is_whitespace) || is_quoted(path));
    let (verb, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
    let rest = rest.trim();
    match verb {
        "write" => split_once(rest, " containing ").is_some_and(|(path, _)| is_path(path.trim())),
        "edit" => {
            split_once(rest, " replacing ").is_some_and(|(path, _)| is_path(path.trim()))
                && parse(part).is_some()
        }
        "read" => is_path(rest),
        "bash" => !rest.is_empty(),
        "recall" => rest.is_empty(),
        _ => parse(part).is_some(),
    }
}

fn parse(part: &str) -> Option<Task> {
    let part = part.trim();
    let (verb, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
    match verb {
        "write" => {
            let (path, text) = split_once(rest, " containing ")?;
            Some(Task::Write { path: value(path), text: value(text) })
        }
        "read" => Some(Task::Read { path: value(rest) }),
        "edit" => {
            let (path, change) = split_once(rest, " replacing ")?;
            let (old, new) = split_once(change, " with ")?;
            Some(Task::Edit { path: value(path), old: value(old), new: value(new) })
        }
        "bash" => Some(Task::Bash { command: rest.trim().to_owned() }),
        "call" => {
            let (tool, input) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), "{}"));
            Some(Task::Call { tool: tool.to_owned(), input: serde_json::from_str(input).ok()? })
        }
        "count" => rest.trim().strip_prefix("to ")?.trim().parse().ok().map(|to| Task::Count { to }),
        "recall" => Some(Task::Recall),
        _ => None,
    }
}

/// The text before the first `mark` that stands in no quotes, and the text behind it.
fn split_once<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let quotes = quotes(text);
    let at = text.match_indices(mark).map(|(at, _)| at).find(|at| !is_inside(&quotes, *at))?;
    Some((&text[..at], &text[at + mark.len()..]))
}

fn is_inside(quotes: &[Range<usize>], at: usize) -> bool {
    quotes.iter().any(|quote| quote.contains(&at))
}

/// What stands in quotes, the quotes included. One opens where a word could begin and closes where one could end: the
/// apostrophe of `it's` is none. One that never closes is none either.
fn quotes(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find(QUOTES).map(|at| from + at) {
        let within_word = text[..open].ends_with(char::is_alphanumeric);
        let close = if within_word { None } else { closing(text, open) };
        found.extend(close.map(|close| open..close + 1));
        from = close.unwrap_or(open) + 1;
    }
    found
}

/// Where the quote that opens at `open` closes.
fn closing(text: &str, open: usize) -> Option<usize> {
    let (body, quote) = (&text[open + 1..], &text[open..=open]);
    let closes = |at: &usize| {
        let behind = body[at + 1..].chars().next();
        !body[..*at].ends_with('\\') && behind.is_none_or(|c| c.is_whitespace() || ENDS.contains(&c))
    };
    body.match_indices(quote).map(|(at, _)| at).find(closes).map(|at| open + 1 + at)
}

fn is_quoted(text: &str) -> bool {
    quotes(text).first().is_some_and(|quote| *quote == (0..text.len()))
}

/// A value without the quotes around it.
fn value(text: &str) -> String {
    let text = text.trim();
    let bare = if is_quoted(text) { &text[1..text.len() - 1] } else { text };
    bare.replace("\\n", "\n").replace("\\t", "\t")
}

impl Task {
    /// The task in a few words without [`find`]'s mark, so that retelling it does not ask for it again.
    pub fn tell(&self) -> String {
        match self {
            Self::Write { path, .. } => format!("write {path}"),
            Self::Read { path } => format!("read {path}"),
            Self::Edit { path, old, new } => format!("edit {path} from {old:?} to {new:?}"),
            Self::Bash { command } => format!("run {command:?}"),
            Self::Call { tool, .. } => format!("call {tool}"),
            Self::Count { to } => format!("count to {to}"),
            Self::Recall => "recall".to_owned(),
        }
    }

    /// The calls that do it, one after the other. `Err` says why there is none.
    pub fn calls(&self, tools: &Tools<'_>) -> Result<Vec<Call>, String> {
        let call = |kind, input: &dyn Fn(&Tool<'_>) -> Input| tools.call(kind, input);
        match self {
            Self::Write { path, text } => call(Kind::Write, &|tool| {
                tool.editor("create", path)
                    .unwrap_or_else(|| tool.path(path, tools.folder))
                    .with(tool, CONTENT, text)
            }),
            Self::Read { path } => call(Kind::Read, &|tool| {
                tool.editor("view", path).unwrap_or_else(|| tool.path(path, tools.folder))
            }),
            Self::Edit { path, old, new } => {
                let mut calls = call(Kind::Edit, &|tool| {
                    let input =
                        tool.editor("str_replace", path).unwrap_or_else(|| tool.path(path, tools.folder));
                    input.with(tool, OLD, old).with(tool, NEW, new)
                })?;
                // Claude Code's Edit refuses a file that was not read before.
                if calls.last().is_some_and(|call| call.tool == "Edit")
                    && let Ok(read) = (Self::Read { path: path.clone() }).calls(tools)
                {
                    calls.splice(0..0, read);
                }
                Ok(calls)
            }
            Self::Bash { command } => call(Kind::Bash, &|tool| Input::default().with(tool, COMMAND, command)),
            Self::Call { tool, input } => {
                let known = tools.named(tool);
                match known.or_else(|| tools.search(tool)) {
                    Some(call) if call.tool == *tool => {
                        Ok(vec![Call { tool: call.tool, input: input.clone() }])
                    }
                    Some(search) => Ok(vec![search]),
                    None => Err(format!("no tool {tool} is offered to me")),
                }
            }
            Self::Count { .. } | Self::Recall => Ok(Vec::new()),
        }
    }
}

/// What a tool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    Read,
    Edit,
    Bash,
}

impl Kind {
    /// Names that such a tool bears, the most telling first; in any case and without `_` and `-`.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Write => &["write", "writefile", "createfile", "savefile", "strreplacebasededittool"],
            Self::Read => &["read", "readfile", "viewfile", "view", "strreplacebasededittool"],
            Self::Edit => &["edit", "editfile", "strreplace", "replaceinfile", "strreplacebasededittool"],
            Self::Bash => &["bash", "shell", "runcommand", "execute", "terminal", "exec"],
        }
    }

    /// Claude Code's name of it, for a search.
    fn title(self) -> &'static str {
        match self {
            Self::Write => "Write",
            Self::Read => "Read",
            Self::Edit => "Edit",
            Self::Bash => "Bash",
        }
    }
}

/// The tools that a request offers, and the folder that relative paths are meant in.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    list: &'a [Value],
    folder: Option<&'a str>,
}

impl<'a> Tools<'a> {
    /// The tools of a body.
    pub fn new(body: &'a Value, folder: Option<&'a str>) -> Self {
        Self { list: body["tools"].as_array().map(Vec::as_slice).unwrap_or_default(), folder }
    }

    /// A call of the tool of this name with an input that its schema takes.
    pub fn named(&self, name: &str) -> Option<Call> {
        let tool = self.list.iter().find(|tool| tool["name"] == name)?;
        Some(Call { tool: name.to_owned(), input: sample(&tool["input_schema"], "mock") })
    }

    /// A call of the first tool that is not the provider's own.
    pub fn first(&self) -> Option<Call> {
        self.list
            .iter()
            .filter(|tool| tool["input_schema"].is_object())
            .find_map(|tool| self.named(tool["name"].as_str()?))
    }

    fn call(&self, kind: Kind, input: &dyn Fn(&Tool<'_>) -> Input) -> Result<Vec<Call>, String> {
        if let Some(tool) = self.of(kind) {
            return Ok(vec![Call { tool: tool.name.to_owned(), input: input(&tool).whole(&tool) }]);
        }
        let search = self.search(kind.title());
        search.map(|call| vec![call]).ok_or_else(|| format!("no tool like {} is offered to me", kind.title()))
    }

    fn of(&self, kind: Kind) -> Option<Tool<'a>> {
        let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
        kind.names().iter().find_map(|wanted| {
            let found = self
                .list
                .iter()
                .find(|tool| tool["name"].as_str().is_some_and(|name| plain(name) == *wanted))?;
            Some(Tool { name: found["name"].as_str()?, schema: &found["input_schema"] })
        })
    }

    /// Claude Code's way to a tool that it only names: the next request then offers it.
    fn search(&self, name: &str) -> Option<Call> {
        self.list.iter().find(|tool| tool["name"] == "ToolSearch")?;
        Some(Call { tool: "ToolSearch".to_owned(), input: json!({"query": format!("select:{name}")}) })
    }
}

struct Tool<'a> {
    name: &'a str,
    schema: &'a Value,
}

impl Tool<'_> {
    /// The first of these names that the tool has a field of; the first of all where it tells no fields.
    fn field<'n>(&self, names: &[&'n str]) -> &'n str {
        let fields = &self.schema["properties"];
        names.iter().find(|name| !fields[**name].is_null()).or(names.first()).copied().unwrap_or_default()
    }

    fn path(&self, path: &str, folder: Option<&str>) -> Input {
        let whole = match folder {
            Some(folder) if !path.starts_with(['/', '~']) => {
                format!("{}/{path}", folder.trim_end_matches('/'))
            }
            _ => path.to_owned(),
        };
        Input::default().with(self, PATH, &whole)
    }

    /// Anthropic's own text editor, which has no schema.
    fn editor(&self, command: &str, path: &str) -> Option<Input> {
        let mut fields = Map::new();
        fields.insert("command".to_owned(), json!(command));
        fields.insert("path".to_owned(), json!(path));
        (self.name == "str_replace_based_edit_tool").then_some(Input(fields))
    }
}

/// An input that is being filled in.
#[derive(Default)]
struct Input(Map<String, Value>);

impl Input {
    fn with(mut self, tool: &Tool<'_>, names: &[&str], value: &str) -> Self {
        self.0.insert(tool.field(names).to_owned(), json!(value));
        self
    }

    /// With the other fields that the tool requires.
    fn whole(mut self, tool: &Tool<'_>) -> Value {
        let required = tool.schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for name in required.iter().filter_map(Value::as_str) {
            if !self.0.contains_key(name) {
                let text = if name == "description" { "Does what the task asks for" } else { "mock" };
                self.0.insert(name.to_owned(), sample(&tool.schema["properties"][name], text));
            }
        }
        Value::Object(self.0)
    }
}

/// A small value that a JSON schema takes; texts are `text` where the schema leaves it open.
pub fn sample(schema: &Value, text: &str) -> Value {
    sample_at(schema, schema, text, MAX_DEPTH, &mut { MAX_NODES })
}

fn sample_at(root: &Value, schema: &Value, text: &str, depth: usize, nodes: &mut usize) -> Value {
    let (Some(depth), Some(left)) = (depth.checked_sub(1), nodes.checked_sub(1)) else { return Value::Null };
    *nodes = left;
    if let Some(path) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        return sample_at(root, root.pointer(path).unwrap_or(&Value::Null), text, depth, nodes);
    }
    for fixed in ["const", "default"] {
        if let Some(value) = schema.get(fixed) {
            return value.clone();
        }
    }
    for several in ["enum", "anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[several].get(0) {
            return if several == "enum" {
                first.clone()
            } else {
                sample_at(root, first, text, depth, nodes)
            };
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind.unwrap_or(if schema["properties"].is_object() { "object" } else { "string" }) {
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(name, field)| (name.clone(), sample_at(root, field, text, depth, nodes))).collect()
        }
        "array" => {
            let most = schema["maxItems"].as_u64().unwrap_or(1);
            let count = schema["minItems"].as_u64().unwrap_or(1).max(1).min(most).min(MAX_ITEMS);
            (0..count).map(|_| sample_at(root, &schema["items"], text, depth, nodes)).collect()
        }
        "integer" | "number" => {
            let least =
                schema["minimum"].as_f64().or_else(|| schema["exclusiveMinimum"].as_f64().map(|n| n + 1.0));
            match least.map(f64::ceil) {
                // Whole numbers of this size are exact.
                Some(least) if least.abs() < 1e15 => {
                    serde_json::from_str(&format!("{least:.0}")).unwrap_or(json!(1))
                }
                _ => json!(1),
            }
        }
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => sample_text(schema, text),
    }
}

fn sample_text(schema: &Value, text: &str) -> Value {
    let formatted = match schema["format"].as_str() {
        Some("date") => "2026-01-01",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("uri" | "url") => "https://example.com/",
        Some("email") => "mock@example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => text,
    };
    let most = schema["maxLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut sampled: String = formatted.chars().take(most).collect();
    let least = schema["minLength"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(MAX_TEXT);
    while sampled.chars().count() < least {
        sampled.push('.');
    }
    json!(sampled)
}

/// What a task begins with.
const MARK: &str = "TASK:";
const QUOTES: [char; 3] = ['"', '\'', '`'];
/// What may follow a closing quote, besides a blank.
const ENDS: &[char] = &[',', ';', ':', '.', '!', '?', ')', ']', '}'];

const PATH: &[&str] = &["file_path", "path", "filename", "file", "filepath", "absolute_path"];
const CONTENT: &[&str] = &["content", "file_text", "contents", "text", "data"];
const OLD: &[&str] = &["old_string", "old_str", "old", "search", "old_text"];
const NEW: &[&str] = &["new_string", "new_str", "new", "replace", "replacement", "new_text"];
const COMMAND: &[&str] = &["command", "cmd", "script", "code"];

/// Levels of a schema that are sampled; what lies deeper becomes null.
const MAX_DEPTH: usize = 12;
/// Values of a sample: a schema that contains itself twice would double with each level.
const MAX_NODES: usize = 1_000;
/// Items of a sampled list, whatever its schema demands.
const MAX_ITEMS: u64 = 16;
/// Characters of a sampled text, whatever its schema demands.
const MAX_TEXT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, text: &str) -> Task {
        Task::Write { path: path.into(), text: text.into() }
    }

    fn read(path: &str) -> Task {
        Task::Read { path: path.into() }
    }

    #[test]
    fn tasks_are_found_in_a_text() {
        let edit = || Task::Edit { path: "a.txt".into(), old: "salt and pepper".into(), new: "sugar".into() };
        for (text, expected) in [
            ("hello", vec![]),
            ("Please do a TASK: write a containing b", vec![]),
            ("TASK: write a.txt containing hello world", vec![write("a.txt", "hello world")]),
            ("TASK: write 'a b.txt' containing \"x\\ny\"", vec![write("a b.txt", "x\ny")]),
            ("  TASK: read /tmp/x", vec![read("/tmp/x")]),
            ("TASK: edit a.txt replacing salt and pepper with sugar", vec![edit()]),
            ("TASK: read a and read b", vec![read("a"), read("b")]),
            ("TASK: read a\nsome words\nTASK: read b", vec![read("a"), read("b")]),
            (
                "TASK: write a containing x and bash ls -l | wc",
                vec![write("a", "x"), Task::Bash { command: "ls -l | wc".into() }],
            ),
            ("TASK: call f {\"a\": 1}", vec![Task::Call { tool: "f".into(), input: json!({"a": 1}) }]),
            ("TASK: call f", vec![Task::Call { tool: "f".into(), input: json!({}) }]),
            ("TASK: count to 12", vec![Task::Count { to: 12 }]),
            ("TASK: recall", vec![Task::Recall]),
            ("TASK: fly to the moon", vec![]),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_speaks_of_reading_and_writing_is_written_whole() {
        let bash = |command: &str| Task::Bash { command: command.into() };
        for (text, expected) in [
            ("write a.txt containing read and write access", vec![write("a.txt", "read and write access")]),
            (
                "write a.txt containing \"read and write access\"",
                vec![write("a.txt", "read and write access")],
            ),
            ("write a.txt containing 'x and read b'", vec![write("a.txt", "x and read b")]),
            (
                "write a.txt containing 'x and read b' and read b",
                vec![write("a.txt", "x and read b"), read("b")],
            ),
            ("write a.txt containing x and read the manual", vec![write("a.txt", "x and read the manual")]),
            ("write a.txt containing x and recall it", vec![write("a.txt", "x and recall it")]),
            ("write a.txt containing x and call me back", vec![write("a.txt", "x and call me back")]),
            ("write a.txt containing x and count to ten", vec![write("a.txt", "x and count to ten")]),
            ("write a.txt containing x and read", vec![write("a.txt", "x and read")]),
            ("write a.txt containing x and and read b", vec![write("a.txt", "x and"), read("b")]),
            (
                "write a.txt containing it's 5 o'clock and read b",
                vec![write("a.txt", "it's 5 o'clock"), read("b")],
            ),
            ("write a.txt containing the \"one and read b", vec![write("a.txt", "the \"one"), read("b")]),
            ("write a.txt containing x and read \"b c\"", vec![write("a.txt", "x"), read("b c")]),
            ("write a.txt containing \"read\" or \"write\"", vec![write("a.txt", "\"read\" or \"write\"")]),
            ("write \"a containing b\" containing c", vec![write("a containing b", "c")]),
            ("bash echo \"a and read b\" and read b", vec![bash("echo \"a and read b\""), read("b")]),
            (
                "edit a replacing \"salt with pepper\" with 'x and read y'",
                vec![Task::Edit {
                    path: "a".into(),
                    old: "salt with pepper".into(),
                    new: "x and read y".into(),
                }],
            ),
            (
                "call f {\"text\": \"say \\\"hi\\\" and read b\"}",
                vec![Task::Call { tool: "f".into(), input: json!({"text": "say \"hi\" and read b"}) }],
            ),
        ] {
            assert_eq!(find(&format!("TASK: {text}")), expected, "{text}");
        }
    }

    fn calls(task: &Task, tools: &Value, folder: Option<&str>) -> Result<Vec<(String, Value)>, String> {
        let body = json!({ "tools": tools });
        let calls = task.calls(&Tools::new(&body, folder))?;
        Ok(calls.into_iter().map(|call| (call.tool, call.input)).collect())
    }

    fn tool(name: &str, fields: &[&str]) -> Value {
        let properties: Map<String, Value> =
            fields.iter().map(|f| ((*f).to_owned(), json!({"type": "string"}))).collect();
        json!({"name": name, "input_schema": {"type": "object", "properties": properties, "required": fields}})
    }

    #[test]
    fn the_tools_that_are_offered_are_called() {
        let claude = json!([
            tool("Bash", &["command", "description"]),
            tool("Edit", &["file_path", "old_string", "new_string"]),
            tool("Read", &["file_path"]),
            tool("Write", &["file_path", "content"]),
        ]);
        let sdk = json!([tool("read_file", &["path"]), tool("shell", &["cmd"])]);
        let anthropic = json!([{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]);
        let edit = Task::Edit { path: "a".into(), old: "x".into(), new: "y".into() };
        let bash = Task::Bash { command: "ls".into() };
        for (task, tools, folder, expected) in [
            (write("a", "b"), &claude, Some("/w"), json!([["Write", {"file_path": "/w/a", "content": "b"}]])),
            (write("/a", "b"), &claude, Some("/w/"), json!([["Write", {"file_path": "/a", "content": "b"}]])),
            (read("a"), &claude, None, json!([["Read", {"file_path": "a"}]])),
            (
                edit.clone(),
                &claude,
                Some("/w"),
                json!([["Read", {"file_path": "/w/a"}], ["Edit", {"file_path": "/w/a", "old_string": "x", "new_string": "y"}]]),
            ),
            (
                bash.clone(),
                &claude,
                None,
                json!([["Bash", {"command": "ls", "description": "Does what the task asks for"}]]),
            ),
            (read("a"), &sdk, None, json!([["read_file", {"path": "a"}]])),
            (bash, &sdk, None, json!([["shell", {"cmd": "ls"}]])),
            (
                edit,
                &anthropic,
                None,
                json!([["str_replace_based_edit_tool", {"command": "str_replace", "path": "a", "old_string": "x", "new_string": "y"}]]),
            ),
            (
                read("a"),
                &json!([tool("ToolSearch", &["query"])]),
                None,
                json!([["ToolSearch", {"query": "select:Read"}]]),
            ),
        ] {
            assert_eq!(json!(calls(&task, tools, folder).unwrap()), expected, "{task:?}");
        }
        let refused = calls(&write("a", "b"), &sdk, None).unwrap_err();
        assert_eq!(refused, "no tool like Write is offered to me");
    }

    #[test]
    fn a_sample_fits_its_schema() {
        for (schema, expected) in [
            (json!({"type": "string"}), json!("mock")),
            (json!({"type": "string", "enum": ["b", "a"]}), json!("b")),
            (json!({"type": "string", "maxLength": 2}), json!("mo")),
            (json!({"type": ["string", "null"], "minLength": 6}), json!("mock..")),
            (json!({"type": "integer", "minimum": 3}), json!(3)),
            (json!({"type": "number", "exclusiveMinimum": 0}), json!(1)),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(true)),
            (json!({"type": "array", "items": {"const": 7}, "minItems": 2, "maxItems": 3}), json!([7, 7])),
            (
                json!({"$defs": {"n": {"type": "integer"}}, "type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}}),
                json!({"a": 1}),
            ),
            (json!({"type": "object"}), json!({})),
        ] {
            assert_eq!(sample(&schema, "mock"), expected, "{schema}");
        }
        // A schema that contains itself ends.
        sample(&json!({"type": "object", "properties": {"me": {"$ref": "#"}, "too": {"$ref": "#"}}}), "mock");
    }
}
