//! A row of SQLite's `content` to one of PostgreSQL's.

use serde_json::{Value, json};

use super::json::Document;
use super::mapping::{Mapped, Mapping};
use super::row::{Digest, Row, Table};

/// The source columns that have target columns.
pub(super) const KNOWN: [&str; 32] = [
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

/// Characters of a language that is no code, so that the index on it can hold it; its spelling is kept whole.
const MAX_LANGUAGE_CHARS: usize = 100;

/// Length of a YouTube id.
const VIDEO_ID_CHARS: usize = 11;

/// The target row of a record with this id.
pub(super) fn map(source: &Row, id: &str, digest: &Digest) -> Mapped {
    let mut row = Mapping::new(Table::Content, source);
    row.set("id", Some(id.to_owned()));
    let conforming = [video_id(&mut row, id), language(&mut row)] == [true, true];
    row.set_flag("nonconforming", Some(!conforming));
    let title = row.read_text("title");
    row.set_flag("title_absent", Some(title.is_none()));
    row.set("title", Some(title.unwrap_or_default()));
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
        row.number(column, column);
    }
    row.flag("has_audio");
    row.flag("has_transcript");
    duration(&mut row);
    row.json("category", "category");
    row.json("key_topics", "topics");
    row.json("named_entities", "named_entities");
    let curated = row.json("subcategories_json", "subcategories");
    analysis(&mut row, curated);
    row.finish(digest, &KNOWN)
}

/// Sets the video id, and says whether it is one. A row without one gets a made-up one that is never shown.
fn video_id(row: &mut Mapping<'_>, id: &str) -> bool {
    let text = row.cell("video_id").clean_text().filter(|text| !text.is_empty());
    if text.is_none() {
        row.keep("video_id");
    }
    row.set_flag("video_id_absent", Some(text.is_none()));
    let conforming = text.is_some_and(is_video_id);
    if !conforming {
        row.repaired("video_id", "does not name a video; stored and marked nonconforming");
    }
    row.set("video_id", Some(text.map_or_else(|| format!("missing:{id}"), str::to_owned)));
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
    let code = written.map(two_letters);
    // What is no code stays as it is and marks the row.
    let typed = code.clone().flatten().or_else(|| {
        written.map(|_| text.iter().flat_map(|text| text.chars()).take(MAX_LANGUAGE_CHARS).collect())
    });
    let conforming = code.is_none_or(|code| code.is_some());
    if !conforming {
        row.repaired("language", "is no two-letter code; stored and marked nonconforming");
    } else if typed.is_some() && typed != text {
        row.repaired("language", "is normalised to two letters beside its spelling");
    }
    row.set("language_of", typed.clone());
    row.set("language", typed);
    row.set("language_text", text);
    conforming
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
    row.set("duration_wide", seconds.filter(|_| narrow.is_none()).map(|seconds| seconds.to_string()));
    row.set("duration_seconds", narrow.map(|seconds| seconds.to_string()));
}

/// Sets the analysis, with the curated categories merged in where it has none of its own.
fn analysis(row: &mut Mapping<'_>, curated: Option<Document>) {
    let (text, document) = row.read_json("analysis");
    let categories = curated.as_ref().and_then(|document| document.value.get("categories"));
    let (typed, own) = match (document, categories) {
        (None, None) => (None, None),
        (None, Some(categories)) => {
            (Some(json!({ "categories": categories }).to_string()), Some(categories.clone()))
        }
        (Some(document), categories) => merged(document, text.as_deref().unwrap_or_default(), categories),
    };
    row.set("categories_of", own.map(|categories| categories.to_string()));
    row.set("analysis_of", typed.clone());
    row.set("analysis_json", typed);
    row.set("analysis_text", text);
}

/// An analysis with `categories` where it has none, and the categories it then has.
fn merged(document: Document, text: &str, categories: Option<&Value>) -> (Option<String>, Option<Value>) {
    let Some(members) = document.value.as_object() else {
        // Nothing can be merged into a list or a scalar.
        return (Some(document.typed(text)), None);
    };
    if let Some(own) = members.get("categories") {
        return (Some(document.typed(text)), Some(own.clone()));
    }
    let Some(categories) = categories else { return (Some(document.typed(text)), None) };
    let mut members = members.clone();
    members.insert("categories".to_owned(), categories.clone());
    (Some(Value::Object(members).to_string()), Some(categories.clone()))
}
