//! `flipgate tombstones`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::migrate::is_postgres;
use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed, print};
use crate::config::{Environment, check_sqlite};
use crate::migrate::MigrateError;
use crate::migrate::escaped;
use crate::migrate::tombstones::desk::{Clearing, Desk, Keeper, Listed, Tombstone};
use crate::telemetry;

/// Tell which records were deleted and must not come back, and let one come back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate tombstones list --postgres postgres://user@db/library
  flipgate tombstones list --postgres postgres://user@db/library --format json | jq '.tombstones[].id'
  flipgate tombstones clear yt:abc --postgres postgres://user@db/library --sqlite sqlite:library.db

PostgreSQL is --postgres, else FLIPGATE_POSTGRES, else DATABASE_URL. With --sqlite the tombstones in that library count,
too: a library that flipgate has written into has some. A named one was deleted although nothing of that name was there,
and holds every record of that id or video.

Ends with 0 if it is done, 1 if no tombstone has a name given, 2 if the arguments are unusable, 3 if it could not run.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The PostgreSQL library: postgres://…
    #[arg(long, value_name = "URL", global = true)]
    postgres: Option<String>,
    /// The SQLite library, too: sqlite:FILE
    #[arg(long, value_name = "URL", global = true)]
    sqlite: Option<String>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what was deleted, newest first.
    List {
        /// Tombstones to tell, at most
        #[arg(long, value_name = "ROWS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Remove tombstones: the next copy, or the next write, may bring the record back.
    Clear {
        /// Which: the record's id, or its video's id, with or without yt:
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line a tombstone
    Text,
    /// One JSON document
    Json,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    let (postgres, sqlite) = match arguments.stores(&Environment::of_process()) {
        Ok(stores) => stores,
        Err(why) => return failed(UNUSABLE, &why),
    };
    let desk = Desk { postgres: &postgres, sqlite: sqlite.as_deref() };
    let done = match &arguments.command {
        Command::List { limit } => {
            desk.list(*limit).await.map(|listed| (arguments.format.listed(&listed), Vec::new()))
        }
        Command::Clear { ids } => {
            desk.clear(ids).await.map(|done| (arguments.format.cleared(&done), done.unknown))
        }
    };
    let (text, unknown) = match done {
        Ok(done) => done,
        Err(MigrateError(why)) => return failed(COULD_NOT_RUN, &why),
    };
    match print(text.as_bytes()) {
        Err(why) => failed(COULD_NOT_RUN, &why),
        Ok(()) if unknown.is_empty() => ExitCode::from(CLEAN),
        Ok(()) => {
            let names: Vec<String> = unknown.iter().map(|name| escaped(name)).collect();
            let why = format!(
                "No tombstone has the id or the video {}; `flipgate tombstones list` shows what there is.",
                names.join(", ")
            );
            failed(FOUND, &why)
        }
    }
}

// === impl Arguments ===

impl Arguments {
    /// PostgreSQL's URL and the library's file.
    fn stores(&self, environment: &Environment) -> Result<(String, Option<PathBuf>), String> {
        let postgres = match &self.postgres {
            Some(url) if is_postgres(url) => url.clone(),
            Some(_) => return Err("--postgres must be postgres://….".to_owned()),
            // In a deployment the first may be the address of the dashboard.
            None => ["FLIPGATE_POSTGRES", "DATABASE_URL"]
                .iter()
                .filter_map(|name| environment.get(name))
                .find(|url| is_postgres(url))
                .ok_or_else(|| {
                    "No PostgreSQL is named; say --postgres postgres://…, or set DATABASE_URL.".to_owned()
                })?,
        };
        let Some(url) = &self.sqlite else { return Ok((postgres, None)) };
        let file = url.strip_prefix("sqlite:").unwrap_or(url);
        check_sqlite(Path::new(file))?;
        Ok((postgres, Some(file.into())))
    }
}

// === impl Format ===

impl Format {
    fn listed(self, listed: &Listed) -> String {
        match self {
            Self::Text => list(listed),
            Self::Json => format!("{:#}\n", json!(listed)),
        }
    }

    fn cleared(self, clearing: &Clearing) -> String {
        match self {
            Self::Text => cleared(clearing),
            Self::Json => format!("{:#}\n", json!(clearing)),
        }
    }
}

fn list(listed: &Listed) -> String {
    let mut text = String::new();
    for stone in &listed.tombstones {
        text.push_str(&line(stone));
    }
    let count = listed.tombstones.len();
    if listed.cut {
        text.push_str(&format!("The {count} newest are told, and there are more; --limit tells more.\n"));
    } else {
        text.push_str(&number(count, "there"));
    }
    text
}

fn line(stone: &Tombstone) -> String {
    let Tombstone { id, video_id, deleted_at, deleted_by, named, stores } = stone;
    let video = video_id.as_deref().map_or_else(|| "-".to_owned(), escaped);
    let by = deleted_by.as_deref().map_or_else(|| "-".to_owned(), escaped);
    let stores: Vec<&str> = stores.iter().map(|store| store.name()).collect();
    let named = if *named { "  named" } else { "" };
    format!(
        "{}  {video}  {}  by {by}  in {}{named}\n",
        escaped(id),
        escaped(deleted_at),
        stores.join(" and ")
    )
}

fn cleared(clearing: &Clearing) -> String {
    let mut text = String::new();
    for gone in &clearing.cleared {
        let video =
            gone.video_id.as_deref().map_or_else(String::new, |video| format!(" (video {})", escaped(video)));
        text.push_str(&format!("{}{video} in {}\n", escaped(&gone.id), gone.store.name()));
    }
    text.push_str(&number(clearing.cleared.len(), "cleared"));
    text
}

fn number(count: usize, what: &str) -> String {
    if count == 1 { format!("1 tombstone is {what}.\n") } else { format!("{count} tombstones are {what}.\n") }
}

// === impl Keeper ===

impl Keeper {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}
