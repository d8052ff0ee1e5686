//! The process: start, signals, reloads, exit codes, and what it leaves behind.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::upstream::{chunk, sse_then};
use crate::support::*;

/// A folder of its own for each test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pointsman-process-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn command(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.current_dir(&folder.0).env_clear().env("HOME", &folder.0).stdin(Stdio::null());
    command
}

/// A `serve` that runs.
struct Process {
    child: Child,
    address: std::net::SocketAddr,
    folder: Folder,
}

impl Process {
    fn serve(folder: Folder, arguments: &[&str], vars: &[(&str, &str)]) -> Self {
        let out = std::fs::File::create(folder.0.join("out")).unwrap();
        let err = std::fs::File::create(folder.0.join("err")).unwrap();
        let mut command = command(&folder);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).envs(vars.iter().copied());
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        let mut process = Self { child, address: ([0, 0, 0, 0], 0).into(), folder };
        until("it listens", || {
            let text = process.out();
            let found = text
                .split_once("listens on http://")
                .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
            found.is_some_and(|address| {
                process.address = address;
                text.contains("export ANTHROPIC_API_KEY")
            })
        });
        process
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("out")).unwrap()
    }

    fn err(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("err")).unwrap()
    }

    fn client(&self) -> Client {
        Client::to(self.address)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; the exit code.
    fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end: {}", self.err());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn yaml(upstream: &Upstream, more: &str) -> String {
    gateway().weighted("first", upstream, 1).also(more).yaml()
}

fn run(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(folder).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn with_nothing_configured_the_bundled_mock_answers_and_says_so() {
    let mut process = Process::serve(Folder::new(), &[], &[]);
    assert!(process.out().contains("bundled mock"), "{}", process.out());
    let answer = process.client().send(&messages().model("claude-sonnet-4-5")).answer();
    answer.is(200).has("mock");
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn an_open_request_is_finished_before_the_end() {
    let begun = message_start("m") + &block_start() + &delta("one");
    let rest = vec![
        Act::Wait(Duration::from_millis(600)),
        Act::Send(chunk(&(delta("two") + &block_stop() + &message_end()))),
        Act::Send(b"0\r\n\r\n".to_vec()),
    ];
    let first = upstream().always(sse_then(&begun, rest));
    let folder = Folder::new();
    let file = folder.file("c.yaml", &yaml(&first, ""));
    let mut process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let mut client = process.client().send(&messages().stream());
    client.wait_for("one");
    process.signal(rustix::process::Signal::TERM);
    until("nobody new is served", || std::net::TcpStream::connect(process.address).is_err());
    client.answer().is(200).says("onetwo");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let first = upstream().always(vec![Act::Hold]);
    let folder = Folder::new();
    let file = folder.file("c.yaml", &yaml(&first, ""));
    let mut process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let _client = process.client().send(&messages());
    until("the upstream was asked", || first.count() == 1);
    process.signal(rustix::process::Signal::INT);
    until("it drains", || process.err().contains("draining"));
    let began = Instant::now();
    process.signal(rustix::process::Signal::INT);
    process.end();
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_reload_by_signal_or_by_a_changed_file_and_a_bad_file_changes_nothing() {
    let (first, second) = (upstream(), upstream());
    let folder = Folder::new();
    let file = folder.file("c.yaml", &yaml(&first, ""));
    let process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let asked =
        || process.client().send(&messages()).answer().is(200).header("x-pointsman-model").map(str::to_owned);
    asked();
    assert_eq!((first.count(), second.count()), (1, 0));
    std::fs::write(&file, yaml(&second, "")).unwrap();
    process.signal(rustix::process::Signal::HUP);
    until("it reloaded", || process.err().contains("reloaded"));
    asked();
    assert_eq!((first.count(), second.count()), (1, 1));
    // A file with a mistake: told with its place, and what ran goes on.
    std::fs::write(&file, yaml(&second, "wrong: 1")).unwrap();
    until("the mistake is told", || process.err().contains("wrong"));
    asked();
    let ready = process.client().send(&raw("GET", "/readyz")).answer();
    ready.is(200).has("wrong");
    std::fs::write(&file, yaml(&first, "# mended")).unwrap();
    until("the file was seen", || {
        asked();
        first.count() > 1
    });
    process.client().send(&raw("GET", "/readyz")).answer().is(200).has(r#""last_reload":"ok""#);
}

#[test]
fn a_reload_changes_how_many_connections_may_be_open() {
    let first = upstream();
    let folder = Folder::new();
    let with =
        |max: u32| gateway().weighted("first", &first, 1).server(&format!("max_connections: {max}")).yaml();
    let file = folder.file("c.yaml", &with(1));
    let process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let ask = || process.client().send(&raw("GET", "/healthz"));
    let mut held = ask();
    held.next_answer().is(200);
    ask().answer().is(503);
    std::fs::write(&file, with(2)).unwrap();
    process.signal(rustix::process::Signal::HUP);
    until("it reloaded", || process.err().contains("reloaded"));
    ask().answer().is(200);
    drop(held);
}

#[test]
fn the_number_of_workers_is_told_and_checked() {
    let folder = Folder::new();
    let file =
        folder.file("c.yaml", &gateway().weighted("first", &upstream(), 1).server("workers: 1").yaml());
    // So that a number which is taken after all ends the command as well, with 1.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for wrong in ["0", "1025", "many", "-1"] {
        for command in ["serve", "mock"] {
            let wrong = format!("--workers={wrong}");
            let (code, _, err) = run(&folder, &[command, "--listen", &taken, &wrong]);
            assert_eq!(code, 2, "{command} {wrong}: {err}");
            assert!(err.contains("--workers"), "{command} {wrong}: {err}");
        }
    }
    let process = Process::serve(folder, &["--config", file.to_str().unwrap(), "--workers", "3"], &[]);
    assert!(process.out().contains(", 3 workers\n"), "{}", process.out());
    std::fs::write(
        &file,
        gateway().weighted("first", &upstream(), 1).server("workers: 1, max_body: 1MiB").yaml(),
    )
    .unwrap();
    process.signal(rustix::process::Signal::HUP);
    until("it reloaded", || process.err().contains("reloaded"));
    assert!(!process.err().contains("workers"), "{}", process.err());
}

#[test]
fn what_is_to_be_exported_can_be_pasted_into_a_shell() {
    let folder = Folder::new();
    let keys = r#"virtual_keys: [{ id: "dev's & mine", key: sk-dev-0123456789abcdef }]"#;
    let file = folder.file("c.yaml", &yaml(&upstream(), keys));
    let process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let out = process.out();
    let lines: Vec<&str> = out.lines().filter(|l| l.trim_start().starts_with("export ")).collect();
    let script = format!("{}\nprintf %s \"$ANTHROPIC_API_KEY\"", lines.join("\n"));
    let Output { status, stdout, stderr } = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(status.success(), "{script}: {}", String::from_utf8_lossy(&stderr));
    assert_eq!(String::from_utf8(stdout).unwrap(), "<the key of dev's & mine>", "{script}");
}

#[test]
fn explain_leaves_out_who_cannot_hold_the_conversation() {
    let folder = Folder::new();
    let (first, second) = (upstream(), upstream());
    let file = folder
        .file("c.yaml", &gateway().weighted("first", &first, 70).weighted("second", &second, 30).yaml());
    let explain = |model: &str, tokens: &str| {
        let file = file.to_str().unwrap();
        let (code, out, err) = run(&folder, &["explain", "--config", file, model, "--input-tokens", tokens]);
        assert_eq!(code, 0, "{err}");
        out
    };
    let out = explain("claude-3-5-haiku-20241022", "3000000");
    let (_, left_out) = out.split_once("Left out:").unwrap_or_else(|| panic!("{out}"));
    for provider in ["first", "second"] {
        let line = left_out.lines().find(|l| l.trim_start().starts_with(provider));
        let line = line.unwrap_or_else(|| panic!("{provider} in {out}"));
        assert!(line.contains("does not fit its window of 200000 tokens"), "{out}");
    }
    assert!(!out.contains("In this order"), "{out}");
    let out = explain("claude-3-5-haiku-20241022", "100000");
    assert!(out.contains("goes to") && out.contains("window 200000") && !out.contains("Left out"), "{out}");
}

/// One line of JSON for each request, and nothing secret in any of them.
#[test]
fn what_a_request_leaves_behind_holds_no_secret_and_no_content() {
    let first = upstream().then(upstream::reply(529, "application/json", OVERLOADED));
    let folder = Folder::new();
    let keys = "virtual_keys: [{ id: dev, key: sk-dev-0123456789abcdef, owner: me }]\nlog: { access: true }";
    let file = folder.file("c.yaml", &yaml(&first, keys));
    let mut process =
        Process::serve(folder, &["--config", file.to_str().unwrap(), "--log-level", "debug"], &[]);
    let ask = messages()
        .header("x-api-key", "sk-dev-0123456789abcdef")
        .header("x-claude-code-session-id", "session-1")
        .header("x-claude-code-agent-id", "agent-1")
        .header("x-pointsman-tags", "a=b")
        .body(r#"{"model":"claude-test","max_tokens":64,"messages":[{"role":"user","content":"my private words"}]}"#);
    process.client().send(&ask).answer().is(200);
    process.client().send(&ask.clone().stream()).answer();
    process.client().send(&messages().header("x-api-key", "sk-wrong-secret")).answer().is(401);
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.end(), Some(0));
    let (out, err) = (process.out(), process.err());
    let records: Vec<serde_json::Value> =
        out.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(records.len(), 3, "{out}");
    let r = &records[0];
    for (field, expected) in [
        ("key", "dev"),
        ("owner", "me"),
        ("session", "session-1"),
        ("agent", "agent-1"),
        ("tags", "a=b"),
        ("asked", "claude-test"),
        ("answered", "real-model"),
        ("provider", "first"),
        ("attempts", "first:529, first:ok"),
        ("stop", "end_turn"),
        ("upstream_rid", "req_up"),
        ("usage_src", "final"),
    ] {
        assert_eq!(r[field], expected, "{field} in {r}");
    }
    assert_eq!(
        (&r["usage"]["input"], &r["usage"]["cache_read"], &r["usage"]["output"]),
        (&10.into(), &3.into(), &7.into())
    );
    let at = |field: &str| r[field].as_u64().unwrap();
    assert!(at("d_up") > 0 && at("d_up") <= at("d_byte") && at("d_byte") <= at("d_end"), "{r}");
    assert_eq!(records[2]["status"], 401);
    for secret in ["sk-dev-0123456789abcdef", "sk-wrong-secret", "secret-of-first", "my private words"] {
        assert!(!out.contains(secret), "`{secret}` on standard output: {out}");
        assert!(!err.contains(secret), "`{secret}` in the log: {err}");
    }
}

/// Not only requests for a model's answer: whatever was answered, but for probes.
#[test]
fn every_answer_leaves_a_record_but_probes() {
    let first = upstream();
    let folder = Folder::new();
    let file = folder.file("c.yaml", &yaml(&first, "log: { access: true }"));
    let mut process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let ask = |request: &Request| process.client().send(request).answer().status;
    let asked = [
        ask(&raw("GET", "/anthropic/v1/models")),
        ask(&raw("GET", "/nowhere")),
        ask(&raw("DELETE", "/anthropic/v1/messages")),
        ask(&raw("GET", "/anthropic/v1/models").header("origin", "http://evil.example")),
        process.client().write(b"GET / HTTP/1.1\r\nhost : a\r\n\r\n").answer().status,
    ];
    assert_eq!(asked, [200, 404, 405, 403, 400]);
    ask(&raw("GET", "/healthz"));
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.end(), Some(0));
    let out = process.out();
    let told: Vec<(String, u16)> = out
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|r| {
            (r["surface"].as_str().unwrap().to_owned(), u16::try_from(r["status"].as_u64().unwrap()).unwrap())
        })
        .collect();
    let told: Vec<(&str, u16)> = told.iter().map(|(surface, status)| (surface.as_str(), *status)).collect();
    assert_eq!(
        told,
        [("models", 200), ("anthropic", 404), ("anthropic", 405), ("models", 403), ("edge", 400)]
    );
}

/// When the time for a drain is over, a stream ends with an event that says so, and a record.
#[test]
fn what_is_open_at_the_end_is_told_so() {
    let begun = message_start("m") + &block_start() + &delta("one");
    let first = upstream().always(sse_then(&begun, vec![Act::Hold]));
    let draining =
        gateway().weighted("first", &first, 1).server("drain: 300ms").also("log: { access: true }");
    let folder = Folder::new();
    let file = folder.file("c.yaml", &draining.yaml());
    let mut process = Process::serve(folder, &["--config", file.to_str().unwrap()], &[]);
    let mut client = process.client().send(&messages().stream());
    client.wait_for("one");
    process.signal(rustix::process::Signal::TERM);
    let answer = client.answer();
    assert_eq!(answer.is(200).events().last().unwrap().0, "error", "{}", answer.text());
    assert_eq!(process.end(), Some(0));
    assert!(process.out().contains(r#""cut_by":"gateway""#), "{}", process.out());
}

#[test]
fn exit_codes_tell_wrong_usage_from_failure() {
    let folder = Folder::new();
    let good = folder.file("good.yaml", &yaml(&upstream(), ""));
    let bad = folder.file("bad.yaml", "acounts: []\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    for (arguments, code, text) in [
        (vec!["version"], 0, "pointsman 0."),
        (vec!["check", "--config", good], 0, "first"),
        (vec!["check", "--config", bad], 2, "accounts"),
        (vec!["check", "--config", "missing.yaml"], 2, "missing.yaml"),
        (vec!["serve", "--config", bad], 2, "accounts"),
        (vec!["serve", "--nonsense"], 2, "--nonsense"),
        (vec!["serve", "--config", good, "--listen", "0.0.0.0:0"], 2, "virtual_keys"),
        (vec!["explain", "--config", good, "claude-test"], 0, "first"),
        (vec!["explain", "--config", bad, "claude-test"], 2, "accounts"),
    ] {
        let (came, out, err) = run(&folder, &arguments);
        assert_eq!(came, code, "{arguments:?}: {out}{err}");
        assert!(out.contains(text) || err.contains(text), "{arguments:?}: {out}{err}");
    }
    let (code, _, err) = run(&folder, &["serve", "--config", good, "--listen", &taken]);
    assert_eq!(code, 1, "{err}");
}

#[test]
fn every_command_helps_with_an_example() {
    let folder = Folder::new();
    for name in ["serve", "check", "explain", "mock", "version"] {
        let (code, out, _) = run(&folder, &[name, "--help"]);
        assert_eq!(code, 0);
        assert!(out.contains("Example") && out.contains(&format!("pointsman {name}")), "{name}: {out}");
    }
}

#[test]
fn the_bare_mock_gives_its_fixed_reply() {
    let folder = Folder::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = command(&folder)
        .args(["mock", "--bare", "--listen", &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut line = [0; 20];
    out.read_exact(&mut line).unwrap();
    Client::to(port).send(&messages()).answer().is(200).has("bare reply");
    child.kill().unwrap();
    child.wait().unwrap();
}
