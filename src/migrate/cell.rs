//! SQLite cells, owned, and as JSON that loses nothing.

use std::fmt::Write as _;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde_json::{Value, json};

use crate::dashboard::cells::{plain, whole};

/// One cell as stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
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

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into_bytes()))
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Integer)
    }
}

/// Written as it is, whatever the column says.
impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.borrowed()))
    }
}

impl Cell {
    /// As rusqlite lends it.
    pub(crate) fn borrowed(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// The text, if it is one that PostgreSQL can hold as it is.
    pub(crate) fn clean_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Blob(_) => None,
        }
    }

    /// As the API reads text.
    pub(crate) fn plain(&self) -> Option<String> {
        plain(self.borrowed())
    }

    /// As the API reads a number.
    pub(crate) fn whole(&self) -> Option<i64> {
        whole(self.borrowed())
    }

    /// Bytes it takes, about.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(bytes) | Self::Blob(bytes) => bytes.len(),
        }
    }

    /// As JSON that says type and value exactly: text and integers as they are, all else as an object of one member
    /// (`real`, `text_hex`, `blob_hex`).
    pub(crate) fn exact(&self) -> Value {
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

/// What [`Cell::exact`] said; `None` for anything else.
pub(crate) fn from_exact(value: &Value) -> Option<Cell> {
    match value {
        Value::Null => Some(Cell::Null),
        Value::Number(number) => number.as_i64().map(Cell::Integer),
        Value::String(text) => Some(Cell::Text(text.as_bytes().to_owned())),
        Value::Object(members) => {
            let (kind, value) = members.iter().next().filter(|_| members.len() == 1)?;
            let value = value.as_str()?;
            match kind.as_str() {
                "real" => value.parse().ok().map(Cell::Real),
                "text_hex" => unhex(value).map(Cell::Text),
                "blob_hex" => unhex(value).map(Cell::Blob),
                _ => None,
            }
        }
        Value::Bool(_) | Value::Array(_) => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    if !digits.remainder().is_empty() {
        return None;
    }
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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
    fn what_it_was_can_be_read_back() {
        for cell in [
            Cell::Null,
            Cell::Integer(i64::MIN),
            Cell::Real(-0.0),
            Cell::Real(f64::NEG_INFINITY),
            Cell::Real(0.1 + 0.2),
            Cell::Text(vec![0xc3, 0x28, 0]),
            Cell::Text("😀".into()),
            Cell::Blob(vec![0, 255]),
        ] {
            let text = cell.exact().to_string();
            let read = from_exact(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{cell:?}"), "{text}");
        }
        assert_eq!(from_exact(&json!({ "blob_hex": "f" })), None);
        assert_eq!(from_exact(&json!([1])), None);
    }
}
