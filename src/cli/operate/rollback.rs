//! `flipgate rollback`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Map;

use super::change::{self, Change};
use super::{Flags, after_help};

/// Go back to the store moved from, at once and whatever the gate says; a second call changes nothing.
#[derive(Debug, Args)]
#[command(after_help = after_help!("  flipgate rollback --reason 'cards look odd'"))]
pub(in crate::cli) struct Arguments {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

pub(in crate::cli) async fn run(arguments: Arguments) -> ExitCode {
    let mut body = Map::new();
    body.insert("reason".to_owned(), arguments.reason.unwrap_or_default().into());
    let what = "the rollback".to_owned();
    change::run(&arguments.flags, &Change { path: "/api/rollback", what, moves: "primary", body, wait: None })
        .await
}
