//! HTML pages, compared as the trees a browser builds.
//!
//! White space is folded as HTML does, the order of attributes and of classes, comments and the spelling of entities do
//! not count; volatile tokens are masked; JSON inside scripts is compared as JSON.

mod chosen;
mod depth;
mod mask;
mod page;
mod script;
mod sink;
mod space;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

use bumpalo::Bump;
use html5ever::tree_builder::QuirksMode;
use scraper::Html;

pub use mask::Mask;

use super::difference::{Class, Collector, Kind, Limit, Sides};
use super::rules::Rules;
pub(crate) use tree::{Child, Element};
use walk::Place;

/// Bytes that the trees take for four bytes of the pages, if there is more markup than text.
const ROOM: usize = 15;

/// Compares two pages.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    if is_deep(from, to, collector) {
        return;
    }
    let (rules, arena) = (collector.rules, arena(from, to));
    let read = |text: &str| {
        let page = if selects(rules) {
            chosen::page(&Html::parse_document(text), rules, &arena)
        } else {
            sink::document(text, &arena)
        };
        (mode(page.mode), tree::read(page, rules, &arena))
    };
    let ((from_mode, from), (to_mode, to)) = (read(from), read(to));
    if from_mode != to_mode {
        let sides = Sides::both(from_mode, to_mode);
        collector.push("!doctype".to_owned(), "!doctype".to_owned(), Kind::Changed, Class::Value, sides);
    }
    trees(from, to, &Place::root(), &arena, collector);
}

/// Compares two pieces of a page that stand in a JSON member; its path and the path with positions stand before theirs.
pub(super) fn fragments(from: &str, to: &str, path: &str, at: &str, collector: &mut Collector<'_>) {
    if is_deep(from, to, collector) {
        return;
    }
    let (rules, arena) = (collector.rules, arena(from, to));
    let read = |text: &str| {
        let page = if selects(rules) {
            chosen::page(&Html::parse_fragment(text), rules, &arena)
        } else {
            sink::fragment(text, &arena)
        };
        tree::read(page, rules, &arena)
    };
    trees(read(from), read(to), &Place::within(path, at), &arena, collector);
}

/// The page's tree, as the comparison reads it; None if it nests more deeply than the rules allow.
pub(crate) fn page<'t>(text: &str, rules: &Rules, arena: &'t Bump) -> Option<Element<'t>> {
    if depth::is_deep(text, rules.limits().depth) {
        return None;
    }
    tree::read(sink::document(text, arena), rules, arena)
}

/// An arena with room for both trees. One that grows doubles, and so would hold up to twice as much; what is not used
/// of a large room takes address space alone.
fn arena(from: &str, to: &str) -> Bump {
    Bump::with_capacity(from.len().saturating_add(to.len()).saturating_mul(ROOM) / 4)
}

fn selects(rules: &Rules) -> bool {
    !(rules.ignored_selectors().is_empty() && rules.only_selectors().is_empty())
}

/// How browsers lay the page out.
fn mode(mode: QuirksMode) -> &'static str {
    match mode {
        QuirksMode::Quirks => "quirks mode",
        QuirksMode::LimitedQuirks | QuirksMode::NoQuirks => "standards mode",
    }
}

fn is_deep(from: &str, to: &str, collector: &mut Collector<'_>) -> bool {
    let depth = collector.rules.limits().depth;
    let deep = depth::is_deep(from, depth) || depth::is_deep(to, depth);
    if deep {
        collector.limit(Limit::Depth);
    }
    deep
}

/// Compares two trees, if neither nests too deeply.
fn trees<'t>(
    from: Option<Element<'t>>,
    to: Option<Element<'t>>,
    place: &Place,
    arena: &'t Bump,
    collector: &mut Collector<'_>,
) {
    match (from, to) {
        (Some(from), Some(to)) => walk::element(&from, &to, place, arena, collector),
        (None, _) | (_, None) => collector.limit(Limit::Depth),
    }
}

/// The text without white space and comments at its end.
pub(super) fn without_trailing_comments(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some(start) = text.strip_suffix("-->").and_then(|inner| inner.rfind("<!--")) {
        text = text.get(..start).unwrap_or_default().trim_end();
    }
    text
}
