//! What two other values have to do with each other.

use super::Sides;
use super::spelling::Spelling;
use crate::compare::{self, Kind};

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
/// The farthest that a time zone is from UTC, and the smallest step between two.
const ZONES: (i128, i128) = (14 * HOUR, 15 * MINUTE);
/// Most digits of a number that is looked at for rounding.
const DIGITS: usize = 15;

pub(super) fn hint(kind: Kind, sides: &Sides<'_>) -> Option<String> {
    match kind {
        Kind::Changed => instants(sides).or_else(|| numbers(sides)).or_else(|| cut_off(sides)),
        Kind::Renamed => renamed(sides),
        Kind::Status
        | Kind::Header
        | Kind::Added
        | Kind::Removed
        | Kind::TypeChanged
        | Kind::Moved
        | Kind::Body => None,
    }
}

/// Instants spelled alike that are apart by whole minutes.
fn instants(sides: &Sides<'_>) -> Option<String> {
    let (from, to) = sides.texts()?;
    if Spelling::of(&from)? != Spelling::of(&to)? {
        return None;
    }
    let apart = compare::instant(&to)? - compare::instant(&from)?;
    let (late, size) = (if apart > 0 { "later" } else { "earlier" }, apart.abs());
    if size == 0 || size % MINUTE != 0 {
        return None;
    }
    let (hours, minutes) = (size / HOUR, size % HOUR / MINUTE);
    let told = match (hours, minutes) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    let is_zone = size <= ZONES.0 && size % ZONES.1 == 0;
    let cause = if is_zone { ": a time zone applied twice or not at all?" } else { "" };
    Some(format!("{} is {told} {late}{cause}", sides.names.to))
}

fn numbers(sides: &Sides<'_>) -> Option<String> {
    let (from, to) = sides.whole()?;
    let name = &sides.names.to;
    if let (Ok(left), Ok(right)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let apart = i128::from(right) - i128::from(left);
        let more = if apart > 0 { "more" } else { "less" };
        return (apart != 0).then(|| format!("{} {more} in {name}", apart.abs()));
    }
    let (fine, coarse) = (decimals(from)?, decimals(to)?);
    let rounds = |long: &str, short: &str, digits: usize| {
        long.parse::<f64>().is_ok_and(|long| format!("{long:.digits$}") == short)
    };
    if coarse < fine && rounds(from, to, coarse) {
        Some(format!("rounded in {name} to {}", digits(coarse)))
    } else if fine < coarse && rounds(to, from, fine) {
        Some(format!("rounded in {} to {}", sides.names.from, digits(fine)))
    } else {
        None
    }
}

/// The decimals of a number that is written plainly.
fn decimals(number: &str) -> Option<usize> {
    let plain = number.strip_prefix('-').unwrap_or(number);
    let is_plain =
        plain.len() <= DIGITS + 1 && plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_plain && number.parse::<f64>().is_ok())
        .then(|| plain.split_once('.').map_or(0, |(_, decimals)| decimals.len()))
}

fn digits(decimals: usize) -> String {
    match decimals {
        0 => "a whole number".to_owned(),
        1 => "1 decimal".to_owned(),
        more => format!("{more} decimals"),
    }
}

/// A text that is the beginning of the other one.
fn cut_off(sides: &Sides<'_>) -> Option<String> {
    let (from, to) = sides.texts()?;
    // Numbers and other JSON begin alike by chance.
    let is_text = |value: Option<&str>| {
        value.is_some_and(|value| {
            value.starts_with('"') || serde_json::from_str::<serde_json::Value>(value).is_err()
        })
    };
    if !is_text(sides.from) || !is_text(sides.to) {
        return None;
    }
    let (shorter, whose) =
        if from.len() < to.len() { (&from, &sides.names.from) } else { (&to, &sides.names.to) };
    if !(from.starts_with(&*to) || to.starts_with(&*from)) {
        return None;
    }
    match shorter.chars().count() {
        0 => Some(format!("empty in {whose}")),
        1 => Some(format!("cut off in {whose} after 1 character")),
        count => Some(format!("cut off in {whose} after {count} characters")),
    }
}

/// Two names of one member.
fn renamed(sides: &Sides<'_>) -> Option<String> {
    const EMPTY: &str = " (empty)";
    let (from, to) = sides.whole()?;
    let (old, new) = (from.strip_suffix(EMPTY).unwrap_or(from), to.strip_suffix(EMPTY).unwrap_or(to));
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let names = if plain(old) == plain(new) {
        format!("one name, spelled `{old}` and `{new}`")
    } else if compare::is_one_name(old, new) {
        let (one, many) = if old.len() < new.len() { (old, new) } else { (new, old) };
        format!("`{many}` is the plural of `{one}`")
    } else {
        "under another name, as its values show".to_owned()
    };
    let empty = sides.only(old != from, new != to);
    // Values of which one is empty are not the same.
    match (empty, compare::is_one_name(old, new)) {
        (Some((name, _)), true) => Some(format!("{names}, and is empty in {name}")),
        (Some((name, _)), false) => Some(format!("another name, and empty in {name}")),
        (None, _) => Some(names),
    }
}
