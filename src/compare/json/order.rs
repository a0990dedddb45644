//! What arrays are sorted by, and so why the same items stand in another order.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::array::KEYS;
use super::node::{Node, Value};
use crate::compare::align::Alignment;
use crate::compare::class;
use crate::compare::difference::{Class, Sides};

/// Items shown of each order.
const SHOWN: usize = 32;
/// Most members that are looked at to find what an array is sorted by.
const MEMBERS: usize = 64;

/// What an item is sorted by, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SortKey<'n> {
    Missing,
    Instant(i128),
    Number(f64),
    Text(&'n str),
    Other(u64),
}

/// An array on both sides, and which items belong together.
#[derive(Clone, Copy)]
pub(super) struct Aligned<'n> {
    pub(super) from: &'n [Node<'n>],
    pub(super) to: &'n [Node<'n>],
    pub(super) alignment: &'n Alignment,
}

/// The rows at the edges of two pages that only a tie keeps on one of them: positions in *from* and in *to*.
#[derive(Default)]
pub(super) struct Ties {
    pub(super) removed: HashSet<usize>,
    pub(super) added: HashSet<usize>,
}

// === impl Aligned ===

impl<'n> Aligned<'n> {
    /// The class of a reordering, from the configured sort keys or else from what both sides are seen to be sorted by.
    pub(super) fn class(&self, sort_keys: Option<&[String]>) -> Class {
        if let Some(first) = sort_keys.and_then(<[String]>::first) {
            return self.class_by(first);
        }
        [Class::TieOrder, Class::NullOrder, Class::Collation]
            .into_iter()
            .find(|class| {
                self.candidates()
                    .any(|name| self.shows_sorting(name, *class) && self.class_by(name) == *class)
            })
            .unwrap_or(Class::Order)
    }

    /// The class of a reordering of items that are sorted by one member.
    fn class_by(&self, member: &str) -> Class {
        // Items are taken from one side only, so a key that is spelled differently does not count as another order.
        let (left, right) = self.orders();
        let (left, right): (Vec<_>, Vec<_>) = (keys(left, member).collect(), keys(right, member).collect());
        if left == right {
            return Class::TieOrder;
        }
        if left.contains(&SortKey::Missing) && without_missing(&left) == without_missing(&right) {
            return Class::NullOrder;
        }
        if is_other_collation(&left, &right) { Class::Collation } else { Class::Order }
    }

    /// Rows that left and entered at an edge of the page where the last row of both pages has the same sort key, as
    /// many as entered: which of the equals are shown is chance.
    pub(super) fn ties(&self, sort_keys: Option<&[String]>) -> Ties {
        if self.alignment.removed.is_empty() || self.alignment.added.is_empty() {
            return Ties::default();
        }
        if let Some(first) = sort_keys.and_then(<[String]>::first) {
            return self.ties_by(first);
        }
        self.candidates()
            .filter(|name| self.measures(name))
            .map(|name| self.ties_by(name))
            .find(|ties| !ties.removed.is_empty())
            .unwrap_or_default()
    }

    fn ties_by(&self, member: &str) -> Ties {
        let mut ties = Ties::default();
        let (left, right): (Vec<_>, Vec<_>) =
            (keys(self.from, member).collect(), keys(self.to, member).collect());
        let edges = [(left.first(), right.first()), (left.last(), right.last())];
        for edge in edges.into_iter().filter_map(|(left, right)| left.filter(|_| left == right)) {
            let tied = |keys: &[SortKey<'_>], positions: &[usize]| -> Vec<usize> {
                positions.iter().copied().filter(|position| keys.get(*position) == Some(edge)).collect()
            };
            let (removed, added) =
                (tied(&left, &self.alignment.removed), tied(&right, &self.alignment.added));
            if removed.len() == added.len() && *edge != SortKey::Missing {
                ties.removed.extend(removed);
                ties.added.extend(added);
            }
        }
        ties
    }

    /// Both orders, as a difference shows them: by what names the items.
    pub(super) fn sides(&self) -> Sides {
        let mut positions: Vec<usize> = self.alignment.pairs.iter().map(|(_, j)| *j).collect();
        positions.sort_unstable();
        Sides::both(
            labels(self.alignment.pairs.iter().filter_map(|(i, _)| self.from.get(*i))),
            labels(positions.iter().filter_map(|j| self.to.get(*j))),
        )
    }

    /// The items both sides have, as *from* holds them, in either order.
    fn orders(&self) -> (impl Iterator<Item = &'n Node<'n>>, impl Iterator<Item = &'n Node<'n>>) {
        let items = self.from;
        let mut by_to = self.alignment.pairs.clone();
        by_to.sort_unstable_by_key(|(_, to)| *to);
        (
            self.alignment.pairs.iter().filter_map(|(i, _)| items.get(*i)),
            by_to.into_iter().filter_map(|(i, _)| items.get(i)),
        )
    }

    fn candidates(&self) -> impl Iterator<Item = &'n str> {
        let members = match self.from.first().map(Node::value) {
            Some(Value::Object(members)) => *members,
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))
            | None => &[],
        };
        members.iter().take(MEMBERS).map(|member| member.name)
    }

    /// True for a number or an instant that both sides are sorted by.
    fn measures(&self, member: &str) -> bool {
        let measures = |key| matches!(key, SortKey::Instant(_) | SortKey::Number(_));
        keys(self.from, member).all(measures) && self.shows_sorting(member, Class::TieOrder)
    }

    /// True if both sides are sorted by the member, as far as a reordering of that class lets them be.
    fn shows_sorting(&self, member: &str, class: Class) -> bool {
        let (left, right) = (keys(self.from, member), keys(self.to, member));
        if class == Class::Collation {
            return self.from.len() > 2 && (direction(left).is_some() || direction(right).is_some());
        }
        let directions = if class == Class::NullOrder {
            let present = |key: &SortKey<'_>| *key != SortKey::Missing;
            (direction(left.filter(present)), direction(right.filter(present)))
        } else {
            (direction(left), direction(right))
        };
        matches!(directions, (Some(left), Some(right)) if left == right)
    }
}

/// In which direction keys are sorted; None if they are not, or all alike.
fn direction<'n>(mut keys: impl Iterator<Item = SortKey<'n>>) -> Option<Ordering> {
    let mut direction = Ordering::Equal;
    let mut last = keys.next()?;
    for key in keys {
        let order = last.order(&key)?;
        if order.is_ne() && direction.is_ne() && order != direction {
            return None;
        }
        direction = direction.then(order);
        last = key;
    }
    direction.is_ne().then_some(direction)
}

fn keys<'n>(
    items: impl IntoIterator<Item = &'n Node<'n>>,
    member: &str,
) -> impl Iterator<Item = SortKey<'n>> {
    items.into_iter().map(move |item| SortKey::of(item, member))
}

// === impl SortKey ===

impl<'n> SortKey<'n> {
    fn of(item: &'n Node<'n>, member: &str) -> Self {
        let Some(node) = item.member(member) else { return Self::Missing };
        match node.value() {
            Value::Null => Self::Missing,
            Value::String(text) => class::instant(text).map_or(Self::Text(text), Self::Instant),
            Value::Number(number) => number.parse().map_or(Self::Other(node.hash()), Self::Number),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Other(node.hash()),
        }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Instant(left), Self::Instant(right)) => Some(left.cmp(right)),
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Missing | Self::Instant(_) | Self::Number(_) | Self::Text(_) | Self::Other(_), _) => None,
        }
    }
}

fn without_missing<'n>(keys: &[SortKey<'n>]) -> Vec<SortKey<'n>> {
    keys.iter().copied().filter(|key| *key != SortKey::Missing).collect()
}

fn texts<'n>(keys: &[SortKey<'n>]) -> Option<Vec<&'n str>> {
    keys.iter()
        .map(|key| match key {
            SortKey::Text(text) => Some(*text),
            SortKey::Missing | SortKey::Instant(_) | SortKey::Number(_) | SortKey::Other(_) => None,
        })
        .collect()
}

/// True if one side is sorted by code point and the other as dictionaries do, in the same direction.
fn is_other_collation(left: &[SortKey<'_>], right: &[SortKey<'_>]) -> bool {
    let (Some(left), Some(right)) = (texts(left), texts(right)) else { return false };
    [Ordering::Less, Ordering::Greater].into_iter().any(|direction| {
        let by_code = |side: &[&str]| is_sorted(side, direction, str::to_owned);
        let by_word = |side: &[&str]| is_sorted(side, direction, dictionary);
        (by_code(&left) && by_word(&right)) || (by_code(&right) && by_word(&left))
    })
}

fn is_sorted(side: &[&str], direction: Ordering, key: impl Fn(&str) -> String) -> bool {
    side.is_sorted_by(|left, right| {
        let order = key(left).cmp(&key(right));
        order.is_eq() || order == direction
    })
}

/// Letters and digits only, without case: what a locale's collation looks at first.
fn dictionary(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn labels<'n>(items: impl Iterator<Item = &'n Node<'n>>) -> String {
    let label = |item: &Node<'_>| {
        KEYS.iter().find_map(|key| item.member(key)).map_or_else(|| item.render(), Node::render)
    };
    let shown: Vec<String> = items.take(SHOWN).map(label).collect();
    format!("[{}]", shown.join(","))
}
