//! Arrays: which items belong together.

use std::cmp::Reverse;
use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::node::{Member, Node, Value};
use super::order::{Aligned, Ties};
use super::shape;
use super::walk::{Pair, Room, Walk};
use crate::compare::align::Alignment;
use crate::compare::class;
use crate::compare::difference::{Class, Kind};

/// Members that name an item, best first; then any whose name ends in `_id` or `Id`.
pub(in crate::compare) const KEYS: &[&str] =
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
    pub(super) fn arrays(&mut self, rows: &[(Pair<'_>, &[Node<'_>], &[Node<'_>])], room: Room) {
        let unordered = self.collector.rules.is_unordered(&self.path);
        let mut items = Vec::new();
        for (pair, from, to) in rows.iter().filter(|(pair, ..)| !pair.same) {
            if !self.collector.spend(from.len() + to.len()) {
                return;
            }
            let alignment = self.align(from, to, unordered);
            let aligned = Aligned { from, to, alignment: &alignment };
            if !unordered && alignment.is_moved() {
                self.moved(pair, aligned);
            }
            let ties = aligned.ties(self.collector.rules.sort_keys(&self.path));
            self.path.push_item();
            self.unpaired(pair, aligned, &ties);
            for (i, j) in alignment.pairs {
                if let (Some(from), Some(to)) = (from.get(i), to.get(j)) {
                    let place = self.place(pair.place, i);
                    items.push(Pair { from, to, place, same: false, renamed: false });
                }
            }
            self.path.pop();
        }
        self.path.push_item();
        self.pairs(items, room);
        self.path.pop();
    }

    fn moved(&mut self, pair: &Pair<'_>, aligned: Aligned<'_>) {
        let class = aligned.class(self.collector.rules.sort_keys(&self.path));
        // An array under another name is no longer expected to keep the order of equals.
        if !(pair.renamed && class == Class::TieOrder) {
            self.report_with(pair.place, Kind::Moved, class, || aligned.sides());
        }
    }

    /// Reports the items without a counterpart; if there are no others, also how the shapes of the items differ.
    fn unpaired(&mut self, pair: &Pair<'_>, aligned: Aligned<'_>, ties: &Ties) {
        let Aligned { from, to, alignment } = aligned;
        for (kind, side, positions, tied) in [
            (Kind::Removed, from, &alignment.removed, &ties.removed),
            (Kind::Added, to, &alignment.added, &ties.added),
        ] {
            for position in positions {
                if let Some(node) = side.get(*position) {
                    let place = self.place(pair.place, *position);
                    let class = if tied.contains(position) { Class::TieOrder } else { Class::Value };
                    self.report_only(place, kind, class, node);
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

    fn align(&mut self, from: &[Node<'_>], to: &[Node<'_>], unordered: bool) -> Alignment {
        if let Some(key) = self.collector.rules.key(&self.path) {
            return Alignment::by_key(&keys(from, key), &keys(to, key));
        }
        if let Some(key) = detect_key(from, to) {
            return Alignment::by_key(&keys(from, key), &keys(to, key));
        }
        let hashes = |side: &[Node<'_>]| side.iter().map(Node::hash).collect::<Vec<_>>();
        let (from_hashes, to_hashes) = (hashes(from), hashes(to));
        let cells = from.len().saturating_mul(to.len()).min(CELLS);
        if unordered || cells > self.collector.work_left() || !self.collector.spend(cells) {
            return Alignment::by_key(&from_hashes, &to_hashes);
        }
        by_content(from, to, &from_hashes, &to_hashes)
    }
}

/// Pairs the items of two arrays as the comparison does where no rule says how. `work`: the cells it may still take.
pub(crate) fn aligned(from: &[Node<'_>], to: &[Node<'_>], work: &mut usize) -> Alignment {
    if let Some(key) = detect_key(from, to) {
        return Alignment::by_key(&keys(from, key), &keys(to, key));
    }
    let hashes = |side: &[Node<'_>]| side.iter().map(Node::hash).collect::<Vec<_>>();
    let (from_hashes, to_hashes) = (hashes(from), hashes(to));
    match work.checked_sub(from.len().saturating_mul(to.len()).min(CELLS)) {
        Some(left) => {
            *work = left;
            by_content(from, to, &from_hashes, &to_hashes)
        }
        None => Alignment::by_key(&from_hashes, &to_hashes),
    }
}

fn by_content(from: &[Node<'_>], to: &[Node<'_>], from_hashes: &[u64], to_hashes: &[u64]) -> Alignment {
    let alone = from.len() == 1 && to.len() == 1;
    Alignment::by_content(from_hashes, to_hashes, |i, j| match (from.get(i), to.get(j)) {
        (Some(from), Some(to)) => likeness(from, to, alone),
        _ => 0.0,
    })
}

/// How many items a detected key pairs; by content, if there is none.
pub(super) fn paired_by_key(from: &[Node<'_>], to: &[Node<'_>]) -> usize {
    let alignment = match detect_key(from, to) {
        Some(key) => Alignment::by_key(&keys(from, key), &keys(to, key)),
        None => {
            let hashes = |side: &[Node<'_>]| side.iter().map(Node::hash).collect::<Vec<_>>();
            Alignment::by_key(&hashes(from), &hashes(to))
        }
    };
    alignment.pairs.len()
}

fn keys(items: &[Node<'_>], member: &str) -> Vec<Key> {
    items
        .iter()
        .map(|item| item.member(member).map_or(Key::Content(item.hash()), |key| Key::Member(key.hash())))
        .collect()
}

/// The member that names the items: a text or number that every item of both sides has, unique on each side. Of several
/// the one that pairs most items.
fn detect_key<'n>(from: &'n [Node<'n>], to: &[Node<'_>]) -> Option<&'n str> {
    let Value::Object(members) = from.first()?.value() else { return None };
    to.first()?;
    let mut candidates: Vec<(usize, &str)> =
        members.iter().filter_map(|member| Some((rank(member.name)?, member.name))).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let most = from.len().min(to.len());
    let mut best: Option<(usize, Reverse<usize>, &str)> = None;
    for (rank, name) in candidates {
        let (Some(left), Some(right)) = (unique(from, name), unique(to, name)) else { continue };
        let paired = left.intersection(&right).count();
        best = best.max(Some((paired, Reverse(rank), name)));
        // None that comes later is better than one that pairs all.
        if paired == most {
            break;
        }
    }
    best.map(|(.., name)| name)
}

fn rank(name: &str) -> Option<usize> {
    KEYS.iter()
        .position(|known| *known == name)
        .or_else(|| (name.ends_with("_id") || name.ends_with("Id")).then_some(KEYS.len()))
}

/// The hashes of the items' keys; None if one lacks it or two share it.
fn unique(items: &[Node<'_>], name: &str) -> Option<HashSet<u64, RandomState>> {
    let mut seen = HashSet::with_capacity_and_hasher(items.len(), RandomState::default());
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
fn likeness(from: &Node<'_>, to: &Node<'_>, alone: bool) -> f64 {
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
    from: &Node<'_>,
    left: &[Member<'_>],
    to: &Node<'_>,
    right: &[Member<'_>],
    alone: bool,
) -> f64 {
    let mut credit = 0.0;
    let mut common = 0_u32;
    for Member { name, node, .. } in left {
        // Of repeated members the last one counts, on both sides.
        let last = from.member(name).is_some_and(|last| std::ptr::eq(last, node));
        let Some(other) = to.member(name).filter(|_| last) else { continue };
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
