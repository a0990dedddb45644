//! Source columns to target columns: what each kind of column becomes, what is kept besides, and what is said of it.

use serde_json::{Map, Value, json};

use super::cell::{Cell, hex};
use super::json::{self, Document};
use super::layout::TargetRow;
use super::row::{Digest, Row, Table};
use super::timestamp;

/// A target row in the making.
pub(super) struct Mapping<'a> {
    source: &'a Row,
    target: TargetRow,
    /// Cells that their columns do not hold exactly.
    kept: Map<String, Value>,
    /// What a typed column says otherwise than the source did.
    repairs: Vec<String>,
}

/// A target row, and what had to be repaired for it.
pub(super) struct Mapped {
    pub(super) target: TargetRow,
    pub(super) repairs: Vec<String>,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(table: Table, source: &'a Row) -> Self {
        Self { source, target: TargetRow::new(table), kept: Map::new(), repairs: Vec::new() }
    }

    /// Sets a target column.
    pub(super) fn set(&mut self, column: &str, value: Option<String>) {
        self.target.set(column, value);
    }

    pub(super) fn set_flag(&mut self, column: &str, value: Option<bool>) {
        self.set(column, value.map(|value| if value { "t" } else { "f" }.to_owned()));
    }

    /// Says that a column is stored otherwise than it was.
    pub(super) fn repaired(&mut self, column: &str, how: &str) {
        self.repairs.push(format!("{column} {how}"));
    }

    /// Keeps the exact cell of a source column in `extra`.
    pub(super) fn keep(&mut self, column: &str) {
        self.kept.insert(column.to_owned(), self.source.cell(column).exact());
    }

    pub(super) fn cell(&self, column: &str) -> &'a Cell {
        self.source.cell(column)
    }

    /// A column's text; one that PostgreSQL cannot hold as it is is also kept exactly.
    pub(super) fn read_text(&mut self, column: &str) -> Option<String> {
        let cell = self.source.cell(column);
        if *cell != Cell::Null && cell.clean_text().is_none() {
            self.keep(column);
            self.repaired(column, "is not plain text, kept as it is");
        }
        cell.plain()
    }

    /// A column's whole number; anything but an integer is also kept exactly.
    pub(super) fn read_number(&mut self, column: &str) -> Option<i64> {
        let cell = self.source.cell(column);
        if !matches!(cell, Cell::Null | Cell::Integer(_)) {
            self.keep(column);
            self.repaired(column, "is not a whole number of 64 bits, kept as it is");
        }
        cell.whole()
    }

    /// Copies text.
    pub(super) fn text(&mut self, from: &str, to: &str) {
        let text = self.read_text(from);
        self.set(to, text);
    }

    /// Copies a whole number of 64 bits.
    pub(super) fn number(&mut self, from: &str, to: &str) {
        let number = self.read_number(from);
        self.set(to, number.map(|number| number.to_string()));
    }

    /// Copies a flag; anything but NULL, 0 and 1 is also kept exactly.
    pub(super) fn flag(&mut self, column: &str) {
        let cell = self.source.cell(column);
        if !matches!(cell, Cell::Null | Cell::Integer(0 | 1)) {
            self.keep(column);
            self.repaired(column, "is not 0 or 1, kept as it is");
        }
        self.set_flag(column, cell.whole().map(|number| number != 0));
    }

    /// Copies a timestamp: typed, what it was when spelt so, and the spelling.
    pub(super) fn timestamp(&mut self, column: &str) {
        let text = self.read_text(column);
        let typed = text.as_deref().and_then(timestamp::typed);
        if typed.is_none() && text.as_deref().is_some_and(|text| !text.trim().is_empty()) {
            self.repaired(column, "denotes no instant, kept as text");
        }
        self.set(&format!("{column}_of"), typed.clone());
        self.set(column, typed);
        self.set(&format!("{column}_text"), text);
    }

    /// Copies a JSON text to `{to}_json`, `{to}_of` and `{to}_text`; what is no JSON is spelling alone.
    pub(super) fn json(&mut self, from: &str, to: &str) -> Option<Document> {
        let (text, document) = self.read_json(from);
        let typed = text.as_deref().zip(document.as_ref()).map(|(text, document)| document.typed(text));
        self.set(&format!("{to}_of"), typed.clone());
        self.set(&format!("{to}_json"), typed);
        self.set(&format!("{to}_text"), text);
        document
    }

    /// A column's text and the JSON it is.
    pub(super) fn read_json(&mut self, column: &str) -> (Option<String>, Option<Document>) {
        let text = self.read_text(column);
        let document = text.as_deref().and_then(json::read);
        if document.is_none() && text.as_deref().is_some_and(|text| !text.trim().is_empty()) {
            self.repaired(column, "is not readable as JSON, kept as text");
        }
        for repair in document.iter().flat_map(|document| &document.repairs) {
            self.repaired(column, repair);
        }
        (text, document)
    }

    /// The target row, with `extra` for what no column holds.
    pub(super) fn finish(mut self, digest: &Digest, known: &[&str]) -> Mapped {
        let unknown = self.source.unknown(known);
        let mut extra = Map::new();
        if !self.kept.is_empty() {
            extra.insert("cells".to_owned(), Value::Object(self.kept));
        }
        if !unknown.is_empty() {
            extra.insert("columns".to_owned(), Value::Object(unknown));
        }
        if !self.repairs.is_empty() {
            extra.insert("repairs".to_owned(), json!(self.repairs));
        }
        self.target.set("extra", (!extra.is_empty()).then(|| Value::Object(extra).to_string()));
        self.target.set("agreed", Some(format!("\\x{}", hex(&digest.0))));
        Mapped { target: self.target, repairs: self.repairs }
    }
}
