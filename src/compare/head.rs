//! Status and headers.

use http::{HeaderMap, HeaderName, header};

use super::difference::{Class, Collector, Kind, Sides};

/// Compares the status codes. Bodies of other statuses are other documents: then nothing more is compared.
pub(super) fn status(from: u16, to: u16, collector: &mut Collector<'_>) {
    if from != to {
        let sides = Sides::both(from.to_string(), to.to_string());
        collector.push(String::new(), String::new(), Kind::Status, Class::Value, sides);
    }
}

/// Compares the configured headers; a repeated header is a list.
pub(super) fn headers(from: &HeaderMap, to: &HeaderMap, collector: &mut Collector<'_>) {
    for name in collector.rules.headers() {
        if values(from, name) != values(to, name) {
            let sides = Sides { from: shown(from, name), to: shown(to, name) };
            collector.push(name.to_string(), name.to_string(), Kind::Header, Class::Value, sides);
        }
    }
}

/// A media type without parameters, in lower case; empty if there is none.
pub(super) fn essence(headers: &HeaderMap) -> String {
    content_type(headers).map_or_else(String::new, |(essence, _)| essence)
}

/// The charset parameter, in lower case.
pub(super) fn charset(headers: &HeaderMap) -> Option<String> {
    content_type(headers)?.1
}

fn content_type(headers: &HeaderMap) -> Option<(String, Option<String>)> {
    Some(media_type(headers.get(header::CONTENT_TYPE)?.as_bytes()))
}

/// Essence and charset: what a content type says about how to read the body.
fn media_type(value: &[u8]) -> (String, Option<String>) {
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_owned();
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim() == "charset")
        .map(|(_, charset)| charset.trim().trim_matches('"').to_owned());
    (essence, charset)
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<Vec<u8>> {
    let meaning = |value: &[u8]| {
        if *name != header::CONTENT_TYPE {
            return value.to_vec();
        }
        let (essence, charset) = media_type(value);
        format!("{essence};{}", charset.unwrap_or_default()).into_bytes()
    };
    headers.get_all(name).iter().map(|value| meaning(value.as_bytes())).collect()
}

fn shown(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
