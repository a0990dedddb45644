//! The state store of one flipgate: a SQLite file in the state directory. What was answered 200 is on disk before.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

mod owed;
mod record;

pub use self::owed::Owed;
pub use self::record::{Epoch, Latch, Position, Stored};

pub mod shared;

/// Schema, idempotent. One row says who is primary; the audit only grows.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS cutover (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        dial INTEGER NOT NULL CHECK (dial BETWEEN 0 AND 100),
        since TEXT NOT NULL,
        version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        action TEXT NOT NULL,
        from_primary TEXT NOT NULL,
        to_primary TEXT NOT NULL,
        trigger TEXT NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL,
        forced INTEGER NOT NULL,
        evidence TEXT NOT NULL
    ) STRICT;";
/// What later versions added, in order; `user_version` counts those that the file has.
const MIGRATIONS: &[&str] = &[
    "
    ALTER TABLE audit ADD COLUMN finding TEXT;
    CREATE TABLE judgements (
        finding TEXT PRIMARY KEY,
        document TEXT NOT NULL
    ) STRICT;",
    "
    ALTER TABLE cutover ADD COLUMN document TEXT;
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;",
];
/// Audit entries answered at most.
pub(crate) const AUDIT_PAGE: i64 = 1000;

/// The store. Its calls block on the disk: call them from a thread that may wait.
#[derive(Debug, Clone)]
pub struct StateStore {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

/// One audited change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, RFC 3339.
    pub at: String,
    /// `flip`, `rollback`, `accept`, `reopen`, `resolve`, `write_retry` or `write_discard`, among others.
    pub action: String,
    /// Before: the primary, or the finding's or the write's state.
    pub from: String,
    /// After, likewise.
    pub to: String,
    /// Who: `operator`, or `flipgate` itself.
    pub trigger: String,
    /// From where: the caller's address.
    pub source: String,
    /// Why, in the caller's words.
    pub reason: String,
    /// Whether it overrode the gate.
    pub forced: bool,
    /// The readiness document, the finding, or the write, at that moment.
    pub evidence: serde_json::Value,
    /// The finding it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

/// Why the state cannot be kept, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory cannot be made.
    #[error("state directory {}: {source}; choose another with --state-dir", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another flipgate holds it.
    #[error("state directory {} is in use by another flipgate; give each its own --state-dir", .0.display())]
    InUse(PathBuf),
    /// The thread that did it ended.
    #[error("the state was not written: {0}; try again")]
    Interrupted(String),
    /// Nothing is known here, and the state store of all replicas cannot say.
    #[error(
        "{0} Nothing is known on this replica yet, so it cannot start without the state store; check --state"
    )]
    Shared(String),
    /// The file cannot be read or written.
    #[error("state file {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

// === impl StateStore ===

impl StateStore {
    /// Opens or makes the store in `directory` and holds it against a second flipgate.
    ///
    /// # Errors
    /// [`StateError`] says which file and why.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| StateError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join("flipgate.db");
        let opened = Connection::open(&path).and_then(|mut connection| {
            connection.busy_timeout(std::time::Duration::ZERO)?;
            // An exclusive lock that is kept: two processes with one state would each believe its own primary.
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            migrate(&mut connection)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Ok(StateStore { connection: Arc::new(Mutex::new(connection)), path }),
            Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                Err(StateError::InUse(directory.to_owned()))
            }
            Err(source) => Err(StateError::File { path, source }),
        }
    }

    /// What is committed, if a state exists.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(&self) -> Result<Option<Stored>, StateError> {
        self.with(|connection| {
            let query = "SELECT dial, since, version, document FROM cutover";
            let read = |row: &rusqlite::Row<'_>| {
                let document: Option<String> = row.get(3)?;
                let known = document.and_then(|document| serde_json::from_str(&document).ok());
                let (dial, since, version): (u8, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let since = DateTime::parse_from_rfc3339(&since)
                    .map_or_else(|_| Utc::now(), |time| time.with_timezone(&Utc));
                Ok(known.unwrap_or_else(|| Stored::of_the_first_version(dial, since, version)))
            };
            connection.query_row(query, [], read).optional()
        })
    }

    /// Stores what is committed, and why, in one transaction that is on disk when this returns.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn save(&self, stored: &Stored, audit: Option<&AuditEntry>) -> Result<(), StateError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            put(&transaction, stored)?;
            if let Some(entry) = audit {
                note(&transaction, entry)?;
            }
            transaction.commit()
        })
    }

    /// A fact of this state directory.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn fact(&self, name: &str) -> Result<Option<String>, StateError> {
        self.with(|connection| fact(connection, name))
    }

    /// Keeps a fact of this state directory.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn keep_fact(&self, name: &str, value: &str) -> Result<(), StateError> {
        self.with(|connection| put_fact(connection, name, value))
    }

    /// Stores what an operator accepted of a finding, or that it is open again, and why, in one transaction that is on
    /// disk when this returns.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn judge(
        &self,
        finding: &str,
        accepted: Option<&serde_json::Value>,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM judgements WHERE finding = ?1", [finding])?;
            if let Some(accepted) = accepted {
                transaction.execute(
                    "INSERT INTO judgements (finding, document) VALUES (?1, ?2)",
                    params![finding, accepted.to_string()],
                )?;
            }
            note(&transaction, entry)?;
            transaction.commit()
        })
    }

    /// Stores what is accepted by what all replicas know, and nothing else. It is in their audit.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn keep_judgements(&self, judgements: &[(String, String)]) -> Result<(), StateError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM judgements", [])?;
            for judgement in judgements {
                let insert = "INSERT INTO judgements (finding, document) VALUES (?1, ?2)";
                transaction.execute(insert, params![judgement.0, judgement.1])?;
            }
            transaction.commit()
        })
    }

    /// What is accepted: the finding's id and the document given to [`StateStore::judge`].
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn judgements(&self) -> Result<Vec<(String, String)>, StateError> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT finding, document FROM judgements")?;
            let judgements = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            judgements.collect()
        })
    }

    /// Adds to the audit what changes nothing here; on disk when this returns.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn note(&self, entry: &AuditEntry) -> Result<(), StateError> {
        self.with(|connection| note(connection, entry))
    }

    /// The latest changes, newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEntry>, StateError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at, action, from_primary, to_primary, trigger, source, reason, forced, evidence, finding
                 FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let entries = statement.query_map([AUDIT_PAGE], |row| {
                let evidence: String = row.get(8)?;
                Ok(AuditEntry {
                    at: row.get(0)?,
                    action: row.get(1)?,
                    from: row.get(2)?,
                    to: row.get(3)?,
                    trigger: row.get(4)?,
                    source: row.get(5)?,
                    reason: row.get(6)?,
                    forced: row.get(7)?,
                    evidence: serde_json::from_str(&evidence).unwrap_or_default(),
                    finding: row.get(9)?,
                })
            })?;
            entries.collect()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|source| StateError::File { path: self.path.clone(), source })
    }
}

/// Brings the schema up to date, however old the file is.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    let done: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let migrations = (1_u32..).zip(MIGRATIONS).filter(|(version, _)| *version > done);
    for (version, migration) in migrations {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()
}

fn put(connection: &Connection, stored: &Stored) -> rusqlite::Result<()> {
    let document =
        serde_json::to_string(stored).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    connection.execute(
        "INSERT INTO cutover (one, dial, since, version, document) VALUES (1, ?1, ?2, ?3, ?4)
         ON CONFLICT (one) DO UPDATE SET dial = ?1, since = ?2, version = ?3, document = ?4",
        params![stored.dial, rfc3339(stored.since), stored.version, document],
    )?;
    Ok(())
}

fn fact(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM facts WHERE name = ?1", [name], |row| row.get(0)).optional()
}

fn put_fact(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)", [name, value])?;
    Ok(())
}

fn note(connection: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO audit
             (at, action, from_primary, to_primary, trigger, source, reason, forced, evidence, finding)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            entry.at,
            entry.action,
            entry.from,
            entry.to,
            entry.trigger,
            entry.source,
            entry.reason,
            entry.forced,
            entry.evidence.to_string(),
            entry.finding
        ],
    )?;
    Ok(())
}

/// A time as the contract writes it.
#[must_use]
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
