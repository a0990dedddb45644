//! Rows of SQLite's `content_summaries` and `summary_variants` to PostgreSQL's `content_summaries`.
//!
//! The record they belong to is looked up later: a summary of no stored record is quarantined, since PostgreSQL's
//! foreign key refuses it and the API never shows it, and stored by the first run that finds its record.

use md5::{Digest as _, Md5};

use super::cell::{Cell, hex};
use super::mapping::{Mapped, Mapping};
use super::row::{Digest, Key, Row, Table};
use crate::dashboard::summary_html;

pub(super) const KNOWN_LEGACY: [&str; 5] = ["id", "content_id", "summary_text", "summary_type", "created_at"];
pub(super) const KNOWN_VARIANT: [&str; 12] = [
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
pub(super) const DEFAULT_VARIANT: &str = "comprehensive";

/// The target row of a legacy summary, but for its record.
pub(super) fn legacy(source: &Row, digest: &Digest) -> Mapped {
    let mut row = Mapping::new(Table::Legacy, source);
    row.set_flag("legacy", Some(true));
    row.set("revision", Some("0".to_owned()));
    let kind = row.read_text("summary_type").filter(|kind| !kind.is_empty());
    if kind.is_none() {
        row.keep("summary_type");
    }
    row.set("variant", Some(kind.unwrap_or_else(|| DEFAULT_VARIANT.to_owned())));
    row.number("id", "source_id");
    body(&mut row, "summary_text");
    row.timestamp("created_at");
    row.finish(digest, &KNOWN_LEGACY)
}

/// The target row of a variant, but for its record.
pub(super) fn variant(source: &Row, key: &Key, digest: &Digest) -> Mapped {
    let mut row = Mapping::new(Table::Variants, source);
    row.set_flag("legacy", Some(false));
    row.set("variant", Some(key.variant.clone()));
    row.number("revision", "revision");
    row.number("id", "source_id");
    body(&mut row, "content");
    let (text, document) = row.read_json("raw_payload");
    let typed = text.as_deref().zip(document.as_ref()).map(|(text, document)| document.typed(text));
    row.set("raw_of", typed.clone());
    row.set("raw_json", typed);
    row.set("raw_text", text);
    row.text("metadata", "metadata_text");
    row.flag("is_latest");
    row.timestamp("created_at");
    row.timestamp("updated_at");
    row.number("file_size", "file_size");
    row.number("word_count", "word_count");
    // NULL is what PostgreSQL shows of rows that others wrote; one that is meant is kept.
    for column in ["is_latest", "created_at"] {
        if *row.cell(column) == Cell::Null {
            row.keep(column);
        }
    }
    row.finish(digest, &KNOWN_VARIANT)
}

/// Sets the text as written and the HTML made of it.
fn body(row: &mut Mapping<'_>, column: &str) {
    let text = row.read_text(column);
    let html = summary_html::render(text.as_deref().unwrap_or_default());
    row.set("html_md5", Some(hex(&Md5::digest(html.as_bytes()))));
    row.set("html", Some(html));
    row.set("body", text);
}
