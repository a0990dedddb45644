//! Legs for the fuzz targets.
#![allow(dead_code, reason = "each target uses some of it")]

use flipgate::compare::{Body, Comparison, Leg, Rules, compare};
use http::{HeaderMap, HeaderValue, header};

/// What stands before the first zero byte and after it.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}

pub fn compared(content_type: &'static str, from: &[u8], to: &[u8]) -> Comparison {
    both(content_type, from, to, true)
}

pub fn unframed(content_type: &'static str, from: &[u8], to: &[u8]) -> Comparison {
    both(content_type, from, to, false)
}

/// One body under two content types.
pub fn differently(from: &'static str, to: &'static str, body: &[u8]) -> Comparison {
    let headers = |value| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
    let (from, to) = (headers(from), headers(to));
    let leg = |headers| Leg { status: 200, headers, body: Body::Whole { bytes: body, framed: true } };
    compare(leg(&from), leg(&to), &Rules::default())
}

/// A body against another of the same encoding.
pub fn encoded(content_type: &'static str, encoding: &'static str, body: &[u8]) -> Comparison {
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    let leg = |bytes| Leg { status: 200, headers: &headers, body: Body::Whole { bytes, framed: true } };
    compare(leg(body), leg(b""), &Rules::default())
}

fn both(content_type: &'static str, from: &[u8], to: &[u8], framed: bool) -> Comparison {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    let leg = |bytes| Leg { status: 200, headers: &headers, body: Body::Whole { bytes, framed } };
    compare(leg(from), leg(to), &Rules::default())
}
