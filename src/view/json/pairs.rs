//! Which members and items belong together, and in which order they are shown.

use std::collections::HashMap;

use super::Child;
use crate::compare::Kind;
use crate::compare::align::Alignment;
use crate::compare::json::{self, Node, Value};
use crate::ledger::sample::SampleDifference;
use crate::side::Side;
use crate::view::Mark;
use crate::view::order::{self, Slot};

/// Cells that all alignments of two documents may take together; beyond that arrays are paired by equal items only.
const CELLS: usize = 1 << 23;
/// Most renames that are taken from the differences.
const RENAMES: usize = 64;
/// Most names on either side that are looked at for a rename: every one is tried with every other.
const NAMES: usize = 64;

/// A row of an object or array.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    Pair(Child<'a>, Child<'a>, Mark),
    Alone(Side, Child<'a>),
}

/// What pairing needs besides the values.
#[derive(Debug)]
pub(super) struct Pairing {
    renames: Vec<Rename>,
    work: usize,
}

/// A rename that the comparison found.
#[derive(Debug)]
struct Rename {
    parent: String,
    old: String,
    new: String,
}

// === impl Pairing ===

impl Pairing {
    pub(super) fn new(differences: &[SampleDifference]) -> Self {
        Self { renames: differences.iter().filter_map(Rename::told).take(RENAMES).collect(), work: CELLS }
    }

    /// The children of two containers of one type, in *from*'s order; what only *to* has stands before what it precedes
    /// there. `at` is where the containers are.
    pub(super) fn entries<'a>(
        &mut self,
        from: &Node<'_>,
        to: &Node<'_>,
        left: &[Child<'a>],
        right: &[Child<'a>],
        at: &str,
    ) -> Vec<Entry<'a>> {
        if let (Value::Array(from), Value::Array(to)) = (from.value(), to.value()) {
            let alignment = json::aligned(from, to, &mut self.work);
            return ordered(
                &alignment,
                left,
                right,
                |is_moved, _, _| {
                    if is_moved { Mark::Moved } else { Mark::Equal }
                },
            );
        }
        let by_name = Alignment::by_key(&keys(left), &keys(right));
        let renamed = self.renamed(&by_name, left, right, at);
        let mut pairs = by_name.pairs;
        pairs.extend(&renamed);
        let alignment = Alignment::complete(pairs, left.len(), right.len());
        ordered(
            &alignment,
            left,
            right,
            |_, from, to| {
                if from.name == to.name { Mark::Equal } else { Mark::Renamed }
            },
        )
    }

    /// Members of one side each that are the same under another name: as told, by their names, by their values.
    fn renamed(
        &self,
        by_name: &Alignment,
        left: &[Child<'_>],
        right: &[Child<'_>],
        at: &str,
    ) -> Vec<(usize, usize)> {
        let mut gone: Vec<usize> = by_name.removed.iter().copied().take(NAMES).collect();
        let mut new: Vec<usize> = by_name.added.iter().copied().take(NAMES).collect();
        let mut pairs = Vec::new();
        let told =
            |from: &Child<'_>, to: &Child<'_>| self.renames.iter().any(|rename| rename.is_of(at, from, to));
        let names = |from: &Child<'_>, to: &Child<'_>| match (from.name, to.name) {
            (Some(old), Some(new)) => json::is_one_name(old, new),
            (Some(_) | None, _) => false,
        };
        let values = |from: &Child<'_>, to: &Child<'_>| json::is_one_value(from.node, to.node);
        for is_one in [&told as &dyn Fn(&Child<'_>, &Child<'_>) -> bool, &names, &values] {
            gone.retain(|i| {
                let Some(from) = left.get(*i) else { return false };
                let found = new.iter().position(|j| right.get(*j).is_some_and(|to| is_one(from, to)));
                found.map(|found| pairs.push((*i, new.remove(found)))).is_none()
            });
        }
        pairs
    }
}

// === impl Rename ===

impl Rename {
    fn told(difference: &SampleDifference) -> Option<Self> {
        if difference.kind != Kind::Renamed.as_str() {
            return None;
        }
        // Of a list that is empty on one side the comparison says so behind its name.
        let name = |name: &String| name.strip_suffix(" (empty)").unwrap_or(name).to_owned();
        let parent = difference.at.rsplit_once('/')?.0.to_owned();
        Some(Self { parent, old: name(difference.from.as_ref()?), new: name(difference.to.as_ref()?) })
    }

    /// A rename is told at one place, and holds for all rows of it.
    fn is_of(&self, at: &str, from: &Child<'_>, to: &Child<'_>) -> bool {
        let is_position = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        let alike = |(one, other): (&str, &str)| one == other || (is_position(one) && is_position(other));
        from.name == Some(self.old.as_str())
            && to.name == Some(self.new.as_str())
            && self.parent.split('/').count() == at.split('/').count()
            && self.parent.split('/').zip(at.split('/')).all(alike)
    }
}

/// What members are paired by. Of repeated ones the last counts for most readers, so they are paired from the end.
fn keys<'a>(children: &[Child<'a>]) -> Vec<(&'a str, usize)> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(children.len());
    let mut keys: Vec<_> = children
        .iter()
        .rev()
        .map(|child| {
            let name = child.name.unwrap_or_default();
            let count = seen.entry(name).or_default();
            *count += 1;
            (name, *count)
        })
        .collect();
    keys.reverse();
    keys
}

fn ordered<'a>(
    alignment: &Alignment,
    left: &[Child<'a>],
    right: &[Child<'a>],
    mark: impl Fn(bool, &Child<'a>, &Child<'a>) -> Mark,
) -> Vec<Entry<'a>> {
    order::merged(alignment, left.len())
        .into_iter()
        .filter_map(|slot| match slot {
            Slot::Pair { from, to, is_moved } => {
                let (from, to) = (left.get(from)?, right.get(to)?);
                Some(Entry::Pair(*from, *to, mark(is_moved, from, to)))
            }
            Slot::From(from) => Some(Entry::Alone(Side::From, *left.get(from)?)),
            Slot::To(to) => Some(Entry::Alone(Side::To, *right.get(to)?)),
        })
        .collect()
}
