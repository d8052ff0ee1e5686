//! The command line: arguments, and one file per command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Nothing secret ever stands in an argument list.

pub mod explain;
// pub mod mock;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "pointsman",
    version,
    about = "A gateway between coding agents and LLM providers",
    after_help = "Example:\n  pointsman serve --config pointsman.yaml\n  ANTHROPIC_BASE_URL=http://localhost:8080/anthropic claude"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Tell which provider would get a request, why, and who would follow
    Explain(explain::Options),
    /// Run the bundled provider, for trying things out and for tests
    #[command(after_help = "Example:\n  pointsman mock --listen 127.0.0.1:9000 --latency 20")]
    // Mock(mock::Options),
    /// Print the version
    #[command(after_help = "Example:\n  pointsman version")]
    Version,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        // Some(Command::Mock(options)) => mock::run(&options),
        Some(Command::Explain(options)) => explain::run(&options),
        Some(Command::Version) => {
            println!("pointsman {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        None => ExitCode::SUCCESS,
    }
}

/// Says what failed, and returns exit code 1.
fn failed(message: impl std::fmt::Display) -> ExitCode {
    eprintln!("pointsman: {message}");
    ExitCode::from(1)
}

/// Wrong usage or configuration.
const USAGE: u8 = 2;
