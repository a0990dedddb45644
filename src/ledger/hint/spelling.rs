//! How timestamps are spelled.

use super::{Sides, text};
use crate::compare;

/// The parts of a timestamp in which its spellings differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spelling<'a> {
    separator: char,
    /// Digits of the fraction; none if it has none.
    fraction: Option<usize>,
    has_seconds: bool,
    /// What stands behind the time.
    offset: &'a str,
}

/// The same instant, and how each side writes it.
pub(super) fn hint(sides: &Sides<'_>) -> Option<String> {
    let (from, to) = sides.whole()?;
    let (from, to) = (text(from)?, text(to)?);
    let told = match (Spelling::of(&from), Spelling::of(&to)) {
        (Some(left), Some(right)) => left.told(&right, sides),
        // The other one is a number.
        (Some(_), None) => sides.of_both("writes", "a date and time", &epoch(&to)?).into_iter().collect(),
        (None, Some(_)) => sides.of_both("writes", &epoch(&from)?, "a date and time").into_iter().collect(),
        (None, None) => Vec::new(),
    };
    (!told.is_empty()).then(|| format!("the same instant; {}", told.join("; ")))
}

/// What a number counts since 1970: today's seconds have ten digits.
fn epoch(number: &str) -> Option<String> {
    let unit = match number.trim_start_matches('-').len() {
        ..12 => "seconds",
        12..15 => "milliseconds",
        15.. => "microseconds",
    };
    let is_number = number.parse::<i64>().is_ok();
    is_number.then(|| format!("{unit} since 1970"))
}

// === impl Spelling ===

impl<'a> Spelling<'a> {
    /// That of a timestamp; None for other texts.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        compare::instant(text)?;
        let separator = text.get(10..)?.chars().next()?;
        let rest = text.get(11..)?;
        let end = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
        let (time, offset) = rest.split_at_checked(end)?;
        let fraction = time.split_once('.').map(|(_, digits)| digits.len());
        Some(Self { separator, fraction, has_seconds: time.len() > 5, offset: offset.trim() })
    }

    /// What the sides write otherwise.
    fn told(&self, other: &Spelling<'_>, sides: &Sides<'_>) -> Vec<String> {
        let each = |does, from: &str, to: &str| sides.of_both(does, from, to);
        let names = sides.names;
        let mut told = Vec::new();
        if self.offset != other.offset {
            let offset =
                |offset: &str| if offset.is_empty() { "no offset".to_owned() } else { offset.to_owned() };
            told.push(format!(
                "{} writes {}, {} writes {}",
                names.from,
                offset(self.offset),
                names.to,
                offset(other.offset)
            ));
        }
        told.extend(each(
            "separates date and time by",
            separated(self.separator),
            separated(other.separator),
        ));
        if self.has_seconds != other.has_seconds {
            let seconds = |has: bool| if has { "seconds" } else { "no seconds" };
            told.extend(each("writes", seconds(self.has_seconds), seconds(other.has_seconds)));
        } else {
            told.extend(each("writes", &precision(self.fraction), &precision(other.fraction)));
        }
        told
    }
}

fn separated(separator: char) -> &'static str {
    match separator {
        'T' => "T",
        't' => "t",
        _ => "a space",
    }
}

fn precision(fraction: Option<usize>) -> String {
    match fraction {
        None => "whole seconds".to_owned(),
        Some(3) => "milliseconds".to_owned(),
        Some(6) => "microseconds".to_owned(),
        Some(9) => "nanoseconds".to_owned(),
        Some(1) => "1 digit of a second's fraction".to_owned(),
        Some(digits) => format!("{digits} digits of a second's fraction"),
    }
}
