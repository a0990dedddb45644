//! Renames: a member that went and one that came under the same parents, and that are the same thing.

use std::collections::{BTreeMap, BTreeSet};

use super::array;
use super::member::{Single, Slot};
use super::node::{Node, Value};

/// Most names on either side that are looked at: every one is tried with every other.
const NAMES: usize = 64;
/// Likeness of names that lets trivial values speak for a rename.
const LIKE_NAMES: f64 = 0.85;
/// Share of an array's items, of the longer side, that must be paired by key.
const SHARE: f64 = 0.8;

/// How sure a rename is; less is surer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    Names,
    Values,
    Elements,
}

/// The renames among the members of all rows, as (old, new): each name at most once.
pub(super) fn detect<'n>(slots: &BTreeMap<&'n str, Slot<'n>>) -> Vec<(&'n str, &'n str)> {
    let gone: Vec<_> = slots.iter().filter(|(_, slot)| slot.is_gone()).take(NAMES).collect();
    let new: Vec<_> = slots.iter().filter(|(_, slot)| slot.is_new()).take(NAMES).collect();
    let mut candidates = Vec::new();
    for (old, from) in &gone {
        for (name, to) in &new {
            if let Some(evidence) = evidence(old, &from.removed, name, &to.added) {
                candidates.push((evidence, strsim::jaro_winkler(old, name), **old, **name));
            }
        }
    }
    candidates.sort_by(|left, right| left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)));
    let (mut olds, mut news) = (BTreeSet::new(), BTreeSet::new());
    candidates
        .into_iter()
        .filter(|(_, _, old, new)| {
            !olds.contains(old) && !news.contains(new) && olds.insert(*old) && news.insert(*new)
        })
        .map(|(_, _, old, new)| (old, new))
        .collect()
}

impl Slot<'_> {
    fn is_gone(&self) -> bool {
        self.pairs.is_empty() && self.added.is_empty() && !self.removed.is_empty()
    }

    fn is_new(&self) -> bool {
        self.pairs.is_empty() && self.removed.is_empty() && !self.added.is_empty()
    }
}

fn evidence(old: &str, removed: &[Single<'_>], new: &str, added: &[Single<'_>]) -> Option<Evidence> {
    if folded(old) == folded(new) {
        return Some(Evidence::Names);
    }
    let in_the_same_rows =
        removed.len() == added.len() && removed.iter().zip(added).all(|(from, to)| from.row == to.row);
    if !in_the_same_rows {
        return None;
    }
    let all = |same: fn(&Node<'_>, &Node<'_>) -> bool| {
        removed.iter().zip(added).all(|(from, to)| same(from.node, to.node))
    };
    if all(|from, to| from.same(to)) {
        let telling = removed.iter().chain(added).any(|single| is_telling(single.node));
        return (telling || strsim::jaro_winkler(old, new) >= LIKE_NAMES).then_some(Evidence::Values);
    }
    all(mostly_equal).then_some(Evidence::Elements)
}

/// True if the names differ in case, separators and plural only.
pub(crate) fn is_one_name(old: &str, new: &str) -> bool {
    folded(old) == folded(new)
}

/// True if the values are the same, and not by chance.
pub(crate) fn is_one_value(from: &Node<'_>, to: &Node<'_>) -> bool {
    from.same(to) && is_telling(from)
}

/// A name without case, separators and plural.
fn folded(name: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if let Some(stem) = plain.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for sibilant in ["ses", "xes", "zes", "ches", "shes"] {
        if plain.ends_with(sibilant) {
            return plain.strip_suffix("es").unwrap_or(&plain).to_owned();
        }
    }
    match plain.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') => stem.to_owned(),
        _ => plain,
    }
}

/// False for values that are equal by chance: flags, small numbers, very short texts.
fn is_telling(node: &Node<'_>) -> bool {
    match node.value() {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => number.len() > 3,
        Value::String(text) => text.len() > 3,
        Value::Array(items) => items.iter().any(is_telling),
        Value::Object(members) => members.iter().any(|member| is_telling(&member.node)),
    }
}

fn mostly_equal(from: &Node<'_>, to: &Node<'_>) -> bool {
    let (Value::Array(from), Value::Array(to)) = (from.value(), to.value()) else { return false };
    let longer = from.len().max(to.len());
    #[expect(clippy::cast_precision_loss, reason = "lengths of arrays in memory are far below 2^52")]
    let needed = longer as f64 * SHARE;
    #[expect(clippy::cast_precision_loss, reason = "lengths of arrays in memory are far below 2^52")]
    let paired = array::paired_by_key(from, to) as f64;
    longer > 0 && paired >= needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_case_separators_and_plural() {
        for (one, other) in [
            ("category", "categories"),
            ("channel", "channels"),
            ("language", "languages"),
            ("box", "boxes"),
            ("videoId", "video_id"),
            ("status", "Status"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("channel", "channel_name"), ("source", "variants"), ("class", "clas")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }
}
