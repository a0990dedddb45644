//! Records that were deleted from PostgreSQL and are not there again: what a copy must not bring back.

pub(crate) mod desk;

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgConnection;

use super::row::{Row, Table};
use super::timestamp;

/// What a row of SQLite calls its record, so that it can be looked up among the deleted.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) video: Option<String>,
}

/// The deleted ones of the records asked for, by name.
#[derive(Debug, Default)]
pub(crate) struct Buried {
    /// Deleted themselves, or by a name of theirs, and when (microseconds since 1970).
    by_id: HashMap<String, i64>,
    /// Those of `by_id` that a delete by name is about.
    by_name: HashSet<String>,
    /// Records of a video that was deleted, under whatever id.
    by_video: HashSet<String>,
}

/// How a record is among the deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Id,
    Name,
    Video,
}

/// Records that were deleted by one of their names, id and video, so that summaries which know the other one are found
/// to be theirs. A delete by id says both by itself.
#[derive(Debug, Default)]
pub(crate) struct DeletedByName {
    ids: HashSet<String>,
    videos: HashSet<String>,
}

/// What became of a row's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not deleted.
    Alive,
    /// It was deleted, and so is the row.
    Deleted,
    /// It was deleted, and written in SQLite after that.
    WrittenSince,
    /// Its video was deleted, as another record.
    DeletedAsAnother,
}

/// Looks records up.
pub(crate) async fn buried(connection: &mut PgConnection, records: &[Record]) -> Result<Buried, sqlx::Error> {
    if records.is_empty() {
        return Ok(Buried::default());
    }
    let found = sqlx::query_as::<_, (String, i64, i32)>(
        "WITH a AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS a(record, id, video)) \
         SELECT a.record, floor(extract(epoch FROM t.deleted_at) * 1000000)::bigint, 0 \
            FROM a JOIN tombstones t ON t.id = a.id WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = t.id) \
         UNION ALL SELECT a.record, floor(extract(epoch FROM t.deleted_at) * 1000000)::bigint, 1 \
            FROM a JOIN tombstones t ON t.named AND t.video_id IN (a.video, regexp_replace(a.id, '^yt:', '')) \
            WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = t.id OR c.video_id = t.video_id) \
         UNION ALL SELECT a.record, 0::bigint, 2 FROM a JOIN tombstones t ON t.video_id = a.video AND NOT t.named \
            WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.video_id = t.video_id)",
    )
    .bind(records.iter().map(|record| record.name.as_str()).collect::<Vec<_>>())
    .bind(records.iter().map(|record| record.id.as_deref()).collect::<Vec<_>>())
    .bind(records.iter().map(|record| record.video.as_deref()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut buried = Buried::default();
    for (name, deleted_at, how) in found {
        buried.add(name, deleted_at, How::of(how));
    }
    Ok(buried)
}

/// When a record says it was last written, in microseconds since 1970.
pub(crate) fn written(row: &Row) -> Option<i64> {
    let instant = |column: &&str| row.cell(column).plain().as_deref().and_then(timestamp::instant);
    ["indexed_at", "updated_at"].iter().filter_map(instant).max()
}

// === impl Record ===

impl Record {
    /// The record of a row that is known by `name`; `video` is that of a row of `content`.
    pub(crate) fn new(table: Table, name: &str, video: Option<&str>) -> Self {
        let name = name.to_owned();
        match table {
            Table::Content => Self { id: Some(name.clone()), video: video.map(str::to_owned), name },
            Table::Legacy => Self { id: Some(name.clone()), video: None, name },
            Table::Variants => Self { id: None, video: Some(name.clone()), name },
        }
    }
}

// === impl How ===

impl How {
    fn of(number: i32) -> Self {
        match number {
            0 => Self::Id,
            1 => Self::Name,
            _ => Self::Video,
        }
    }
}

// === impl Buried ===

impl Buried {
    fn add(&mut self, name: String, deleted_at: i64, how: How) {
        match how {
            How::Id => {}
            How::Name => {
                self.by_name.insert(name.clone());
            }
            How::Video => {
                self.by_video.insert(name);
                return;
            }
        }
        // Of several deletes the last one counts.
        let known = self.by_id.entry(name).or_insert(deleted_at);
        *known = deleted_at.max(*known);
    }

    /// Whether a delete by name is about a record.
    pub(crate) fn is_by_name(&self, name: &str) -> bool {
        self.by_name.contains(name)
    }

    /// What became of a row's record; `written` is when a row of `content` says it was.
    pub(crate) fn fate(&self, table: Table, name: &str, written: Option<i64>) -> Fate {
        match (self.by_id.get(name), table) {
            (Some(deleted_at), Table::Content) if written.is_some_and(|written| written > *deleted_at) => {
                Fate::WrittenSince
            }
            (Some(_), Table::Content | Table::Legacy | Table::Variants) => Fate::Deleted,
            (None, Table::Content | Table::Legacy) if self.by_video.contains(name) => Fate::DeletedAsAnother,
            (None, Table::Variants) if self.by_video.contains(name) => Fate::Deleted,
            (None, Table::Content | Table::Legacy | Table::Variants) => Fate::Alive,
        }
    }
}

// === impl DeletedByName ===

impl DeletedByName {
    /// Notes a record.
    pub(crate) fn note(&mut self, id: &str, video: Option<&str>) {
        self.ids.insert(id.to_owned());
        self.videos.extend(video.map(str::to_owned));
    }

    /// Whether a summary's record, as it is called there, is one of these.
    pub(crate) fn has(&self, table: Table, name: &str) -> bool {
        match table {
            Table::Content => false,
            Table::Legacy => self.ids.contains(name),
            Table::Variants => self.videos.contains(name),
        }
    }
}
