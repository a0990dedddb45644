//! How the target's tables are written: their columns, and rows as COPY's text format takes them.

use super::row::Table;

/// A target table as one source table fills it.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) table: &'static str,
    /// Every column that a copy sets, in the order of [`TargetRow`].
    pub(super) columns: &'static [&'static str],
    /// The columns that make a row the same row.
    pub(super) key: &'static [&'static str],
}

/// One target row in the making: the text of each column of its layout, `None` for NULL.
#[derive(Debug)]
pub(super) struct TargetRow {
    layout: &'static Layout,
    values: Vec<Option<String>>,
}

static CONTENT: Layout = Layout {
    table: "content",
    key: &["id"],
    columns: &[
        "id",
        "video_id",
        "video_id_absent",
        "title",
        "title_absent",
        "nonconforming",
        "channel_name",
        "canonical_url",
        "thumbnail_url",
        "duration_seconds",
        "duration_wide",
        "published_at",
        "published_at_of",
        "published_at_text",
        "indexed_at",
        "indexed_at_of",
        "indexed_at_text",
        "created_at",
        "created_at_of",
        "created_at_text",
        "updated_at",
        "updated_at_of",
        "updated_at_text",
        "word_count",
        "has_audio",
        "audio_duration_seconds",
        "has_transcript",
        "transcript_chars",
        "channel_id",
        "view_count",
        "like_count",
        "comment_count",
        "category_json",
        "category_of",
        "category_text",
        "subcategory",
        "subcategories_json",
        "subcategories_of",
        "subcategories_text",
        "categories_of",
        "analysis_json",
        "analysis_of",
        "analysis_text",
        "topics_json",
        "topics_of",
        "topics_text",
        "named_entities_json",
        "named_entities_of",
        "named_entities_text",
        "language",
        "language_of",
        "language_text",
        "content_type",
        "complexity_level",
        "format_source",
        "processing_status",
        "summary",
        "extra",
        "agreed",
    ],
};

static SUMMARIES: Layout = Layout {
    table: "content_summaries",
    key: &["video_id", "variant", "revision"],
    columns: &[
        "video_id",
        "variant",
        "revision",
        "legacy",
        "source_id",
        "html",
        "html_md5",
        "body",
        "raw_json",
        "raw_of",
        "raw_text",
        "metadata_text",
        "is_latest",
        "file_size",
        "word_count",
        "created_at",
        "created_at_of",
        "created_at_text",
        "updated_at",
        "updated_at_of",
        "updated_at_text",
        "extra",
        "agreed",
    ],
};

/// The legacy summary of a record may change its type, so its record alone makes it the same row.
static LEGACY: Layout = Layout { key: &["video_id", "revision"], ..SUMMARIES };

// === impl Layout ===

impl Layout {
    pub(super) fn of(table: Table) -> &'static Self {
        match table {
            Table::Content => &CONTENT,
            Table::Legacy => &LEGACY,
            Table::Variants => &SUMMARIES,
        }
    }

    /// The columns as a list in SQL, each after `prefix`.
    pub(super) fn list(&self, prefix: &str) -> String {
        let names: Vec<String> = self.columns.iter().map(|name| format!("{prefix}{name}")).collect();
        names.join(", ")
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| *name == column)
    }
}

// === impl TargetRow ===

impl TargetRow {
    pub(super) fn new(table: Table) -> Self {
        let layout = Layout::of(table);
        Self { layout, values: vec![None; layout.columns.len()] }
    }

    /// Sets a column; one that the layout does not have is a mistake that tests find.
    pub(super) fn set(&mut self, column: &str, value: Option<String>) {
        let position = self.layout.position(column);
        debug_assert!(position.is_some(), "{} has no column {column}", self.layout.table);
        if let Some(place) = position.and_then(|position| self.values.get_mut(position)) {
            *place = value;
        }
    }

    /// The table, its columns in order, and their values.
    pub(super) fn parts(&self) -> (&'static Layout, &[Option<String>]) {
        (self.layout, &self.values)
    }

    /// Appends the row as one line of COPY's text format.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        for (number, value) in self.values.iter().enumerate() {
            if number > 0 {
                buffer.push(b'\t');
            }
            match value {
                None => buffer.extend_from_slice(b"\\N"),
                Some(text) => escape(text.as_bytes(), buffer),
            }
        }
        buffer.push(b'\n');
    }
}

fn escape(bytes: &[u8], buffer: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(position) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r')) {
        let (clean, special) = rest.split_at(position);
        buffer.extend_from_slice(clean);
        let (code, tail) = match special {
            [b'\t', tail @ ..] => (b't', tail),
            [b'\n', tail @ ..] => (b'n', tail),
            [b'\r', tail @ ..] => (b'r', tail),
            [_, tail @ ..] => (b'\\', tail),
            [] => break,
        };
        buffer.extend_from_slice(&[b'\\', code]);
        rest = tail;
    }
    buffer.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_would_read_otherwise_is_escaped() {
        let mut buffer = Vec::new();
        escape("a\\N\t\r\n\\.é".as_bytes(), &mut buffer);
        assert_eq!(String::from_utf8(buffer).unwrap(), r"a\\N\t\r\n\\.é");
    }

    #[test]
    fn a_row_is_a_line() {
        let mut row = TargetRow::new(Table::Legacy);
        row.set("video_id", Some("\\N".into()));
        row.set("agreed", Some(String::new()));
        let mut buffer = Vec::new();
        row.encode(&mut buffer);
        let line = String::from_utf8(buffer).unwrap();
        let values: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
        assert_eq!(values.len(), SUMMARIES.columns.len());
        assert_eq!((values[0], values[1], values[values.len() - 1]), (r"\\N", r"\N", ""));
    }
}
