//! Objects: their members by name, over all rows at one path.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::node::{self, Member, Node, Value};
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
    pub(super) node: &'n Node<'n>,
}

/// The members of one object, sorted by name.
type Members<'n> = [&'n Member<'n>];

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
            let place = slot.removed.first().map_or(0, |single| single.place);
            slot.join(added);
            self.renamed(old, new, place, slot);
        }
        for (name, slot) in slots {
            self.path.push_member(name);
            for single in slot.removed {
                self.report_member(single.place, Kind::Removed, single.node);
            }
            for single in slot.added {
                self.report_member(single.place, Kind::Added, single.node);
            }
            if !slot.pairs.is_empty() {
                self.pairs(slot.pairs, room);
            }
            self.path.pop();
        }
    }

    /// Reports a rename. If all that stood under one of the names are arrays, and none under the other has an item, the
    /// rename says so, and the items are not listed as well.
    fn renamed(&mut self, old: &str, new: &str, place: Place, slot: &mut Slot<'_>) {
        let alone = slot.removed.is_empty() && slot.added.is_empty();
        let all = |empty: fn(&Pair<'_>) -> bool| alone && slot.pairs.iter().all(empty);
        let sides = if all(|pair| pair.from.is_filled_array() && pair.to.is_empty_array()) {
            Sides::both(old, format!("{new} (empty)"))
        } else if all(|pair| pair.from.is_empty_array() && pair.to.is_filled_array()) {
            Sides::both(format!("{old} (empty)"), new)
        } else {
            Sides::both(old, new)
        };
        if sides.from.as_deref() != Some(old) || sides.to.as_deref() != Some(new) {
            slot.pairs.clear();
        }
        self.path.push_member(old);
        self.report(place, Kind::Renamed, Class::Value, sides);
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
                    self.pairs.push(Pair { from, to: to.node, place, same: false, renamed: true });
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
    from: &'n [Member<'n>],
    to: &'n [Member<'n>],
    slots: &mut BTreeMap<&'n str, Slot<'n>>,
) {
    let (from, to) = (node::sorted(from), node::sorted(to));
    let (mut from, mut to) = (runs(&from).peekable(), runs(&to).peekable());
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
        slot.pairs.extend(left.iter().zip(right).map(|(from, to)| Pair {
            from: &from.node,
            to: &to.node,
            ..*pair
        }));
        slot.removed.extend(more_left.iter().map(|member| single(&member.node)));
        slot.added.extend(more_right.iter().map(|member| single(&member.node)));
    }
}

/// The members grouped by name.
fn runs<'r, 'n>(members: &'r Members<'n>) -> impl Iterator<Item = (&'n str, &'r Members<'n>)> {
    members
        .chunk_by(|left, right| left.name == right.name)
        .filter_map(|run| run.first().map(|first| (first.name, run)))
}
