//! Objects: their members by name, over all rows at one path.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::node::{Node, Value};
use super::rename;
use super::walk::{Pair, Place, Room, Walk};
use crate::compare::difference::{Class, Kind, Sides};

/// What the rows have under one name.
#[derive(Default)]
pub(super) struct Slot<'n> {
    pub(super) pairs: Vec<Pair<'n>>,
    pub(super) removed: Vec<Single<'n>>,
    pub(super) added: Vec<Single<'n>>,
}

/// A member that only one side of a row has.
#[derive(Clone, Copy)]
pub(super) struct Single<'n> {
    pub(super) row: usize,
    pub(super) place: Place,
    pub(super) node: &'n Node,
}

/// The members of one object, sorted by name.
type Members = [(Box<str>, Node)];

impl Walk<'_, '_> {
    /// Compares pairs of objects.
    pub(super) fn objects(&mut self, rows: &[Pair<'_>], room: Room) {
        let mut slots = BTreeMap::new();
        for (row, pair) in rows.iter().enumerate() {
            let (Value::Object(from), Value::Object(to)) = (pair.from.value(), pair.to.value()) else {
                continue;
            };
            if !self.collector.spend(from.len() + to.len()) {
                return;
            }
            collect(row, pair, from, to, &mut slots);
        }
        for (old, new) in rename::detect(&slots) {
            let Some(added) = slots.remove(new) else { continue };
            let Some(slot) = slots.get_mut(old) else { continue };
            self.renamed(old, new, slot.removed.first().map_or(0, |single| single.place));
            slot.join(added);
        }
        for (name, slot) in slots {
            self.path.push_member(name);
            for single in slot.removed {
                self.report_only(single.place, Kind::Removed, single.node, true);
            }
            for single in slot.added {
                self.report_only(single.place, Kind::Added, single.node, true);
            }
            if !slot.pairs.is_empty() {
                self.pairs(slot.pairs, room);
            }
            self.path.pop();
        }
    }

    fn renamed(&mut self, old: &str, new: &str, place: Place) {
        self.path.push_member(old);
        self.report(place, Kind::Renamed, Class::Value, Sides::both(old, new));
        self.path.pop();
    }
}

impl<'n> Slot<'n> {
    /// Makes pairs of what was removed here and added under the new name, row by row.
    fn join(&mut self, new: Self) {
        let mut added: BTreeMap<usize, Single<'n>> =
            new.added.into_iter().map(|single| (single.row, single)).collect();
        for single in std::mem::take(&mut self.removed) {
            match added.remove(&single.row) {
                Some(to) => {
                    let Single { place, node: from, .. } = single;
                    self.pairs.push(Pair { from, to: to.node, place, same: false });
                }
                None => self.removed.push(single),
            }
        }
        self.added.extend(added.into_values());
    }
}

/// Sorts the members of one row into the slots.
fn collect<'n>(
    row: usize,
    pair: &Pair<'n>,
    from: &'n Members,
    to: &'n Members,
    slots: &mut BTreeMap<&'n str, Slot<'n>>,
) {
    let (mut from, mut to) = (runs(from).peekable(), runs(to).peekable());
    let single = |node| Single { row, place: pair.place, node };
    loop {
        let order = match (from.peek(), to.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((left, _)), Some((right, _))) => left.cmp(right),
        };
        let left = if order.is_le() { from.next() } else { None };
        let right = if order.is_ge() { to.next() } else { None };
        let Some(name) = left.or(right).map(|(name, _)| name) else { return };
        let slot = slots.entry(name).or_default();
        let (left, right) = (left.map_or(&[][..], |run| run.1), right.map_or(&[][..], |run| run.1));
        // Of repeated members the last one counts for most readers, so they are paired from the end.
        let paired = left.len().min(right.len());
        let (more_left, left) = left.split_at(left.len() - paired);
        let (more_right, right) = right.split_at(right.len() - paired);
        slot.pairs.extend(left.iter().zip(right).map(|((_, from), (_, to))| Pair { from, to, ..*pair }));
        slot.removed.extend(more_left.iter().map(|(_, node)| single(node)));
        slot.added.extend(more_right.iter().map(|(_, node)| single(node)));
    }
}

/// The members grouped by name.
fn runs(members: &Members) -> impl Iterator<Item = (&str, &Members)> {
    members.chunk_by(|(left, _), (right, _)| left == right).filter_map(|run| Some((&*run.first()?.0, run)))
}
