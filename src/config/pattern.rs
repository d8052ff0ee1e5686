//! Name patterns of the configuration: `*` stands for any run of characters, everything else for itself.
//!
//! Matching is case-sensitive, over the whole name, and linear (one backtrack point), so that a pattern cannot be made
//! slow.

/// A pattern such as `claude-*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go on when a mismatch comes after a `*`: (just behind the star, first byte not yet swallowed by it).
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p + 1, n));
                    p += 1;
                }
                Some(&c) if c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((after, from)) => {
                        star = Some((after, from + 1));
                        p = after;
                        n = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|&c| c == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name, expected) in [
            ("claude-*", "claude-sonnet-4", true),
            ("claude-*", "gpt-4o", false),
            ("*", "", true),
            ("*haiku*", "claude-haiku-4-5", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("bedrock/*", "bedrock/x/y", true),
            ("exact", "exact", true),
            ("exact", "exact-not", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} over {name}");
        }
    }
}
