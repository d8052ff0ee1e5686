//! What a request lost on its way to a model that takes less than the client thought.
//!
//! Names only, for the `x-pointsman-loss` header and the record; never contents. Deciding what to drop is the shaping
//! code's.

use std::borrow::Cow;

/// Names of what was dropped or changed, in the order of the changes, each once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Loss(Vec<Cow<'static, str>>);

impl Loss {
    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes one name, cut where it is long. Bytes that cannot stand in a header's list (controls, commas, beyond ASCII) become `_`.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        let fits = |c: char| c.is_ascii_graphic() && c != ',';
        let name = if name.len() <= LONGEST && name.chars().all(fits) {
            name
        } else {
            name.chars().take(LONGEST).map(|c| if fits(c) { c } else { '_' }).collect::<String>().into()
        };
        if self.0.len() < MOST && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Notes all that another one holds.
    pub fn join(&mut self, other: &Self) {
        for name in &other.0 {
            if !self.0.contains(name) {
                self.0.push(name.clone());
            }
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The value of `x-pointsman-loss`.
    pub fn header(&self) -> String {
        self.0.join(", ")
    }
}

/// Names come from the client too, and all of them go into one header of at most 8 KiB or so.
const MOST: usize = 64;

/// Of one name, in characters.
const LONGEST: usize = 100;
