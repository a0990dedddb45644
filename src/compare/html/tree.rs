//! A page as a tree in which only what counts is left. It lives in an arena, so that the nodes of the parsed
//! page can go before the other one is parsed.

use std::borrow::Cow;

use bumpalo::Bump;

use super::mask;
use super::page::{Content, NodeId, Page, Pair};
use super::script::Script;
use super::space::{classes, fold, is_inline, is_preformatted};
use crate::compare::hash::{self, mixed};
use crate::compare::rules::Rules;

/// Longest text that [`Element::render`] begins to write, in bytes; the difference cuts it further.
const RENDERED_BYTES: usize = 600;
/// What an element contains.
#[derive(Clone, Copy)]
pub(crate) enum Child<'t> {
    Element(&'t Element<'t>),
    /// Folded text; never empty.
    Text(Text<'t>),
}

#[derive(Clone, Copy)]
pub(crate) struct Text<'t> {
    pub(crate) text: &'t str,
}

#[derive(Clone, Copy)]
pub(crate) struct Element<'t> {
    pub(crate) tag: &'t str,
    /// Sorted by name; a class list is sorted, too; volatile tokens are masked.
    pub(crate) attributes: &'t [(&'t str, &'t str)],
    pub(crate) children: &'t [Child<'t>],
    /// A script's content, in place of children.
    pub(crate) script: Option<&'t Script<'t>>,
    hash: u64,
}

/// What is read of a page, and how.
#[derive(Clone, Copy)]
pub(super) struct Reading<'r, 't> {
    rules: &'r Rules,
    arena: &'t Bump,
    preformatted: bool,
    /// Levels that may still follow.
    depth: usize,
}

/// The page's tree; None if it nests more deeply than allowed.
pub(super) fn read<'t>(mut page: Page<'t>, rules: &Rules, arena: &'t Bump) -> Option<Element<'t>> {
    let reading = Reading { rules, arena, preformatted: false, depth: rules.limits().depth };
    let mut children = Vec::new();
    let mut next = page.first(NodeId::DOCUMENT);
    while let Some(node) = next {
        next = page.next(node);
        if matches!(page.content(node), Some(Content::Element { .. })) {
            let child = Element::read(&mut page, node, reading, &mut Vec::new())?;
            children.push(Child::Element(arena.alloc(child)));
        }
    }
    if rules.only_selectors().is_empty()
        && let [Child::Element(root)] = &*children
    {
        return Some(**root);
    }
    let mut page = Element {
        tag: "html",
        attributes: &[],
        children: arena.alloc_slice_copy(&children),
        script: None,
        hash: 0,
    };
    page.hash = page.take_hash();
    Some(page)
}

// === impl Child ===

impl Child<'_> {
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Element(element) => element.hash,
            Self::Text(text) => mixed(1, hash::text(text.text)),
        }
    }

    pub(super) fn element(&self) -> Option<&Element<'_>> {
        match self {
            Self::Element(element) => Some(element),
            Self::Text(_) => None,
        }
    }

    /// True if it stands in a line of text, so that white space beside it shows.
    fn is_inline(&self) -> bool {
        match self {
            Self::Element(element) => is_inline(element.tag),
            Self::Text(_) => true,
        }
    }
}

// === impl Element ===

impl<'t> Element<'t> {
    fn read(
        page: &mut Page<'t>,
        node: NodeId,
        reading: Reading<'_, 't>,
        stack: &mut Vec<Child<'t>>,
    ) -> Option<Self> {
        let depth = reading.depth.checked_sub(1)?;
        let tag = tag(page, node);
        let reading =
            Reading { preformatted: reading.preformatted || is_preformatted(tag), depth, ..reading };
        let attributes = attributes(tag, page.take_attributes(node), reading);
        let mut read = Self { tag, attributes, children: &[], script: None, hash: 0 };
        let code = if matches!(tag, "script" | "style") { page.only_text(node) } else { None };
        match code {
            Some(code) => read.read_script(code, depth, reading.arena),
            None => read.read_children(page, node, reading, stack)?,
        }
        read.hash = read.take_hash();
        Some(read)
    }

    /// Reads the children onto a stack that all elements share, and from there into the arena.
    fn read_children(
        &mut self,
        page: &mut Page<'t>,
        node: NodeId,
        reading: Reading<'_, 't>,
        stack: &mut Vec<Child<'t>>,
    ) -> Option<()> {
        let first = stack.len();
        let mut texts: Cow<'t, str> = Cow::Borrowed("");
        let mut at = page.first(node);
        while let Some(part) = at {
            at = page.next(part);
            match page.content(part)? {
                Content::Text(text) if texts.is_empty() => texts = Cow::Borrowed(text),
                Content::Text(text) => texts.to_mut().push_str(text),
                Content::Element { name, .. } => {
                    let inline = is_inline(page.tag(*name));
                    self.take_text(&mut texts, reading, inline, first, stack);
                    let child = Self::read(page, part, reading, stack)?;
                    stack.push(Child::Element(reading.arena.alloc(child)));
                }
                // A template's content; the template has no other.
                Content::Fragment => at = page.first(part),
                // Comments do not count, and text goes on behind them.
                Content::Comment => {}
            }
        }
        self.take_text(&mut texts, reading, is_inline(self.tag), first, stack);
        self.children = reading.arena.alloc_slice_copy(stack.get(first..)?);
        stack.truncate(first);
        Some(())
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The element as HTML, cut soon after the length that a difference shows.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        if text.len() > RENDERED_BYTES {
            return;
        }
        text.push('<');
        text.push_str(self.tag);
        for (name, value) in self.attributes {
            text.push_str(&format!(" {name}=\"{value}\""));
        }
        text.push('>');
        if let Some(script) = &self.script {
            text.push_str(script.text);
        }
        for child in self.children.iter().take(64) {
            match child {
                Child::Element(element) => element.write(text),
                Child::Text(content) => text.push_str(content.text),
            }
        }
        text.push_str(&format!("</{}>", self.tag));
    }

    /// Takes the text up to an element or the end, with its white space folded: runs to one space, none beside what is
    /// not in a line of text. What stands before it is the last child, if any: texts are taken whole.
    fn take_text(
        &self,
        texts: &mut Cow<'t, str>,
        reading: Reading<'_, 't>,
        line_after: bool,
        first: usize,
        stack: &mut Vec<Child<'t>>,
    ) {
        let mut text = std::mem::take(texts);
        if !reading.preformatted {
            let before = stack.get(first..).and_then(<[_]>::last);
            let line_before = before.map_or_else(|| is_inline(self.tag), Child::is_inline);
            text = fold(text, line_before, line_after);
        }
        if !text.is_empty() {
            stack.push(Child::Text(Text { text: kept(text, reading.arena) }));
        }
    }

    fn read_script(&mut self, text: &'t str, depth: usize, arena: &'t Bump) {
        let is_json = self.attribute("type").is_some_and(|mime| mime.to_ascii_lowercase().contains("json"));
        let script =
            if is_json { Script::json(text, depth, arena) } else { Script::code(text, depth, arena) };
        self.script = Some(arena.alloc(script));
    }

    fn take_hash(&self) -> u64 {
        let attributes = self.attributes.iter().fold(hash::text(self.tag), |state, (name, value)| {
            mixed(mixed(state, hash::text(name)), hash::text(value))
        });
        let children = self.children.iter().fold(attributes, |state, child| mixed(state, child.hash()));
        mixed(children, self.script.map_or(0, Script::hash))
    }
}

fn tag<'t>(page: &Page<'t>, node: NodeId) -> &'t str {
    match page.content(node) {
        Some(Content::Element { name, .. }) => page.tag(*name),
        Some(Content::Fragment | Content::Comment | Content::Text(_)) | None => "",
    }
}

fn attributes<'t>(tag: &str, attributes: &'t mut [Pair<'t>], reading: Reading<'_, 't>) -> &'t [Pair<'t>] {
    for (name, value) in attributes.iter_mut() {
        if *name == "class" {
            *value = kept(classes(value), reading.arena);
        }
    }
    attributes.sort_unstable();
    mask::apply(tag, attributes, reading.rules.masks(), reading.arena);
    attributes
}

/// Text in the arena, copied only if it is not there yet.
fn kept<'t>(text: Cow<'t, str>, arena: &'t Bump) -> &'t str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => arena.alloc_str(&text),
    }
}
