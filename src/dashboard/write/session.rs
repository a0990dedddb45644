//! What a store does for a write, inside its transaction.

use std::future::Future;

use crate::migrate::row::{Row, Table};

use super::{Made, Stamp};

/// A row as the store has it.
#[derive(Debug)]
pub(super) struct Found<P> {
    pub(super) row: Row,
    /// Where it is, for the store.
    pub(super) place: P,
}

/// Rows by revision.
pub(super) type Revisions<P> = Vec<(i32, Found<P>)>;

/// A record by its names, and where it is.
#[derive(Debug)]
pub(super) struct Named<P> {
    pub(super) id: String,
    pub(super) video_id: Option<String>,
    pub(super) place: P,
}

/// What holds a deleted record, and its time in microseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Tombstone {
    pub(super) id: String,
    pub(super) video_id: Option<String>,
    pub(super) deleted_at: i64,
    /// Whether nothing was there.
    pub(super) named: bool,
}

/// A write that was there before.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) status: i32,
    pub(super) effect: Option<String>,
    pub(super) answer: String,
}

/// Why the transaction cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Postgres(#[from] sqlx::Error),
}

/// A transaction of a store.
pub(super) trait Session: Send {
    type Place: Copy + Send + Sync;

    /// Whether summaries without a record can be there.
    const HAS_ORPHANS: bool;

    /// Inserts the write's id; what is remembered of it if it is there.
    fn claim(&mut self, stamp: &Stamp) -> impl Future<Output = Result<Option<Remembered>, Failure>> + Send;

    /// Notes what was made of the claimed write.
    fn remember(&mut self, stamp: &Stamp, made: &Made) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Waits for other writes of what is folded to the same name.
    fn lock(&mut self, name: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The record with this id.
    fn by_id(&mut self, id: &str)
    -> impl Future<Output = Result<Option<Found<Self::Place>>, Failure>> + Send;

    /// The first record of this video.
    fn by_video(
        &mut self,
        video_id: &str,
    ) -> impl Future<Output = Result<Option<Found<Self::Place>>, Failure>> + Send;

    /// The legacy summary of the record with this id.
    fn legacy(
        &mut self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Found<Self::Place>>, Failure>> + Send;

    /// All revisions of a variant, the first of each number, by number.
    fn revisions(
        &mut self,
        video_id: &str,
        variant: &str,
    ) -> impl Future<Output = Result<Revisions<Self::Place>, Failure>> + Send;

    fn insert(&mut self, table: Table, row: &Row) -> impl Future<Output = Result<(), Failure>> + Send;

    fn update(
        &mut self,
        table: Table,
        place: Self::Place,
        row: &Row,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Records with one of these ids or video ids.
    fn named(
        &mut self,
        ids: &[String],
        video_ids: &[String],
    ) -> impl Future<Output = Result<Vec<Named<Self::Place>>, Failure>> + Send;

    /// Deletes records with their summaries.
    fn delete(&mut self, records: &[Named<Self::Place>]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Tombstones by this id or video id.
    fn tombstones(
        &mut self,
        id: &str,
        video_id: &str,
    ) -> impl Future<Output = Result<Vec<Tombstone>, Failure>> + Send;

    /// Takes tombstones away.
    fn clear(&mut self, stones: &[Tombstone]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes tombstones, over those of the same ids; one by name says nothing of what a former one knows of a record.
    fn bury(&mut self, stones: &[Tombstone], by: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}
