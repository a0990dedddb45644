//! The recorded pairs of production answers: what differs there, is named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flipgate::compare::{Body, Comparison, Difference, Kind, Leg, Rules, compare};
use http::{HeaderMap, HeaderValue, header};

const PAIRS: [&str; 4] = ["filters", "reports-size-1", "reports-size-5", "reports-size-10"];

/// A recorded answer; None, with a notice, where the shared data is missing.
fn recorded(name: &str, store: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("FLIPGATE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let file = shared.join("data/recorded").join(format!("{name}.{store}.json"));
    let read = std::fs::read(&file);
    if let Err(error) = &read {
        eprintln!("SKIPPED: {} cannot be read ({error}); set FLIPGATE_SHARED", file.display());
    }
    read.ok()
}

fn compared(from: &[u8], to: &[u8]) -> Comparison {
    let headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    // Unframed, as the dashboard answers: then also equal bodies are read.
    let leg = |bytes| Leg { status: 200, headers: &headers, body: Body::Whole { bytes, framed: false } };
    compare(leg(from), leg(to), &Rules::default())
}

/// The findings of a recorded pair as lines `count path kind class`; for renames the names, too. No data.
fn findings(name: &str) -> Option<String> {
    let (from, to) = (recorded(name, "sqlite")?, recorded(name, "postgres")?);
    let there = compared(&from, &to);
    assert!(!there.is_match() && there.limited.is_none());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for difference in &there.differences {
        let names = match (difference.kind, &difference.from, &difference.to) {
            (Kind::Renamed, Some(old), Some(new)) => format!(" {old} → {new}"),
            _ => String::new(),
        };
        let Difference { path, kind, class, .. } = difference;
        *counts.entry(format!("{path} {kind} {class}{names}")).or_default() += 1;
    }
    assert_eq!(there.total, compared(&to, &from).total, "swapped sides count alike");
    Some(counts.iter().map(|(line, count)| format!("{count:2} {line}\n")).collect())
}

/// Checks the findings of a pair against a list that was read line by line for truth.
macro_rules! assert_findings {
    ($name:literal, at most $most:literal, @$expected:literal) => {
        let Some(found) = findings($name) else { return };
        assert!(found.lines().count() <= $most, "{found}");
        insta::assert_snapshot!(found, @$expected);
    };
}

// What is not listed is told by a line that is: the rows of `language`, all gone, by its rename; that categories and
// channels with equal counts come in another order, since an array under another name need not keep the order of equals.
#[test]
fn the_filters_are_renamed() {
    assert_findings!("filters", at most 12, @r"
     1 /category renamed value category → categories
     1 /category/*/count changed value
    15 /category/*/subcategories removed value
     1 /channel renamed value channel → channels
     9 /channel/* removed value
     1 /complexity_level removed value
     1 /content_type removed value
     1 /has_audio moved order
     1 /language renamed value language → languages (empty)
     1 /source removed value
     1 /variants added value
     1 /years added value
    ");
}

#[test]
fn a_page_of_one_report_shows_another_row_of_another_shape() {
    assert_findings!("reports-size-1", at most 25, @r"
    1 /reports/* added value
    1 /reports/* removed value
    1 /reports/*/analysis removed value
    1 /reports/*/analysis_json added value
    1 /reports/*/audio_language removed value
    1 /reports/*/channel removed value
    1 /reports/*/channel_name added value
    1 /reports/*/created_at added value
    1 /reports/*/file_stem removed value
    1 /reports/*/has_audio added value
    1 /reports/*/media removed value
    1 /reports/*/media_metadata removed value
    1 /reports/*/original_language removed value
    1 /reports/*/subcategories_json type_changed json_in_string
    1 /reports/*/summary_created_at added value
    1 /reports/*/summary_html added value
    1 /reports/*/summary_language removed value
    1 /reports/*/summary_revision added value
    1 /reports/*/summary_text added value
    1 /reports/*/summary_variant added value
    1 /reports/*/topics_json added value
    1 /reports/*/updated_at added value
    1 /reports/*/word_count removed value
    ");
}

#[test]
fn a_page_of_five_reports() {
    assert_findings!("reports-size-5", at most 25, @r"
    1 /reports moved order
    1 /reports/* added value
    1 /reports/* removed value
    4 /reports/*/analysis removed value
    4 /reports/*/analysis_json added null_vs_absent
    4 /reports/*/audio_language removed value
    1 /reports/*/channel renamed value channel → channel_name
    4 /reports/*/created_at added value
    4 /reports/*/file_stem removed value
    4 /reports/*/has_audio added value
    4 /reports/*/indexed_at changed timestamp_format
    4 /reports/*/media removed value
    4 /reports/*/media_metadata removed value
    4 /reports/*/original_language removed value
    4 /reports/*/published_at changed timestamp_format
    4 /reports/*/subcategories_json type_changed json_in_string
    4 /reports/*/summary_created_at added value
    4 /reports/*/summary_html added value
    4 /reports/*/summary_language removed value
    4 /reports/*/summary_revision added value
    4 /reports/*/summary_text added value
    4 /reports/*/summary_variant added value
    4 /reports/*/topics_json added value
    4 /reports/*/updated_at added value
    4 /reports/*/word_count removed value
    ");
}

#[test]
fn a_page_of_ten_reports() {
    assert_findings!("reports-size-10", at most 25, @r"
    1 /reports moved order
    4 /reports/* added value
    4 /reports/* removed value
    6 /reports/*/analysis removed value
    6 /reports/*/analysis_json added null_vs_absent
    6 /reports/*/audio_language removed value
    1 /reports/*/channel renamed value channel → channel_name
    6 /reports/*/created_at added value
    6 /reports/*/file_stem removed value
    6 /reports/*/has_audio added value
    6 /reports/*/indexed_at changed timestamp_format
    6 /reports/*/media removed value
    6 /reports/*/media_metadata removed value
    6 /reports/*/original_language removed value
    6 /reports/*/published_at changed timestamp_format
    5 /reports/*/subcategories_json type_changed json_in_string
    6 /reports/*/summary_created_at added value
    6 /reports/*/summary_html added value
    6 /reports/*/summary_language removed value
    6 /reports/*/summary_revision added value
    6 /reports/*/summary_text added value
    6 /reports/*/summary_variant added value
    6 /reports/*/topics_json added value
    6 /reports/*/updated_at added value
    6 /reports/*/word_count removed value
    ");
}

#[test]
fn the_same_answer_on_both_sides_is_a_match() {
    for name in PAIRS {
        for store in ["sqlite", "postgres"] {
            let Some(body) = recorded(name, store) else { return };
            assert!(compared(&body, &body).is_match(), "{name} {store}");
        }
    }
}
