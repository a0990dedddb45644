//! Source rows that cannot be stored, kept whole with the reason until they are stored, gone or resolved.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::types::Json;

use super::row::{Row, Table};

/// The quarantine as one run sees it.
pub(super) struct Quarantine {
    /// Start of the run by the server's clock.
    since: DateTime<Utc>,
}

impl Quarantine {
    /// Begins a run.
    pub(super) async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let since = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
        Ok(Self { since })
    }

    /// Keeps a row. One that was resolved stays so while it is the same.
    pub(super) async fn put(
        &self,
        connection: &mut PgConnection,
        table: Table,
        name: &str,
        row: &Row,
        reason: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO migration_quarantine AS q (source_table, source_key, reason, source_row, first_seen, last_seen) \
             VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp()) \
             ON CONFLICT (source_table, source_key) DO UPDATE SET reason = excluded.reason, \
             source_row = excluded.source_row, last_seen = excluded.last_seen, \
             resolved_at = CASE WHEN q.source_row = excluded.source_row THEN q.resolved_at END, \
             resolution = CASE WHEN q.source_row = excluded.source_row THEN q.resolution END",
        )
        .bind(table.name())
        .bind(name)
        .bind(reason)
        .bind(Json(row.exact()))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Forgets the rows of a table that this run did not put: they are stored by now, or gone from the source.
    pub(super) async fn forget_the_rest(
        &self,
        connection: &mut PgConnection,
        table: Table,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM migration_quarantine \
             WHERE source_table = $1 AND last_seen < $2 AND resolved_at IS NULL",
        )
        .bind(table.name())
        .bind(self.since)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Marks quarantined rows as dealt with: `TABLE:KEY` each, or `all`. Gives how many were open and now are not, and the
/// names that were not found.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    names: &[String],
    reason: &str,
) -> Result<(u64, Vec<String>), sqlx::Error> {
    let mut resolved = 0;
    let mut unknown = Vec::new();
    for name in names {
        let done = sqlx::query(
            "UPDATE migration_quarantine SET resolved_at = clock_timestamp(), resolution = $2 \
             WHERE resolved_at IS NULL AND ($1 = 'all' OR source_table || ':' || source_key = $1)",
        )
        .bind(name)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
        resolved += done.rows_affected();
        if done.rows_affected() == 0 && name != "all" {
            unknown.push(name.clone());
        }
    }
    Ok((resolved, unknown))
}

/// Rows that nobody has resolved.
pub(crate) async fn unresolved(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM migration_quarantine WHERE resolved_at IS NULL")
        .fetch_one(connection)
        .await
}
