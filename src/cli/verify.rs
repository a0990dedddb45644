//! `flipgate verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::migrate::is_postgres;
use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed};
use crate::config::check_sqlite;
use crate::migrate::MigrateError;
use crate::telemetry;
use crate::verify::{self, Format, Options};

/// Compare both stores row by row and column by column.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate verify --sqlite sqlite:library.db --postgres postgres://user@db/library
  flipgate verify --sqlite sqlite:library.db --postgres postgres://user@db/library --expect-subcategories 67
  flipgate verify --sqlite sqlite:library.db --postgres postgres://user@db/library --format junit > verify.xml

Both may be in use: what differs is read again until two readings agree. A row that PostgreSQL could not store is in
quarantine (`flipgate migrate --resolve` deals with it); one whose record was deleted there is not missed.

Ends with 0 if both hold the same library, 1 if not, 3 if one of them cannot be read.")]
pub(super) struct Arguments {
    /// The SQLite library: sqlite:FILE
    #[arg(long, value_name = "URL")]
    sqlite: String,
    /// The PostgreSQL library: postgres://…
    #[arg(long, value_name = "URL")]
    postgres: String,
    /// Fail if either side has fewer records with curated subcategories
    #[arg(long, value_name = "RECORDS")]
    expect_subcategories: Option<u64>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    let Some(file) = arguments.sqlite.strip_prefix("sqlite:").map(PathBuf::from) else {
        return failed(UNUSABLE, "--sqlite must be sqlite:FILE.");
    };
    if let Err(why) = check_sqlite(Path::new(&file)) {
        return failed(UNUSABLE, &why);
    }
    if !is_postgres(&arguments.postgres) {
        return failed(UNUSABLE, "--postgres must be postgres://….");
    }
    let options = Options { expect_subcategories: arguments.expect_subcategories };
    match verify::run(&file, &arguments.postgres, &options).await {
        Ok(verification) => {
            print!("{}", verification.print(arguments.format));
            ExitCode::from(if verification.clean { CLEAN } else { FOUND })
        }
        Err(MigrateError(why)) => failed(COULD_NOT_RUN, &why),
    }
}
