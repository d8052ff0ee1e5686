//! The command line: arguments, and one file per command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Nothing secret ever stands in an argument list.

pub mod check;
pub mod explain;
pub mod mock;
mod online;
pub mod serve;

use std::process::ExitCode;

use clap::builder::RangedU64ValueParser;
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
    /// Run the gateway (also without any command)
    #[command(after_help = "Example:\n  pointsman serve --config pointsman.yaml --listen 127.0.0.1:8080")]
    Serve(serve::Options),
    /// Read the configuration: every mistake at once, or what would run
    Check(check::Options),
    /// Tell which provider would get a request, why, and who would follow
    Explain(explain::Options),
    /// Run the bundled provider, for trying things out and for tests
    #[command(
        after_help = "Examples:\n  pointsman mock --listen 127.0.0.1:9000 --latency 20\n  pointsman mock          then a provider of type openai with base_url http://127.0.0.1:8081/openai/v1\n\nOther providers are played by their paths, each as strict as the real one: /openrouter/api/v1, /deepseek,\n/mistral/v1, /groq/openai/v1, /gemini/v1beta/openai, and so on; Messages at /v1.",
        after_long_help = crate::mock::fault::HELP
    )]
    Mock(mock::Options),
    /// Print the version
    #[command(after_help = "Example:\n  pointsman version")]
    Version,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command.unwrap_or_else(serve_alone) {
        Command::Serve(options) => serve::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Mock(options) => mock::run(&options),
        Command::Version => {
            println!("pointsman {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

/// Without a command the gateway runs.
fn serve_alone() -> Command {
    Arguments::parse_from(["pointsman", "serve"]).command.unwrap_or(Command::Version)
}

/// Says what failed, and returns exit code 1.
fn failed(message: impl std::fmt::Display) -> ExitCode {
    eprintln!("pointsman: {message}");
    ExitCode::from(1)
}

/// How `--workers` is read: as `server.workers`.
fn workers() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}

/// Wrong usage or configuration.
const USAGE: u8 = 2;
