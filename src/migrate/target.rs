//! Rows into PostgreSQL: a batch as one JSON parameter and one statement; row by row only where one is refused.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, SqlStr, Transaction};

use super::mapping::Mapped;
use super::source::Table;
use crate::pg::{code, constant_sql};

/// Rows that wait in memory for another row to give up a unique value.
pub(super) const MAX_WAITING: usize = 1000;

/// What became of a row.
pub(super) enum Stored {
    /// It was not there.
    Inserted,
    /// It was there and differed.
    Updated,
    /// It was there and equal.
    Unchanged,
    /// PostgreSQL refuses it.
    Refused {
        row: Mapped,
        reason: String,
        /// Whether another row has a value of its that must be unique.
        taken: bool,
    },
}

/// How a target table is written.
struct Layout {
    table: &'static str,
    /// What makes a row the same row.
    conflict: &'static str,
    columns: &'static [&'static str],
}

const CONTENT: Layout = Layout {
    table: "content",
    conflict: "(id)",
    columns: &[
        "id",
        "video_id",
        "video_id_absent",
        "title",
        "title_absent",
        "nonconforming",
        "channel_name",
        "canonical_url",
        "thumbnail_url",
        "duration_seconds",
        "duration_wide",
        "published_at",
        "published_at_of",
        "published_at_text",
        "indexed_at",
        "indexed_at_of",
        "indexed_at_text",
        "created_at",
        "created_at_of",
        "created_at_text",
        "updated_at",
        "updated_at_of",
        "updated_at_text",
        "word_count",
        "has_audio",
        "audio_duration_seconds",
        "has_transcript",
        "transcript_chars",
        "channel_id",
        "view_count",
        "like_count",
        "comment_count",
        "category_json",
        "category_of",
        "category_text",
        "subcategory",
        "subcategories_json",
        "subcategories_of",
        "subcategories_text",
        "categories_of",
        "analysis_json",
        "analysis_text",
        "topics_json",
        "topics_of",
        "topics_text",
        "named_entities_json",
        "named_entities_of",
        "named_entities_text",
        "language",
        "language_of",
        "language_text",
        "content_type",
        "complexity_level",
        "format_source",
        "processing_status",
        "summary",
        "extra",
    ],
};

const SUMMARY_COLUMNS: [&str; 21] = [
    "video_id",
    "variant",
    "revision",
    "legacy",
    "source_id",
    "html",
    "html_md5",
    "body",
    "raw_json",
    "raw_text",
    "metadata_text",
    "is_latest",
    "file_size",
    "word_count",
    "created_at",
    "created_at_of",
    "created_at_text",
    "updated_at",
    "updated_at_of",
    "updated_at_text",
    "extra",
];

const LEGACY: Layout = Layout {
    table: "content_summaries",
    conflict: "(video_id) WHERE legacy",
    columns: SUMMARY_COLUMNS.as_slice(),
};

const VARIANT: Layout = Layout {
    table: "content_summaries",
    conflict: "(video_id, variant, revision)",
    columns: SUMMARY_COLUMNS.as_slice(),
};

static STORE_CONTENT: LazyLock<String> = LazyLock::new(|| CONTENT.sql());
static STORE_LEGACY: LazyLock<String> = LazyLock::new(|| LEGACY.sql());
static STORE_VARIANT: LazyLock<String> = LazyLock::new(|| VARIANT.sql());

/// Stores rows and says what became of each; an error is one that no row is to blame for.
pub(super) async fn store(
    transaction: &mut Transaction<'_, Postgres>,
    table: Table,
    rows: Vec<Mapped>,
) -> Result<Vec<Stored>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    match attempt(transaction, table, &rows).await {
        Ok(stored) => return Ok(stored),
        Err(error) if blames_row(&error) => {}
        Err(error) => return Err(error),
    }
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        match attempt(transaction, table, std::slice::from_ref(&row)).await {
            Ok(stored) => all.extend(stored),
            Err(error) if blames_row(&error) => all.push(Stored::Refused {
                reason: reason(&error),
                taken: code(&error).as_deref() == Some("23505"),
                row,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// One statement for all rows, all or none.
async fn attempt(
    transaction: &mut Transaction<'_, Postgres>,
    table: Table,
    rows: &[Mapped],
) -> Result<Vec<Stored>, sqlx::Error> {
    let mut savepoint = transaction.begin().await?;
    let stored = upsert(&mut savepoint, table, rows).await?;
    savepoint.commit().await?;
    Ok(stored)
}

async fn upsert(
    connection: &mut PgConnection,
    table: Table,
    rows: &[Mapped],
) -> Result<Vec<Stored>, sqlx::Error> {
    let values: Vec<&Map<String, Value>> = rows.iter().map(|row| &row.values).collect();
    let json = serde_json::to_string(&values).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let written = sqlx::query(statement(table)).bind(json).fetch_all(connection).await?;
    let mut stored = Vec::with_capacity(rows.len());
    for row in &written {
        stored.push(if row.try_get("inserted")? { Stored::Inserted } else { Stored::Updated });
    }
    // The statement returns only what it wrote.
    stored.resize_with(rows.len(), || Stored::Unchanged);
    Ok(stored)
}

fn statement(table: Table) -> SqlStr {
    constant_sql(match table {
        Table::Content => STORE_CONTENT.clone(),
        Table::Legacy => STORE_LEGACY.clone(),
        Table::Variants => STORE_VARIANT.clone(),
    })
}

/// Whether a row's values are at fault: bad or too large a value, a constraint, two rows that are one.
fn blames_row(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "54")))
}

fn reason(error: &sqlx::Error) -> String {
    let message =
        error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    format!("PostgreSQL refuses it: {message}")
}

// === impl Layout ===

impl Layout {
    /// Inserts, or updates what differs in any column; returns a row, `inserted`, for each row written.
    fn sql(&self) -> String {
        let Self { table, conflict, .. } = self;
        let names: Vec<&str> = self.columns.to_vec();
        let list = |prefix: &str| {
            names.iter().map(|name| format!("{prefix}\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        // What the HTML was made of stands for it as long as its digest is this.
        let values = list("r.").replace("r.\"html_md5\"", "md5(r.\"html\")");
        let (columns, old, new) = (list(""), list("t."), list("excluded."));
        format!(
            "INSERT INTO {table} AS t ({columns}) SELECT {values} FROM json_populate_recordset(NULL::{table}, $1::json) r \
             ON CONFLICT {conflict} DO UPDATE SET ({columns}) = ROW({new}) \
             WHERE ({old}) IS DISTINCT FROM ({new}) RETURNING (xmax = 0) AS inserted"
        )
    }
}
