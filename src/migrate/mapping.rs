//! Source columns to target columns: what each kind of column becomes, and what is kept besides.

use serde_json::{Map, Value, json};

use super::cells::{Cell, jsonb};
use super::source::SourceRow;
use super::timestamp;
use crate::dashboard::cells::{plain, whole};

/// A source row with the target row made of it.
pub(super) struct Mapped {
    pub(super) source: SourceRow,
    /// Target columns by name.
    pub(super) values: Map<String, Value>,
}

/// A source row that no target row can be made of.
pub(super) struct Unmappable {
    pub(super) source: SourceRow,
    pub(super) reason: String,
}

/// A target row in the making.
pub(super) struct Mapping<'a> {
    source: &'a SourceRow,
    values: Map<String, Value>,
    /// Cells that their columns do not hold exactly.
    kept: Map<String, Value>,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(source: &'a SourceRow) -> Self {
        Self { source, values: Map::new(), kept: Map::new() }
    }

    /// Sets a target column.
    pub(super) fn set(&mut self, column: &str, value: impl Into<Value>) {
        self.values.insert(column.to_owned(), value.into());
    }

    /// Keeps the exact cell of a source column in `extra`.
    pub(super) fn keep(&mut self, column: &str) {
        self.kept.insert(column.to_owned(), self.source.cell(column).exact());
    }

    /// Whether a column's cell is stored as text.
    pub(super) fn is_text(&self, column: &str) -> bool {
        matches!(self.source.cell(column), Cell::Text(_))
    }

    /// A column's text; one that PostgreSQL cannot hold as it is is also kept exactly.
    pub(super) fn read_text(&mut self, column: &str) -> Option<String> {
        let cell = self.source.cell(column);
        if *cell != Cell::Null && cell.clean_text().is_none() {
            self.keep(column);
        }
        plain(cell.borrowed())
    }

    /// A column's whole number; anything but an integer is also kept exactly.
    pub(super) fn read_number(&mut self, column: &str) -> Option<i64> {
        let cell = self.source.cell(column);
        if !matches!(cell, Cell::Null | Cell::Integer(_)) {
            self.keep(column);
        }
        whole(cell.borrowed())
    }

    /// Copies text.
    pub(super) fn text(&mut self, from: &str, to: &str) {
        let text = self.read_text(from);
        self.set(to, text);
    }

    /// Copies a whole number of 64 bits.
    pub(super) fn number(&mut self, column: &str) {
        let number = self.read_number(column);
        self.set(column, number);
    }

    /// Copies a flag; anything but NULL, 0 and 1 is also kept exactly.
    pub(super) fn flag(&mut self, column: &str) {
        let number = self.read_number(column);
        if !matches!(self.source.cell(column), Cell::Null | Cell::Integer(0 | 1)) {
            self.keep(column);
        }
        self.set(column, number.map(|number| number != 0));
    }

    /// Copies a timestamp: typed, what it was when spelt so, and the spelling.
    pub(super) fn timestamp(&mut self, column: &str) {
        let text = self.read_text(column);
        let typed = text.as_deref().and_then(timestamp::typed);
        self.set(column, typed.clone());
        self.set(&format!("{column}_of"), typed);
        self.set(&format!("{column}_text"), text);
    }

    /// Copies a JSON text to `{to}_json`, `{to}_of` and `{to}_text`; what is no JSON is spelling alone.
    pub(super) fn json(&mut self, from: &str, to: &str) -> Option<Value> {
        let text = self.read_text(from);
        let typed = text.as_deref().and_then(jsonb);
        self.set(&format!("{to}_json"), typed.clone());
        self.set(&format!("{to}_of"), typed.clone());
        self.set(&format!("{to}_text"), text);
        typed
    }

    /// The target row, with `extra` for what no column holds.
    pub(super) fn finish(mut self, known: &[&str]) -> Map<String, Value> {
        let unknown = self.source.unknown(known);
        let mut extra = Map::new();
        if !self.kept.is_empty() {
            extra.insert("cells".to_owned(), Value::Object(self.kept));
        }
        if !unknown.is_empty() {
            extra.insert("columns".to_owned(), Value::Object(unknown));
        }
        let extra = if extra.is_empty() { Value::Null } else { json!(extra) };
        self.values.insert("extra".to_owned(), extra);
        self.values
    }
}
