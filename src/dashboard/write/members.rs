//! Members of a JSON payload, which may arrive as strings, each read as what it should be; an error names the member.

use serde_json::{Map, Value};

use super::Refusal;

/// An object whose members are read; `within` is what it is called in messages.
pub(super) struct Members<'a> {
    members: &'a Map<String, Value>,
    within: String,
}

/// A JSON document and how it was spelt.
#[derive(Debug, Clone)]
pub(super) struct Spelt {
    pub(super) value: Value,
    pub(super) text: String,
}

/// Characters of a text that an index of PostgreSQL has to hold.
const INDEXED_CHARS: usize = 200;

// === impl Members ===

impl<'a> Members<'a> {
    pub(super) fn new(members: &'a Map<String, Value>, within: String) -> Self {
        Self { members, within }
    }

    /// The member, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn refuse(&self, name: &str, should: &str) -> Refusal {
        Refusal::bad(&format!("{}{name} {should}", self.within))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                Err(self.refuse(name, "should be a string"))
            }
        }
    }

    /// Text that is short and has no NUL, as what names something is.
    pub(super) fn name(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| is_name(text));
        let should = "should be a string of 1 to 200 characters without NUL";
        text.map(|text| Some(text.to_owned())).ok_or_else(|| self.refuse(name, should))
    }

    /// Text of bounded length, empty or not.
    pub(super) fn short(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.text(name)? {
            Some(text) if text.chars().count() > INDEXED_CHARS => {
                Err(self.refuse(name, "should have at most 200 characters"))
            }
            other => Ok(other),
        }
    }

    /// A whole number, or text of one; a fraction is cut off.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => whole(&number.to_string()),
            Some(Value::String(text)) => whole(text.trim()),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        number.map(Some).ok_or_else(|| self.refuse(name, "should be a number"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let flag = match self.get(name) {
            None => return Ok(None),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::Number(number)) => truth(&number.to_string()),
            Some(Value::String(text)) => truth(text.trim()),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => None,
        };
        flag.map(Some).ok_or_else(|| self.refuse(name, "should be true or false"))
    }

    /// A document for which `is` holds, as it is or as the text of one; blank text is none.
    pub(super) fn document(
        &self,
        name: &str,
        is: fn(&Value) -> bool,
        should: &str,
    ) -> Result<Option<Spelt>, Refusal> {
        let spelt = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Null) => return Ok(None),
                Ok(value) => Some(Spelt { value, text: text.clone() }),
                Err(_) => None,
            },
            Some(value) => Some(Spelt { value: value.clone(), text: value.to_string() }),
        };
        spelt.filter(|spelt| is(&spelt.value)).map(Some).ok_or_else(|| self.refuse(name, should))
    }
}

/// Whether text can name a record or a variant.
pub(super) fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= INDEXED_CHARS && !text.contains('\0')
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// A number cut off to a whole one of 64 bits.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| number.abs() < 9e15)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a fraction is meant to be cut off, and the range is checked"
        )]
        let whole = number as i64;
        Some(whole)
    })
}
