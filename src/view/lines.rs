//! Two texts or pages line by line: aligned by their hashes, equal stretches folded.

use std::ops::Range;

use bumpalo::Bump;

use super::cell::{self, Written};
use super::json::Document;
use super::order::{self, Slot};
use super::page;
use super::rows::{Content, Rows};
use super::{Mark, counted};
use crate::compare::align::Alignment;
use crate::compare::hash::{self, mixed};
use crate::ledger::sample::SampleDifference;
use crate::side::Side;

/// Most lines of a side that are looked at.
const LINES: usize = 200_000;
/// Equal lines that stay in sight on either side of what differs.
const CONTEXT: usize = 3;
/// Bytes of a line at either end by which its likeness to another is judged.
const LIKE_BYTES: usize = 256;

/// A line, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) depth: usize,
    pub(super) text: String,
    /// A comma behind it, which depends on what follows and never differs.
    pub(super) tail: &'static str,
    pub(super) hash: u64,
    /// Lines of other sorts are never the same line, changed.
    pub(super) sort: u64,
    /// The line of what it stands in.
    pub(super) parent: Option<usize>,
    /// Its step from there; empty for a line that only ends something.
    pub(super) step: String,
}

/// Two sides and which of their lines belong together.
struct Both<'l> {
    from: &'l [Line],
    to: &'l [Line],
    /// For each line of *to* that of *from*.
    partners: Vec<Option<usize>>,
}

/// Lays two bodies out, of which not both are JSON.
pub(super) fn compare(from: &str, to: &str, differences: &[SampleDifference], rows: &mut Rows) {
    // A final line end that only one side has would not show.
    let shows_end = from.ends_with('\n') != to.ends_with('\n');
    let mut is_longer = false;
    let [left, right] = [from, to].map(|text| {
        let mut lines = read(text, shows_end, differences);
        is_longer = is_longer || lines.len() > LINES;
        lines.truncate(LINES);
        lines
    });
    align(&left, &right).lay_out(rows);
    if is_longer {
        rows.cut();
    }
}

fn read(text: &str, shows_end: bool, differences: &[SampleDifference]) -> Vec<Line> {
    if super::is_page(text)
        && let Some(lines) = page::lines(super::without_mark(text), differences)
    {
        return lines;
    }
    let arena = Bump::new();
    if let Some(node) = super::json(text, &arena) {
        return page::json_lines(&Document::new(&node));
    }
    plain(text, shows_end)
}

/// Line ends are left out; a carriage return shows.
fn plain(text: &str, shows_end: bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (position, line) in text.split('\n').enumerate() {
        let shown = line.strip_suffix('\r').map_or_else(|| line.to_owned(), |line| format!("{line}␍"));
        lines.push(Line::new(0, shown, 0, None, format!("line[{}]", position + 1)));
        if position == LINES {
            return lines;
        }
    }
    // Behind the last line end there is no line.
    if text.is_empty() || text.ends_with('\n') {
        lines.pop();
        if let Some(last) = lines.pop_if(|_| shows_end) {
            lines.push(Line::new(0, format!("{}⏎", last.text), 0, None, last.step));
        }
    }
    lines
}

fn align<'l>(from: &'l [Line], to: &'l [Line]) -> Both<'l> {
    let mut partners = vec![None; to.len()];
    let hashes = |side: &[Line]| side.iter().map(|line| line.hash).collect::<Vec<_>>();
    let alignment = Alignment::in_place(&hashes(from), &hashes(to), |i, j| match (from.get(i), to.get(j)) {
        (Some(from), Some(to)) => from.likeness(to),
        _ => 0.0,
    });
    for (i, j) in &alignment.pairs {
        partners.get_mut(*j).into_iter().for_each(|slot| *slot = Some(*i));
    }
    Both { from, to, partners }
}

// === impl Line ===

impl Line {
    pub(super) fn new(depth: usize, text: String, sort: u64, parent: Option<usize>, step: String) -> Self {
        Self { depth, hash: mixed(sort, hash::text(&text)), text, tail: "", sort, parent, step }
    }

    /// How much it is like another line, 0 to 1: by what they have in common at their beginning and end.
    fn likeness(&self, other: &Self) -> f64 {
        if self.sort != other.sort {
            return 0.0;
        }
        let ends = |text: &'_ str| {
            let head = text.floor_char_boundary(LIKE_BYTES);
            (head, text.ceil_char_boundary(text.len().saturating_sub(LIKE_BYTES)).max(head))
        };
        let (left, right) = (ends(&self.text), ends(&other.text));
        let (before, short) = cell::common(head(&self.text, left.0), head(&other.text, right.0));
        let long = cell::common(tail(&self.text, left.1), tail(&other.text, right.1)).1;
        let behind = if left.1.max(right.1) > LIKE_BYTES { long } else { short };
        let part = |bytes: usize| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let longer = self.text.len().max(other.text.len()).clamp(1, 2 * LIKE_BYTES);
        0.1 + 0.8 * part((before + behind).min(longer)) / part(longer)
    }

    fn written(&self) -> Written<'_> {
        Written { body: &self.text, tail: self.tail, ..Written::default() }
    }
}

fn head(text: &str, end: usize) -> &str {
    text.get(..end).unwrap_or_default()
}

fn tail(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or_default()
}

// === impl Both ===

impl Both<'_> {
    fn lay_out(&self, rows: &mut Rows) {
        let pairs = self.partners.iter().enumerate().filter_map(|(to, from)| Some(((*from)?, to)));
        let alignment = Alignment::complete(pairs.collect(), self.from.len(), self.to.len());
        let slots = order::merged(&alignment, self.from.len());
        let mut start = 0;
        for run in slots.chunk_by(|one, other| self.is_equal(*one) == self.is_equal(*other)) {
            if rows.is_cut() {
                return;
            }
            let end = start + run.len();
            if run.first().is_some_and(|slot| self.is_equal(*slot)) {
                // Nothing that differs stands before the first line or behind the last.
                let before = if start == 0 { 0 } else { CONTEXT };
                let behind = if end == slots.len() { 0 } else { CONTEXT };
                self.equal(run, before, behind, rows);
            } else {
                self.show(run, rows);
            }
            start = end;
        }
    }

    /// Equal lines: shown if they are hardly more than the context around what differs.
    fn equal(&self, run: &[Slot], before: usize, behind: usize, rows: &mut Rows) {
        let folded: Range<usize> = before..run.len().saturating_sub(behind);
        let is_whole = before + behind == 0;
        if folded.len() < 2 && !is_whole {
            return self.show(run, rows);
        }
        self.show(run.get(..folded.start).unwrap_or_default(), rows);
        let mut content = Content::default();
        for slot in run.get(folded.clone()).unwrap_or_default() {
            let line = slot.from().and_then(|from| self.from.get(from));
            if line.is_none_or(|line| !content.push(line.depth, line.written())) {
                break;
            }
        }
        rows.fold(folded.len(), Mark::Equal, counted(folded.len(), "equal line"), content);
        self.show(run.get(folded.end..).unwrap_or_default(), rows);
    }

    fn show(&self, run: &[Slot], rows: &mut Rows) {
        for slot in run {
            if rows.is_cut() {
                return;
            }
            match *slot {
                Slot::Pair { from: i, to: j, .. } => {
                    let (Some(from), Some(to)) = (self.from.get(i), self.to.get(j)) else { continue };
                    let mark = if self.is_equal(*slot) { Mark::Equal } else { Mark::Changed };
                    let (left, right) = ((i + 1, from.written()), (j + 1, to.written()));
                    rows.both(from.depth, left, right, mark, self.at(Side::From, i).as_deref());
                }
                Slot::From(i) => self.alone(Side::From, i, Mark::Removed, rows),
                Slot::To(j) => self.alone(Side::To, j, Mark::Added, rows),
            }
        }
    }

    fn alone(&self, side: Side, position: usize, mark: Mark, rows: &mut Rows) {
        if let Some(line) = self.line(side, position) {
            rows.alone(line.depth, (position + 1, line.written()), mark, self.at(side, position).as_deref());
        }
    }

    /// Where a line is: in *from*, as far as its parents have a counterpart there.
    fn at(&self, mut side: Side, mut position: usize) -> Option<String> {
        let mut steps =
            vec![self.line(side, position).map(|line| &line.step).filter(|step| !step.is_empty())?];
        while let Some(parent) = self.line(side, position).and_then(|line| line.parent) {
            position = parent;
            if let (Side::To, Some(partner)) = (side, self.partners.get(position).copied().flatten()) {
                (side, position) = (Side::From, partner);
            }
            steps.extend(self.line(side, position).map(|line| &line.step));
        }
        Some(steps.into_iter().rev().map(String::as_str).collect())
    }

    fn is_equal(&self, slot: Slot) -> bool {
        let Slot::Pair { from, to, .. } = slot else { return false };
        match (self.from.get(from), self.to.get(to)) {
            (Some(from), Some(to)) => from.text == to.text,
            (Some(_) | None, _) => false,
        }
    }

    fn line(&self, side: Side, position: usize) -> Option<&Line> {
        match side {
            Side::From => self.from.get(position),
            Side::To => self.to.get(position),
        }
    }
}

// === impl Slot ===

impl Slot {
    fn from(self) -> Option<usize> {
        match self {
            Slot::Pair { from, .. } | Slot::From(from) => Some(from),
            Slot::To(_) => None,
        }
    }
}
