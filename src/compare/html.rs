//! HTML pages, compared as the trees a browser builds.
//!
//! White space is folded as HTML does, the order of attributes and of classes, comments and the spelling of entities do
//! not count; volatile tokens are masked; JSON inside scripts is compared as JSON.

mod mask;
mod script;
mod tree;
mod walk;

use bumpalo::Bump;
use scraper::Html;

pub use mask::Mask;

use super::difference::{Class, Collector, Kind, Limit, Sides};
use tree::Element;
use walk::Place;

/// Compares two pages.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    if is_deep(from, to, collector) {
        return;
    }
    let (rules, arena) = (collector.rules, Bump::new());
    let read = |text: &str| {
        let html = Html::parse_document(text);
        (mode(&html), tree::read(&html, rules, &arena))
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
    let (rules, arena) = (collector.rules, Bump::new());
    let read = |text: &str| tree::read(&Html::parse_fragment(text), rules, &arena);
    trees(read(from), read(to), &Place::within(path, at), &arena, collector);
}

/// How browsers lay the page out. The type itself is html5ever's, which scraper does not pass on.
fn mode(html: &Html) -> &'static str {
    match format!("{:?}", html.quirks_mode).as_str() {
        "Quirks" => "quirks mode",
        _ => "standards mode",
    }
}

fn is_deep(from: &str, to: &str, collector: &mut Collector<'_>) -> bool {
    let depth = collector.rules.limits().depth;
    let deep = tree::is_deep(from, depth) || tree::is_deep(to, depth);
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
