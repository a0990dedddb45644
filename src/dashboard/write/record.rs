//! A row with a payload's values: pure, so that both stores come to the same.

use chrono::{DateTime, Utc};

use super::payload::{Ingest, Variant};
use crate::dashboard::subjects::subjects;
use crate::migrate::cell::Cell;
use crate::migrate::judge::curated;
use crate::migrate::row::Row;

/// `summary_type` where a legacy summary has none.
const DEFAULT_VARIANT: &str = "comprehensive";

/// A time as writes spell it: UTC, to the microsecond.
pub(super) fn spelt(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// A new record.
pub(super) fn begun(id: &str, video_id: &str, at: DateTime<Utc>) -> Row {
    let mut row = Row::blank();
    row.put("id", text(id));
    row.put("video_id", text(video_id));
    for column in ["created_at", "indexed_at"] {
        row.put(column, text(&spelt(at)));
    }
    row
}

/// Gives a record the payload's values; says whether that changed anything.
pub(super) fn change(row: &mut Row, ingest: &Ingest) -> bool {
    let mut changed = false;
    let mut put = |row: &mut Row, column: &str, cell: Cell| {
        if *row.cell(column) != cell {
            row.put(column, cell);
            changed = true;
        }
    };
    if row.cell("video_id").plain().unwrap_or_default().is_empty() {
        put(row, "video_id", text(&ingest.video_id));
    }
    for (column, cell) in &ingest.cells {
        put(row, column, cell.clone());
    }
    if let Some(document) = &ingest.subcategories {
        let has_some = subjects(Some(document)).iter().any(|subject| !subject.subcategories.is_empty());
        // What was curated by hand is never taken away by a payload that has none.
        if has_some || !curated(row) {
            put(row, "subcategories_json", text(document));
        }
    }
    changed
}

/// A new revision of a summary.
pub(super) fn revision(video_id: &str, variant: &Variant, number: i32, at: DateTime<Utc>) -> Row {
    let mut row = Row::blank();
    row.put("video_id", text(video_id));
    row.put("variant_type", text(&variant.name));
    row.put("revision", Cell::Integer(i64::from(number)));
    row.put("created_at", text(&spelt(at)));
    say(&mut row, variant);
    row
}

/// Gives a revision what a variant says.
pub(super) fn say(row: &mut Row, variant: &Variant) {
    row.put("content", text(&variant.body));
    row.put("raw_payload", text(&variant.raw));
}

/// Whether a revision is what a variant says.
pub(super) fn says(row: &Row, variant: &Variant) -> bool {
    *row.cell("content") == text(&variant.body) && *row.cell("raw_payload") == text(&variant.raw)
}

/// Whether a legacy summary is one of this variant and says something else.
pub(super) fn is_behind(legacy: &Row, variant: &Variant) -> bool {
    let kind = legacy.cell("summary_type").plain().filter(|kind| !kind.is_empty());
    kind.as_deref().unwrap_or(DEFAULT_VARIANT) == variant.name
        && *legacy.cell("summary_text") != text(&variant.body)
}

pub(super) fn text(text: &str) -> Cell {
    Cell::Text(text.as_bytes().to_owned())
}
