//! A JSON document whose equality is structural, exact and cheap to ask for.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::compare::number::{self, Relation};
use crate::compare::path::{Pattern, States};

/// Longest text that [`Node::render`] begins to write, in bytes; the difference cuts it further.
const RENDERED_BYTES: usize = 600;

/// A value and the hash of its structure: equal values hash alike, whatever their spelling.
#[derive(Debug, Clone)]
pub(in crate::compare) struct Node {
    hash: u64,
    value: Value,
}

/// A JSON value. Numbers stay text, as written.
#[derive(Debug, Clone)]
pub(in crate::compare) enum Value {
    Null,
    Bool(bool),
    Number(Box<str>),
    String(Box<str>),
    Array(Vec<Node>),
    /// Members sorted by name; repeated names stay, in the order they came.
    Object(Vec<(Box<str>, Node)>),
}

// === impl Node ===

impl Node {
    /// Sorts an object's members and takes the hash.
    pub(in crate::compare) fn new(mut value: Value) -> Self {
        if let Value::Object(members) = &mut value {
            // Stable, so that repeated names keep their order.
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        Self { hash: structural_hash(&value), value }
    }

    pub(in crate::compare) fn hash(&self) -> u64 {
        self.hash
    }

    pub(in crate::compare) fn value(&self) -> &Value {
        &self.value
    }

    /// True if nothing would be reported between the two.
    pub(in crate::compare) fn same(&self, other: &Self) -> bool {
        // The hash rules out; only the comparison rules in.
        self.hash == other.hash && self.value.same(&other.value)
    }

    /// The last member of that name, as most parsers take it.
    pub(in crate::compare) fn member(&self, name: &str) -> Option<&Node> {
        let Value::Object(members) = &self.value else { return None };
        let end = members.partition_point(|(other, _)| &**other <= name);
        members.get(end.checked_sub(1)?).filter(|(other, _)| &**other == name).map(|(_, node)| node)
    }

    pub(in crate::compare) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Takes out what the patterns name, so that it counts nowhere: not in alignment, not in equality.
    pub(in crate::compare) fn prune(&mut self, patterns: &[Pattern], states: &[States]) {
        if patterns.iter().zip(states).any(|(pattern, states)| pattern.accepts(*states)) {
            *self = Self::new(Value::Null);
            return;
        }
        match &mut self.value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
            Value::Array(items) => {
                let (next, named) = step(patterns, states, None);
                if named {
                    items.clear();
                } else if next.iter().any(|states| *states != 0) {
                    items.iter_mut().for_each(|item| item.prune(patterns, &next));
                }
            }
            Value::Object(members) => members.retain_mut(|(name, node)| {
                let (next, named) = step(patterns, states, Some(name));
                if !named && next.iter().any(|states| *states != 0) {
                    node.prune(patterns, &next);
                }
                !named
            }),
        }
        self.hash = structural_hash(&self.value);
    }

    /// Compact JSON, cut soon after the length that a difference shows.
    pub(in crate::compare) fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        if text.len() > RENDERED_BYTES {
            return;
        }
        match &self.value {
            Value::Null => text.push_str("null"),
            Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => text.push_str(number),
            Value::String(string) => text.push_str(&quoted(string)),
            Value::Array(items) => {
                text.push('[');
                for (position, item) in items.iter().enumerate().take(RENDERED_BYTES) {
                    text.push_str(if position == 0 { "" } else { "," });
                    item.write(text);
                }
                text.push(']');
            }
            Value::Object(members) => {
                text.push('{');
                for (position, (name, node)) in members.iter().enumerate().take(RENDERED_BYTES) {
                    text.push_str(if position == 0 { "" } else { "," });
                    text.push_str(&quoted(name));
                    text.push(':');
                    node.write(text);
                }
                text.push('}');
            }
        }
    }
}

// === impl Value ===

impl Value {
    /// The JSON type's name.
    pub(in crate::compare) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(from), Self::Bool(to)) => from == to,
            (Self::Number(from), Self::Number(to)) => number::relate(from, to) == Relation::Equal,
            (Self::String(from), Self::String(to)) => from == to,
            (Self::Array(from), Self::Array(to)) => {
                from.len() == to.len() && from.iter().zip(to).all(|(from, to)| from.same(to))
            }
            (Self::Object(from), Self::Object(to)) => {
                from.len() == to.len()
                    && from.iter().zip(to).all(|((name, from), (other, to))| name == other && from.same(to))
            }
            (
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::String(_)
                | Self::Array(_)
                | Self::Object(_),
                _,
            ) => false,
        }
    }
}

fn step(patterns: &[Pattern], states: &[States], name: Option<&str>) -> (Vec<States>, bool) {
    let next: Vec<States> =
        patterns.iter().zip(states).map(|(pattern, states)| pattern.step(*states, name)).collect();
    let named = patterns.iter().zip(&next).any(|(pattern, states)| pattern.accepts(*states));
    (next, named)
}

fn structural_hash(value: &Value) -> u64 {
    let mut state = DefaultHasher::new();
    std::mem::discriminant(value).hash(&mut state);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(&mut state),
        Value::Number(text) => number::hash(text, &mut state),
        Value::String(text) => text.hash(&mut state),
        Value::Array(items) => items.iter().for_each(|item| item.hash.hash(&mut state)),
        Value::Object(members) => {
            members.iter().for_each(|(name, node)| (name, node.hash).hash(&mut state));
        }
    }
    state.finish()
}

/// A JSON string literal, of at most about [`RENDERED_BYTES`].
fn quoted(text: &str) -> String {
    let head = text.get(..text.floor_char_boundary(RENDERED_BYTES)).unwrap_or(text);
    serde_json::Value::from(head).to_string()
}
