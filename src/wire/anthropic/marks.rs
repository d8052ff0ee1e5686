//! Cache marks (`cache_control`) that a model refuses, wherever they stand.
//!
//! Takes whole marks or single members of them out of one object at a time; who holds such objects is known to the
//! callers. Marks are not part of what is cached, so a prefix stays the same without them.

use super::drops::Drops;
use super::repair::Field;
use super::request::member_of;
use crate::json::{Edits, Span};

/// Which part of each mark goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks(Drops);

impl Marks {
    /// What of them goes; `None` if all of them stay.
    pub(super) fn of(drops: Drops) -> Option<Self> {
        let any =
            [Field::CacheMarks, Field::CacheScope, Field::CacheTtl].into_iter().any(|field| drops.has(field));
        any.then_some(Self(drops))
    }

    /// Whether marks go as a whole.
    pub(super) fn all(self) -> bool {
        self.0.has(Field::CacheMarks)
    }

    /// Edits the mark of one object (a tool, a block, the body itself); tells what went.
    pub(super) fn edit(self, body: &[u8], object: Span, edits: &mut Edits) -> Option<Field> {
        let mark = member_of(body, object, "cache_control")?;
        if self.all() {
            edits.remove(mark.whole());
            return Some(Field::CacheMarks);
        }
        self.trim(body, mark.value, edits)
    }

    /// Edits the inside of a mark that stays.
    pub(super) fn trim(self, body: &[u8], mark: Span, edits: &mut Edits) -> Option<Field> {
        let mut gone = None;
        for (field, name) in [(Field::CacheScope, "scope"), (Field::CacheTtl, "ttl")] {
            if let Some(member) = member_of(body, mark, name).filter(|_| self.0.has(field)) {
                edits.remove(member.whole());
                gone = Some(field);
            }
        }
        gone
    }
}
