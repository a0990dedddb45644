//! Hostile HTML made well-formed and shallow, in one pass and without a tree.
//!
//! A parser that follows the standard repairs what it reads, and there are texts on which that takes quadratic time or
//! room: deep nesting, bold that is never closed before many paragraphs (50 KB become 112 MB), text astray in a table,
//! thousands of attributes on one tag. So it is only given what needs no repair: elements of the allow-list, each closed,
//! [`DEEPEST`] deep at most, with no attribute but the few allowed, and in tables only where they belong.
//!
//! Not for: safety. What attributes hold is the sanitiser's business.

use super::scan::{Attributes, Token, Tokens};
use super::tag::{self, Kind, Tag};

/// Elements in each other. The tags of deeper ones are left out, their text stays.
const DEEPEST: usize = 64;

/// A table, its body, a row and a cell, which must all have room where a table begins.
const TABLE_DEPTH: usize = 4;

/// The HTML so far, and the elements open at its end.
struct Tidy {
    html: String,
    open: Vec<Tag>,
}

/// Writes the HTML anew.
pub(super) fn tidy(markup: &str) -> String {
    let mut tidy = Tidy { html: String::with_capacity(markup.len()), open: Vec::with_capacity(DEEPEST) };
    for token in Tokens::of(markup) {
        match token {
            Token::Text(text) => tidy.text(text),
            Token::LessThan => tidy.text("&lt;"),
            Token::Start { name, attributes } => tidy.start(name, attributes),
            Token::End { name } => tidy.end(name),
        }
    }
    tidy.close_to(0);
    tidy.html
}

// === impl Tidy ===

impl Tidy {
    fn text(&mut self, text: &str) {
        if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            self.enter_cell();
        }
        self.html.push_str(text);
    }

    fn start(&mut self, name: &str, attributes: Attributes<'_>) {
        let Some(tag) = tag::named(name) else { return };
        if !self.back_to_table_for(tag.kind) {
            return;
        }
        self.make_place(tag.kind);
        if tag.kind.is_empty() || self.has_room_for(tag.kind) {
            self.open(tag, attributes);
        }
    }

    /// An end tag closes its element and what is open in it. One without a start tag is left out.
    fn end(&mut self, name: &str) {
        let Some(tag) = tag::named(name) else { return };
        let is_same = |open: &Tag| open.name == tag.name;
        let opened = if tag.kind == Kind::Table || tag.kind.is_of_table() {
            self.nearest(is_same, |open| open.kind == Kind::Table)
        } else {
            self.nearest(is_same, |open| open.kind.is_closed_in())
        };
        if let Some(depth) = opened {
            self.close_to(depth);
        }
    }

    /// Closes all that is open inside the part of a table where such an element belongs. False if there is none.
    fn back_to_table_for(&mut self, kind: Kind) -> bool {
        match kind {
            Kind::Caption | Kind::Section => self.back_to(|open| open == Kind::Table),
            Kind::Row => self.back_to(|open| matches!(open, Kind::Table | Kind::Section)),
            Kind::Cell => self.back_to(Kind::is_frame),
            Kind::Inline | Kind::Link | Kind::Break | Kind::Item => true,
            Kind::Block | Kind::Paragraph | Kind::Heading | Kind::List | Kind::Rule | Kind::Table => true,
        }
    }

    /// Opens what such an element stands in, and closes what it ends by beginning.
    fn make_place(&mut self, kind: Kind) {
        match kind {
            Kind::Caption | Kind::Section => {}
            Kind::Row => self.enter_body(),
            Kind::Cell => self.enter_row(),
            Kind::Inline | Kind::Break => self.enter_cell(),
            Kind::Link => {
                self.enter_cell();
                self.close(Kind::Link);
            }
            Kind::Item => {
                self.enter_cell();
                self.close_item();
                self.close(Kind::Paragraph);
            }
            Kind::Block | Kind::Paragraph | Kind::Heading | Kind::List | Kind::Rule | Kind::Table => {
                self.enter_cell();
                self.close(Kind::Paragraph);
                self.close_heading(kind);
            }
        }
    }

    fn has_room_for(&self, kind: Kind) -> bool {
        let depth = if kind == Kind::Table { TABLE_DEPTH } else { 1 };
        self.open.len() + depth <= DEEPEST
    }

    /// Closes all down to the nearest such part of a table.
    fn back_to(&mut self, is_it: impl Fn(Kind) -> bool) -> bool {
        let nearest = self.open.iter().rposition(|open| is_it(open.kind));
        if let Some(at) = nearest {
            self.close_to(at + 1);
        }
        nearest.is_some()
    }

    /// Text astray in a table gets a cell of its own; a browser would move it in front of the table.
    fn enter_cell(&mut self) {
        if self.innermost().is_some_and(Kind::is_frame) {
            self.enter_row();
            self.imply(tag::CELL);
        }
    }

    fn enter_row(&mut self) {
        self.enter_body();
        if self.innermost() == Some(Kind::Section) {
            self.imply(tag::ROW);
        }
    }

    fn enter_body(&mut self) {
        if self.innermost() == Some(Kind::Table) {
            self.imply(tag::BODY);
        }
    }

    /// Closes the nearest element of this kind, if one is open here.
    fn close(&mut self, kind: Kind) {
        if let Some(depth) = self.nearest(|open| open.kind == kind, |open| open.kind.is_closed_in()) {
            self.close_to(depth);
        }
    }

    /// An item ends the one before it, but not one whose list it is in.
    fn close_item(&mut self) {
        let is_end = |open: &Tag| open.kind == Kind::List || open.kind.is_closed_in();
        if let Some(depth) = self.nearest(|open| open.kind == Kind::Item, is_end) {
            self.close_to(depth);
        }
    }

    fn close_heading(&mut self, next: Kind) {
        if next == Kind::Heading && self.innermost() == Some(Kind::Heading) {
            self.close_to(self.open.len() - 1);
        }
    }

    /// How many elements are open outside the nearest such one, looking no further than an end.
    fn nearest(&self, is_it: impl Fn(&Tag) -> bool, is_end: impl Fn(&Tag) -> bool) -> Option<usize> {
        let at = self.open.iter().rposition(|open| is_it(open) || is_end(open))?;
        self.open.get(at).is_some_and(is_it).then_some(at)
    }

    fn innermost(&self) -> Option<Kind> {
        self.open.last().map(|open| open.kind)
    }

    fn imply(&mut self, tag: Tag) {
        self.html.push_str(&format!("<{}>", tag.name));
        self.open.push(tag);
    }

    fn open(&mut self, tag: Tag, attributes: Attributes<'_>) {
        self.html.push('<');
        self.html.push_str(tag.name);
        self.attributes(tag, attributes);
        self.html.push('>');
        if !tag.kind.is_empty() {
            self.open.push(tag);
        }
    }

    /// Writes those allowed, the first of each name.
    fn attributes(&mut self, tag: Tag, attributes: Attributes<'_>) {
        let mut missing = tag.attributes.to_vec();
        for (name, value) in attributes {
            let Some(at) = missing.iter().position(|allowed| allowed.eq_ignore_ascii_case(name)) else {
                continue;
            };
            let name = missing.swap_remove(at);
            let value = value.replace('"', "&quot;");
            self.html.push_str(&format!(" {name}=\"{value}\""));
        }
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth
            && let Some(tag) = self.open.pop()
        {
            self.html.push_str(&format!("</{}>", tag.name));
        }
    }
}
