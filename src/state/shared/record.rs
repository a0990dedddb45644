//! The committed record: one row, changed by compare-and-set.

use sqlx::postgres::PgConnection;

use super::audit::{add, begin_durable};
use super::{CHANNEL, Record, Set, SharedError, SharedStore};
use crate::state::AuditEntry;

/// A record as it is stored.
type Row = (i64, String);

impl SharedStore {
    /// What is committed, if anything is.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn record(&self) -> Result<Option<Record>, SharedError> {
        let row = self.inner.connections.run(async |connection| row(connection).await).await?;
        self.read(row)
    }

    /// Makes `next` the record and adds `audit`, if the record's version is `expected` (none: if there is no record).
    /// One transaction, on the server's disk when this says [`Set::Done`]; all replicas that listen are told.
    ///
    /// # Errors
    /// [`SharedError`]. After [`SharedError::Unreachable`] it may have been done all the same, if the connection was
    /// lost between the commit and its answer: read the record to know.
    pub async fn compare_and_set(
        &self,
        expected: Option<i64>,
        next: &Record,
        audit: &[AuditEntry],
    ) -> Result<Set, SharedError> {
        let found = self
            .inner
            .connections
            .run(async |connection| {
                let mut transaction = begin_durable(connection).await?;
                if !write(&mut transaction, expected, next).await? {
                    let found = row(&mut transaction).await?;
                    transaction.rollback().await?;
                    return Ok(Err(found));
                }
                add(&mut transaction, audit).await?;
                notify(&mut transaction, &next.version.to_string()).await?;
                transaction.commit().await.map(Ok)
            })
            .await?;
        match found {
            Ok(()) => Ok(Set::Done),
            Err(row) => self.read(row).map(Set::Conflict),
        }
    }

    fn read(&self, row: Option<Row>) -> Result<Option<Record>, SharedError> {
        let Some((version, document)) = row else { return Ok(None) };
        match serde_json::from_str(&document) {
            Ok(document) => Ok(Some(Record { version, document })),
            Err(error) => Err(SharedError::unreadable(self.inner.connections.target(), "a record", &error)),
        }
    }
}

/// Tells all replicas that listen, once the transaction is committed.
pub(super) async fn notify(connection: &mut PgConnection, payload: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(connection).await?;
    Ok(())
}

async fn row(connection: &mut PgConnection) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as("SELECT version, document FROM flipgate.record").fetch_optional(connection).await
}

/// Writes the record if it is as expected. Who comes second waits for the first and then sees what that one wrote.
async fn write(
    connection: &mut PgConnection,
    expected: Option<i64>,
    next: &Record,
) -> Result<bool, sqlx::Error> {
    let document = next.document.to_string();
    let query = match expected {
        None => sqlx::query(
            "INSERT INTO flipgate.record (version, document) VALUES ($1, $2) ON CONFLICT (one) DO NOTHING",
        ),
        Some(_) => sqlx::query(
            "UPDATE flipgate.record SET version = $1, document = $2, written_at = now() WHERE version = $3",
        ),
    };
    let query = query.bind(next.version).bind(document);
    let query = match expected {
        None => query,
        Some(expected) => query.bind(expected),
    };
    Ok(query.execute(connection).await?.rows_affected() == 1)
}
