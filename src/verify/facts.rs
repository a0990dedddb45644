//! What is checked besides the rows: that PostgreSQL's constraints are there and hold, and that no summary is orphaned.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::report::{Check, Note, Verification};
use super::{LISTED, Sides};
use crate::dashboard;
use crate::migrate::MigrateError;
use crate::migrate::row::Table;
use crate::migrate::source::Shape;

/// A rule of the schema: how to see that it is enforced, and how to count what breaks it.
struct Rule {
    name: &'static str,
    /// True if PostgreSQL enforces it for every row.
    enforced: &'static str,
    /// Rows that break it.
    broken: &'static str,
}

const RULES: [Rule; 9] = [
    Rule {
        name: "content.id is the primary key",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 'content'::regclass AND contype = 'p' \
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (id)')",
        broken: "SELECT count(*) - count(DISTINCT id) FROM content",
    },
    Rule {
        name: "content.video_id is unique",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
                   AND a.attnum = i.indkey[0] WHERE i.indrelid = 'content'::regclass AND i.indisunique AND i.indisvalid \
                   AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'video_id')",
        broken: "SELECT count(*) - count(DISTINCT video_id) FROM content",
    },
    Rule {
        name: "content.video_id has 11 characters or is marked nonconforming",
        enforced: CHECKED_VIDEO_ID,
        broken: "SELECT count(*) FROM content WHERE NOT (nonconforming OR video_id ~ '^[A-Za-z0-9_-]{11}$')",
    },
    Rule {
        name: "content.language has two letters or is marked nonconforming",
        enforced: CHECKED_LANGUAGE,
        broken: "SELECT count(*) FROM content WHERE NOT (nonconforming OR language IS NULL OR language ~ '^[a-z]{2}$')",
    },
    Rule {
        name: "content_summaries belong to a record and are deleted with it",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 'content_summaries'::regclass \
                   AND contype = 'f' AND confrelid = 'content'::regclass AND confdeltype = 'c' AND convalidated)",
        broken: "SELECT count(*) FROM content_summaries s \
                 WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.video_id = s.video_id)",
    },
    Rule {
        name: "content_summaries have each revision of a variant once",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 'content_summaries'::regclass \
                   AND contype = 'u' AND pg_get_constraintdef(oid) = 'UNIQUE (video_id, variant, revision)')",
        broken: "SELECT count(*) - count(DISTINCT (video_id, variant, revision)) FROM content_summaries",
    },
    Rule {
        name: "a record has one legacy summary at most",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('content_summaries_legacy_idx') \
                   AND indisunique AND indisvalid)",
        broken: "SELECT count(*) - count(DISTINCT video_id) FROM content_summaries WHERE legacy",
    },
    Rule {
        name: "updated_at follows every change",
        enforced: "SELECT count(*) = 4 FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' \
                   AND tgname IN ('updated_at_1_given', 'updated_at_2_touch') \
                   AND tgrelid IN ('content'::regclass, 'content_summaries'::regclass)",
        broken: "SELECT 0::bigint",
    },
    Rule {
        name: "deletes leave a tombstone",
        enforced: "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'tombstone' AND tgenabled <> 'D' \
                   AND tgrelid = 'content'::regclass)",
        broken: "SELECT 0::bigint",
    },
];

const CHECKED_VIDEO_ID: &str = "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 'content'::regclass \
    AND conname = 'content_video_id_check' AND convalidated)";
const CHECKED_LANGUAGE: &str = "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = 'content'::regclass \
    AND conname = 'content_language_check' AND convalidated)";

/// Checks every rule.
pub(super) async fn constraints(sides: &Sides, verification: &mut Verification) -> Result<(), MigrateError> {
    let mut connection = sides.postgres.connect_one().await.map_err(MigrateError)?;
    for rule in &RULES {
        let check = rule.check(&mut connection).await.map_err(|error| sides.failed(&error))?;
        verification.constraints.push(check);
    }
    // What was read is read, however the goodbye goes.
    let _ = connection.close().await;
    Ok(())
}

/// Lists what is in quarantine, also what is there of rows that an older version of stands for.
pub(super) async fn quarantine(sides: &Sides, verification: &mut Verification) -> Result<(), MigrateError> {
    let failed = |error: sqlx::Error| sides.failed(&error);
    let mut connection = sides.postgres.connect_one().await.map_err(MigrateError)?;
    for table in Table::ALL {
        let sql = "SELECT count(*) FROM migration_quarantine WHERE source_table = $1 AND resolved_at IS NULL";
        let open: i64 =
            sqlx::query_scalar(sql).bind(table.name()).fetch_one(&mut connection).await.map_err(failed)?;
        let sql = "SELECT source_key, reason || coalesce('; resolved: ' || resolution, '') FROM migration_quarantine \
                   WHERE source_table = $1 ORDER BY resolved_at NULLS FIRST, id LIMIT $2";
        let rows: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(table.name())
            .bind(i64::try_from(LISTED).unwrap_or(i64::MAX))
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        verification.quarantined.extend(rows.iter().map(|(name, why)| Note::new(table, name, why)));
        verification.open_in_quarantine(table, u64::try_from(open).unwrap_or(0));
    }
    // As above.
    let _ = connection.close().await;
    Ok(())
}

/// Counts SQLite's summaries of no record; PostgreSQL's are a rule above.
pub(super) async fn orphans(sides: &Sides, verification: &mut Verification) -> Result<(), MigrateError> {
    let path = sides.sqlite.clone();
    let counted = tokio::task::spawn_blocking(move || -> Result<u64, MigrateError> {
        let connection = dashboard::read_only(&path).map_err(|error| MigrateError(error.0))?;
        let failed =
            |error: rusqlite::Error| crate::migrate::source::unreadable(Table::Legacy, &path, &error);
        let mut orphans = 0;
        for (table, name, record) in
            [(Table::Legacy, "content_id", "id"), (Table::Variants, "video_id", "video_id")]
        {
            let (content, summaries) = (
                Shape::of(&connection, Table::Content).map_err(failed)?,
                Shape::of(&connection, table).map_err(failed)?,
            );
            let has =
                |shape: &Option<Shape>, column| shape.as_ref().is_some_and(|shape| shape.columns.has(column));
            if !has(&summaries, name) || !has(&content, record) {
                continue;
            }
            let sql = format!(
                "SELECT count(*) FROM {} WHERE {name} IS NULL OR {name} NOT IN \
                 (SELECT {record} FROM content WHERE {record} IS NOT NULL)",
                table.name()
            );
            orphans += connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        }
        Ok(u64::try_from(orphans).unwrap_or(0))
    });
    verification.sqlite_orphans = match counted.await {
        Ok(orphans) => orphans?,
        Err(error) => return Err(sides.unreadable(Table::Legacy, &error)),
    };
    Ok(())
}

// === impl Rule ===

impl Rule {
    async fn check(&self, connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
        let enforced: bool = sqlx::query_scalar(self.enforced).fetch_one(&mut *connection).await?;
        let broken: i64 = sqlx::query_scalar(self.broken).fetch_one(connection).await?;
        let detail = match (enforced, broken) {
            (true, 0) => "enforced, and holds".to_owned(),
            (false, 0) => "holds, but is not enforced; run `flipgate migrate`".to_owned(),
            (_, broken) => format!("broken by {broken} rows"),
        };
        Ok(Check { name: self.name.to_owned(), ok: enforced && broken == 0, detail })
    }
}
