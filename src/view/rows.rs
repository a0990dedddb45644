//! The rows as they are collected, within their bounds.

use super::cell::{self, Written};
use super::told::Told;
use super::{Cell, FOLDED_BYTES, FOLDED_LINES, Form, Mark, ROWS, Row, SideBySide, TEXT_BYTES, counted};

#[derive(Debug)]
pub(super) struct Rows {
    rows: Vec<Row>,
    bytes: usize,
    cut: bool,
    told: Told,
}

/// A line and its number, from 1.
pub(super) type Numbered<'a> = (usize, Written<'a>);

/// Lines gathered for a fold, as long as they are few.
#[derive(Debug, Default)]
pub(super) struct Content {
    lines: Vec<String>,
    bytes: usize,
    is_over: bool,
}

// === impl Rows ===

impl Rows {
    pub(super) fn new(told: Told) -> Self {
        Self { rows: Vec::new(), bytes: 0, cut: false, told }
    }

    /// True once there is no room; then nothing that follows need be made.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Notes that there is more than was looked at.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// Lines of both sides.
    pub(super) fn both(
        &mut self,
        depth: usize,
        from: Numbered<'_>,
        to: Numbered<'_>,
        mark: Mark,
        at: Option<&str>,
    ) {
        let (left, right) = match mark {
            Mark::Equal => (cell::plain(from.1), cell::plain(to.1)),
            Mark::Changed | Mark::Added | Mark::Removed | Mark::Moved | Mark::Renamed => {
                cell::both(from.1, to.1)
            }
        };
        let from = Some(Cell { line: from.0, parts: left });
        let to = Some(Cell { line: to.0, parts: right });
        self.line(depth, from, to, mark, at);
    }

    /// A line that only the side `mark` says has.
    pub(super) fn alone(&mut self, depth: usize, line: Numbered<'_>, mark: Mark, at: Option<&str>) {
        let cell = Some(Cell { line: line.0, parts: cell::plain(line.1) });
        match mark {
            Mark::Added => self.line(depth, None, cell, mark, at),
            Mark::Equal | Mark::Changed | Mark::Removed | Mark::Moved | Mark::Renamed => {
                self.line(depth, cell, None, mark, at);
            }
        }
    }

    pub(super) fn fold(&mut self, lines: usize, mark: Mark, what: String, content: Content) {
        let bytes = content.bytes;
        let content = if content.is_over { Vec::new() } else { content.lines };
        self.push(Row::Folded { lines, mark, what, content }, bytes);
    }

    /// Lines that only one side has, and that are too many to be shown; folds that follow each other are one.
    pub(super) fn rest(&mut self, lines: usize, mark: Mark) {
        let before = self.rows.pop_if(|row| matches!(row, Row::Folded { mark: last, .. } if *last == mark));
        let lines = lines + before.map_or(0, |row| row.folded());
        self.fold(lines, mark, counted(lines, "more line"), Content::default());
    }

    pub(super) fn finish(self, form: Form) -> SideBySide {
        SideBySide { form, rows: self.rows, cut: self.cut }
    }

    fn line(&mut self, depth: usize, from: Option<Cell>, to: Option<Cell>, mark: Mark, at: Option<&str>) {
        let difference = at.and_then(|at| self.told.find(at, mark));
        let bytes = from.iter().chain(&to).flat_map(|cell| &cell.parts).map(|part| part.text.len()).sum();
        let depth = u16::try_from(depth).unwrap_or(u16::MAX);
        self.push(Row::Line { depth, from, to, mark, at: at.map(str::to_owned), difference }, bytes);
    }

    fn push(&mut self, row: Row, bytes: usize) {
        self.bytes += bytes;
        if self.rows.len() >= ROWS || self.bytes > TEXT_BYTES {
            self.cut = true;
        }
        if !self.cut {
            self.rows.push(row);
        }
    }
}

// === impl Row ===

impl Row {
    fn folded(&self) -> usize {
        match self {
            Row::Folded { lines, .. } => *lines,
            Row::Line { .. } => 0,
        }
    }
}

// === impl Content ===

impl Content {
    /// Adds a line; false once there are too many.
    pub(super) fn push(&mut self, depth: usize, line: Written<'_>) -> bool {
        let indentation = depth * 2;
        self.bytes += indentation + line.head.len() + line.body.len() + line.tail.len();
        self.is_over = self.is_over || self.lines.len() >= FOLDED_LINES || self.bytes > FOLDED_BYTES;
        if self.is_over {
            (self.lines, self.bytes) = (Vec::new(), 0);
        } else {
            self.lines.push(format!("{}{line}", " ".repeat(indentation)));
        }
        !self.is_over
    }
}
