//! `pointsman explain`: which provider would get a request and as which model, why, and who follows.
//!
//! Asks the same code as a request does, with a registry in which nothing rests: what a running gateway knows about its
//! providers' health is not seen from here, and the text says so. Sends nothing.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::{USAGE, failed};
use crate::auth::{Caller, Keys, Surface};
use crate::clock;
use crate::config::snapshot::{Affinity, Provider, VirtualKey};
use crate::config::{self, Found, Snapshot, env::System};
use crate::error::{Error, Kind, Stage};
use crate::govern::{self, access::listed};
use crate::route::pins::Pin;
use crate::route::{Choice, Chooser, LeftOut, Next, Plan, Reason, Registry, Table, Want, plan, session_hash};
use crate::upstream::provider;
use crate::wire;

/// What `pointsman explain` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pointsman explain claude-sonnet-4-5
  pointsman explain 'claude-opus-4-6[1m]' --key claude-code-dev --input-tokens 300000
  pointsman explain bedrock/claude-sonnet-4-6 --session 3fa85f64-5717-4562-b3fc-2c963f66afa6")]
pub struct Options {
    /// The model as a client would name it: a name, PROVIDER/MODEL, or an alias
    #[arg(value_name = "MODEL")]
    model: String,
    /// The configuration file [default: that of the environment, else the first of the usual places]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// As the virtual key with this id (never the key itself)
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// As a request of this session, which stays with one provider
    #[arg(long, value_name = "S")]
    session: Option<String>,
    /// As a request of this class, one of [`CLASSES`].
    #[arg(long, value_name = "C", help = CLASS_HELP)]
    class: Option<String>,
    /// As a conversation of so many tokens, which needs a window that holds it
    #[arg(long, value_name = "N")]
    input_tokens: Option<u64>,
    /// As a conversation with images
    #[arg(long)]
    images: bool,
    /// As a request for embeddings
    #[arg(long, conflicts_with = "images")]
    embeddings: bool,
}

/// Prints the explanation.
pub fn run(options: &Options) -> ExitCode {
    let snapshot = match config::discover(options.config.as_deref(), &System, false) {
        Found::File(path) => config::load(&path, &System),
        Found::Nothing { .. } => {
            if Path::new(HERE).is_file() {
                eprintln!(
                    "pointsman: ./{HERE} is read by `serve` and `check` only; for this one write --config {HERE}"
                );
            }
            Ok(config::from_env(&System))
        }
    };
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(USAGE);
        }
    };
    match explain(&snapshot, &options.question()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) if e.kind == Kind::BadRequest => {
            eprintln!("pointsman: {e}");
            ExitCode::from(USAGE)
        }
        Err(e) => failed(format_args!("{}: {e}", options.model)),
    }
}

impl Options {
    fn question(&self) -> Question<'_> {
        Question {
            key: self.key.as_deref(),
            session: self.session.as_deref(),
            class: self.class.as_deref(),
            input_tokens: self.input_tokens,
            window: wire::window,
            images: self.images,
            embeddings: self.embeddings,
            ..Question::about(&self.model)
        }
    }
}

/// What is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// As a client would name it.
    pub model: &'a str,
    /// Id of the virtual key.
    pub key: Option<&'a str>,
    /// Id of the session.
    pub session: Option<&'a str>,
    /// One of the classes of requests.
    pub class: Option<&'a str>,
    /// Length of the conversation in tokens.
    pub input_tokens: Option<u64>,
    /// The context window of a model in tokens; `None` where it is not known.
    pub window: fn(&str) -> Option<u64>,
    /// Whether the conversation holds images.
    pub images: bool,
    /// Whether embeddings are asked for.
    pub embeddings: bool,
}

impl<'a> Question<'a> {
    /// A question about a model and nothing else.
    pub fn about(model: &'a str) -> Self {
        Self {
            model,
            key: None,
            session: None,
            class: None,
            input_tokens: None,
            window: |_| None,
            images: false,
            embeddings: false,
        }
    }

    /// Where it comes in: embeddings are asked for in one place only.
    fn surface(&self) -> Surface {
        if self.embeddings { Surface::OpenAi } else { Surface::Anthropic }
    }
}

/// The explanation as text for a terminal, or why nobody would be asked. [`Kind::BadRequest`] means that the question
/// itself is wrong (a key or a class that does not exist); every other error is what the client would get.
pub fn explain(snapshot: &Snapshot, question: &Question<'_>) -> Result<String, Error> {
    known_class(question.class)?;
    let keys = Keys::new(snapshot);
    let (caller, written) = caller(snapshot, &keys, question.key)?;
    let entry = govern::enter(snapshot, &caller, question.surface(), Some(question.model))?;
    let now = clock::now();
    let table = Table::new(snapshot, &Arc::new(Registry::new(now)));
    let want = want(question);
    let mut plan = plan(&table, snapshot, &entry, &want, &mut Chooser::new(0), now)?;
    let key = match plan.next(now) {
        Next::Try(candidate) => candidate.credential.map(|c| c.id.as_str()),
        Next::Wait(_) | Next::Exhausted(_) => None,
    };
    Ok(Text { snapshot, question, caller: &caller, written, plan: &plan, key }.to_string())
}

fn want<'a>(question: &Question<'a>) -> Want<'a> {
    Want {
        model: question.model,
        surface: question.surface(),
        session: question.session.map(session_hash),
        new_turn: true,
        cache_ttl: &|| Duration::from_mins(5),
        large_context: false,
        context_needed: question.input_tokens,
        window: question.window,
        embeddings: question.embeddings,
        images: if question.images { &|| true } else { &|| false },
        traits: provider::entry::traits,
    }
}

fn known_class(class: Option<&str>) -> Result<(), Error> {
    match class {
        Some(class) if !CLASSES.contains(&class) => Err(wrong(format!(
            "`{class}` is no class of requests; there are {}",
            listed(CLASSES.into_iter())
        ))),
        _ => Ok(()),
    }
}

/// As whom the question is asked, and what the configuration says of that key.
fn caller<'s>(
    snapshot: &'s Snapshot,
    keys: &Keys,
    id: Option<&str>,
) -> Result<(Caller, Option<&'s VirtualKey>), Error> {
    let everyone = keys.everyone();
    let Some(id) = id else { return Ok((everyone, None)) };
    if let Some(caller) = keys.by_id(id) {
        return Ok((caller, snapshot.keys.iter().find(|k| k.id == id)));
    }
    if keys.is_open() {
        return if everyone.key() == id {
            Ok((everyone, None))
        } else {
            Err(wrong(format!(
                "there is no virtual key `{id}`: none is configured, everyone on this machine is `{}`",
                everyone.key()
            )))
        };
    }
    let known = listed(snapshot.keys.iter().map(|k| k.id.as_str()));
    Err(wrong(format!("there is no virtual key `{id}`; there are {known} (ids, not the keys themselves)")))
}

fn wrong(message: String) -> Error {
    Error::new(Stage::Route, Kind::BadRequest, message)
}

/// Everything that the text is made of.
struct Text<'t> {
    snapshot: &'t Snapshot,
    question: &'t Question<'t>,
    caller: &'t Caller,
    written: Option<&'t VirtualKey>,
    plan: &'t Plan<'t>,
    /// The provider's key for the first attempt.
    key: Option<&'t str>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, model)) = self.plan.order().next() else { return Ok(()) };
        if let Some(tokens) = self.fits_nobody() {
            return self.nobody(f, first, tokens);
        }
        writeln!(f, "{} goes to {} as {model}\n", self.question.model, first.id)?;
        row(f, "why", self.why(first))?;
        self.facts(f)?;
        self.order(f)?;
        left_out_of(f, self.plan.left_out())?;
        writeln!(
            f,
            "\nWhat rests in a running gateway (rate limits, failures) is skipped there and not seen here."
        )
    }
}

impl Text<'_> {
    /// The length of the conversation, where it is longer than the window of everyone who may be asked.
    fn fits_nobody(&self) -> Option<u64> {
        let fits = |tokens| self.plan.order().any(|(_, model)| self.too_small(model, tokens).is_none());
        self.question.input_tokens.filter(|&tokens| !fits(tokens))
    }

    /// The window of a model that is too small for so many tokens.
    fn too_small(&self, model: &str, tokens: u64) -> Option<Reason> {
        (self.question.window)(model).filter(|&window| window < tokens).map(Reason::Window)
    }

    /// Routing keeps the order then, since the first one's refusal has the wording that a client compacts by.
    fn nobody(&self, f: &mut fmt::Formatter<'_>, first: &Provider, tokens: u64) -> fmt::Result {
        writeln!(
            f,
            "{} goes to nobody who could answer: {tokens} tokens fit no window\n",
            self.question.model
        )?;
        self.facts(f)?;
        let small = self.plan.order().filter_map(|(provider, model)| {
            self.too_small(model, tokens).map(|reason| LeftOut { provider: &provider.id, reason })
        });
        let left_out: Vec<LeftOut<'_>> = small.chain(self.plan.left_out().iter().copied()).collect();
        left_out_of(f, &left_out)?;
        writeln!(
            f,
            "\nA running gateway asks {} all the same and passes its refusal on, by which the client knows to compact.",
            first.id
        )
    }

    fn facts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(note) = self.name_note() {
            row(f, "name", note)?;
        }
        row(f, "key", self.key_note())?;
        if let Some(session) = self.question.session
            && self.snapshot.affinity == Affinity::None
        {
            row(f, "session", format!("{session}: not looked at, `routing.affinity` is `none`"))?;
        }
        if let Some(class) = self.question.class {
            row(f, "class", format!("{class}: no rule is configured, so it changes nothing"))?;
        }
        if let Some(tokens) = self.question.input_tokens {
            row(f, "input", format!("{tokens} tokens"))?;
        }
        match &self.snapshot.source {
            Some(path) => row(f, "config", path.display()),
            None => row(f, "config", "no file: providers of the environment"),
        }
    }

    fn why(&self, first: &Provider) -> String {
        let sharing = self.plan.sharing();
        let share = percent(share(self.plan, 0));
        let preferred = self.plan.asked().pin == Pin::Preferred;
        match (self.plan.choice(), self.plan.asked().pin) {
            (Choice::Pinned, Pin::Kind(kind)) if sharing > 1 => {
                format!("the name is pinned to the type `{}`; of those by weight: {share}", kind.word())
            }
            (Choice::Pinned, Pin::Kind(kind)) => {
                format!(
                    "the name is pinned to the type `{}`; no other one is asked, also when it fails",
                    kind.word()
                )
            }
            (Choice::Pinned, _) => {
                "the name is pinned to it; no other one is asked, also when it fails".to_owned()
            }
            (Choice::Only, _) => "no other provider may be asked".to_owned(),
            (Choice::Moved, _) => "failover moved the session here".to_owned(),
            (_, _) if preferred && sharing == 1 => {
                format!("`{}` is its own `model`", self.plan.asked().model)
            }
            (_, _) if sharing == 1 && first.standby => "only standby providers may be asked".to_owned(),
            (_, _) if sharing == 1 => {
                "it is the only one with a share; the others follow when it fails".to_owned()
            }
            (Choice::Home, _) => format!("the session stays with it; it has {share} of all sessions"),
            (Choice::Turn, _) => format!("by weight: it gets {share} of {}", self.requests()),
        }
    }

    /// What a turn by weight is about.
    fn requests(&self) -> &'static str {
        match self.snapshot.affinity {
            Affinity::Session => {
                "sessions, and of requests without one (`--session S` tells where a session stays)"
            }
            Affinity::None => "requests",
        }
    }

    /// What became of the name, where it is not simply taken.
    fn name_note(&self) -> Option<String> {
        let asked = self.plan.asked();
        let mut notes = Vec::new();
        if asked.alias {
            let (name, _) = govern::access::bare(self.question.model);
            let target =
                self.snapshot.aliases.iter().find(|a| a.name == self.question.model || a.name == name);
            notes
                .push(target.map_or_else(|| "an alias".to_owned(), |a| format!("an alias for {}", a.target)));
        }
        if asked.context_1m {
            notes.push("[1m] is taken off and asks for the window of a million tokens".to_owned());
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn key_note(&self) -> String {
        let account = self.snapshot.accounts.get(self.caller.account()).map_or("", |a| a.id.as_str());
        let key = self.caller.key();
        match self.written {
            Some(k) if k.disabled => {
                format!("{key}, account {account}; it is DISABLED: requests with it get 401")
            }
            Some(k) if k.expires.is_some_and(|end| end <= now_unix()) => {
                format!("{key}, account {account}; it has EXPIRED: requests with it get 401")
            }
            Some(_) => format!("{key}, account {account}"),
            None if self.snapshot.keys.is_empty() => {
                format!("{key} (no virtual keys: open mode), account {account}")
            }
            None => format!("any that may use everything, account {account} (`--key ID` looks as one key)"),
        }
    }

    fn order(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, names) = self.plan.order().fold((0, 0), |(n, w), (p, _)| (n + 1, w.max(width(&p.id))));
        if count == 1 {
            return Ok(());
        }
        writeln!(f, "\nIn this order, {} attempts at most:", self.snapshot.retry.attempts)?;
        for (at, (provider, model)) in self.plan.order().enumerate() {
            let id = pad(&provider.id, names);
            write!(f, "  {:>2}. {id}  {:>8}  as {model}", at + 1, self.role(at, provider))?;
            self.details(f, at, provider, model)?;
            f.write_char('\n')?;
        }
        Ok(())
    }

    fn role(&self, at: usize, provider: &Provider) -> String {
        let pinned = self.plan.choice() == Choice::Pinned;
        match (at < self.plan.sharing(), provider.standby) {
            (true, false) if pinned || provider.weight > 0.0 => percent(share(self.plan, at)),
            (true, false) => "by name".to_owned(),
            (_, true) => "standby".to_owned(),
            (false, false) => "failover".to_owned(),
        }
    }

    fn details(
        &self,
        f: &mut fmt::Formatter<'_>,
        at: usize,
        provider: &Provider,
        model: &str,
    ) -> fmt::Result {
        if provider.credentials.len() > 1 {
            // Without a session the keys take turns.
            let stays = self.question.session.is_some() && self.snapshot.affinity == Affinity::Session;
            match self.key.filter(|_| at == 0 && stays) {
                Some(key) => write!(f, ", key {key} of {}", provider.credentials.len())?,
                None => write!(f, ", {} keys", provider.credentials.len())?,
            }
        }
        if self.question.input_tokens.is_some() {
            match (self.question.window)(model) {
                Some(window) => write!(f, ", window {window}")?,
                None => f.write_str(", window not known")?,
            }
        }
        Ok(())
    }
}

fn left_out_of(f: &mut fmt::Formatter<'_>, left_out: &[LeftOut<'_>]) -> fmt::Result {
    if left_out.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nLeft out:")?;
    let names = left_out.iter().map(|l| width(l.provider)).max().unwrap_or(0);
    left_out
        .iter()
        .try_for_each(|LeftOut { provider, reason }| writeln!(f, "      {}  {reason}", pad(provider, names)))
}

/// The share of one of those that share the first choice, among those; all alike where none has a weight.
fn share(plan: &Plan<'_>, at: usize) -> f64 {
    let weights: Vec<f64> = plan.order().take(plan.sharing()).map(|(p, _)| p.weight).collect();
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let part = |w: &f64| if largest > 0.0 { w / largest } else { 1.0 };
    let sum: f64 = weights.iter().map(part).sum();
    weights.get(at).map_or(0.0, part) / sum
}

/// `70 %`, `33.3 %`.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<8} {text}")
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, to: usize) -> String {
    format!("{text:<to$}")
}

fn now_unix() -> i64 {
    i64::try_from(clock::unix_micros() / 1_000_000).unwrap_or(i64::MAX)
}

const CLASS_HELP: &str =
    "As a request of this class: main, background, subagent, web_search, compaction, title";
const HERE: &str = "pointsman.yaml";
/// The classes of requests that rules tell apart.
const CLASSES: [&str; 6] = ["main", "background", "subagent", "web_search", "compaction", "title"];

#[cfg(test)]
mod tests {
    use super::{CLASSES, Question, explain};
    use crate::config::{Snapshot, env::Given, from_text};

    const FILE: &str = r#"
accounts:
  - id: dev-team
    providers:
      - { id: openai-primary, type: openai, api_key: sk-1, model: gpt-4o, weight: 70, enabled: false }
      - { id: deepseek, type: deepseek, api_key: sk-4, standby: true }
      - { id: main, type: anthropic, api_keys: [{ id: a, key: k1 }, { id: b, key: k2 }], weight: 30 }
      - { id: second, type: anthropic, api_key: k3, model: claude-x, weight: 10 }
      - { id: spare, type: mock, standby: true }
      - { id: named, type: mock, weight: 0, model: tiny }
virtual_keys:
  - { id: dev, key: secret-dev, allow: { models: ["claude-*"], providers: [main, spare] } }
  - { id: old, key: secret-old, expires: "2020-01-01" }
  - { id: off, key: secret-off, disabled: true }
aliases: { claude-best: "main/claude-opus-4-6[1m]" }
"#;

    fn snapshot(text: &str) -> Snapshot {
        from_text("test", text, &Given::new()).unwrap_or_else(|e| panic!("{e}"))
    }

    fn told(text: &str, question: Question<'_>) -> String {
        match explain(&snapshot(text), &question) {
            Ok(text) => text,
            Err(e) => format!("{} {e}", e.kind.status()),
        }
    }

    #[test]
    fn the_whole_text() {
        let text = told(FILE, Question { key: Some("dev"), ..Question::about("claude-sonnet-4-5") });
        let expected = "claude-sonnet-4-5 goes to main as claude-sonnet-4-5

  why      it is the only one with a share; the others follow when it fails
  key      dev, account dev-team
  config   no file: providers of the environment

In this order, 4 attempts at most:
   1. main      100 %  as claude-sonnet-4-5, 2 keys
   2. spare   standby  as claude-sonnet-4-5

Left out:
      openai-primary  disabled
      second          the key may not use it
      named           weight 0: asked only by a pin
      deepseek        the key may not use it

What rests in a running gateway (rate limits, failures) is skipped there and not seen here.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn each_question_has_its_reason() {
        let about = Question::about;
        let window = |model: &str| (model == "claude-x").then_some(1000);
        for (question, parts) in [
            (
                about("x"),
                &[
                    "x goes to main as x",
                    "by weight: it gets 75 % of sessions",
                    "any that may use everything",
                ][..],
            ),
            (
                Question { session: Some("s-1"), ..about("x") },
                &["the session stays with it; it has ", " % of all sessions"],
            ),
            (
                about("claude-best"),
                &[
                    "as claude-opus-4-6",
                    "the name is pinned to it",
                    "an alias for main/claude-opus-4-6[1m]; [1m] is taken off",
                ],
            ),
            (
                about("anthropic/y"),
                &["pinned to the type `anthropic`; of those by weight: 75 %", "2. second      25 %  as y"],
            ),
            (about("mock/y"), &["goes to named", "pinned to the type `mock`", "2. spare   standby"]),
            (
                about("tiny"),
                &[
                    "goes to named as tiny",
                    "`tiny` is its own `model`",
                    "by name  as tiny",
                    "2. main      failover",
                ],
            ),
            (
                Question { images: true, ..about("x") },
                &["goes to main", "deepseek        it takes no images"],
            ),
            (Question { key: Some("old"), ..about("x") }, &["old, account dev-team; it has EXPIRED"]),
            (Question { key: Some("off"), ..about("x") }, &["off, account dev-team; it is DISABLED"]),
            (Question { class: Some("background"), ..about("x") }, &["background: no rule is configured"]),
            (
                Question { input_tokens: Some(5000), window, ..about("x") },
                &[
                    "5000 tokens",
                    "as x, 2 keys, window not known",
                    "second          the conversation does not fit its window of 1000",
                ],
            ),
        ] {
            let text = told(FILE, question);
            for part in parts {
                assert!(text.contains(part), "{part}\n{text}");
            }
        }
    }

    #[test]
    fn a_session_is_led_to_its_key() {
        let text = told(FILE, Question { session: Some("s-1"), ..Question::about("main/x") });
        assert!(text.contains("goes to main as x"), "{text}");
        let text = told(FILE, Question { session: Some("s-1"), ..Question::about("x") });
        let at_main = text.contains("goes to main");
        assert_eq!(text.contains("key a of 2") || text.contains("key b of 2"), at_main, "{text}");
        let none = format!("{FILE}routing: {{ affinity: none }}\n");
        let text = told(&none, Question { session: Some("s-1"), ..Question::about("x") });
        assert!(text.contains("it gets 75 % of requests\n"), "{text}");
        assert!(text.contains("s-1: not looked at"), "{text}");
    }

    #[test]
    fn a_wrong_question_is_told_from_a_refusal() {
        let about = Question::about;
        for (question, expected) in [
            (
                Question { key: Some("dve"), ..about("x") },
                "400 there is no virtual key `dve`; there are `dev`, `old`, `off`",
            ),
            (
                Question { class: Some("main2"), ..about("x") },
                "400 `main2` is no class of requests; there are `main`",
            ),
            (
                Question { key: Some("dev"), ..about("gpt-4o") },
                "403 the virtual key `dev` may not use the model",
            ),
            (about("bedrock/x"), "404 the account `dev-team` has no provider of type `bedrock`"),
            (about("openai-primary/x"), "404 `openai-primary/x` names a provider that is disabled"),
            (
                Question { embeddings: true, ..about("x") },
                "501 no provider of the account `dev-team` offers embeddings",
            ),
        ] {
            let text = told(FILE, question);
            assert!(text.starts_with(expected), "{text}");
        }
        for class in CLASSES {
            assert!(told(FILE, Question { class: Some(class), ..about("x") }).contains(class));
        }
    }

    #[test]
    fn in_open_mode_everyone_is_one_key() {
        let one = "accounts: [{ id: a, providers: [{ id: only, type: mock }] }]\n";
        let text = told(one, Question::about("m"));
        assert!(text.contains("no other provider may be asked") && !text.contains("In this order"), "{text}");
        assert!(text.contains("local (no virtual keys: open mode), account a"), "{text}");
        assert!(told(one, Question { key: Some("local"), ..Question::about("m") }).contains("goes to only"));
        assert!(
            told(one, Question { key: Some("dev"), ..Question::about("m") })
                .starts_with("400 there is no virtual key `dev`")
        );
    }
}
