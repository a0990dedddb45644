//! `migrations/`, embedded and applied by sqlx's migrator: each once, in order, under a lock.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, SqlSafeStr as _};
use sqlx_core::migrate::{MigrateError as SchemaError, Migration, MigrationType, Migrator};

use super::MigrateError;
use crate::pg::Target;

const MIGRATIONS: [(i64, &str, &str); 9] = [
    (1, "content", include_str!("../../migrations/0001_content.sql")),
    (2, "shown", include_str!("../../migrations/0002_shown.sql")),
    (3, "content summaries", include_str!("../../migrations/0003_content_summaries.sql")),
    (4, "updated at", include_str!("../../migrations/0004_updated_at.sql")),
    (5, "quarantine", include_str!("../../migrations/0005_quarantine.sql")),
    (6, "agreed", include_str!("../../migrations/0006_agreed.sql")),
    (7, "runs", include_str!("../../migrations/0007_runs.sql")),
    (8, "writes", include_str!("../../migrations/0008_writes.sql")),
    (9, "tombstones", include_str!("../../migrations/0009_tombstones.sql")),
];

/// Brings the schema up to date; what is already there stays.
pub(super) async fn apply(connection: &mut PgConnection, target: &Target) -> Result<(), MigrateError> {
    let failed = |error: sqlx::Error| MigrateError(target.explain(&error));
    if applied(connection).await.map_err(failed)? == MIGRATIONS.map(|(version, _, _)| version) {
        // The migrator asks for rights that only a change of the schema needs.
        return if intact(connection).await.map_err(failed)? {
            Ok(())
        } else {
            repair(connection).await.map_err(failed)
        };
    }
    one_schema(connection, target).await?;
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    migrator.run(connection).await.map_err(|error| explain(target, error))
}

/// Brings the schema up to date inside a transaction that will be undone: the migrator commits each step.
pub(super) async fn apply_within(connection: &mut PgConnection, target: &Target) -> Result<(), MigrateError> {
    let failed = |error: sqlx::Error| MigrateError(target.explain(&error));
    one_schema(connection, target).await?;
    let applied = applied(connection).await.map_err(failed)?;
    for (_, _, sql) in MIGRATIONS.iter().filter(|(version, _, _)| !applied.contains(version)) {
        connection.execute(sqlx::raw_sql(*sql)).await.map_err(failed)?;
    }
    Ok(())
}

/// Refuses to make a second `content` beside one that another schema of the search path has.
async fn one_schema(connection: &mut PgConnection, target: &Target) -> Result<(), MigrateError> {
    let sql = "SELECT n.nspname::text, current_schema()::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid = to_regclass('content') AND n.nspname <> current_schema()";
    let elsewhere: Option<(String, String)> = sqlx::query_as(sql)
        .fetch_optional(connection)
        .await
        .map_err(|error| MigrateError(target.explain(&error)))?;
    match elsewhere {
        None => Ok(()),
        Some((there, here)) => Err(MigrateError(format!(
            "PostgreSQL {} has its table content in schema {there}, but new tables would go to schema {here}; add the \
             parameter options=-csearch_path={there} to the URL.",
            target.name()
        ))),
    }
}

/// Whether what guards the data is still there: someone may have dropped it since it was made.
async fn intact(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT to_regclass('content') IS NOT NULL AND to_regclass('content_summaries') IS NOT NULL \
         AND to_regclass('tombstones') IS NOT NULL AND to_regclass('migration_quarantine') IS NOT NULL \
         AND to_regclass('migration_runs') IS NOT NULL AND to_regclass('flipgate_writes') IS NOT NULL \
         AND to_regclass('content_summaries_legacy_idx') IS NOT NULL \
         AND 5 = (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' \
            AND tgrelid IN (to_regclass('content'), to_regclass('content_summaries')) \
            AND tgname IN ('tombstone', 'updated_at_1_given', 'updated_at_2_touch')) \
         AND 4 = (SELECT count(*) FROM pg_constraint \
            WHERE conrelid IN (to_regclass('content'), to_regclass('content_summaries')) AND (contype = 'f' OR conname \
            IN ('content_video_id_check', 'content_language_check', 'content_summaries_legacy_check')))",
    )
    .fetch_one(connection)
    .await
}

/// Makes what is missing: every migration may run again.
async fn repair(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    tracing::warn!("part of flipgate's schema was missing; it is made again");
    let mut transaction = connection.begin().await?;
    for (_, _, sql) in MIGRATIONS {
        transaction.execute(sqlx::raw_sql(sql)).await?;
    }
    transaction.commit().await
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(Vec::new());
    }
    let sql = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    sqlx::query_scalar(sql).fetch_all(connection).await
}

fn explain(target: &Target, error: SchemaError) -> MigrateError {
    let name = target.name();
    if let SchemaError::Execute(error) | SchemaError::ExecuteMigration(error, _) = &error {
        return MigrateError(target.explain(error));
    }
    if let SchemaError::VersionMissing(version) | SchemaError::VersionMismatch(version) = error {
        return MigrateError(format!(
            "PostgreSQL {name} has schema version {version} of another flipgate; use that version or a newer one."
        ));
    }
    MigrateError(format!(
        "The schema cannot be applied to PostgreSQL {name} ({error}); see the server's log."
    ))
}
