//! The rows as PostgreSQL has them, in files that `COPY` takes: what every contender but flipgate begins with.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::lab::{Database, Lab};

/// Both tables, in the order their foreign key wants.
pub(crate) const TABLES: [&str; 2] = ["content", "content_summaries"];

pub(crate) struct Dump {
    pub(crate) tables: Vec<Table>,
    /// What every contender must leave behind.
    digest: String,
}

pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Columns that can be written, with their types.
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) file: PathBuf,
}

// === impl Dump ===

impl Dump {
    /// Lets flipgate copy the library once and writes down what came of it.
    pub(crate) async fn of_a_first_copy(lab: &Lab) -> Self {
        let database = lab.fresh().await;
        lab.migrate(&lab.library(), &database.url).await.unwrap();
        let mut tables = Vec::new();
        for name in TABLES {
            let file = lab.file(&format!("{name}.copy"));
            let table = Table { name, columns: columns(&database, name).await, file };
            let copy = format!(r"\copy {name} ({}) to '{}'", table.names(), table.file.display());
            database.psql(&[&copy]).await.unwrap();
            tables.push(table);
        }
        let digest = digest(&database).await;
        lab.remove(database).await;
        Self { tables, digest }
    }

    /// Panics if a contender did not leave exactly these rows.
    pub(crate) async fn assert_is_in(&self, database: &Database) {
        assert_eq!(digest(database).await, self.digest, "{} holds other rows", database.name);
    }
}

// === impl Table ===

impl Table {
    pub(crate) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn copy_from(&self) -> String {
        format!(r"\copy {} ({}) from '{}'", self.name, self.names(), self.file.display())
    }
}

async fn columns(database: &Database, table: &str) -> Vec<(String, String)> {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let columns = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
    );
    let columns = columns.bind(table).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    columns
}

/// Count and content of both tables, generated columns included. A summary's number is the target's own.
async fn digest(database: &Database) -> String {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut digest = String::new();
    for table in TABLES {
        let sql = format!(
            "SELECT count(*) || ' ' || coalesce(sum(hashtextextended((to_jsonb(t) - '{}')::text, 0)), 0)
             FROM {table} t",
            if table == "content" { "" } else { "id" }
        );
        let part: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        digest.push_str(&format!("{table} {part}; "));
    }
    connection.close().await.unwrap();
    digest
}
