//! `flipgate migrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed};
use crate::config::check_sqlite;
use crate::telemetry;

/// Bring schema and rows of a SQLite library into PostgreSQL; any number of runs ends in the same state.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flipgate migrate --from sqlite:library.db --to postgres://user@db/library

Not built yet: --dry-run, --only, the way back, conflict handling for rows changed on both sides (the source wins).")]
pub(super) struct Arguments {
    /// The library to copy: sqlite:FILE
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database to fill: postgres://…
    #[arg(long, value_name = "URL")]
    to: String,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line a table
    Text,
    /// One JSON document
    Json,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    let Some(path) = arguments.from.strip_prefix("sqlite:") else {
        return failed(UNUSABLE, "--from must be sqlite:FILE; copying from another store is not built yet");
    };
    if !arguments.to.starts_with("postgres://") && !arguments.to.starts_with("postgresql://") {
        return failed(UNUSABLE, "--to must be postgres://…; copying to another store is not built yet");
    }
    let path = PathBuf::from(path);
    if let Err(why) = check_sqlite(&path) {
        return failed(UNUSABLE, &why);
    }
    let report = match crate::migrate::run(&path, &arguments.to).await {
        Ok(report) => report,
        Err(error) => return failed(COULD_NOT_RUN, &error.to_string()),
    };
    match arguments.format {
        Format::Text => {
            for table in &report.tables {
                println!(
                    "{}: {} read, {} inserted, {} updated, {} unchanged, {} quarantined",
                    table.table,
                    table.read,
                    table.inserted,
                    table.updated,
                    table.unchanged,
                    table.quarantined
                );
            }
        }
        Format::Json => println!("{}", serde_json::json!(report)),
    }
    let quarantined = report.tables.iter().any(|table| table.quarantined > 0);
    ExitCode::from(if quarantined { FOUND } else { CLEAN })
}
