//! The server, the library and the directory that one run of the benchmark owns.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use flipgate::cluster::Cluster;
use tempfile::TempDir;

use crate::measure::{Spent, measured};
use crate::source;

/// Holds the schema and no row; every contender begins with a copy of it.
const TEMPLATE: &str = "migrated";

pub(crate) const FLIPGATE: &str = env!("CARGO_BIN_EXE_flipgate");

/// Dropping it stops the server and removes every file.
pub(crate) struct Lab {
    cluster: Cluster,
    directory: TempDir,
    next: AtomicU32,
}

/// A database of one contender.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) url: String,
}

// === impl Lab ===

impl Lab {
    /// Generates the library and brings up a server with the template.
    pub(crate) async fn open(rows: u32) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        let lab = Self { cluster, directory: tempfile::tempdir().unwrap(), next: AtomicU32::new(0) };
        for (file, rows) in [(lab.library(), rows), (lab.file("empty.db"), 0)] {
            tokio::task::spawn_blocking(move || source::generate(&file, rows)).await.unwrap();
        }
        lab.cluster.create_database(TEMPLATE, None).await.unwrap();
        lab.migrate(&lab.file("empty.db"), &lab.cluster.url(TEMPLATE)).await.unwrap();
        lab
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.file("library.db")
    }

    pub(crate) fn source_bytes(&self) -> u64 {
        std::fs::metadata(self.library()).unwrap().len()
    }

    /// A fresh database with the schema, on a server that has nothing left to do for the last one.
    pub(crate) async fn fresh(&self) -> Database {
        let name = format!("contender_{}", self.next.fetch_add(1, Ordering::SeqCst));
        self.cluster.create_database(&name, Some(TEMPLATE)).await.unwrap();
        let database = Database { url: self.cluster.url(&name), name };
        database.psql(&["CHECKPOINT"]).await.unwrap();
        database
    }

    /// Removes a database, so that no background work goes on in it and the disk stays free.
    pub(crate) async fn remove(&self, database: Database) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", database.name);
        psql(&self.cluster.url("postgres"), &[&drop]).await.unwrap();
    }

    pub(crate) async fn migrate(&self, from: &Path, to: &str) -> Result<Spent, String> {
        let from = format!("sqlite:{}", from.display());
        measured(FLIPGATE, &["migrate", "--from", &from, "--to", to]).await
    }
}

// === impl Database ===

impl Database {
    /// Runs commands, each in a transaction of its own.
    pub(crate) async fn psql(&self, commands: &[&str]) -> Result<Spent, String> {
        psql(&self.url, commands).await
    }

    /// Directory of the server's socket.
    pub(crate) fn socket(&self) -> &str {
        self.url.split_once("?host=").unwrap().1
    }
}

async fn psql(url: &str, commands: &[&str]) -> Result<Spent, String> {
    let mut arguments = vec!["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url];
    arguments.extend(commands.iter().flat_map(|command| ["-c", command]));
    measured("psql", &arguments).await
}
