//! Tree + field table → checked values, every mistake noted.
//!
//! Looks at one value at a time: its shape, its bounds, unknown and missing fields, variables. What two fields say of each
//! other is `read`'s. A value that is wrong is absent from the [`Record`], but [`Record::has`] still knows that it stood
//! there, so that one mistake is not told twice.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::env::{Env, expand};
use super::fields;
use super::mistake::{Pos, Sink, quoted};
use super::near::nearest;
use super::table::{Field, Need, Shape, Table};
use super::text::{Key, Kind, Node};
use super::types::Kind as Type;
use super::value;

/// A checked value with its place.
#[derive(Debug)]
pub struct Item {
    /// Where it begins.
    pub at: Pos,
    /// The field, as in messages.
    pub path: String,
    /// As written, for messages: quoted, variables unresolved, secrets masked.
    pub raw: String,
    /// What it says.
    pub value: Value,
}

/// What a field says.
#[derive(Debug)]
pub enum Value {
    /// Any text, a word or an id.
    Text(String),
    /// A path, made absolute where the file's folder is known.
    Path(PathBuf),
    /// Yes or no.
    Flag(bool),
    /// A whole number; `None` for `auto`.
    Whole(Option<u64>),
    /// A weight.
    Weight(f64),
    /// A duration.
    Span(Duration),
    /// Bytes, or nano-dollars.
    Money(i128),
    /// SHA-256.
    Hash([u8; 32]),
    /// Unix seconds.
    Moment(i64),
    /// Where to listen.
    Address(SocketAddr),
    /// Several.
    List(Vec<Item>),
    /// Named ones.
    Map(Vec<(Item, Item)>),
    /// A structure.
    Record(Record),
}

/// A checked structure.
#[derive(Debug)]
pub struct Record {
    /// Where it begins.
    pub at: Pos,
    /// As in messages.
    pub path: String,
    /// The type, where this is a provider.
    pub kind: Option<Type>,
    items: Vec<(&'static str, Item)>,
    /// Fields that stand there with a mistake.
    bad: Vec<&'static str>,
}

/// What becomes of a field that a table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strange {
    /// It is a mistake.
    Told,
    /// It may belong to a provider's type, whose table is not here; only one that is nearly one of the table's is told.
    OfItsType,
}

/// Reads values with everything they may need from outside.
pub struct Decoder<'a> {
    /// Where variables come from.
    pub env: &'a dyn Env,
    /// The file's folder, which relative paths start from.
    pub folder: Option<&'a Path>,
    /// Where mistakes go.
    pub sink: &'a mut Sink,
}

impl Decoder<'_> {
    /// The whole file.
    pub fn file(&mut self, root: &Node) -> Option<Record> {
        self.record(root, &fields::FILE, "")
    }

    fn record(&mut self, node: &Node, table: &'static Table, path: &str) -> Option<Record> {
        self.fields(node, table, path, Strange::Told)
    }

    fn fields(&mut self, node: &Node, table: &'static Table, path: &str, strange: Strange) -> Option<Record> {
        let Kind::Map(entries) = &node.kind else {
            let names = listed(table.names());
            self.sink.mistake(node.at, path, format!("is {}; expected a mapping of {names}", node.what()));
            return None;
        };
        let mut record =
            Record { at: node.at, path: path.to_owned(), kind: None, items: Vec::new(), bad: Vec::new() };
        // What misspelt fields were probably meant to be: it is not missed as well, and may stand there too.
        let mut meant = Vec::new();
        for (key, value) in entries {
            let Some(field) = table.field(&key.text) else {
                if strange == Strange::Told || nearest(&key.text, table.names()).is_some() {
                    meant.extend(self.unknown(key, table, path));
                }
                continue;
            };
            if record.has(field.name) {
                let second = field.also.unwrap_or(field.name);
                let text = format!("`{}` and `{second}` are the same field; leave one out", field.name);
                self.sink.mistake(key.at, &join(path, &key.text), text);
            } else {
                self.field(&mut record, field, key, value);
            }
        }
        meant.retain(|name| !record.has(name));
        record.bad.extend(meant);
        self.missing(&record, table);
        Some(record)
    }

    fn field(&mut self, record: &mut Record, field: &'static Field, key: &Key, value: &Node) {
        if value.is_null() {
            return;
        }
        let path = join(&record.path, field.name);
        if let Need::Later { unless, instead } = field.need {
            if !asks_nothing(value, unless) {
                let text = format!("`{}` is not built yet in this version; {instead}", field.name);
                self.sink.mistake(key.at, &path, text);
                record.bad.push(field.name);
            }
            return;
        }
        let Some(item) = self.item(value, &field.shape, &path) else {
            record.bad.push(field.name);
            return;
        };
        if let (Value::List(list), Kind::List(nodes)) = (&item.value, &value.kind)
            && list.len() < nodes.len()
        {
            record.bad.push(field.name);
        }
        record.items.push((field.name, item));
    }

    /// Tells of a field that does not exist; answers the one that was probably meant, so that it is not missed as well.
    fn unknown(&mut self, key: &Key, table: &Table, path: &str) -> Option<&'static str> {
        let shown = quoted(&key.text);
        let what = table.name.split('_').next().filter(|w| *w == "provider").unwrap_or(table.name);
        let owner = Type::ALL.iter().find(|t| t.of().table.field(&key.text).is_some());
        if let Some(owner) = owner.filter(|_| what == "provider") {
            let text = format!("{shown} is not a field of this type; it belongs to type `{}`", owner.word());
            self.sink.mistake(key.at, path, text);
            return None;
        }
        let names = listed(table.names());
        let near = nearest(&key.text, table.names());
        let later = nearest(&key.text, table.fields().map(|f| f.name)).filter(|_| near.is_none());
        let text = match (near, later) {
            (Some(near), _) => format!("did you mean `{near}`? ({names})"),
            (None, Some(later)) => {
                format!("did you mean `{later}`? (which is not built yet in this version)")
            }
            (None, None) => format!("expected one of {names}"),
        };
        self.sink.mistake(key.at, path, format!("{shown} is not a field of {what}; {text}"));
        near
    }

    fn missing(&mut self, record: &Record, table: &Table) {
        for field in table.fields() {
            if field.need == Need::Required && !record.has(field.name) {
                self.sink.mistake(record.at, &join(&record.path, field.name), "is missing");
            }
        }
    }

    fn item(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Item> {
        let value = match shape {
            Shape::List(inner) => Value::List(self.list(node, inner, path)?),
            Shape::Map(inner) => Value::Map(self.map(node, inner, path)?),
            Shape::Record(table) => Value::Record(self.record(node, table, path)?),
            Shape::Provider => Value::Record(self.provider(node, path)?),
            single => return self.single(node, single, path),
        };
        Some(Item { at: node.at, path: path.to_owned(), raw: String::new(), value })
    }

    /// Values that are wrong are left out of the list; they have been told.
    fn list(&mut self, node: &Node, inner: &Shape, path: &str) -> Option<Vec<Item>> {
        let Kind::List(nodes) = &node.kind else {
            self.sink.mistake(
                node.at,
                path,
                format!("is {}; expected a list (`- …`, or `[…]`)", node.what()),
            );
            return None;
        };
        let each = nodes.iter().enumerate();
        Some(each.filter_map(|(i, n)| self.item(n, inner, &format!("{path}[{i}]"))).collect())
    }

    fn map(&mut self, node: &Node, inner: &Shape, path: &str) -> Option<Vec<(Item, Item)>> {
        let Kind::Map(entries) = &node.kind else {
            self.sink.mistake(
                node.at,
                path,
                format!("is {}; expected a mapping (`name: value`)", node.what()),
            );
            return None;
        };
        let mut out = Vec::new();
        for (key, value) in entries {
            let path = format!("{path}[{}]", quoted(&key.text).trim_matches('`'));
            let node = Node { at: key.at, kind: Kind::Scalar { text: key.text.clone(), quoted: true } };
            let name = self.single(&node, &Shape::Text, &path);
            if let (Some(name), Some(value)) = (name, self.item(value, inner, &path)) {
                out.push((name, value));
            }
        }
        Some(out)
    }

    fn provider(&mut self, node: &Node, path: &str) -> Option<Record> {
        let word = node.get("type").filter(|n| !n.is_null());
        let text = word.and_then(|n| self.peek(n));
        if let Some(kind) = text.as_deref().and_then(Type::named) {
            let mut record = self.record(node, kind.of().table, path)?;
            record.kind = Some(kind);
            return Some(record);
        }
        let (Some(word), Some(text)) = (word, text) else {
            return self.record(node, &fields::PROVIDER, path);
        };
        let later = Type::words().any(|word| word == text);
        let meant = type_meant(&text).filter(|_| !later);
        let said = if later { type_of_later(&text) } else { no_type(&written(word), meant) };
        self.sink.mistake(word.at, &join(path, "type"), said);
        // All mistakes in one pass: the rest is read as what was probably meant, else what all types have.
        let meant = meant.and_then(Type::named);
        let mut record = match meant {
            Some(kind) => self.record(node, kind.of().table, path)?,
            None => self.fields(node, &fields::PROVIDER, path, Strange::OfItsType)?,
        };
        record.kind = meant;
        record.bad.push("type");
        Some(record)
    }

    /// The text of a single value without noting anything.
    fn peek(&self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar { text, .. } => expand(text, self.env, self.folder).ok(),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    fn single(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Item> {
        let Kind::Scalar { text: written, .. } = &node.kind else {
            self.sink.mistake(node.at, path, format!("is {}; expected {}", node.what(), expected(shape)));
            return None;
        };
        let text = match expand(written, self.env, self.folder) {
            Ok(text) => text,
            Err(e) => {
                self.sink.mistake(node.at, path, e);
                return None;
            }
        };
        let hidden = matches!(shape, Shape::Secret | Shape::Hash);
        if hidden {
            self.sink.hide(&text);
        }
        let raw = if hidden { "the value".to_owned() } else { quoted(written) };
        let said = if node.is_null() { Err("is empty".to_owned()) } else { self.said(&text, shape) };
        match said {
            Ok(value) => Some(Item { at: node.at, path: path.to_owned(), raw, value }),
            Err(e) => {
                let e = match (text.is_empty(), written.is_empty()) {
                    (true, true) => format!("is empty; expected {}", expected(shape)),
                    // Only variables can have become nothing, so this shows no value.
                    (true, false) => {
                        format!("{} gives an empty text; expected {}", quoted(written), expected(shape))
                    }
                    (false, _) => format!("{raw} {e}"),
                };
                self.sink.mistake(node.at, path, e);
                None
            }
        }
    }

    fn said(&self, text: &str, shape: &Shape) -> Result<Value, String> {
        match shape {
            Shape::Free => Ok(Value::Text(text.to_owned())),
            _ if text.is_empty() => Err(String::new()),
            Shape::Text | Shape::Secret => sendable(text).map(Value::Text),
            Shape::Id => id(text).map(Value::Text),
            Shape::Name => name(text).map(Value::Text),
            Shape::Path => self.path(text),
            Shape::Flag => value::flag(text).map(Value::Flag),
            Shape::Whole(min, max) => value::whole(text, *min, *max).map(|n| Value::Whole(Some(n))),
            Shape::Auto(_, _) if text == "auto" => Ok(Value::Whole(None)),
            Shape::Auto(min, max) => {
                let number =
                    value::whole(text, *min, *max).map_err(|e| e.replace("expected ", "expected `auto` or "));
                number.map(|n| Value::Whole(Some(n)))
            }
            Shape::Weight => value::weight(text).map(Value::Weight),
            Shape::Span(min, max) => span(text, *min, *max).map(Value::Span),
            Shape::Size(min, max) => size(text, *min, *max).map(|n| Value::Whole(Some(n))),
            Shape::Money => value::money(text).map(Value::Money),
            Shape::Word(words) => word(text, words).map(Value::Text),
            Shape::Hash => value::hash(text).map(Value::Hash),
            Shape::Expiry => value::expiry(text).map(Value::Moment),
            Shape::Address => value::address(text).map(Value::Address),
            Shape::Timezone => value::timezone(text).map(|()| Value::Text(text.to_owned())),
            Shape::Period => period(text).map(Value::Text),
            Shape::List(_) | Shape::Map(_) | Shape::Record(_) | Shape::Provider | Shape::Any => {
                Err(format!("is a single value; expected {}", expected(shape)))
            }
        }
    }

    /// Checked to be readable, so that a wrong path is told here and not at the first request.
    fn path(&self, text: &str) -> Result<Value, String> {
        let full = match self.folder {
            Some(folder) => folder.join(text),
            None => PathBuf::from(text),
        };
        match self.env.file(&full) {
            Ok(_) => Ok(Value::Path(full)),
            Err(e) => Err(format!("cannot be read: {}", super::env::reason(&e))),
        }
    }
}

/// Whether a value of a field of a later version asks for nothing: empty, or one of the values named.
fn asks_nothing(node: &Node, unless: &[&str]) -> bool {
    match &node.kind {
        Kind::Scalar { text, .. } => unless.contains(&text.as_str()),
        Kind::List(list) => list.is_empty(),
        Kind::Map(map) => {
            map.iter().all(|(k, v)| v.is_null() || (k.text == "propagate" && asks_nothing(v, &["false"])))
        }
    }
}

fn type_of_later(text: &str) -> String {
    let built = listed(Type::ALL.iter().map(|t| t.word()));
    format!("type `{text}` is not built yet in this version; what loads: {built}")
}

/// A single value as it stands in the file, for messages.
fn written(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => quoted(text),
        Kind::List(_) | Kind::Map(_) => node.what().to_owned(),
    }
}

/// The type that a word was probably meant to be.
fn type_meant(text: &str) -> Option<&'static str> {
    let synonym = TYPE_SYNONYMS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|&(_, t)| t);
    synonym.or_else(|| nearest(text, Type::words()))
}

fn no_type(shown: &str, meant: Option<&str>) -> String {
    match meant {
        Some(near) => format!("{shown} is not a provider type; did you mean `{near}`?"),
        None => format!("{shown} is not a provider type; expected one of {}", listed(Type::words())),
    }
}

fn sendable(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("has a line break or another control character in it".to_owned());
    }
    if text.trim() != text {
        return Err("begins or ends with a space".to_owned());
    }
    Ok(text.to_owned())
}

fn id(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) || text.trim() != text || text.chars().count() > LONGEST_ID {
        return Err(format!("is not an id; expected {ID}"));
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits && text.len() <= LONGEST_ID {
        Ok(text.to_owned())
    } else {
        Err(format!("is not an id; expected {NAME}"))
    }
}

fn span(text: &str, min: u64, max: u64) -> Result<Duration, String> {
    let duration = value::duration(text)?;
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    let range = format!("expected {} to {}", value::show_duration(min), value::show_duration(max));
    if duration < min {
        return Err(format!("is too short; {range}"));
    }
    if duration > max { Err(format!("is too long; {range}")) } else { Ok(duration) }
}

fn size(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let bytes = value::size(text)?;
    let range = format!("expected {} to {}", value::show_size(min), value::show_size(max));
    if bytes < min {
        return Err(format!("is too small; {range}"));
    }
    if bytes > max { Err(format!("is too large; {range}")) } else { Ok(bytes) }
}

fn word(text: &str, words: &[&'static str]) -> Result<String, String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let all = listed(words.iter().copied());
    match nearest(text, words.iter().copied()) {
        Some(near) => Err(format!("is not known here; did you mean `{near}`? ({all})")),
        None if words.len() == 1 => Err(format!("is not known here; expected {all}")),
        None => Err(format!("is not known here; expected one of {all}")),
    }
}

fn period(text: &str) -> Result<String, String> {
    if PERIODS.contains(&text) {
        return Ok(text.to_owned());
    }
    if let Ok(duration) = value::duration(text) {
        let fits = (Duration::from_secs(1)..=LONGEST_PERIOD).contains(&duration);
        return if fits {
            Ok(text.to_owned())
        } else {
            Err("is no length for a period; expected 1s to 3660d".to_owned())
        };
    }
    let synonym = PERIOD_SYNONYMS.iter().find(|(w, _)| w.eq_ignore_ascii_case(text)).map(|&(_, p)| p);
    let all = "hourly, daily, weekly, monthly, yearly, total, or a duration";
    match synonym.or_else(|| nearest(text, PERIODS.iter().copied())) {
        Some(near) => Err(format!("is not a period; did you mean `{near}`? ({all})")),
        None => Err(format!("is not a period; expected {all}")),
    }
}

/// What a shape takes, for messages.
fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Free | Shape::Secret => "text".to_owned(),
        Shape::Id => ID.to_owned(),
        Shape::Name => NAME.to_owned(),
        Shape::Path => "the path of a file".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Whole(min, max) => format!("a whole number from {min} to {max}"),
        Shape::Auto(min, max) => format!("`auto` or a whole number from {min} to {max}"),
        Shape::Weight => value::WEIGHT.to_owned(),
        Shape::Span(..) => value::DURATION.to_owned(),
        Shape::Size(..) => value::SIZE.to_owned(),
        Shape::Money => value::MONEY.to_owned(),
        Shape::Word(words) => format!("one of {}", listed(words.iter().copied())),
        Shape::Hash => "64 hex digits".to_owned(),
        Shape::Expiry => value::DATE.to_owned(),
        Shape::Address => value::ADDRESS.to_owned(),
        Shape::Timezone => "the name of a time zone".to_owned(),
        Shape::Period => "hourly, daily, weekly, monthly, yearly, total, or a duration".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) | Shape::Record(_) | Shape::Provider => "a mapping".to_owned(),
        Shape::Any => "a value".to_owned(),
    }
}

/// Names for a sentence: `a, b, c`.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The path of a field of a structure.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Record {
    /// Whether the field stands there, right or wrong.
    pub fn has(&self, name: &str) -> bool {
        self.bad.contains(&name) || self.item(name).is_some()
    }

    /// Whether no mistake was found in these fields, absent ones included.
    pub fn sound(&self, names: &[&str]) -> bool {
        !names.iter().any(|n| self.bad.contains(n))
    }

    /// The field, if it stands there and is right.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|(n, _)| *n == name).map(|(_, item)| item)
    }

    /// A field of text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.item(name).and_then(Item::text)
    }

    /// A field of text, owned.
    pub fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A path.
    pub fn path_of(&self, name: &str) -> Option<PathBuf> {
        match &self.item(name)?.value {
            Value::Path(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// A yes or no.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.item(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// A whole number or a size.
    pub fn whole(&self, name: &str) -> Option<u64> {
        match self.item(name)?.value {
            Value::Whole(number) => number,
            _ => None,
        }
    }

    /// A weight.
    pub fn weight(&self, name: &str) -> Option<f64> {
        match self.item(name)?.value {
            Value::Weight(weight) => Some(weight),
            _ => None,
        }
    }

    /// A duration.
    pub fn span(&self, name: &str) -> Option<Duration> {
        match self.item(name)?.value {
            Value::Span(span) => Some(span),
            _ => None,
        }
    }

    /// Nano-dollars.
    pub fn money(&self, name: &str) -> Option<i128> {
        match self.item(name)?.value {
            Value::Money(money) => Some(money),
            _ => None,
        }
    }

    /// A SHA-256.
    pub fn hash(&self, name: &str) -> Option<[u8; 32]> {
        match self.item(name)?.value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    /// Unix seconds.
    pub fn moment(&self, name: &str) -> Option<i64> {
        match self.item(name)?.value {
            Value::Moment(moment) => Some(moment),
            _ => None,
        }
    }

    /// An address to listen on.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        match self.item(name)?.value {
            Value::Address(address) => Some(address),
            _ => None,
        }
    }

    /// A list; an absent one is empty.
    pub fn list(&self, name: &str) -> &[Item] {
        match self.item(name).map(|i| &i.value) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The structures of a list.
    pub fn records(&self, name: &str) -> impl Iterator<Item = &Record> {
        self.list(name).iter().filter_map(|item| match &item.value {
            Value::Record(record) => Some(record),
            _ => None,
        })
    }

    /// A mapping with free names; an absent one is empty.
    pub fn map(&self, name: &str) -> &[(Item, Item)] {
        match self.item(name).map(|i| &i.value) {
            Some(Value::Map(map)) => map,
            _ => &[],
        }
    }

    /// A structure.
    pub fn record(&self, name: &str) -> Option<&Record> {
        match &self.item(name)?.value {
            Value::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl Item {
    /// Its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

static PERIODS: &[&str] = &["hourly", "daily", "weekly", "monthly", "yearly", "total"];
static PERIOD_SYNONYMS: &[(&str, &str)] = &[
    ("hour", "hourly"),
    ("day", "daily"),
    ("week", "weekly"),
    ("biweekly", "weekly"),
    ("fortnightly", "weekly"),
    ("month", "monthly"),
    ("quarterly", "monthly"),
    ("year", "yearly"),
    ("annual", "yearly"),
    ("annually", "yearly"),
    ("lifetime", "total"),
    ("forever", "total"),
    ("never", "total"),
];
static TYPE_SYNONYMS: &[(&str, &str)] = &[
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("google", "gemini"),
    ("aws", "bedrock"),
    ("vertex_ai", "vertex"),
    ("azure_openai", "azure"),
    ("custom", "openai_compatible"),
];
const ID: &str = "up to 128 characters without line breaks or outer spaces";
const NAME: &str = "letters, digits, `.`, `_`, `-`, up to 128";
const LONGEST_ID: usize = 128;
const LONGEST_PERIOD: Duration = Duration::from_hours(3660 * 24);
