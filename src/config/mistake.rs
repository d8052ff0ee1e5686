//! Mistakes of a configuration file: where, in which field, what came, what was expected.
//!
//! Every mistake of a file is collected and told in one go, in the file's order. No message ever shows a secret: fields
//! that hold one are never echoed, text that looks like one is masked ([`quoted`]), and the values of all secret fields
//! are cut out of every message at the end. Decides nothing about what is a mistake.

use std::fmt;

/// A place in the file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where; `None` where the file as a whole is meant.
    pub at: Option<Pos>,
    /// The field, as `accounts[0].providers[1].weight`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub text: String,
}

/// All mistakes of one file, in its order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file as it was named.
    pub file: String,
    /// Sorted by position.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// A single one about the file as a whole.
    pub fn whole(file: impl Into<String>, text: impl Into<String>) -> Self {
        let mistake = Mistake { at: None, path: String::new(), text: text.into() };
        Self { file: file.into(), list: vec![mistake] }
    }
}

/// One line for each mistake: `file:line:column: path: text`.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(at) = mistake.at {
                write!(f, ":{}:{}", at.line, at.column)?;
            }
            f.write_str(": ")?;
            if !mistake.path.is_empty() {
                write!(f, "{}: ", mistake.path)?;
            }
            f.write_str(&mistake.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Where mistakes, warnings and the values that must not be shown are collected while a file is read.
#[derive(Debug, Default)]
pub struct Sink {
    list: Vec<Mistake>,
    warnings: Vec<String>,
    secrets: Vec<String>,
}

impl Sink {
    /// Notes a mistake.
    pub fn mistake(&mut self, at: Pos, path: &str, text: impl Into<String>) {
        self.list.push(Mistake { at: Some(at), path: path.to_owned(), text: text.into() });
    }

    /// Notes something that does not keep the file from loading.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// This text stands in no message, wherever it came from.
    pub fn hide(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            self.secrets.push(secret.to_owned());
        }
    }

    /// The warnings, or else the mistakes, sorted and scrubbed.
    pub fn finish(self, file: &str) -> Result<Vec<String>, Mistakes> {
        let Self { mut list, mut warnings, secrets } = self;
        if list.is_empty() {
            for warning in &mut warnings {
                scrub(warning, &secrets);
            }
            return Ok(warnings);
        }
        for mistake in &mut list {
            scrub(&mut mistake.path, &secrets);
            scrub(&mut mistake.text, &secrets);
        }
        list.sort_by_key(|m| m.at);
        list.dedup();
        Err(Mistakes { file: file.to_owned(), list })
    }
}

fn scrub(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), MASK);
        }
    }
}

/// Text of the file between back-quotes: shortened, control characters escaped, and masked where it looks like a secret.
pub fn quoted(text: &str) -> String {
    if looks_secret(text) {
        return format!("`{MASK}`");
    }
    let shown: String = text.chars().take(LONGEST_QUOTE).flat_map(escape).collect();
    let rest = if text.chars().nth(LONGEST_QUOTE).is_some() { MASK } else { "" };
    format!("`{shown}{rest}`")
}

fn escape(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// Whether some part of the text has the form of a credential: a known prefix, user info in a URL, or a long run of
/// mixed characters that no name of a model or a field has.
pub fn looks_secret(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')));
    text.contains('@') && text.contains("://") || words.into_iter().any(word_looks_secret)
}

fn word_looks_secret(word: &str) -> bool {
    let prefixed = SECRET_PREFIXES.iter().any(|p| word.len() >= p.len() + 4 && word.starts_with(p));
    let has = |f: fn(&u8) -> bool| word.bytes().any(|b| f(&b));
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let hex = word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    prefixed || hex || (word.len() >= 20 && mixed)
}

/// How keys of known makers begin.
const SECRET_PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "AIza",
    "gsk_",
    "xai-",
    "ghp_",
    "github_pat_",
    "hf_",
    "nvapi-",
    "pplx-",
    "fw_",
    "csk-",
    "r8_",
    "AKIA",
    "ASIA",
    "ya29.",
    "eyJ",
    "xoxb-",
    "glpat-",
    "key-",
    "pm-",
    "vk-",
];
/// Stands for what is not shown.
const MASK: &str = "…";
/// Shorter values are no secrets worth the name, and cutting them out would garble messages.
const SHORTEST_SECRET: usize = 6;
/// Longest piece of a file that a message repeats.
const LONGEST_QUOTE: usize = 80;

#[cfg(test)]
mod tests {
    use super::{looks_secret, quoted};

    #[test]
    fn knows_keys_from_names() {
        for key in [
            "sk-ant-api03-abc",
            "Bearer sk-proj-1234",
            "AIzaSyD4f5g6",
            "http://user:pass@proxy:3128",
            "0123456789abcdef0123456789abcdef",
            "aB3dE6gH9jK2mN5pQ8sT",
        ] {
            assert!(looks_secret(key), "{key}");
        }
        for name in [
            "claude-sonnet-4-20250514",
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "fortnightly",
            "${OPENAI_API_KEY}",
            "https://api.anthropic.com/v1",
            "meta-llama/Llama-3.3-70B",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn shortens_and_escapes() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"x".repeat(90)).chars().count(), 83);
    }
}
