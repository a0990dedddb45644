//! A page as a tree in which only what counts is left.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use scraper::{ElementRef, Html, Node as Parsed};

use super::script::Script;

/// Elements that are laid out in a line of text: white space beside any other does not show.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "button", "cite", "code", "data", "del", "dfn", "em", "i", "img",
    "input", "ins", "kbd", "label", "mark", "meter", "output", "progress", "q", "s", "samp", "select",
    "small", "span", "strong", "sub", "sup", "svg", "textarea", "time", "u", "var", "audio", "video",
    "iframe", "object", "picture", "canvas",
];
/// Elements inside which white space is kept.
const PREFORMATTED: &[&str] = &["pre", "textarea", "listing", "plaintext", "xmp"];
/// Elements without content.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];
/// Elements whose end tag is optional: opened again, they close themselves.
const SELF_CLOSING: &[&str] =
    &["p", "li", "dt", "dd", "option", "optgroup", "tr", "td", "th", "thead", "tbody", "tfoot", "rt", "rp"];
/// Elements whose content is text, whatever it looks like.
const RAW: &[&str] = &["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

/// Longest text that [`Element::render`] begins to write, in bytes; the difference cuts it further.
const RENDERED_BYTES: usize = 600;

/// A page.
pub(super) struct Page {
    pub(super) root: Element,
    /// True if the doctype makes browsers fall back to old layout rules.
    pub(super) quirks: bool,
}

/// What an element contains.
pub(super) enum Child {
    Element(Element),
    /// Folded text; never empty.
    Text(Text),
}

pub(super) struct Text {
    pub(super) text: String,
    hash: u64,
}

pub(super) struct Element {
    pub(super) tag: String,
    /// Sorted by name; a class list is sorted, too.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Child>,
    /// A script's content, in place of children.
    pub(super) script: Option<Script>,
    hash: u64,
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
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(tag.len());
        let name = tag.get(..end.min(32)).unwrap_or_default().to_ascii_lowercase();
        rest = tag.get(end..).unwrap_or_default();
        let tags = if foreign > 0 { &[][..] } else { &[VOID, SELF_CLOSING][..] };
        if name.is_empty() || tags.iter().any(|tags| tags.contains(&name.as_str())) {
            continue;
        }
        // Inside SVG and MathML every element nests, unless it is written `<path/>`.
        let drawing = usize::from(matches!(name.as_str(), "svg" | "math"));
        if closing {
            open = open.saturating_sub(1);
            foreign = foreign.saturating_sub(drawing);
        } else if foreign > 0 && rest.split('>').next().is_some_and(|inner| inner.ends_with('/')) {
            continue;
        } else if foreign == 0 && RAW.contains(&name.as_str()) {
            rest = after_raw(rest, &name);
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

/// Parses a page; None if it nests more deeply than `depth`.
pub(super) fn parse(text: &str, depth: usize) -> Option<Page> {
    let html = Html::parse_document(text);
    // The type itself is html5ever's, which scraper does not pass on.
    let quirks = format!("{:?}", html.quirks_mode) == "Quirks";
    Some(Page { root: Element::read(html.root_element(), false, depth)?, quirks })
}

// === impl Child ===

impl Child {
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Element(element) => element.hash,
            Self::Text(text) => text.hash,
        }
    }

    pub(super) fn element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            Self::Text(_) => None,
        }
    }

    /// True if it stands in a line of text, so that white space beside it shows.
    fn is_inline(&self) -> bool {
        match self {
            Self::Element(element) => INLINE.contains(&element.tag.as_str()),
            Self::Text(_) => true,
        }
    }
}

// === impl Text ===

impl Text {
    fn new(text: String) -> Self {
        let hash = hash_of(&(1_u8, &text));
        Self { text, hash }
    }
}

// === impl Element ===

impl Element {
    fn read(element: ElementRef<'_>, preformatted: bool, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let tag = element.value().name().to_owned();
        let mut attributes: Vec<(String, String)> =
            element.value().attrs().map(|(name, value)| (name.to_owned(), attribute(name, value))).collect();
        attributes.sort_unstable();
        let preformatted = preformatted || PREFORMATTED.contains(&tag.as_str());
        let mut read = Self { tag, attributes, children: Vec::new(), script: None, hash: 0 };
        let mut texts = String::new();
        for child in element.children() {
            // A template's content hangs below a fragment.
            let parts = if matches!(child.value(), Parsed::Fragment) {
                child.children().collect()
            } else {
                vec![child]
            };
            for part in parts {
                match part.value() {
                    Parsed::Text(text) => texts.push_str(text),
                    Parsed::Element(_) => {
                        read.take_text(&mut texts);
                        read.children.push(Child::Element(Self::read(
                            ElementRef::wrap(part)?,
                            preformatted,
                            depth,
                        )?));
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
        read.take_text(&mut texts);
        if matches!(read.tag.as_str(), "script" | "style") {
            read.read_script(depth);
        } else if !preformatted {
            read.fold();
        }
        read.hash = read.take_hash();
        Some(read)
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
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
        text.push_str(&self.tag);
        for (name, value) in &self.attributes {
            text.push_str(&format!(" {name}=\"{value}\""));
        }
        text.push('>');
        if let Some(script) = &self.script {
            text.push_str(&script.text);
        }
        for child in self.children.iter().take(64) {
            match child {
                Child::Element(element) => element.write(text),
                Child::Text(content) => text.push_str(&content.text),
            }
        }
        text.push_str(&format!("</{}>", self.tag));
    }

    fn take_text(&mut self, texts: &mut String) {
        if !texts.is_empty() {
            self.children.push(Child::Text(Text::new(std::mem::take(texts))));
        }
    }

    fn read_script(&mut self, depth: usize) {
        let text = match self.children.pop() {
            Some(Child::Text(text)) => text.text,
            Some(Child::Element(_)) | None => String::new(),
        };
        let is_json = self.attribute("type").is_some_and(|mime| mime.to_ascii_lowercase().contains("json"));
        self.script = Some(if is_json { Script::json(&text, depth) } else { Script::code(&text, depth) });
        self.children.clear();
    }

    /// Folds white space: runs to one space, none beside what is not in a line of text.
    fn fold(&mut self) {
        let inline: Vec<bool> = self.children.iter().map(Child::is_inline).collect();
        let within_line = INLINE.contains(&self.tag.as_str());
        let beside = |position: Option<usize>| {
            position.and_then(|position| inline.get(position)).copied().unwrap_or(within_line)
        };
        let children = std::mem::take(&mut self.children);
        for (position, child) in children.into_iter().enumerate() {
            match child {
                Child::Element(element) => self.children.push(Child::Element(element)),
                Child::Text(text) => {
                    let folded =
                        fold(&text.text, beside(position.checked_sub(1)), beside(Some(position + 1)));
                    if !folded.is_empty() {
                        self.children.push(Child::Text(Text::new(folded)));
                    }
                }
            }
        }
    }

    fn take_hash(&self) -> u64 {
        let children: Vec<u64> = self.children.iter().map(Child::hash).collect();
        hash_of(&(0_u8, &self.tag, &self.attributes, children, self.script.as_ref().map(Script::hash)))
    }
}

fn attribute(name: &str, value: &str) -> String {
    if name != "class" {
        return value.to_owned();
    }
    let mut classes: Vec<&str> = value.split_ascii_whitespace().collect();
    classes.sort_unstable();
    classes.dedup();
    classes.join(" ")
}

fn fold(text: &str, line_before: bool, line_after: bool) -> String {
    let space = |c: char| c.is_ascii_whitespace();
    let mut folded = text.split(space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if folded.is_empty() {
        return if line_before && line_after { " ".to_owned() } else { folded };
    }
    if line_before && text.starts_with(space) {
        folded.insert(0, ' ');
    }
    if line_after && text.ends_with(space) {
        folded.push(' ');
    }
    folded
}

fn after_raw<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        if after.get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return after;
        }
        rest = after;
    }
    ""
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut state = DefaultHasher::new();
    value.hash(&mut state);
    state.finish()
}
