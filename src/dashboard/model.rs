//! The report model: rows as a store gives them, and the documents the API makes of them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::request::ListQuery;
use super::subjects::{Subject, array, subjects};

/// One record as a store shows it: spellings as they are to be answered, numbers and flags plain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) video_id: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) thumbnail_url: Option<String>,
    pub(crate) canonical_url: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) published_at: Option<String>,
    pub(crate) indexed_at: Option<String>,
    pub(crate) duration_seconds: Option<i64>,
    /// JSON array.
    pub(crate) category: Option<String>,
    pub(crate) subcategory: Option<String>,
    /// JSON document, in the spelling to answer.
    pub(crate) subcategories: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) complexity_level: Option<String>,
    pub(crate) language: Option<String>,
    /// JSON array.
    pub(crate) key_topics: Option<String>,
    /// JSON array.
    pub(crate) named_entities: Option<String>,
    pub(crate) has_audio: bool,
    pub(crate) audio_duration_seconds: Option<i64>,
    pub(crate) has_transcript: bool,
    pub(crate) transcript_chars: Option<i64>,
    pub(crate) word_count: Option<i64>,
    pub(crate) format_source: Option<String>,
    pub(crate) processing_status: Option<String>,
}

/// A page of the list.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Rows of the page.
    pub(crate) records: Vec<Record>,
    /// Rows of all pages.
    pub(crate) total: u64,
}

/// The summary that stands for a record.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// Text as written.
    pub(crate) text: String,
    /// Variant.
    pub(crate) kind: String,
}

/// `/api/reports`.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    pub(crate) reports: Vec<Report>,
    pagination: Pagination,
    sort: &'static str,
    filters: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Pagination {
    page: u64,
    size: u32,
    total_count: u64,
    total_pages: u64,
    has_next: bool,
    has_prev: bool,
}

/// One report of the list.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) thumbnail_url: String,
    pub(crate) canonical_url: String,
    pub(crate) channel: String,
    pub(crate) published_at: String,
    pub(crate) duration_seconds: i64,
    pub(crate) analysis: Analysis,
    pub(crate) media: Media,
    media_metadata: MediaMetadata,
    pub(crate) file_stem: String,
    pub(crate) video_id: String,
    pub(crate) subcategories_json: Option<String>,
    pub(crate) indexed_at: String,
    original_language: String,
    summary_language: String,
    audio_language: String,
    word_count: i64,
}

/// What a report is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Analysis {
    pub(crate) category: Vec<Value>,
    pub(crate) subcategory: Option<String>,
    pub(crate) categories: Vec<Subject>,
    pub(crate) content_type: String,
    pub(crate) complexity_level: String,
    pub(crate) language: String,
    key_topics: Vec<Value>,
    named_entities: Vec<Value>,
}

/// What there is to hear and read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Media {
    pub(crate) has_audio: bool,
    audio_duration_seconds: i64,
    has_transcript: bool,
    transcript_chars: i64,
}

#[derive(Debug, Serialize)]
struct MediaMetadata {
    video_duration_seconds: i64,
    mp3_duration_seconds: i64,
}

/// `/api/reports/{id}`.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) report: Report,
    pub(crate) summary: DetailSummary,
    processor_info: ProcessorInfo,
}

/// A detail's summary, twice, as the front end reads it.
#[derive(Debug, Serialize)]
pub(crate) struct DetailSummary {
    pub(crate) text: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    content: SummaryContent,
}

#[derive(Debug, Serialize)]
struct SummaryContent {
    summary: String,
    summary_type: String,
}

#[derive(Debug, Serialize)]
struct ProcessorInfo {
    format_source: String,
    processing_status: String,
}

/// `/{stem}.json`.
#[derive(Debug, Serialize)]
pub(crate) struct StemDocument {
    video: Video,
    summary: StemSummary,
    thumbnail_url: String,
    analysis: Analysis,
    subcategories_json: Option<String>,
    has_audio: bool,
    summary_type: String,
}

#[derive(Debug, Serialize)]
struct Video {
    video_id: String,
    title: String,
    channel: String,
    url: String,
    duration_seconds: i64,
    published_at: String,
}

#[derive(Debug, Serialize)]
struct StemSummary {
    text: String,
    html: String,
    #[serde(rename = "type")]
    kind: String,
}

// === impl Summary ===

impl Summary {
    /// What is shown where there is no summary.
    pub(crate) fn none() -> Self {
        Self { text: "No summary available.".to_owned(), kind: "none".to_owned() }
    }
}

// === impl List ===

impl List {
    /// The answer to `query`.
    pub(crate) fn new(query: &ListQuery, page: Page) -> Self {
        let size = u64::from(query.size);
        let total_pages = page.total.div_ceil(size);
        Self {
            reports: page.records.into_iter().map(Report::from).collect(),
            pagination: Pagination {
                page: query.page,
                size: query.size,
                total_count: page.total,
                total_pages,
                has_next: query.page < total_pages,
                has_prev: query.page > 1,
            },
            sort: query.sort_name,
            filters: query.filters.echo.clone(),
        }
    }
}

// === impl Report ===

impl From<Record> for Report {
    fn from(record: Record) -> Self {
        let language = non_empty(record.language.clone()).unwrap_or_else(|| "en".to_owned());
        let duration_seconds = record.duration_seconds.unwrap_or(0);
        let audio_duration_seconds = record.audio_duration_seconds.unwrap_or(0);
        let analysis = Analysis {
            category: array(record.category.as_deref()),
            subcategory: record.subcategory,
            categories: subjects(record.subcategories.as_deref()),
            content_type: record.content_type.unwrap_or_default(),
            complexity_level: record.complexity_level.unwrap_or_default(),
            language: language.clone(),
            key_topics: array(record.key_topics.as_deref()),
            named_entities: array(record.named_entities.as_deref()),
        };
        let video_id = record.video_id.unwrap_or_default();
        Self {
            title: non_empty(record.title).unwrap_or_else(|| "Untitled".to_owned()),
            thumbnail_url: record.thumbnail_url.unwrap_or_default(),
            canonical_url: record.canonical_url.unwrap_or_default(),
            channel: record.channel.unwrap_or_default(),
            published_at: record.published_at.unwrap_or_default(),
            duration_seconds,
            analysis,
            media: Media {
                has_audio: record.has_audio,
                audio_duration_seconds,
                has_transcript: record.has_transcript,
                transcript_chars: record.transcript_chars.unwrap_or(0),
            },
            media_metadata: MediaMetadata {
                video_duration_seconds: duration_seconds,
                mp3_duration_seconds: audio_duration_seconds,
            },
            // A record without a video id is still found by its own.
            file_stem: if video_id.is_empty() { record.id.clone() } else { video_id.clone() },
            id: record.id,
            video_id,
            subcategories_json: record.subcategories,
            indexed_at: record.indexed_at.unwrap_or_default(),
            original_language: language.clone(),
            summary_language: language.clone(),
            audio_language: language,
            word_count: record.word_count.unwrap_or(0),
        }
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

// === impl Detail ===

impl Detail {
    /// A record with its summary.
    pub(crate) fn new(mut record: Record, summary: Option<Summary>) -> Self {
        let processor_info = ProcessorInfo {
            format_source: record.format_source.take().unwrap_or_default(),
            processing_status: record.processing_status.take().unwrap_or_default(),
        };
        let Summary { text, kind } = summary.unwrap_or_else(Summary::none);
        let content = SummaryContent { summary: text.clone(), summary_type: kind.clone() };
        Self { report: record.into(), summary: DetailSummary { text, kind, content }, processor_info }
    }
}

// === impl StemDocument ===

impl StemDocument {
    /// The document of a report whose summary was rendered to `html`.
    pub(crate) fn new(detail: Detail, html: String) -> Self {
        let Detail { report, summary, .. } = detail;
        Self {
            video: Video {
                video_id: report.video_id,
                title: report.title,
                channel: report.channel,
                url: report.canonical_url,
                duration_seconds: report.duration_seconds,
                published_at: report.published_at,
            },
            summary_type: summary.kind.clone(),
            summary: StemSummary { text: summary.text, html, kind: summary.kind },
            thumbnail_url: report.thumbnail_url,
            analysis: report.analysis,
            subcategories_json: report.subcategories_json,
            has_audio: report.media.has_audio,
        }
    }
}
