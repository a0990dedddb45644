//! `flipgate flip`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Map;

use super::change::{self, Change, Gated};
use super::{Flags, after_help};

/// Make a backend the primary, if the gate allows it.
#[derive(Debug, Args)]
#[command(after_help = after_help!("  flipgate flip postgres --expect sqlite --reason 'day 5'
  flipgate flip postgres --dry-run
  flipgate flip postgres --wait-ready --timeout 12h && flipgate status"))]
pub(in crate::cli) struct Arguments {
    /// The backend that shall be primary
    #[arg(value_name = "NAME")]
    name: String,
    /// Do it only if this one is primary now
    #[arg(long, value_name = "NAME")]
    expect: Option<String>,
    #[command(flatten)]
    gated: Gated,
    #[command(flatten)]
    flags: Flags,
}

pub(in crate::cli) async fn run(arguments: Arguments) -> ExitCode {
    let mut body = Map::new();
    body.insert("primary".to_owned(), arguments.name.clone().into());
    if let Some(expect) = arguments.expect {
        body.insert("expect".to_owned(), expect.into());
    }
    arguments.gated.add_to(&mut body);
    let what = format!("the flip to {}", arguments.name);
    let wait = arguments.gated.wait();
    change::run(&arguments.flags, &Change { path: "/api/primary", what, moves: "primary", body, wait }).await
}
