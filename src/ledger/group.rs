//! Findings of one cause together: one renamed column shows on every route that answers with it.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::finding::{Finding, OVERFLOW, State};
use crate::compare::{Class, Kind, Severity};

/// Findings that plainly have one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// What happened, as in "`has_audio` changed".
    pub name: String,
    /// That of the worst finding.
    pub severity: Severity,
    /// How many of the findings are open.
    pub open: usize,
    /// How many of them are accepted.
    pub accepted: usize,
    /// How many of them are resolved.
    pub resolved: usize,
    /// Differences of all of them.
    pub count: u64,
    /// Their routes, each once, sorted.
    pub routes: Vec<String>,
    /// The findings; never empty.
    pub findings: Vec<Finding>,
}

/// What findings of one cause have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A member or header of this name.
    Name { transient: bool, kind: Kind, class: Class, name: String },
    /// An element, with the same values.
    Element { transient: bool, kind: Kind, class: Class, path: String, sentence: String },
    /// Like no other.
    Alone(usize),
}

/// Groups findings by cause: open ones first, then by severity, frequency and id; so are the findings of each.
#[must_use]
pub fn by_cause(mut findings: Vec<Finding>) -> Vec<Cause> {
    findings.sort_by_cached_key(|finding| rank(finding.state, finding.severity, finding.count, &finding.id));
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut causes: Vec<Cause> = Vec::new();
    for (position, finding) in findings.into_iter().enumerate() {
        let place = *places.entry(key(&finding, position)).or_insert(causes.len());
        match causes.get_mut(place) {
            Some(cause) => cause.take(finding),
            None => causes.push(Cause::of(finding)),
        }
    }
    causes.sort_by_cached_key(|cause| {
        let id = cause.findings.iter().map(|finding| finding.id.as_str()).min().unwrap_or_default();
        rank(cause.state(), cause.severity, cause.count, id)
    });
    causes
}

// === impl Cause ===

impl Cause {
    fn of(finding: Finding) -> Self {
        let mut cause = Self {
            name: name(&finding),
            severity: finding.severity,
            open: 0,
            accepted: 0,
            resolved: 0,
            count: 0,
            routes: Vec::new(),
            findings: Vec::new(),
        };
        cause.take(finding);
        cause
    }

    /// The state that says most: open if any finding is.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.open, self.accepted) {
            (1.., _) => State::Open,
            (0, 1..) => State::Accepted,
            (0, 0) => State::Resolved,
        }
    }

    fn take(&mut self, finding: Finding) {
        self.severity = self.severity.min(finding.severity);
        match finding.state {
            State::Open => self.open += 1,
            State::Accepted => self.accepted += 1,
            State::Resolved => self.resolved += 1,
        }
        self.count = self.count.saturating_add(finding.count);
        if let Err(place) = self.routes.binary_search(&finding.route) {
            self.routes.insert(place, finding.route.clone());
        }
        self.findings.push(finding);
    }
}

fn rank(state: State, severity: Severity, count: u64, id: &str) -> (State, Severity, Reverse<u64>, String) {
    (state, severity, Reverse(count), id.to_owned())
}

fn key(finding: &Finding, position: usize) -> Key {
    let Finding { transient, kind, class, .. } = *finding;
    if finding.path == OVERFLOW {
        return Key::Alone(position);
    }
    match kind {
        // That two routes answer 500 says nothing of why.
        Kind::Status | Kind::Body => Key::Alone(position),
        Kind::Header => Key::Name { transient, kind, class, name: finding.path.to_ascii_lowercase() },
        Kind::Added | Kind::Removed | Kind::Changed | Kind::TypeChanged | Kind::Renamed | Kind::Moved => {
            match (member(&finding.path), is_element(&finding.path)) {
                // An item of a list is not the list.
                (Some(name), _) if is_item(&finding.path) => {
                    Key::Name { transient, kind, class, name: format!("{name}/*") }
                }
                (Some(name), _) => Key::Name { transient, kind, class, name },
                (None, true) => {
                    let sentence = finding.sentence.replacen(&format!(", on {}", finding.route), "", 1);
                    Key::Element { transient, kind, class, path: finding.path.clone(), sentence }
                }
                (None, false) => Key::Alone(position),
            }
        }
    }
}

/// The member that a JSON path ends in, where it ends in one; what stands in a page inside it goes with it.
fn member(path: &str) -> Option<String> {
    let (pointer, rest) = match path.split_once('!') {
        Some((member, element)) if path.starts_with('/') => (member, Some(element)),
        // Of JSON in a script the data is what it is assigned to, and a member of it.
        Some((_, data)) => (data, None),
        None if path.starts_with('/') => (path, None),
        None => return None,
    };
    let leaf = pointer.rsplit('/').find(|step| *step != "*" && !step.is_empty())?;
    let name = leaf.replace("~1", "/").replace("~0", "~");
    Some(rest.map_or(name.clone(), |element| format!("{name}!{element}")))
}

/// True for an item of an array.
fn is_item(path: &str) -> bool {
    path.ends_with("/*")
}

/// True for a place in a page or in a text of lines.
fn is_element(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && !path.starts_with("line[")
}

fn name(finding: &Finding) -> String {
    if finding.path == OVERFLOW {
        return "more findings than are kept".to_owned();
    }
    let place = match finding.kind {
        Kind::Header => finding.path.to_ascii_lowercase(),
        Kind::Status
        | Kind::Added
        | Kind::Removed
        | Kind::Changed
        | Kind::TypeChanged
        | Kind::Renamed
        | Kind::Moved
        | Kind::Body => member(&finding.path).unwrap_or_else(|| finding.path.clone()),
    };
    let place = match (place.is_empty(), is_item(&finding.path) && finding.kind != Kind::Moved) {
        (true, _) => "the answer".to_owned(),
        (false, true) => format!("an item of `{place}`"),
        (false, false) => format!("`{place}`"),
    };
    let what = match finding.kind {
        Kind::Status => return "another status".to_owned(),
        Kind::Header => return format!("header {place} differs"),
        Kind::Body => return format!("{place} cannot be compared"),
        Kind::Added => "was added",
        Kind::Removed => "is missing",
        Kind::Changed => "changed",
        Kind::TypeChanged => "has another type",
        Kind::Renamed => "was renamed",
        Kind::Moved => "comes in another order",
    };
    let why = match finding.class {
        Class::Value | Class::Order => String::new(),
        Class::TimestampFormat
        | Class::NumberFormat
        | Class::NumberAsString
        | Class::BooleanEncoding
        | Class::JsonInString
        | Class::NullVsAbsent
        | Class::EmptyVsNull
        | Class::UnicodeForm
        | Class::Whitespace
        | Class::Case
        | Class::HtmlEntity
        | Class::TieOrder
        | Class::NullOrder
        | Class::Collation => format!(" ({})", finding.class.as_str().replace('_', " ")),
    };
    let momentary = if finding.transient { ", for a moment" } else { "" };
    format!("{place} {what}{why}{momentary}")
}

#[cfg(test)]
mod tests;
