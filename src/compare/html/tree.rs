//! A page as a tree in which only what counts is left. It lives in an arena, so that the parser's own, which is many
//! times as large, can go before the other page is parsed.

use std::borrow::Cow;

use bumpalo::Bump;
use scraper::{ElementRef, Html, Node as Parsed};

use super::mask::{self, Mask};
use super::script::Script;
use crate::compare::hash::{self, mixed};
use crate::compare::rules::Rules;

/// Longest text that [`Element::render`] begins to write, in bytes; the difference cuts it further.
const RENDERED_BYTES: usize = 600;
/// Longest name that an element known here has, in bytes.
const NAME_BYTES: usize = 16;

/// What an element contains.
#[derive(Clone, Copy)]
pub(super) enum Child<'t> {
    Element(Element<'t>),
    /// Folded text; never empty.
    Text(Text<'t>),
}

#[derive(Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    hash: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Element<'t> {
    pub(super) tag: &'t str,
    /// Sorted by name; a class list is sorted, too; volatile tokens are masked.
    pub(super) attributes: &'t [(&'t str, &'t str)],
    pub(super) children: &'t [Child<'t>],
    /// A script's content, in place of children.
    pub(super) script: Option<&'t Script<'t>>,
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

/// Elements that are laid out in a line of text: white space beside any other does not show.
fn is_inline(tag: &str) -> bool {
    matches!(
        tag,
        "a" | "abbr"
            | "b"
            | "bdi"
            | "bdo"
            | "button"
            | "cite"
            | "code"
            | "data"
            | "del"
            | "dfn"
            | "em"
            | "i"
            | "img"
            | "input"
            | "ins"
            | "kbd"
            | "label"
            | "mark"
            | "meter"
            | "output"
            | "progress"
            | "q"
            | "s"
            | "samp"
            | "select"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "svg"
            | "textarea"
            | "time"
            | "u"
            | "var"
            | "audio"
            | "video"
            | "iframe"
            | "object"
            | "picture"
            | "canvas"
    )
}

/// Elements inside which white space is kept.
fn is_preformatted(tag: &str) -> bool {
    matches!(tag, "pre" | "textarea" | "listing" | "plaintext" | "xmp")
}

/// Elements without content, and those whose end tag is optional: opened again, they close themselves.
fn does_not_nest(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
            | b"p"
            | b"li"
            | b"dt"
            | b"dd"
            | b"option"
            | b"optgroup"
            | b"tr"
            | b"td"
            | b"th"
            | b"thead"
            | b"tbody"
            | b"tfoot"
            | b"rt"
            | b"rp"
    )
}

/// Elements whose content is text, whatever it looks like.
fn is_raw(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"script" | b"style" | b"textarea" | b"title" | b"xmp" | b"iframe" | b"noembed" | b"noframes"
    )
}

/// True if the tags nest more deeply than `depth`, counted without building the tree: the parser walks its stack of open
/// elements for most tags, so a deep page would take quadratic time.
pub(super) fn is_deep(text: &str, depth: usize) -> bool {
    let (mut open, mut foreign) = (0_usize, 0_usize);
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (closing, tag) = after.strip_prefix('/').map_or((false, after), |tag| (true, tag));
        let end =
            tag.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'-').unwrap_or(tag.len());
        let mut lower = [0; NAME_BYTES];
        let name = lowered(tag.get(..end).unwrap_or_default(), &mut lower);
        rest = tag.get(end..).unwrap_or_default();
        if name.is_empty() || (foreign == 0 && does_not_nest(name)) {
            continue;
        }
        // Inside SVG and MathML every element nests, unless it is written `<path/>`.
        let drawing = usize::from(matches!(name, b"svg" | b"math"));
        if closing {
            open = open.saturating_sub(1);
            foreign = foreign.saturating_sub(drawing);
        } else if foreign > 0 && rest.split('>').next().is_some_and(|inner| inner.ends_with('/')) {
            continue;
        } else if foreign == 0 && is_raw(name) {
            rest = after_raw(rest, name);
        } else {
            open += 1;
            foreign += drawing;
        }
        if open > depth {
            return true;
        }
    }
    false
}

/// The page's tree; None if it nests more deeply than allowed.
pub(super) fn read<'t>(html: &Html, rules: &Rules, arena: &'t Bump) -> Option<Element<'t>> {
    let reading = Reading { rules, arena, preformatted: false, depth: rules.limits().depth };
    let root = html.root_element();
    if rules.only_selectors().is_empty() {
        return Element::read(root, reading, &mut Vec::new());
    }
    let chosen =
        |element: &ElementRef<'_>| rules.only_selectors().iter().any(|selector| selector.matches(element));
    let outermost = root.descendent_elements().filter(|element| {
        chosen(element) && !element.ancestors().filter_map(ElementRef::wrap).any(|above| chosen(&above))
    });
    let children = outermost
        .map(|element| Some(Child::Element(Element::read(element, reading, &mut Vec::new())?)))
        .collect::<Option<Vec<_>>>()?;
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
            Self::Text(text) => text.hash,
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

// === impl Text ===

impl<'t> Text<'t> {
    fn new(text: &'t str) -> Self {
        let hash = mixed(1, hash::text(text));
        Self { text, hash }
    }
}

// === impl Element ===

impl<'t> Element<'t> {
    fn read(element: ElementRef<'_>, reading: Reading<'_, 't>, stack: &mut Vec<Child<'t>>) -> Option<Self> {
        let depth = reading.depth.checked_sub(1)?;
        let tag = &*reading.arena.alloc_str(element.value().name());
        let reading =
            Reading { preformatted: reading.preformatted || is_preformatted(tag), depth, ..reading };
        let attributes = attributes(element, reading.rules.masks(), reading.arena);
        let mut read = Self { tag, attributes, children: &[], script: None, hash: 0 };
        if matches!(tag, "script" | "style") {
            read.read_script(element, depth, reading.arena);
        } else {
            read.read_children(element, reading, stack)?;
        }
        read.hash = read.take_hash();
        Some(read)
    }

    /// Reads the children onto a stack that all elements share, and from there into the arena.
    fn read_children<'h>(
        &mut self,
        element: ElementRef<'h>,
        reading: Reading<'_, 't>,
        stack: &mut Vec<Child<'t>>,
    ) -> Option<()> {
        let first = stack.len();
        let mut texts: Cow<'h, str> = Cow::Borrowed("");
        // A template's content hangs below a fragment.
        for child in element.children() {
            let fragment = matches!(child.value(), Parsed::Fragment);
            let alone = (!fragment).then_some(child);
            for part in fragment.then(|| child.children()).into_iter().flatten().chain(alone) {
                match part.value() {
                    Parsed::Text(text) if texts.is_empty() => texts = Cow::Borrowed(&**text),
                    Parsed::Text(text) => texts.to_mut().push_str(text),
                    Parsed::Element(_) => {
                        let child = ElementRef::wrap(part)?;
                        if reading.rules.ignored_selectors().iter().any(|selector| selector.matches(&child)) {
                            continue;
                        }
                        let inline = is_inline(child.value().name());
                        self.take_text(&mut texts, reading, inline, first, stack);
                        let child = Self::read(child, reading, stack)?;
                        stack.push(Child::Element(child));
                    }
                    // Comments do not count, and text goes on behind them.
                    Parsed::Document
                    | Parsed::Fragment
                    | Parsed::Doctype(_)
                    | Parsed::Comment(_)
                    | Parsed::ProcessingInstruction(_) => {}
                }
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

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
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
        texts: &mut Cow<'_, str>,
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
            stack.push(Child::Text(Text::new(reading.arena.alloc_str(&text))));
        }
    }

    /// Of a script or style sheet the parser makes one text.
    fn read_script(&mut self, element: ElementRef<'_>, depth: usize, arena: &'t Bump) {
        let text = &*arena.alloc_str(element.text().next().unwrap_or_default());
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

fn attributes<'t>(element: ElementRef<'_>, masks: &[Mask], arena: &'t Bump) -> &'t [(&'t str, &'t str)] {
    let element = element.value();
    let mut written = element.attrs();
    let attributes = arena.alloc_slice_fill_with(element.attrs().count(), |_| {
        let (name, value) = written.next().unwrap_or_default();
        let value = if name == "class" { classes(value) } else { Cow::Borrowed(value) };
        (&*arena.alloc_str(name), &*arena.alloc_str(&value))
    });
    attributes.sort_unstable();
    mask::apply(element.name(), attributes, masks, arena);
    attributes
}

fn classes(value: &str) -> Cow<'_, str> {
    let apart = value.split(' ');
    if !value.bytes().any(|byte| byte.is_ascii_whitespace() && byte != b' ')
        && apart.clone().zip(apart.skip(1)).all(|(class, next)| class < next)
        && !value.starts_with(' ')
    {
        return Cow::Borrowed(value);
    }
    let mut classes: Vec<&str> = value.split_ascii_whitespace().collect();
    classes.sort_unstable();
    classes.dedup();
    Cow::Owned(classes.join(" "))
}

fn fold(text: Cow<'_, str>, line_before: bool, line_after: bool) -> Cow<'_, str> {
    let space = |c: char| c.is_ascii_whitespace();
    if text.chars().all(space) {
        return Cow::Borrowed(if line_before && line_after && !text.is_empty() { " " } else { "" });
    }
    let (leading, trailing) = (text.starts_with(space), text.ends_with(space));
    let bytes = text.as_bytes();
    let is_folded = (line_before || !leading)
        && (line_after || !trailing)
        && bytes.iter().zip(bytes.get(1..).unwrap_or_default()).all(|(byte, next)| {
            !byte.is_ascii_whitespace() || (*byte == b' ' && !next.is_ascii_whitespace())
        })
        && bytes.last().is_none_or(|last| *last == b' ' || !last.is_ascii_whitespace());
    if is_folded {
        return text;
    }
    let mut folded = String::with_capacity(text.len());
    if line_before && leading {
        folded.push(' ');
    }
    for word in text.split(space).filter(|word| !word.is_empty()) {
        if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if line_after && trailing {
        folded.push(' ');
    }
    Cow::Owned(folded)
}

/// The name in lower case, cut at the longest that matters.
fn lowered<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES]) -> &'b [u8] {
    let length = name.len().min(NAME_BYTES);
    for (slot, byte) in buffer.iter_mut().zip(name.bytes()) {
        *slot = byte.to_ascii_lowercase();
    }
    buffer.get(..length).unwrap_or_default()
}

fn after_raw<'t>(text: &'t str, name: &[u8]) -> &'t str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        if after.as_bytes().get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return after;
        }
        rest = after;
    }
    ""
}
