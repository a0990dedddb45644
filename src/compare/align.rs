//! Pairs the items of two sequences: equal ones first, by a minimal edit script; what is left by likeness.
//!
//! Bounded: beyond [`CELLS`] cells only items that are unique on both sides anchor the script.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

/// Most cells of one dynamic-programming table.
const CELLS: usize = 1 << 20;
/// Most cells of a table of likenesses, which cost more each.
const LIKENESS_CELLS: usize = 1 << 12;

/// Which items belong together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Alignment {
    /// Positions in *from* and *to*, ascending in *from*.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Positions in *from* without a counterpart, ascending.
    pub(crate) removed: Vec<usize>,
    /// Positions in *to* without a counterpart, ascending.
    pub(crate) added: Vec<usize>,
}

/// A longest common subsequence, or a shorter one where that would cost too much.
type Script = Vec<(usize, usize)>;

// === impl Alignment ===

impl Alignment {
    /// Pairs items by key, wherever they are; the n-th of a key with the n-th of the same.
    pub(crate) fn by_key<K: std::hash::Hash + Eq>(from: &[K], to: &[K]) -> Self {
        let prefix = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        // The places of a key are chained: the first that is free, and after each the next one.
        let mut first: HashMap<&K, usize, RandomState> =
            HashMap::with_capacity_and_hasher(to.len() - prefix, RandomState::default());
        let mut next = vec![None; to.len()];
        for (position, key) in to.iter().enumerate().skip(prefix).rev() {
            let after = first.insert(key, position);
            next.get_mut(position).into_iter().for_each(|slot| *slot = after);
        }
        let mut take = |key: &K| {
            let place = first.remove_entry(key)?;
            if let Some(after) = next.get(place.1).copied().flatten() {
                first.insert(place.0, after);
            }
            Some(place.1)
        };
        let rest = from.iter().enumerate().skip(prefix);
        let mut pairs: Vec<_> = (0..prefix).map(|position| (position, position)).collect();
        pairs.extend(rest.filter_map(|(position, key)| Some((position, take(key)?))));
        Self::complete(pairs, from.len(), to.len())
    }

    /// Pairs items by content: `from` and `to` are their hashes. Equal items are paired by a minimal edit script, then
    /// wherever they are; in each gap of the script the rest is paired in order where `likeness` is above 0 (1 is alike).
    pub(crate) fn by_content(from: &[u64], to: &[u64], likeness: impl FnMut(usize, usize) -> f64) -> Self {
        Self::by_script(from, to, true, likeness)
    }

    /// The same, but what moved stays unpaired: pairs ascend on both sides.
    pub(crate) fn in_place(from: &[u64], to: &[u64], likeness: impl FnMut(usize, usize) -> f64) -> Self {
        Self::by_script(from, to, false, likeness)
    }

    fn by_script(
        from: &[u64],
        to: &[u64],
        elsewhere: bool,
        mut likeness: impl FnMut(usize, usize) -> f64,
    ) -> Self {
        // Ties of the script are broken by side: always the same side first, so that swapped legs give the mirror image.
        if from > to {
            return Self::by_script_ordered(to, from, elsewhere, &mut |j, i| likeness(i, j)).mirrored();
        }
        Self::by_script_ordered(from, to, elsewhere, &mut likeness)
    }

    fn by_script_ordered(
        from: &[u64],
        to: &[u64],
        elsewhere: bool,
        likeness: &mut dyn FnMut(usize, usize) -> f64,
    ) -> Self {
        let script = edit_script(from, to);
        let mut pairs = script.clone();
        if elsewhere {
            let rest = Self::complete(script.clone(), from.len(), to.len());
            pairs.extend(rest.pairs_elsewhere(from, to));
        }
        let rest = Self::complete(pairs.clone(), from.len(), to.len());
        for (left, right) in gaps(&script, from.len(), to.len()) {
            let left = within(&rest.removed, &left);
            let right = within(&rest.added, &right);
            pairs.extend(pair_alike(left, right, likeness));
        }
        Self::complete(pairs, from.len(), to.len())
    }

    /// True if the paired items do not stand in the same order on both sides.
    pub(crate) fn is_moved(&self) -> bool {
        !self.pairs.is_sorted_by_key(|(_, to)| *to)
    }

    /// The pairs that stand in the same order on both sides, as many as can be; the others moved.
    pub(crate) fn unmoved(&self) -> Vec<(usize, usize)> {
        if self.is_moved() { longest_increasing(&self.pairs) } else { self.pairs.clone() }
    }

    /// The alignment of these pairs, with what they leave over in sequences of these lengths.
    pub(crate) fn complete(mut pairs: Vec<(usize, usize)>, from: usize, to: usize) -> Self {
        pairs.sort_unstable();
        let rest = |taken: Vec<usize>, length: usize| {
            let mut free = vec![true; length];
            taken
                .into_iter()
                .filter_map(|position| free.get_mut(position).map(|slot| *slot = false))
                .for_each(drop);
            free.into_iter().enumerate().filter_map(|(position, free)| free.then_some(position)).collect()
        };
        let removed = rest(pairs.iter().map(|pair| pair.0).collect(), from);
        let added = rest(pairs.iter().map(|pair| pair.1).collect(), to);
        Self { pairs, removed, added }
    }

    /// Equal items that the script left out, since they moved.
    fn pairs_elsewhere(&self, from: &[u64], to: &[u64]) -> Vec<(usize, usize)> {
        let hashes = |positions: &[usize], all: &[u64]| -> Vec<u64> {
            positions.iter().filter_map(|position| all.get(*position).copied()).collect()
        };
        let moved = Self::by_key(&hashes(&self.removed, from), &hashes(&self.added, to));
        moved.pairs.iter().filter_map(|(i, j)| Some((*self.removed.get(*i)?, *self.added.get(*j)?))).collect()
    }

    fn mirrored(self) -> Self {
        let mut pairs: Vec<_> = self.pairs.into_iter().map(|(from, to)| (to, from)).collect();
        pairs.sort_unstable();
        Self { pairs, removed: self.added, added: self.removed }
    }
}

fn edit_script(from: &[u64], to: &[u64]) -> Script {
    let prefix = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    let (from_rest, to_rest) = (tail(from, prefix), tail(to, prefix));
    let suffix = from_rest.iter().rev().zip(to_rest.iter().rev()).take_while(|(from, to)| from == to).count();
    let from_middle = head(from_rest, from_rest.len() - suffix);
    let to_middle = head(to_rest, to_rest.len() - suffix);

    let mut script: Script = (0..prefix).map(|position| (position, position)).collect();
    script.extend(middle(from_middle, to_middle).into_iter().map(|(i, j)| (i + prefix, j + prefix)));
    script.extend((0..suffix).map(|back| (from.len() - suffix + back, to.len() - suffix + back)));
    script
}

fn middle(from: &[u64], to: &[u64]) -> Script {
    if from.len().saturating_mul(to.len()) <= CELLS {
        return longest_common(from, to);
    }
    let anchors = anchors(from, to);
    let mut script = anchors.clone();
    for (left, right) in gaps(&anchors, from.len(), to.len()) {
        let (base_from, base_to) = (left.start, right.start);
        let (left, right) = (from.get(left).unwrap_or_default(), to.get(right).unwrap_or_default());
        if left.len().saturating_mul(right.len()) <= CELLS / 16 {
            script.extend(longest_common(left, right).into_iter().map(|(i, j)| (i + base_from, j + base_to)));
        }
    }
    script.sort_unstable();
    script
}

/// The textbook table, from the end, so that the script is read forwards.
fn longest_common(from: &[u64], to: &[u64]) -> Script {
    let width = to.len() + 1;
    let mut table = vec![0_u32; (from.len() + 1) * width];
    let cell = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    for (i, left) in from.iter().enumerate().rev() {
        for (j, right) in to.iter().enumerate().rev() {
            let best = if left == right {
                cell(&table, i + 1, j + 1) + 1
            } else {
                cell(&table, i + 1, j).max(cell(&table, i, j + 1))
            };
            if let Some(slot) = table.get_mut(i * width + j) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut script) = (0, 0, Vec::new());
    while let (Some(left), Some(right)) = (from.get(i), to.get(j)) {
        if left == right {
            script.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if cell(&table, i + 1, j) >= cell(&table, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    script
}

/// Items that occur once on each side, as far as they stand in the same order.
fn anchors(from: &[u64], to: &[u64]) -> Script {
    let once = |side: &[u64]| {
        let mut places: HashMap<u64, Option<usize>> = HashMap::with_capacity(side.len());
        for (position, hash) in side.iter().enumerate() {
            places.entry(*hash).and_modify(|place| *place = None).or_insert(Some(position));
        }
        places
    };
    let (in_from, in_to) = (once(from), once(to));
    let mut common: Script = in_from
        .iter()
        .filter_map(|(hash, place)| Some((place.as_ref().copied()?, in_to.get(hash).copied().flatten()?)))
        .collect();
    common.sort_unstable();
    longest_increasing(&common)
}

/// The longest run of pairs that ascends on both sides (patience sorting).
fn longest_increasing(pairs: &[(usize, usize)]) -> Script {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let to_of = |index: usize| pairs.get(index).map_or(0, |pair| pair.1);
    for (index, (_, to)) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|top| to_of(*top) < *to);
        before.push(pile.checked_sub(1).and_then(|below| tops.get(below).copied()));
        match tops.get_mut(pile) {
            Some(top) => *top = index,
            None => tops.push(index),
        }
    }
    let mut script = Vec::new();
    let mut next = tops.last().copied();
    while let Some(index) = next {
        script.extend(pairs.get(index));
        next = before.get(index).copied().flatten();
    }
    script.reverse();
    script
}

/// The stretches between the pairs of a script.
fn gaps(script: &[(usize, usize)], from: usize, to: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut i, mut j, mut gaps) = (0, 0, Vec::new());
    for (left, right) in script.iter().copied().chain([(from, to)]) {
        if left > i && right > j {
            gaps.push((i..left, j..right));
        }
        (i, j) = (left + 1, right + 1);
    }
    gaps
}

fn within<'a>(positions: &'a [usize], range: &Range<usize>) -> &'a [usize] {
    let start = positions.partition_point(|position| *position < range.start);
    let end = positions.partition_point(|position| *position < range.end);
    positions.get(start..end).unwrap_or_default()
}

/// Pairs what is left of one gap, in order, for the greatest likeness in all.
fn pair_alike(left: &[usize], right: &[usize], likeness: &mut dyn FnMut(usize, usize) -> f64) -> Script {
    if left.is_empty() || right.is_empty() {
        return Vec::new();
    }
    if left.len().saturating_mul(right.len()) > LIKENESS_CELLS {
        return left
            .iter()
            .copied()
            .zip(right.iter().copied())
            .filter(|(i, j)| likeness(*i, *j) > 0.0)
            .collect();
    }
    let width = right.len() + 1;
    let mut table = vec![(0.0_f64, 0.0_f64); (left.len() + 1) * width];
    let best = |table: &[(f64, f64)], i: usize, j: usize| table.get(i * width + j).map_or(0.0, |cell| cell.0);
    for (i, from) in left.iter().enumerate().rev() {
        for (j, to) in right.iter().enumerate().rev() {
            let alike = likeness(*from, *to);
            let paired = if alike > 0.0 { best(&table, i + 1, j + 1) + alike } else { 0.0 };
            let total = paired.max(best(&table, i + 1, j)).max(best(&table, i, j + 1));
            if let Some(slot) = table.get_mut(i * width + j) {
                *slot = (total, alike);
            }
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while let (Some(from), Some(to)) = (left.get(i), right.get(j)) {
        let (total, alike) = table.get(i * width + j).copied().unwrap_or_default();
        if alike > 0.0 && total <= best(&table, i + 1, j + 1) + alike {
            pairs.push((*from, *to));
            (i, j) = (i + 1, j + 1);
        } else if best(&table, i + 1, j) >= best(&table, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

fn head<T>(slice: &[T], length: usize) -> &[T] {
    slice.get(..length).unwrap_or(slice)
}

fn tail<T>(slice: &[T], start: usize) -> &[T] {
    slice.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(from: &[u64], to: &[u64]) -> Alignment {
        Alignment::by_content(from, to, |_, _| 0.0)
    }

    #[test]
    fn one_more_one_less_and_one_moved() {
        let more = exact(&[1, 2, 3], &[1, 9, 2, 3]);
        assert_eq!((more.removed, more.added), (vec![], vec![1]));
        let less = exact(&[1, 2, 2, 3], &[1, 2, 3]);
        assert_eq!((less.removed.len(), less.added.len()), (1, 0));
        let moved = exact(&[1, 2, 3, 4], &[2, 3, 4, 1]);
        assert!(moved.is_moved() && moved.removed.is_empty() && moved.added.is_empty());
        assert!(!exact(&[1, 2, 1], &[2, 1]).is_moved());
    }

    #[test]
    fn what_is_left_is_paired_where_it_stands() {
        let paired = Alignment::by_content(&[1, 2, 3], &[1, 9, 3], |_, _| 0.6);
        assert_eq!(paired.pairs, [(0, 0), (1, 1), (2, 2)]);
        let best = Alignment::by_content(&[5], &[7, 8], |_, to| if to == 1 { 0.9 } else { 0.6 });
        assert_eq!((best.pairs, best.added), (vec![(0, 1)], vec![0]));
    }

    #[test]
    fn large_inputs_are_bounded() {
        let from: Vec<u64> = (0..50_000).collect();
        let mut to: Vec<u64> = from.iter().rev().copied().collect();
        let shuffled = exact(&from, &to);
        assert!(shuffled.removed.is_empty() && shuffled.is_moved());
        to = from.clone();
        to.remove(25_000);
        to.insert(10, 99_999);
        to.insert(40_000, 99_998);
        let edited = exact(&from, &to);
        assert_eq!((edited.removed, edited.added), (vec![25_000], vec![10, 40_000]));
        let dull = exact(&vec![1; 50_000], &[vec![2; 10], vec![1; 40_000]].concat());
        assert_eq!((dull.pairs.len(), dull.removed.len(), dull.added.len()), (40_000, 10_000, 10));
    }

    proptest! {
        #[test]
        fn every_item_is_accounted_for_and_sides_mirror(
            from in proptest::collection::vec(0_u64..6, 0..12),
            to in proptest::collection::vec(0_u64..6, 0..12),
        ) {
            let likeness = |i: usize, j: usize| if (from[i] + to[j]) % 3 == 0 { 0.7 } else { 0.0 };
            let there = Alignment::by_content(&from, &to, likeness);
            let back = Alignment::by_content(&to, &from, |i, j| likeness(j, i));
            prop_assert_eq!(there.pairs.len() + there.removed.len(), from.len());
            prop_assert_eq!(there.pairs.len() + there.added.len(), to.len());
            prop_assert!(there.unmoved().is_sorted_by_key(|(_, to)| *to));
            prop_assert_eq!(&there.mirrored(), &back);
            prop_assert_eq!(exact(&from, &from).is_moved(), false);
            let in_place = Alignment::in_place(&from, &to, likeness);
            prop_assert!(!in_place.is_moved());
            prop_assert_eq!(in_place.pairs.len() + in_place.removed.len(), from.len());
            prop_assert_eq!(&in_place.mirrored(), &Alignment::in_place(&to, &from, |i, j| likeness(j, i)));
        }
    }
}
