//! Arrays: which items belong together.

use std::collections::HashSet;

use super::node::{Node, Value};
use super::walk::{Pair, Room, Walk};
use super::{order, shape};
use crate::compare::align::Alignment;
use crate::compare::class;
use crate::compare::difference::{Class, Kind};

/// Members that name an item, best first; then any whose name ends in `_id` or `Id`.
pub(super) const KEYS: &[&str] =
    &["id", "uuid", "video_id", "key", "slug", "code", "value", "name", "url", "path", "title"];
/// Share of equal members from which two objects are the same item, changed.
const ALIKE: f64 = 0.5;
/// Longest strings whose spelling is compared to find their counterpart.
const SPELLED_BYTES: usize = 1024;
/// Most cells of an alignment that are charged to the work budget: it takes no more itself.
const CELLS: usize = 1 << 20;

/// What an item is paired by.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Member(u64),
    /// It has no such member: by its content.
    Content(u64),
}

impl Walk<'_, '_> {
    /// Compares pairs of arrays.
    pub(super) fn arrays(&mut self, rows: &[(Pair<'_>, &Vec<Node>, &Vec<Node>)], room: Room) {
        let unordered = self.collector.rules.is_unordered(&self.path);
        let mut items = Vec::new();
        for (pair, from, to) in rows.iter().filter(|(pair, ..)| !pair.same) {
            if !self.collector.spend(from.len() + to.len()) {
                return;
            }
            let alignment = self.align(from, to, unordered);
            if !unordered && alignment.is_moved() {
                let class = order::class(self.collector.rules.sort_keys(&self.path), from, &alignment);
                self.report(pair.place, Kind::Moved, class, order::sides(from, to, &alignment));
            }
            self.path.push_item();
            self.unpaired(pair, from, to, &alignment);
            for (i, j) in alignment.pairs {
                if let (Some(from), Some(to)) = (from.get(i), to.get(j)) {
                    let place = self.place(pair.place, i);
                    items.push(Pair { from, to, place, same: false });
                }
            }
            self.path.pop();
        }
        self.path.push_item();
        self.pairs(items, room);
        self.path.pop();
    }

    /// Reports the items without a counterpart; if there are no others, also how the shapes of the items differ.
    fn unpaired(&mut self, pair: &Pair<'_>, from: &[Node], to: &[Node], alignment: &Alignment) {
        for (kind, side, positions) in
            [(Kind::Removed, from, &alignment.removed), (Kind::Added, to, &alignment.added)]
        {
            for position in positions {
                if let Some(node) = side.get(*position) {
                    let place = self.place(pair.place, *position);
                    self.report_only(place, kind, node, false);
                }
            }
        }
        if alignment.pairs.is_empty() {
            for difference in shape::compare(from, to) {
                let place = self.place(pair.place, 0);
                self.path.push_member(difference.name);
                self.report(place, difference.kind, difference.class, difference.sides);
                self.path.pop();
            }
        }
    }

    fn align(&mut self, from: &[Node], to: &[Node], unordered: bool) -> Alignment {
        if let Some(key) = self.collector.rules.key(&self.path) {
            return Alignment::by_key(&keys(from, key), &keys(to, key));
        }
        if let Some(key) = detect_key(from, to) {
            return Alignment::by_key(&keys(from, key), &keys(to, key));
        }
        let hashes = |side: &[Node]| side.iter().map(Node::hash).collect::<Vec<_>>();
        let (from_hashes, to_hashes) = (hashes(from), hashes(to));
        let cells = from.len().saturating_mul(to.len()).min(CELLS);
        if unordered || cells > self.collector.work_left() || !self.collector.spend(cells) {
            return Alignment::by_key(&from_hashes, &to_hashes);
        }
        let alone = from.len() == 1 && to.len() == 1;
        Alignment::by_content(&from_hashes, &to_hashes, |i, j| match (from.get(i), to.get(j)) {
            (Some(from), Some(to)) => likeness(from, to, alone),
            _ => 0.0,
        })
    }
}

/// How many items a detected key pairs; by content, if there is none.
pub(super) fn paired_by_key(from: &[Node], to: &[Node]) -> usize {
    let alignment = match detect_key(from, to) {
        Some(key) => Alignment::by_key(&keys(from, key), &keys(to, key)),
        None => {
            let hashes = |side: &[Node]| side.iter().map(Node::hash).collect::<Vec<_>>();
            Alignment::by_key(&hashes(from), &hashes(to))
        }
    };
    alignment.pairs.len()
}

fn keys(items: &[Node], member: &str) -> Vec<Key> {
    items
        .iter()
        .map(|item| item.member(member).map_or(Key::Content(item.hash()), |key| Key::Member(key.hash())))
        .collect()
}

/// The member that names the items: a text or number that every item of both sides has, unique on each side. Of several
/// the one that pairs most items.
fn detect_key<'n>(from: &'n [Node], to: &'n [Node]) -> Option<&'n str> {
    let Value::Object(members) = from.first()?.value() else { return None };
    to.first()?;
    let mut candidates: Vec<(usize, &str)> =
        members.iter().filter_map(|(name, _)| Some((rank(name)?, &**name))).collect();
    candidates.sort_unstable();
    candidates.dedup();
    candidates
        .into_iter()
        .filter_map(|(rank, name)| {
            let (left, right) = (unique(from, name)?, unique(to, name)?);
            Some((left.intersection(&right).count(), std::cmp::Reverse(rank), name))
        })
        .max()
        .map(|(.., name)| name)
}

fn rank(name: &str) -> Option<usize> {
    KEYS.iter()
        .position(|known| *known == name)
        .or_else(|| (name.ends_with("_id") || name.ends_with("Id")).then_some(KEYS.len()))
}

/// The hashes of the items' keys; None if one lacks it or two share it.
fn unique(items: &[Node], name: &str) -> Option<HashSet<u64>> {
    let mut seen = HashSet::with_capacity(items.len());
    for item in items {
        let key = item.member(name)?;
        let names = match key.value() {
            Value::Number(_) | Value::String(_) => true,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        if !names || !seen.insert(key.hash()) {
            return None;
        }
    }
    Some(seen)
}

/// How much two items are alike, 0 to 1; 0 if they are not the same item. `alone`: each is the only one of its array.
fn likeness(from: &Node, to: &Node, alone: bool) -> f64 {
    match (from.value(), to.value()) {
        (Value::Object(left), Value::Object(right)) => objects_alike(from, left, to, right, alone),
        (Value::Array(_), Value::Array(_)) => ALIKE,
        (Value::String(left), Value::String(right)) if left.len().max(right.len()) > SPELLED_BYTES => 0.6,
        _ => match class::values(from, to, || false) {
            None => 1.0,
            Some((_, Class::Value)) if from.value().type_name() == to.value().type_name() => 0.6,
            Some((_, Class::Value)) => 0.1,
            Some(_) => 0.9,
        },
    }
}

fn objects_alike(
    from: &Node,
    left: &[(Box<str>, Node)],
    to: &Node,
    right: &[(Box<str>, Node)],
    alone: bool,
) -> f64 {
    let mut credit = 0.0;
    let mut common = 0_u32;
    for (name, node) in left {
        let Some(other) = to.member(name) else { continue };
        common += 1;
        credit += match (node.value(), other.value()) {
            _ if node.hash() == other.hash() => 1.0,
            (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => 0.5,
            _ => 0.0,
        };
    }
    let union = u32::try_from(left.len() + right.len()).unwrap_or(u32::MAX).saturating_sub(common).max(1);
    let alike = credit / f64::from(union);
    if alike >= ALIKE || (alone && common == union) || (from.hash() == to.hash()) {
        alike.max(0.1)
    } else {
        0.0
    }
}
