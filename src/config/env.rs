//! What a configuration takes from outside itself: environment variables, small files, the machine's addresses.
//!
//! Passed in everywhere, so that tests (and `explain`-like commands) see no hidden input. Resolves `${NAME}`,
//! `${NAME:-default}` and `${file:/path}` inside strings; knows no field.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::mistake::quoted;

/// The environment of a configuration.
pub trait Env {
    /// The value of a variable; `None` where it is not set or not UTF-8.
    fn var(&self, name: &str) -> Option<String>;
    /// The whole text of a file.
    fn file(&self, path: &Path) -> io::Result<String>;
    /// Whether an address is one of this machine's interfaces. Sends nothing.
    fn is_here(&self, address: IpAddr) -> bool;
}

/// The process's own environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Env for System {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
        Ok(text)
    }

    fn is_here(&self, address: IpAddr) -> bool {
        // Only an own address can be bound; a UDP socket that is bound and dropped tells nobody.
        std::net::UdpSocket::bind((address, 0)).is_ok()
    }
}

/// A fixed environment, for tests: only what it was given exists.
#[derive(Clone, Debug, Default)]
pub struct Given {
    vars: BTreeMap<String, String>,
    files: BTreeMap<std::path::PathBuf, String>,
    addresses: Vec<IpAddr>,
}

impl Given {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a variable.
    #[must_use]
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with a file.
    #[must_use]
    pub fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.to_owned());
        self
    }

    /// The same with an address of an interface.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }
}

impl Env for Given {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_here(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// The text with its variables in place. `Err` says what is wrong, without any value.
pub fn expand(text: &str, env: &dyn Env, folder: Option<&Path>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if let Some(more) = behind.strip_prefix('$') {
            out.push('$');
            rest = more;
        } else if let Some(inner) = behind.strip_prefix('{') {
            let Some(end) = inner.find('}') else {
                return Err("`${` has no `}`; write `$$` for a dollar sign that stands for itself".to_owned());
            };
            out.push_str(&variable(&inner[..end], env, folder)?);
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = behind;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inner: &str, env: &dyn Env, folder: Option<&Path>) -> Result<String, String> {
    if let Some(path) = inner.strip_prefix("file:") {
        return from_file(path, env, folder);
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        let shown = quoted(inner);
        return Err(format!(
            "{shown} is not a variable; expected `${{NAME}}`, `${{NAME:-default}}` or `${{file:/path}}`"
        ));
    }
    match (env.var(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("`${{{name}}}` is not set; set the variable, or give a default: `${{{name}:-…}}`"))
        }
    }
}

/// The file's text without the line end that editors add.
fn from_file(path: &str, env: &dyn Env, folder: Option<&Path>) -> Result<String, String> {
    let full = match folder {
        Some(folder) => folder.join(path),
        None => path.into(),
    };
    match env.file(&full) {
        Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
        Err(e) => Err(format!("`${{file:{path}}}` cannot be read: {}", reason(&e))),
    }
}

/// Why a file could not be read, in words that do not depend on the system.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Largest file that is read for a configuration: a secret, a certificate chain, or the configuration itself.
const MAX_FILE: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::{Given, expand};

    #[test]
    fn puts_variables_and_files_in_place() {
        let env = Given::new().with_var("A", "1").with_var("EMPTY", "").with_file("/run/s", "secret\n");
        for (text, said) in [
            ("x", "x"),
            ("${A}", "1"),
            ("<${A}${A}>", "<11>"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY}", ""),
            ("${A:-two}", "1"),
            ("${B:-}", ""),
            ("${file:/run/s}", "secret"),
            ("$$A $${A} $x 5$", "$A ${A} $x 5$"),
        ] {
            assert_eq!(expand(text, &env, None), Ok(said.to_owned()), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        let env = Given::new();
        for (text, said) in [
            ("${B}", "`${B}` is not set; set the variable, or give a default: `${B:-…}`"),
            ("${B", "`${` has no `}`; write `$$` for a dollar sign that stands for itself"),
            ("${a b}", "`a b` is not a variable; expected `${NAME}`, `${NAME:-default}` or `${file:/path}`"),
            ("${file:/x}", "`${file:/x}` cannot be read: there is no such file"),
        ] {
            assert_eq!(expand(text, &env, None), Err(said.to_owned()), "{text}");
        }
    }
}
