//! What a verification found, as text, JSON, Markdown and JUnit.

mod junit;
mod markdown;
mod text;

use serde::Serialize;

use super::settle::{Candidate, What};
use super::{LISTED, Options};
use crate::migrate::escaped;
use crate::migrate::row::Table;

/// Characters of a value that are shown.
const SHOWN: usize = 200;

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// For a ticket or a wiki
    Markdown,
    /// For a build server
    Junit,
}

/// What a verification found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verification {
    /// Whether every check passed.
    pub clean: bool,
    /// Everything that was checked.
    pub checks: Vec<Check>,
    /// Rows, table by table.
    pub tables: Vec<TableCounts>,
    /// Records with hand-curated subcategories.
    pub subcategories: Subcategories,
    /// Cells that should be JSON and are not; both stores keep them as text.
    pub invalid_json: u64,
    /// Summaries in SQLite whose record is not there.
    pub sqlite_orphans: u64,
    /// Rows that are not the same on both sides: the first of each sort and table.
    pub differences: Vec<Difference>,
    /// Rows in quarantine: the first of them.
    pub quarantined: Vec<Note>,
    /// Rows of which a typed column says otherwise than SQLite, which is kept beside it: the first of them.
    pub repaired: Vec<Note>,
    #[serde(skip)]
    pub(super) constraints: Vec<Check>,
}

/// One thing that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Rows of one table. `sqlite` is the sum of equal, differing, missing, quarantined and tombstoned.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableCounts {
    /// Name in SQLite.
    pub table: String,
    /// Rows in SQLite.
    pub sqlite: u64,
    /// Rows in PostgreSQL.
    pub postgres: u64,
    /// Rows that are the same, cell by cell.
    pub equal: u64,
    /// Rows on both sides that are not.
    pub differing: u64,
    /// Rows in SQLite only, unaccounted for.
    pub missing: u64,
    /// Rows in PostgreSQL only.
    pub additional: u64,
    /// Rows in SQLite that PostgreSQL could not store.
    pub quarantined: u64,
    /// Rows of this table, from any source, that wait in quarantine.
    pub unresolved: u64,
    /// Rows in SQLite whose record was deleted from PostgreSQL.
    pub tombstoned: u64,
    /// Rows stored with repairs.
    pub repaired: u64,
}

/// Records with at least one subcategory.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Subcategories {
    /// In SQLite, but for deleted records.
    pub sqlite: u64,
    /// In PostgreSQL.
    pub postgres: u64,
    /// Records that have some in SQLite and none in PostgreSQL.
    pub lost: u64,
}

/// A row that is not the same on both sides.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// Name in SQLite.
    pub table: String,
    /// Its key.
    pub row: String,
    /// `missing` (in SQLite only), `additional` (in PostgreSQL only) or `differing`.
    pub what: &'static str,
    /// The columns that differ.
    pub changes: Vec<Change>,
}

/// One column of a row.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Name in SQLite.
    pub column: String,
    /// The cell as exact JSON, shortened.
    pub sqlite: String,
    /// What PostgreSQL's row stands for, likewise.
    pub postgres: String,
}

/// Something to know about a row.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    /// Name in SQLite.
    pub table: String,
    /// Its key, or what quarantine calls it.
    pub row: String,
    /// What.
    pub why: String,
}

// === impl Verification ===

impl Verification {
    /// As `format` has it, with a line end.
    #[must_use]
    pub fn print(&self, format: Format) -> String {
        match format {
            Format::Text => text::print(self),
            Format::Json => serde_json::json!(self).to_string() + "\n",
            Format::Markdown => markdown::print(self),
            Format::Junit => junit::print(self),
        }
    }

    /// Takes back what the first reading said of a row that is the same by now.
    pub(super) fn settled(&mut self, candidate: &Candidate, gone: bool) {
        if candidate.lost {
            self.subcategories.lost = self.subcategories.lost.saturating_sub(1);
            self.subcategories.postgres += 1;
        }
        let Some(counts) = self.counts(candidate.table) else { return };
        counts.take(candidate.what);
        if !gone {
            counts.equal += 1;
            counts.sqlite += 1;
            counts.postgres += 1;
        }
    }

    pub(super) fn confirmed(&mut self, candidate: &Candidate, what: What, changes: Vec<Change>) {
        if let Some(counts) = self.counts(candidate.table) {
            counts.take(candidate.what);
            *counts.place(what) += 1;
            counts.sqlite += u64::from(what != What::Additional);
            counts.postgres += u64::from(what != What::Missing);
        }
        self.differences.push(Difference::new(candidate, what, changes));
    }

    /// How many rows of a table wait in quarantine.
    pub(super) fn open_in_quarantine(&mut self, table: Table, rows: u64) {
        if let Some(counts) = self.counts(table) {
            counts.unresolved = rows;
        }
    }

    /// A row whose record was deleted after the first reading.
    pub(super) fn deleted(&mut self, candidate: &Candidate) {
        if let Some(counts) = self.counts(candidate.table) {
            counts.take(candidate.what);
            counts.tombstoned += 1;
            counts.sqlite += 1;
        }
    }

    /// A row that has no key and is not in quarantine either.
    pub(super) fn unaccounted(&mut self, table: Table, name: &str) {
        if self.differences.len() < LISTED {
            let row = name.to_owned();
            let table = table.name().to_owned();
            self.differences.push(Difference { table, row, what: "missing", changes: Vec::new() });
        }
    }

    fn counts(&mut self, table: Table) -> Option<&mut TableCounts> {
        self.tables.iter_mut().find(|counts| counts.table == table.name())
    }

    /// Draws up the list of checks.
    pub(super) fn judge(&mut self, options: &Options) {
        let mut checks: Vec<Check> = self.tables.iter().flat_map(TableCounts::checks).collect();
        let Subcategories { sqlite, postgres, lost } = self.subcategories;
        checks.push(Check {
            name: "curated subcategories are preserved".to_owned(),
            ok: lost == 0,
            detail: format!("{sqlite} records in SQLite, {postgres} in PostgreSQL, {lost} lost"),
        });
        if let Some(expected) = options.expect_subcategories {
            checks.push(Check {
                name: format!("at least {expected} records have curated subcategories"),
                ok: sqlite.min(postgres) >= expected,
                detail: format!("{sqlite} in SQLite, {postgres} in PostgreSQL"),
            });
        }
        checks.append(&mut self.constraints);
        self.clean = checks.iter().all(|check| check.ok);
        self.checks = checks;
    }

    /// Rows that are counted and not listed.
    fn unlisted(&self) -> u64 {
        let wrong = self.tables.iter().map(|t| t.missing + t.additional + t.differing).sum::<u64>();
        wrong.saturating_sub(self.differences.len() as u64)
    }
}

// === impl TableCounts ===

impl TableCounts {
    fn place(&mut self, what: What) -> &mut u64 {
        match what {
            What::Missing => &mut self.missing,
            What::Additional => &mut self.additional,
            What::Differing => &mut self.differing,
        }
    }

    /// Takes a row out again that the first reading found.
    fn take(&mut self, what: What) {
        let place = self.place(what);
        *place = place.saturating_sub(1);
        self.sqlite = self.sqlite.saturating_sub(u64::from(what != What::Additional));
        self.postgres = self.postgres.saturating_sub(u64::from(what != What::Missing));
    }

    fn checks(&self) -> Vec<Check> {
        let Self { table, sqlite, postgres, equal, .. } = self;
        let check = |what: &str, count: u64, detail: String| Check {
            name: format!("{table}: {what}"),
            ok: count == 0,
            detail,
        };
        let mut accounted = format!("{sqlite} rows in SQLite, {postgres} in PostgreSQL, {equal} equal");
        for (count, what) in
            [(self.quarantined, "quarantined"), (self.tombstoned, "deleted"), (self.repaired, "repaired")]
        {
            if count > 0 {
                accounted += &format!(", {count} {what}");
            }
        }
        vec![
            check("no row is missing", self.missing, format!("{} missing; {accounted}", self.missing)),
            check("no row is additional", self.additional, format!("{} additional", self.additional)),
            check("no row differs", self.differing, format!("{} differ", self.differing)),
            check(
                "no row waits in quarantine",
                self.unresolved,
                format!(
                    "{} of SQLite's rows in quarantine, {} rows unresolved there",
                    self.quarantined, self.unresolved
                ),
            ),
        ]
    }
}

// === impl Note ===

impl Note {
    pub(super) fn new(table: Table, row: &str, why: &str) -> Self {
        Self { table: table.name().to_owned(), row: row.to_owned(), why: why.to_owned() }
    }
}

/// A value as it is shown: control characters escaped, the end cut off where it is long.
pub(super) fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => {
            format!(
                "{}… ({} characters)",
                escaped(value.get(..end).unwrap_or_default()),
                value.chars().count()
            )
        }
        None => escaped(value),
    }
}
