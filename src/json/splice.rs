//! Edits of a body by byte ranges.
//!
//! [`Edits`] collects what is to be replaced, removed and inserted, in any order; [`Edits::on`] settles it against the
//! body into a list of cuts, and [`Spliced`] gives the result as pieces for a vectored write. The body is never
//! copied. Removing a member or an element takes the right comma with it, also when its neighbours go too. Which edits
//! make sense is the caller's matter; an edit inside a removed or replaced range is dropped with it.

use super::peek::Span;

/// Edits of one body, not yet settled.
#[derive(Debug, Default, Clone)]
pub struct Edits {
    /// What takes the place of what; an empty span inserts.
    placed: Vec<(Span, Vec<u8>)>,
    /// Members or elements that go, without their commas.
    removed: Vec<Span>,
}

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the body stays as it is.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.removed.is_empty()
    }

    /// Puts `with` in the place of `span`.
    pub fn replace(&mut self, span: Span, with: impl Into<Vec<u8>>) {
        self.placed.push((span, with.into()));
    }

    /// Inserts `with` in front of the byte at `at`.
    pub fn insert(&mut self, at: usize, with: impl Into<Vec<u8>>) {
        self.replace(Span::new(at, at), with);
    }

    /// Inserts `"name":value` as the first member of the object that begins at `object.start`. The object must keep at
    /// least one member of its own.
    pub fn insert_member(&mut self, object: Span, name: &str, value: &[u8]) {
        let mut with = super::text::quote(name);
        with.push(b':');
        with.extend_from_slice(value);
        with.push(b',');
        self.insert(object.start + 1, with);
    }

    /// Removes a whole member ([`super::Member::whole`]) or an element, with its comma.
    pub fn remove(&mut self, item: Span) {
        self.removed.push(item);
    }

    /// Settles the edits against the body that they were made for.
    pub fn on(self, body: &[u8]) -> Spliced<'_> {
        let mut cuts = commas(self.removed, body);
        cuts.extend(self.placed);
        cuts.sort_by_key(|(span, _)| (span.start, span.end));
        let mut kept: Vec<(Span, Vec<u8>)> = Vec::with_capacity(cuts.len());
        for (span, with) in cuts {
            match kept.last() {
                Some((last, _)) if span.start < last.end => {
                    debug_assert!(span.end <= last.end, "edits overlap: {last:?} and {span:?}");
                }
                _ => kept.push((span, with)),
            }
        }
        let cut: usize = kept.iter().map(|(span, _)| span.len()).sum();
        let put: usize = kept.iter().map(|(_, with)| with.len()).sum();
        Spliced { body, len: body.len() - cut + put, cuts: kept }
    }
}

/// A body with its edits: the cuts are sorted, lie within the body and do not overlap.
#[derive(Debug, Clone)]
pub struct Spliced<'b> {
    body: &'b [u8],
    cuts: Vec<(Span, Vec<u8>)>,
    len: usize,
}

impl<'b> Spliced<'b> {
    /// A body as it is.
    pub fn verbatim(body: &'b [u8]) -> Self {
        Self { body, cuts: Vec::new(), len: body.len() }
    }

    /// Length of the result, for `content-length`.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the result is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether nothing is changed.
    pub fn is_verbatim(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The pieces of the result in order, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.cuts.iter().map(|(span, _)| span.end);
        let starts = self.cuts.iter().map(|(span, _)| span.start);
        let kept = std::iter::once(0).chain(ends).zip(starts.chain(std::iter::once(self.body.len())));
        let kept = kept.map(|(from, to)| self.body.get(from..to).unwrap_or_default());
        let put = self.cuts.iter().map(|(_, with)| with.as_slice()).chain(std::iter::once([].as_slice()));
        kept.zip(put).flat_map(|(kept, put)| [kept, put]).filter(|piece| !piece.is_empty())
    }

    /// The result in one piece, for a body that is read again.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len);
        self.pieces().for_each(|piece| out.extend_from_slice(piece));
        out
    }

    /// What is cut and what is put in its place, in the order of the body.
    pub fn cuts(&self) -> impl Iterator<Item = (Span, &[u8])> {
        self.cuts.iter().map(|(span, with)| (*span, with.as_slice()))
    }
}

/// Widens each run of removed neighbours by one comma: the one in front of it, or, where the run begins its
/// container, the one behind it.
fn commas(mut removed: Vec<Span>, body: &[u8]) -> Vec<(Span, Vec<u8>)> {
    removed.sort_unstable();
    removed.dedup();
    let mut runs: Vec<Span> = Vec::with_capacity(removed.len());
    for item in removed {
        match runs.last_mut() {
            Some(run) if item.start < run.end => {
                debug_assert!(item.end <= run.end, "removals overlap: {run:?} and {item:?}");
            }
            Some(run) if neighbours(&body[run.end..item.start]) => run.end = item.end,
            _ => runs.push(item),
        }
    }
    runs.into_iter().map(|run| (with_comma(run, body), Vec::new())).collect()
}

fn neighbours(between: &[u8]) -> bool {
    between.trim_ascii() == b","
}

fn with_comma(run: Span, body: &[u8]) -> Span {
    let front = body[..run.start].trim_ascii_end();
    if let Some(rest) = front.strip_suffix(b",") {
        return Span::new(rest.len(), run.end);
    }
    let behind = body[run.end..].trim_ascii_start();
    match behind.strip_prefix(b",") {
        Some(rest) => Span::new(run.start, body.len() - rest.trim_ascii_start().len()),
        None => run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{elements, members};
    use serde_json::Value;

    fn settled(edits: Edits, body: &[u8]) -> String {
        let spliced = edits.on(body);
        let whole = spliced.to_vec();
        assert_eq!(whole.len(), spliced.len());
        assert_eq!(spliced.pieces().collect::<Vec<_>>().concat(), whole);
        assert!(spliced.pieces().all(|piece| !piece.is_empty()));
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn any_members_can_go_and_the_rest_stays_as_it_was() {
        for body in [
            r#"{"a":1,"b":[2,3],"c":"x","d":null}"#,
            "{ \"a\" : 1 ,\n \"b\":[2, 3] , \"c\":\"x\",\"d\" :null }",
        ] {
            let all: Vec<_> =
                members(body.as_bytes(), Span::all(body.as_bytes())).map(Result::unwrap).collect();
            for subset in 0..1 << all.len() {
                let mut edits = Edits::new();
                let mut expected: Value = serde_json::from_str(body).unwrap();
                // In any order: the last first.
                for (index, member) in
                    all.iter().enumerate().rev().filter(|(index, _)| subset >> index & 1 == 1)
                {
                    edits.remove(member.whole());
                    expected.as_object_mut().unwrap().remove(["a", "b", "c", "d"][index]);
                }
                let found = settled(edits, body.as_bytes());
                assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expected, "{subset:b}: {found}");
            }
        }
    }

    #[test]
    fn any_elements_can_go() {
        let body = b"[1, {\"a\":2} ,[3],\"4\"]";
        let all: Vec<_> = elements(body, Span::all(body)).map(Result::unwrap).collect();
        for subset in 0_usize..1 << all.len() {
            let mut edits = Edits::new();
            let gone = |index: &usize| subset >> index & 1 == 1;
            (0..all.len()).filter(gone).for_each(|index| edits.remove(all[index]));
            let found: Vec<Value> = serde_json::from_str(&settled(edits, body)).unwrap();
            assert_eq!(found.len(), all.len() - subset.count_ones() as usize);
        }
    }

    #[test]
    fn edits_meet_without_harm() {
        let body = br#"{"a":1,"b":2,"c":3}"#;
        let all: Vec<_> = members(body, Span::all(body)).map(Result::unwrap).collect();
        let mut edits = Edits::new();
        edits.remove(all[0].whole());
        edits.replace(all[1].value, "[]");
        edits.insert(all[1].value.end, ",\"d\":4");
        edits.insert_member(Span::root(body), "new", b"true");
        edits.remove(all[2].whole());
        // Goes with the member that it stands in.
        edits.replace(all[2].value, "9");
        edits.remove(all[2].whole());
        assert_eq!(settled(edits, body), r#"{"new":true,"b":[],"d":4}"#);
    }

    #[test]
    fn a_member_is_inserted_behind_the_brace_wherever_that_stands() {
        let body = b" \n {\"a\":1} ";
        let mut edits = Edits::new();
        edits.insert_member(Span::root(body), "q\"", b"[1]");
        assert_eq!(settled(edits, body), " \n {\"q\\\"\":[1],\"a\":1} ");
        assert!(Span::root(b"  ").is_empty());
    }

    #[test]
    fn no_edit_changes_nothing() {
        let body = b" {\"a\" : 1.0} ";
        assert!(Edits::new().is_empty());
        let spliced = Edits::new().on(body);
        assert!(spliced.is_verbatim() && !spliced.is_empty());
        assert_eq!(spliced.to_vec(), body);
        assert_eq!(Spliced::verbatim(body).pieces().collect::<Vec<_>>(), [body]);
        assert!(Spliced::verbatim(b"").is_empty());
    }

    #[test]
    fn cuts_tell_every_change() {
        let body = br#"{"a":1,"b":2}"#;
        let mut edits = Edits::new();
        edits.replace(Span::new(5, 6), "7");
        edits.insert(12, ",");
        let spliced = edits.on(body);
        let cuts: Vec<_> = spliced.cuts().collect();
        assert_eq!(cuts, [(Span::new(5, 6), &b"7"[..]), (Span::new(12, 12), b",")]);
    }
}
