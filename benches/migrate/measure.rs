//! How long a program takes and how much memory it needs at most.
//!
//! The kernel tells a parent the peak of the largest of all its children; a middleman, this very program, has one child
//! only. It also keeps our own memory out of the figure, which a child inherits when it is forked.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use std::os::fd::AsFd;

/// First argument of the middleman; the program and its arguments follow.
pub(crate) const MIDDLEMAN: &str = "--measure";

/// What one run took.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    /// `None` where it ran in this process.
    pub(crate) peak_bytes: Option<u64>,
    /// What it printed.
    pub(crate) said: String,
}

/// Runs a program to its end; an error is what it said, if it does not end with 0.
pub(crate) async fn measured(program: &str, arguments: &[&str]) -> Result<Spent, String> {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.arg(MIDDLEMAN).arg(program).args(arguments).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = String::from_utf8(output.stdout).unwrap();
    let mut words = line.split_whitespace();
    match (output.status.success(), words.next(), words.next()) {
        (true, Some(seconds), Some(peak)) => {
            let peak_bytes = Some(peak.parse().unwrap());
            Ok(Spent { seconds: seconds.parse().unwrap(), peak_bytes, said })
        }
        _ => Err(format!("{program} failed: {}", said.trim())),
    }
}

/// Runs what its arguments say and prints seconds and bytes.
pub(crate) fn middleman(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let program = arguments.next().expect("a program to measure");
    // Standard output is the figures' alone.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null()).stdout(stderr);
    let begun = Instant::now();
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("it could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    println!("{seconds} {}", u64::try_from(usage.max_rss()).unwrap() * RSS_UNIT);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// macOS counts bytes, others kilobytes.
const RSS_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };
