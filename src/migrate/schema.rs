//! `migrations/`, embedded and applied by sqlx's migrator: each once, in order, under a lock.

use sqlx::SqlSafeStr as _;
use sqlx::postgres::PgPool;
use sqlx_core::migrate::{MigrateError as SchemaError, Migration, MigrationType, Migrator};

use super::MigrateError;
use crate::pg::Target;

const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "content", include_str!("../../migrations/0001_content.sql")),
    (2, "shown", include_str!("../../migrations/0002_shown.sql")),
    (3, "content summaries", include_str!("../../migrations/0003_content_summaries.sql")),
    (4, "updated at", include_str!("../../migrations/0004_updated_at.sql")),
    (5, "quarantine", include_str!("../../migrations/0005_quarantine.sql")),
];

/// Brings the schema up to date; what is already there stays.
pub(super) async fn apply(pool: &PgPool, target: &Target) -> Result<(), MigrateError> {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    migrator.run(pool).await.map_err(|error| explain(target, error))
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
