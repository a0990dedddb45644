//! Source rows that cannot be stored, kept whole with the reason until they are stored, gone or resolved.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPool;
use sqlx::types::Json;
use sqlx::{Postgres, Transaction};

use super::source::{SourceRow, Table};

/// The quarantine as one run sees it.
pub(super) struct Quarantine {
    /// Start of the run by the server's clock.
    since: DateTime<Utc>,
}

impl Quarantine {
    /// Begins a run.
    pub(super) async fn begin(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let since = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await?;
        Ok(Self { since })
    }

    /// Keeps a row. One that was resolved stays so while it is the same.
    pub(super) async fn put(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        table: Table,
        row: &SourceRow,
        reason: &str,
    ) -> Result<(), sqlx::Error> {
        tracing::warn!(table = table.name(), key = row.key, reason, "a row is quarantined");
        sqlx::query(
            "INSERT INTO migration_quarantine AS q (source_table, source_key, reason, source_row, first_seen, last_seen) \
             VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp()) \
             ON CONFLICT (source_table, source_key) DO UPDATE SET reason = excluded.reason, \
             source_row = excluded.source_row, last_seen = excluded.last_seen, \
             resolved_at = CASE WHEN q.source_row = excluded.source_row THEN q.resolved_at END, \
             resolution = CASE WHEN q.source_row = excluded.source_row THEN q.resolution END",
        )
        .bind(table.name())
        .bind(&row.key)
        .bind(reason)
        .bind(Json(row.exact()))
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    /// Forgets the rows of a table that this run did not put: they are stored by now, or gone from the source.
    pub(super) async fn forget_the_rest(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        table: Table,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM migration_quarantine \
             WHERE source_table = $1 AND last_seen < $2 AND resolved_at IS NULL",
        )
        .bind(table.name())
        .bind(self.since)
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}
