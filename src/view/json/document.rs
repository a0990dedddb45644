//! A JSON document as lines, laid out with two spaces, and where each value's lines are.

use super::super::cell::Written;
use crate::compare::json::{Node, Value};

#[derive(Debug)]
pub(in crate::view) struct Document<'a> {
    root: &'a Node<'a>,
    /// Of each value, in the order they are written.
    sizes: Vec<Size>,
}

/// What a value takes with all that it contains.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    lines: usize,
    values: usize,
}

/// A value where it stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::view) struct Child<'a> {
    pub(in crate::view) node: &'a Node<'a>,
    /// Its name in an object.
    pub(in crate::view) name: Option<&'a str>,
    /// Its position among the values it stands with.
    pub(in crate::view) position: usize,
    /// Its first line, from 1.
    pub(in crate::view) line: usize,
    /// Its number in the document.
    number: usize,
    is_last: bool,
}

/// A line that is made as it is asked for.
#[derive(Debug)]
pub(in crate::view) struct Line {
    head: String,
    body: String,
    tail: &'static str,
}

// === impl Document ===

impl<'a> Document<'a> {
    pub(in crate::view) fn new(root: &'a Node<'a>) -> Self {
        let mut sizes = Vec::new();
        measure(root, &mut sizes);
        Self { root, sizes }
    }

    pub(in crate::view) fn root(&self) -> Child<'a> {
        Child { node: self.root, name: None, position: 0, line: 1, number: 0, is_last: true }
    }

    /// How many lines a value takes.
    pub(in crate::view) fn lines(&self, child: Child<'_>) -> usize {
        self.size(child).lines
    }

    pub(in crate::view) fn children(&self, parent: Child<'a>) -> Vec<Child<'a>> {
        let (mut line, mut number) = (parent.line + 1, parent.number + 1);
        let mut place = |position, name, node, count: usize| {
            let child = Child { node, name, position, line, number, is_last: position + 1 == count };
            let size = self.size(child);
            (line, number) = (line + size.lines, number + size.values);
            child
        };
        match parent.node.value() {
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let count = items.len();
                items.map(|(position, node)| place(position, None, node, count)).collect()
            }
            Value::Object(members) => {
                let members = members.iter().enumerate();
                let count = members.len();
                members.map(|(at, member)| place(at, Some(member.name), &member.node, count)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }

    /// The last line of a value that has several, and its number.
    pub(in crate::view) fn closing(&self, child: Child<'_>) -> Option<(usize, Line)> {
        let lines = self.lines(child);
        let bracket = if child.node.is_filled_array() { "]" } else { "}" };
        let line = Line { head: String::new(), body: bracket.to_owned(), tail: child.comma() };
        (lines > 1).then(|| (child.line + lines - 1, line))
    }

    /// Visits the lines of a value in order, until one is refused; tells whether none was.
    pub(in crate::view) fn each_line(
        &self,
        child: Child<'a>,
        depth: usize,
        visit: &mut dyn FnMut(usize, Written<'_>) -> bool,
    ) -> bool {
        if !visit(depth, child.opening().written()) {
            return false;
        }
        let Some((_, closing)) = self.closing(child) else { return true };
        self.children(child).into_iter().all(|below| self.each_line(below, depth + 1, visit))
            && visit(depth, closing.written())
    }

    fn size(&self, child: Child<'_>) -> Size {
        self.sizes.get(child.number).copied().unwrap_or_default()
    }
}

/// Notes the sizes of a value and all it contains.
fn measure(node: &Node<'_>, sizes: &mut Vec<Size>) -> Size {
    let number = sizes.len();
    sizes.push(Size::default());
    let mut size = Size { lines: 1, values: 1 };
    let mut add = |node: &Node<'_>| {
        let below = measure(node, sizes);
        size = Size { lines: size.lines + below.lines, values: size.values + below.values };
    };
    match node.value() {
        Value::Array(items) => items.iter().for_each(add),
        Value::Object(members) => members.iter().for_each(|member| add(&member.node)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if size.lines > 1 {
        size.lines += 1;
    }
    sizes.get_mut(number).into_iter().for_each(|slot| *slot = size);
    size
}

// === impl Child ===

impl Child<'_> {
    /// The first line of the value, and mostly the only one.
    pub(in crate::view) fn opening(&self) -> Line {
        let head = self.name.map_or_else(String::new, |name| format!("{}: ", quoted(name)));
        let (body, opens) = match self.node.value() {
            Value::Null => ("null".to_owned(), false),
            Value::Bool(value) => (value.to_string(), false),
            Value::Number(number) => ((*number).to_owned(), false),
            Value::String(text) => (quoted(text), false),
            Value::Array([]) => ("[]".to_owned(), false),
            Value::Object([]) => ("{}".to_owned(), false),
            Value::Array(_) => ("[".to_owned(), true),
            Value::Object(_) => ("{".to_owned(), true),
        };
        Line { head, body, tail: if opens { "" } else { self.comma() } }
    }

    /// Adds the value's own step to the pointer of what it stands in.
    pub(in crate::view) fn step(&self, pointer: &mut String) {
        pointer.push('/');
        match self.name {
            Some(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
            None => pointer.push_str(&self.position.to_string()),
        }
    }

    pub(in crate::view) fn is_scalar(&self) -> bool {
        match self.node.value() {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            Value::Array(_) | Value::Object(_) => false,
        }
    }

    fn comma(&self) -> &'static str {
        if self.is_last { "" } else { "," }
    }
}

// === impl Line ===

impl Line {
    pub(in crate::view) fn written(&self) -> Written<'_> {
        Written { head: &self.head, body: &self.body, tail: self.tail }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
