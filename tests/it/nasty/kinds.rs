//! That a nasty library has every kind of cell and row, and is the same each time.

use rusqlite::Connection;

use super::pools::JSON_COLUMNS;
use super::{TABLES, Tables, dump, library, quoted};

const ROWS: u32 = 120;
const SEEDS: [u64; 3] = [0, 1, 7];

#[test]
fn the_same_seed_gives_the_same_library() {
    for tables in [Tables::Production, Tables::Loose] {
        let [first, again, other] = [7, 7, 8].map(|seed| dump(&library(seed, ROWS, tables).path));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!(first.iter().any(|line| line.contains("untyped = REAL -0e0 8000000000000000")));
    }
    assert!(dump(&library(7, 0, Tables::Production).path).is_empty());
}

#[test]
fn a_library_of_any_size_is_one_to_sqlite() {
    for tables in [Tables::Production, Tables::Loose] {
        for rows in [0, 1, 5, 40, 400] {
            let library = library(3, rows, tables);
            let connection = Connection::open(&library.path).unwrap();
            // Loose tables have two rows once more.
            let first = format!("SELECT count(*) FROM content WHERE rowid <= {rows}");
            assert_eq!(count(&connection, &first), i64::from(rows));
            let bad = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
            assert_eq!(count(&connection, bad), 0, "{tables:?} {rows}");
        }
    }
}

#[test]
fn every_kind_occurs() {
    for tables in [Tables::Production, Tables::Loose] {
        for seed in SEEDS {
            let library = library(seed, ROWS, tables);
            let connection = Connection::open(&library.path).unwrap();
            let mut missing: Vec<String> = ANYWHERE.iter().map(|kind| (*kind).to_owned()).collect();
            missing.extend(nulls(&connection));
            missing.extend(JSON_COLUMNS.iter().flat_map(|column| json_kinds(column)));
            if tables == Tables::Loose {
                missing.extend(LOOSE.iter().map(|kind| (*kind).to_owned()));
            }
            missing.retain(|kind| count(&connection, &format!("SELECT count(*) FROM {kind}")) == 0);
            assert!(missing.is_empty(), "{tables:?} {seed} lacks:\n{}", missing.join("\n"));
        }
    }
}

#[test]
fn texts_of_a_megabyte_are_few() {
    let library = library(1, ROWS, Tables::Production);
    let connection = Connection::open(&library.path).unwrap();
    let large = "SELECT (SELECT count(*) FROM content_summaries WHERE octet_length(summary_text) >= 1 << 20)
                     + (SELECT count(*) FROM summary_variants WHERE octet_length(content) >= 1 << 20)";
    assert!((2..=4).contains(&count(&connection, large)));
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// NULL in every column that may be NULL.
fn nulls(connection: &Connection) -> Vec<String> {
    let mut kinds = Vec::new();
    for table in TABLES {
        let sql =
            "SELECT name FROM pragma_table_info(?1) WHERE NOT \"notnull\" AND NOT (pk AND type = 'INTEGER')";
        let mut statement = connection.prepare(sql).unwrap();
        let names = statement.query_map([table], |row| row.get::<_, String>(0)).unwrap();
        kinds.extend(names.map(|name| format!("{table} WHERE {} IS NULL", quoted(&name.unwrap()))));
    }
    kinds
}

/// Every kind of bad or odd JSON in one column.
fn json_kinds(column: &str) -> Vec<String> {
    let variants = ["raw_payload", "metadata"].contains(&column);
    let table = if variants { "summary_variants" } else { "content" };
    let deep = "[".repeat(200);
    let text = format!("typeof({column}) = 'text'");
    [
        format!("{text} AND NOT json_valid({column})"),
        format!("{text} AND json_valid({column})"),
        format!(r#"{column} LIKE '%["\ud800"]%'"#),
        format!(r"{column} LIKE '%\u0000%'"),
        format!(r#"{column} LIKE '%"a": 1, "a": 2%'"#),
        format!("{column} LIKE '%1e999999%'"),
        format!("{column} LIKE '%12345678901234567890123%'"),
        format!("{column} LIKE '%1.50, 1E2%'"),
        format!("{column} LIKE '{deep}%'"),
        format!("{column} LIKE '[ 1 ,' || char(9) || '2%'"),
        format!("typeof({column}) = 'blob'"),
        format!("{text} AND instr(CAST({column} AS BLOB), X'c328')"),
        format!("{text} AND instr(CAST({column} AS BLOB), X'00')"),
    ]
    .map(|condition| format!("{table} WHERE {condition}"))
    .to_vec()
}

/// Kinds that both sorts of tables have, each as what follows `FROM`.
const ANYWHERE: &[&str] = &[
    // Ids.
    "content WHERE typeof(id) = 'blob'",
    "content WHERE id = ''",
    "content WHERE id LIKE '% %' AND id NOT LIKE 'yt:%'",
    "content WHERE id LIKE '%/%'",
    r"content WHERE id LIKE '%\%%' ESCAPE '\'",
    "content WHERE id LIKE '%''%'",
    "content WHERE id LIKE '%\"%'",
    "content WHERE id NOT LIKE '%:%' AND id <> ''",
    "content a JOIN content b ON lower(a.id) = lower(b.id) AND a.id <> b.id",
    "content WHERE id = lower('yt:' || video_id) AND video_id <> lower(video_id)",
    "content WHERE instr(CAST(id AS BLOB), X'c328')",
    "content WHERE typeof(id) = 'text' AND instr(CAST(id AS BLOB), X'00')",
    // Video ids.
    "content GROUP BY video_id HAVING count(*) > 1 AND video_id <> ''",
    "content a JOIN content b ON lower(a.video_id) = lower(b.video_id) AND a.video_id <> b.video_id",
    "content WHERE length(video_id) = 10",
    "content WHERE length(video_id) = 12",
    "content WHERE video_id = ''",
    "content WHERE video_id = '12345678901'",
    "content WHERE video_id = '12345'",
    "content WHERE typeof(video_id) = 'blob'",
    "content WHERE instr(CAST(video_id AS BLOB), X'c328')",
    // Text.
    "content WHERE title LIKE '%😀%'",
    "content WHERE title LIKE '%مرحبا%'",
    "content WHERE title LIKE '%' || char(0x301) || '%'",
    "content WHERE typeof(title) = 'text' AND instr(CAST(title AS BLOB), X'c328')",
    "content WHERE typeof(title) = 'text' AND instr(CAST(title AS BLOB), X'610062')",
    "content WHERE typeof(channel_name) = 'text' AND instr(CAST(channel_name AS BLOB), X'eda080')",
    "content WHERE typeof(title) = 'blob'",
    "content WHERE octet_length(title) >= 10000",
    "content WHERE octet_length(channel_name) >= 4096",
    r"content WHERE summary = '\N'",
    // Languages.
    "content WHERE language = 'EN'",
    "content WHERE language = 'en-US'",
    "content WHERE language = ''",
    "content WHERE language = 'klingon'",
    "content WHERE language = ' de '",
    // Timestamps.
    "content WHERE indexed_at = '2025-09-17T06:34:00.302974'",
    "content WHERE indexed_at = '2025-09-17 06:34:00'",
    "content WHERE indexed_at = '2025-09-17T06:34:00Z'",
    "content WHERE indexed_at = '2025-09-17T06:34:00+00:00'",
    "content WHERE published_at LIKE '%+0200'",
    "content WHERE published_at = 'yesterday'",
    "content WHERE updated_at = '1694930040'",
    "content WHERE typeof(created_at) = 'blob'",
    "content GROUP BY indexed_at HAVING count(*) > 1 AND indexed_at IS NOT NULL",
    // Numbers and flags.
    "content WHERE duration_seconds = 'abc'",
    "content WHERE word_count = '12 monkeys'",
    "content WHERE duration_seconds > 0x7fffffff AND typeof(duration_seconds) = 'integer'",
    "content WHERE view_count = 1e300",
    "content WHERE view_count = 12.5",
    "content WHERE typeof(view_count) = 'real' AND view_count = 9e999",
    "content WHERE like_count = -9223372036854775807 - 1",
    // SQL cannot tell it from 0.0, which no pool has as a REAL.
    "content WHERE typeof(untyped) = 'real' AND untyped = 0",
    "content WHERE has_audio = 2",
    "content WHERE has_transcript = 'true'",
    "content WHERE typeof(has_audio) = 'blob'",
    // Unknown columns.
    "content WHERE \"Odd \"\"column\"\" name\" IS NOT NULL",
    "content WHERE typeof(artwork) = 'blob'",
    "content WHERE MixedCase IS NOT NULL",
    "content_summaries WHERE \"Odd \"\"column\"\" name\" IS NOT NULL AND MixedCase IS NOT NULL",
    "summary_variants WHERE \"Odd \"\"column\"\" name\" IS NOT NULL AND MixedCase IS NOT NULL",
    // Summaries.
    "content c JOIN content_summaries s ON s.content_id = c.id",
    "content c WHERE NOT EXISTS (SELECT 1 FROM content_summaries s WHERE s.content_id = c.id)",
    "content_summaries s WHERE content_id NOT IN (SELECT id FROM content WHERE id IS NOT NULL)",
    "content_summaries WHERE typeof(summary_text) = 'blob'",
    "content_summaries WHERE instr(CAST(summary_text AS BLOB), X'c328')",
    "content_summaries WHERE octet_length(summary_text) >= 1 << 20",
    "content_summaries WHERE summary_type = ''",
    "summary_variants v JOIN content c USING (video_id)",
    "summary_variants v WHERE video_id NOT IN (SELECT video_id FROM content WHERE video_id IS NOT NULL)",
    "summary_variants WHERE octet_length(content) >= 1 << 20",
    "summary_variants v JOIN content c USING (video_id) JOIN content_summaries s ON s.content_id = c.id
     WHERE v.variant_type = s.summary_type AND v.content <> s.summary_text",
    "summary_variants WHERE revision > 0x7fffffff AND typeof(revision) = 'integer'",
    "summary_variants WHERE revision = 'abc'",
    "summary_variants WHERE revision = 1.5",
    // Holes in revisions, and the latest one that is not.
    "summary_variants WHERE revision < 1000 GROUP BY video_id, variant_type
     HAVING count(*) > 1 AND max(revision) > count(*)",
    "summary_variants v JOIN summary_variants w USING (video_id, variant_type)
     WHERE v.is_latest = 1 AND w.revision > v.revision",
    "summary_variants v JOIN summary_variants w USING (video_id, variant_type)
     WHERE v.is_latest = 1 AND w.is_latest = 1 AND v.rowid <> w.rowid",
];

/// Kinds that only tables without constraints have.
const LOOSE: &[&str] = &[
    "content GROUP BY id HAVING count(*) > 1 AND id IS NOT NULL",
    "content GROUP BY id, video_id, title HAVING count(*) > 1",
    "content_summaries WHERE id IS NULL",
    "content_summaries GROUP BY id HAVING count(*) > 1",
    "content_summaries GROUP BY content_id HAVING count(*) > 1 AND content_id IS NOT NULL",
    "summary_variants WHERE id IS NULL",
    "summary_variants GROUP BY id HAVING count(*) > 1",
    "summary_variants WHERE typeof(id) = 'text'",
    "summary_variants WHERE revision = 0",
    "summary_variants WHERE revision < 0",
    "summary_variants WHERE video_id IS NULL",
    "summary_variants WHERE content IS NULL",
    "summary_variants WHERE created_at IS NULL",
    "summary_variants WHERE is_latest = 2",
    "summary_variants WHERE is_latest = 'true'",
    "summary_variants GROUP BY video_id, variant_type, revision HAVING count(*) > 1 AND revision IS NOT NULL",
];
