//! Documents to answers: JSON, the two HTML pages, errors. Everything that comes from a store is escaped.

use askama::Template;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::model::{Detail, List, Report, StemDocument};
use super::{Answer, summary_html};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const FRESH: HeaderValue = HeaderValue::from_static("no-cache");
const MINUTE: HeaderValue = HeaderValue::from_static("public, max-age=60");

#[derive(Template)]
#[template(path = "cards.html")]
struct Cards<'a> {
    reports: &'a [Report],
    data: &'a str,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    report: &'a Report,
    summary_html: &'a str,
    summary_kind: &'a str,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a str,
}

/// A document that must be read anew each time.
pub(crate) fn json(document: &impl Serialize) -> Answer {
    document_answer(document, FRESH)
}

/// A document that may be kept for a minute.
pub(crate) fn json_for_a_minute(document: &impl Serialize) -> Answer {
    document_answer(document, MINUTE)
}

/// `/{stem}.json`.
pub(crate) fn stem_json(detail: Detail) -> Answer {
    let html = summary_html::render(&detail.summary.text);
    json(&StemDocument::new(detail, html))
}

/// The page of cards, with the same reports as JSON for its scripts.
pub(crate) fn cards(list: &List) -> Answer {
    #[derive(Serialize)]
    struct Data<'a> {
        reports: &'a [Report],
    }
    let reports = &list.reports;
    match serde_json::to_string(&Data { reports }) {
        Ok(data) => page(&Cards { reports, data: &script_safe(&data) }),
        Err(error) => unanswerable(&error),
    }
}

/// The page of one report.
pub(crate) fn report(detail: &Detail) -> Answer {
    let summary_html = summary_html::render(&detail.summary.text);
    page(&ReportPage {
        report: &detail.report,
        summary_html: &summary_html,
        summary_kind: &detail.summary.kind,
    })
}

/// No such record.
pub(crate) fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "No report has this id.")
}

/// A method other than GET and HEAD.
pub(crate) fn method_not_allowed() -> Answer {
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.");
    answer.headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// The store did not answer; why is in the log.
pub(crate) fn unavailable() -> Answer {
    error(StatusCode::SERVICE_UNAVAILABLE, "The library cannot be read at the moment; try again.")
}

fn unanswerable(reason: &dyn std::fmt::Display) -> Answer {
    tracing::error!(%reason, "an answer could not be rendered");
    error(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be rendered.")
}

fn error(status: StatusCode, sentence: &str) -> Answer {
    // A document of one string member always serialises.
    let body = serde_json::to_vec(&ErrorDocument { error: sentence }).unwrap_or_default();
    answer(status, JSON, FRESH, body)
}

fn document_answer(document: &impl Serialize, cache: HeaderValue) -> Answer {
    match serde_json::to_vec(document) {
        Ok(body) => answer(StatusCode::OK, JSON, cache, body),
        Err(error) => unanswerable(&error),
    }
}

fn page(template: &impl Template) -> Answer {
    match template.render() {
        Ok(body) => answer(StatusCode::OK, HTML, FRESH, body.into_bytes()),
        Err(error) => unanswerable(&error),
    }
}

fn answer(status: StatusCode, kind: HeaderValue, cache: HeaderValue, body: Vec<u8>) -> Answer {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Answer { status, headers, body: Bytes::from(body) }
}

/// JSON that no HTML parser can mistake for the end of its script, nor JavaScript for the end of a line.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            other => safe.push(other),
        }
    }
    safe
}

// === impl Report ===

impl Report {
    /// Path of its page.
    fn page_path(&self) -> String {
        let stem = percent_encoding::utf8_percent_encode(&self.file_stem, percent_encoding::NON_ALPHANUMERIC);
        format!("/{stem}.html")
    }

    /// Link to the video, if it is one that may be followed.
    fn link(&self) -> Option<&str> {
        web_address(&self.canonical_url)
    }

    /// Address of the thumbnail, if it is one that may be loaded.
    fn thumbnail(&self) -> Option<&str> {
        web_address(&self.thumbnail_url)
    }

    /// `h:mm:ss`, or `m:ss` below an hour.
    fn duration(&self) -> String {
        let seconds = self.duration_seconds.max(0);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            format!("{hours}:{minutes:02}:{seconds:02}")
        } else {
            format!("{minutes}:{seconds:02}")
        }
    }

    /// Names of its categories, the curated ones first choice.
    fn category_names(&self) -> Vec<&str> {
        if self.analysis.categories.is_empty() {
            return self.analysis.category.iter().filter_map(serde_json::Value::as_str).collect();
        }
        self.analysis.categories.iter().map(|subject| subject.category.as_str()).collect()
    }
}

/// A stored address may be `javascript:`; only the web's are linked.
fn web_address(address: &str) -> Option<&str> {
    (address.starts_with("https://") || address.starts_with("http://")).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_a_script_cannot_end_it() {
        assert_eq!(script_safe("</script><!--&\u{2028}"), "\\u003c/script\\u003e\\u003c!--\\u0026\\u2028");
    }

    #[test]
    fn only_web_addresses_are_linked() {
        assert_eq!(web_address("javascript:alert(1)"), None);
        assert_eq!(web_address("https://x/"), Some("https://x/"));
    }
}
