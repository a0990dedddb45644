//! What `POST /ingest/report` carries: read once, refused with the name of the member that is wrong, then as cells.

use serde_json::{Map, Value};

use super::Refusal;
use super::members::{Members, Spelt};
use crate::migrate::cell::Cell;
use crate::migrate::instant;

/// Variants of one payload.
const MOST_VARIANTS: usize = 50;

/// A payload that can be applied.
#[derive(Debug, Clone)]
pub(super) struct Ingest {
    pub(super) video_id: String,
    /// As spelt; it denotes an instant.
    pub(super) indexed_at: Option<String>,
    /// Columns of the record and what they become; the curated document is not among them.
    pub(super) cells: Vec<(&'static str, Cell)>,
    pub(super) subcategories: Option<String>,
    pub(super) variants: Vec<Variant>,
}

/// One summary.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) body: String,
    pub(super) revision: Option<i32>,
    /// The item as it came, compact.
    pub(super) raw: String,
}

// === impl Ingest ===

impl Ingest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad(&format!("the body should be JSON ({error})")))?;
        let Value::Object(members) = &document else {
            return Err(Refusal::bad("the body should be a JSON object"));
        };
        let payload = Members::new(members, String::new());
        let video_id = payload.name("video_id")?;
        let video_id = video_id.ok_or_else(|| payload.refuse("video_id", "is required"))?;
        let indexed_at = payload.short("indexed_at")?;
        if indexed_at.as_deref().is_some_and(|text| instant(text).is_none()) {
            return Err(payload.refuse("indexed_at", "should be a time, as in 2025-09-17T06:34:00Z"));
        }
        let subcategories =
            payload.document("subcategories_json", Value::is_object, "should be a JSON object")?;
        Ok(Self {
            video_id,
            cells: cells(&payload, indexed_at.as_deref())?,
            indexed_at,
            subcategories: subcategories.map(|document| document.text),
            variants: variants(&payload)?,
        })
    }
}

fn cells(payload: &Members<'_>, indexed_at: Option<&str>) -> Result<Vec<(&'static str, Cell)>, Refusal> {
    let mut cells = Vec::new();
    let mut text = |column: &'static str, text: Option<String>| {
        cells.extend(text.map(|text| (column, Cell::from(Some(text)))));
    };
    for column in ["title", "channel_name", "thumbnail_url", "canonical_url"] {
        text(column, payload.text(column)?);
    }
    text("published_at", payload.short("published_at")?);
    text("indexed_at", indexed_at.map(str::to_owned));
    let topics = payload.document("topics_json", Value::is_array, "should be a JSON array")?;
    if let Some(analysis) = payload.document("analysis_json", Value::is_object, "should be a JSON object")? {
        for (column, value) in analysed(&analysis, topics.is_some()) {
            text(column, Some(value));
        }
        text("analysis", Some(analysis.text));
    }
    text("key_topics", topics.map(|topics| topics.text));
    let mut number = |column: &'static str, number: Option<i64>| {
        cells.extend(number.map(|number| (column, Cell::Integer(number))));
    };
    number("duration_seconds", payload.number("duration_seconds")?);
    let media = payload.document("media", Value::is_object, "should be a JSON object")?;
    if let Some(Value::Object(media)) = media.as_ref().map(|media| &media.value) {
        let media = Members::new(media, "media.".to_owned());
        for column in ["has_audio", "has_transcript"] {
            number(column, media.flag(column)?.map(i64::from));
        }
        for column in ["audio_duration_seconds", "transcript_chars"] {
            number(column, media.number(column)?);
        }
    }
    Ok(cells)
}

/// Columns of their own that an analysis says something about.
fn analysed(analysis: &Spelt, has_topics: bool) -> Vec<(&'static str, String)> {
    let mut columns = Vec::new();
    let get = |name: &str| analysis.value.get(name);
    for column in ["content_type", "complexity_level", "language"] {
        columns.extend(get(column).and_then(Value::as_str).map(|text| (column, text.to_owned())));
    }
    let arrays = [("category", true), ("named_entities", false), ("key_topics", false)];
    for (column, of_strings) in arrays {
        let items = get(column).and_then(Value::as_array);
        let fits = items.is_some_and(|items| !of_strings || items.iter().all(Value::is_string));
        if fits && !(column == "key_topics" && has_topics) {
            columns.extend(get(column).map(|value| (column, value.to_string())));
        }
    }
    columns
}

fn variants(payload: &Members<'_>) -> Result<Vec<Variant>, Refusal> {
    let should = "should be an array of at most 50 objects";
    let Some(document) = payload.document("summary_variants", Value::is_array, should)? else {
        return Ok(Vec::new());
    };
    let items = document.value.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.len() > MOST_VARIANTS {
        return Err(payload.refuse("summary_variants", should));
    }
    let mut variants: Vec<Variant> = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        let within = format!("summary_variants[{position}].");
        let Value::Object(members) = item else { return Err(payload.refuse("summary_variants", should)) };
        let variant = variant(members, within.clone())?;
        // Without a revision each would follow on the other at every repetition.
        let again = |known: &Variant| {
            known.name == variant.name
                && (known.revision == variant.revision
                    || known.revision.is_none()
                    || variant.revision.is_none())
        };
        if variants.iter().any(again) {
            let members = Members::new(members, within);
            return Err(members.refuse("variant", "is named twice; give each a revision of its own"));
        }
        variants.push(variant);
    }
    Ok(variants)
}

fn variant(members: &Map<String, Value>, within: String) -> Result<Variant, Refusal> {
    let item = Members::new(members, within);
    let name = item.name("variant")?.ok_or_else(|| item.refuse("variant", "is required"))?;
    let body = match item.text("text")?.filter(|text| !text.is_empty()) {
        Some(text) => Some(text),
        None => item.text("html")?.filter(|html| !html.is_empty()),
    };
    let body = body.ok_or_else(|| item.refuse("text", "or html is required"))?;
    let revision = match item.number("revision")? {
        None => None,
        Some(number) => {
            let revision = i32::try_from(number).ok().filter(|number| *number > 0);
            Some(revision.ok_or_else(|| item.refuse("revision", "should be a positive number of 32 bits"))?)
        }
    };
    Ok(Variant { name, body, revision, raw: Value::Object(members.clone()).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        Ingest::parse(body.as_bytes()).unwrap_err().sentence
    }

    #[test]
    fn a_bad_member_is_named() {
        for (body, name) in [
            ("", "body"),
            ("[]", "body"),
            ("{}", "video_id"),
            (r#"{"video_id":" "}"#, "video_id"),
            (r#"{"video_id":7}"#, "video_id"),
            (r#"{"video_id":"v","title":[]}"#, "title"),
            (r#"{"video_id":"v","indexed_at":"yesterday"}"#, "indexed_at"),
            (r#"{"video_id":"v","duration_seconds":"long"}"#, "duration_seconds"),
            (r#"{"video_id":"v","subcategories_json":"{"}"#, "subcategories_json"),
            (r#"{"video_id":"v","analysis_json":[]}"#, "analysis_json"),
            (r#"{"video_id":"v","topics_json":{}}"#, "topics_json"),
            (r#"{"video_id":"v","media":{"has_audio":"perhaps"}}"#, "media.has_audio"),
            (r#"{"video_id":"v","summary_variants":[{"text":"t"}]}"#, "summary_variants[0].variant"),
            (r#"{"video_id":"v","summary_variants":[{"variant":"a"}]}"#, "summary_variants[0].text"),
            (
                r#"{"video_id":"v","summary_variants":[{"variant":"a","text":"t","revision":0}]}"#,
                "summary_variants[0].revision",
            ),
            (
                r#"{"video_id":"v","summary_variants":[{"variant":"a","text":"t"},{"variant":"a","text":"u"}]}"#,
                "summary_variants[1].variant",
            ),
        ] {
            assert!(told(body).contains(name), "{body}: {}", told(body));
        }
    }

    #[test]
    fn members_may_be_strings_and_null_is_absent() {
        let ingest = Ingest::parse(
            br#"{"video_id":"v","title":null,"duration_seconds":"61.9","media":"{\"has_audio\":\"yes\"}",
                "analysis_json":"{\"language\":\"fr\", \"category\":[\"A\"],\"key_topics\":[\"x\"]}","topics_json":"[ ]",
                "subcategories_json":{"categories":[]},"summary_variants":"[{\"variant\":\"a\",\"html\":\"<p>\"}]"}"#,
        )
        .unwrap();
        let cell =
            |name| ingest.cells.iter().find(|(column, _)| *column == name).map(|(_, cell)| cell.clone());
        let text = |text: &str| Some(Cell::Text(text.into()));
        assert_eq!(cell("title"), None);
        assert_eq!(cell("duration_seconds"), Some(Cell::Integer(61)));
        assert_eq!(cell("has_audio"), Some(Cell::Integer(1)));
        assert_eq!((cell("language"), cell("category")), (text("fr"), text(r#"["A"]"#)));
        assert_eq!(cell("key_topics"), text("[ ]"), "topics_json says it");
        assert_eq!(ingest.subcategories.as_deref(), Some(r#"{"categories":[]}"#));
        assert_eq!(ingest.variants[0].body, "<p>");
    }
}
