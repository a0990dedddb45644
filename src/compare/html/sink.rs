//! From text to a [`Page`]: what html5ever's tree builder calls.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use bumpalo::Bump;
use html5ever::interface::ElementFlags;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, LocalName, ParseOpts, Parser, QualName, ns};

use super::page::{Content, NameId, NodeId, Page};

/// Text given to the parser at a time, in bytes: it keeps a copy.
const PIECE: usize = 4096;

/// Builds a page's nodes as the parser says.
struct Sink<'t>(RefCell<Page<'t>>);

#[derive(Clone, Copy)]
struct Handle {
    node: NodeId,
    name: NameId,
}

pub(super) fn document<'t>(text: &str, arena: &'t Bump) -> Page<'t> {
    let sink = Sink(RefCell::new(Page::new(arena)));
    parse(html5ever::parse_document(sink, ParseOpts::default()), text)
}

/// A piece of a page, as it stands in `<body>`.
pub(super) fn fragment<'t>(text: &str, arena: &'t Bump) -> Page<'t> {
    let sink = Sink(RefCell::new(Page::new(arena)));
    let body = QualName::new(None, ns!(html), LocalName::from("body"));
    parse(html5ever::parse_fragment(sink, ParseOpts::default(), body, Vec::new(), false), text)
}

fn parse<'t>(mut parser: Parser<Sink<'t>>, text: &str) -> Page<'t> {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        parser.process(StrTendril::from_slice(piece));
        rest = after;
    }
    parser.finish()
}

// === impl Handle ===

impl Handle {
    fn unnamed(node: NodeId) -> Self {
        Self { node, name: NameId::NONE }
    }
}

// === impl Sink ===

impl<'t> TreeSink for Sink<'t> {
    type Handle = Handle;
    type Output = Page<'t>;
    type ElemName<'a>
        = Ref<'a, QualName>
    where
        Self: 'a;

    fn finish(self) -> Page<'t> {
        let mut page = self.0.into_inner();
        page.close();
        page
    }

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle::unnamed(NodeId::DOCUMENT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> Ref<'a, QualName> {
        Ref::map(self.0.borrow(), |page| page.qualified(target.name))
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let mut page = self.0.borrow_mut();
        let (node, name) = page.add_element(name, attributes, flags.mathml_annotation_xml_integration_point);
        if flags.template {
            let contents = page.add(Content::Fragment);
            page.append(node, contents);
        }
        Handle { node, name }
    }

    fn create_comment(&self, _text: StrTendril) -> Handle {
        Handle::unnamed(self.0.borrow_mut().add(Content::Comment))
    }

    fn create_pi(&self, _target: StrTendril, _data: StrTendril) -> Handle {
        Handle::unnamed(self.0.borrow_mut().add(Content::Comment))
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        let mut page = self.0.borrow_mut();
        match child {
            NodeOrText::AppendNode(child) => page.append(parent.node, child.node),
            NodeOrText::AppendText(text) => page.append_text(parent.node, text),
        }
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        let has_parent = self.0.borrow().parent(element.node).is_some();
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    /// The type shows in [`Page::mode`].
    fn append_doctype_to_document(&self, _name: StrTendril, _public: StrTendril, _system: StrTendril) {}

    fn get_template_contents(&self, target: &Handle) -> Handle {
        Handle::unnamed(self.0.borrow().first(target.node).unwrap_or(target.node))
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        one.node == other.node
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.0.borrow_mut().mode = mode;
    }

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        let mut page = self.0.borrow_mut();
        match child {
            NodeOrText::AppendNode(child) => page.insert(sibling.node, child.node),
            NodeOrText::AppendText(text) => page.insert_text(sibling.node, text),
        }
    }

    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        self.0.borrow_mut().add_attributes(target.node, &attributes);
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.0.borrow_mut().detach(target.node);
    }

    fn reparent_children(&self, node: &Handle, parent: &Handle) {
        self.0.borrow_mut().move_children(node.node, parent.node);
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        matches!(
            self.0.borrow().content(handle.node),
            Some(Content::Element { is_integration_point: true, .. })
        )
    }
}
