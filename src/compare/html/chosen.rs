//! The parts of a page that CSS selectors leave of it. Selectors need scraper's tree, which takes several times the
//! memory of ours: only rules that have some come here.

use bumpalo::Bump;
use html5ever::Attribute;
use html5ever::tendril::StrTendril;
use scraper::{ElementRef, Html, Node};

use super::page::{Content, NodeId, Page};
use crate::compare::rules::Rules;

/// The page's root element without what is ignored; the outermost chosen elements, if only some are compared.
pub(super) fn page<'t>(html: &Html, rules: &Rules, arena: &'t Bump) -> Page<'t> {
    let mut page = Page::new(arena);
    page.mode = html.quirks_mode;
    let root = html.root_element();
    if rules.only_selectors().is_empty() {
        copy(root, rules, &mut page);
    }
    let chosen =
        |element: &ElementRef<'_>| rules.only_selectors().iter().any(|selector| selector.matches(element));
    let outermost = root.descendent_elements().filter(|element| {
        chosen(element) && !element.ancestors().filter_map(ElementRef::wrap).any(|above| chosen(&above))
    });
    for element in outermost {
        copy(element, rules, &mut page);
    }
    page.close();
    page
}

/// Copies an element into the document, without the parts of it that are ignored.
fn copy(element: ElementRef<'_>, rules: &Rules, page: &mut Page<'_>) {
    let ignored =
        |element: &ElementRef<'_>| rules.ignored_selectors().iter().any(|selector| selector.matches(element));
    let mut waiting = vec![(*element, NodeId::DOCUMENT)];
    while let Some((node, parent)) = waiting.pop() {
        let copied = match node.value() {
            Node::Element(copied) => {
                if parent != NodeId::DOCUMENT && ElementRef::wrap(node).as_ref().is_some_and(ignored) {
                    continue;
                }
                let attributes = copied
                    .attrs
                    .iter()
                    .map(|(name, value)| Attribute { name: name.clone(), value: value.clone() });
                page.add_element(copied.name.clone(), attributes.collect(), false).0
            }
            Node::Text(text) => {
                page.append_text(parent, StrTendril::from_slice(text));
                continue;
            }
            Node::Fragment => page.add(Content::Fragment),
            Node::Document | Node::Doctype(_) | Node::Comment(_) | Node::ProcessingInstruction(_) => continue,
        };
        page.append(parent, copied);
        waiting.extend(node.children().rev().map(|child| (child, copied)));
    }
}
