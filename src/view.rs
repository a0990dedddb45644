//! Two bodies side by side: rows of lines that belong together, folded to what differs.
//!
//! Pure and total; rows, the length of a line and all text are bounded. What it gives is plain text: escaping is the
//! page's. Not for: deciding what counts as a difference (`compare`); a row says which of the differences it was given
//! it shows.

mod cell;
pub mod curl;
mod json;
mod lines;
mod order;
mod page;
mod rows;
#[cfg(test)]
mod tests;
mod told;

use bumpalo::Bump;

use crate::compare::json as document;
use crate::ledger::sample::SampleDifference;
use json::{Document, Walk};
use rows::Rows;
use told::Told;

/// Most rows.
pub const ROWS: usize = 2_000;
/// Longest text of a cell, in characters.
pub const CHARACTERS: usize = 2_000;
/// Most text of all rows, in bytes.
pub const TEXT_BYTES: usize = 2 << 20;
/// Most lines that a fold carries.
pub const FOLDED_LINES: usize = 40;
/// Most text that a fold carries, in bytes.
pub const FOLDED_BYTES: usize = 4 << 10;
/// Most lines that are shown of what only one side has.
pub const ALONE_LINES: usize = 60;
/// Longest body that is read as JSON or a page, in bytes; a longer one is shown by its lines.
pub const BODY_BYTES: usize = 8 << 20;
/// Deepest JSON that is read.
const DEPTH: usize = 128;

/// Rows of two bodies side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideBySide {
    /// As what the bodies were read.
    pub form: Form,
    /// The rows, in *from*'s order.
    pub rows: Vec<Row>,
    /// Whether there were more rows, or more text, than are kept.
    pub cut: bool,
}

/// As what two bodies were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Both as JSON.
    Json,
    /// At least one as a page.
    Html,
    /// By lines.
    Text,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Lines left out.
    Folded {
        /// How many, on each side that has them.
        lines: usize,
        /// Which side has them: `Equal` is both, `Removed` *from*, `Added` *to*.
        mark: Mark,
        /// What they are, as in `7 equal items`.
        what: String,
        /// The lines as *from* has them, indented, if they are few enough to be unfolded; else empty.
        content: Vec<String>,
    },
    /// One line of each side.
    Line {
        /// Levels of indentation.
        depth: u16,
        /// *from*'s line; none where it has none.
        from: Option<Cell>,
        /// *to*'s line; none where it has none.
        to: Option<Cell>,
        /// How they relate.
        mark: Mark,
        /// Where: a JSON pointer, element path or `line[n]`, as a difference's `at`; none for a line that only ends
        /// something.
        at: Option<String>,
        /// Which of the differences given it shows, by index.
        difference: Option<usize>,
    },
}

/// How the two lines of a row relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// They mean the same.
    Equal,
    /// They differ.
    Changed,
    /// In *to* only.
    Added,
    /// In *from* only.
    Removed,
    /// An array's item that stands elsewhere in *to*.
    Moved,
    /// The same member under another name.
    Renamed,
}

/// One side of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Number of the line in this side's body, as it is laid out here; from 1.
    pub line: usize,
    /// The line without its indentation, in pieces.
    pub parts: Vec<Part>,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its text; never empty.
    pub text: String,
    /// Whether it differs from the other side's line; never where only one side has one.
    pub differs: bool,
}

/// Lays two bodies out side by side. `differences` are those of their comparison, to tell which row shows which.
#[must_use]
pub fn side_by_side(from: &str, to: &str, differences: &[SampleDifference]) -> SideBySide {
    let mut rows = Rows::new(Told::new(differences));
    let arena = Bump::new();
    let form = match (json(from, &arena), json(to, &arena)) {
        (Some(left), Some(right)) => {
            Walk::new(&Document::new(&left), &Document::new(&right), differences, &mut rows).documents();
            Form::Json
        }
        _ => {
            lines::compare(from, to, differences, &mut rows);
            if is_page(from) || is_page(to) { Form::Html } else { Form::Text }
        }
    };
    rows.finish(form)
}

/// A body that is JSON.
fn json<'a>(text: &'a str, arena: &'a Bump) -> Option<document::Node<'a>> {
    if text.len() > BODY_BYTES {
        return None;
    }
    document::parse(without_mark(text), DEPTH, arena).ok()
}

fn is_page(text: &str) -> bool {
    text.len() <= BODY_BYTES && without_mark(text).trim_start().starts_with('<')
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// `1 equal item`, `7 equal items`.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
