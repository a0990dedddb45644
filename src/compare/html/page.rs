//! A page while it is parsed: nodes of 40 bytes that refer to each other by number, with their strings in the arena in
//! which [`super::tree`] leaves what counts.
//!
//! Nothing here recurses, so a page may nest as deeply as it likes.

use std::borrow::Cow;
use std::collections::HashMap;

use bumpalo::Bump;
use foldhash::fast::RandomState;
use html5ever::tendril::StrTendril;
use html5ever::tree_builder::QuirksMode;
use html5ever::{Attribute, LocalName, Namespace, QualName};

/// Nodes allocated at a time, so that no growing copies them.
const CHUNK: usize = 128;

/// An attribute's name and value.
pub(super) type Pair<'t> = (&'t str, &'t str);

/// A node's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

/// An element's name, by its number in the page.
#[derive(Clone, Copy)]
pub(super) struct NameId(u32);

pub(super) enum Content<'t> {
    /// The document, or what a template holds.
    Fragment,
    /// A comment or processing instruction, of which only the place matters.
    Comment,
    Element {
        name: NameId,
        /// A MathML `annotation-xml` that contains HTML.
        is_integration_point: bool,
        attributes: &'t mut [Pair<'t>],
    },
    /// Adjacent texts are mostly one node, yet may be several.
    Text(&'t str),
}

struct Node<'t> {
    parent: NodeId,
    /// Of a first child, the last one.
    previous: NodeId,
    next: NodeId,
    first: NodeId,
    content: Content<'t>,
}

pub(super) struct Page<'t> {
    arena: &'t Bump,
    /// All of them full, but for the last.
    chunks: Vec<Vec<Node<'t>>>,
    names: Vec<(QualName, &'t str)>,
    name_ids: HashMap<QualName, NameId, RandomState>,
    attribute_names: HashMap<LocalName, &'t str, RandomState>,
    unnamed: QualName,
    /// The text node that may still grow, and its text.
    open: (NodeId, StrTendril),
    /// The last text of nothing but white space: it is often the same indentation again.
    space: &'t str,
    pub(super) mode: QuirksMode,
}

// === impl NodeId ===

impl NodeId {
    pub(super) const DOCUMENT: Self = Self(0);
    const NONE: Self = Self(u32::MAX);

    fn place(self) -> (usize, usize) {
        let number = self.0 as usize;
        (number / CHUNK, number % CHUNK)
    }

    fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

// === impl NameId ===

impl NameId {
    /// Of what is no element.
    pub(super) const NONE: Self = Self(u32::MAX);
}

// === impl Page ===

impl<'t> Page<'t> {
    pub(super) fn new(arena: &'t Bump) -> Self {
        let mut page = Self {
            arena,
            chunks: Vec::new(),
            names: Vec::new(),
            name_ids: HashMap::default(),
            attribute_names: HashMap::default(),
            unnamed: QualName::new(None, Namespace::default(), LocalName::default()),
            open: (NodeId::NONE, StrTendril::new()),
            space: "",
            mode: QuirksMode::NoQuirks,
        };
        page.add(Content::Fragment);
        page
    }

    /// Adds a node that has no place yet.
    pub(super) fn add(&mut self, content: Content<'t>) -> NodeId {
        let node = Node {
            parent: NodeId::NONE,
            previous: NodeId::NONE,
            next: NodeId::NONE,
            first: NodeId::NONE,
            content,
        };
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => {
                chunk.push(node);
                NodeId(u32::try_from(full + chunk.len() - 1).unwrap_or(u32::MAX))
            }
            Some(_) | None => {
                let number = self.chunks.len() * CHUNK;
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(node);
                self.chunks.push(chunk);
                NodeId(u32::try_from(number).unwrap_or(u32::MAX))
            }
        }
    }

    pub(super) fn add_element(
        &mut self,
        name: QualName,
        attributes: Vec<Attribute>,
        is_integration_point: bool,
    ) -> (NodeId, NameId) {
        let name = self.name_id(name);
        let arena = self.arena;
        let mut attributes = attributes.into_iter();
        let attributes = arena.alloc_slice_fill_with(attributes.len(), |_| {
            attributes.next().map(|attribute| self.pair(&attribute)).unwrap_or_default()
        });
        (self.add(Content::Element { name, is_integration_point, attributes }), name)
    }

    /// Adds the attributes that the element does not have.
    pub(super) fn add_attributes(&mut self, element: NodeId, added: &[Attribute]) {
        let mut pairs = self.take_attributes(element).to_vec();
        for attribute in added {
            let pair = self.pair(attribute);
            if pairs.iter().all(|(name, _)| *name != pair.0) {
                pairs.push(pair);
            }
        }
        let pairs = self.arena.alloc_slice_copy(&pairs);
        if let Some(Content::Element { attributes, .. }) = self.content_mut(element) {
            *attributes = pairs;
        }
    }

    pub(super) fn append(&mut self, parent: NodeId, child: NodeId) {
        self.detach(child);
        let first = self.first(parent);
        let last = first.map_or(child, |first| self.previous(first));
        self.change(child, |node| (node.parent, node.previous) = (parent, last));
        match first {
            Some(first) => {
                self.change(last, |node| node.next = child);
                self.change(first, |node| node.previous = child);
            }
            None => self.change(parent, |node| node.first = child),
        }
    }

    pub(super) fn append_text(&mut self, parent: NodeId, text: StrTendril) {
        let last = self.first(parent).map(|first| self.previous(first));
        if let Some(text) = self.grown(last, text) {
            self.append(parent, text);
        }
    }

    /// Puts a node before another one, if that has a parent.
    pub(super) fn insert(&mut self, sibling: NodeId, child: NodeId) {
        self.detach(child);
        let Some(parent) = self.parent(sibling) else { return };
        let previous = self.previous(sibling);
        self.change(child, |node| (node.parent, node.previous, node.next) = (parent, previous, sibling));
        self.change(sibling, |node| node.previous = child);
        if self.first(parent) == Some(sibling) {
            self.change(parent, |node| node.first = child);
        } else {
            self.change(previous, |node| node.next = child);
        }
    }

    pub(super) fn insert_text(&mut self, sibling: NodeId, text: StrTendril) {
        let Some(parent) = self.parent(sibling) else { return };
        let previous = (self.first(parent) != Some(sibling)).then(|| self.previous(sibling));
        if let Some(text) = self.grown(previous, text) {
            self.insert(sibling, text);
        }
    }

    pub(super) fn detach(&mut self, child: NodeId) {
        let Some(parent) = self.parent(child) else { return };
        let (first, previous, next) = (self.first(parent), self.previous(child), self.next(child));
        if first == Some(child) {
            self.change(parent, |node| node.first = next.unwrap_or(NodeId::NONE));
        } else {
            self.change(previous, |node| node.next = next.unwrap_or(NodeId::NONE));
        }
        // Behind the last child comes the first one, which knows the last.
        if let Some(behind) = next.or(first) {
            self.change(behind, |node| node.previous = previous);
        }
        self.change(child, |node| {
            (node.parent, node.previous, node.next) = (NodeId::NONE, NodeId::NONE, NodeId::NONE);
        });
    }

    pub(super) fn move_children(&mut self, from: NodeId, to: NodeId) {
        while let Some(child) = self.first(from) {
            self.append(to, child);
        }
    }

    /// Ends the text that may still grow; what is read afterwards is complete.
    pub(super) fn close(&mut self) {
        let (node, text) = std::mem::replace(&mut self.open, (NodeId::NONE, StrTendril::new()));
        if node == NodeId::NONE {
            return;
        }
        let is_space = text.bytes().all(|byte| byte.is_ascii_whitespace());
        let kept = if is_space && *text == *self.space { self.space } else { self.arena.alloc_str(&text) };
        if is_space {
            self.space = kept;
        }
        self.change(node, |node| node.content = Content::Text(kept));
    }

    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.node(node)?.parent.some()
    }

    pub(super) fn first(&self, node: NodeId) -> Option<NodeId> {
        self.node(node)?.first.some()
    }

    pub(super) fn next(&self, node: NodeId) -> Option<NodeId> {
        self.node(node)?.next.some()
    }

    pub(super) fn content(&self, node: NodeId) -> Option<&Content<'t>> {
        Some(&self.node(node)?.content)
    }

    /// An element's attributes as written, to be had once.
    pub(super) fn take_attributes(&mut self, element: NodeId) -> &'t mut [Pair<'t>] {
        match self.content_mut(element) {
            Some(Content::Element { attributes, .. }) => std::mem::take(attributes),
            Some(Content::Fragment | Content::Comment | Content::Text(_)) | None => &mut [],
        }
    }

    /// The local name; empty for [`NameId::NONE`].
    pub(super) fn tag(&self, name: NameId) -> &'t str {
        self.names.get(name.0 as usize).map_or("", |(_, tag)| tag)
    }

    pub(super) fn qualified(&self, name: NameId) -> &QualName {
        self.names.get(name.0 as usize).map_or(&self.unnamed, |(name, _)| name)
    }

    /// The text in a node; None if there are elements, too, which the scripts of an SVG may have. Comments part texts.
    pub(super) fn only_text(&self, node: NodeId) -> Option<&'t str> {
        let mut texts: Cow<'t, str> = Cow::Borrowed("");
        let mut at = self.first(node);
        while let Some(part) = at {
            match self.content(part)? {
                Content::Text(text) if texts.is_empty() => texts = Cow::Borrowed(text),
                Content::Text(text) => texts.to_mut().push_str(text),
                Content::Comment => {}
                Content::Element { .. } | Content::Fragment => return None,
            }
            at = self.next(part);
        }
        Some(match texts {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => self.arena.alloc_str(&text),
        })
    }

    /// Adds to the text before the place it goes to, if that may still grow; else returns a text of its own.
    fn grown(&mut self, before: Option<NodeId>, text: StrTendril) -> Option<NodeId> {
        if before == Some(self.open.0) {
            self.open.1.push_tendril(&text);
            return None;
        }
        self.close();
        let node = self.add(Content::Text(""));
        self.open = (node, text);
        Some(node)
    }

    fn name_id(&mut self, name: QualName) -> NameId {
        if let Some(id) = self.name_ids.get(&name) {
            return *id;
        }
        let id = NameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push((name.clone(), self.arena.alloc_str(&name.local)));
        self.name_ids.insert(name, id);
        id
    }

    fn pair(&mut self, attribute: &Attribute) -> Pair<'t> {
        let name = &attribute.name.local;
        let name = match self.attribute_names.get(name) {
            Some(known) => *known,
            None => {
                let known = &*self.arena.alloc_str(name);
                self.attribute_names.insert(name.clone(), known);
                known
            }
        };
        (name, self.arena.alloc_str(&attribute.value))
    }

    fn previous(&self, node: NodeId) -> NodeId {
        self.node(node).map_or(NodeId::NONE, |node| node.previous)
    }

    fn node(&self, node: NodeId) -> Option<&Node<'t>> {
        let (chunk, place) = node.place();
        self.chunks.get(chunk)?.get(place)
    }

    fn content_mut(&mut self, node: NodeId) -> Option<&mut Content<'t>> {
        let (chunk, place) = node.place();
        Some(&mut self.chunks.get_mut(chunk)?.get_mut(place)?.content)
    }

    fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Node<'t>)) {
        let (chunk, place) = node.place();
        if let Some(node) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(place)) {
            change(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stays_small() {
        assert_eq!(size_of::<Node<'_>>(), 40);
    }
}
