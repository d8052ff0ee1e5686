//! `pointsman check`: every mistake of the configuration at once, or else what would run.
//!
//! Loads as `serve` does. Without `--online` it opens no connection; it changes nothing and shows no secret.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{USAGE, online};
use crate::config::env::System;
use crate::config::{self, Found, Mistakes, Snapshot};

/// What `pointsman check` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pointsman check\n  pointsman check --config pointsman.yaml --online\n\nExit code: 0 it would run, 1 a provider did not answer (--online), 2 the file has mistakes."
)]
pub struct Options {
    /// File to read; default: the one that `serve` would find
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// Also ask each provider for its models, with its key
    #[arg(long)]
    online: bool,
}

/// Prints what is wrong, or what would run.
pub fn run(options: &Options) -> ExitCode {
    let snapshot = match find(options.config.as_deref()) {
        Ok(snapshot) => snapshot,
        Err(mistakes) => return refused(&mistakes),
    };
    print!("{}", config::describe(&snapshot));
    if !options.online {
        return ExitCode::SUCCESS;
    }
    println!("asking each provider:");
    if online::ask(&snapshot) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn find(named: Option<&Path>) -> Result<Snapshot, Mistakes> {
    match config::discover(named, &System, true) {
        Found::File(path) => config::load(&path, &System),
        Found::Nothing { passed_over } => {
            if let Some(reason) = passed_over {
                eprintln!("{reason}");
            }
            Ok(config::from_env(&System))
        }
    }
}

fn refused(mistakes: &Mistakes) -> ExitCode {
    eprintln!("{mistakes}");
    let count = mistakes.list.len();
    eprintln!("{}: {count} mistake{}", mistakes.file, if count == 1 { "" } else { "s" });
    ExitCode::from(USAGE)
}
