//! The command line: arguments as written become arguments as meant, and one call.
//!
//! Exit codes: 0 done and clean; 1 done, and differences or failed checks were found; 2 unusable arguments or
//! configuration; 3 could not run.

mod diff;
mod migrate;
mod operate;
mod serve;
mod snapshot;
mod tombstones;
mod verify;

pub use self::serve::stop_signal;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Done and clean.
pub const CLEAN: u8 = 0;
/// Done; differences or failed checks were found.
pub const FOUND: u8 = 1;
/// Unusable arguments or configuration.
pub const UNUSABLE: u8 = 2;
/// Could not run.
pub const COULD_NOT_RUN: u8 = 3;

/// What the contract names and this version does not have yet.
const NOT_BUILT: &str = "Not built yet: sweep, replay, report.

Exit codes: 0 done and clean; 1 done, and differences were found; 2 unusable arguments or configuration; 3 could not run.";

/// Moves a web application from one store to another: answers reads from both, compares, flips on evidence.
#[derive(Debug, Parser)]
#[command(name = "flipgate", version, after_help = NOT_BUILT, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    CheckConfig(serve::CheckArguments),
    Migrate(migrate::Arguments),
    Verify(verify::Arguments),
    Diff(diff::Arguments),
    Snapshot(snapshot::Arguments),
    Tombstones(tombstones::Arguments),
    Status(operate::status::Arguments),
    Flip(operate::flip::Arguments),
    Dial(operate::dial::Arguments),
    Rollback(operate::rollback::Arguments),
    Demo(crate::demo::Arguments),
}

/// Runs the command that the process was called with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are not errors; a message that cannot be written has no other way out.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { UNUSABLE } else { CLEAN });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(COULD_NOT_RUN, &format!("cannot start the async runtime: {error}")),
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::CheckConfig(arguments) => serve::check(arguments),
            Command::Migrate(arguments) => migrate::run(arguments).await,
            Command::Verify(arguments) => verify::run(arguments).await,
            Command::Diff(arguments) => diff::run(arguments).await,
            Command::Snapshot(arguments) => snapshot::run(arguments).await,
            Command::Tombstones(arguments) => tombstones::run(arguments).await,
            Command::Status(arguments) => operate::status::run(&arguments).await,
            Command::Flip(arguments) => operate::flip::run(arguments).await,
            Command::Dial(arguments) => operate::dial::run(arguments).await,
            Command::Rollback(arguments) => operate::rollback::run(arguments).await,
            Command::Demo(arguments) => crate::demo::run(arguments).await,
        }
    });
    // A store that hangs must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Prints a report to standard output.
fn print(text: &[u8]) -> Result<(), String> {
    match std::io::stdout().lock().write_all(text) {
        Ok(()) => Ok(()),
        // The reader has seen enough, as `head` has.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(format!("standard output: {e}")),
    }
}

/// Says why on standard error, and gives the exit code.
#[must_use]
pub fn failed(code: u8, why: &str) -> ExitCode {
    for line in why.lines() {
        eprintln!("flipgate: {line}");
    }
    ExitCode::from(code)
}
