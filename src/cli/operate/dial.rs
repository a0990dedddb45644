//! `flipgate dial`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Map;

use super::change::{self, Change, Gated};
use super::{Flags, after_help};

/// Set the share of reads that the store moved to serves; raising it is gated as a flip is, lowering it never.
#[derive(Debug, Args)]
#[command(after_help = after_help!("  flipgate dial 5 --expect 0 --reason 'canary'
  flipgate dial 25 --wait-ready
  flipgate dial 0 --reason 'cards look odd'"))]
pub(in crate::cli) struct Arguments {
    /// The share in percent: 0 makes the store moved from primary, 100 the other, between is a split by client
    #[arg(value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    /// Do it only if the dial is at this now
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    expect: Option<u8>,
    #[command(flatten)]
    gated: Gated,
    #[command(flatten)]
    flags: Flags,
}

pub(in crate::cli) async fn run(arguments: Arguments) -> ExitCode {
    let mut body = Map::new();
    body.insert("percent".to_owned(), arguments.percent.into());
    if let Some(expect) = arguments.expect {
        body.insert("expect".to_owned(), expect.into());
    }
    arguments.gated.add_to(&mut body);
    let what = format!("the dial to {} %", arguments.percent);
    let wait = arguments.gated.wait();
    change::run(&arguments.flags, &Change { path: "/api/dial", what, moves: "dial", body, wait }).await
}
