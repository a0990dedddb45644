//! JSON documents: parsed exactly, then walked side by side.
//!
//! All values at one index-free path are compared together, over all rows: a rename, or 0/1 for false/true, shows only
//! when the other rows are seen too, and one cause is found once.

mod array;
mod member;
mod node;
mod order;
mod parse;
mod rename;
mod shape;
mod walk;

pub(super) use array::KEYS;
pub(super) use node::{Node, Value};
pub(super) use parse::{ParseError, parse, parse_prefix};

use super::difference::{Collector, Limit, Sides};
use super::path::Path;
use super::rules;
use walk::Walk;

/// Compares two bodies that should be JSON.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    let depth = collector.rules.limits().depth;
    match (parse(from, depth), parse(to, depth)) {
        (Ok(from), Ok(to)) => documents(from, to, Path::default(), collector),
        (Err(ParseError::Depth), _) | (_, Err(ParseError::Depth)) => collector.limit(Limit::Depth),
        (from, to) => collector.push_body(Sides::both(state(from.err()), state(to.err()))),
    }
}

/// Compares two documents; `path` is what stands before the pointers of their differences.
pub(super) fn documents(mut from: Node<'_>, mut to: Node<'_>, path: Path, collector: &mut Collector<'_>) {
    let ignored = collector.rules.ignored();
    if !ignored.is_empty() {
        from.prune(ignored, &rules::starts(ignored));
        to.prune(ignored, &rules::starts(ignored));
    }
    Walk::new(path, collector).documents(&from, &to);
}

fn state(error: Option<ParseError>) -> String {
    error.map_or_else(|| "JSON".to_owned(), |error| format!("not JSON: {error}"))
}
