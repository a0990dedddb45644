//! JSON text as jsonb can hold it, and what had to be changed for that. The spelling is kept beside it.

use serde_json::{Map, Number, Value};

use crate::dashboard::cells::without_nul;

/// Digits, as written and as a power of ten makes more of them, within what PostgreSQL's numeric holds.
const MAX_NUMBER_DIGITS: i64 = 10_000;

/// A JSON text, read.
pub(super) struct Document {
    /// The value as jsonb can hold it.
    pub(super) value: Value,
    /// What jsonb cannot hold and `value` says otherwise.
    pub(super) repairs: Vec<&'static str>,
}

/// Reads a JSON text; `None` if it is none.
pub(super) fn read(text: &str) -> Option<Document> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut scan = Scan::default();
    let value = scan.storable(value);
    // serde_json keeps the last of repeated members, as jsonb does: only counting tells that there were more.
    if colons(text) != scan.members {
        scan.note("repeats a member; the last one counts");
    }
    Some(Document { value, repairs: scan.repairs })
}

/// Colons outside strings: one a member.
fn colons(text: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

#[derive(Default)]
struct Scan {
    members: usize,
    repairs: Vec<&'static str>,
}

// === impl Document ===

impl Document {
    /// What to hand to PostgreSQL: the text itself where it can be.
    pub(super) fn typed(&self, text: &str) -> String {
        if self.repairs.is_empty() { text.to_owned() } else { self.value.to_string() }
    }
}

// === impl Scan ===

impl Scan {
    fn note(&mut self, repair: &'static str) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    fn storable(&mut self, value: Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value,
            Value::Number(number) => self.number(number),
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.storable(item)).collect(),
            Value::Object(members) => {
                self.members += members.len();
                let member = |(name, value)| (self.text(name), self.storable(value));
                Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
            }
        }
    }

    fn text(&mut self, text: String) -> String {
        if !text.contains('\0') {
            return text;
        }
        self.note("holds NUL, stored as U+FFFD");
        without_nul(&text)
    }

    fn number(&mut self, number: Number) -> Value {
        let text = number.to_string();
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let digits = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let in_range =
            exponent.parse::<i64>().is_ok_and(|power| power.saturating_abs() <= MAX_NUMBER_DIGITS - digits);
        if in_range {
            return Value::Number(number);
        }
        self.note("holds a number beyond range, stored as text");
        Value::String(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_cannot_hold_is_changed_and_said() {
        let read = read(r#"["a\u0000", 1e99999, 1.50, {"a:":1,"a:":2}]"#).unwrap();
        assert_eq!(read.value.to_string(), "[\"a\u{fffd}\",\"1e+99999\",1.50,{\"a:\":2}]");
        assert_eq!(
            read.repairs,
            [
                "holds NUL, stored as U+FFFD",
                "holds a number beyond range, stored as text",
                "repeats a member; the last one counts"
            ]
        );
    }

    #[test]
    fn what_it_can_hold_stays_as_it_is() {
        let text = r#" {"a\":" : [1.0, {"b": "c:d\\"}]} "#;
        let read = read(text).unwrap();
        assert!(read.repairs.is_empty(), "{:?}", read.repairs);
        assert_eq!(read.typed(text), text);
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "[1", r#""\ud800""#, "{'a':1}", "NaN"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
