//! Rows into the dashboard's file, as SQL; whether they should go is decided elsewhere.

use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::migrate::cell::Cell;
use crate::migrate::row::{Row, Table};
use crate::migrate::source::{Shape, quoted};

/// Whether an error is the row's fault, and not everybody's.
pub(crate) fn blames_row(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
    )
}

/// A number that no row has, if the table's numbers are its keys.
fn free_number(connection: &Connection, table: Table) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE lower(name) = 'id' AND pk = 1 AND upper(type) = 'INTEGER'";
    let keys: i64 = connection.prepare_cached(sql)?.query_row([table.name()], |row| row.get(0))?;
    if keys == 0 {
        return Ok(None);
    }
    let sql = format!("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM {}", table.name());
    let (lowest, highest): (i64, i64) =
        connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(highest.checked_add(1).or_else(|| lowest.checked_sub(1)))
}

// === impl Shape ===

impl Shape {
    /// Inserts a row. Where its number is missing or another row's it gets a free one: numbers say nothing. Not SQLite's
    /// next one: after the highest there is none, and that error would undo the whole transaction.
    pub(crate) fn insert(&self, connection: &Connection, table: Table, row: &Row) -> rusqlite::Result<()> {
        let Some(column) = table.number_column() else { return self.insert_as(connection, table, row, None) };
        let numbered = *row.cell(column) != Cell::Null;
        let free = if numbered { None } else { free_number(connection, table)? };
        let attempt = self.insert_as(connection, table, row, free);
        if !numbered || !attempt.as_ref().is_err_and(blames_row) {
            return attempt;
        }
        let Some(free) = free_number(connection, table)? else { return attempt };
        match self.insert_as(connection, table, row, Some(free)) {
            // It was not the number: the first error says more.
            Err(error) if blames_row(&error) => attempt,
            other => other,
        }
    }

    fn insert_as(
        &self,
        connection: &Connection,
        table: Table,
        row: &Row,
        number: Option<i64>,
    ) -> rusqlite::Result<()> {
        let names = self.columns.names();
        let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!("INSERT OR ABORT INTO {} ({}) VALUES ({marks})", table.name(), quoted.join(", "));
        let number = number.map(Cell::Integer);
        let cells = names.iter().map(|name| match &number {
            Some(number) if table.number_column() == Some(name) => number,
            Some(_) | None => row.cell(name),
        });
        connection.prepare_cached(&sql)?.execute(params_from_iter(cells)).map(|_| ())
    }

    /// Gives a row other cells; its number stays.
    pub(crate) fn update(
        &self,
        connection: &Connection,
        table: Table,
        number: i64,
        row: &Row,
    ) -> rusqlite::Result<()> {
        let names: Vec<&String> =
            self.columns.names().iter().filter(|name| table.number_column() != Some(name.as_str())).collect();
        let set: Vec<String> = names.iter().map(|name| format!("{} = ?", quoted(name))).collect();
        let sql =
            format!("UPDATE OR ABORT {} SET {} WHERE {} = ?", table.name(), set.join(", "), self.number);
        let number = Cell::Integer(number);
        let cells = names.iter().map(|name| row.cell(name)).chain(std::iter::once(&number));
        connection.prepare_cached(&sql)?.execute(params_from_iter(cells)).map(|_| ())
    }

    /// All rows with the key cells of `row`, whatever these are.
    pub(super) fn same_key(
        &self,
        connection: &Connection,
        table: Table,
        row: &Row,
    ) -> rusqlite::Result<Vec<Row>> {
        let keys = table.key_columns();
        let same: Vec<String> = keys.iter().map(|key| format!("s.{key} IS ? COLLATE BINARY")).collect();
        let sql = format!("{} WHERE {}", self.select(table), same.join(" AND "));
        let mut statement = connection.prepare_cached(&sql)?;
        let cells = keys.iter().map(|key| row.cell(key));
        let rows = statement.query_map(params_from_iter(cells), |row| self.row(row).map(|(_, row)| row))?;
        rows.collect()
    }

    /// The ids of the records that a delete of `id` is about: that one, and where a `video` was deleted by name, all that
    /// are called so or have it.
    pub(super) fn called(
        &self,
        connection: &Connection,
        id: &str,
        video: Option<&str>,
    ) -> rusqlite::Result<Vec<String>> {
        let Some(video) = video.filter(|_| self.columns.has("id")) else { return Ok(vec![id.to_owned()]) };
        let of_video = if self.columns.has("video_id") { " OR video_id = ?2 COLLATE BINARY" } else { "" };
        let sql = format!(
            "SELECT id FROM content WHERE id COLLATE BINARY IN (?1, ?2, 'yt:' || ?2){of_video} ORDER BY id"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        // What is no text is no record's name.
        let ids =
            statement.query_map([id, video], |row| Ok(row.get_ref(0)?.as_str().ok().map(str::to_owned)))?;
        ids.filter_map(Result::transpose).collect()
    }
}
