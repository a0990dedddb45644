//! Rows of SQLite's `content_summaries` and `summary_variants` to PostgreSQL's `content_summaries`.
//!
//! A summary of no stored record is quarantined: PostgreSQL's foreign key refuses it and the API never shows it, but it
//! is kept, and stored by the first run that finds its record.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sqlx::{Postgres, Transaction};

use super::cells::jsonb;
use super::mapping::{Mapped, Mapping, Unmappable};
use super::source::{Batch, SourceRow, Table};
use crate::dashboard::summary_html;

const KNOWN_LEGACY: [&str; 5] = ["id", "content_id", "summary_text", "summary_type", "created_at"];
const KNOWN_VARIANT: [&str; 12] = [
    "id",
    "video_id",
    "variant_type",
    "revision",
    "content",
    "raw_payload",
    "metadata",
    "is_latest",
    "created_at",
    "updated_at",
    "file_size",
    "word_count",
];
/// `summary_type`'s default in the source.
const DEFAULT_VARIANT: &str = "comprehensive";

/// Video ids of stored records, by what a summary's row calls its record.
type Records = BTreeMap<String, String>;

/// The target rows of a batch, or why there can be none.
pub(super) async fn map(
    transaction: &mut Transaction<'_, Postgres>,
    table: Table,
    batch: Batch,
) -> Result<Vec<Result<Mapped, Unmappable>>, sqlx::Error> {
    let record = if table == Table::Legacy { "content_id" } else { "video_id" };
    let names = batch.iter().filter_map(|row| row.cell(record).clean_text().map(str::to_owned)).collect();
    let records = records(transaction, table, names).await?;
    let map = |source: SourceRow| {
        let values = owner(&source, record, &records).and_then(|video_id| match table {
            Table::Legacy => Ok(legacy(&source, video_id)),
            Table::Content | Table::Variants => variant(&source, video_id),
        });
        match values {
            Ok(values) => Ok(Mapped { source, values }),
            Err(reason) => Err(Unmappable { source, reason }),
        }
    };
    Ok(batch.into_iter().map(map).collect())
}

async fn records(
    transaction: &mut Transaction<'_, Postgres>,
    table: Table,
    names: Vec<String>,
) -> Result<Records, sqlx::Error> {
    let sql = match table {
        Table::Legacy => "SELECT id, video_id FROM content WHERE id = ANY($1)",
        Table::Content | Table::Variants => {
            "SELECT video_id, video_id FROM content WHERE video_id = ANY($1) AND NOT video_id_absent"
        }
    };
    let rows = sqlx::query_as::<_, (String, String)>(sql).bind(names).fetch_all(&mut **transaction).await?;
    Ok(rows.into_iter().collect())
}

fn owner<'a>(source: &SourceRow, column: &str, records: &'a Records) -> Result<&'a str, String> {
    if source.again {
        return Err("an earlier row is the same record's same summary".to_owned());
    }
    let name = source.cell(column).clean_text().ok_or_else(|| format!("its {column} names no record"))?;
    let owner = records.get(name).map(String::as_str);
    owner.ok_or_else(|| format!("no record with {column} {name} is stored"))
}

fn legacy(source: &SourceRow, video_id: &str) -> Map<String, Value> {
    let mut row = Mapping::new(source);
    row.set("video_id", video_id);
    row.set("legacy", true);
    row.set("revision", 0);
    let kind = row.read_text("summary_type").filter(|kind| !kind.is_empty());
    if kind.is_none() {
        row.keep("summary_type");
    }
    row.set("variant", kind.unwrap_or_else(|| DEFAULT_VARIANT.to_owned()));
    let number = row.read_number("id");
    row.set("source_id", number);
    body(&mut row, "summary_text");
    row.timestamp("created_at");
    row.finish(&KNOWN_LEGACY)
}

fn variant(source: &SourceRow, video_id: &str) -> Result<Map<String, Value>, String> {
    let mut row = Mapping::new(source);
    row.set("video_id", video_id);
    row.set("legacy", false);
    let kind = source.cell("variant_type").clean_text().ok_or("its variant_type is not plain text")?;
    row.set("variant", kind);
    let revision = row.read_number("revision").and_then(|number| i32::try_from(number).ok());
    row.set(
        "revision",
        revision.filter(|number| *number > 0).ok_or("its revision is not a positive number of 32 bits")?,
    );
    let number = row.read_number("id");
    row.set("source_id", number);
    body(&mut row, "content");
    let raw = row.read_text("raw_payload");
    row.set("raw_json", raw.as_deref().and_then(jsonb));
    row.set("raw_text", raw);
    row.text("metadata", "metadata_text");
    row.flag("is_latest");
    row.timestamp("created_at");
    row.timestamp("updated_at");
    row.number("file_size");
    row.number("word_count");
    Ok(row.finish(&KNOWN_VARIANT))
}

/// Sets the text as written and the HTML made of it.
fn body(row: &mut Mapping<'_>, column: &str) {
    let text = row.read_text(column);
    row.set("html", summary_html::render(text.as_deref().unwrap_or_default()));
    row.set("body", text);
}
