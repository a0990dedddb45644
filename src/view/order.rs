//! In which order the two sides of an alignment are shown.

use crate::compare::align::Alignment;

/// What stands in one row, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Pair { from: usize, to: usize, is_moved: bool },
    From(usize),
    To(usize),
}

/// The rows in *from*'s order. What only *to* has stands before the next thing that has its place in both orders.
pub(super) fn merged(alignment: &Alignment, from: usize) -> Vec<Slot> {
    let mut unmoved = alignment.unmoved().into_iter().peekable();
    let mut pairs = alignment.pairs.iter().copied().peekable();
    let mut added = alignment.added.iter().copied().peekable();
    let mut slots = Vec::with_capacity(from + alignment.added.len());
    for position in 0..from {
        let Some((_, to)) = pairs.next_if(|pair| pair.0 == position) else {
            slots.push(Slot::From(position));
            continue;
        };
        let is_moved = unmoved.next_if(|pair| pair.0 == position).is_none();
        while let Some(before) = added.next_if(|added| !is_moved && *added < to) {
            slots.push(Slot::To(before));
        }
        slots.push(Slot::Pair { from: position, to, is_moved });
    }
    slots.extend(added.map(Slot::To));
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_to_has_stands_where_it_has_its_place() {
        let keys = [1, 2, 3, 4, 5];
        let alignment = Alignment::by_key(&keys, &[2, 9, 3, 5, 1, 8]);
        let moved = |from, to| Slot::Pair { from, to, is_moved: true };
        let pair = |from, to| Slot::Pair { from, to, is_moved: false };
        assert_eq!(
            merged(&alignment, keys.len()),
            [moved(0, 4), pair(1, 0), Slot::To(1), pair(2, 2), Slot::From(3), pair(4, 3), Slot::To(5)]
        );
    }
}
