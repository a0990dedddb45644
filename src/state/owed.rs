//! A rollback of this replica that the state store of all replicas does not know of yet, on this replica's disk.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, StateError, StateStore, Stored, fact, note, put, put_fact};

/// The fact that says what is owed, as JSON.
const OWED: &str = "owed";

/// What the state store of all replicas has to be told yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Owed {
    /// The turn that was taken back: if the dial was set to 0 after it, it was taken back by somebody else as well.
    pub turn: i64,
    /// What the audit has to say of it.
    pub entries: Vec<AuditEntry>,
}

/// As versions wrote it that did not keep the turn.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Owed(Owed),
    Entries(Vec<AuditEntry>),
}

// === impl Owed ===

impl Owed {
    fn read(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Written::Owed(owed)) => owed,
            Ok(Written::Entries(entries)) => Owed { turn: i64::MAX, entries },
            // What cannot be read is owed all the same: another flipgate's entries are lost, not its rollback.
            Err(_) => Owed { turn: i64::MAX, entries: Vec::new() },
        }
    }
}

// === impl StateStore ===

impl StateStore {
    /// Stores what is in force, what is owed (none: nothing is) and audit entries, in one transaction that is on disk
    /// when this returns.
    ///
    /// # Errors
    /// If it is not on disk.
    pub fn keep(
        &self,
        stored: &Stored,
        owed: Option<&Owed>,
        entries: &[AuditEntry],
    ) -> Result<(), StateError> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            put(&transaction, stored)?;
            for entry in entries {
                note(&transaction, entry)?;
            }
            match owed {
                Some(owed) => put_fact(&transaction, OWED, &serde_json::json!(owed).to_string())?,
                None => forgive(&transaction)?,
            }
            transaction.commit()
        })
    }

    /// What the state store of all replicas has to be told yet; none where nothing is owed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn owed(&self) -> Result<Option<Owed>, StateError> {
        self.with(|connection| Ok(fact(connection, OWED)?.map(|text| Owed::read(&text))))
    }
}

fn forgive(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM facts WHERE name = ?1", [OWED]).map(|_| ())
}
