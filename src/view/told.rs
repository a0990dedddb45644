//! Which difference a row shows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::Mark;
use crate::compare::Kind;
use crate::ledger::sample::SampleDifference;

/// What a difference is told of; places of one kind never stand for those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sort {
    /// In *to* only: its place is one there.
    Added,
    /// An order or a name: what stands below is not told by it.
    Shift,
    Other,
}

/// The differences by place.
#[derive(Debug, Default)]
pub(super) struct Told {
    at: BTreeMap<(Sort, String), usize>,
    /// By place without positions: of a frequent cause only a few differences are kept.
    path: HashMap<(Sort, String), usize>,
}

impl Told {
    pub(super) fn new(differences: &[SampleDifference]) -> Self {
        let mut told = Self::default();
        for (index, difference) in differences.iter().enumerate() {
            if let Some(sort) = sort(&difference.kind) {
                told.at.entry((sort, normal(&difference.at))).or_insert(index);
                told.path.entry((sort, without_positions(&difference.at))).or_insert(index);
            }
        }
        told
    }

    /// The difference that a row at this place shows: that of the place; else, of what differs, the one of the nearest
    /// place above, one of the same place in another row, or the first one below.
    pub(super) fn find(&self, at: &str, mark: Mark) -> Option<usize> {
        if self.at.is_empty() {
            return None;
        }
        let (at, path) = (normal(at), without_positions(at));
        let exact = |sort| self.at.get(&(sort, at.clone())).copied();
        let alike = |sort| exact(sort).or_else(|| self.path.get(&(sort, path.clone())).copied());
        let near = |sort| self.above(sort, &at).or_else(|| alike(sort)).or_else(|| self.below(sort, &at));
        match mark {
            Mark::Equal => exact(Sort::Shift).or_else(|| exact(Sort::Other)),
            Mark::Renamed => alike(Sort::Shift).or_else(|| near(Sort::Other)),
            Mark::Moved => self.above(Sort::Shift, &at).or_else(|| exact(Sort::Other)),
            Mark::Added => near(Sort::Added).or_else(|| self.above(Sort::Other, &at)),
            Mark::Changed | Mark::Removed => near(Sort::Other),
        }
    }

    fn above(&self, sort: Sort, at: &str) -> Option<usize> {
        let mut above = at;
        loop {
            if let Some(index) = self.at.get(&(sort, above.to_owned())) {
                return Some(*index);
            }
            if above.is_empty() {
                return None;
            }
            above = above.rfind(['/', '!']).and_then(|end| above.get(..end)).unwrap_or_default();
        }
    }

    fn below(&self, sort: Sort, at: &str) -> Option<usize> {
        ["/", "!"].into_iter().find_map(|separator| {
            let first = format!("{at}{separator}");
            let range = (Bound::Included((sort, first.clone())), Bound::Unbounded);
            let (key, index) = self.at.range(range).next()?;
            (key.0 == sort && key.1.starts_with(&first)).then_some(*index)
        })
    }
}

fn sort(kind: &str) -> Option<Sort> {
    match kind.parse().ok()? {
        Kind::Status | Kind::Header => None,
        Kind::Added => Some(Sort::Added),
        Kind::Moved | Kind::Renamed => Some(Sort::Shift),
        Kind::Removed | Kind::Changed | Kind::TypeChanged | Kind::Body => Some(Sort::Other),
    }
}

/// An only child has a number where the other side has several, and none where it has not. Of the way to a script the
/// comparison leaves the numbers out.
fn normal(at: &str) -> String {
    match at.split_once('!') {
        Some((way, pointer)) if !way.starts_with('/') => {
            format!("{}!{pointer}", without_numbers(way))
        }
        Some(_) | None => at.replace("[1]", ""),
    }
}

fn without_positions(at: &str) -> String {
    let is_position = |step: &&str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let steps = at.split('/').map(|step| if is_position(&step) { "*" } else { step });
    without_numbers(&steps.collect::<Vec<_>>().join("/"))
}

/// An element path without the positions among siblings.
fn without_numbers(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_nearest_difference() {
        let differences = [
            ("changed", "/a/0/b"),
            ("added", "/a/0"),
            ("moved", "/a"),
            ("removed", "/c"),
            ("changed", "/d/x/y"),
            ("changed", "html/body/ul[1]/li[2]/text()"),
            ("added", "html/body/script[*]!rows/0"),
            ("status", ""),
        ]
        .map(|(kind, at)| SampleDifference {
            finding: String::new(),
            at: at.to_owned(),
            kind: kind.to_owned(),
            class: "value".to_owned(),
            from: None,
            to: None,
        });
        let told = Told::new(&differences);
        for (at, mark, expected) in [
            ("/a/0/b", Mark::Changed, Some(0)),
            ("/a/0/b", Mark::Added, Some(1)),
            ("/a", Mark::Equal, Some(2)),
            ("/a/7", Mark::Moved, Some(2)),
            ("/a/7/b", Mark::Changed, Some(0)),
            ("/a/7/c", Mark::Changed, None),
            ("/c/d/e", Mark::Removed, Some(3)),
            ("/c/d/e", Mark::Equal, None),
            ("/d", Mark::Changed, Some(4)),
            ("/dd", Mark::Changed, None),
            ("html/body/ul/li[2]", Mark::Changed, Some(5)),
            ("html/body/ul/li[3]/text()", Mark::Changed, Some(5)),
            ("html/body/script[2]!rows/0/id", Mark::Added, Some(6)),
            ("", Mark::Changed, Some(0)),
        ] {
            assert_eq!(told.find(at, mark), expected, "{at} {mark:?}");
        }
        assert_eq!(Told::new(&differences[7..]).find("", Mark::Changed), None);
    }
}
