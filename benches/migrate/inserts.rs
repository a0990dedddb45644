//! The contender everybody writes first: one prepared INSERT a row, all in one transaction.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _, SqlStr};

use crate::dump::{Dump, Table};
use crate::lab::Database;
use crate::measure::Spent;

pub(crate) async fn run(database: &Database, dump: &Dump) -> Spent {
    let begun = Instant::now();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    for table in &dump.tables {
        let statement = AssertSqlSafe(statement(table)).into_sql_str();
        insert_all(&mut transaction, table, &statement).await;
    }
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
    Spent { seconds: begun.elapsed().as_secs_f64(), peak_bytes: None, said: String::new() }
}

async fn insert_all(connection: &mut PgConnection, table: &Table, statement: &SqlStr) {
    let lines = BufReader::new(std::fs::File::open(&table.file).unwrap()).lines();
    for line in lines {
        let line = line.unwrap();
        let mut query = sqlx::query(statement.clone());
        for field in line.split('\t') {
            query = query.bind(unescaped(field));
        }
        query.execute(&mut *connection).await.unwrap();
    }
}

fn statement(table: &Table) -> String {
    let values = table.columns.iter().zip(1..).map(|((_, kind), number)| format!("${number}::text::{kind}"));
    let values = values.collect::<Vec<_>>().join(", ");
    format!("INSERT INTO {} ({}) VALUES ({values})", table.name, table.names())
}

/// A field of a `COPY` file; `\N` is NULL.
fn unescaped(field: &str) -> Option<String> {
    if field == r"\N" {
        return None;
    }
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        text.push(match (letter, letter == '\\') {
            (letter, false) => letter,
            (_, true) => match letters.next().unwrap() {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            },
        });
    }
    Some(text)
}
