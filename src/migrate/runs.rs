//! Copies that wrote something, noted so that a flipgate which gathers evidence learns of them.

use sqlx::postgres::PgConnection;

use super::report::TableReport;

/// Notes a copy that wrote something.
pub(super) async fn note(connection: &mut PgConnection, tables: &[TableReport]) -> Result<(), sqlx::Error> {
    let wrote = tables.iter().any(|table| table.inserted + table.updated + table.deleted > 0);
    if wrote {
        sqlx::query("INSERT INTO migration_runs DEFAULT VALUES").execute(connection).await?;
    }
    Ok(())
}

/// The last copy that wrote something; none where none did yet, or the schema is an older one.
pub(crate) async fn last_run(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('migration_runs') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(None);
    }
    // 0 where none did: so the first one is another one.
    sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM migration_runs")
        .fetch_one(connection)
        .await
        .map(Some)
}
