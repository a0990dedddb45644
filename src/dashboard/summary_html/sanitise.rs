//! Text that is HTML already, reduced to the allow-list.
//!
//! `tidy` bounds what it costs, `ammonia` makes it safe: its parser is a browser's, so nothing can mean one thing to it
//! and another to a reader's browser.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::tag::{self, TAGS};
use super::tidy::tidy;

/// What may be linked. Relative addresses may not: they would lead into the dashboard.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

const LINK: &str = "noopener noreferrer nofollow";

static ALLOWED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::new();
    builder
        .tags(TAGS.iter().map(|tag| tag.name).collect())
        .tag_attributes(TAGS.iter().map(|tag| (tag.name, tag.attributes.iter().copied().collect())).collect())
        .generic_attributes(HashSet::new())
        .url_schemes(SCHEMES.into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some(LINK));
    builder
});

/// True if the text is meant as HTML: it begins with a whole start tag of an allowed element that stands between
/// paragraphs. Prose with `a < b` or `<script>` in it is not, and neither is what begins with a tag that is not allowed;
/// they are shown as they are written.
pub(super) fn is_markup(text: &str) -> bool {
    let Some(tag) = text.strip_prefix('<') else { return false };
    let Some((inner, _)) = tag.split_once('>') else { return false };
    let name = inner.split(|character: char| character == '/' || character.is_ascii_whitespace()).next();
    let is_block = name.and_then(tag::named).is_some_and(|tag| tag.kind.is_block());
    is_block && !inner.contains('<')
}

/// Keeps the allowed elements and attributes, and the text of all others but scripts and their like.
pub(super) fn sanitise(markup: &str) -> String {
    ALLOWED.clean(&tidy(markup)).to_string()
}
