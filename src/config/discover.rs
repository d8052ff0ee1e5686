//! Which file is read when none is named (INTERFACE section 1).
//!
//! Looks whether files exist and whose they are; reads none.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::env::Env;

/// The answer of [`discover`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This file; it may still be missing where it was named by hand.
    File(PathBuf),
    /// None: providers come from the environment. A file of the working folder that was passed over, with the reason.
    Nothing {
        /// For the start-up text.
        passed_over: Option<String>,
    },
}

/// The first of `--config`, `$POINTSMAN_CONFIG`, `./pointsman.yaml` (only where `allow_cwd`: `serve` and `check`, and only
/// if it belongs to the user: a cloned repository must not redirect keys), `$XDG_CONFIG_HOME/pointsman/pointsman.yaml`
/// (`~/.config` where that is not set), `/etc/pointsman/pointsman.yaml`.
pub fn discover(explicit: Option<&Path>, env: &dyn Env, allow_cwd: bool) -> Found {
    let uid = rustix::process::getuid().as_raw();
    search(explicit, env, allow_cwd.then_some(Path::new(".")), Path::new("/etc"), uid)
}

fn search(explicit: Option<&Path>, env: &dyn Env, here: Option<&Path>, etc: &Path, uid: u32) -> Found {
    let named = env.var("POINTSMAN_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = explicit.map(Path::to_path_buf).or(named) {
        return Found::File(path);
    }
    let mut passed_over = None;
    if let Some(path) = here.map(|h| h.join(FILE)).filter(|p| p.is_file()) {
        match foreign(&path, uid) {
            None => return Found::File(path),
            reason => passed_over = reason,
        }
    }
    let places = [home(env).map(|h| h.join("pointsman")), Some(etc.join("pointsman"))];
    match places.into_iter().flatten().map(|p| p.join(FILE)).find(|p| p.is_file()) {
        Some(path) => Found::File(path),
        None => Found::Nothing { passed_over },
    }
}

fn home(env: &dyn Env) -> Option<PathBuf> {
    let set = |name: &str| env.var(name).filter(|v| v.starts_with('/')).map(PathBuf::from);
    set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|h| h.join(".config")))
}

/// Why a file of the working folder is not used.
fn foreign(path: &Path, uid: u32) -> Option<String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(meta) if meta.uid() == uid => None,
        Ok(meta) => Some(format!(
            "{shown} is passed over: it belongs to user {} and not to you; name it with --config to use it",
            meta.uid()
        )),
        Err(e) => Some(format!("{shown} is passed over: {e}")),
    }
}

const FILE: &str = "pointsman.yaml";

#[cfg(test)]
mod tests {
    use super::super::env::Given;
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pointsman-discover-{}-{name}", std::process::id()));
        std::fs::create_dir_all(dir.join("here")).unwrap();
        std::fs::create_dir_all(dir.join("xdg/pointsman")).unwrap();
        std::fs::create_dir_all(dir.join("etc/pointsman")).unwrap();
        dir
    }

    #[test]
    fn the_first_place_that_has_one_wins() {
        let dir = folder("order");
        let uid = rustix::process::getuid().as_raw();
        let env = Given::new().with_var("XDG_CONFIG_HOME", dir.join("xdg").to_str().unwrap());
        let at = |env: &Given, explicit: Option<&str>| {
            search(explicit.map(Path::new), env, Some(&dir.join("here")), &dir.join("etc"), uid)
        };
        assert_eq!(at(&env, None), Found::Nothing { passed_over: None });
        for place in ["etc/pointsman", "xdg/pointsman", "here"] {
            let file = dir.join(place).join(FILE);
            std::fs::write(&file, "").unwrap();
            assert_eq!(at(&env, None), Found::File(file));
        }
        let env = env.with_var("POINTSMAN_CONFIG", "/e.yaml");
        assert_eq!(at(&env, None), Found::File("/e.yaml".into()));
        assert_eq!(at(&env, Some("/x.yaml")), Found::File("/x.yaml".into()));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_of_someone_else_is_passed_over() {
        let dir = folder("foreign");
        let here = dir.join("here");
        std::fs::write(here.join(FILE), "").unwrap();
        let other = rustix::process::getuid().as_raw() + 1;
        let found = search(None, &Given::new(), Some(&here), &dir.join("etc"), other);
        let Found::Nothing { passed_over: Some(reason) } = found else { panic!("{found:?}") };
        assert!(reason.contains("is passed over"), "{reason}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
