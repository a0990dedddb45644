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
use walk::Place;

/// Compares two pages.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    if is_deep(from, to, collector) {
        return;
    }
    let (from, to) = (Html::parse_document(from), Html::parse_document(to));
    // The type itself is html5ever's, which scraper does not pass on.
    let mode = |html: &Html| match format!("{:?}", html.quirks_mode).as_str() {
        "Quirks" => "quirks mode",
        _ => "standards mode",
    };
    if mode(&from) != mode(&to) {
        let sides = Sides::both(mode(&from), mode(&to));
        collector.push("!doctype".to_owned(), "!doctype".to_owned(), Kind::Changed, Class::Value, sides);
    }
    trees(&from, &to, &Place::root(), collector);
}

/// Compares two pieces of a page that stand in a JSON member; its path and the path with positions stand before theirs.
pub(super) fn fragments(from: &str, to: &str, path: &str, at: &str, collector: &mut Collector<'_>) {
    if is_deep(from, to, collector) {
        return;
    }
    let (from, to) = (Html::parse_fragment(from), Html::parse_fragment(to));
    trees(&from, &to, &Place::within(path, at), collector);
}

fn is_deep(from: &str, to: &str, collector: &mut Collector<'_>) -> bool {
    let depth = collector.rules.limits().depth;
    let deep = tree::is_deep(from, depth) || tree::is_deep(to, depth);
    if deep {
        collector.limit(Limit::Depth);
    }
    deep
}

fn trees(from: &Html, to: &Html, place: &Place, collector: &mut Collector<'_>) {
    let arena = Bump::new();
    match (tree::read(from, collector.rules, &arena), tree::read(to, collector.rules, &arena)) {
        (Some(from), Some(to)) => walk::element(&from, &to, place, &arena, collector),
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
