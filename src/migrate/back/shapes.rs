//! What the dashboard's file has for tables and columns, and how it gets those it lacks.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::library::TABLES;
use crate::migrate::row::{Row, Table};
use crate::migrate::source::{Shape, quoted};

/// The shapes of a library's tables, looked up once.
#[derive(Default)]
pub(crate) struct Shapes(HashMap<Table, Shape>);

/// Opens a library that is there for writing.
pub(crate) fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(busy_timeout)?;
    // The library's triggers stamp times and flags that are given here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(connection)
}

// === impl Shapes ===

impl Shapes {
    /// A table's shape, as far as it was looked up.
    pub(crate) fn get(&self, table: Table) -> Option<&Shape> {
        self.0.get(&table)
    }

    /// Forgets all: the schema may have changed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Looks up what is not known yet.
    pub(crate) fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for table in Table::ALL {
            if !self.0.contains_key(&table) {
                self.refresh(connection, table)?;
            }
        }
        Ok(())
    }

    /// Makes sure that table and columns are there for what `row` holds.
    pub(crate) fn fit(&mut self, connection: &Connection, table: Table, row: &Row) -> rusqlite::Result<()> {
        if !self.0.contains_key(&table) {
            self.refresh(connection, table)?;
            if !self.0.contains_key(&table) {
                connection.execute_batch(production(table))?;
                self.refresh(connection, table)?;
            }
        }
        let Some(shape) = self.get(table) else { return Err(rusqlite::Error::InvalidQuery) };
        let missing: Vec<String> = row
            .cells()
            .map(|(name, _)| name)
            .filter(|name| !shape.columns.has(name))
            .map(str::to_owned)
            .collect();
        for name in &missing {
            let kind = column_type(table, name)?;
            let sql = format!("ALTER TABLE {} ADD COLUMN {} {kind}", table.name(), quoted(name));
            connection.execute_batch(&sql)?;
        }
        if missing.is_empty() { Ok(()) } else { self.refresh(connection, table) }
    }

    /// Deletes the record with this row number and its summaries, those by variant unless another record has the same
    /// video. Gives how many rows went.
    pub(crate) fn delete(
        &self,
        connection: &Connection,
        number: i64,
        id: &str,
        video_id: Option<&str>,
    ) -> rusqlite::Result<Vec<(Table, u64)>> {
        let mut removed = Vec::new();
        let mut delete =
            |table: Table, condition: &str, name: &dyn rusqlite::ToSql| -> rusqlite::Result<()> {
                if self.0.contains_key(&table) {
                    let sql = format!("DELETE FROM {} WHERE {condition}", table.name());
                    removed.push((table, connection.execute(&sql, [name])? as u64));
                }
                Ok(())
            };
        delete(Table::Legacy, "content_id = ?1 COLLATE BINARY", &id)?;
        if let Some(video_id) = video_id {
            let condition = "video_id = ?1 COLLATE BINARY \
                AND (SELECT count(*) FROM content WHERE video_id = ?1 COLLATE BINARY) < 2";
            delete(Table::Variants, condition, &video_id)?;
        }
        let row_number = self.get(Table::Content).map_or("rowid", |shape| shape.number);
        delete(Table::Content, &format!("{row_number} = ?1"), &number)?;
        Ok(removed)
    }

    fn refresh(&mut self, connection: &Connection, table: Table) -> rusqlite::Result<()> {
        if let Some(shape) = Shape::of(connection, table)? {
            self.0.insert(table, shape);
        }
        Ok(())
    }
}

/// The statement that makes a table as production has it.
fn production(table: Table) -> &'static str {
    let head = format!("CREATE TABLE {} (", table.name());
    let statement = TABLES.find(&head).and_then(|start| TABLES.get(start..));
    statement.and_then(|rest| rest.find("\n);").and_then(|end| rest.get(..end + 3))).unwrap_or_default()
}

/// The type production gives a column; none for one it does not have.
fn column_type(table: Table, column: &str) -> rusqlite::Result<String> {
    let scratch = Connection::open_in_memory()?;
    scratch.execute_batch(TABLES)?;
    let sql = "SELECT coalesce(max(type), '') FROM pragma_table_info(?1) WHERE lower(name) = ?2";
    scratch.query_row(sql, [table.name(), column], |row| row.get(0))
}
