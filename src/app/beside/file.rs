//! A SQLite library, looked at on a connection that is kept: whether it is another file, what it holds.

use std::collections::HashSet;
use std::time::SystemTime;

use rusqlite::Connection;

use super::back::Dead;
use super::course::{Counts, Course};
use crate::backend::{Backend, StoreFile};
use crate::dashboard;
use crate::metrics::DataEvent;
use crate::migrate::{escaped, instant};

/// One side's file, if it is one.
#[derive(Debug, Default)]
pub(super) struct Library {
    file: Option<StoreFile>,
    connection: Option<Connection>,
    /// What the counts are of.
    version: Option<Version>,
    counts: Option<Counts>,
    course: Course,
    /// Whether it is another file since it was counted.
    replaced: bool,
    /// Whether it changed since it was looked through for deleted records.
    changed: bool,
}

/// SQLite's count of other connections' commits, and when the disk says that the file changed.
type Version = (i64, Option<SystemTime>);

// === impl Library ===

impl Library {
    /// What happened to it since the last look.
    pub(super) fn look(&mut self, backend: &dyn Backend, own: u64) -> Vec<(DataEvent, String)> {
        let mut found = Vec::new();
        // One that is gone is about to be replaced, or the backend is no file.
        let Some(file) = backend.file() else { return found };
        if self.file.as_ref() != Some(&file) {
            let is_first = self.file.is_none();
            let what = format!("{} was replaced (inode {})", file.path.display(), file.identity.1);
            self.file = Some(file);
            (self.connection, self.version) = (None, None);
            if !is_first {
                self.replaced = true;
                found.push((DataEvent::Replaced, escaped(&what)));
            }
        }
        match self.counted(backend.changed_at()) {
            Ok(Some(now)) => {
                let went_back = self.course.judge(now, own, std::mem::take(&mut self.replaced));
                found.extend(went_back.map(|what| {
                    let name = self.name();
                    (DataEvent::Backwards, format!("{name} went back: {what}"))
                }));
            }
            Ok(None) => {}
            Err(why) => {
                tracing::debug!(why, "the library cannot be looked at now");
                // A connection that failed may be of a file that is half written.
                self.connection = None;
            }
        }
        found
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.file.as_ref().map_or_else(String::new, |file| escaped(&file.path.display().to_string()))
    }

    /// Whether it changed since this was asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Says that it is to be looked through, if it is not already.
    pub(super) fn changed(&mut self, changed: bool) {
        self.changed |= changed;
    }

    /// Which of the deleted records it has; none if that cannot be told now.
    pub(super) fn those_of(&self, dead: &[Dead]) -> Option<Vec<String>> {
        there(self.connection.as_ref()?, dead).ok()
    }

    fn counted(&mut self, changed_at: Option<SystemTime>) -> Result<Option<Counts>, String> {
        let Some(file) = &self.file else { return Ok(None) };
        let open = || dashboard::read_only(&file.path).map_err(|error| error.0);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open()?,
        };
        let commits = |connection: &Connection| {
            let commits = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
            commits.map_err(|error| error.to_string())
        };
        // Before it is counted: what is written meanwhile is another version.
        let mut version: Version = (commits(&connection)?, changed_at);
        if self.version.is_some_and(|known| known.0 == version.0 && known.1 != version.1) {
            // Where the file can only be read as immutable, SQLite would not look at it again.
            connection = open()?;
            version.0 = commits(&connection)?;
        }
        if self.version != Some(version) || self.counts.is_none() {
            self.counts = Some(counts(&connection).map_err(|error| error.to_string())?);
            self.version = Some(version);
            self.changed = true;
        }
        self.connection = Some(connection);
        Ok(self.counts)
    }
}

fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let has = |column: &str| has(connection, column);
    let curated = if has("subcategories_json")? { "subcategories_json LIKE '%subcategories%'" } else { "0" };
    // A T between date and time sorts after a space.
    let latest = |column: &str| -> rusqlite::Result<String> {
        Ok(if has(column)? { format!("max(replace({column}, 'T', ' '))") } else { "NULL".to_owned() })
    };
    let (indexed, updated) = (latest("indexed_at")?, latest("updated_at")?);
    let sql = format!("SELECT count(*), coalesce(sum({curated}), 0), {indexed}, {updated} FROM content");
    connection.query_row(&sql, [], |row| {
        let time = |place| row.get_ref(place).ok()?.as_str().ok().and_then(micros);
        let count = |place| row.get(place).map(|count: i64| u64::try_from(count).unwrap_or(0));
        Ok(Counts { records: count(0)?, curated: count(1)?, newest: time(2).max(time(3)) })
    })
}

fn has(connection: &Connection, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('content') WHERE lower(name) = ?1)";
    connection.prepare_cached(sql)?.query_row([column], |row| row.get(0))
}

fn micros(text: &str) -> Option<i64> {
    let at = instant(text)?.parse::<chrono::DateTime<chrono::Utc>>().ok()?;
    Some(at.timestamp_micros())
}

fn there(connection: &Connection, dead: &[Dead]) -> rusqlite::Result<Vec<String>> {
    if dead.is_empty() || !has(connection, "id")? {
        return Ok(Vec::new());
    }
    let videos: HashSet<&str> = dead.iter().filter_map(|dead| dead.video.as_deref()).collect();
    let mut ids: HashSet<String> = dead.iter().map(|dead| dead.id.clone()).collect();
    ids.extend(videos.iter().flat_map(|video| [(*video).to_owned(), format!("yt:{video}")]));
    // Two lists instead of a query a record: a library whose ids have no index is read once.
    let (video, of_video) = match has(connection, "video_id")? {
        true => ("video_id", " OR video_id IN (SELECT value FROM json_each(?2))"),
        false => ("NULL", " OR ?2 IS NULL"),
    };
    let sql =
        format!("SELECT id, {video} FROM content WHERE id IN (SELECT value FROM json_each(?1)){of_video}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows =
        statement.query([serde_json::json!(ids).to_string(), serde_json::json!(videos).to_string()])?;
    let (mut found_ids, mut found_videos) = (HashSet::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        found_ids.extend(row.get_ref(0)?.as_str().ok().map(str::to_owned));
        found_videos.extend(row.get_ref(1)?.as_str().ok().map(str::to_owned));
    }
    let is_there = |dead: &&Dead| {
        let by_name = |video: &String| {
            found_videos.contains(video)
                || found_ids.contains(video)
                || found_ids.contains(&format!("yt:{video}"))
        };
        found_ids.contains(&dead.id) || dead.video.as_ref().is_some_and(by_name)
    };
    Ok(dead.iter().filter(is_there).map(|dead| dead.id.clone()).collect())
}
