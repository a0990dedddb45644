//! Bodies: which of them can be compared by structure, and as what.

use std::borrow::Cow;

use encoding_rs::Encoding;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::decode::{self, DecodeError};
use super::difference::{Collector, Sides};
use super::head;
use super::rules::{Limits, Mode};
use super::{Body, Leg, html, json, text};

/// A body whose every byte is at hand.
#[derive(Clone, Copy)]
struct Whole<'a> {
    bytes: &'a [u8],
    framed: bool,
    status: u16,
    headers: &'a HeaderMap,
}

/// A body without its encodings.
struct Decoded<'a> {
    bytes: Cow<'a, [u8]>,
    whole: Whole<'a>,
}

/// Compares the bodies of two legs that have the same status.
pub(super) fn compare(from: Leg<'_>, to: Leg<'_>, collector: &mut Collector<'_>) {
    match (from.body, to.body) {
        (
            Body::Over { length: left, digest: left_digest },
            Body::Over { length: right, digest: right_digest },
        ) => {
            if (left, left_digest) != (right, right_digest) {
                collector
                    .push_body(Sides::both(measured(left, &left_digest), measured(right, &right_digest)));
            }
        }
        (Body::Over { length, digest }, Body::Whole { bytes, .. }) => {
            collector.push_body(Sides::both(over(length, &digest), within(bytes)));
        }
        (Body::Whole { bytes, .. }, Body::Over { length, digest }) => {
            collector.push_body(Sides::both(within(bytes), over(length, &digest)));
        }
        (
            Body::Whole { bytes: left, framed: left_framed },
            Body::Whole { bytes: right, framed: right_framed },
        ) => {
            let from = Whole { bytes: left, framed: left_framed, status: from.status, headers: from.headers };
            let to = Whole { bytes: right, framed: right_framed, status: to.status, headers: to.headers };
            wholes(from, to, collector);
        }
    }
}

fn wholes(from: Whole<'_>, to: Whole<'_>, collector: &mut Collector<'_>) {
    let (left_names, right_names) = (decode::names(from.headers), decode::names(to.headers));
    let identical = from.bytes == to.bytes && left_names == right_names;
    if identical && from.framed && to.framed && !begins_with_status_line(from.status, from.bytes) {
        return;
    }
    let limits = *collector.rules.limits();
    let (from, to) = match (from.decode(&left_names, &limits), to.decode(&right_names, &limits)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(DecodeError::Limit(limit)), _) | (_, Err(DecodeError::Limit(limit))) => {
            return collector.limit(limit);
        }
        (from, to) => return collector.push_body(Sides::both(decoding(from.err()), decoding(to.err()))),
    };
    if from.bytes.is_empty() && to.bytes.is_empty() {
        return;
    }
    if from.holds_status_line() || to.holds_status_line() {
        return collector.push_body(Sides::both(from.start(), to.start()));
    }
    decoded(&from, &to, collector);
}

fn decoded(from: &Decoded<'_>, to: &Decoded<'_>, collector: &mut Collector<'_>) {
    let (left, right) = (from.mode(collector.rules.mode()), to.mode(collector.rules.mode()));
    if left != right {
        let named = |mode: Mode, body: &Decoded<'_>| format!("{mode}: {}", body.start());
        return collector.push_body(Sides::both(named(left, from), named(right, to)));
    }
    let same = from.bytes == to.bytes && from.charset() == to.charset();
    if same && from.whole.framed && to.whole.framed {
        return;
    }
    match left {
        // Also when both are the same: two bodies cut alike are still cut.
        Mode::Json => json::compare(&from.text(), &to.text(), collector),
        Mode::Html if from.is_cut_page() || to.is_cut_page() => {
            let state =
                |body: &Decoded<'_>| if body.is_cut_page() { "a page without its end" } else { "a page" };
            collector.push_body(Sides::both(state(from), state(to)));
        }
        Mode::Html if !same => html::compare(&from.text(), &to.text(), collector),
        Mode::Text if !same => text::compare(&from.text(), &to.text(), collector),
        Mode::Bytes | Mode::Auto if !same => {
            collector.push_body(Sides::both(within(&from.bytes), within(&to.bytes)));
        }
        Mode::Html | Mode::Text | Mode::Bytes | Mode::Auto => {}
    }
}

// === impl Whole ===

impl<'a> Whole<'a> {
    fn decode(self, names: &[String], limits: &Limits) -> Result<Decoded<'a>, DecodeError> {
        let bytes = match decode::decode(self.bytes, names, limits)? {
            Some(decoded) => Cow::Owned(decoded),
            None => Cow::Borrowed(self.bytes),
        };
        Ok(Decoded { bytes, whole: self })
    }
}

// === impl Decoded ===

impl Decoded<'_> {
    /// How this body is to be compared; never `Auto`.
    fn mode(&self, configured: Mode) -> Mode {
        match configured {
            Mode::Json | Mode::Html | Mode::Text | Mode::Bytes => configured,
            Mode::Auto => match head::essence(self.whole.headers).as_str() {
                "application/json" => Mode::Json,
                essence if essence.ends_with("+json") => Mode::Json,
                "text/html" | "application/xhtml+xml" => Mode::Html,
                essence if essence.starts_with("text/") => Mode::Text,
                _ => Mode::Bytes,
            },
        }
    }

    /// The body as text, read in its charset: that of a byte order mark, else of the content type, else UTF-8. What is
    /// not valid in it is read as Latin-1, which loses nothing: other bytes stay other characters.
    fn text(&self) -> Cow<'_, str> {
        let (encoding, bytes) = match Encoding::for_bom(&self.bytes) {
            Some((encoding, length)) => (encoding, self.bytes.get(length..).unwrap_or_default()),
            None => (self.named_encoding(), &*self.bytes),
        };
        encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .unwrap_or_else(|| bytes.iter().map(|byte| char::from(*byte)).collect())
    }

    /// The charset by its label; UTF-8 if none is named, or one that is not known.
    fn named_encoding(&self) -> &'static Encoding {
        self.charset().and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(encoding_rs::UTF_8)
    }

    fn charset(&self) -> Option<String> {
        head::charset(self.whole.headers)
    }

    fn holds_status_line(&self) -> bool {
        begins_with_status_line(self.whole.status, &self.bytes)
    }

    /// True for an unframed document that does not end as documents do. A fragment has no end to look for.
    fn is_cut_page(&self) -> bool {
        if self.whole.framed {
            return false;
        }
        let text = self.text().to_ascii_lowercase();
        let document = text.contains("<html") || text.trim_start().starts_with("<!doctype");
        document && !html::without_trailing_comments(&text).ends_with("</html>")
    }

    /// The first characters, to show what came.
    fn start(&self) -> String {
        self.text().chars().take(80).collect()
    }
}

/// True if a 200 answer's body is an answer itself: a backend that wrote its error over an answer already begun.
fn begins_with_status_line(status: u16, body: &[u8]) -> bool {
    let after_version = body.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..5));
    status == 200
        && after_version
            .is_some_and(|rest| matches!(rest, [b' ', code @ ..] if code.iter().all(u8::is_ascii_digit)))
}

fn decoding(error: Option<DecodeError>) -> String {
    error.map_or_else(|| "decoded".to_owned(), |error| error.to_string())
}

fn over(length: u64, digest: &[u8; 32]) -> String {
    format!("over the cap: {}", measured(length, digest))
}

fn within(bytes: &[u8]) -> String {
    measured(bytes.len() as u64, &Sha256::digest(bytes).into())
}

fn measured(length: u64, digest: &[u8; 32]) -> String {
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{length} bytes, sha256 {digest}")
}
