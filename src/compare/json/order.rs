//! Why the same items stand in another order.

use std::cmp::Ordering;

use super::array::KEYS;
use super::node::{Node, Value};
use crate::compare::align::Alignment;
use crate::compare::class;
use crate::compare::difference::{Class, Sides};

/// Items shown of each order.
const SHOWN: usize = 32;

/// What an item is sorted by, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SortKey<'n> {
    Missing,
    Instant(i128),
    Text(&'n str),
    Other(u64),
}

/// The items both sides have, as *from* holds them, in either order.
struct Orders<'n> {
    from: Vec<&'n Node>,
    to: Vec<&'n Node>,
}

/// The class of a reordering. Without configured sort keys it is just another order.
pub(super) fn class(sort_keys: Option<&[String]>, from: &[Node], alignment: &Alignment) -> Class {
    let Some(first) = sort_keys.and_then(<[String]>::first) else { return Class::Order };
    let orders = Orders::new(from, alignment);
    // Items are taken from one side only, so a key that is spelled differently does not count as another order.
    let (left, right) = (keys(&orders.from, first), keys(&orders.to, first));
    if left == right {
        return Class::TieOrder;
    }
    let present = |keys: &[SortKey<'_>]| keys.iter().filter(|key| **key != SortKey::Missing).count();
    if present(&left) < left.len() && without_missing(&left) == without_missing(&right) {
        return Class::NullOrder;
    }
    match (texts(&left), texts(&right)) {
        (Some(left), Some(right)) if is_other_collation(&left, &right) => Class::Collation,
        _ => Class::Order,
    }
}

/// Both orders, as a difference shows them: by what names the items.
pub(super) fn sides(from: &[Node], to: &[Node], alignment: &Alignment) -> Sides {
    let mut positions: Vec<usize> = alignment.pairs.iter().map(|(_, j)| *j).collect();
    positions.sort_unstable();
    Sides::both(
        labels(alignment.pairs.iter().filter_map(|(i, _)| from.get(*i))),
        labels(positions.iter().filter_map(|j| to.get(*j))),
    )
}

impl<'n> Orders<'n> {
    fn new(items: &'n [Node], alignment: &Alignment) -> Self {
        let mut by_to = alignment.pairs.clone();
        by_to.sort_unstable_by_key(|(_, to)| *to);
        let nodes = |pairs: &[(usize, usize)]| pairs.iter().filter_map(|(i, _)| items.get(*i)).collect();
        Self { from: nodes(&alignment.pairs), to: nodes(&by_to) }
    }
}

fn keys<'n>(items: &[&'n Node], member: &str) -> Vec<SortKey<'n>> {
    items.iter().map(|item| sort_key(item, member)).collect()
}

fn sort_key<'n>(item: &'n Node, member: &str) -> SortKey<'n> {
    match item.member(member) {
        None => SortKey::Missing,
        Some(node) => match node.value() {
            Value::Null => SortKey::Missing,
            Value::String(text) => class::instant(text).map_or(SortKey::Text(text), SortKey::Instant),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                SortKey::Other(node.hash())
            }
        },
    }
}

fn without_missing<'n>(keys: &[SortKey<'n>]) -> Vec<SortKey<'n>> {
    keys.iter().copied().filter(|key| *key != SortKey::Missing).collect()
}

fn texts<'n>(keys: &[SortKey<'n>]) -> Option<Vec<&'n str>> {
    keys.iter()
        .map(|key| match key {
            SortKey::Text(text) => Some(*text),
            SortKey::Missing | SortKey::Instant(_) | SortKey::Other(_) => None,
        })
        .collect()
}

/// True if one side is sorted by code point and the other as dictionaries do, in the same direction.
fn is_other_collation(left: &[&str], right: &[&str]) -> bool {
    [Ordering::Less, Ordering::Greater].into_iter().any(|direction| {
        let by_code = |side: &[&str]| is_sorted(side, direction, |text| (*text).to_owned());
        let by_word = |side: &[&str]| is_sorted(side, direction, dictionary);
        (by_code(left) && by_word(right)) || (by_word(left) && by_code(right))
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

fn labels<'n>(items: impl Iterator<Item = &'n Node>) -> String {
    let label = |item: &Node| KEYS.iter().find_map(|key| item.member(key)).unwrap_or(item).render();
    let shown: Vec<String> = items.take(SHOWN).map(label).collect();
    format!("[{}]", shown.join(","))
}
