//! Nasty libraries: every kind of cell and row that a real library may hold, or an older one that lacks its constraints.
//!
//! Each column has a pool of cells. A library walks every pool once, in an order that its seed decides, and draws at
//! random from then on: so a library of some 120 records has every kind, and another seed has other combinations. What
//! "every kind" means is asserted by `kinds`.

mod dump;
mod kinds;
mod pools;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use rusqlite::{Connection, Transaction, params_from_iter};

pub(crate) use self::dump::dump;
use self::pools::Cell;
use crate::both_stores::Library;

const PRODUCTION: &str = include_str!("../../src/library/tables.sql");
const TRIGGERS: &str = include_str!("../../src/library/triggers.sql");

pub(crate) const TABLES: [&str; 3] = ["content", "content_summaries", "summary_variants"];

/// What no version of the dashboard has: a name that needs quoting, a BLOB, mixed case, and no type at all, the only
/// column where SQLite leaves every cell as it came.
const UNKNOWN_COLUMNS: &str = r#"
    ALTER TABLE TABLE_NAME ADD COLUMN "Odd ""column"" name" TEXT;
    ALTER TABLE TABLE_NAME ADD COLUMN artwork BLOB;
    ALTER TABLE TABLE_NAME ADD COLUMN MixedCase INTEGER DEFAULT 7;
    ALTER TABLE TABLE_NAME ADD COLUMN untyped;"#;

/// Fewer records than this have no room for texts of a megabyte.
const ROWS_FOR_LARGE_TEXTS: u32 = 20;
const LARGE_TEXT_BYTES: usize = 1 << 20;

/// How the tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// As production has them, triggers included.
    Production,
    /// The same columns without any constraint or trigger: ids may be NULL or twice, revisions NULL or not positive.
    Loose,
}

/// A library of `rows` records with their summaries; the same arguments give the same library.
pub(crate) fn library(seed: u64, rows: u32, tables: Tables) -> Library {
    let library = Library::of(&[&tables.schema()]);
    let mut connection = Connection::open(&library.path).unwrap();
    // As Python opens it: orphans are possible.
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let transaction = connection.transaction().unwrap();
    Writer::new(&transaction, seed, tables).write(rows);
    if tables == Tables::Production {
        // They would correct rows as these are written.
        transaction.execute_batch(TRIGGERS).unwrap();
    }
    transaction.commit().unwrap();
    library
}

/// The cells of one column: each once, in random order, then any.
struct Walk {
    pool: Vec<Cell>,
    next: usize,
}

struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    tables: Tables,
    rng: Rng,
    columns: BTreeMap<&'static str, Vec<String>>,
    walks: BTreeMap<(&'static str, String), Walk>,
    /// What is unique in `summary_variants`, as text.
    taken: BTreeSet<String>,
    /// The highest `id` of a summary.
    last_id: i64,
}

// === impl Tables ===

impl Tables {
    fn schema(self) -> String {
        let mut schema = match self {
            Self::Production => PRODUCTION.to_owned(),
            Self::Loose => TABLES.map(without_constraints).concat(),
        };
        for table in TABLES {
            schema.push_str(&UNKNOWN_COLUMNS.replace("TABLE_NAME", table));
        }
        schema
    }
}

/// A production table with its columns' names, types and defaults alone.
fn without_constraints(table: &str) -> String {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(PRODUCTION).unwrap();
    let sql = "SELECT group_concat(name || ' ' || type || coalesce(' DEFAULT ' || dflt_value, ''), ', ')
               FROM (SELECT * FROM pragma_table_info(?1) ORDER BY cid)";
    let columns: String = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
    format!("CREATE TABLE {table} ({columns});\n")
}

// === impl Walk ===

impl Walk {
    fn new(mut pool: Vec<Cell>, rng: &mut Rng) -> Self {
        rng.shuffle(&mut pool);
        Self { pool, next: 0 }
    }

    fn draw(&mut self, rng: &mut Rng) -> Cell {
        let chosen = if self.next < self.pool.len() { self.next } else { rng.usize(0..self.pool.len()) };
        self.next += 1;
        self.pool[chosen].clone()
    }
}

// === impl Writer ===

impl<'a> Writer<'a> {
    fn new(transaction: &'a Transaction<'a>, seed: u64, tables: Tables) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (mut columns, mut walks) = (BTreeMap::new(), BTreeMap::new());
        for table in TABLES {
            let names = column_names(transaction, table);
            for name in &names {
                let mut pool = pools::of(name);
                if tables == Tables::Production && table == "summary_variants" {
                    pool.retain(|cell| production_takes(name, cell));
                }
                walks.insert((table, name.clone()), Walk::new(pool, &mut rng));
            }
            columns.insert(table, names);
        }
        Self { transaction, tables, rng, columns, walks, taken: BTreeSet::new(), last_id: 0 }
    }

    fn write(&mut self, rows: u32) {
        let records = records::records(&mut self.rng, rows, self.tables);
        let large = rows >= ROWS_FOR_LARGE_TEXTS;
        for (number, (id, video_id)) in records.iter().enumerate() {
            self.insert("content", vec![("id", id.clone()), ("video_id", video_id.clone())]);
            let kind = self.legacy(number, id, large && number == 2);
            self.variants(number, video_id, kind, large && number == 6);
        }
        if self.tables == Tables::Loose {
            self.whole_rows_twice();
        }
    }

    /// The legacy summary of a record, of another that there is not, or of none; returns its type.
    fn legacy(&mut self, number: usize, id: &Cell, large: bool) -> Cell {
        let kind = self.draw("content_summaries", "summary_type");
        let mut names = vec![id.clone()];
        match number % 16 {
            7 => names.clear(),
            3 | 11 => names.push(Cell::text(format!("yt:gone-{number}"))),
            5 => names.push(Cell::Null),
            9 if self.tables == Tables::Loose => names.push(id.clone()),
            _ => {}
        }
        for name in names {
            let number = self.summary_id("content_summaries");
            let mut keys = vec![("id", number), ("content_id", name), ("summary_type", kind.clone())];
            if large {
                keys.push(("summary_text", Cell::text(pools::long_text(&mut self.rng, LARGE_TEXT_BYTES))));
            }
            self.insert("content_summaries", keys);
        }
        kind
    }

    /// Variants of a record or of none, one often of the legacy summary's type.
    fn variants(&mut self, number: usize, video_id: &Cell, legacy: Cell, large: bool) {
        let owner = match number % 13 {
            5 => Cell::text(format!("gone-{number:06}")),
            7 => Cell::Null,
            _ => video_id.clone(),
        };
        let owner =
            if self.takes("video_id", &owner) { owner } else { Cell::text(format!("none-{number:06}")) };
        for place in 0..number % 4 {
            let same = place == 0 && self.takes("variant_type", &legacy);
            let kind = if same { legacy.clone() } else { self.draw("summary_variants", "variant_type") };
            // Some have many revisions of one kind.
            for revision in self.revisions(if number.is_multiple_of(5) { 4 } else { 1 }) {
                self.variant(&owner, &kind, revision, large && place == 0);
            }
        }
    }

    fn variant(&mut self, owner: &Cell, kind: &Cell, revision: Cell, large: bool) {
        let key = format!("{owner:?} {kind:?} {revision:?}");
        let again = revision != Cell::Null && !self.taken.insert(key);
        if again && self.tables == Tables::Production {
            return;
        }
        let number = self.summary_id("summary_variants");
        let mut keys = vec![("id", number), ("video_id", owner.clone())];
        keys.extend([("variant_type", kind.clone()), ("revision", revision)]);
        if large {
            keys.push(("content", Cell::text(pools::long_text(&mut self.rng, LARGE_TEXT_BYTES))));
        }
        self.insert("summary_variants", keys);
    }

    /// One to `count` whole ones with holes, and now and then one that is no usual revision.
    fn revisions(&mut self, count: i64) -> Vec<Cell> {
        let mut revisions = Vec::new();
        let mut revision = 0;
        for _ in 0..count {
            revision += self.rng.i64(1..4);
            revisions.push(Cell::Integer(revision));
        }
        if self.rng.u8(0..3) == 0 {
            revisions.push(self.draw("summary_variants", "revision"));
        }
        revisions
    }

    /// With holes, some beyond 32 bits; loose tables take anything.
    fn summary_id(&mut self, table: &'static str) -> Cell {
        match self.tables {
            Tables::Production => {
                self.last_id += if self.rng.u8(0..40) == 0 { 1 << 32 } else { 1 };
                Cell::Integer(self.last_id)
            }
            Tables::Loose => self.draw(table, "id"),
        }
    }

    fn takes(&self, column: &str, cell: &Cell) -> bool {
        self.tables == Tables::Loose || production_takes(column, cell)
    }

    fn draw(&mut self, table: &'static str, column: &str) -> Cell {
        self.walks.get_mut(&(table, column.to_owned())).unwrap().draw(&mut self.rng)
    }

    /// A row with these cells and drawn ones in all other columns.
    fn insert(&mut self, table: &'static str, keys: Vec<(&str, Cell)>) {
        let columns = self.columns[table].clone();
        let mut cells = Vec::with_capacity(columns.len());
        for column in &columns {
            let key = keys.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.clone());
            cells.push(key.unwrap_or_else(|| self.draw(table, column)));
        }
        let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            names.join(", "),
            vec!["?"; names.len()].join(", ")
        );
        let done = self.transaction.prepare_cached(&sql).unwrap().execute(params_from_iter(&cells));
        done.unwrap_or_else(|error| panic!("{table}: {error}"));
    }

    fn whole_rows_twice(&self) {
        for table in TABLES {
            let sql = format!("INSERT INTO {table} SELECT * FROM {table} WHERE rowid IN (2, 12)");
            self.transaction.execute(&sql, []).unwrap();
        }
    }
}

/// Whether production's `summary_variants` takes a cell; its check of `revision` lets text pass, as text is more than 0.
fn production_takes(column: &str, cell: &Cell) -> bool {
    match column {
        "video_id" | "variant_type" | "content" | "created_at" => *cell != Cell::Null,
        "is_latest" => matches!(cell, Cell::Null | Cell::Integer(0 | 1)),
        "revision" => match cell {
            Cell::Integer(number) => *number > 0,
            Cell::Real(number) => *number > 0.0,
            Cell::Null | Cell::Text(_) | Cell::Blob(_) => true,
        },
        _ => true,
    }
}

fn column_names(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid").unwrap();
    let names = statement.query_map([table], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
