//! JSON numbers, compared exactly by their text.

use std::hash::{Hash as _, Hasher as _};

use super::hash;

/// Longest exponent that is computed with; beyond it numbers are compared as written.
const EXPONENT_DIGITS: usize = 15;

/// How two numbers relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same value, both integers as written or both not.
    Equal,
    /// The same value, exactly one written with a fraction or an exponent.
    Spelling,
    /// Other values.
    Unequal,
}

/// A value as sign, digits without zeros at either end, and the power of ten of the last digit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

/// Relates two numbers, each a JSON number as written.
pub(super) fn relate(from: &str, to: &str) -> Relation {
    if from == to {
        return Relation::Equal;
    }
    let (integers, alike) = (is_integer(from) && is_integer(to), is_integer(from) == is_integer(to));
    let equal = match (Decimal::parse(from), Decimal::parse(to)) {
        // Integers have one spelling each, but for -0.
        _ if integers => is_zero(from) && is_zero(to),
        (Some(from), Some(to)) => from == to,
        _ => false,
    };
    match (equal, alike) {
        (true, true) => Relation::Equal,
        (true, false) => Relation::Spelling,
        (false, _) => Relation::Unequal,
    }
}

/// A hash by which [`Relation::Equal`] numbers are alike.
pub(super) fn hash(text: &str) -> u64 {
    if is_integer(text) {
        return hash::text(if is_zero(text) { "0" } else { text });
    }
    let Some(decimal) = Decimal::parse(text) else { return hash::text(text) };
    let mut state = hash::hasher();
    decimal.hash(&mut state);
    state.finish()
}

/// True if the text is a JSON number by its grammar.
pub(super) fn is_number(text: &str) -> bool {
    // Most are short integers.
    if let [b'1'..=b'9', rest @ ..] = text.as_bytes()
        && rest.iter().all(u8::is_ascii_digit)
    {
        return true;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        if exponent.len() > EXPONENT_DIGITS {
            return None;
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        Some(Self { negative, digits, exponent })
    }
}

fn is_integer(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn is_zero(text: &str) -> bool {
    text == "0" || text == "-0"
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_relate_exactly() {
        for (from, to, relation) in [
            ("9007199254740993", "9007199254740992", Relation::Unequal),
            ("12345678901234567890123", "12345678901234567890124", Relation::Unequal),
            ("0.1", "0.1000000000000000055", Relation::Unequal),
            ("10", "10.0", Relation::Spelling),
            ("1e2", "100", Relation::Spelling),
            ("0", "0.0", Relation::Spelling),
            ("1.50", "1.5", Relation::Equal),
            ("1.0", "1.00", Relation::Equal),
            ("1e2", "100.0", Relation::Equal),
            ("1E+2", "1e2", Relation::Equal),
            ("-0", "0", Relation::Equal),
            ("-0.0", "0.0", Relation::Equal),
            ("-1.5", "1.5", Relation::Unequal),
            ("1e999999999999999999999", "1e999999999999999999998", Relation::Unequal),
            ("10", "100", Relation::Unequal),
        ] {
            assert_eq!(relate(from, to), relation, "{from} {to}");
            assert_eq!(relate(to, from), relation, "{to} {from}");
            assert_eq!(hash(from) == hash(to), relation == Relation::Equal, "{from} {to}");
        }
    }

    #[test]
    fn the_grammar_is_that_of_json() {
        for number in ["0", "-0", "10", "1.5", "1e5", "1E-5", "-1.5e+10"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["", "-", "01", ".5", "1.", "1e", "+1", "0x1", "NaN", "1 ", "1e+", "--1", "１"] {
            assert!(!is_number(other), "{other}");
        }
    }
}
