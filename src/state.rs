//! The state store of one flipgate: a SQLite file in the state directory. What was answered 200 is on disk before.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::side::Side;

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
const MIGRATIONS: &[&str] = &["
    ALTER TABLE audit ADD COLUMN finding TEXT;
    CREATE TABLE judgements (
        finding TEXT PRIMARY KEY,
        document TEXT NOT NULL
    ) STRICT;"];
/// Audit entries answered at most.
const AUDIT_PAGE: i64 = 1000;

/// The store. Its calls block on the disk: call them from a thread that may wait.
#[derive(Debug, Clone)]
pub struct StateStore {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

/// Who is primary, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Share of reads served by *to*: 0 or 100 so far.
    pub dial: u8,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Counts every change.
    pub version: i64,
}

/// One audited change.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    /// When, RFC 3339.
    pub at: String,
    /// `flip`, `rollback`, `accept`, `reopen` or `resolve`.
    pub action: String,
    /// Before: the primary, or the finding's state.
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
    /// The readiness document, or the finding, at that moment.
    pub evidence: serde_json::Value,
    /// The finding it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
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

    /// Who is primary, if a state exists.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(&self) -> Result<Option<Stored>, StateError> {
        self.with(|connection| {
            connection
                .query_row("SELECT dial, since, version FROM cutover", [], |row| {
                    let since: String = row.get(1)?;
                    Ok(Stored {
                        dial: row.get(0)?,
                        since: DateTime::parse_from_rfc3339(&since)
                            .map_or_else(|_| Utc::now(), |time| time.with_timezone(&Utc)),
                        version: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    /// Stores who is primary, and why, in one transaction that is on disk when this returns.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn save(&self, stored: &Stored, audit: Option<&AuditEntry>) -> Result<(), StateError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO cutover (one, dial, since, version) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT (one) DO UPDATE SET dial = ?1, since = ?2, version = ?3",
                params![stored.dial, rfc3339(stored.since), stored.version],
            )?;
            if let Some(entry) = audit {
                note(&transaction, entry)?;
            }
            transaction.commit()
        })
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

impl Stored {
    /// Who serves all reads, unless they are split.
    #[must_use]
    pub fn primary(&self) -> Option<Side> {
        match self.dial {
            0 => Some(Side::From),
            100 => Some(Side::To),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dial: u8, version: i64) -> Stored {
        let since = DateTime::parse_from_rfc3339("2026-01-02T03:04:05.678Z").unwrap().with_timezone(&Utc);
        Stored { dial, since, version }
    }

    #[test]
    fn what_was_saved_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::open(directory.path()).unwrap();
        assert_eq!(store.load().unwrap(), None);
        store.save(&stored(0, 1), None).unwrap();
        store.save(&stored(100, 2), None).unwrap();
        drop(store);
        assert_eq!(StateStore::open(directory.path()).unwrap().load().unwrap(), Some(stored(100, 2)));
    }

    #[test]
    fn a_second_flipgate_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let _first = StateStore::open(directory.path()).unwrap();
        let error = StateStore::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another flipgate"), "{error}");
    }

    fn entry(action: &str) -> AuditEntry {
        AuditEntry {
            at: rfc3339(stored(0, 1).since),
            action: action.to_owned(),
            from: "open".to_owned(),
            to: "accepted".to_owned(),
            trigger: "operator".to_owned(),
            source: "127.0.0.1:1".to_owned(),
            reason: "known".to_owned(),
            forced: false,
            evidence: serde_json::json!({"count": 3}),
            finding: Some("0a1b2c".to_owned()),
        }
    }

    #[test]
    fn a_file_of_the_first_version_is_taken_up() {
        let directory = tempfile::tempdir().unwrap();
        let old = Connection::open(directory.path().join("flipgate.db")).unwrap();
        old.execute_batch(SCHEMA).unwrap();
        old.execute_batch(
            "INSERT INTO cutover VALUES (1, 100, '2026-01-02T03:04:05.678Z', 2);
             INSERT INTO audit VALUES (1, 'x', 'flip', 'a', 'b', 'operator', '', 'why', 0, '{}');",
        )
        .unwrap();
        drop(old);
        for entries in 1..4 {
            let store = StateStore::open(directory.path()).unwrap();
            assert_eq!(store.load().unwrap(), Some(stored(100, 2)));
            let audit = store.audit().unwrap();
            assert_eq!(audit.len(), entries);
            assert_eq!(audit.last().unwrap().finding, None);
            store.judge("0a1b2c", None, &entry("reopen")).unwrap();
        }
    }

    #[test]
    fn a_judgement_and_its_audit_are_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::open(directory.path()).unwrap();
        let document = serde_json::json!({"note": "known"});
        store.judge("0a1b2c", Some(&document), &entry("accept")).unwrap();
        store.judge("0a1b2c", Some(&document), &entry("accept")).unwrap();
        drop(store);
        let store = StateStore::open(directory.path()).unwrap();
        assert_eq!(store.judgements().unwrap(), [("0a1b2c".to_owned(), document.to_string())]);
        assert_eq!(store.audit().unwrap()[0].finding.as_deref(), Some("0a1b2c"));
        store.judge("0a1b2c", None, &entry("reopen")).unwrap();
        assert!(store.judgements().unwrap().is_empty());
    }
}
