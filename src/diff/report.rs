//! What differs between two documents, grouped by cause, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::compare::{Class, Comparison, Difference, Kind, Limit, Severity};
use crate::ledger::sentence::{sentence, shown};
use crate::side::Pair;

/// Places printed for each group, as text.
const PLACES: usize = 5;
/// Longest value printed, in characters, as text.
const VALUE: usize = 120;

/// What differs.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether nothing differs but what the rules treat as equal.
    pub equal: bool,
    /// Differences seen, listed or not.
    pub differences: u64,
    /// How many of them the rules treat as equal.
    pub treated_as_equal: u64,
    /// The limit at which the comparison stopped; null if it was complete.
    pub limited: Option<Limit>,
    /// One for each path, kind and class; most severe first.
    pub findings: Vec<Group>,
}

/// All differences of one cause.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Index-free path.
    pub path: String,
    /// What kind of difference.
    pub kind: Kind,
    /// Why.
    pub class: Class,
    /// How much it matters.
    pub severity: Severity,
    /// Whether a rule treats it as equal.
    pub treated_as_equal: bool,
    /// What it means, in plain words.
    pub sentence: String,
    /// Where, with both values; of a frequent cause the first ones only.
    pub places: Vec<Place>,
}

/// One place.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// Path with positions.
    pub at: String,
    /// Value in A, shortened.
    pub from: Option<String>,
    /// Value in B, shortened.
    pub to: Option<String>,
}

/// Whether text is printed in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI sequences.
    Ansi,
    /// Plain.
    Plain,
}

/// What a piece of text is, to choose its colour.
#[derive(Debug, Clone, Copy)]
enum Ink {
    Severe,
    Mild,
    Old,
    New,
    Faint,
    Good,
}

// === impl Report ===

impl Report {
    /// Groups what a comparison found.
    #[must_use]
    pub fn of(comparison: &Comparison) -> Self {
        let mut findings: Vec<Group> = Vec::new();
        for difference in &comparison.differences {
            match findings.iter_mut().find(|group| group.holds(difference)) {
                Some(group) => group.places.push(Place::of(difference)),
                None => findings.push(Group::of(difference)),
            }
        }
        // Stable: within a severity, groups stay in the order of the document.
        findings.sort_by_key(|group| (group.treated_as_equal, group.severity));
        Report {
            equal: comparison.is_match() || comparison.is_accepted(),
            differences: comparison.total,
            treated_as_equal: comparison.total - comparison.unaccepted,
            limited: comparison.limited,
            findings,
        }
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self, names: &Pair<String>, colour: Colour) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text, names, colour);
        text
    }

    fn write(&self, text: &mut String, names: &Pair<String>, colour: Colour) -> std::fmt::Result {
        if !self.findings.is_empty() {
            writeln!(text, "{}", colour.paint(Ink::Old, &format!("A {}", printable(&names.from))))?;
            writeln!(text, "{}\n", colour.paint(Ink::New, &format!("B {}", printable(&names.to))))?;
        }
        for group in &self.findings {
            group.write(text, colour)?;
        }
        if let Some(limit) = self.limited {
            let why = format!("not compared to the end: the limit of {limit} was reached");
            writeln!(text, "{}", colour.paint(Ink::Severe, &why))?;
        }
        writeln!(text, "{}", self.summary(colour))
    }

    fn summary(&self, colour: Colour) -> String {
        let equal = match self.treated_as_equal {
            0 => String::new(),
            count => format!("; {count} treated as equal"),
        };
        let count = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        if self.differences == 0 && self.limited.is_none() {
            return colour.paint(Ink::Good, "equal");
        }
        format!(
            "{} in {}{equal}",
            count(self.differences, "difference"),
            count(self.findings.len() as u64, "finding")
        )
    }
}

// === impl Group ===

impl Group {
    fn of(difference: &Difference) -> Self {
        let names = Pair { from: "A".to_owned(), to: "B".to_owned() };
        Group {
            path: difference.path.clone(),
            kind: difference.kind,
            class: difference.class,
            severity: difference.severity(),
            treated_as_equal: difference.accepted_by_rule,
            sentence: sentence(None, &names, difference),
            places: vec![Place::of(difference)],
        }
    }

    fn holds(&self, difference: &Difference) -> bool {
        (self.kind, self.class, self.treated_as_equal)
            == (difference.kind, difference.class, difference.accepted_by_rule)
            && self.path == difference.path
    }

    fn write(&self, text: &mut String, colour: Colour) -> std::fmt::Result {
        let ink = if self.treated_as_equal { Ink::Faint } else { Ink::of(self.severity) };
        let path = if self.path.is_empty() { "(whole document)".to_owned() } else { printable(&self.path) };
        // The class says why; `value` says no more than the kind.
        let class = if self.class == Class::Value { String::new() } else { format!(" {}", self.class) };
        let head = format!("{}: {}{class} {path}", self.severity, self.kind);
        let equal = if self.treated_as_equal { "  (treated as equal)" } else { "" };
        writeln!(text, "{}{equal}", colour.paint(ink, &head))?;
        writeln!(text, "  {}", printable(&self.sentence))?;
        for place in self.places.iter().take(PLACES) {
            place.write(text, colour)?;
        }
        if self.places.len() > PLACES {
            let more = format!("    … and {} more places", self.places.len() - PLACES);
            writeln!(text, "{}", colour.paint(Ink::Faint, &more))?;
        }
        writeln!(text)
    }
}

// === impl Place ===

impl Place {
    fn of(difference: &Difference) -> Self {
        let value = |value: Option<&str>| value.map(|value| shown(difference, value));
        Place {
            at: difference.at.clone(),
            from: value(difference.from.as_deref()),
            to: value(difference.to.as_deref()),
        }
    }

    fn write(&self, text: &mut String, colour: Colour) -> std::fmt::Result {
        writeln!(text, "    {}", colour.paint(Ink::Faint, &printable(&self.at)))?;
        for (mark, ink, value) in [('-', Ink::Old, &self.from), ('+', Ink::New, &self.to)] {
            if let Some(value) = value {
                writeln!(text, "    {}", colour.paint(ink, &format!("{mark} {}", shortened(value))))?;
            }
        }
        Ok(())
    }
}

// === impl Colour ===

impl Colour {
    fn paint(self, ink: Ink, text: &str) -> String {
        match self {
            Colour::Plain => text.to_owned(),
            Colour::Ansi => format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code()),
        }
    }
}

// === impl Ink ===

impl Ink {
    fn of(severity: Severity) -> Self {
        match severity {
            Severity::Breaking | Severity::Value => Ink::Severe,
            Severity::Order | Severity::Representation | Severity::Addition => Ink::Mild,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Ink::Severe => "1;31",
            Ink::Mild => "1;33",
            Ink::Old => "31",
            Ink::New | Ink::Good => "32",
            Ink::Faint => "2",
        }
    }
}

/// Text from outside, fit for a terminal: no control character reaches it.
fn printable(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            kept.extend(character.escape_default());
        } else {
            kept.push(character);
        }
    }
    kept
}

fn shortened(value: &str) -> String {
    let start: String = value.chars().take(VALUE).collect();
    let more = if start.len() < value.len() { "…" } else { "" };
    format!("{}{more}", printable(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\nb\u{9b}é"), "a\\u{1b}[2J\\nb\\u{9b}é");
    }

    #[test]
    fn a_long_value_is_shortened_between_characters() {
        assert_eq!(shortened(&"é".repeat(VALUE + 1)), format!("{}…", "é".repeat(VALUE)));
        assert_eq!(shortened("é"), "é");
    }
}
