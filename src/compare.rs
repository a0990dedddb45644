//! Compares two legs of one request: `(leg, leg, rules) → comparison`.
//!
//! Pure: no I/O, no clock, no panics; work, depth and memory are bounded by [`Limits`]. Everything is oriented from
//! *from* to *to*, whoever served. Not for: deciding what a difference means for a flip (that is the ledger's).

pub(crate) mod align;
mod body;
mod class;
mod decode;
mod difference;
pub(crate) mod hash;
mod head;
pub(crate) mod html;
pub(crate) mod json;
mod number;
mod patch;
mod path;
mod rules;
mod text;

use http::HeaderMap;

pub(crate) use class::{instant, is_escaped};
pub use decode::decoded;
pub use difference::{Class, Comparison, Difference, Kind, Limit, Severity, UnknownName};
pub use html::Mask;
pub(crate) use json::is_one_name;
pub use patch::patch;
pub use path::PathError;
pub use rules::{Limits, Mode, Rules, RulesError, RulesSpec};

use difference::Collector;

/// One backend's complete answer, borrowed for the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Leg<'a> {
    /// HTTP status code, 100 to 999.
    pub status: u16,
    /// The answer's headers as they came (hop-by-hop ones included; only configured ones are compared).
    pub headers: &'a HeaderMap,
    /// The body, whole or only measured.
    pub body: Body<'a>,
}

/// A leg's body as far as it was kept.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Every byte, still content-encoded.
    Whole {
        /// The encoded bytes.
        bytes: &'a [u8],
        /// False if only the end of the connection ended it: then it may have been cut without a sign.
        framed: bool,
    },
    /// Longer than the cap: only measured.
    Over {
        /// Length in bytes, as measured after decoding where the encoding was understood.
        length: u64,
        /// SHA-256 of the same bytes.
        digest: [u8; 32],
    },
}

/// Compares two legs of one request.
///
/// ```
/// use flipgate::compare::{Body, Leg, Rules, compare};
///
/// let headers: http::HeaderMap = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))]
///     .into_iter()
///     .collect();
/// let leg = |bytes| Leg { status: 200, headers: &headers, body: Body::Whole { bytes, framed: true } };
/// let comparison = compare(leg(br#"{"category": "History"}"#), leg(br#"{"categories": "History"}"#), &Rules::default());
/// assert_eq!(comparison.differences[0].kind.as_str(), "renamed");
/// ```
#[must_use]
pub fn compare(from: Leg<'_>, to: Leg<'_>, rules: &Rules) -> Comparison {
    let mut collector = Collector::new(rules);
    head::status(from.status, to.status, &mut collector);
    if !collector.differs() {
        head::headers(from.headers, to.headers, &mut collector);
        body::compare(from, to, &mut collector);
    }
    collector.finish()
}

#[cfg(test)]
mod tests;
