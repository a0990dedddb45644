//! Why two values differ: decided by reading both, never by the look of one.

mod entity;
mod timestamp;

use bumpalo::Bump;
use unicode_normalization::UnicodeNormalization as _;

use super::difference::{Class, Kind};
use super::json::{Node, Value, parse};
use super::number::{self, Relation};

/// Depth to which JSON inside a string is read.
const NESTED_DEPTH: usize = 64;

/// The difference of two JSON values that are not both objects or both arrays; None if they are the same.
///
/// `booleans` tells whether all values at this path are booleans, 0 or 1: only then is 1 another spelling of true.
pub(super) fn values(
    from: &Node<'_>,
    to: &Node<'_>,
    booleans: impl FnOnce() -> bool,
) -> Option<(Kind, Class)> {
    use Value::{Array, Bool, Null, Number, Object, String};
    let type_changed = |is: bool, class| Some((Kind::TypeChanged, if is { class } else { Class::Value }));
    match (from.value(), to.value()) {
        (Null, Null) => None,
        (Bool(from), Bool(to)) => (from != to).then_some((Kind::Changed, Class::Value)),
        (Number(from), Number(to)) => match number::relate(from, to) {
            Relation::Equal => None,
            Relation::Spelling => Some((Kind::Changed, Class::NumberFormat)),
            Relation::Unequal => Some((Kind::Changed, Class::Value)),
        },
        (String(from), String(to)) => (from != to).then(|| (Kind::Changed, texts(from, to))),
        (Bool(truth), Number(number)) | (Number(number), Bool(truth)) => {
            let encodes = *number == if *truth { "1" } else { "0" };
            type_changed(encodes && booleans(), Class::BooleanEncoding)
        }
        (Number(number), String(text)) | (String(text), Number(number)) => {
            if number::is_number(text) && number::relate(number, text) != Relation::Unequal {
                return Some((Kind::TypeChanged, Class::NumberAsString));
            }
            type_changed(timestamp::is_epoch_of(number, text), Class::TimestampFormat)
        }
        (String(text), Array(_)) => type_changed(holds_json(text, true), Class::JsonInString),
        (Array(_), String(text)) => type_changed(holds_json(text, true), Class::JsonInString),
        (String(text), Object(_)) => type_changed(holds_json(text, false), Class::JsonInString),
        (Object(_), String(text)) => type_changed(holds_json(text, false), Class::JsonInString),
        (Null, other) | (other, Null) => type_changed(is_empty(other), Class::EmptyVsNull),
        (Bool(_) | Number(_) | Array(_) | Object(_), _) | (String(_), Bool(_)) => {
            type_changed(false, Class::Value)
        }
    }
}

/// Why two different texts differ.
pub(super) fn texts(from: &str, to: &str) -> Class {
    if timestamp::are_one_instant(from, to) {
        Class::TimestampFormat
    } else if are_one_text(from, to) {
        Class::UnicodeForm
    } else if from.split_whitespace().eq(to.split_whitespace()) {
        Class::Whitespace
    } else if from.to_lowercase() == to.to_lowercase() {
        Class::Case
    } else if entity::decode(from) == to || entity::decode(to) == from {
        Class::HtmlEntity
    } else if hold_one_document(from, to) {
        Class::JsonInString
    } else {
        Class::Value
    }
}

/// True if the texts are canonically equivalent: the same characters, composed or decomposed.
fn are_one_text(from: &str, to: &str) -> bool {
    // ASCII is in every form already.
    !(from.is_ascii() && to.is_ascii()) && from.nfc().eq(to.nfc())
}

/// The document in a string that holds an array or an object.
pub(super) fn json_in<'a>(text: &'a str, arena: &'a Bump) -> Option<Node<'a>> {
    text.trim_start().starts_with(['[', '{']).then(|| parse(text, NESTED_DEPTH, arena).ok()).flatten()
}

/// A text that sorts as its instant, where it is a timestamp.
pub(crate) fn instant(text: &str) -> Option<i128> {
    timestamp::instant(text)
}

/// True if the text is `plain` with HTML entities.
pub(crate) fn is_escaped(text: &str, plain: &str) -> bool {
    text != plain && entity::decode(text) == plain
}

fn holds_json(text: &str, array: bool) -> bool {
    json_in(text, &Bump::new()).is_some_and(|node| matches!(node.value(), Value::Array(_)) == array)
}

fn hold_one_document(from: &str, to: &str) -> bool {
    let arena = Bump::new();
    matches!((json_in(from, &arena), json_in(to, &arena)), (Some(from), Some(to)) if from.same(&to))
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(from: &str, to: &str, booleans: bool) -> Option<(Kind, Class)> {
        let arena = Bump::new();
        values(&parse(from, 9, &arena).unwrap(), &parse(to, 9, &arena).unwrap(), || booleans)
    }

    #[test]
    fn values_have_their_class_in_both_directions() {
        use Class::*;
        use Kind::{Changed, TypeChanged};
        for (from, to, expected) in [
            ("10", "10.0", Some((Changed, NumberFormat))),
            ("10", "10.5", Some((Changed, Value))),
            ("1.0", "1.00", None),
            ("9007199254740993", "9007199254740992", Some((Changed, Value))),
            ("10", r#""10""#, Some((TypeChanged, NumberAsString))),
            ("10", r#""10.0""#, Some((TypeChanged, NumberAsString))),
            ("10", r#""11""#, Some((TypeChanged, Value))),
            ("10", r#"" 10""#, Some((TypeChanged, Value))),
            ("10", r#""ten""#, Some((TypeChanged, Value))),
            (r#"{"a":1}"#, r#""{\"a\": 1}""#, Some((TypeChanged, JsonInString))),
            (r#"{"a":1}"#, r#""[1]""#, Some((TypeChanged, Value))),
            ("[1]", r#""[1]""#, Some((TypeChanged, JsonInString))),
            ("[1]", r#""[1""#, Some((TypeChanged, Value))),
            (r#""{\"a\": 1}""#, r#""{\"a\":1}""#, Some((Changed, JsonInString))),
            ("null", r#""""#, Some((TypeChanged, EmptyVsNull))),
            ("null", "[]", Some((TypeChanged, EmptyVsNull))),
            ("null", "{}", Some((TypeChanged, EmptyVsNull))),
            ("null", r#"" ""#, Some((TypeChanged, Value))),
            ("null", "0", Some((TypeChanged, Value))),
            ("null", "false", Some((TypeChanged, Value))),
            (r#""a b""#, r#""a  b ""#, Some((Changed, Whitespace))),
            (r#""a b""#, r#""ab""#, Some((Changed, Value))),
            ("\"caf\u{e9}\"", "\"cafe\u{301}\"", Some((Changed, UnicodeForm))),
            ("\"\u{1e69}\"", "\"s\u{307}\u{323}\"", Some((Changed, UnicodeForm))),
            ("\"caf\u{e9}\"", "\"cafe\"", Some((Changed, Value))),
            // Compatible, but other characters.
            ("\"\u{fb01}\"", "\"fi\"", Some((Changed, Value))),
            ("\"\u{2126}\"", "\"\u{3a9}\"", Some((Changed, UnicodeForm))),
            (r#""Ab""#, r#""aB""#, Some((Changed, Case))),
            (r#""Ab""#, r#""ab ""#, Some((Changed, Value))),
            (r#""a &amp; b""#, r#""a & b""#, Some((Changed, HtmlEntity))),
            (r#""a &lt; b""#, r#""a > b""#, Some((Changed, Value))),
            (r#""2025-09-17T06:34:00""#, r#""2025-09-17 06:34:00+00:00""#, Some((Changed, TimestampFormat))),
            (r#""2025-09-17T06:34:00Z""#, r#""2025-09-17T06:34:01Z""#, Some((Changed, Value))),
            ("1758090840", r#""2025-09-17T06:34:00Z""#, Some((TypeChanged, TimestampFormat))),
            ("1758090841", r#""2025-09-17T06:34:00Z""#, Some((TypeChanged, Value))),
            ("true", r#""true""#, Some((TypeChanged, Value))),
            ("true", "false", Some((Changed, Value))),
            ("[]", "{}", Some((TypeChanged, Value))),
        ] {
            assert_eq!(classes(from, to, true), expected, "{from} {to}");
            assert_eq!(classes(to, from, true), expected, "{to} {from}");
        }
    }

    #[test]
    fn one_is_true_only_among_booleans() {
        assert_eq!(classes("1", "true", true), Some((Kind::TypeChanged, Class::BooleanEncoding)));
        assert_eq!(classes("1", "true", false), Some((Kind::TypeChanged, Class::Value)));
        assert_eq!(classes("0", "true", true), Some((Kind::TypeChanged, Class::Value)));
        assert_eq!(classes("1.0", "true", true), Some((Kind::TypeChanged, Class::Value)));
    }
}
