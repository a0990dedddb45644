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
pub(crate) use array::aligned;
pub(crate) use node::{Node, Value};
pub(crate) use parse::parse;
pub(super) use parse::{ParseError, parse_prefix};
pub(crate) use rename::{is_one_name, is_one_value};

use bumpalo::Bump;

use super::difference::{Collector, Limit, Sides};
use super::path::Path;
use super::rules;
use walk::Walk;

/// Compares two bodies that should be JSON.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    let depth = collector.rules.limits().depth;
    let arena = Bump::new();
    if from == to && parse(from, depth, &arena).is_ok() {
        return;
    }
    match (parse(from, depth, &arena), parse(to, depth, &arena)) {
        (Ok(from), Ok(to)) => documents(from, to, Path::default(), &arena, collector),
        (Err(ParseError::Depth), _) | (_, Err(ParseError::Depth)) => collector.limit(Limit::Depth),
        (from, to) => collector.push_body(Sides::both(state(from.err()), state(to.err()))),
    }
}

/// Compares two documents; `path` is what stands before the pointers of their differences.
pub(super) fn documents<'a>(
    from: Node<'a>,
    to: Node<'a>,
    path: Path,
    arena: &'a Bump,
    collector: &mut Collector<'_>,
) {
    let ignored = collector.rules.ignored();
    let starts = rules::starts(ignored);
    let pruned =
        |node: Node<'a>| if ignored.is_empty() { node } else { node.pruned(ignored, &starts, arena) };
    let (from, to) = (pruned(from), pruned(to));
    Walk::new(path, collector).documents(&from, &to);
}

fn state(error: Option<ParseError>) -> String {
    error.map_or_else(|| "JSON".to_owned(), |error| format!("not JSON: {error}"))
}
