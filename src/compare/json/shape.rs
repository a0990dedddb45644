//! The shapes of items that have no counterparts: which members, of which types.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Member, Node, Value};
use crate::compare::class;
use crate::compare::difference::{Class, Kind, Sides};

/// A member that the items of one side have not, or have with another type.
pub(super) struct ShapeDifference<'n> {
    pub(super) name: &'n str,
    pub(super) kind: Kind,
    pub(super) class: Class,
    pub(super) sides: Sides,
}

/// The types under one name, null aside, with one value as an example.
#[derive(Default)]
struct Seen<'n> {
    types: BTreeSet<&'static str>,
    example: Option<&'n Node<'n>>,
}

type Shape<'n> = BTreeMap<&'n str, Seen<'n>>;

/// Compares the shapes of two arrays of objects; nothing if one is empty or holds anything else.
pub(super) fn compare<'n>(from: &'n [Node<'n>], to: &'n [Node<'n>]) -> Vec<ShapeDifference<'n>> {
    let (Some(from), Some(to)) = (shape(from), shape(to)) else { return Vec::new() };
    let names: BTreeSet<&str> = from.keys().chain(to.keys()).copied().collect();
    names.into_iter().filter_map(|name| difference(name, from.get(name), to.get(name))).collect()
}

fn shape<'n>(items: &'n [Node<'n>]) -> Option<Shape<'n>> {
    let mut shape = Shape::new();
    items.first()?;
    for item in items {
        let Value::Object(members) = item.value() else { return None };
        for Member { name, node, .. } in *members {
            let seen = shape.entry(name).or_default();
            if !node.is_null() {
                seen.types.insert(node.value().type_name());
                seen.example.get_or_insert(node);
            }
        }
    }
    Some(shape)
}

fn difference<'n>(
    name: &'n str,
    from: Option<&Seen<'n>>,
    to: Option<&Seen<'n>>,
) -> Option<ShapeDifference<'n>> {
    let (kind, class, sides) = match (from, to) {
        (None, None) => return None,
        (Some(from), None) => (Kind::Removed, Class::Value, Sides::from_only(from.types())),
        (None, Some(to)) => (Kind::Added, Class::Value, Sides::to_only(to.types())),
        (Some(from), Some(to)) => {
            let (Some(left), Some(right)) = (from.example, to.example) else { return None };
            if from.types == to.types {
                return None;
            }
            (Kind::TypeChanged, example_class(left, right), Sides::both(from.types(), to.types()))
        }
    };
    Some(ShapeDifference { name, kind, class, sides })
}

impl Seen<'_> {
    fn types(&self) -> String {
        if self.types.is_empty() {
            return "null".to_owned();
        }
        self.types.iter().copied().collect::<Vec<_>>().join(" or ")
    }
}

/// The rows are others, so only what one value alone tells is told: a string that holds the other side's type as JSON.
fn example_class(from: &Node<'_>, to: &Node<'_>) -> Class {
    match class::values(from, to, || false) {
        Some((Kind::TypeChanged, Class::JsonInString)) => Class::JsonInString,
        _ => Class::Value,
    }
}
