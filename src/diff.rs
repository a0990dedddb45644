//! Two documents compared by hand: two files, two URLs, or one of each, by the rules of the proxy.
//!
//! Not for: the two legs of a request that came through the proxy (`shadow`, `ledger`).

pub mod report;
pub mod source;

use http::HeaderMap;

use self::report::Report;
use self::source::Document;
use crate::compare::{self, Rules};
use crate::side::Pair;

/// Compares both documents.
#[must_use]
pub fn report(documents: &Pair<Document>, rules: &Rules) -> Report {
    let Pair { from, to } = documents;
    Report::of(&compare::compare(from.leg(), to.leg(), rules))
}

/// The RFC 6902 patch that turns *from*'s document into *to*'s, every value as it is. None where one is not JSON.
#[must_use]
pub fn patch(documents: &Pair<Document>, rules: &Rules) -> Option<serde_json::Value> {
    let decoded = |document: &Document| {
        let bytes = compare::decoded(&document.body, &document.headers, rules.limits());
        bytes.map(std::borrow::Cow::into_owned)
    };
    compare::patch(&decoded(&documents.from)?, &decoded(&documents.to)?)
}

/// Lets a file take the content type of the URL it is compared with, which knows it and does not guess.
pub fn agree_on_type(documents: &mut Pair<Document>) {
    let Pair { from, to } = documents;
    let take = |guessed: &mut HeaderMap, known: &HeaderMap| {
        if let Some(value) = known.get(http::header::CONTENT_TYPE) {
            guessed.insert(http::header::CONTENT_TYPE, value.clone());
        }
    };
    match (from.answered, to.answered) {
        (false, true) => take(&mut from.headers, &to.headers),
        (true, false) => take(&mut to.headers, &from.headers),
        (true, true) | (false, false) => {}
    }
}
