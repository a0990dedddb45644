//! Text in columns, aligned by how wide it is shown; lines for standard error.
//!
//! What is printed comes from a server and may hold anything: control characters are escaped.

use std::io::Write as _;

use unicode_width::UnicodeWidthStr as _;

/// Spaces between two columns.
const GAP: usize = 2;

/// One cell of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    right: bool,
}

// === impl Cell ===

impl Cell {
    /// A word: aligned to the left.
    pub(super) fn word(text: &str) -> Self {
        Cell { text: printable(text), right: false }
    }

    /// A number: aligned to the right.
    pub(super) fn number(text: &str) -> Self {
        Cell { text: printable(text), right: true }
    }
}

/// Rows as lines, each column as wide as its widest cell.
pub(super) fn aligned(rows: &[Vec<Cell>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (place, cell) in row.iter().enumerate() {
            match widths.get_mut(place) {
                Some(width) => *width = (*width).max(cell.text.width()),
                None => widths.push(cell.text.width()),
            }
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// Rows of a label and what it says.
pub(super) fn labelled(rows: &[(&str, String)]) -> String {
    let rows: Vec<_> = rows.iter().map(|(label, text)| vec![Cell::word(label), Cell::word(text)]).collect();
    aligned(&rows)
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let room = " ".repeat(width.saturating_sub(cell.text.width()));
        let (before, after) = if cell.right { (room.as_str(), "") } else { ("", room.as_str()) };
        line.extend([before, &cell.text, after, &" ".repeat(GAP)]);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// The text with its control characters escaped, so that it cannot steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// `3 conditions are unmet`
pub(super) fn unmet(count: usize) -> String {
    if count == 1 { "1 condition is unmet".to_owned() } else { format!("{count} conditions are unmet") }
}

/// One sentence on standard error; one that nobody reads any more must not end a command.
pub(super) fn complain(why: &str) {
    let _unread = writeln!(std::io::stderr(), "flipgate: {}", printable(why));
}

/// The items of a list on standard error.
pub(super) fn list(items: &[String]) {
    let _unread = write!(std::io::stderr(), "{}", items_of(items));
}

/// The items of a list, one a line.
pub(super) fn items_of(items: &[String]) -> String {
    items.iter().map(|item| format!("  - {}\n", printable(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_are_shown() {
        let row = |word: &str, number: &str| vec![Cell::word(word), Cell::number(number), Cell::word("|")];
        let table = aligned(&[row("route", "n"), row("/日本", "10"), row("/e\u{301}", "1000")]);
        assert_eq!(table, "route     n  |\n/日本    10  |\n/e\u{301}     1000  |\n");
    }

    #[test]
    fn nothing_in_a_table_steers_the_terminal() {
        assert_eq!(labelled(&[("a", "\u{1b}[2J\n\u{9b}".into())]), "a  \\u{1b}[2J\\n\\u{9b}\n");
    }
}
