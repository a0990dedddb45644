//! The audit of all replicas, and the transactions that must be on disk when they are answered.

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Executor as _, Transaction};

use super::{SharedError, SharedStore};
use crate::state::AuditEntry;

impl SharedStore {
    /// Adds to the audit; on disk when this returns.
    ///
    /// # Errors
    /// [`SharedError`]; after [`SharedError::Unreachable`] it may have been added all the same.
    pub async fn note(&self, audit: &[AuditEntry]) -> Result<(), SharedError> {
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = begin_durable(connection).await?;
                add(&mut transaction, audit).await?;
                transaction.commit().await
            })
            .await
    }

    /// The latest `most` entries, newest first. One that this flipgate cannot read is left out, with a warning.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn audit(&self, most: i64) -> Result<Vec<AuditEntry>, SharedError> {
        let documents: Vec<(i64, String)> = self
            .inner
            .connections
            .run(async |connection| {
                sqlx::query_as("SELECT id, document FROM flipgate.audit ORDER BY id DESC LIMIT $1")
                    .bind(most.max(0))
                    .fetch_all(connection)
                    .await
            })
            .await?;
        let read = |(id, document): (i64, String)| match serde_json::from_str(&document) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(id, %error, "an entry of the shared audit is of another flipgate and left out");
                None
            }
        };
        Ok(documents.into_iter().filter_map(read).collect())
    }
}

/// Begins a transaction whose commit waits for the disk, and for what standbys the server waits for.
pub(super) async fn begin_durable(
    connection: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // remote_apply waits for more than `on` does; all else waits for less.
    let sql = "SELECT set_config('synchronous_commit', 'on', true) \
               WHERE current_setting('synchronous_commit') <> 'remote_apply'";
    transaction.execute(sqlx::query(sql)).await?;
    Ok(transaction)
}

pub(super) async fn add(connection: &mut PgConnection, audit: &[AuditEntry]) -> Result<(), sqlx::Error> {
    if audit.is_empty() {
        return Ok(());
    }
    let documents: Result<Vec<String>, _> = audit.iter().map(serde_json::to_string).collect();
    let documents = documents.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let sql = "INSERT INTO flipgate.audit (document) SELECT document \
               FROM unnest($1::text[]) WITH ORDINALITY AS given (document, place) ORDER BY place";
    sqlx::query(sql).bind(documents).execute(connection).await?;
    Ok(())
}
