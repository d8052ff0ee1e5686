//! The table "must not" of the design, as data, held against the source tree.
//!
//! Reads every file under `src`, takes comments, strings and test code away, resolves `use` trees, aliases, `super` and
//! `self`, and looks for what each module must not touch. Also: every module opens with a header that says what it does
//! and what it refuses to do, and the top level of the repository holds what it should and nothing else.
//!
//! It does not compile anything, so it sees names and not types: `.unwrap()` is found, an `Option` that is indexed is
//! not. What clippy can see better (which function is called) is in `.clippy.toml`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// One line of the table: which modules, what they must not touch, and why.
struct Rule {
    /// For the failure's message.
    why: &'static str,
    /// Modules it holds for, with all below them; `*` is every module.
    within: &'static [&'static str],
    /// Modules below those that are exempt.
    except: &'static [&'static str],
    /// What is forbidden, in the notation of [`Ban`].
    forbid: &'static [&'static str],
    /// Paths that are fine although a longer or shorter ban would catch them.
    allow: &'static [&'static str],
}

/// Values in, values out.
const PURE: &[&str] = &["json", "wire", "gate", "account", "upstream::sigv4", "govern::rate"];

/// Where a request passes. Commands, the bundled provider, the loading of configuration and the log's own threads are not on it.
const REQUEST_PATH: &[&str] = &[
    "account", "auth", "clock", "edge", "error", "exchange", "gate", "govern", "json", "learn", "relay",
    "route", "runtime", "upstream", "wire",
];

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule {
        why: "values in, values out: no I/O, no clock, no log, no lock, no configuration",
        within: PURE, except: &[],
        forbid: &[
            "std::fs", "std::net", "std::env", "std::process", "std::thread", "std::os", "std::io::stdin", "std::io::stdout", "std::io::stderr",
            "std::time::Instant::now", "std::time::SystemTime", ".elapsed(", "crate::clock", "jiff::Timestamp::now", "jiff::Zoned::now",
            "std::sync::Mutex", "std::sync::RwLock", "std::sync::Condvar", "std::sync::mpsc", "thread_local!",
            "may", "rustix", "rustls", "ureq", "crossbeam", "log", "println!", "eprintln!",
            "crate::log", "crate::config", "crate::runtime", "crate::edge", "crate::auth", "crate::route", "crate::exchange", "crate::relay",
            "crate::cli", "crate::admin", "crate::mock", "crate::upstream", "crate::govern",
        ],
        allow: &["std::net::IpAddr"],
    },
    Rule {
        why: "a dialect knows no provider's URL or credential header",
        within: &["wire"], except: &["wire::traits"],
        forbid: &["\"https://api.", "\"x-api-key", "\"x-goog-api-key", "\"authorization", "\"Bearer "], allow: &[],
    },
    Rule {
        why: "the IR belongs to no vendor and holds no parsed tree",
        within: &["wire::ir"], except: &[],
        forbid: &["serde_json::Value", "serde_json::Map", "~anthropic", "~openai", "~gemini", "~google", "~bedrock", "~vertex", "~azure", "~claude", "~gpt"],
        allow: &[],
    },
    Rule {
        why: "a provider does not look inside messages: URL, headers, the splices and the traits of its table",
        within: &["upstream::provider"], except: &[],
        forbid: &["crate::wire", "crate::json::peek", "serde_json::Value"], allow: &["crate::wire::traits", "crate::wire::Call", "crate::wire::Dialect"],
    },
    Rule {
        why: "the upstream path does not know callers, budgets, prices, or who asks it",
        within: &["upstream"], except: &[],
        forbid: &["crate::auth", "crate::govern", "crate::account", "crate::route", "crate::exchange", "crate::relay", "crate::gate", "crate::cli", "crate::admin", "crate::mock"],
        allow: &[],
    },
    Rule {
        why: "the edge does not parse JSON bodies and knows no provider",
        within: &["edge"], except: &[],
        forbid: &["serde_json", "crate::json", "crate::upstream", "crate::route", "crate::govern", "crate::account", "crate::gate", "crate::relay"], allow: &[],
    },
    Rule {
        why: "authentication never sees the body",
        within: &["auth"], except: &[],
        forbid: &["serde_json", "crate::json", "crate::edge::body", "crate::wire", "crate::upstream", "crate::route", "crate::govern", "crate::exchange"], allow: &[],
    },
    Rule {
        why: "admission and routing see the peek only, and do no network I/O",
        within: &["govern", "route"], except: &["govern::cluster", "govern::store"],
        forbid: &["crate::wire", "crate::json::splice", "crate::edge::body", "serde_json", "crate::upstream", "crate::relay", "crate::exchange", "std::net", "ureq", "rustls", "rustix"],
        allow: &["crate::wire::traits", "std::net::IpAddr", "std::net::SocketAddr"],
    },
    Rule {
        why: "the sequence of a request holds no format knowledge and does no I/O of its own",
        within: &["exchange"], except: &[],
        forbid: &["serde_json", "httparse", "memchr", "std::net", "std::fs", "rustls", "crate::wire::anthropic", "crate::wire::openai", "crate::wire::chat", "crate::wire::responses", "crate::wire::gemini", "crate::wire::converse", "crate::wire::bedrock"],
        allow: &["std::net::IpAddr", "std::net::SocketAddr"],
    },
    Rule {
        why: "the relay decides nothing",
        within: &["relay"], except: &[],
        forbid: &["crate::route", "crate::auth", "crate::exchange", "crate::config", "crate::upstream::provider", "serde_json"], allow: &[],
    },
    Rule {
        why: "the log never blocks a request: try_send, and count what was dropped",
        within: &["log"], except: &["log::otlp"],
        forbid: &[".send(", "crate::exchange", "crate::route", "crate::edge", "crate::relay", "crate::upstream"], allow: &[],
    },
    Rule {
        why: "descriptors, may's primitives and threads belong to runtime",
        within: &["*"], except: &["runtime"],
        forbid: &["may", "std::os::fd", "std::os::unix::io", "std::thread", "rustix::fd", "rustix::event", "rustix::net", "crossbeam::thread", "thread_local!"],
        allow: &["std::thread::available_parallelism", "std::thread::panicking"],
    },
    Rule {
        why: "only error.rs and wire/*/fault.rs choose a status or write an error body",
        within: &["*"], except: &["error", "mock", "wire::fault", "wire::*::fault"],
        forbid: &["\"HTTP/1.1 4", "\"HTTP/1.1 5", "\"\"type\":\"error\"", "\"{\"error\":"], allow: &[],
    },
    Rule {
        why: "the request path neither panics on purpose nor prints",
        within: REQUEST_PATH, except: &[],
        forbid: &[".unwrap()", ".unwrap_err()", ".expect(\"", ".expect_err(\"", ".expect(&", "panic!", "unreachable!", "todo!", "unimplemented!", "println!", "eprintln!", "print!", "eprint!", "dbg!"],
        allow: &[],
    },
    Rule {
        why: "a log macro writes synchronously: notices go through the log's channel",
        within: REQUEST_PATH, except: &[],
        forbid: &["log", "simple_logger"], allow: &[],
    },
    Rule {
        why: "no JSON trees on the request path: byte ranges, or structs with raw values",
        within: REQUEST_PATH, except: &["wire::schema"],
        forbid: &["serde_json::Value", "serde_json::Map", "serde_json::json", "json!"], allow: &[],
    },
    Rule {
        why: "the library prints nothing; commands do",
        within: &["*"], except: &["cli", "main", "mock"],
        forbid: &["println!", "print!", "eprintln!", "eprint!", "dbg!"], allow: &[],
    },
    Rule {
        why: "bounds, the clock and errors stand below everything",
        within: &["limits", "clock", "error"], except: &[],
        forbid: &["crate"], allow: &["crate::limits", "crate::clock", "crate::error"],
    },
];

/// A module that may do what a rule forbids, and the reason why. One that nobody needs any more fails the test.
struct Exception {
    module: &'static str,
    /// Paths, macros or methods as [`Breach::what`] tells them; all below a path.
    what: &'static [&'static str],
    #[allow(dead_code)] // For the reader.
    reason: &'static str,
}

#[rustfmt::skip]
const EXCEPTIONS: &[Exception] = &[
    Exception { module: "cli::serve", what: &["std::thread::sleep"], reason: "the thread that watches the file, a plain one" },
    Exception { module: "log", what: &["std::thread::sleep"], reason: "the log's own thread drains every 20 ms instead of being woken for each record" },
    Exception { module: "edge::acceptor", what: &["std::thread::sleep"], reason: "the accepting thread, a plain one, when descriptors have run out" },
    Exception { module: "edge::acceptor", what: &["rustix::net"], reason: "opens and closes the listener, which std cannot with this backlog; no connection's socket" },
    Exception { module: "runtime::panics", what: &["log::error"], reason: "a plain thread tells its own panic, and may be the log's" },
    Exception { module: "runtime::home", what: &["unreachable", "eprintln"], reason: "at the start or never: without its threads the gateway cannot run" },
    Exception { module: "wire::fault::others", what: &["json", "serde_json::json"], reason: "refusals of a hundred bytes, off the common path" },
];

/// What may stand at the top level, beside dot-files.
const TOP: &[&str] =
    &["Cargo.toml", "Cargo.lock", "src", "config", "tests", "benches", "scripts", "README.md", "LICENSE"];

// ---- The tests ----

#[test]
fn no_module_touches_what_it_must_not() {
    let (found, _) = judged();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_exception_is_needed() {
    let (_, excused) = judged();
    let idle: Vec<_> = EXCEPTIONS
        .iter()
        .flat_map(|e| e.what.iter().map(move |what| (e.module, *what)))
        .filter(|one| !excused.contains(one))
        .collect();
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
}

/// The whole tree held against the table: what is forbidden, and which exceptions were needed.
fn judged() -> (Vec<String>, Vec<(&'static str, &'static str)>) {
    let modules = source_tree();
    let dialects = dialects(&modules);
    let (mut found, mut excused) = (Vec::new(), Vec::new());
    for module in &modules {
        let code = Code::of(&module.text, &module.path);
        for breach in RULES.iter().flat_map(|rule| rule.breaches(module, &code)) {
            match excuse(&module.path, &breach.what) {
                Some(exception) => excused.push(exception),
                None => found.push(breach.text),
            }
        }
        found.extend(foreign_dialects(module, &code, &dialects));
    }
    (found, excused)
}

fn excuse(module: &str, what: &str) -> Option<(&'static str, &'static str)> {
    let fits = |e: &&Exception| below(module, e.module);
    let mut all = EXCEPTIONS.iter().filter(fits).flat_map(|e| e.what.iter().map(move |w| (e.module, *w)));
    all.find(|(_, excused)| below(what, excused) || (excused.starts_with('.') && what.starts_with(excused)))
}

#[test]
fn every_module_says_what_it_does_and_what_it_refuses() {
    let thin: Vec<_> = source_tree()
        .iter()
        .filter(|m| header_sentences(&m.text) < 2)
        .map(|m| format!("{}: the `//!` header needs two sentences or more", m.file.display()))
        .collect();
    assert!(thin.is_empty(), "\n{}\n", thin.join("\n"));
}

#[test]
fn the_top_level_holds_nothing_else() {
    let names = top_level();
    let strangers = strangers(&names);
    assert!(strangers.is_empty(), "not at the top level: {strangers:?}");
}

// ---- Rules ----

/// A forbidden thing, as written in the table:
/// `a::b` a path and all below it; `name!` a macro; `.name(` a method's call, with `.name()`, `.name("` and `.name(&` for the
/// start of its arguments; `~word` an identifier that contains it; `"text` a string literal that contains it.
enum Ban<'a> {
    Path(&'a str),
    Macro(&'a str),
    Method(&'a str),
    Word(&'a str),
    Literal(&'a str),
}

impl<'a> Ban<'a> {
    fn parse(text: &'a str) -> Self {
        if let Some(literal) = text.strip_prefix('"') {
            Self::Literal(literal)
        } else if let Some(word) = text.strip_prefix('~') {
            Self::Word(word)
        } else if text.starts_with('.') {
            Self::Method(text)
        } else if let Some(name) = text.strip_suffix('!') {
            Self::Macro(name)
        } else {
            Self::Path(text)
        }
    }

    /// The lines on which it occurs, with what stands there.
    fn hits(&self, code: &Code, allow: &[&str]) -> Vec<(usize, String)> {
        match self {
            Self::Path(ban) => code
                .paths
                .iter()
                .filter(|(_, path)| below(path, ban) && !allow.iter().any(|a| below(path, a)))
                .cloned()
                .collect(),
            Self::Macro(name) => code.macros.iter().filter(|(_, m)| m == name).cloned().collect(),
            Self::Method(call) => code.methods.iter().filter(|(_, m)| m.starts_with(call)).cloned().collect(),
            Self::Word(word) => {
                code.words.iter().filter(|(_, w)| w.to_lowercase().contains(word)).cloned().collect()
            }
            Self::Literal(text) => code.literals.iter().filter(|(_, l)| l.contains(text)).cloned().collect(),
        }
    }
}

/// Something forbidden that was found: what stands there, and the line for the failure's message.
struct Breach {
    what: String,
    text: String,
}

impl Rule {
    fn holds_for(&self, module: &str) -> bool {
        let listed = |list: &[&str]| list.iter().any(|m| *m == "*" || below_pattern(module, m));
        listed(self.within) && !listed(self.except)
    }

    fn breaches(&self, module: &Module, code: &Code) -> Vec<Breach> {
        if !self.holds_for(&module.path) {
            return Vec::new();
        }
        // A rule about `wire` must not forbid `wire` its own parts: its own prefixes are always allowed.
        let own = self.within.iter().filter(|w| below(&module.path, w)).map(|w| format!("crate::{w}"));
        let own: Vec<String> = own.collect();
        let allow: Vec<&str> = self.allow.iter().copied().chain(own.iter().map(String::as_str)).collect();
        let mut found = Vec::new();
        for ban in self.forbid {
            for (line, what) in Ban::parse(ban).hits(code, &allow) {
                let text = format!("{}:{line}: `{what}`: {}", module.file.display(), self.why);
                found.push(Breach { what, text });
            }
        }
        found
    }
}

/// Directories under `wire` are dialects, but for the framings and the errors of all dialects.
fn dialects(modules: &[Module]) -> Vec<String> {
    let mut names: Vec<String> = modules
        .iter()
        .filter_map(|m| m.path.strip_prefix("wire::")?.split_once("::").map(|(name, _)| name.to_owned()))
        .filter(|name| name != "frame" && name != "fault")
        .collect();
    names.sort();
    names.dedup();
    names
}

fn foreign_dialects(module: &Module, code: &Code, dialects: &[String]) -> Vec<String> {
    let own = module.path.strip_prefix("wire::").map(|rest| rest.split("::").next().unwrap_or(rest));
    let Some(own) = own.filter(|o| dialects.iter().any(|d| d == o)) else { return Vec::new() };
    let mut found = Vec::new();
    for other in dialects.iter().filter(|d| *d != own) {
        for (line, what) in Ban::Path(&format!("crate::wire::{other}")).hits(code, &[]) {
            found
                .push(format!("{}:{line}: `{what}`: a dialect never imports another", module.file.display()));
        }
    }
    found
}

/// Whether `path` is `prefix` or lies below it.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// As [`below`], where a `*` in the pattern stands for one segment.
fn below_pattern(path: &str, pattern: &str) -> bool {
    let mut segments = path.split("::");
    pattern.split("::").all(|p| segments.next().is_some_and(|s| p == "*" || p == s))
}

/// Sentences in a module's header, code blocks left out.
fn header_sentences(text: &str) -> usize {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines().map_while(|l| l.strip_prefix("//!")) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.push_str(line.trim());
            prose.push(' ');
        }
    }
    let ends = |w: &&str| w.trim_end_matches([')', '"', '`', '*']).ends_with(['.', '!', '?']);
    prose.split_whitespace().filter(ends).count()
}

fn strangers(names: &[String]) -> Vec<&String> {
    names.iter().filter(|n| !n.starts_with('.') && !TOP.contains(&n.as_str())).collect()
}

/// What git tracks at the top level, or without git what lies there but for the build's output.
fn top_level() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tracked = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let mut names: Vec<String> = match tracked {
        Ok(out) if out.status.success() && !out.stdout.is_empty() => String::from_utf8_lossy(&out.stdout)
            .split_terminator('\0')
            .map(|path| path.split('/').next().unwrap_or(path).to_owned())
            .collect(),
        _ => fs::read_dir(root)
            .expect("the repository's own folder")
            .map(|entry| entry.expect("a readable entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name != "target")
            .collect(),
    };
    names.sort();
    names.dedup();
    names
}

// ---- Reading the source ----

struct Module {
    /// As it is written after `crate::`; `main` and the empty string for the two roots.
    path: String,
    file: PathBuf,
    text: String,
}

fn source_tree() -> Vec<Module> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 10, "no source tree at {}", root.display());
    let modules = files.into_iter().map(|file| {
        let relative = file.strip_prefix(&root).expect("below src").with_extension("");
        let names: Vec<_> = relative.iter().map(|s| s.to_string_lossy().into_owned()).collect();
        let names = match names.last().map(String::as_str) {
            Some("mod" | "lib") => &names[..names.len() - 1],
            _ => &names[..],
        };
        let text = fs::read_to_string(&file).expect("readable source");
        Module { path: names.join("::"), text, file: Path::new("src").join(relative).with_extension("rs") }
    });
    // A file of tests that its parent includes under `#[cfg(test)]` is test code.
    modules.filter(|m| !m.path.ends_with("::tests") && !m.path.ends_with("::testing")).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// A file without comments and test code, taken apart; each item with its line.
#[derive(Default)]
struct Code {
    /// Absolute paths: `crate::…`, `std::…`, or beginning with a crate's name.
    paths: Vec<(usize, String)>,
    macros: Vec<(usize, String)>,
    /// `.name(` with the first token of its arguments.
    methods: Vec<(usize, String)>,
    words: Vec<(usize, String)>,
    literals: Vec<(usize, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Literal(String),
    /// `::` is one mark, everything else a character.
    Mark(char),
    Sep,
}

type Line<T> = (usize, T);

impl Code {
    fn of(text: &str, module: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let mut code = Self::default();
        let mut names: HashMap<String, String> = HashMap::new();
        let mut used = Vec::new();
        let mut at = 0;
        while let Some((line, token)) = tokens.get(at) {
            match token {
                Token::Word(word) if word == "use" => {
                    at = use_tree(&tokens, at + 1, "", &mut used);
                    continue;
                }
                Token::Literal(text) => code.literals.push((*line, text.clone())),
                Token::Mark('.') => code.method(&tokens, at),
                Token::Word(word) => code.words.push((*line, word.clone())),
                Token::Mark(_) | Token::Sep => {}
            }
            at += 1;
        }
        for (line, path, alias) in used {
            let path = absolute(&path, module, &HashMap::new());
            if alias != "_" {
                names.insert(alias, path.clone());
            }
            code.paths.push((line, path));
        }
        code.inline(&tokens, module, &names);
        code
    }

    fn method(&mut self, tokens: &[Line<Token>], dot: usize) {
        if let [(line, Token::Word(name)), (_, Token::Mark('(')), (_, first), ..] = &tokens[dot + 1..] {
            let first = match first {
                Token::Mark(c @ (')' | '&')) => c.to_string(),
                Token::Literal(_) => "\"".to_owned(),
                _ => String::new(),
            };
            self.methods.push((*line, format!(".{name}({first}")));
        }
    }

    /// Paths and macros outside `use`: `a::b::c`, where `a` may be a name that a `use` brought in.
    fn inline(&mut self, tokens: &[Line<Token>], module: &str, names: &HashMap<String, String>) {
        let mut at = 0;
        while let Some((line, token)) = tokens.get(at) {
            let Token::Word(word) = token else {
                at += 1;
                continue;
            };
            if word == "use" {
                at = use_tree(tokens, at + 1, "", &mut Vec::new());
                continue;
            }
            let preceded = at > 0 && matches!(tokens[at - 1].1, Token::Sep | Token::Mark('.'));
            let mut path = word.clone();
            at += 1;
            while let [(_, Token::Sep), (_, Token::Word(next)), ..] = &tokens[at..] {
                path = format!("{path}::{next}");
                at += 2;
            }
            let is_macro =
                matches!(&tokens[at..], [(_, Token::Mark('!')), (_, Token::Mark('(' | '[' | '{')), ..]);
            if is_macro {
                let name = path.rsplit("::").next().unwrap_or(&path);
                self.macros.push((*line, name.to_owned()));
            }
            if !preceded && (path.contains("::") || names.contains_key(&path)) {
                self.paths.push((*line, absolute(&path, module, names)));
            }
        }
    }
}

/// Reads one `use` tree from `at`; gives the position after it.
fn use_tree(
    tokens: &[Line<Token>],
    mut at: usize,
    prefix: &str,
    out: &mut Vec<(usize, String, String)>,
) -> usize {
    let mut path = prefix.to_owned();
    let mut alias = None;
    let mut line = tokens.get(at).map_or(0, |t| t.0);
    while let Some((here, token)) = tokens.get(at) {
        match token {
            Token::Word(word) if word == "as" => {
                alias = match tokens.get(at + 1) {
                    Some((_, Token::Word(name))) => Some(name.clone()),
                    _ => None,
                };
                at += 2;
            }
            Token::Word(word) => {
                line = *here;
                path = if path.is_empty() { word.clone() } else { format!("{path}::{word}") };
                at += 1;
            }
            Token::Mark('*') => {
                out.push((line, path, "_".to_owned()));
                return at + 1;
            }
            Token::Mark('{') => {
                at += 1;
                while let Some((_, token)) = tokens.get(at) {
                    match token {
                        Token::Mark('}') => return at + 1,
                        Token::Mark(',') => at += 1,
                        _ => at = use_tree(tokens, at, &path, out),
                    }
                }
                return at;
            }
            Token::Sep => at += 1,
            Token::Mark(_) | Token::Literal(_) => break,
        }
    }
    let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
    let name = path.rsplit("::").next().unwrap_or(&path).to_owned();
    out.push((line, path, alias.unwrap_or(name)));
    at
}

/// `self`, `super`, `crate` and names that a `use` brought in, resolved.
fn absolute(path: &str, module: &str, names: &HashMap<String, String>) -> String {
    let (first, rest) = path.split_once("::").map_or((path, ""), |(f, r)| (f, r));
    let join = |base: &str| if rest.is_empty() { base.to_owned() } else { format!("{base}::{rest}") };
    let here =
        if module.is_empty() || module == "main" { "crate".to_owned() } else { format!("crate::{module}") };
    match first {
        "crate" => path.to_owned(),
        "pointsman" => join("crate"),
        "self" => join(&here),
        "super" => {
            let parent = here.rsplit_once("::").map_or("crate", |(p, _)| p);
            let parent = parent.strip_prefix("crate::").unwrap_or("");
            let rest = if rest.is_empty() { "self" } else { rest };
            let rest = if rest.starts_with("super") { rest.to_owned() } else { format!("self::{rest}") };
            let up = absolute(&rest, parent, names);
            up.strip_suffix("::self").unwrap_or(&up).to_owned()
        }
        name => names.get(name).map_or_else(|| path.to_owned(), |base| join(base)),
    }
}

/// Leaves out the item that follows `#[cfg(test)]` (or `#[cfg(all(test, …))]`), and everything under `#![cfg(test)]`.
fn without_tests(tokens: &[Line<Token>]) -> Vec<Line<Token>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inner = matches!(tokens.get(at + 1), Some((_, Token::Mark('!'))));
        let open = at + 1 + usize::from(inner);
        if tokens[at].1 != Token::Mark('#') || tokens.get(open).is_none_or(|t| t.1 != Token::Mark('[')) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = after_group(tokens, open);
        if !is_test_attribute(&tokens[open..end]) {
            kept.extend_from_slice(&tokens[at..end]);
            at = end;
        } else if inner {
            return kept;
        } else {
            at = after_item(tokens, end);
        }
    }
    kept
}

fn is_test_attribute(attribute: &[Line<Token>]) -> bool {
    let has = |word: &str| attribute.iter().any(|(_, t)| *t == Token::Word(word.to_owned()));
    has("cfg") && has("test") && !has("not") && !has("any")
}

/// The position after the item that starts at `at`: after its `;` or its braces.
fn after_item(tokens: &[Line<Token>], mut at: usize) -> usize {
    let is_use = |t: &Token| *t == Token::Word("use".to_owned());
    let uses = tokens[at..].iter().take(4).any(|(_, t)| is_use(t));
    while let Some((_, token)) = tokens.get(at) {
        match token {
            Token::Mark(';') => return at + 1,
            Token::Mark('{') if !uses => return after_group(tokens, at),
            Token::Mark('(' | '[' | '{') => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// The position after the bracket that closes the one at `at`.
fn after_group(tokens: &[Line<Token>], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some((_, token)) = tokens.get(at) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    at
}

fn tokens(text: &str) -> Vec<Line<Token>> {
    let mut scan = Scan { chars: text.chars().collect(), at: 0, line: 1 };
    let mut out = Vec::new();
    while let Some(c) = scan.peek(0) {
        let line = scan.line;
        match c {
            '/' if scan.peek(1) == Some('/') => scan.skip_while(|c| c != '\n'),
            '/' if scan.peek(1) == Some('*') => scan.block_comment(),
            '"' => out.push((line, Token::Literal(scan.string()))),
            'r' | 'b' | 'c' if scan.literal_prefix().is_some() => {
                let (prefix, hashes) = scan.literal_prefix().unwrap_or_default();
                scan.skip(prefix);
                let literal = if hashes == usize::MAX { scan.string() } else { scan.raw_string(hashes) };
                out.push((line, Token::Literal(literal)));
            }
            'b' if scan.peek(1) == Some('\'') => {
                scan.skip(1);
                scan.quote();
            }
            '\'' => scan.quote(),
            ':' if scan.peek(1) == Some(':') => {
                scan.skip(2);
                out.push((line, Token::Sep));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let start = scan.at;
                scan.skip_while(|c| c.is_alphanumeric() || c == '_');
                out.push((line, Token::Word(scan.chars[start..scan.at].iter().collect())));
            }
            c => {
                scan.skip(1);
                if !c.is_whitespace() {
                    out.push((line, Token::Mark(c)));
                }
            }
        }
    }
    out
}

/// A cursor over a file. `0 <= at`; reading past the end gives `None` and skips nothing.
struct Scan {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Scan {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    /// The length of `r#`, `b`, `br##` and so on before a quote, with the number of hashes (`usize::MAX`: not raw).
    fn literal_prefix(&self) -> Option<(usize, usize)> {
        let mut length = 1;
        let mut raw = self.peek(0) == Some('r');
        if !raw && self.peek(1) == Some('r') {
            raw = true;
            length = 2;
        }
        let mut hashes = 0;
        while raw && self.peek(length + hashes) == Some('#') {
            hashes += 1;
        }
        let quoted = self.peek(length + hashes) == Some('"');
        quoted.then_some((length + hashes, if raw { hashes } else { usize::MAX }))
    }

    /// From the opening quote; escapes of quotes and backslashes are undone, so that a ban reads as the text on the wire.
    fn string(&mut self) -> String {
        let mut text = String::new();
        self.skip(1);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.skip(1);
                    break;
                }
                '\\' => {
                    text.extend(self.peek(1));
                    self.skip(2);
                }
                c => {
                    text.push(c);
                    self.skip(1);
                }
            }
        }
        text
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        let mut text = String::new();
        self.skip(1);
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|i| self.peek(i) == Some('#')) {
                self.skip(1 + hashes);
                break;
            }
            text.push(c);
            self.skip(1);
        }
        text
    }

    /// A character literal, or the tick of a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.skip(3);
            self.skip_while(|c| c != '\'');
            self.skip(1);
        } else if self.peek(2) == Some('\'') {
            self.skip(3);
        } else {
            self.skip(1);
        }
    }
}

// ---- The checks can fail ----

fn sample(path: &str, text: &str) -> Module {
    Module { path: path.to_owned(), file: PathBuf::from("sample.rs"), text: text.to_owned() }
}

fn breaches(path: &str, text: &str) -> Vec<String> {
    let module = sample(path, text);
    let code = Code::of(&module.text, &module.path);
    RULES.iter().flat_map(|rule| rule.breaches(&module, &code)).map(|breach| breach.text).collect()
}

/// The least code that does what a ban forbids.
fn offence(ban: &str) -> String {
    match Ban::parse(ban) {
        Ban::Path(path) => format!("fn f() {{ {path}::Thing::go(); }}"),
        Ban::Macro(name) => format!("fn f() {{ {name}!(1); }}"),
        Ban::Method(".unwrap()") => "fn f() { x.unwrap(); }".to_owned(),
        Ban::Method(call) if call.ends_with('"') => format!("fn f() {{ x{call}text\"); }}"),
        Ban::Method(call) => format!("fn f() {{ x{}); }}", call.trim_end_matches(')')),
        Ban::Word(word) => format!("struct S {{ {word}_id: u8 }}"),
        Ban::Literal(text) => format!("const S: &str = r#\"{text} and more\"#;"),
    }
}

#[test]
fn each_ban_of_each_rule_can_fail() {
    for rule in RULES {
        for within in rule.within {
            let path = if *within == "*" { "config::sample" } else { within };
            assert!(rule.holds_for(path), "{path}: {}", rule.why);
            for ban in rule.forbid {
                let module = sample(path, &offence(ban));
                let found = rule.breaches(&module, &Code::of(&module.text, path));
                assert!(!found.is_empty(), "{path} may do `{ban}`: {}", rule.why);
            }
            assert!(rule.breaches(&sample(path, "fn f() {}"), &Code::of("fn f() {}", path)).is_empty());
        }
    }
}

#[test]
fn bad_samples_are_found() {
    let bad = [
        ("gate", "use std::time::Instant;\nfn f() -> Instant { Instant::now() }"),
        ("gate", "use std::{io, net::{Shutdown, TcpStream}};"),
        ("gate", "use std::time as t;\nfn f() { t::SystemTime::now(); }"),
        ("gate", "use crate::{error::Error, config::Snapshot};"),
        ("wire::sse", "fn f() { super::super::config::read(); }"),
        ("wire::sse", "use super::super::upstream as u;"),
        ("wire::anthropic::reply", "const HEADER: &str = \"x-api-key\";"),
        ("json::peek", "fn f(s: &str) { log::warn!(\"{s}\"); }"),
        ("wire::ir", "struct Block { bedrock_cache: bool }"),
        ("upstream::provider::azure", "use crate::wire::ir::Block;"),
        ("upstream::pool", "use crate::auth::Caller;"),
        ("edge::connection", "fn f(b: &[u8]) { serde_json::from_slice::<u8>(b); }"),
        ("auth", "use crate::json::peek::Ask;"),
        ("route::select", "use crate::wire::anthropic::Request;"),
        ("exchange", "use memchr::memmem;"),
        ("relay", "use crate::route::Plan;"),
        ("log::record", "fn f(q: &Sender<u8>) { q.send(1); }"),
        ("log", "fn f() { std::thread::spawn(g); }"),
        ("config::watch", "use std::os::fd::AsRawFd;"),
        ("upstream::dial", "fn f() { may::coroutine::sleep(SECOND); }"),
        ("edge::reply", "const BUSY: &[u8] = b\"HTTP/1.1 503 Service Unavailable\\r\\n\";"),
        ("exchange", "const E: &str = \"{\\\"type\\\":\\\"error\\\"}\";"),
        ("auth", "fn f(x: Option<u8>) -> u8 { x\n    .unwrap() }"),
        ("auth", "fn f(x: Option<u8>) -> u8 { x.expect(\"a key\") }"),
        ("edge::head", "fn f() { unreachable!() }"),
        ("json::splice", "use serde_json::Value as Tree;"),
        ("config", "fn f() { println!(\"loaded\"); }"),
        ("limits", "use crate::edge::Head;"),
        ("edge", "#[cfg(not(test))]\nfn f() { todo!() }"),
        ("edge", "const C: char = '\"'; fn f() { x.unwrap() } const D: char = '\"';"),
        ("edge", "fn f<'a>(x: &'a u8) { panic!() }"),
        ("edge", "const S: &str = r#\"a \" b\"#; fn f() { x.unwrap(); }"),
        ("edge", "#[cfg(test)]\nmod tests { fn g() { x.unwrap() } }\nfn f() { x.unwrap() }"),
        ("edge", "#[cfg(test)]\nuse a::{b, c};\nfn f() { x.unwrap() }"),
    ];
    for (path, text) in bad {
        assert!(!breaches(path, text).is_empty(), "nothing found in {path}:\n{text}");
    }
}

#[test]
fn good_samples_pass() {
    let good = [
        ("gate", "use std::time::Duration;\nuse crate::limits;\nfn f(silent: Duration) {}"),
        ("gate", "// std::net and x.unwrap() in a comment\n/* panic!() /* nested */ */\nfn f() {}"),
        ("gate", "/// Asks `crate::config`.\nconst S: &str = \"std::net::TcpStream, panic!()\";"),
        ("edge::head", "fn f() { self.expect(b':'); x.unwrap_or(0); y.unwrap_or_default(); }"),
        (
            "edge",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n use std::thread;\n fn g() { x.unwrap(); panic!() }\n}",
        ),
        ("edge", "#[cfg(test)]\n#[allow(dead_code)]\nfn g() -> [u8; 2] { x.unwrap() }\nfn f() {}"),
        ("upstream::provider::azure", "use crate::wire::traits::Traits;"),
        ("wire::anthropic::fault", "const E: &str = \"{\\\"type\\\":\\\"error\\\"}\";"),
        ("wire::anthropic::reply", "use crate::wire::ir;\nuse super::request;"),
        ("runtime::home", "use may::coroutine;\nuse std::thread;\nuse std::os::fd::OwnedFd;"),
        ("exchange", "use crate::log::Record;\nfn f(l: &Log) { l.log(); }"),
        ("mock", "fn f() { x.unwrap(); println!(\"mock\"); serde_json::Value::Null; }"),
        ("cli::serve", "fn f() { println!(\"listens\"); let n = std::thread::available_parallelism(); }"),
        ("error", "use crate::limits;\nuse std::time::Duration;"),
        ("relay", "use crate::govern::Permit;"),
    ];
    for (path, text) in good {
        let found = breaches(path, text);
        assert!(found.is_empty(), "{path}:\n{text}\n{found:?}");
    }
}

#[test]
fn a_dialect_that_imports_another_is_found() {
    let dialects = ["anthropic".to_owned(), "openai".to_owned()];
    let found = |path: &str, text: &str| {
        !foreign_dialects(&sample(path, text), &Code::of(text, path), &dialects).is_empty()
    };
    assert!(found("wire::anthropic::reply", "use crate::wire::openai::Chunk;"));
    assert!(found("wire::anthropic::reply", "use super::super::openai;"));
    assert!(!found("wire::anthropic::reply", "use super::request::Tool;\nuse crate::wire::ir;"));
    assert!(!found("wire::transcode", "use crate::wire::{anthropic, openai};"));
    let tree = ["wire", "wire::frame::sse", "wire::openai::reply", "wire::meter"].map(|p| sample(p, ""));
    assert_eq!(self::dialects(&tree), ["openai"]);
}

#[test]
fn a_thin_header_is_found() {
    for (text, sentences) in [
        ("", 0),
        ("// A comment. Another.\n", 0),
        ("//! (being written)\n", 0),
        ("//! The relay.\n", 1),
        ("//! The relay of one response. Decides nothing.\n\nuse x;\n", 2),
        ("//! What it does\n//! in one line. It refuses (all of it!)\n", 2),
        ("//! One.\n//! ```\n//! assert!(a. b. c.);\n//! ```\n", 1),
        ("\n//! Late. And so not a header.\n", 0),
    ] {
        assert_eq!(header_sentences(text), sentences, "{text:?}");
    }
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(strangers(&names(&["src", ".ci", "notes.md", "LICENSE", "docs"])), ["notes.md", "docs"]);
    assert!(strangers(&names(TOP)).is_empty());
    assert!(top_level().contains(&"Cargo.toml".to_owned()));
}
