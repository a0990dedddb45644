//! SQLite cells, owned; as JSON that loses nothing; and JSON text as jsonb can hold it.

use std::fmt::Write as _;

use rusqlite::types::ValueRef;
use serde_json::{Map, Number, Value, json};

use crate::dashboard::cells::without_nul;

/// Digits and powers of ten within what PostgreSQL's numeric holds, with a margin.
const MAX_NUMBER_DIGITS: usize = 10_000;
const MAX_EXPONENT: i64 = 10_000;

/// One cell as stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// Bytes said to be text; not checked to be UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => Self::Text(bytes.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }
}

impl Cell {
    /// As rusqlite lends it.
    pub(super) fn borrowed(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// The text, if it is one that PostgreSQL can hold as it is.
    pub(super) fn clean_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Blob(_) => None,
        }
    }

    /// Bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
        }
    }

    /// As JSON that says type and value exactly: text and integers as they are, all else as an object of one member
    /// (`real`, `text_hex`, `blob_hex`).
    pub(super) fn exact(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::from(*number),
            Self::Real(number) => json!({ "real": number.to_string() }),
            Self::Text(bytes) => match self.clean_text() {
                Some(text) => Value::from(text),
                None => json!({ "text_hex": hex(bytes) }),
            },
            Self::Blob(bytes) => json!({ "blob_hex": hex(bytes) }),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A JSON text as jsonb can hold it, `None` if it is not JSON. NULs become U+FFFD and numbers beyond range text; the
/// spelling is kept elsewhere.
pub(super) fn jsonb(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().map(storable)
}

fn storable(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        Value::Number(number) => storable_number(number),
        Value::String(text) => Value::String(without_nul(&text)),
        Value::Array(items) => items.into_iter().map(storable).collect(),
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| (without_nul(&name), storable(value));
            Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
        }
    }
}

fn storable_number(number: Number) -> Value {
    let text = number.to_string();
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let in_range = exponent.parse::<i64>().is_ok_and(|power| power.abs() <= MAX_EXPONENT);
    if in_range && digits.len() <= MAX_NUMBER_DIGITS { Value::Number(number) } else { Value::String(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_exactly_what_it_was() {
        assert_eq!(Cell::Text(b"a\0".to_vec()).exact(), json!({ "text_hex": "6100" }));
        assert_eq!(Cell::Blob(vec![255]).exact(), json!({ "blob_hex": "ff" }));
        assert_eq!(Cell::Real(f64::INFINITY).exact(), json!({ "real": "inf" }));
        assert_eq!(Cell::Text("é".into()).exact(), json!("é"));
    }

    #[test]
    fn json_becomes_what_jsonb_can_hold() {
        assert_eq!(
            jsonb(r#"["a\u0000", 1e99999, 1.50]"#).unwrap().to_string(),
            "[\"a\u{fffd}\",\"1e+99999\",1.50]"
        );
        assert_eq!(jsonb(r#""\ud800""#), None);
        assert_eq!(jsonb("[1"), None);
    }
}
