//! `flipgate snapshot`.

mod text;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed};
use crate::config::check_sqlite;
use crate::snapshot::check::check;
use crate::snapshot::directory::{Directory, Entry, Wanted};
use crate::snapshot::restore::{Outcome, restore};
use crate::snapshot::{SnapshotError, of_postgres, of_sqlite};
use crate::telemetry;

/// Take a copy of a library, look at what there is, check it, and put one back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate snapshot create --sqlite sqlite:library.db
  flipgate snapshot create --postgres postgres://user@db/library
  flipgate snapshot list
  flipgate snapshot check --all
  flipgate snapshot restore latest --to sqlite:library.db

A copy is one moment of the library, whoever writes to it meanwhile. It is a SQLite file, NAME.db, with NAME.json beside
it, which says what it must be: size, SHA-256, rows, records with subcategories.

Ends with 0 if all is well, 1 if a check failed or a restore was refused, 2 if the arguments are unusable, 3 if it could
not run.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Where snapshots are kept [default: snapshots in FLIPGATE_STATE_DIR, else flipgate-state/snapshots]
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    /// Tell what snapshots there are, newest first, broken ones too.
    List,
    Check(Check),
    Restore(Restore),
}

/// Take a snapshot of a library, whoever writes to it meanwhile.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Create {
    /// The library to copy: sqlite:FILE
    #[arg(long, value_name = "URL")]
    sqlite: Option<String>,
    /// The database to copy, into a SQLite file in the dashboard's schema: postgres://…
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

/// Check that snapshots are still what they were when they were taken.
#[derive(Debug, Args)]
struct Check {
    /// Which: its name, or latest
    #[arg(value_name = "NAME", default_value = "latest")]
    name: Wanted,
    /// Check every snapshot there is
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Put a snapshot back; what is there is kept as a snapshot first.
#[derive(Debug, Args)]
#[command(
    after_help = "A file that is there is overwritten in place, in one transaction: a program that has it open sees the
old library or the new one. One that was modified after the snapshot was taken is refused without --force.

What is there goes into before-restore-TIME first; `latest` is never one of those."
)]
struct Restore {
    /// Which: its name, or latest
    #[arg(value_name = "NAME")]
    name: Wanted,
    /// The library to restore: sqlite:FILE
    #[arg(long, value_name = "URL")]
    to: String,
    /// Replace it although it is newer than the snapshot
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// What a command found: both ways to print it, what goes to standard error, and the exit code.
struct Told {
    text: String,
    json: Value,
    complaint: Option<String>,
    code: u8,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    let directory = Directory::new(arguments.dir.unwrap_or_else(default_dir));
    let told = match arguments.command {
        Command::Create(create) => create.run(&directory).await,
        Command::List => list(&directory),
        Command::Check(check) => check.run(&directory),
        Command::Restore(restore) => restore.run(&directory),
    };
    match told {
        Ok(told) => told.print(arguments.format),
        Err(error @ SnapshotError::Unusable(_)) => failed(UNUSABLE, &error.to_string()),
        Err(error @ SnapshotError::CouldNotRun(_)) => failed(COULD_NOT_RUN, &error.to_string()),
    }
}

/// Beside the state that `serve` keeps.
fn default_dir() -> PathBuf {
    let state = std::env::var_os("FLIPGATE_STATE_DIR").filter(|dir| !dir.is_empty());
    state.map_or_else(|| PathBuf::from("flipgate-state"), PathBuf::from).join("snapshots")
}

fn list(directory: &Directory) -> Result<Told, SnapshotError> {
    let entries = directory.entries()?;
    let json = json!({
        "dir": directory.path().to_string_lossy(),
        "snapshots": entries.iter().map(listed).collect::<Vec<_>>(),
    });
    Ok(Told { text: text::list(directory, &entries), json, complaint: None, code: CLEAN })
}

/// The manifest, or what is wrong with it; and whether the file is there.
fn listed(entry: &Entry) -> Value {
    let mut document = match &entry.manifest {
        Ok(manifest) => json!(manifest),
        Err(problem) => json!({ "name": entry.name, "problem": problem }),
    };
    if let Value::Object(members) = &mut document {
        members.insert("file".to_owned(), entry.file.exists().into());
    }
    document
}

// === impl Create ===

impl Create {
    async fn run(self, directory: &Directory) -> Result<Told, SnapshotError> {
        let manifest = match (self.sqlite, self.postgres) {
            (Some(url), _) => {
                let file = sqlite("--sqlite", &url)?;
                check_sqlite(&file).map_err(SnapshotError::Unusable)?;
                of_sqlite(directory, &file)?
            }
            (None, Some(url)) => of_postgres(directory, &url).await?,
            (None, None) => {
                return Err(SnapshotError::Unusable("name a library with --sqlite or --postgres".to_owned()));
            }
        };
        Ok(Told {
            text: text::taken(directory, &manifest),
            json: json!(manifest),
            complaint: None,
            code: CLEAN,
        })
    }
}

/// The path of a URL.
fn sqlite(flag: &str, url: &str) -> Result<PathBuf, SnapshotError> {
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    path.filter(|path| !path.is_empty()).map(PathBuf::from).ok_or_else(|| {
        SnapshotError::Unusable(format!("{flag} must be sqlite:FILE, as in sqlite:/data/library.db"))
    })
}

// === impl Check ===

impl Check {
    fn run(self, directory: &Directory) -> Result<Told, SnapshotError> {
        let mut entries = if self.all { directory.entries()? } else { vec![directory.find(&self.name)?] };
        // What another run is writing is no snapshot yet.
        entries.retain(Entry::is_finished);
        if entries.is_empty() {
            // Says that there is none.
            directory.find(&Wanted::Latest)?;
        }
        let reports: Vec<_> = entries.iter().map(check).collect();
        let clean = reports.iter().all(|report| report.clean);
        let json = json!({ "dir": directory.path().to_string_lossy(), "clean": clean, "snapshots": reports });
        let code = if clean { CLEAN } else { FOUND };
        Ok(Told { text: text::checked(&reports), json, complaint: None, code })
    }
}

// === impl Restore ===

impl Restore {
    fn run(self, directory: &Directory) -> Result<Told, SnapshotError> {
        let to = sqlite("--to", &self.to)?;
        let report = restore(directory, &self.name, &to, self.force)?;
        let code = match report.outcome {
            Outcome::Restored | Outcome::Identical => CLEAN,
            Outcome::Refused => FOUND,
        };
        let json = json!(report);
        Ok(Told { text: text::restored(&report), json, complaint: report.reason, code })
    }
}

// === impl Told ===

impl Told {
    fn print(self, format: Format) -> ExitCode {
        let text = match format {
            Format::Text => self.text,
            Format::Json => format!("{:#}\n", self.json),
        };
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => {}
            // The reader has seen enough, as `head` has.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(error) => return failed(COULD_NOT_RUN, &format!("standard output: {error}")),
        }
        match self.complaint {
            Some(complaint) => failed(self.code, &complaint),
            None => ExitCode::from(self.code),
        }
    }
}
