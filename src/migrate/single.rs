//! One row into PostgreSQL by one INSERT or UPDATE, for who writes single rows; what both stores agreed on is left as it
//! is, since nobody compared.

use std::collections::HashMap;

use sqlx::postgres::PgConnection;

use super::layout::Layout;
use super::row::{Row, Table};
use super::source;
use crate::pg::constant_sql;

/// The column that says what was agreed on.
const AGREED: &str = "agreed";

/// The types of the columns of both tables, as the catalogue spells them.
#[derive(Debug, Clone)]
pub(crate) struct Types(HashMap<(String, String), String>);

// === impl Types ===

impl Types {
    /// Looks the types up.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) \
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
            WHERE c.oid IN (to_regclass('content'), to_regclass('content_summaries')) AND a.attnum > 0 AND NOT a.attisdropped";
        let columns: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
        Ok(Self(columns.into_iter().map(|(table, column, kind)| ((table, column), kind)).collect()))
    }

    /// Inserts a row.
    pub(crate) async fn insert(
        &self,
        connection: &mut PgConnection,
        table: Table,
        row: &Row,
    ) -> Result<(), sqlx::Error> {
        let (layout, values) = target(table, row)?;
        let columns: Vec<(usize, &str)> = columns(layout).collect();
        let names: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
        let marks = self.marks(layout, &columns)?;
        let sql =
            format!("INSERT INTO {} ({}) VALUES ({})", layout.table, names.join(", "), marks.join(", "));
        sqlx::query(constant_sql(sql)).bind(values).execute(connection).await.map(|_| ())
    }

    /// Gives the row with the same key other values.
    pub(crate) async fn update(
        &self,
        connection: &mut PgConnection,
        table: Table,
        row: &Row,
    ) -> Result<(), sqlx::Error> {
        let (layout, values) = target(table, row)?;
        let key = row.key(table).map_err(|why| sqlx::Error::Encode(why.into()))?;
        // The record of a legacy summary is found by its id, and stays.
        let stays = |name: &str| table == Table::Legacy && name == "video_id";
        let columns: Vec<(usize, &str)> = columns(layout).filter(|(_, name)| !stays(name)).collect();
        let names: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
        let marks = self.marks(layout, &columns)?;
        let same = match table {
            Table::Content => "t.id = $2",
            Table::Legacy => "t.legacy AND t.video_id = (SELECT c.video_id FROM content c WHERE c.id = $2)",
            Table::Variants => "t.video_id = $2 AND t.variant = $3 AND t.revision = $4",
        };
        let sql = format!(
            "UPDATE {} t SET ({}) = ROW({}) WHERE {same}",
            layout.table,
            names.join(", "),
            marks.join(", ")
        );
        let mut query = sqlx::query(constant_sql(sql)).bind(values).bind(key.record);
        if table == Table::Variants {
            query = query.bind(key.variant).bind(key.revision);
        }
        query.execute(connection).await.map(|_| ())
    }

    /// Each value of the array that is bound, as its column takes it.
    fn marks(&self, layout: &Layout, columns: &[(usize, &str)]) -> Result<Vec<String>, sqlx::Error> {
        let mark = |(position, name): &(usize, &str)| {
            let kind = self.0.get(&(layout.table.to_owned(), (*name).to_owned()));
            let kind = kind.ok_or_else(|| sqlx::Error::ColumnNotFound((*name).to_owned()))?;
            Ok(format!("($1::text[])[{}]::{kind}", position + 1))
        };
        columns.iter().map(mark).collect()
    }
}

fn columns(layout: &'static Layout) -> impl Iterator<Item = (usize, &'static str)> {
    layout.columns.iter().copied().enumerate().filter(|(_, name)| *name != AGREED)
}

/// What the row is in PostgreSQL.
fn target(table: Table, row: &Row) -> Result<(&'static Layout, Vec<Option<String>>), sqlx::Error> {
    let key = row.key(table).map_err(|why| sqlx::Error::Encode(why.into()))?;
    let mut target = source::map(table, row, &key, &row.digest(table)).target;
    if table == Table::Variants {
        target.set("video_id", Some(key.record));
    }
    let (layout, values) = target.parts();
    Ok((layout, values.to_vec()))
}
