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
    assert_findings!("filters", at most 12, @"");
}

#[test]
fn a_page_of_one_report_shows_another_row_of_another_shape() {
    assert_findings!("reports-size-1", at most 25, @"");
}

#[test]
fn a_page_of_five_reports() {
    assert_findings!("reports-size-5", at most 25, @"");
}

#[test]
fn a_page_of_ten_reports() {
    assert_findings!("reports-size-10", at most 25, @"");
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
