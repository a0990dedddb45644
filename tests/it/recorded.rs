//! The recorded pairs of production answers: what differs there, is named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flipgate::compare::{Body, Class, Comparison, Kind, Leg, Rules, compare};
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

type Signatures = BTreeMap<(String, Kind, Class), usize>;

fn signatures(comparison: &Comparison) -> Signatures {
    let mut signatures = Signatures::new();
    for difference in &comparison.differences {
        *signatures.entry((difference.path.clone(), difference.kind, difference.class)).or_default() += 1;
    }
    signatures
}

/// The signatures of a recorded pair, printed.
fn pair(name: &str) -> Option<Signatures> {
    let (from, to) = (recorded(name, "sqlite")?, recorded(name, "postgres")?);
    let comparison = compared(&from, &to);
    assert!(!comparison.is_match() && comparison.limited.is_none());
    let signatures = signatures(&comparison);
    eprintln!("{name}: {} differences, {} findings", comparison.total, signatures.len());
    for ((path, kind, class), count) in &signatures {
        eprintln!("  {count:3} {path} {kind} {class}");
    }
    Some(signatures)
}

fn has(signatures: &Signatures, path: &str, kind: Kind, class: Class) -> bool {
    signatures.contains_key(&(path.to_owned(), kind, class))
}

#[test]
fn the_filters_are_renamed() {
    let Some(found) = pair("filters") else { return };
    for path in ["/category", "/channel", "/language"] {
        assert!(has(&found, path, Kind::Renamed, Class::Value), "{path}");
    }
    for gone in ["/source", "/content_type", "/complexity_level"] {
        assert!(has(&found, gone, Kind::Removed, Class::Value), "{gone}");
    }
    for new in ["/years", "/variants"] {
        assert!(has(&found, new, Kind::Added, Class::Value), "{new}");
    }
    assert!(found.len() <= 16, "{} findings", found.len());
}

#[test]
fn the_pages_of_reports_differ_in_json_in_strings_and_rows() {
    for name in ["reports-size-1", "reports-size-5", "reports-size-10"] {
        let Some(found) = pair(name) else { return };
        assert!(
            has(&found, "/reports/*/subcategories_json", Kind::TypeChanged, Class::JsonInString),
            "{name}"
        );
        assert!(has(&found, "/reports/*", Kind::Removed, Class::Value), "{name}");
        assert!(has(&found, "/reports/*", Kind::Added, Class::Value), "{name}");
        assert!(found.len() <= 30, "{name}: {} findings", found.len());
    }
}

#[test]
fn rows_that_both_pages_have_are_compared_with_each_other() {
    let Some(found) = pair("reports-size-10") else { return };
    assert!(has(&found, "/reports/*/channel", Kind::Renamed, Class::Value));
    assert!(has(&found, "/reports/*/indexed_at", Kind::Changed, Class::TimestampFormat));
    assert!(has(&found, "/reports", Kind::Moved, Class::Order));
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
