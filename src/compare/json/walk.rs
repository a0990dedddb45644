//! The walk over two documents, one index-free path at a time.

use bumpalo::Bump;

use super::node::{self, Node, Value};
use crate::compare::class;
use crate::compare::difference::{Class, Collector, Kind, Sides};
use crate::compare::html;
use crate::compare::path::Path;

/// How often JSON inside a string is opened on the way down.
const NESTED_DOCUMENTS: u8 = 3;
/// If so many rows are the same for each one that is not, it is worth while to see whether they can be left out.
const FEW: usize = 4;

/// The state of one walk.
pub(super) struct Walk<'c, 'r> {
    pub(super) collector: &'c mut Collector<'r>,
    pub(super) path: Path,
    /// Array positions as a tree: (parent, position). Entry 0 is the root.
    places: Vec<(Place, usize)>,
}

/// Where a value is, as an index into [`Walk::places`].
pub(super) type Place = usize;

/// Two values that belong together.
#[derive(Clone, Copy)]
pub(super) struct Pair<'n> {
    pub(super) from: &'n Node<'n>,
    pub(super) to: &'n Node<'n>,
    pub(super) place: Place,
    /// Known to be the same: kept as evidence for what the other rows mean.
    pub(super) same: bool,
    /// They stand under different names.
    pub(super) renamed: bool,
}

/// How much deeper a part of the walk may go.
#[derive(Clone, Copy)]
pub(super) struct Room {
    nested: u8,
}

impl<'c, 'r> Walk<'c, 'r> {
    pub(super) fn new(path: Path, collector: &'c mut Collector<'r>) -> Self {
        Self { collector, path, places: vec![(0, 0)] }
    }

    pub(super) fn documents(&mut self, from: &Node<'_>, to: &Node<'_>) {
        let pair = Pair { from, to, place: 0, same: false, renamed: false };
        self.pairs(vec![pair], Room { nested: NESTED_DOCUMENTS });
    }

    /// Compares all pairs at the present path.
    pub(super) fn pairs(&mut self, mut pairs: Vec<Pair<'_>>, room: Room) {
        if !self.collector.spend(pairs.len()) {
            return;
        }
        for pair in &mut pairs {
            pair.same = pair.same || pair.from.same(pair.to);
        }
        if pairs.iter().all(|pair| pair.same) {
            return;
        }
        let changed = pairs.iter().filter(|pair| !pair.same).count();
        let few = changed.saturating_mul(FEW) <= pairs.len();
        if few && !pairs.iter().any(|pair| !pair.same && node::needs_others(pair.from, pair.to)) {
            pairs.retain(|pair| !pair.same);
        }
        let (mut objects, mut arrays) = (Vec::new(), Vec::new());
        let mut booleans = None;
        let arena = Bump::new();
        let mut opened = Vec::new();
        for pair in &pairs {
            match (pair.from.value(), pair.to.value()) {
                (Value::Object(_), Value::Object(_)) => objects.push(*pair),
                (Value::Array(from), Value::Array(to)) => arrays.push((*pair, *from, *to)),
                _ if pair.same => {}
                _ => {
                    let booleans = || *booleans.get_or_insert_with(|| pairs.iter().all(Pair::is_boolean));
                    opened.extend(self.value(pair, booleans, &arena));
                }
            }
        }
        if !objects.is_empty() {
            self.objects(&objects, room);
        }
        if !arrays.is_empty() {
            self.arrays(&arrays, room);
        }
        if let (false, Some(nested)) = (opened.is_empty(), room.nested.checked_sub(1)) {
            let pairs = opened.iter().map(Opened::pair).collect();
            self.pairs(pairs, Room { nested });
        }
    }

    /// Reports a pair that is not two containers of one type. What a string holds as JSON is handed back to be compared.
    fn value<'n>(
        &mut self,
        pair: &Pair<'n>,
        booleans: impl FnOnce() -> bool,
        arena: &'n Bump,
    ) -> Option<Opened<'n>> {
        if let (Value::String(from), Value::String(to)) = (pair.from.value(), pair.to.value())
            && self.collector.rules.is_html(&self.path)
        {
            let at = self.path.concrete(&self.positions(pair.place));
            html::fragments(from, to, &self.path.index_free(), &at, self.collector);
            return None;
        }
        let (kind, class) = class::values(pair.from, pair.to, booleans)?;
        self.report_with(pair.place, kind, class, || Sides::both(pair.from.render(), pair.to.render()));
        if class != Class::JsonInString {
            return None;
        }
        let open = |node: &'n Node<'n>| match node.value() {
            Value::String(text) => class::json_in(text, arena),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        };
        Some(Opened { from: (pair.from, open(pair.from)), to: (pair.to, open(pair.to)), place: pair.place })
    }

    pub(super) fn report(&mut self, place: Place, kind: Kind, class: Class, sides: Sides) {
        self.report_with(place, kind, class, || sides);
    }

    /// Reports; the sides are rendered only if the difference is kept.
    pub(super) fn report_with(
        &mut self,
        place: Place,
        kind: Kind,
        class: Class,
        sides: impl FnOnce() -> Sides,
    ) {
        let path = self.path.index_free();
        if self.collector.count(&path, kind, class) {
            let at = self.path.concrete(&self.positions(place));
            self.collector.keep(path, at, kind, class, sides());
        }
    }

    /// Reports a value that only one side has.
    pub(super) fn report_only(&mut self, place: Place, kind: Kind, class: Class, node: &Node<'_>) {
        self.report_with(place, kind, class, || match kind {
            Kind::Removed => Sides::from_only(node.render()),
            Kind::Added
            | Kind::Status
            | Kind::Header
            | Kind::Changed
            | Kind::TypeChanged
            | Kind::Renamed
            | Kind::Moved
            | Kind::Body => Sides::to_only(node.render()),
        });
    }

    /// Reports a member that only one side has.
    pub(super) fn report_member(&mut self, place: Place, kind: Kind, node: &Node<'_>) {
        let class = if node.is_null() { Class::NullVsAbsent } else { Class::Value };
        self.report_only(place, kind, class, node);
    }

    /// The place of an array's item.
    pub(super) fn place(&mut self, array: Place, position: usize) -> Place {
        self.places.push((array, position));
        self.places.len() - 1
    }

    fn positions(&self, mut place: Place) -> Vec<usize> {
        let mut positions = Vec::new();
        while place != 0 {
            let Some((parent, position)) = self.places.get(place) else { break };
            positions.push(*position);
            place = *parent;
        }
        positions.reverse();
        positions
    }
}

/// A pair of which a string was opened.
struct Opened<'n> {
    from: (&'n Node<'n>, Option<Node<'n>>),
    to: (&'n Node<'n>, Option<Node<'n>>),
    place: Place,
}

impl Opened<'_> {
    fn pair(&self) -> Pair<'_> {
        let from = self.from.1.as_ref().unwrap_or(self.from.0);
        let to = self.to.1.as_ref().unwrap_or(self.to.0);
        Pair { from, to, place: self.place, same: false, renamed: false }
    }
}

impl Pair<'_> {
    fn is_boolean(&self) -> bool {
        let boolean = |node: &Node<'_>| match node.value() {
            Value::Bool(_) | Value::Null => true,
            Value::Number(number) => matches!(*number, "0" | "1"),
            Value::String(_) | Value::Array(_) | Value::Object(_) => false,
        };
        boolean(self.from) && boolean(self.to)
    }
}
