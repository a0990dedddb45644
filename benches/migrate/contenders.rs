//! The ways of the same rows into the same tables.

use std::path::Path;

use crate::dump::Dump;
use crate::inserts;
use crate::lab::{Database, FLIPGATE, Lab};
use crate::measure::{Spent, measured};

/// Who runs in a round, in this order.
pub(crate) const ORDER: [Contender; 6] = [
    Contender::Floor,
    Contender::Migrate,
    Contender::Pgloader,
    Contender::Inserts,
    Contender::Verify,
    Contender::PgloaderSqlite,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    /// `psql \copy` from the dump.
    Floor,
    Migrate,
    /// pgloader from the dump.
    Pgloader,
    /// One INSERT a row.
    Inserts,
    /// `flipgate verify` of what `flipgate migrate` left.
    Verify,
    /// pgloader from SQLite into plain tables of its own making.
    PgloaderSqlite,
}

// === impl Contender ===

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => r"psql \copy from a dump (the floor)",
            Self::Migrate => "flipgate migrate",
            Self::Pgloader => "pgloader from the dump",
            Self::Inserts => "one INSERT a row, one transaction",
            Self::Verify => "flipgate verify",
            Self::PgloaderSqlite => "pgloader from SQLite, plain tables",
        }
    }

    /// Its name among the goals.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Floor => "the floor",
            Self::Migrate => "migrate",
            Self::Pgloader | Self::PgloaderSqlite => "pgloader",
            Self::Inserts => "INSERTs",
            Self::Verify => "verify",
        }
    }

    /// Whether a run without it is still worth something.
    pub(crate) fn may_be_missing(self) -> bool {
        match self {
            Self::Verify | Self::PgloaderSqlite => true,
            Self::Floor | Self::Migrate | Self::Pgloader | Self::Inserts => false,
        }
    }

    /// One run into a database of its own, or why there was none.
    pub(crate) async fn run(self, lab: &Lab, dump: &Dump) -> Result<Spent, String> {
        let database = lab.fresh().await;
        let spent = match self {
            Self::Floor => floor(&database, dump).await,
            Self::Migrate => lab.migrate(&lab.library(), &database.url).await,
            Self::Pgloader => pgloader(lab, &load_command(&database, dump)).await,
            Self::Inserts => Ok(inserts::run(&database, dump).await),
            Self::Verify => verify(lab, &database).await,
            Self::PgloaderSqlite => pgloader(lab, &sqlite_command(&lab.library(), &database)).await,
        };
        match self {
            Self::PgloaderSqlite => {}
            Self::Verify if spent.is_err() => {}
            Self::Verify | Self::Floor | Self::Migrate | Self::Pgloader | Self::Inserts => {
                dump.assert_is_in(&database).await;
            }
        }
        lab.remove(database).await;
        spent
    }
}

async fn floor(database: &Database, dump: &Dump) -> Result<Spent, String> {
    let commands: Vec<String> = dump.tables.iter().map(crate::dump::Table::copy_from).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    database.psql(&commands).await
}

async fn verify(lab: &Lab, database: &Database) -> Result<Spent, String> {
    if measured(FLIPGATE, &["verify", "--help"]).await.is_err() {
        return Err("this flipgate has no `verify`".to_owned());
    }
    lab.migrate(&lab.library(), &database.url).await?;
    let sqlite = format!("sqlite:{}", lab.library().display());
    // Writing out what the copy left is not verify's work.
    database.psql(&["CHECKPOINT"]).await?;
    let spent = measured(FLIPGATE, &["verify", "--sqlite", &sqlite, "--postgres", &database.url]).await;
    Ok(spent.unwrap_or_else(|why| panic!("what was just copied must verify: {why}")))
}

async fn pgloader(lab: &Lab, command: &str) -> Result<Spent, String> {
    let file = lab.file("pgloader.load");
    std::fs::write(&file, command).unwrap();
    let logs = lab.file("pgloader");
    let arguments = ["--dynamic-space-size", "4096", "--root-dir"];
    let arguments = [&arguments[..], &[logs.to_str().unwrap(), file.to_str().unwrap()]].concat();
    measured("pgloader", &arguments).await
}

/// The very files that psql copies from. Bounds keep its reader from filling its heap with rows of 10 KB.
fn load_command(database: &Database, dump: &Dump) -> String {
    let loads = dump.tables.iter().map(|table| {
        format!(
            "LOAD COPY FROM copy://{file} ({columns}) INTO {url} TARGET TABLE {name} ({columns})
             WITH prefetch rows = 10000, batch rows = 10000, batch size = 20MB;\n",
            file = table.file.display(),
            columns = table.names(),
            url = pgloader_url(database),
            name = table.name,
        )
    });
    loads.collect()
}

fn sqlite_command(library: &Path, database: &Database) -> String {
    format!(
        "LOAD DATABASE FROM sqlite://{} INTO {}
         WITH include no drop, create tables, create indexes, reset sequences, prefetch rows = 10000,
              batch rows = 10000, batch size = 20MB
         BEFORE LOAD DO $$ DROP TABLE content, content_summaries CASCADE; $$;\n",
        library.display(),
        pgloader_url(database)
    )
}

fn pgloader_url(database: &Database) -> String {
    format!("postgresql://flipgate@unix:{}:5432/{}", database.socket(), database.name)
}
