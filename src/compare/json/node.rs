//! A JSON document whose equality is structural, exact and cheap to ask for.
//!
//! It borrows from the text it was parsed from: only strings with escapes are copied, and what is made lives in an arena. Each value carries the hash of
//! its structure, taken while parsing, so that equal parts are found without walking into them.

use bumpalo::Bump;

use crate::compare::hash::{self, mixed};
use crate::compare::number::{self, Relation};
use crate::compare::path::{Pattern, States};

/// Longest text that [`Node::render`] begins to write, in bytes; the difference cuts it further.
const RENDERED_BYTES: usize = 600;
/// Objects of up to so many members are searched through; larger ones get an index where it matters.
const SEARCHED: usize = 32;

/// A value and the hash of its structure: equal values hash alike, whatever their spelling and the order of members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    hash: u64,
    value: Value<'a>,
}

/// A JSON value. Numbers stay text, as written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(&'a str),
    Array(&'a [Node<'a>]),
    /// Members in the order they came; repeated names stay.
    Object(&'a [Member<'a>]),
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    name_hash: u64,
    pub(crate) node: Node<'a>,
}

// === impl Node ===

impl<'a> Node<'a> {
    /// Takes the hash.
    pub(crate) fn new(value: Value<'a>) -> Self {
        Self { hash: structural_hash(&value), value }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// True if nothing would be reported between the two.
    pub(crate) fn same(&self, other: &Node<'_>) -> bool {
        // The hash rules out; only the comparison rules in.
        self.hash == other.hash && self.value.same(&other.value)
    }

    /// The last member of that name, as most parsers take it.
    pub(crate) fn member(&self, name: &str) -> Option<&Node<'a>> {
        let Value::Object(members) = &self.value else { return None };
        members.iter().rev().find(|member| member.name == name).map(|member| &member.node)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn is_empty_array(&self) -> bool {
        matches!(&self.value, Value::Array(items) if items.is_empty())
    }

    pub(crate) fn is_filled_array(&self) -> bool {
        matches!(&self.value, Value::Array(items) if !items.is_empty())
    }

    /// Takes out what the patterns name, so that it counts nowhere: not in alignment, not in equality.
    pub(in crate::compare) fn pruned(
        &self,
        patterns: &[Pattern],
        states: &[States],
        arena: &'a Bump,
    ) -> Self {
        if patterns.iter().zip(states).any(|(pattern, states)| pattern.accepts(*states)) {
            return Self::new(Value::Null);
        }
        match self.value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => *self,
            Value::Array(items) => {
                let (next, named) = step(patterns, states, None);
                if named {
                    return Self::new(Value::Array(&[]));
                }
                if next.iter().all(|states| *states == 0) {
                    return *self;
                }
                let pruned = items.iter().map(|item| item.pruned(patterns, &next, arena));
                Self::new(Value::Array(arena.alloc_slice_fill_iter(pruned)))
            }
            Value::Object(members) => {
                let kept = members.iter().filter_map(|member| {
                    let (next, named) = step(patterns, states, Some(member.name));
                    let node = match next.iter().all(|states| *states == 0) {
                        true => member.node,
                        false => member.node.pruned(patterns, &next, arena),
                    };
                    (!named).then_some(Member { node, ..*member })
                });
                let kept: Vec<Member<'a>> = kept.collect();
                Self::new(Value::Object(arena.alloc_slice_copy(&kept)))
            }
        }
    }

    /// Compact JSON, cut soon after the length that a difference shows.
    pub(crate) fn render(&self) -> String {
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
                for (position, member) in sorted(members).into_iter().enumerate().take(RENDERED_BYTES) {
                    text.push_str(if position == 0 { "" } else { "," });
                    text.push_str(&quoted(member.name));
                    text.push(':');
                    member.node.write(text);
                }
                text.push('}');
            }
        }
    }
}

// === impl Value ===

impl Value<'_> {
    /// The JSON type's name.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    fn same(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(from), Value::Bool(to)) => from == to,
            (Self::Number(from), Value::Number(to)) => number::relate(from, to) == Relation::Equal,
            (Self::String(from), Value::String(to)) => from == to,
            (Self::Array(from), Value::Array(to)) => {
                from.len() == to.len() && from.iter().zip(*to).all(|(from, to)| from.same(to))
            }
            (Self::Object(from), Value::Object(to)) => from.len() == to.len() && same_members(from, to),
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

// === impl Member ===

impl<'a> Member<'a> {
    pub(crate) fn new(name: &'a str, node: Node<'a>) -> Self {
        Self { name_hash: hash::text(name), name, node }
    }

    fn same(&self, other: &Member<'_>) -> bool {
        self.name_hash == other.name_hash && self.name == other.name && self.node.same(&other.node)
    }
}

/// True if what the two mean may show only beside other rows of their path: one names members that the other has not,
/// or a number stands where a boolean does. Doubt is a yes.
pub(super) fn needs_others(from: &Node<'_>, to: &Node<'_>) -> bool {
    if from.hash == to.hash {
        return false;
    }
    match (&from.value, &to.value) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() != right.len()
                || left.iter().any(|member| {
                    let named = |other: &&Member<'_>| {
                        other.name_hash == member.name_hash && other.name == member.name
                    };
                    right.iter().find(named).is_none_or(|other| needs_others(&member.node, &other.node))
                })
        }
        (Value::Array(left), Value::Array(right)) => {
            let plain = |node: &Node<'_>| matches!(node.value, Value::String(_) | Value::Number(_));
            !left.iter().chain(*right).all(plain)
        }
        (Value::Bool(_), Value::Number(_)) | (Value::Number(_), Value::Bool(_)) => true,
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => false,
    }
}

/// The members by name; repeated ones in the order they came.
pub(super) fn sorted<'m, 'a>(members: &'m [Member<'a>]) -> Vec<&'m Member<'a>> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|left, right| left.name.cmp(right.name));
    sorted
}

/// True if two equally long lists hold the same members. Most writers keep one order, or reverse it: so the next one is
/// looked for beside the last.
fn same_members(from: &[Member<'_>], to: &[Member<'_>]) -> bool {
    let in_order = from.iter().zip(to).take_while(|(from, to)| from.same(to)).count();
    let (from, to) = (from.get(in_order..).unwrap_or_default(), to.get(in_order..).unwrap_or_default());
    if from.len() > SEARCHED || repeats(from) {
        let (from, to) = (sorted(from), sorted(to));
        return from.iter().zip(to).all(|(from, to)| from.same(to));
    }
    from.iter().all(|member| to.iter().any(|other| member.same(other)))
}

fn repeats(members: &[Member<'_>]) -> bool {
    members.iter().enumerate().any(|(position, member)| {
        members.iter().take(position).any(|other| other.name_hash == member.name_hash)
    })
}

fn step(patterns: &[Pattern], states: &[States], name: Option<&str>) -> (Vec<States>, bool) {
    let next: Vec<States> =
        patterns.iter().zip(states).map(|(pattern, states)| pattern.step(*states, name)).collect();
    let named = patterns.iter().zip(&next).any(|(pattern, states)| pattern.accepts(*states));
    (next, named)
}

fn structural_hash(value: &Value<'_>) -> u64 {
    match value {
        Value::Null => mixed(1, 0),
        Value::Bool(value) => mixed(2, u64::from(*value)),
        Value::Number(text) => mixed(3, number::hash(text)),
        Value::String(text) => mixed(4, hash::text(text)),
        Value::Array(items) => items.iter().fold(5, |hash, item| mixed(hash, item.hash)),
        // Summed, so that the order does not count.
        Value::Object(members) => mixed(
            6,
            members
                .iter()
                .fold(0_u64, |sum, member| sum.wrapping_add(mixed(member.name_hash, member.node.hash))),
        ),
    }
}

/// A JSON string literal, of at most about [`RENDERED_BYTES`].
fn quoted(text: &str) -> String {
    let head = text.get(..text.floor_char_boundary(RENDERED_BYTES)).unwrap_or(text);
    serde_json::Value::from(head).to_string()
}
