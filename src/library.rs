//! A generated video library in the dashboard's SQLite production schema.
//!
//! For the demo and the tests: as untidy as a real one (spellings of time, ids that are lower-cased video ids, NULLs,
//! equal `indexed_at`), all of it invented. The same rows and seed give the same library. Not for: anything that writes
//! to a library that exists.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, params};

mod row;
mod words;

use self::row::{Row, Summary, Variant};

/// As many rows as the library this product was made for; the proportions below hold for it exactly.
pub const DEFAULT_ROWS: u32 = 81;

/// Tables and indexes as production has them.
pub(crate) const TABLES: &str = include_str!("library/tables.sql");

/// Made after the rows: they would stamp the current time into them.
pub(crate) const TRIGGERS: &str = include_str!("library/triggers.sql");

/// Why no library was made.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The path is taken.
    #[error("{0} exists already and a library is not generated over a file; name another path or delete it")]
    Exists(PathBuf),
    /// SQLite could not write it.
    #[error("the library {path} could not be written: {source}; is its directory there and writable?")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// Writes a new library of `rows` records to `path`.
///
/// Of each 81 records 70 carry `subcategories_json`, 80 a summary and 19 two variants.
pub fn generate(path: &Path, rows: u32, seed: u64) -> Result<(), LibraryError> {
    if path.exists() {
        return Err(LibraryError::Exists(path.to_owned()));
    }
    write(path, rows, seed).map_err(|source| LibraryError::Sqlite { path: path.to_owned(), source })
}

fn write(path: &Path, rows: u32, seed: u64) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    for row in row::Rows::new(rows, seed) {
        insert_content(&transaction, &row)?;
        if let Some(summary) = &row.summary {
            insert_summary(&transaction, &row.id, summary)?;
        }
        for variant in &row.variants {
            insert_variant(&transaction, &row.video_id, variant)?;
        }
    }
    transaction.execute_batch(TRIGGERS)?;
    transaction.commit()
}

fn insert_content(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO content (id, title, canonical_url, thumbnail_url, published_at, indexed_at, duration_seconds,
             word_count, has_audio, audio_duration_seconds, has_transcript, transcript_chars, video_id, channel_name,
             channel_id, view_count, like_count, comment_count, category, content_type, complexity_level, language,
             key_topics, named_entities, format_source, processing_status, created_at, updated_at, subcategory,
             subcategories_json, summary, analysis)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, '[]', ?24, ?25, ?26, ?27, ?28, ?29, NULL, ?30)",
    )?;
    statement.execute(params![
        row.id,
        row.title,
        format!("https://www.youtube.com/watch?v={}", row.video_id),
        format!("https://i.ytimg.com/vi/{}/maxresdefault.jpg", row.video_id),
        row.published_at,
        row.indexed_at,
        row.duration_seconds,
        row.word_count,
        row.audio_seconds > 0,
        row.audio_seconds,
        row.transcript_chars > 0,
        row.transcript_chars,
        row.video_id,
        row.channel,
        format!("UC{}{}", row.video_id, row.video_id),
        row.views,
        row.views / 23,
        row.views / 311,
        row.category,
        row.content_type,
        row.complexity,
        row.language,
        row.key_topics,
        row.origin.format_source(),
        row.origin.processing_status(),
        row.indexed_at,
        row.updated_at,
        row.subcategory,
        row.subcategories_json,
        row.analysis,
    ])?;
    Ok(())
}

fn insert_summary(transaction: &Transaction<'_>, id: &str, summary: &Summary) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO content_summaries (content_id, summary_text, summary_type, created_at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![id, summary.text, summary.kind, summary.created_at])?;
    Ok(())
}

fn insert_variant(transaction: &Transaction<'_>, video_id: &str, variant: &Variant) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO summary_variants (video_id, variant_type, revision, content, is_latest, created_at, word_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let words = variant.text.split_whitespace().count();
    statement.execute(params![
        video_id,
        variant.kind,
        variant.revision,
        variant.text,
        variant.is_latest,
        variant.created_at,
        i64::try_from(words).unwrap_or(i64::MAX),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(rows: u32, seed: u64) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.db");
        generate(&path, rows, seed).unwrap();
        (dir, Connection::open(path).unwrap())
    }

    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn dump(connection: &Connection) -> Vec<String> {
        let mut lines = Vec::new();
        for table in ["content", "content_summaries", "summary_variants"] {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY id")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<_> = (0..columns).map(|i| format!("{:?}", row.get_ref(i).unwrap())).collect();
                lines.push(format!("{table} {}", values.join(" ")));
            }
        }
        lines
    }

    #[test]
    fn has_the_proportions_of_the_library_it_stands_for() {
        let (_dir, connection) = library(DEFAULT_ROWS, 1);
        for (sql, wanted) in [
            ("SELECT count(*) FROM content", 81),
            ("SELECT count(*) FROM content WHERE subcategories_json IS NOT NULL", 70),
            ("SELECT count(*) FROM content_summaries", 80),
            ("SELECT count(*) FROM summary_variants", 38),
            (
                "SELECT count(*) FROM content WHERE id = lower(id) AND lower(id) = lower('yt:' || video_id)",
                63,
            ),
            ("SELECT count(*) FROM content WHERE published_at IS NULL", 4),
            ("SELECT count(*) FROM content WHERE updated_at = ''", 16),
            ("SELECT count(*) FROM content WHERE NOT json_valid(coalesce(subcategories_json, '[]'))", 0),
            ("SELECT count(*) FROM content WHERE NOT json_valid(category) OR NOT json_valid(key_topics)", 0),
            ("SELECT count(*) FROM content WHERE length(video_id) <> 11", 0),
            (
                "SELECT count(*) FROM content c JOIN summary_variants v USING (video_id)
                 WHERE NOT EXISTS (SELECT 1 FROM content_summaries s WHERE s.content_id = c.id)",
                2,
            ),
            ("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", 0),
            ("SELECT count(*) FROM pragma_foreign_key_check", 0),
        ] {
            assert_eq!(count(&connection, sql), wanted, "{sql}");
        }
    }

    #[test]
    fn is_untidy_as_real_ones_are() {
        let (_dir, connection) = library(DEFAULT_ROWS, 1);
        let ties = "SELECT count(*) - count(DISTINCT indexed_at) FROM content";
        assert!(count(&connection, ties) > 20);
        for spelling in ["____-__-__T__:__:__.______", "____-__-__ __:__:__", "%Z", "%+00:00"] {
            let sql = format!("SELECT count(*) FROM content WHERE indexed_at LIKE '{spelling}'");
            assert!(count(&connection, &sql) > 0, "no indexed_at like {spelling}");
        }
        assert!(count(&connection, "SELECT count(DISTINCT summary_type) FROM content_summaries") > 2);
        assert!(count(&connection, "SELECT count(*) FROM summary_variants WHERE revision > 1") > 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_library() {
        let (_a, first) = library(30, 7);
        let (_b, again) = library(30, 7);
        let (_c, other) = library(30, 8);
        assert_eq!(dump(&first), dump(&again));
        assert_ne!(dump(&first), dump(&other));
    }

    #[test]
    fn grows_and_shrinks() {
        let (_a, none) = library(0, 1);
        assert_eq!(count(&none, "SELECT count(*) FROM content"), 0);
        let (_b, many) = library(1000, 1);
        assert_eq!(count(&many, "SELECT count(DISTINCT video_id) FROM content"), 1000);
    }

    #[test]
    fn never_writes_over_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.db");
        std::fs::write(&path, "precious").unwrap();
        let error = generate(&path, 1, 1).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    /// The schema is the production one to the letter, as far as the sample shows it.
    #[test]
    fn the_schema_is_that_of_a_real_library() {
        let shared = std::env::var("FLIPGATE_SHARED").unwrap_or_else(|_| "../shared".to_owned());
        let real = Path::new(&shared).join("data/library.db");
        if !real.exists() {
            eprintln!("SKIPPED: no real library at {}", real.display());
            return;
        }
        let (_dir, connection) = library(1, 1);
        let uri = format!("file:{}?mode=ro&immutable=1", real.display());
        let real = Connection::open(uri).unwrap();
        let shape = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT m.type || ' ' || m.name || ' ' || coalesce(group_concat(c.name || ' ' || c.type || ' '
                           || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '-') || ' ' || c.pk), m.tbl_name)
                       FROM sqlite_schema m LEFT JOIN pragma_table_info(m.name) c ON m.type = 'table'
                       GROUP BY m.type, m.name ORDER BY 1";
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(shape(&connection), shape(&real));
    }
}
