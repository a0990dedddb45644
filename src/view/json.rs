//! Two JSON documents: members and items that belong together stand opposite each other, what is equal is folded.

mod document;
mod pairs;

use super::rows::{Content, Rows};
use super::{ALONE_LINES, Mark, counted};
use crate::compare::json::Value;
use crate::ledger::sample::SampleDifference;
use crate::side::Side;
pub(super) use document::{Child, Document};
use pairs::{Entry, Pairing};

/// Members by which a person knows a record, best first.
const NAMING: &[&str] = &["id", "title", "name", "slug", "key", "value", "code", "uuid", "video_id"];
/// Most of them that stay in sight.
const NAMED: usize = 2;
/// Fewer equal lines than this are shown, not folded.
const FEW: usize = 2;

/// The walk over two documents.
pub(super) struct Walk<'a, 'r> {
    from: &'a Document<'a>,
    to: &'a Document<'a>,
    pairing: Pairing,
    rows: &'r mut Rows,
    /// Where it is: a JSON pointer, as the comparison writes it.
    at: String,
}

// === impl Walk ===

impl<'a, 'r> Walk<'a, 'r> {
    pub(super) fn new(
        from: &'a Document<'a>,
        to: &'a Document<'a>,
        differences: &[SampleDifference],
        rows: &'r mut Rows,
    ) -> Self {
        Self { from, to, pairing: Pairing::new(differences), rows, at: String::new() }
    }

    pub(super) fn documents(mut self) {
        let (from, to) = (self.from.root(), self.to.root());
        if from.node.same(to.node) {
            self.fold(&[(from, to)], 0, "line");
        } else {
            self.pair(from, to, Mark::Equal, 0);
        }
    }

    /// Two values that belong together. `mark` says how they do, if not by standing in one place.
    fn pair(&mut self, from: Child<'a>, to: Child<'a>, mark: Mark, depth: usize) {
        let walks = match (from.node.value(), to.node.value()) {
            (Value::Object(left), Value::Object(right)) => !left.is_empty() && !right.is_empty(),
            (Value::Array(left), Value::Array(right)) => !left.is_empty() && !right.is_empty(),
            (
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_),
                _,
            ) => false,
        };
        let shown =
            if mark == Mark::Equal && !walks && !from.node.same(to.node) { Mark::Changed } else { mark };
        let (left, right) = (from.opening(), to.opening());
        let at = self.at.clone();
        self.rows.both(depth, (from.line, left.written()), (to.line, right.written()), shown, Some(&at));
        if walks {
            self.children(from, to, depth + 1);
            if let (Some(left), Some(right)) = (self.from.closing(from), self.to.closing(to)) {
                self.rows.both(
                    depth,
                    (left.0, left.1.written()),
                    (right.0, right.1.written()),
                    Mark::Equal,
                    None,
                );
            }
        } else {
            self.content(Side::From, from, depth, &mut { ALONE_LINES });
            self.content(Side::To, to, depth, &mut { ALONE_LINES });
        }
    }

    fn children(&mut self, from: Child<'a>, to: Child<'a>, depth: usize) {
        let (left, right) = (self.from.children(from), self.to.children(to));
        let unit = if from.node.is_filled_array() { "item" } else { "member" };
        let entries = self.pairing.entries(from.node, to.node, &left, &right, &self.at);
        let named = named(&entries);
        let mut equal = Vec::new();
        for entry in entries {
            if self.rows.is_cut() {
                return;
            }
            if let Entry::Pair(left, right, Mark::Equal) = entry
                && left.node.same(right.node)
                && !named.contains(&left.line)
            {
                equal.push((left, right));
                continue;
            }
            self.fold(&std::mem::take(&mut equal), depth, unit);
            let length = self.at.len();
            match entry {
                Entry::Pair(left, right, mark) => {
                    left.step(&mut self.at);
                    self.pair(left, right, mark, depth);
                }
                Entry::Alone(side, child) => {
                    child.step(&mut self.at);
                    self.alone(side, child, depth, &mut { ALONE_LINES });
                }
            }
            self.at.truncate(length);
        }
        self.fold(&equal, depth, unit);
    }

    /// Equal values in a row.
    fn fold(&mut self, equal: &[(Child<'a>, Child<'a>)], depth: usize, unit: &str) {
        let lines = equal.iter().map(|(from, _)| self.from.lines(*from)).sum();
        if lines == 0 {
            return;
        }
        let is_whole = self.at.is_empty() && depth == 0;
        if lines < FEW && !is_whole {
            for (from, to) in equal {
                let length = self.at.len();
                from.step(&mut self.at);
                self.pair(*from, *to, Mark::Equal, depth);
                self.at.truncate(length);
            }
            return;
        }
        let mut content = Content::default();
        for (from, _) in equal {
            if !self.from.each_line(*from, depth, &mut |depth, line| content.push(depth, line)) {
                break;
            }
        }
        let count = if unit == "line" { lines } else { equal.len() };
        self.rows.fold(lines, Mark::Equal, counted(count, &format!("equal {unit}")), content);
    }

    /// A value that only one side has; `room` is how many lines may still be shown of it.
    fn alone(&mut self, side: Side, child: Child<'a>, depth: usize, room: &mut usize) {
        let line = child.opening();
        let at = self.at.clone();
        self.rows.alone(depth, (child.line, line.written()), mark(side), Some(&at));
        *room = room.saturating_sub(1);
        self.content(side, child, depth, room);
    }

    /// What stands below the first line of a value that has no counterpart there.
    fn content(&mut self, side: Side, child: Child<'a>, depth: usize, room: &mut usize) {
        let document = match side {
            Side::From => self.from,
            Side::To => self.to,
        };
        let Some((last, closing)) = document.closing(child) else { return };
        for below in document.children(child) {
            if *room == 0 || self.rows.is_cut() {
                return self.rows.rest(last + 1 - below.line, mark(side));
            }
            let length = self.at.len();
            below.step(&mut self.at);
            self.alone(side, below, depth + 1, room);
            self.at.truncate(length);
        }
        if *room == 0 {
            return self.rows.rest(1, mark(side));
        }
        *room -= 1;
        self.rows.alone(depth, (last, closing.written()), mark(side), None);
    }
}

/// The lines of the equal members that name the record, of which the first few stay in sight.
fn named(entries: &[Entry<'_>]) -> Vec<usize> {
    let naming = |name: &str| NAMING.iter().position(|naming| *naming == name);
    let mut named: Vec<(usize, usize)> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Pair(left, right, Mark::Equal) if left.is_scalar() && left.node.same(right.node) => {
                Some((naming(left.name?)?, left.line))
            }
            Entry::Pair(..) | Entry::Alone(..) => None,
        })
        .collect();
    named.sort_unstable();
    named.truncate(NAMED);
    named.into_iter().map(|(_, line)| line).collect()
}

fn mark(side: Side) -> Mark {
    match side {
        Side::From => Mark::Removed,
        Side::To => Mark::Added,
    }
}
