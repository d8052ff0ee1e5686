//! What a field table is made of.
//!
//! One table per structure of the configuration drives three things: decoding (`decode`), what an unknown field may have
//! meant, and the JSON Schema (`schema`). Plain data; the tables themselves stand in `fields`.

/// One structure of the configuration.
#[derive(Debug)]
pub struct Table {
    /// Its name in messages and in the schema: `provider`.
    pub name: &'static str,
    /// Its fields, in groups that several tables may share.
    pub groups: &'static [&'static [Field]],
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// As written.
    pub name: &'static str,
    /// Another spelling that is understood as well.
    pub also: Option<&'static str>,
    /// What it holds.
    pub shape: Shape,
    /// Whether it must stand there.
    pub need: Need,
    /// For people who read the schema.
    pub about: &'static str,
}

/// Whether a field must, may, or must not yet be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Must stand there.
    Required,
    /// May stand there.
    Optional,
    /// Known, but not built in this version: a mistake when used.
    Later {
        /// Values that ask for nothing beyond what is built; they load.
        unless: &'static [&'static str],
        /// What to do instead.
        instead: &'static str,
    },
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text that is not empty.
    Text,
    /// Any text.
    Free,
    /// Text that is never shown.
    Secret,
    /// The name of something that others refer to.
    Id,
    /// An id that also stands in headers and in `PROVIDER/MODEL`.
    Name,
    /// The path of a file.
    Path,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// `auto`, or a whole number.
    Auto(u64, u64),
    /// A number `>= 0`.
    Weight,
    /// A duration from the first to the second, in milliseconds.
    Span(u64, u64),
    /// A size from the first to the second, in bytes.
    Size(u64, u64),
    /// US dollars.
    Money,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A SHA-256 in hex.
    Hash,
    /// A day or a moment.
    Expiry,
    /// An address to listen on.
    Address,
    /// An IANA time zone.
    Timezone,
    /// The period of a budget.
    Period,
    /// Several of one shape.
    List(&'static Shape),
    /// Free names, each with a value of one shape.
    Map(&'static Shape),
    /// A structure.
    Record(&'static Table),
    /// A provider: its table follows from its `type`.
    Provider,
    /// Anything: only for fields of later versions.
    Any,
}

impl Field {
    /// An optional field.
    pub const fn new(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, also: None, shape, need: Need::Optional, about }
    }

    /// A field of a later version: `unless` are the values that ask for nothing.
    pub const fn later(name: &'static str, unless: &'static [&'static str], instead: &'static str) -> Self {
        Self { name, also: None, shape: Shape::Any, need: Need::Later { unless, instead }, about: "" }
    }

    /// The same, but it must stand there.
    pub const fn required(self) -> Self {
        Self { need: Need::Required, ..self }
    }

    /// The same with a second spelling.
    pub const fn also(self, name: &'static str) -> Self {
        Self { also: Some(name), ..self }
    }
}

impl Table {
    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|f| f.name == name || f.also == Some(name))
    }

    /// The names that may be used in this version, for "expected one of".
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields().filter(|f| !matches!(f.need, Need::Later { .. })).map(|f| f.name)
    }
}
