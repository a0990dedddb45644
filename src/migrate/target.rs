//! Rows into PostgreSQL: what is there is looked up and locked, what is new goes by COPY, what changed by COPY into a
//! temporary table and one UPDATE. If a batch is refused it is halved, until the row that is to blame stands alone.

use std::collections::HashMap;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Postgres, Row as _, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::cell::hex;
use super::judge::{Agreement, REMEMBERED, Side, Verdict, judge};
use super::layout::Layout;
use super::row::{Digest, Key, Table};
use super::source::Sourced;
use super::stored::{self, Stored};
use super::timestamp;
use super::tombstones::{self, Buried, Fate, Record, written};
use crate::pg::{code, constant_sql};

/// Bytes that one message of a COPY carries, so that the server parses while more is on the way.
const COPY_CHUNK: usize = 128 * 1024;

const WRITTEN_SINCE: &str = "it was deleted in PostgreSQL and written in SQLite after that";

/// What became of a row.
pub(super) enum Outcome {
    /// It was not there.
    Inserted(Sourced),
    /// It was there and took the source's values.
    Updated(Sourced),
    /// It was there and equal.
    Unchanged(Sourced),
    /// It was there, is the newer one, and stays.
    Kept(Sourced),
    /// It was there, stays, and someone must decide.
    Conflict(Sourced, &'static str),
    /// Its record was deleted; `by_name` if that says one of its names only.
    Tombstoned { row: Sourced, by_name: bool },
    /// PostgreSQL refuses it.
    Refused {
        row: Sourced,
        reason: String,
        /// Whether another row has a value of its that must be unique.
        taken: bool,
    },
}

/// Rows of one batch, by what is to be done with them.
#[derive(Default)]
struct Sorted {
    new: Vec<Sourced>,
    changed: Vec<(Sourced, Stored)>,
    agreed: Vec<Sourced>,
    done: Vec<Outcome>,
}

/// Writes one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    pub(super) table: Table,
    /// Whether nothing was there when the copy began: rows are then taken for new until PostgreSQL says otherwise.
    pub(super) empty: bool,
    pub(super) overwrite: bool,
}

/// The temporary tables that changed rows go through; they live as long as the connection.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A writer that never ends must not hold a copy, nor those that wait for it, for ever.
    connection.execute(sqlx::raw_sql("SET lock_timeout = '60s'")).await?;
    for table in [Table::Content, Table::Variants] {
        let layout = Layout::of(table);
        let sql = format!(
            "CREATE TEMP TABLE IF NOT EXISTS incoming_{0} ON COMMIT DELETE ROWS AS SELECT {1}, agreed_before FROM {0} \
             WITH NO DATA",
            layout.table,
            layout.list("")
        );
        connection.execute(constant_sql(sql)).await?;
    }
    Ok(())
}

/// Whether nothing was deleted yet.
pub(super) async fn none_deleted(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM tombstones)").fetch_one(connection).await
}

/// Whether neither a row of the table is there nor a deleted one must be thought of.
pub(super) async fn is_empty(connection: &mut PgConnection, table: Table) -> Result<bool, sqlx::Error> {
    let sql = match table {
        Table::Content => {
            "SELECT NOT EXISTS (SELECT 1 FROM content) AND NOT EXISTS (SELECT 1 FROM tombstones)"
        }
        Table::Legacy => "SELECT NOT EXISTS (SELECT 1 FROM content_summaries WHERE legacy)",
        Table::Variants => "SELECT NOT EXISTS (SELECT 1 FROM content_summaries WHERE NOT legacy)",
    };
    sqlx::query_scalar(sql).fetch_one(connection).await
}

// === impl Writer ===

impl Writer {
    /// Stores rows and says what became of each; an error is one that no row is to blame for. Before rows that are there
    /// are changed `turn` is taken, into `held`, to be kept until the transaction ends.
    pub(super) async fn store<'a>(
        self,
        transaction: &mut Transaction<'_, Postgres>,
        rows: Vec<Sourced>,
        turn: &'a Mutex<()>,
        held: &mut Option<MutexGuard<'a, ()>>,
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut empty = self.empty;
        // What is still to be stored, the first rows last.
        let mut parts = vec![rows];
        while let Some(mut rows) = parts.pop() {
            if rows.is_empty() {
                continue;
            }
            let mut sorted =
                if empty { Sorted::new(rows) } else { self.sort(transaction, rows, held.is_some()).await? };
            if held.is_none() && !(sorted.changed.is_empty() && sorted.agreed.is_empty()) {
                // The turn comes before the locks: who waits for it holds nothing that others wait for.
                *held = Some(turn.lock().await);
                let rows = sorted.take_back(&mut outcomes);
                sorted = self.sort(transaction, rows, true).await?;
            }
            let mut savepoint = transaction.begin().await?;
            match self.write(&mut savepoint, &sorted).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    outcomes.append(&mut sorted.finish());
                }
                Err(error) if blames_row(&error) => {
                    savepoint.rollback().await?;
                    rows = sorted.take_back(&mut outcomes);
                    if std::mem::take(&mut empty) {
                        parts.push(rows);
                        continue;
                    }
                    if let [_] = rows.as_slice() {
                        outcomes.extend(rows.into_iter().map(|row| refused(row, &error)));
                        continue;
                    }
                    let second = rows.split_off(rows.len() / 2);
                    parts.extend([second, rows]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    /// Looks up what is there, locked if anything may be changed.
    async fn sort(
        self,
        transaction: &mut Transaction<'_, Postgres>,
        rows: Vec<Sourced>,
        lock: bool,
    ) -> Result<Sorted, sqlx::Error> {
        let keys: Vec<&Key> = rows.iter().map(|row| &row.key).collect();
        let mut present = stored::find(transaction, self.table, &keys, lock).await?;
        let absent: Vec<&Sourced> = rows.iter().filter(|row| !present.contains_key(&row.key)).collect();
        let buried = match self.table {
            Table::Content => buried(transaction, self.table, &absent).await?,
            // Summaries have their records, else they were not here.
            Table::Legacy | Table::Variants => Buried::default(),
        };
        let mut sorted = Sorted::default();
        for row in rows {
            match present.remove(&row.key) {
                None => match buried.fate(self.table, &row.key.record, written(&row.row)) {
                    Fate::Alive => sorted.new.push(row),
                    Fate::Deleted => {
                        let by_name = buried.is_by_name(&row.key.record);
                        sorted.done.push(Outcome::Tombstoned { row, by_name });
                    }
                    Fate::WrittenSince => sorted.done.push(Outcome::Conflict(row, WRITTEN_SINCE)),
                    Fate::DeletedAsAnother => {
                        let reason = "its video was deleted as another record".to_owned();
                        sorted.done.push(Outcome::Refused { row, reason, taken: false });
                    }
                },
                Some(stored) => sorted.judged(self, row, stored),
            }
        }
        Ok(sorted)
    }

    async fn write(self, connection: &mut PgConnection, sorted: &Sorted) -> Result<(), sqlx::Error> {
        let layout = Layout::of(self.table);
        if !sorted.changed.is_empty() {
            let mut data = Vec::new();
            for (row, stored) in &sorted.changed {
                row.target.encode(&mut data);
                // The line's end makes room for one column more.
                data.pop();
                data.push(b'\t');
                data.extend_from_slice(remembered(stored).as_bytes());
                data.push(b'\n');
            }
            let columns = format!("{}, agreed_before", layout.list(""));
            copy(connection, &format!("COPY incoming_{} ({columns}) FROM STDIN", layout.table), &data)
                .await?;
            connection.execute(constant_sql(update(layout))).await?;
            connection.execute(constant_sql(format!("TRUNCATE incoming_{}", layout.table))).await?;
        }
        if !sorted.new.is_empty() {
            let mut data = Vec::new();
            for row in &sorted.new {
                row.target.encode(&mut data);
            }
            copy(connection, &format!("COPY {} ({}) FROM STDIN", layout.table, layout.list("")), &data)
                .await?;
        }
        let agreed: Vec<(&Key, Digest)> = sorted.agreed.iter().map(|row| (&row.key, row.digest)).collect();
        agree(connection, self.table, &agreed).await
    }
}

/// Notes that both stores have these rows alike, where that is news.
pub(super) async fn agree(
    connection: &mut PgConnection,
    table: Table,
    rows: &[(&Key, Digest)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let (from, same) = match table {
        Table::Content => ("content s", "s.id = a.record"),
        Table::Legacy => (
            "content_summaries s",
            "s.legacy AND s.video_id = (SELECT c.video_id FROM content c WHERE c.id = a.record)",
        ),
        Table::Variants => (
            "content_summaries s",
            "s.video_id = a.record AND s.variant = a.variant AND s.revision = a.revision",
        ),
    };
    // updated_at is set to itself, or its trigger would.
    let sql = format!(
        "UPDATE {from} SET updated_at = s.updated_at, agreed = a.digest, agreed_before = CASE \
            WHEN s.agreed IS NULL THEN s.agreed_before ELSE (s.agreed || coalesce(s.agreed_before, '{{}}'))[1:{REMEMBERED}] END \
         FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[]) AS a(record, variant, revision, digest) \
         WHERE {same} AND s.agreed IS DISTINCT FROM a.digest"
    );
    sqlx::query(constant_sql(sql))
        .bind(rows.iter().map(|(key, _)| key.record.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(key, _)| key.variant.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(key, _)| key.revision).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, digest)| digest.0.to_vec()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, statement: &str, data: &[u8]) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for chunk in data.chunks(COPY_CHUNK) {
        copy.send(chunk).await?;
    }
    copy.finish().await.map(|_| ())
}

/// Every column takes the incoming value.
fn update(layout: &Layout) -> String {
    let columns = format!("{}, agreed_before", layout.list(""));
    let values = format!("{}, i.agreed_before", layout.list("i."));
    let same: Vec<String> = layout.key.iter().map(|name| format!("t.{name} = i.{name}")).collect();
    format!(
        "UPDATE {table} t SET ({columns}) = ROW({values}) FROM incoming_{table} i WHERE {}",
        same.join(" AND "),
        table = layout.table
    )
}

/// The agreements before the one to come, as COPY takes an array of bytea.
fn remembered(stored: &Stored) -> String {
    let all = stored.agreed.iter().chain(&stored.before).take(REMEMBERED);
    let digests: Vec<String> = all.map(|digest| format!("\"\\\\\\\\x{}\"", hex(&digest.0))).collect();
    format!("{{{}}}", digests.join(","))
}

/// Whether a row's values are at fault: bad or too large a value, a constraint, two rows that are one, a trigger's word.
pub(crate) fn blames_row(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| matches!(code.get(..2), Some("21" | "22" | "23" | "44" | "54" | "P0")))
}

fn refused(row: Sourced, error: &sqlx::Error) -> Outcome {
    let message =
        error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let taken = code(error).as_deref() == Some("23505");
    Outcome::Refused { row, reason: format!("PostgreSQL refuses it: {message}"), taken }
}

// === impl Sorted ===

impl Sorted {
    fn new(rows: Vec<Sourced>) -> Self {
        Self { new: rows, ..Self::default() }
    }

    fn judged(&mut self, writer: Writer, row: Sourced, stored: Stored) {
        let updated_at = row.row.cell("updated_at").plain().as_deref().and_then(timestamp::instant);
        let incoming = Side { row: &row.row, digest: row.digest, updated_at };
        let present = Side { row: &stored.row, digest: stored.digest, updated_at: stored.updated_at };
        let agreement = Agreement { last: stored.agreed, before: &stored.before };
        match judge(writer.table, incoming, present, agreement, writer.overwrite) {
            Verdict::Same if stored.agreed == Some(row.digest) => self.done.push(Outcome::Unchanged(row)),
            Verdict::Same => self.agreed.push(row),
            Verdict::Replace => self.changed.push((row, stored)),
            Verdict::Stay => self.done.push(Outcome::Kept(row)),
            Verdict::Conflict(why) => self.done.push(Outcome::Conflict(row, why)),
        }
    }

    fn finish(self) -> Vec<Outcome> {
        let mut done = self.done;
        done.extend(self.new.into_iter().map(Outcome::Inserted));
        done.extend(self.changed.into_iter().map(|(row, _)| Outcome::Updated(row)));
        done.extend(self.agreed.into_iter().map(Outcome::Unchanged));
        done
    }

    /// The rows that are still to be written, in the order they came as far as it matters: a value that two of them
    /// want goes to the first.
    fn take_back(self, outcomes: &mut Vec<Outcome>) -> Vec<Sourced> {
        outcomes.extend(self.done);
        let changed = self.changed.into_iter().map(|(row, _)| row);
        let mut rows: Vec<Sourced> = changed.chain(self.agreed).chain(self.new).collect();
        rows.sort_by_key(|row| row.nth);
        rows
    }
}

/// Sets the video ids of summaries' records; gives back the rows whose record is not stored.
pub(super) async fn find_records(
    transaction: &mut Transaction<'_, Postgres>,
    table: Table,
    rows: Vec<Sourced>,
) -> Result<(Vec<Sourced>, Vec<Sourced>), sqlx::Error> {
    let sql = match table {
        Table::Content => return Ok((rows, Vec::new())),
        Table::Legacy => "SELECT id, video_id FROM content WHERE id = ANY($1)",
        Table::Variants => {
            "SELECT video_id, video_id FROM content WHERE video_id = ANY($1) AND NOT video_id_absent"
        }
    };
    let names: Vec<&str> = rows.iter().map(|row| row.key.record.as_str()).collect();
    let found = sqlx::query(sql).bind(names).fetch_all(&mut **transaction).await?;
    let mut records = HashMap::with_capacity(found.len());
    for row in &found {
        records.insert(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
    }
    let (mut with, mut without) = (Vec::with_capacity(rows.len()), Vec::new());
    for mut row in rows {
        match records.get(&row.key.record) {
            Some(video_id) => {
                row.target.set("video_id", Some(video_id.clone()));
                with.push(row);
            }
            None => without.push(row),
        }
    }
    Ok((with, without))
}

/// What is known of the deletion of these rows' records.
pub(super) async fn buried(
    connection: &mut PgConnection,
    table: Table,
    rows: &[&Sourced],
) -> Result<Buried, sqlx::Error> {
    let record = |row: &&Sourced| Record::new(table, &row.key.record, video(row));
    tombstones::buried(connection, &rows.iter().map(record).collect::<Vec<_>>()).await
}

/// The video that a row of `content` has.
pub(super) fn video(row: &Sourced) -> Option<&str> {
    row.row.cell("video_id").clean_text().filter(|text| !text.is_empty())
}
