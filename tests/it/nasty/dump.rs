//! A library as text, cell by cell, so that two can be compared.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::{TABLES, column_names, quoted};

/// Longer values are told by length and digest, which is as exact and can be read when they differ.
const SHOWN_BYTES: usize = 300;

/// Every row of the three tables as a line, sorted: table, `id` first, then all other columns by lower-case name, each
/// cell with its storage class. NULL is left out, so that a column one side lacks equals one that is NULL throughout;
/// so is a table that is not there or empty. Numbers of rows (`rowid`) do not count.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut lines: Vec<String> = TABLES.iter().flat_map(|table| rows(&connection, table)).collect();
    lines.sort_unstable();
    lines
}

fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let mut columns: Vec<(String, String)> =
        column_names(connection, table).iter().map(|name| (name.to_lowercase(), quoted(name))).collect();
    if columns.is_empty() {
        return Vec::new();
    }
    columns.sort_by_key(|(name, _)| (name != "id", name.clone()));
    let list = columns.iter().map(|(_, quoted)| quoted.as_str()).collect::<Vec<_>>().join(", ");
    let mut statement = connection.prepare(&format!("SELECT {list} FROM {table}")).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let mut line = table.to_owned();
        for (place, (name, _)) in columns.iter().enumerate() {
            if let Some(cell) = cell(row.get_ref(place).unwrap()) {
                write!(line, " | {name} = {cell}").unwrap();
            }
        }
        lines.push(line);
    }
    lines
}

fn cell(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(format!("INTEGER {number}")),
        // The bits tell -0.0 from 0.0.
        ValueRef::Real(number) => Some(format!("REAL {number:e} {:016x}", number.to_bits())),
        ValueRef::Text(bytes) => Some(match std::str::from_utf8(bytes) {
            Ok(text) if bytes.len() <= SHOWN_BYTES => format!("TEXT {text:?}"),
            Ok(_) | Err(_) => format!("TEXT {}", hex(bytes)),
        }),
        ValueRef::Blob(bytes) => Some(format!("BLOB {}", hex(bytes))),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    if bytes.len() <= SHOWN_BYTES {
        return format!("x'{}'", digits(bytes));
    }
    let beginning = String::from_utf8_lossy(&bytes[..60]).into_owned();
    format!("{beginning:?}… ({} bytes, SHA-256 {})", bytes.len(), digits(&Sha256::digest(bytes)))
}

#[test]
fn a_dump_tells_storage_classes_apart_and_takes_a_missing_column_for_null() {
    let of = |script: &str| {
        let library = crate::both_stores::Library::of(&[script]);
        dump(&library.path)
    };
    let first = of("CREATE TABLE content (ID, t TEXT, x);
        INSERT INTO content VALUES ('b', NULL, 1), ('a', NULL, '1'), ('c', NULL, X'31'), ('d', NULL, -0.0), ('e', NULL, 0)");
    let [a, b, c, d, e] = &first[..] else { panic!("{first:?}") };
    assert_eq!(a, r#"content | id = TEXT "a" | x = TEXT "1""#);
    assert_eq!(b, r#"content | id = TEXT "b" | x = INTEGER 1"#);
    assert_eq!(c, r#"content | id = TEXT "c" | x = BLOB x'31'"#);
    assert_eq!(d, r#"content | id = TEXT "d" | x = REAL -0e0 8000000000000000"#);
    assert_eq!(e, r#"content | id = TEXT "e" | x = INTEGER 0"#);
    let other_way_round = "CREATE TABLE content (x, id);
        INSERT INTO content VALUES ('1', 'a'), (1, 'b'), (X'31', 'c'), (-0.0, 'd'), (0, 'e')";
    assert_eq!(of(other_way_round), first);
}
