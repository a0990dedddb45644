//! The walk over two trees.

use std::collections::HashMap;

use bumpalo::Bump;

use super::script::Script;
use super::tree::{Child, Element};
use crate::compare::align::Alignment;
use crate::compare::class;
use crate::compare::difference::{Class, Collector, Kind, Sides};
use crate::compare::json;
use crate::compare::path::Path;

/// Most cells of an alignment that are charged to the work budget: it takes no more itself.
const CELLS: usize = 1 << 20;

/// Where an element is: without positions, and with them (from 1, among siblings of its tag).
#[derive(Clone)]
pub(super) struct Place {
    path: String,
    at: String,
}

/// The children of both sides by tag, so that places are known without counting again.
struct Siblings<'e> {
    /// How often each tag occurs on the side that has more of it.
    most: HashMap<&'e str, usize>,
    /// The number of each child among those of its tag, from 1.
    from: Vec<usize>,
    to: Vec<usize>,
}

/// Compares two elements.
pub(super) fn element<'t>(
    from: &Element<'t>,
    to: &Element<'t>,
    place: &Place,
    arena: &'t Bump,
    collector: &mut Collector<'_>,
) {
    if from.hash() == to.hash() || !collector.spend(from.children.len() + to.children.len() + 1) {
        return;
    }
    attributes(from, to, place, collector);
    if let (Some(left), Some(right)) = (from.script, to.script) {
        script(left, right, &script_place(from, to, place), arena, collector);
    }
    children(from, to, place, arena, collector);
}

fn attributes(from: &Element<'_>, to: &Element<'_>, place: &Place, collector: &mut Collector<'_>) {
    let mut report = |name: &str, kind, class, sides| {
        collector.push(
            format!("{}/@{name}", place.path),
            format!("{}/@{name}", place.at),
            kind,
            class,
            sides,
        );
    };
    for (name, value) in from.attributes {
        match to.attribute(name) {
            Some(other) if other == *value => {}
            Some(other) => {
                report(name, Kind::Changed, class::texts(value, other), Sides::both(*value, other))
            }
            None => report(name, Kind::Removed, Class::Value, Sides::from_only(*value)),
        }
    }
    for (name, value) in to.attributes.iter().filter(|(name, _)| from.attribute(name).is_none()) {
        report(name, Kind::Added, Class::Value, Sides::to_only(*value));
    }
}

/// A script that has the same id on both sides is named by it, wherever it stands.
fn script_place(from: &Element<'_>, to: &Element<'_>, place: &Place) -> Place {
    match (from.attribute("id"), to.attribute("id")) {
        (Some(id), Some(other)) if id == other => {
            let named = format!("{}#{id}", from.tag);
            Place { path: named.clone(), at: named }
        }
        _ => place.clone(),
    }
}

fn script<'t>(
    from: &Script<'t>,
    to: &Script<'t>,
    place: &Place,
    arena: &'t Bump,
    collector: &mut Collector<'_>,
) {
    let comparable = from.data.len() == to.data.len()
        && from.data.iter().zip(to.data).all(|((name, _), (other, _))| name == other);
    if !comparable || from.code != to.code {
        let sides = Sides::both(from.text, to.text);
        let class = class::texts(from.text, to.text);
        collector.push(
            format!("{}/text()", place.path),
            format!("{}/text()", place.at),
            Kind::Changed,
            class,
            sides,
        );
    }
    if comparable {
        for ((name, left), (_, right)) in from.data.iter().zip(to.data) {
            let path = Path::under(format!("{}!{name}", place.path));
            json::documents(*left, *right, path, arena, collector);
        }
    }
}

fn children<'t>(
    from: &Element<'t>,
    to: &Element<'t>,
    place: &Place,
    arena: &'t Bump,
    collector: &mut Collector<'_>,
) {
    let cells = from.children.len().saturating_mul(to.children.len()).min(CELLS);
    if !collector.spend(cells) {
        return;
    }
    let alignment = align(from.children, to.children);
    let siblings = Siblings::of(from.children, to.children);
    if alignment.is_moved() {
        let sides = Sides::both(outline(from.children), outline(to.children));
        collector.push(place.path.clone(), place.at.clone(), Kind::Moved, Class::Order, sides);
    }
    for (i, j) in &alignment.pairs {
        let (Some(left), Some(right)) = (from.children.get(*i), to.children.get(*j)) else { continue };
        let below = siblings.place(place, left, siblings.from.get(*i));
        match (left, right) {
            (Child::Element(left), Child::Element(right)) => element(left, right, &below, arena, collector),
            (Child::Text(left), Child::Text(right)) if left.text != right.text => {
                let class = class::texts(left.text, right.text);
                collector.push(
                    below.path,
                    below.at,
                    Kind::Changed,
                    class,
                    Sides::both(left.text, right.text),
                );
            }
            (Child::Element(_) | Child::Text(_), _) => {}
        }
    }
    for (kind, side, positions, numbers) in [
        (Kind::Removed, from.children, &alignment.removed, &siblings.from),
        (Kind::Added, to.children, &alignment.added, &siblings.to),
    ] {
        for position in positions {
            let Some(child) = side.get(*position) else { continue };
            let below = siblings.place(place, child, numbers.get(*position));
            let sides = if kind == Kind::Removed {
                Sides::from_only(child.render())
            } else {
                Sides::to_only(child.render())
            };
            collector.push(below.path, below.at, kind, Class::Value, sides);
        }
    }
}

/// Children with the same id belong together wherever they are; the others by content and likeness.
fn align(from: &[Child<'_>], to: &[Child<'_>]) -> Alignment {
    let ids = |side: &[Child<'_>]| -> Vec<(usize, String)> {
        let id = |child: &Child<'_>| {
            child.element().and_then(|element| element.attribute("id")).map(str::to_owned)
        };
        side.iter().enumerate().filter_map(|(position, child)| Some((position, id(child)?))).collect()
    };
    let (left, right) = (ids(from), ids(to));
    let id_of = |side: &[(usize, String)]| side.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let by_id = Alignment::by_key(&id_of(&left), &id_of(&right));
    let mut pairs: Vec<(usize, usize)> =
        by_id.pairs.iter().filter_map(|(i, j)| Some((left.get(*i)?.0, right.get(*j)?.0))).collect();

    let rest = Alignment::complete(pairs.clone(), from.len(), to.len());
    let hashes = |side: &[Child<'_>], positions: &[usize]| -> Vec<u64> {
        positions.iter().filter_map(|position| side.get(*position)).map(Child::hash).collect()
    };
    let at = |side: &[usize], position: usize| side.get(position).copied();
    let by_content = Alignment::by_content(&hashes(from, &rest.removed), &hashes(to, &rest.added), |i, j| {
        let left = at(&rest.removed, i).and_then(|i| from.get(i));
        let right = at(&rest.added, j).and_then(|j| to.get(j));
        left.zip(right).map_or(0.0, |(left, right)| likeness(left, right))
    });
    pairs.extend(
        by_content.pairs.iter().filter_map(|(i, j)| Some((at(&rest.removed, *i)?, at(&rest.added, *j)?))),
    );
    Alignment::complete(pairs, from.len(), to.len())
}

/// How much two children are alike, 0 to 1; 0 if they are not the same one, changed.
fn likeness(from: &Child<'_>, to: &Child<'_>) -> f64 {
    match (from, to) {
        (Child::Text(_), Child::Text(_)) => 0.5,
        (Child::Element(left), Child::Element(right)) => elements_alike(left, right),
        (Child::Element(_), Child::Text(_)) | (Child::Text(_), Child::Element(_)) => 0.0,
    }
}

fn elements_alike(from: &Element<'_>, to: &Element<'_>) -> f64 {
    let other_ids =
        matches!((from.attribute("id"), to.attribute("id")), (Some(id), Some(other)) if id != other);
    if from.tag != to.tag || other_ids {
        return 0.0;
    }
    let mut alike = 0.2;
    if from.attributes == to.attributes {
        alike += 0.2;
    }
    let hashes = |element: &Element<'_>| element.children.iter().map(Child::hash).collect::<Vec<_>>();
    let (left, right) = (hashes(from), hashes(to));
    let common = Alignment::by_key(&left, &right).pairs.len();
    let longer = left.len().max(right.len());
    if let (Ok(common), Ok(longer)) = (u32::try_from(common), u32::try_from(longer)) {
        alike += if longer == 0 { 0.6 } else { 0.6 * f64::from(common) / f64::from(longer) };
    }
    alike
}

/// The tags of the children, to show their order.
fn outline(children: &[Child<'_>]) -> String {
    let name = |child: &Child<'_>| match child {
        Child::Element(element) => match element.attribute("id") {
            Some(id) => format!("{}#{id}", element.tag),
            None => element.render().chars().take(40).collect(),
        },
        Child::Text(text) => text.text.chars().take(40).collect(),
    };
    children.iter().take(16).map(name).collect::<Vec<_>>().join(", ")
}

// === impl Place ===

impl Place {
    /// The root of a page.
    pub(super) fn root() -> Self {
        Self { path: "html".to_owned(), at: "html".to_owned() }
    }

    /// The top of a piece of a page inside another document.
    pub(super) fn within(path: &str, at: &str) -> Self {
        Self { path: format!("{path}!"), at: format!("{at}!") }
    }

    fn below(&self, step: &str, step_at: &str) -> Self {
        let slash = if self.path.ends_with('!') { "" } else { "/" };
        Self { path: format!("{}{slash}{step}", self.path), at: format!("{}{slash}{step_at}", self.at) }
    }
}

// === impl Child ===

impl Child<'_> {
    /// As a step of a path.
    fn step(&self) -> &str {
        match self {
            Self::Element(element) => element.tag,
            Self::Text(_) => "text()",
        }
    }

    fn render(&self) -> String {
        match self {
            Self::Element(element) => element.render(),
            Self::Text(text) => text.text.to_owned(),
        }
    }
}

// === impl Siblings ===

impl<'e> Siblings<'e> {
    fn of(from: &'e [Child<'e>], to: &'e [Child<'e>]) -> Self {
        let mut most: HashMap<&str, usize> = HashMap::new();
        let mut numbers = |side: &'e [Child<'e>]| -> Vec<usize> {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            let number = |child: &'e Child<'e>| {
                let count = counts.entry(child.step()).or_default();
                *count += 1;
                let most = most.entry(child.step()).or_default();
                *most = (*most).max(*count);
                *count
            };
            side.iter().map(number).collect()
        };
        let (from, to) = (numbers(from), numbers(to));
        Self { most, from, to }
    }

    /// The place of a child; one that has siblings of its tag on either side has a position.
    fn place(&self, parent: &Place, child: &Child<'_>, number: Option<&usize>) -> Place {
        let step = child.step();
        match number {
            Some(number) if self.most.get(step).is_some_and(|most| *most > 1) => {
                parent.below(&format!("{step}[*]"), &format!("{step}[{number}]"))
            }
            _ => parent.below(step, step),
        }
    }
}
