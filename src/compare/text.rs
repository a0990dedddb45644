//! Text, line by line.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::align::Alignment;
use super::class;
use super::difference::{Class, Collector, Kind, Sides};

/// The path of every difference in a text.
const PATH: &str = "line[*]";
/// Most cells of an alignment that are charged to the work budget: it takes no more itself.
const CELLS: usize = 1 << 20;

/// Compares two texts. A line's end is part of it, so that another one shows as white space.
pub(super) fn compare(from: &str, to: &str, collector: &mut Collector<'_>) {
    let (from, to): (Vec<&str>, Vec<&str>) =
        (from.split_inclusive('\n').collect(), to.split_inclusive('\n').collect());
    let (left, right) = (hashes(&from), hashes(&to));
    if !collector.spend(from.len() + to.len() + left.len().saturating_mul(right.len()).min(CELLS)) {
        return;
    }
    // Any line may have become any other that stands in its place.
    let alignment = Alignment::by_content(&left, &right, |_, _| 0.5);
    for (i, j) in &alignment.pairs {
        if let (Some(from), Some(to)) = (from.get(*i), to.get(*j))
            && from != to
        {
            report(*i, Kind::Changed, class::texts(from, to), Sides::both(*from, *to), collector);
        }
    }
    if alignment.is_moved() {
        let sides = Sides::default();
        collector.push(PATH.to_owned(), PATH.to_owned(), Kind::Moved, Class::Order, sides);
    }
    for (i, line) in alignment.removed.iter().filter_map(|i| Some((*i, *from.get(*i)?))) {
        report(i, Kind::Removed, Class::Value, Sides::from_only(line), collector);
    }
    for (j, line) in alignment.added.iter().filter_map(|j| Some((*j, *to.get(*j)?))) {
        report(j, Kind::Added, Class::Value, Sides::to_only(line), collector);
    }
}

fn report(line: usize, kind: Kind, class: Class, sides: Sides, collector: &mut Collector<'_>) {
    collector.push(PATH.to_owned(), format!("line[{}]", line + 1), kind, class, sides);
}

fn hashes(lines: &[&str]) -> Vec<u64> {
    lines
        .iter()
        .map(|line| {
            let mut state = DefaultHasher::new();
            line.hash(&mut state);
            state.finish()
        })
        .collect()
}
