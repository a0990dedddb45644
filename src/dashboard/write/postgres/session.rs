//! What a write does inside its transaction in PostgreSQL.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool, PgRow};

use crate::dashboard::write::record::spelt;
use crate::dashboard::write::session::{Failure, Found, Named, Remembered, Revisions, Session, Tombstone};
use crate::dashboard::write::{Fate, Made, Stamp};
use crate::migrate::row::{Key, Row, Table};
use crate::migrate::single::Types;
use crate::migrate::stored;
use crate::pg::constant_sql;

const REMEMBERED: &str = "SELECT status, effect, answer FROM flipgate_writes WHERE id = $1";

/// One transaction.
pub(super) struct Open<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) types: &'a Types,
}

/// What became of a write; one that was not applied never will be: the key makes this wait for a transaction that is
/// about to apply it, and that one fail or find this.
pub(super) async fn settle(pool: &PgPool, id: &str) -> Result<Fate, sqlx::Error> {
    let sql = "INSERT INTO flipgate_writes (id, at, status) VALUES ($1, $2::timestamptz, 0) ON CONFLICT (id) DO NOTHING";
    sqlx::query(sql).bind(id).bind(spelt(Utc::now())).execute(pool).await?;
    let row = sqlx::query(REMEMBERED).bind(id).fetch_one(pool).await?;
    Ok(remembered(&row)?.fate())
}

fn remembered(row: &PgRow) -> Result<Remembered, sqlx::Error> {
    Ok(Remembered { status: row.try_get(0)?, effect: row.try_get(1)?, answer: row.try_get(2)? })
}

// === impl Open ===

impl Open<'_> {
    /// Locked rows that meet a condition, in the order of their keys.
    async fn select(
        &mut self,
        table: Table,
        condition: &str,
        values: &[&str],
    ) -> Result<Vec<(Key, Found<()>)>, Failure> {
        let alias = if table == Table::Content { "c" } else { "s" };
        let sql = format!(
            "{} AND {condition} ORDER BY {} FOR UPDATE OF {alias}",
            stored::select(table),
            stored::key_order(table)
        );
        let mut query = sqlx::query(constant_sql(sql));
        for value in values {
            query = query.bind(*value);
        }
        let rows = query.fetch_all(&mut *self.connection).await?;
        let read =
            |row| stored::read(table, row).map(|stored| (stored.key, Found { row: stored.row, place: () }));
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    async fn first(
        &mut self,
        table: Table,
        condition: &str,
        value: &str,
    ) -> Result<Option<Found<()>>, Failure> {
        // Mostly there is none, and reading all columns of none takes the server several times as long.
        let (table_name, alias) = match table {
            Table::Content => ("content", "c"),
            Table::Legacy | Table::Variants => return self.first_of(table, condition, value).await,
        };
        let sql = format!("SELECT 1 FROM {table_name} {alias} WHERE {condition}");
        let is_there =
            sqlx::query(constant_sql(sql)).bind(value).fetch_optional(&mut *self.connection).await?;
        if is_there.is_none() { Ok(None) } else { self.first_of(table, condition, value).await }
    }

    async fn first_of(
        &mut self,
        table: Table,
        condition: &str,
        value: &str,
    ) -> Result<Option<Found<()>>, Failure> {
        let found = self.select(table, condition, &[value]).await?;
        Ok(found.into_iter().next().map(|(_, found)| found))
    }
}

impl Session for Open<'_> {
    type Place = ();

    // Their foreign key forbids it.
    const HAS_ORPHANS: bool = false;

    async fn claim(&mut self, stamp: &Stamp) -> Result<Option<Remembered>, Failure> {
        let sql = "INSERT INTO flipgate_writes (id, at, status) VALUES ($1, $2::timestamptz, -1) ON CONFLICT (id) DO NOTHING";
        let inserted =
            sqlx::query(sql).bind(&stamp.id).bind(spelt(stamp.at)).execute(&mut *self.connection).await?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        let row = sqlx::query(REMEMBERED).bind(&stamp.id).fetch_one(&mut *self.connection).await?;
        Ok(Some(remembered(&row)?))
    }

    async fn remember(&mut self, stamp: &Stamp, made: &Made) -> Result<(), Failure> {
        let sql = "UPDATE flipgate_writes SET status = $2, effect = $3, answer = $4 WHERE id = $1";
        let status = i32::from(made.status.as_u16());
        let query = sqlx::query(sql).bind(&stamp.id).bind(status).bind(&made.effect).bind(&made.answer);
        query.execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn lock(&mut self, name: &str) -> Result<(), Failure> {
        // Two writes of one new record have no row yet that one could wait for. The number is flipgate's among others'.
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 736127005))";
        sqlx::query(sql).bind(name).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn by_id(&mut self, id: &str) -> Result<Option<Found<()>>, Failure> {
        self.first(Table::Content, "c.id = $1", id).await
    }

    async fn by_video(&mut self, video_id: &str) -> Result<Option<Found<()>>, Failure> {
        self.first(Table::Content, "c.video_id = $1 AND NOT c.video_id_absent", video_id).await
    }

    async fn legacy(&mut self, id: &str) -> Result<Option<Found<()>>, Failure> {
        self.first(Table::Legacy, "c.id = $1", id).await
    }

    async fn revisions(&mut self, video_id: &str, variant: &str) -> Result<Revisions<()>, Failure> {
        let found =
            self.select(Table::Variants, "s.video_id = $1 AND s.variant = $2", &[video_id, variant]).await?;
        Ok(found.into_iter().map(|(key, found)| (key.revision, found)).collect())
    }

    async fn insert(&mut self, table: Table, row: &Row) -> Result<(), Failure> {
        Ok(self.types.insert(&mut *self.connection, table, row).await?)
    }

    async fn update(&mut self, table: Table, _place: (), row: &Row) -> Result<(), Failure> {
        Ok(self.types.update(&mut *self.connection, table, row).await?)
    }

    async fn named(&mut self, ids: &[String], video_ids: &[String]) -> Result<Vec<Named<()>>, Failure> {
        let sql = "SELECT id, CASE WHEN video_id_absent THEN NULL ELSE video_id END FROM content \
            WHERE id = ANY($1) OR (video_id = ANY($2) AND NOT video_id_absent) ORDER BY id FOR UPDATE";
        let found: Vec<(String, Option<String>)> =
            sqlx::query_as(sql).bind(ids).bind(video_ids).fetch_all(&mut *self.connection).await?;
        Ok(found.into_iter().map(|(id, video_id)| Named { id, video_id, place: () }).collect())
    }

    async fn delete(&mut self, records: &[Named<()>]) -> Result<(), Failure> {
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        // Their summaries go with them.
        sqlx::query("DELETE FROM content WHERE id = ANY($1)")
            .bind(ids)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn tombstones(&mut self, id: &str, video_id: &str) -> Result<Vec<Tombstone>, Failure> {
        let sql = "SELECT id, video_id, floor(extract(epoch FROM deleted_at) * 1000000)::bigint, named \
            FROM tombstones WHERE id = $1 OR video_id = $2 ORDER BY id FOR UPDATE";
        let found: Vec<(String, Option<String>, i64, bool)> =
            sqlx::query_as(sql).bind(id).bind(video_id).fetch_all(&mut *self.connection).await?;
        let stone = |(id, video_id, deleted_at, named)| Tombstone { id, video_id, deleted_at, named };
        Ok(found.into_iter().map(stone).collect())
    }

    async fn clear(&mut self, stones: &[Tombstone]) -> Result<(), Failure> {
        let ids: Vec<&str> = stones.iter().map(|stone| stone.id.as_str()).collect();
        sqlx::query("DELETE FROM tombstones WHERE id = ANY($1)")
            .bind(ids)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn bury(&mut self, stones: &[Tombstone], by: &str) -> Result<(), Failure> {
        // Over what the trigger wrote: it knows neither the time of the write nor who asked for it.
        let sql = "INSERT INTO tombstones (id, video_id, deleted_at, deleted_by, named) \
            SELECT a.id, a.video_id, a.at::timestamptz, $4, a.named \
            FROM unnest($1::text[], $2::text[], $3::text[], $5::boolean[]) AS a(id, video_id, at, named) \
            ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, \
                video_id = CASE WHEN excluded.named THEN coalesce(tombstones.video_id, excluded.video_id) \
                    ELSE excluded.video_id END, \
                named = excluded.named AND tombstones.named";
        let at = |stone: &Tombstone| DateTime::from_timestamp_micros(stone.deleted_at).map(spelt);
        sqlx::query(sql)
            .bind(stones.iter().map(|stone| stone.id.as_str()).collect::<Vec<_>>())
            .bind(stones.iter().map(|stone| stone.video_id.as_deref()).collect::<Vec<_>>())
            .bind(stones.iter().map(at).collect::<Vec<_>>())
            .bind(by)
            .bind(stones.iter().map(|stone| stone.named).collect::<Vec<_>>())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
