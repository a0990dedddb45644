//! HTML pages, compared as the trees a browser builds.
//!
//! White space is folded as HTML does, the order of attributes and of classes, comments and the spelling of entities do
//! not count; JSON inside scripts is compared as JSON.

mod script;
mod tree;
mod walk;

use super::difference::{Class, Collector, Kind, Limit, Sides};

/// Compares two pages.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    let depth = collector.rules.limits().depth;
    if tree::is_deep(from, depth) || tree::is_deep(to, depth) {
        return collector.limit(Limit::Depth);
    }
    let (Some(from), Some(to)) = (tree::parse(from, depth), tree::parse(to, depth)) else {
        return collector.limit(Limit::Depth);
    };
    if from.quirks != to.quirks {
        let mode = |quirks: bool| if quirks { "quirks mode" } else { "standards mode" };
        let sides = Sides::both(mode(from.quirks), mode(to.quirks));
        collector.push("!doctype".to_owned(), "!doctype".to_owned(), Kind::Changed, Class::Value, sides);
    }
    walk::elements(&from.root, &to.root, collector);
}

/// The text without white space and comments at its end.
pub(super) fn without_trailing_comments(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some(start) = text.strip_suffix("-->").and_then(|inner| inner.rfind("<!--")) {
        text = text.get(..start).unwrap_or_default().trim_end();
    }
    text
}
