//! YAML text → a tree in which every node knows its line and column.
//!
//! Built from the parser's events, so that scalars keep their text exactly as written (`0.10` stays `0.10`) and whether
//! they were quoted. Anchors, aliases and merge keys (`<<`) work; tags other than the core ones, several documents and
//! keys that are no scalars are mistakes. Size, depth and the number of nodes after aliases are bounded.
//!
//! Knows no field and resolves no variable.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::mistake::{Pos, Sink, quoted};

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub at: Pos,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar, its escapes resolved; `quoted` also for block scalars and `!!str`.
    Scalar {
        /// The text.
        text: String,
        /// Whether it was written as a string.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the file's order, merged entries last; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping with its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it begins.
    pub at: Pos,
    /// The text.
    pub text: String,
}

impl Node {
    /// Whether nothing was written (`key:`), or `null` or `~`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The word for messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == name).map(|(_, v)| v),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }
}

/// The tree of a text; `None` where the text cannot be read at all (the reason is noted). A text without content is an
/// empty mapping.
pub fn parse(text: &str, sink: &mut Sink) -> Option<Node> {
    if text.len() > MAX_BYTES {
        sink.mistake(START, "", format!("the file is longer than {MAX_BYTES} bytes"));
        return None;
    }
    let mut builder = Builder { sink, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, position(&span)),
            Err(e) => builder.broken(&e, text),
        };
        step?;
    }
    Some(builder.root.unwrap_or(Node { at: START, kind: Kind::Map(Vec::new()) }))
}

/// Collections that are not closed yet are `open`, the innermost last. A step that answers `None` ends the reading.
struct Builder<'s> {
    sink: &'s mut Sink,
    open: Vec<Open>,
    /// Finished anchored nodes with their number of nodes and their depth. An anchor that is still open is absent.
    anchors: HashMap<usize, (Node, usize, usize)>,
    /// Nodes so far, those behind aliases included; `nodes <= MAX_NODES`.
    nodes: usize,
    root: Option<Node>,
}

struct Open {
    at: Pos,
    anchor: usize,
    before: usize,
    /// Deepest level below this one.
    depth: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, merges: Vec<Node>, key: Option<MapKey> },
}

enum MapKey {
    Plain(Key),
    Merge,
    /// Told already; its value is skipped.
    Bad,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: Pos) -> Option<()> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.sink.mistake(at, "", "a second document begins here; a configuration is one document");
                None
            }
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain || tag.as_deref().is_some_and(is_string);
                self.tag(tag.as_deref(), at);
                let node = Node { at, kind: Kind::Scalar { text: text.into_owned(), quoted } };
                self.finished(node, anchor, 1, 0)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), at);
                self.begin(at, anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), at);
                self.begin(at, anchor, OpenKind::Map { entries: Vec::new(), merges: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, at),
            Event::UnresolvedAlias(_) => self.unknown_alias(at),
            // Document and stream marks, comments, and what a later parser may add as presentation.
            _ => Some(()),
        }
    }

    fn begin(&mut self, at: Pos, anchor: usize, kind: OpenKind) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return self.too_deep(at);
        }
        self.open.push(Open { at, anchor, before: self.nodes, depth: 0, kind });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let Open { at, anchor, before, depth, kind } = self.open.pop()?;
        let kind = match kind {
            OpenKind::List(list) => Kind::List(list),
            OpenKind::Map { entries, merges, .. } => Kind::Map(self.merged(entries, merges)),
        };
        let nodes = self.nodes - before + 1;
        self.finished(Node { at, kind }, anchor, nodes, depth + 1)
    }

    fn alias(&mut self, id: usize, at: Pos) -> Option<()> {
        let Some((node, nodes, depth)) = self.anchors.get(&id) else {
            self.sink.mistake(at, "", "this alias stands inside of what it refers to");
            return None;
        };
        let (nodes, depth) = (*nodes, *depth);
        if self.open.len() + depth > MAX_DEPTH {
            return self.too_deep(at);
        }
        if self.nodes + nodes > MAX_NODES {
            return self.too_many(at);
        }
        let mut node = node.clone();
        if matches!(node.kind, Kind::Scalar { .. }) {
            node.at = at;
        }
        self.nodes += nodes - 1;
        self.finished(node, 0, nodes, depth)
    }

    fn unknown_alias(&mut self, at: Pos) -> Option<()> {
        self.sink.mistake(at, "", "this alias has no anchor in front of it");
        None
    }

    /// A node is whole: it goes into the innermost open collection, or is the root.
    fn finished(&mut self, node: Node, anchor: usize, nodes: usize, depth: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.too_many(node.at);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes, depth));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.depth = open.depth.max(depth);
        match &mut open.kind {
            OpenKind::List(list) => list.push(node),
            OpenKind::Map { entries, merges, key } => match key.take() {
                None => *key = Some(as_key(node, entries, self.sink)),
                Some(MapKey::Plain(k)) => entries.push((k, node)),
                Some(MapKey::Merge) => merges.push(node),
                Some(MapKey::Bad) => {}
            },
        }
        Some(())
    }

    /// Own entries win over merged ones, and earlier merges over later ones.
    fn merged(&mut self, mut entries: Vec<(Key, Node)>, merges: Vec<Node>) -> Vec<(Key, Node)> {
        for node in merges {
            let maps = match node.kind {
                Kind::List(list) => list,
                Kind::Map(_) | Kind::Scalar { .. } => vec![node],
            };
            for map in maps {
                let Kind::Map(more) = map.kind else {
                    self.sink.mistake(
                        map.at,
                        "",
                        "`<<` takes a mapping or a list of mappings (`<<: *anchor`)",
                    );
                    continue;
                };
                for (key, value) in more {
                    if !entries.iter().any(|(k, _)| k.text == key.text) {
                        entries.push((key, value));
                    }
                }
            }
        }
        entries
    }

    fn tag(&mut self, tag: Option<&Tag>, at: Pos) {
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema()
        {
            self.sink.mistake(at, "", "tags (`!name`) have no meaning in a configuration");
        }
    }

    fn broken(&mut self, error: &ScanError, text: &str) -> Option<()> {
        let mark = error.marker();
        let at = Pos { line: mark.line().max(1), column: mark.col() + 1 };
        let line = text.lines().nth(at.line - 1).unwrap_or_default();
        let hint = if line.contains("${") && !line.contains("\"${") {
            "; inside { } and [ ], write \"${NAME}\" in quotes"
        } else {
            ""
        };
        self.sink.mistake(at, "", format!("not YAML: {}{hint}", error.kind()));
        None
    }

    fn too_deep(&mut self, at: Pos) -> Option<()> {
        self.sink.mistake(at, "", format!("nested deeper than {MAX_DEPTH} levels"));
        None
    }

    fn too_many(&mut self, at: Pos) -> Option<()> {
        self.sink.mistake(at, "", format!("more than {MAX_NODES} values (aliases count each time)"));
        None
    }
}

fn as_key(node: Node, entries: &[(Key, Node)], sink: &mut Sink) -> MapKey {
    let Kind::Scalar { text, quoted: is_quoted } = node.kind else {
        sink.mistake(node.at, "", "a key must be a single word or string");
        return MapKey::Bad;
    };
    if text == "<<" && !is_quoted {
        return MapKey::Merge;
    }
    if let Some((first, _)) = entries.iter().find(|(k, _)| k.text == text) {
        let line = first.at.line;
        sink.mistake(
            node.at,
            "",
            format!("{} stands twice in one mapping; first on line {line}", quoted(&text)),
        );
        return MapKey::Bad;
    }
    MapKey::Plain(Key { at: node.at, text })
}

fn position(span: &Span) -> Pos {
    Pos { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn is_string(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix() == "str"
}

const START: Pos = Pos { line: 1, column: 1 };
/// Largest file: thousands of keys fit in a tenth of it.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The deepest field of a configuration lies 8 levels down; what walks the tree calls itself once per level.
const MAX_DEPTH: usize = 32;
/// Values in all, those behind aliases counted each time (the "billion laughs").
const MAX_NODES: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let mut sink = Sink::default();
        let node = parse(text, &mut sink);
        sink.finish("t").unwrap();
        node.unwrap()
    }

    fn mistakes(text: &str) -> String {
        let mut sink = Sink::default();
        parse(text, &mut sink);
        sink.finish("t").map_or_else(|e| e.to_string(), |_| String::new())
    }

    fn scalar(node: &Node) -> (&str, bool) {
        match &node.kind {
            Kind::Scalar { text, quoted } => (text, *quoted),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scalars_keep_their_text_their_place_and_their_quotes() {
        let node = tree("a: 0.10\nb:\n  - \"x\"\n  - 'y'\n");
        let a = node.get("a").unwrap();
        assert_eq!((scalar(a), a.at), (("0.10", false), Pos { line: 1, column: 4 }));
        let Kind::List(list) = &node.get("b").unwrap().kind else { panic!() };
        assert_eq!((scalar(&list[0]), list[0].at), (("x", true), Pos { line: 3, column: 5 }));
        assert_eq!(scalar(&list[1]), ("y", true));
    }

    #[test]
    fn anchors_aliases_and_merge_keys_work() {
        let node = tree("base: &b { x: 1, y: 2 }\nmore: { <<: *b, y: 3 }\nsame: *b\n");
        let more = node.get("more").unwrap();
        assert_eq!(scalar(more.get("x").unwrap()).0, "1");
        assert_eq!(scalar(more.get("y").unwrap()).0, "3");
        assert_eq!(scalar(node.get("same").unwrap().get("y").unwrap()).0, "2");
    }

    #[test]
    fn laughs_are_counted() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (last, this) in ["a", "b", "c", "d", "e", "f", "g"].windows(2).map(|w| (w[0], w[1])) {
            let refs = vec![format!("*{last}"); 10].join(", ");
            text = format!("{text}{this}: &{this} [{refs}]\n");
        }
        assert!(mistakes(&text).contains("more than 200000 values"), "{}", mistakes(&text));
    }

    #[test]
    fn depth_is_bounded_through_aliases_too() {
        let deep = format!("{}x{}", "[".repeat(20), "]".repeat(20));
        assert_eq!(mistakes(&format!("a: &a {deep}\n")), "");
        let over = format!("a: &a {deep}\nb: {}*a{}\n", "[".repeat(20), "]".repeat(20));
        assert_eq!(mistakes(&over), "t:2:24: nested deeper than 32 levels");
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (text, said) in [
            // Where the bracket opens is of more use than where the file ends.
            ("a: [1, 2\n", "t:1:4: not YAML: unclosed bracket '['"),
            ("a: 1\na: 2\n", "t:2:1: `a` stands twice in one mapping; first on line 1"),
            ("a: *x\n", "t:1:4: not YAML: while parsing node, found unknown anchor"),
            ("a: &x [*x]\n", "t:1:8: this alias stands inside of what it refers to"),
            ("a: !foo x\n", "t:1:9: tags (`!name`) have no meaning in a configuration"),
            ("a: 1\n---\nb: 1\n", "t:2:1: a second document begins here; a configuration is one document"),
            ("[a]: 1\n", "t:1:1: a key must be a single word or string"),
            ("<<: 3\n", "t:1:5: `<<` takes a mapping or a list of mappings (`<<: *anchor`)"),
        ] {
            assert_eq!(mistakes(text), said, "{text}");
        }
    }
}
