//! `flipgate migrate`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed};
use crate::config::check_sqlite;
use crate::migrate::{self, BATCH_ROWS, MigrateError, Options, Report};
use crate::telemetry;

/// Bring a SQLite library into PostgreSQL, or back; any number of runs ends in the same state.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate migrate --from sqlite:library.db --to postgres://user@db/library
  flipgate migrate --from sqlite:library.db --to postgres://user@db/library --dry-run
  flipgate migrate --from postgres://user@db/library --to sqlite:library.db     the way back, after a flip
  flipgate migrate --to postgres://user@db/library --resolve content:yt:abc --reason 'a test record'

A row that both sides changed since they last agreed takes the newer updated_at; where that does not decide, and where
a record would lose its curated subcategories, it is a conflict: it stays, is listed, and --overwrite takes the
source's. Records that were deleted do not come back.

Ends with 0 if nothing is left to decide, 1 if rows are in conflict or in quarantine, 3 if it could not run: whole
batches are stored then, and a further run goes on.")]
pub(super) struct Arguments {
    /// What to copy: sqlite:FILE or postgres://…
    #[arg(long, value_name = "URL", required_unless_present = "resolve")]
    from: Option<String>,
    /// Where to: postgres://… or sqlite:FILE (made if it is not there)
    #[arg(long, value_name = "URL")]
    to: String,
    /// Do everything, undo it in the end, and report
    #[arg(long)]
    dry_run: bool,
    /// Copy these only
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Rows of a transaction, at most
    #[arg(long, value_name = "ROWS", default_value_t = BATCH_ROWS, value_parser = batch)]
    batch: usize,
    /// The source wins wherever both sides differ
    #[arg(long)]
    overwrite: bool,
    /// Mark a quarantined row as dealt with, by TABLE:KEY as reports name it, or `all`; copies nothing
    #[arg(long, value_name = "ROW", conflicts_with_all = ["from", "dry_run", "only", "overwrite"])]
    resolve: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", requires = "resolve", default_value = "")]
    reason: String,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The records
    Content,
    /// Their summaries
    Summaries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line a table, and the rows that want attention
    Text,
    /// One JSON document
    Json,
}

/// Which way to copy.
enum Way {
    Forth(PathBuf, String),
    Back(String, PathBuf),
}

fn batch(text: &str) -> Result<usize, String> {
    let rows: usize = text.parse().map_err(|_| "not a number of rows".to_owned())?;
    if (1..=100_000).contains(&rows) { Ok(rows) } else { Err("must be 1 to 100000 rows".to_owned()) }
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let terminal = std::io::stderr().is_terminal();
    // Progress goes to the log where there is no terminal; what the server notes while the schema comes is none.
    telemetry::init(if terminal { "warn" } else { "info,sqlx=warn" });
    if !arguments.resolve.is_empty() {
        return resolve(&arguments).await;
    }
    let way = match Way::of(&arguments) {
        Ok(way) => way,
        Err(why) => return failed(UNUSABLE, &why),
    };
    let options = arguments.options(terminal);
    let done = match &way {
        Way::Forth(from, to) => migrate::copy(from, to, &options).await,
        Way::Back(from, to) => migrate::back(from, to, &options).await,
    };
    match done {
        Ok(report) => told(&report, arguments.format),
        Err(MigrateError(why)) => failed(COULD_NOT_RUN, &why),
    }
}

fn told(report: &Report, format: Format) -> ExitCode {
    match format {
        Format::Text => print!("{report}"),
        Format::Json => println!("{}", serde_json::json!(report)),
    }
    ExitCode::from(if report.clean() { CLEAN } else { FOUND })
}

async fn resolve(arguments: &Arguments) -> ExitCode {
    if !is_postgres(&arguments.to) {
        return failed(UNUSABLE, "--to must be postgres://… with --resolve: the quarantine is kept there.");
    }
    match migrate::resolve(&arguments.to, &arguments.resolve, &arguments.reason).await {
        Ok((resolved, unknown)) if unknown.is_empty() => {
            println!("{resolved} quarantined rows are resolved.");
            ExitCode::from(CLEAN)
        }
        Ok((resolved, unknown)) => {
            println!("{resolved} quarantined rows are resolved.");
            let why = format!(
                "No open row in quarantine is called {}; `flipgate verify` lists them as TABLE:KEY.",
                unknown.join(", ")
            );
            failed(FOUND, &why)
        }
        Err(MigrateError(why)) => failed(COULD_NOT_RUN, &why),
    }
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

// === impl Arguments ===

impl Arguments {
    fn options(&self, terminal: bool) -> Options {
        let wanted = |part| self.only.is_empty() || self.only.contains(&part);
        Options {
            dry_run: self.dry_run,
            content: wanted(Part::Content),
            summaries: wanted(Part::Summaries),
            batch: self.batch,
            overwrite: self.overwrite,
            progress: terminal,
        }
    }
}

// === impl Way ===

impl Way {
    fn of(arguments: &Arguments) -> Result<Self, String> {
        let from = arguments.from.as_deref().unwrap_or_default();
        let to = arguments.to.as_str();
        match (from.strip_prefix("sqlite:"), to.strip_prefix("sqlite:")) {
            (Some(file), None) if is_postgres(to) => {
                check_sqlite(Path::new(file))?;
                Ok(Self::Forth(file.into(), to.to_owned()))
            }
            (None, Some(file)) if is_postgres(from) => {
                if Path::new(file).exists() {
                    check_sqlite(Path::new(file))?;
                }
                Ok(Self::Back(from.to_owned(), file.into()))
            }
            _ => Err("--from and --to must be sqlite:FILE and postgres://…, in either direction.".to_owned()),
        }
    }
}
