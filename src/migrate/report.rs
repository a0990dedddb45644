//! What a copy did, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::row::Table;

/// Rows of one sort that a report lists; the rest is counted.
const LISTED: usize = 100;

/// What a copy did.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `to_postgres` or `to_sqlite`.
    pub direction: Direction,
    /// Whether everything was undone in the end.
    pub dry_run: bool,
    /// One entry a table, in the order copied.
    pub tables: Vec<TableReport>,
}

/// Which way a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// SQLite to PostgreSQL.
    ToPostgres,
    /// PostgreSQL to SQLite.
    ToSqlite,
}

/// What a copy did to one table; `read` is the sum of the counts below it, but for `deleted` and `repaired`.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// Name of the SQLite table.
    pub table: String,
    /// Rows read.
    pub read: u64,
    /// Rows that were not there.
    pub inserted: u64,
    /// Rows that were there and took the source's values.
    pub updated: u64,
    /// Rows that were there and equal.
    pub unchanged: u64,
    /// Rows that stay as they are in the target, since they are the newer ones.
    pub kept: u64,
    /// Rows that stay as they are until someone decides.
    pub conflicts: u64,
    /// Rows of records that were deleted, and stay so.
    pub tombstoned: u64,
    /// Rows that could not be stored.
    pub quarantined: u64,
    /// Rows that could not be stored, and that someone has dealt with.
    pub resolved: u64,
    /// Rows removed from the target because their record was deleted.
    pub deleted: u64,
    /// Rows of which a typed column says otherwise than the source, which is kept beside it.
    pub repaired: u64,
    /// The first rows that want attention, or stayed.
    pub listed: Vec<Listed>,
}

/// One row of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its key.
    pub row: String,
    /// `conflict`, `quarantined` or `kept`.
    pub what: &'static str,
    /// Why.
    pub why: String,
}

// === impl Report ===

impl Report {
    /// Whether nothing is left for someone to decide.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.tables.iter().all(|table| table.quarantined == 0 && table.conflicts == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "{table}")?;
        }
        for (table, listed) in
            self.tables.iter().flat_map(|table| table.listed.iter().map(move |row| (table, row)))
        {
            writeln!(
                f,
                "  {} {} {}: {}",
                listed.what,
                table.table,
                escaped(&listed.row),
                escaped(&listed.why)
            )?;
        }
        let untold = self.tables.iter().map(TableReport::untold).sum::<u64>();
        if untold > 0 {
            writeln!(f, "  … and {untold} more")?;
        }
        if self.dry_run {
            writeln!(f, "Dry run: nothing of this was kept.")?;
        }
        Ok(())
    }
}

/// Text from a store, with what could move a terminal's cursor escaped.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

// === impl TableReport ===

impl TableReport {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table: table.name().to_owned(),
            read: 0,
            inserted: 0,
            updated: 0,
            unchanged: 0,
            kept: 0,
            conflicts: 0,
            tombstoned: 0,
            quarantined: 0,
            resolved: 0,
            deleted: 0,
            repaired: 0,
            listed: Vec::new(),
        }
    }

    /// Counts what another connection did of the same table.
    pub(super) fn add(&mut self, other: Self) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.kept += other.kept;
        self.conflicts += other.conflicts;
        self.tombstoned += other.tombstoned;
        self.quarantined += other.quarantined;
        self.resolved += other.resolved;
        self.deleted += other.deleted;
        self.repaired += other.repaired;
        for row in other.listed {
            self.list(&row.row, row.what, &row.why);
        }
    }

    pub(super) fn conflict(&mut self, row: &impl fmt::Display, why: &str) {
        self.conflicts += 1;
        self.list(row, "conflict", why);
    }

    pub(super) fn quarantine(&mut self, row: &impl fmt::Display, why: &str) {
        self.quarantined += 1;
        self.list(row, "quarantined", why);
    }

    pub(super) fn keep(&mut self, row: &impl fmt::Display, why: &str) {
        self.kept += 1;
        self.list(row, "kept", why);
    }

    fn list(&mut self, row: &impl fmt::Display, what: &'static str, why: &str) {
        // So that what merely stayed does not crowd out what must be decided.
        if self.listed.iter().filter(|listed| listed.what == what).count() < LISTED {
            self.listed.push(Listed { row: row.to_string(), what, why: why.to_owned() });
        }
    }

    fn untold(&self) -> u64 {
        (self.conflicts + self.quarantined + self.kept).saturating_sub(self.listed.len() as u64)
    }
}

/// One line; counts that are usually 0 are told only where they are not.
impl fmt::Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, read, inserted, updated, unchanged, quarantined, .. } = self;
        write!(f, "{table}: {read} read, {inserted} inserted, {updated} updated, {unchanged} unchanged")?;
        for (count, what) in [
            (self.kept, "kept as the target has them"),
            (self.conflicts, "in conflict"),
            (self.tombstoned, "deleted and not copied"),
            (self.deleted, "deleted here as there"),
            (self.repaired, "repaired"),
            (self.resolved, "in quarantine and resolved"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, ", {quarantined} quarantined")
    }
}
