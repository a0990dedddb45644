//! Samples of all replicas, bounded by bytes, and the numbers from which replicas make their ids.

use sqlx::Connection as _;

use super::text::storable;
use super::{SharedError, SharedStore};

/// The advisory lock under which samples are added: "samples" as a number.
const LOCK: i64 = 0x0073_616d_706c_6573;
const KEEP: &str = "INSERT INTO flipgate.samples (id, document) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET document = EXCLUDED.document";
/// All that came before the newest `$1` bytes.
const EVICT: &str = "DELETE FROM flipgate.samples WHERE id IN (SELECT id FROM (SELECT id, \
        sum(octet_length(document)) OVER (ORDER BY arrival DESC) AS bytes FROM flipgate.samples) AS counted \
    WHERE bytes > $1) RETURNING id";

impl SharedStore {
    /// Keeps a sample, in place of one of the same id; returns the ids of those that had to go, the oldest first out, so
    /// that all together have at most 64 MiB. One that is larger by itself is among them.
    ///
    /// # Errors
    /// [`SharedError`]; to keep it again is harmless.
    pub async fn keep_sample(&self, id: i64, document: &str) -> Result<Vec<i64>, SharedError> {
        let document = storable(document);
        let most = self.inner.bounds.sample_bytes;
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = connection.begin().await?;
                // One at a time: two would each not count what the other adds.
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
                sqlx::query(KEEP).bind(id).bind(&*document).execute(&mut *transaction).await?;
                let evicted = sqlx::query_scalar(EVICT).bind(most).fetch_all(&mut *transaction).await?;
                transaction.commit().await?;
                Ok(evicted)
            })
            .await
    }

    /// A sample, if it is still kept.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn sample(&self, id: i64) -> Result<Option<String>, SharedError> {
        self.inner
            .connections
            .run(async |connection| {
                sqlx::query_scalar("SELECT document FROM flipgate.samples WHERE id = $1")
                    .bind(id)
                    .fetch_optional(connection)
                    .await
            })
            .await
    }

    /// A small number that no replica has got before.
    ///
    /// # Errors
    /// [`SharedError`]; a number may be lost.
    pub async fn next_replica(&self) -> Result<i64, SharedError> {
        self.inner
            .connections
            .run(async |connection| {
                sqlx::query_scalar("SELECT nextval('flipgate.replicas')").fetch_one(connection).await
            })
            .await
    }
}
