//! A page as lines: one element's start, text or end each, indented. The JSON in scripts is laid out as JSON.

use std::collections::HashMap;

use bumpalo::Bump;

use super::cell::Written;
use super::json::{Child, Document};
use super::lines::Line;
use crate::compare::hash::{self, mixed};
use crate::compare::html::{self, Element};
use crate::compare::{Rules, RulesSpec};
use crate::ledger::sample::SampleDifference;

/// Elements that have no end tag.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];
/// Stands in a script's code for a piece of data.
const DATA: char = '\u{fffc}';

/// Collects the lines of a page.
#[derive(Default)]
struct Writer {
    lines: Vec<Line>,
}

/// Where something is written.
#[derive(Clone)]
struct Place {
    depth: usize,
    parent: Option<usize>,
    step: String,
}

/// The lines of a page; none if it nests too deeply.
pub(super) fn lines(text: &str, differences: &[SampleDifference]) -> Option<Vec<Line>> {
    let arena = Bump::new();
    let root = html::page(text, &rules(differences), &arena)?;
    let mut writer = Writer::default();
    writer.element(&root, &Place { depth: 0, parent: None, step: root.tag.to_owned() });
    Some(writer.lines)
}

/// The lines of a JSON document.
pub(super) fn json_lines(document: &Document<'_>) -> Vec<Line> {
    let mut writer = Writer::default();
    writer.json(document, document.root(), &Place { depth: 0, parent: None, step: String::new() });
    writer.lines
}

/// Volatile tokens do not count; but where an attribute was told to differ, they may be what does.
fn rules(differences: &[SampleDifference]) -> Rules {
    let masks = !differences.iter().any(|difference| difference.at.contains("/@"));
    let default = Rules::default();
    if masks {
        return default;
    }
    Rules::new(&RulesSpec { mask: Vec::new(), ..RulesSpec::default() }).unwrap_or(default)
}

// === impl Writer ===

impl Writer {
    fn element(&mut self, element: &Element<'_>, place: &Place) {
        let start = start(element);
        let sort = hash::text(element.tag);
        let end = format!("</{}>", element.tag);
        if element.script.is_none() {
            let whole = match element.children {
                [] if VOID.contains(&element.tag) => Some(start.clone()),
                [] => Some(format!("{start}{end}")),
                [html::Child::Text(text)] if !text.text.contains('\n') => {
                    Some(format!("{start}{}{end}", text.text))
                }
                _ => None,
            };
            if let Some(whole) = whole {
                self.line(place, whole, sort);
                return;
            }
        }
        let opened = hash::text(&start);
        let below =
            Place { depth: place.depth + 1, parent: self.line(place, start, sort), step: String::new() };
        match element.script {
            Some(_) => self.script(element, &below),
            None => self.children(element, &below),
        }
        let closing = Place { depth: place.depth, parent: None, step: String::new() };
        self.line(&closing, end, mixed(1, sort));
        // An end tag belongs to its start tag, whatever others of its name there are.
        if let Some(line) = self.lines.last_mut() {
            line.hash = mixed(line.hash, opened);
        }
    }

    fn children(&mut self, element: &Element<'_>, below: &Place) {
        let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
        for child in element.children {
            counts.entry(step(child)).or_default().0 += 1;
        }
        for child in element.children {
            let name = step(child);
            let (all, count) = counts.entry(name).or_default();
            *count += 1;
            let step = if *all > 1 { format!("/{name}[{count}]") } else { format!("/{name}") };
            let place = Place { step, ..below.clone() };
            match child {
                html::Child::Element(element) => self.element(element, &place),
                html::Child::Text(text) => {
                    for line in text.text.split('\n') {
                        self.line(&place, line.to_owned(), mixed(2, hash::text(element.tag)));
                    }
                }
            }
        }
    }

    fn script(&mut self, element: &Element<'_>, below: &Place) {
        let Some(script) = element.script else { return };
        let text = Place { step: "/text()".to_owned(), ..below.clone() };
        if script.data.is_empty() {
            for line in script.text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                self.line(&text, line.to_owned(), mixed(3, 0));
            }
            return;
        }
        // The comparison names data by the script's id, wherever that stands.
        let named = element.attribute("id").map(|id| format!("{}#{id}", element.tag));
        let mut code = script.code.split(DATA).map(str::trim);
        for (name, node) in script.data {
            self.code(&text, code.next());
            let parent = below.parent.filter(|_| named.is_none());
            let step = format!("{}!{name}", named.as_deref().unwrap_or_default());
            let document = Document::new(node);
            self.json(&document, document.root(), &Place { depth: below.depth, parent, step });
        }
        code.for_each(|code| self.code(&text, Some(code)));
    }

    fn code(&mut self, place: &Place, code: Option<&str>) {
        if let Some(code) = code.filter(|code| !code.is_empty()) {
            self.line(place, code.to_owned(), mixed(3, 0));
        }
    }

    fn json(&mut self, document: &Document<'_>, child: Child<'_>, place: &Place) {
        let sort = mixed(4, hash::text(child.name.unwrap_or_default()));
        let opening = child.opening();
        let parent = self.written(place, opening.written(), sort);
        let Some((_, closing)) = document.closing(child) else { return };
        for below in document.children(child) {
            let mut step = String::new();
            below.step(&mut step);
            self.json(document, below, &Place { depth: place.depth + 1, parent, step });
        }
        let end = Place { depth: place.depth, parent: None, step: String::new() };
        self.written(&end, closing.written(), mixed(5, 0));
    }

    fn written(&mut self, place: &Place, line: Written<'_>, sort: u64) -> Option<usize> {
        let number = self.line(place, format!("{}{}", line.head, line.body), sort);
        self.lines.last_mut().into_iter().for_each(|last| last.tail = line.tail);
        number
    }

    /// Adds a line; its number.
    fn line(&mut self, place: &Place, text: String, sort: u64) -> Option<usize> {
        self.lines.push(Line::new(place.depth, text, sort, place.parent, place.step.clone()));
        self.lines.len().checked_sub(1)
    }
}

fn start(element: &Element<'_>) -> String {
    let mut start = format!("<{}", element.tag);
    for (name, value) in element.attributes {
        start.push_str(&format!(" {name}=\"{value}\""));
    }
    start.push('>');
    start
}

fn step<'t>(child: &html::Child<'t>) -> &'t str {
    match child {
        html::Child::Element(element) => element.tag,
        html::Child::Text(_) => "text()",
    }
}
