//! The commands that operate a running flipgate over its admin side: `status`, `flip`, `dial`, `rollback`.
//!
//! Documents of other versions are read as far as they go: what is missing is not shown, what is unknown is passed over.
//! Not for: what the admin side decides (`cutover`).

mod change;
pub(super) mod dial;
pub(super) mod flip;
mod readiness;
mod remote;
mod reply;
pub(super) mod rollback;
mod standing;
pub(super) mod status;
mod table;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::reply::{Failure, Refusal};
use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed, print};

/// The last lines of each help: where the admin side and its token are found, and how these commands end.
macro_rules! after_help {
    ($examples:literal) => {
        concat!(
            "Examples:\n",
            $examples,
            "

The admin side is --admin, else FLIPGATE_ADMIN, else http://127.0.0.1:9900. The token, where one is needed, is in
--token-file, else FLIPGATE_ADMIN_TOKEN, else in the file FLIPGATE_ADMIN_TOKEN_FILE names; to read,
FLIPGATE_ADMIN_READ_TOKEN will do.

Ends with 0 if it is done, 1 if it was refused or was not ready in time, 2 if the arguments are unusable or not taken,
3 if the admin side cannot be reached or failed."
        )
    };
}
use after_help;

/// Where the admin side is, and how to print what it says.
#[derive(Debug, Args)]
struct Flags {
    /// The admin side of the running flipgate
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// File with the admin side's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The admin side's document as it came
    Json,
}

/// Prints how a command went; gives the exit code.
fn ended(done: Result<Vec<u8>, Failure>, format: Format) -> ExitCode {
    let (printed, code) = match done {
        Ok(report) => (print(&report), CLEAN),
        Err(Failure::Refused(refusal)) => (refused(&refusal, format), FOUND),
        Err(Failure::Unusable(why)) => return failed(UNUSABLE, &why),
        Err(Failure::CouldNotRun(why)) => return failed(COULD_NOT_RUN, &why),
    };
    match printed {
        Ok(()) => ExitCode::from(code),
        Err(why) => failed(COULD_NOT_RUN, &why),
    }
}

/// What people are told stands on standard error; the document goes where a script reads it.
fn refused(refusal: &Refusal, format: Format) -> Result<(), String> {
    table::complain(&refusal.why);
    match format {
        Format::Text => {
            table::list(&refusal.readiness.unmet);
            Ok(())
        }
        Format::Json => print(&refusal.document),
    }
}
