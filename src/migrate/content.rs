//! A row of SQLite's `content` to one of PostgreSQL's.

use serde_json::{Map, Value, json};

use super::cells::jsonb;
use super::mapping::{Mapped, Mapping, Unmappable};
use super::source::SourceRow;

/// The source columns that have target columns.
const KNOWN: [&str; 32] = [
    "id",
    "title",
    "canonical_url",
    "thumbnail_url",
    "published_at",
    "indexed_at",
    "duration_seconds",
    "word_count",
    "has_audio",
    "audio_duration_seconds",
    "has_transcript",
    "transcript_chars",
    "video_id",
    "channel_name",
    "channel_id",
    "view_count",
    "like_count",
    "comment_count",
    "category",
    "content_type",
    "complexity_level",
    "language",
    "key_topics",
    "named_entities",
    "format_source",
    "processing_status",
    "created_at",
    "updated_at",
    "subcategory",
    "subcategories_json",
    "summary",
    "analysis",
];

/// Length of a YouTube id.
const VIDEO_ID_CHARS: usize = 11;

/// The target row, or why there can be none.
pub(super) fn map(source: SourceRow) -> Result<Mapped, Unmappable> {
    match values(&source) {
        Ok(values) => Ok(Mapped { source, values }),
        Err(reason) => Err(Unmappable { source, reason }),
    }
}

fn values(source: &SourceRow) -> Result<Map<String, Value>, String> {
    if source.again {
        return Err("an earlier row has the same id".to_owned());
    }
    let Some(id) = source.cell("id").clean_text().map(str::to_owned) else {
        return Err("its id is not text that PostgreSQL can hold".to_owned());
    };
    let mut row = Mapping::new(source);
    row.set("id", id.clone());
    let conforming = [video_id(&mut row, &id), language(&mut row)] == [true, true];
    row.set("nonconforming", !conforming);
    let title = row.read_text("title");
    row.set("title_absent", title.is_none());
    row.set("title", title.unwrap_or_default());
    for column in [
        "canonical_url",
        "thumbnail_url",
        "channel_name",
        "channel_id",
        "content_type",
        "complexity_level",
        "format_source",
        "processing_status",
        "subcategory",
        "summary",
    ] {
        row.text(column, column);
    }
    for column in ["published_at", "indexed_at", "created_at", "updated_at"] {
        row.timestamp(column);
    }
    for column in [
        "word_count",
        "audio_duration_seconds",
        "transcript_chars",
        "view_count",
        "like_count",
        "comment_count",
    ] {
        row.number(column);
    }
    row.flag("has_audio");
    row.flag("has_transcript");
    duration(&mut row);
    row.json("category", "category");
    row.json("key_topics", "topics");
    row.json("named_entities", "named_entities");
    let curated = row.json("subcategories_json", "subcategories");
    analysis(&mut row, curated);
    Ok(row.finish(&KNOWN))
}

/// Sets the video id, and says whether it is one. A row without one gets a made-up one that is never shown.
fn video_id(row: &mut Mapping<'_>, id: &str) -> bool {
    let text = row.is_text("video_id").then(|| row.read_text("video_id")).flatten();
    let absent = text.as_deref().is_none_or(str::is_empty);
    if absent {
        row.keep("video_id");
    }
    row.set("video_id_absent", absent);
    let video_id = text.filter(|_| !absent).unwrap_or_else(|| format!("missing:{id}"));
    let conforming = !absent && is_video_id(&video_id);
    row.set("video_id", video_id);
    conforming
}

fn is_video_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.len() == VIDEO_ID_CHARS && text.bytes().all(plain)
}

/// Sets the language by the two-letter rule beside its spelling; false if there is none it could mean.
fn language(row: &mut Mapping<'_>) -> bool {
    let text = row.read_text("language");
    let written = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let normal = written.map(two_letters);
    // What is no code stays as it is and marks the row.
    let typed = normal.clone().flatten().or_else(|| text.clone().filter(|_| written.is_some()));
    row.set("language", typed.clone());
    row.set("language_of", typed);
    row.set("language_text", text);
    normal.is_none_or(|code| code.is_some())
}

/// `EN`, `en-US` and `en_us` are `en`.
fn two_letters(text: &str) -> Option<String> {
    let code = text.split(['-', '_']).next()?;
    let letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters.then(|| code.to_ascii_lowercase())
}

fn duration(row: &mut Mapping<'_>) {
    let seconds = row.read_number("duration_seconds");
    let narrow = seconds.and_then(|seconds| i32::try_from(seconds).ok());
    row.set("duration_seconds", narrow);
    row.set("duration_wide", seconds.filter(|_| narrow.is_none()));
}

/// Sets the analysis, with the curated categories merged in where it has none of its own.
fn analysis(row: &mut Mapping<'_>, curated: Option<Value>) {
    let text = row.read_text("analysis");
    let mut analysis = text.as_deref().and_then(jsonb);
    row.set("analysis_text", text);
    let categories = curated.as_ref().and_then(|document| document.get("categories"));
    if let Some(categories) = categories {
        match &mut analysis {
            None => analysis = Some(json!({ "categories": categories })),
            Some(Value::Object(members)) => {
                members.entry("categories").or_insert_with(|| categories.clone());
            }
            // Nothing can be merged into a list or a scalar.
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {}
        }
    }
    row.set("categories_of", analysis.as_ref().and_then(|analysis| analysis.get("categories")).cloned());
    row.set("analysis_json", analysis);
}
