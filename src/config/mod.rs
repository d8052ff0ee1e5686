//! Configuration: what users write (YAML) becomes what runs ([`snapshot::Snapshot`]).
//!
//! ```text
//! file ──text──▶ tree with positions ──decode (field tables)──▶ checked values ──read──▶ Snapshot
//!                        └──────────────── mistakes, all in one go ────────────────┘
//! ```
//!
//! [`load`] reads a file, [`from_text`] a text, [`from_env`] a machine without a file; [`discover`] says which file it
//! would be. Environment and files come through [`env::Env`]. No network, no thread, no log line: warnings stand in the
//! snapshot and mistakes in [`Mistakes`].

mod decode;
mod describe;
mod discover;
pub mod env;
mod fields;
mod mistake;
mod near;
pub mod pattern;
mod read;
mod retired;
mod schema;
pub mod secret;
pub mod snapshot;
mod stand_ins;
mod startup;
mod table;
mod text;
mod types;
mod url;
mod value;
pub mod watch;

use std::net::SocketAddr;
use std::path::Path;

pub use describe::{describe, describe_on, show_base};
pub use discover::{Found, discover};
pub use env::Env;
pub use mistake::{Mistake, Mistakes, Pos};
pub use read::listen_mistakes;
pub use retired::{Retired, retired};
pub use schema::schema;
use snapshot::Server;
pub use snapshot::Snapshot;
pub use startup::from_env;
pub use url::proxy_user;
pub use value::{show_duration, show_money, show_size};

/// The configuration of a file, or all its mistakes.
pub fn load(path: &Path, env: &dyn Env) -> Result<Snapshot, Mistakes> {
    load_for(path, env, None)
}

/// The same for a gateway that listens elsewhere than the file says (`serve --listen`): what listening beyond loopback
/// demands is judged by that address.
pub fn load_for(path: &Path, env: &dyn Env, listen: Option<SocketAddr>) -> Result<Snapshot, Mistakes> {
    from_file(path, env, listen, None)
}

/// The same for a gateway that runs: what listening demands is judged by where it listens now (the last key beyond
/// loopback cannot be taken away), and what takes effect only at the next start is among the warnings. After an error
/// the running snapshot goes on.
pub fn reload(path: &Path, env: &dyn Env, running: &Snapshot) -> Result<Snapshot, Mistakes> {
    from_file(path, env, Some(running.server.listen), Some(&running.server))
}

/// The configuration of a text; `name` stands for the file in messages, and relative paths are the process's own.
pub fn from_text(name: &str, text: &str, env: &dyn Env) -> Result<Snapshot, Mistakes> {
    Source { name, folder: None, env, listen: None, running: None }.read(text)
}

fn from_file(
    path: &Path,
    env: &dyn Env,
    listen: Option<SocketAddr>,
    running: Option<&Server>,
) -> Result<Snapshot, Mistakes> {
    let name = path.display().to_string();
    let text = match env.file(path) {
        Ok(text) => text,
        Err(e) => return Err(Mistakes::whole(name, format!("cannot be read: {}", env::reason(&e)))),
    };
    let mut snapshot = Source { name: &name, folder: path.parent(), env, listen, running }.read(&text)?;
    snapshot.source = Some(path.to_path_buf());
    Ok(snapshot)
}

/// What a configuration is read with.
struct Source<'a> {
    name: &'a str,
    folder: Option<&'a Path>,
    env: &'a dyn Env,
    /// `--listen`, or where the gateway listens already.
    listen: Option<SocketAddr>,
    running: Option<&'a Server>,
}

impl Source<'_> {
    fn read(&self, text: &str) -> Result<Snapshot, Mistakes> {
        let mut sink = mistake::Sink::default();
        let snapshot = self.steps(text, &mut sink);
        let warnings = sink.finish(self.name)?;
        // A text that gives no snapshot has noted why, so this is never the answer.
        let mut snapshot = snapshot.ok_or_else(|| Mistakes::whole(self.name, "cannot be read"))?;
        snapshot.warnings = warnings;
        Ok(snapshot)
    }

    fn steps(&self, text: &str, sink: &mut mistake::Sink) -> Option<Snapshot> {
        let root = text::parse(text, sink)?;
        let file = decode::Decoder { env: self.env, folder: self.folder, sink }.file(&root)?;
        Some(read::Reader { env: self.env, listen: self.listen, running: self.running, sink }.snapshot(&file))
    }
}
