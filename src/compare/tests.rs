//! Tests of whole comparisons.

mod body;
mod html;
mod json;
mod property;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// Compares two framed bodies of one content type.
fn compared(content_type: &str, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>, rules: &Rules) -> Comparison {
    let headers = headers(&[("content-type", content_type)]);
    fn leg<'a>(headers: &'a HeaderMap, bytes: &'a [u8]) -> Leg<'a> {
        Leg { status: 200, headers, body: Body::Whole { bytes, framed: true } }
    }
    compare(leg(&headers, from.as_ref()), leg(&headers, to.as_ref()), rules)
}

/// The differences as lines `path kind class`, sorted.
fn lines(comparison: &Comparison) -> Vec<String> {
    let mut lines: Vec<String> = comparison
        .differences
        .iter()
        .map(|difference| format!("{} {} {}", difference.path, difference.kind, difference.class))
        .collect();
    lines.sort();
    lines
}

fn json(from: &str, to: &str) -> Vec<String> {
    json_by(&Rules::default(), from, to)
}

fn json_by(rules: &Rules, from: &str, to: &str) -> Vec<String> {
    let comparison = compared(JSON, from, to, rules);
    assert_eq!(comparison.limited, None);
    assert_eq!(comparison.is_match(), comparison.differences.is_empty());
    lines(&comparison)
}

fn rules(change: impl FnOnce(&mut RulesSpec)) -> Rules {
    let mut spec = RulesSpec::default();
    change(&mut spec);
    Rules::new(&spec).unwrap()
}
