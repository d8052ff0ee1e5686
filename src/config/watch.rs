//! Whether the configuration file changed since the last look.
//!
//! By `stat` of what the path leads to: modification time, size and inode, so that a replaced file and a mounted config
//! map (a swapped symbolic link) are seen as well. Has no thread and no clock: the caller looks every
//! [`EVERY`], and reads the file itself.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a caller looks.
pub const EVERY: Duration = Duration::from_secs(2);

/// One watched file.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// What tells one content from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl Watch {
    /// Begins with the file as it is now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), seen: stamp(path) }
    }

    /// Whether it is another one than at the last look. A file that is gone is no change (editors replace files in two
    /// steps); it is one when it is back.
    pub fn changed(&mut self) -> bool {
        let now = stamp(&self.path);
        if now.is_none() || now == self.seen {
            return false;
        }
        self.seen = now;
        true
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        seconds: meta.mtime(),
        nanos: meta.mtime_nsec(),
    })
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use std::fs;

    #[test]
    fn sees_a_write_a_replacement_and_a_swapped_link() {
        let dir = std::env::temp_dir().join(format!("pointsman-watch-{}", std::process::id()));
        for version in ["v1", "v2"] {
            fs::create_dir_all(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("f"), version).unwrap();
        }
        let link = |to: &str| {
            std::os::unix::fs::symlink(to, dir.join("new")).unwrap();
            fs::rename(dir.join("new"), dir.join("data")).unwrap();
        };
        link("v1");
        let mut watch = Watch::new(&dir.join("data/f"));
        assert!(!watch.changed());
        fs::write(dir.join("v1/f"), "longer").unwrap();
        assert!(watch.changed());
        assert!(!watch.changed());
        link("v2");
        assert!(watch.changed());
        fs::remove_file(dir.join("v2/f")).unwrap();
        assert!(!watch.changed());
        fs::write(dir.join("v2/f"), "back again").unwrap();
        assert!(watch.changed());
        assert!(!watch.changed());
        fs::remove_dir_all(dir).unwrap();
    }
}
