//! One row of the library, in the form in which both stores are compared: as the SQLite row it is or stands for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::cell::Cell;

/// A table of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// The records.
    Content,
    /// The one summary of older libraries.
    Legacy,
    /// Summaries by variant and revision.
    Variants,
}

/// Column names of rows that were read together, in lower case.
#[derive(Debug)]
pub(crate) struct Columns {
    names: Vec<String>,
    /// Positions in the order of the names.
    sorted: Vec<usize>,
    positions: HashMap<String, usize>,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    columns: Arc<Columns>,
    cells: Vec<Cell>,
    /// Cells of columns that are not among `columns`.
    more: Vec<(String, Cell)>,
}

/// What makes a row the same row in both stores; ordered as both order it, by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// `id`, `content_id` or `video_id`.
    pub(crate) record: String,
    /// Empty but for variants.
    pub(crate) variant: String,
    /// 0 but for variants.
    pub(crate) revision: i32,
}

/// SHA-256 of a row: equal digests are equal rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

static NULL: Cell = Cell::Null;

// === impl Table ===

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Content, Self::Legacy, Self::Variants];

    /// Its name in SQLite.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Legacy => "content_summaries",
            Self::Variants => "summary_variants",
        }
    }

    /// The columns that make its key.
    pub(crate) fn key_columns(self) -> &'static [&'static str] {
        match self {
            Self::Content => &["id"],
            Self::Legacy => &["content_id"],
            Self::Variants => &["video_id", "variant_type", "revision"],
        }
    }

    /// A column that numbers rows and says nothing else: two libraries may number the same summaries differently.
    pub(crate) fn number_column(self) -> Option<&'static str> {
        match self {
            Self::Content => None,
            Self::Legacy | Self::Variants => Some("id"),
        }
    }
}

// === impl Columns ===

impl Columns {
    pub(crate) fn new(names: Vec<String>) -> Arc<Self> {
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_by(|left, right| names.get(*left).cmp(&names.get(*right)));
        let positions = names.iter().cloned().enumerate().map(|(position, name)| (name, position)).collect();
        Arc::new(Self { names, sorted, positions })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }
}

// === impl Row ===

impl Row {
    /// A row of cells in the order of `columns`.
    pub(crate) fn new(columns: Arc<Columns>, cells: Vec<Cell>) -> Self {
        Self { columns, cells, more: Vec::new() }
    }

    /// Adds a cell of a column that is not among the row's.
    pub(crate) fn add(&mut self, name: String, cell: Cell) {
        self.more.push((name, cell));
        self.more.sort_by(|left, right| left.0.cmp(&right.0));
    }

    /// A cell; NULL if the row has no such column.
    pub(crate) fn cell(&self, name: &str) -> &Cell {
        if let Some(position) = self.columns.positions.get(name) {
            return self.cells.get(*position).unwrap_or(&NULL);
        }
        self.more.iter().find(|(column, _)| column == name).map_or(&NULL, |(_, cell)| cell)
    }

    /// Replaces a cell of one of the row's columns.
    pub(crate) fn set(&mut self, name: &str, cell: Cell) {
        let position = self.columns.positions.get(name);
        if let Some(place) = position.and_then(|position| self.cells.get_mut(*position)) {
            *place = cell;
        }
    }

    /// A row without any cell.
    pub(crate) fn blank() -> Self {
        Self::new(Columns::new(Vec::new()), Vec::new())
    }

    /// Sets a cell, also of a column that the row does not have yet.
    pub(crate) fn put(&mut self, name: &str, cell: Cell) {
        if self.columns.has(name) {
            self.set(name, cell);
        } else if let Some((_, place)) = self.more.iter_mut().find(|(column, _)| column == name) {
            *place = cell;
        } else {
            self.add(name.to_owned(), cell);
        }
    }

    /// All cells that are not NULL, by name.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &Cell)> {
        let known = self.columns.sorted.iter().filter_map(|position| {
            Some((self.columns.names.get(*position)?.as_str(), self.cells.get(*position)?))
        });
        let more = self.more.iter().map(|(name, cell)| (name.as_str(), cell));
        Merged { left: known.peekable(), right: more.peekable() }.filter(|(_, cell)| **cell != Cell::Null)
    }

    /// The cells of columns that are not among `known`, as JSON that loses nothing; NULLs left out.
    pub(crate) fn unknown(&self, known: &[&str]) -> Map<String, Value> {
        let cells = self.cells().filter(|(name, _)| !known.contains(name));
        cells.map(|(name, cell)| (name.replace('\0', "\u{fffd}"), cell.exact())).collect()
    }

    /// The whole row as JSON that loses nothing; NULLs left out.
    pub(crate) fn exact(&self) -> Value {
        Value::Object(self.unknown(&[]))
    }

    /// Bytes it takes, about.
    pub(crate) fn size(&self) -> usize {
        self.cells.iter().map(Cell::size).sum::<usize>()
            + self.more.iter().map(|(_, c)| c.size()).sum::<usize>()
    }

    /// What it is known by, or why it cannot be known.
    pub(crate) fn key(&self, table: Table) -> Result<Key, &'static str> {
        let text = |column: &str| self.cell(column).clean_text().map(str::to_owned);
        let record = |column| text(column).ok_or(());
        match table {
            Table::Content => {
                record("id").map(Key::of).map_err(|()| "its id is not text that PostgreSQL can hold")
            }
            Table::Legacy => record("content_id").map(Key::of).map_err(|()| "its content_id names no record"),
            Table::Variants => {
                let record = record("video_id").map_err(|()| "its video_id names no record")?;
                let variant = text("variant_type").ok_or("its variant_type is not plain text")?;
                let revision = self.cell("revision").whole().and_then(|number| i32::try_from(number).ok());
                let revision = revision.filter(|number| *number > 0);
                let revision = revision.ok_or("its revision is not a positive number of 32 bits")?;
                Ok(Key { record, variant, revision })
            }
        }
    }

    /// Its digest: names, types and bytes of all cells that are not NULL, but for the column that only numbers.
    pub(crate) fn digest(&self, table: Table) -> Digest {
        let mut hash = Sha256::new();
        let mut part = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for (name, cell) in self.cells() {
            if Some(name) == table.number_column() {
                continue;
            }
            part(b'n', name.as_bytes());
            match cell {
                Cell::Null => {}
                Cell::Integer(number) => part(b'i', &number.to_le_bytes()),
                Cell::Real(number) => part(b'r', &number.to_bits().to_le_bytes()),
                Cell::Text(bytes) => part(b't', bytes),
                Cell::Blob(bytes) => part(b'b', bytes),
            }
        }
        Digest(hash.finalize().into())
    }
}

impl Digest {
    /// A digest as it is stored.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Key {
    /// The key of a row that only its record names.
    pub(crate) fn of(record: String) -> Self {
        Self { record, variant: String::new(), revision: 0 }
    }
}

/// As messages name the row.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.record)?;
        if self.revision > 0 { write!(f, " {} {}", self.variant, self.revision) } else { Ok(()) }
    }
}

/// Two sorted series as one.
struct Merged<L: Iterator, R: Iterator> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
}

impl<'a, L, R> Iterator for Merged<L, R>
where
    L: Iterator<Item = (&'a str, &'a Cell)>,
    R: Iterator<Item = (&'a str, &'a Cell)>,
{
    type Item = (&'a str, &'a Cell);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.left.peek(), self.right.peek()) {
            (Some((left, _)), Some((right, _))) if right < left => self.right.next(),
            (Some(_), _) => self.left.next(),
            (None, _) => self.right.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, Cell)]) -> Row {
        let names = cells.iter().map(|(name, _)| (*name).to_owned()).collect();
        Row::new(Columns::new(names), cells.iter().map(|(_, cell)| cell.clone()).collect())
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn columns_that_are_null_or_absent_or_elsewhere_make_the_same_row() {
        let whole =
            row(&[("id", text("a")), ("title", text("t")), ("odd", Cell::Integer(1)), ("zero", Cell::Null)]);
        let mut parts = row(&[("title", text("t")), ("id", text("a"))]);
        parts.add("odd".into(), Cell::Integer(1));
        assert_eq!(whole.digest(Table::Content), parts.digest(Table::Content));
        assert_eq!(whole.exact(), parts.exact());
    }

    #[test]
    fn name_type_and_bytes_all_count() {
        let base = row(&[("id", text("a")), ("title", text("1"))]).digest(Table::Content);
        for other in [
            row(&[("id", text("a")), ("title", Cell::Integer(1))]),
            row(&[("id", text("a")), ("title", Cell::Blob(b"1".to_vec()))]),
            row(&[("id", text("a")), ("summary", text("1"))]),
            row(&[("id", text("a1")), ("title", text(""))]),
        ] {
            assert_ne!(base, other.digest(Table::Content), "{other:?}");
        }
    }

    #[test]
    fn the_number_of_a_summary_does_not_count() {
        let summary = |id| row(&[("id", Cell::Integer(id)), ("content_id", text("a"))]);
        assert_eq!(summary(1).digest(Table::Legacy), summary(2).digest(Table::Legacy));
        assert_ne!(summary(1).digest(Table::Content), summary(2).digest(Table::Content));
    }
}
