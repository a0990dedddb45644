//! Source rows that cannot be stored, kept whole with the reason until they are stored or resolved.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;

use super::cell::Cell;
use super::row::{Row, Table};
use super::target::blames_row;

/// Bytes of a cell that quarantine keeps even where the whole row is more than a document can be.
const KEPT_BYTES: usize = 64 * 1024;

/// The quarantine as one run sees it.
pub(super) struct Quarantine {
    /// Start of the run by the server's clock.
    since: DateTime<Utc>,
}

// === impl Quarantine ===

impl Quarantine {
    /// Begins a run.
    pub(super) async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let since = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
        Ok(Self { since })
    }

    /// Keeps a row; says whether it was resolved, and is still the same row.
    pub(super) async fn put(
        &self,
        connection: &mut PgConnection,
        table: Table,
        name: &str,
        row: &Row,
        reason: &str,
    ) -> Result<bool, sqlx::Error> {
        let mut savepoint = connection.begin().await?;
        match insert(&mut savepoint, table, name, &row.exact(), reason).await {
            Ok(resolved) => {
                savepoint.commit().await?;
                Ok(resolved)
            }
            Err(error) if blames_row(&error) => {
                savepoint.rollback().await?;
                let reason = format!("{reason}; its large cells stay in the source alone");
                insert(connection, table, name, &reduced(row), &reason).await
            }
            Err(error) => Err(error),
        }
    }

    /// Names in quarantine of one table.
    pub(super) async fn names(
        &self,
        connection: &mut PgConnection,
        table: Table,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let sql = "SELECT source_key FROM migration_quarantine WHERE source_table = $1";
        let names: Vec<String> = sqlx::query_scalar(sql).bind(table.name()).fetch_all(connection).await?;
        Ok(names.into_iter().collect())
    }

    /// Lets a row go that is stored by now.
    pub(super) async fn release(
        &self,
        connection: &mut PgConnection,
        table: Table,
        name: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM migration_quarantine WHERE source_table = $1 AND source_key = $2")
            .bind(table.name())
            .bind(name)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Says of the rows that this run did not see that they are not in its source. They stay: it may not be the only one.
    pub(super) async fn note_absent(
        &self,
        connection: &mut PgConnection,
        table: Table,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE migration_quarantine SET reason = 'not in the source that was copied last; ' || reason \
             WHERE source_table = $1 AND last_seen < $2 AND reason NOT LIKE 'not in the source that was copied last; %'",
        )
        .bind(table.name())
        .bind(self.since)
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn insert(
    connection: &mut PgConnection,
    table: Table,
    name: &str,
    row: &Value,
    reason: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO migration_quarantine AS q (source_table, source_key, reason, source_row, first_seen, last_seen) \
         VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp()) \
         ON CONFLICT (source_table, source_key) DO UPDATE SET reason = excluded.reason, \
         source_row = excluded.source_row, last_seen = excluded.last_seen, \
         resolved_at = CASE WHEN q.source_row = excluded.source_row THEN q.resolved_at END, \
         resolution = CASE WHEN q.source_row = excluded.source_row THEN q.resolution END \
         RETURNING resolved_at IS NOT NULL",
    )
    .bind(table.name())
    .bind(name)
    .bind(reason)
    .bind(Json(row))
    .fetch_one(connection)
    .await
}

/// The row without cells that make it too large.
fn reduced(row: &Row) -> Value {
    let cell = |(name, cell): (&str, &Cell)| {
        let exact =
            if cell.size() > KEPT_BYTES { json!({ "omitted_bytes": cell.size() }) } else { cell.exact() };
        (name.to_owned(), exact)
    };
    Value::Object(row.cells().map(cell).collect())
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
