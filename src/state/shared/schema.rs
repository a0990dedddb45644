//! `migrations/state/`, embedded; applied where anything of it is missing.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use super::{SharedError, SharedStore};

const STATE: &str = include_str!("../../../migrations/state/0001_state.sql");
/// The advisory lock under which the schema is made: "flipgate" as a number.
const LOCK: i64 = 0x666c_6970_6761_7465;

impl SharedStore {
    /// Makes the schema and what is in it, where they are missing. Several replicas may do so at once. A role that may
    /// not make schemas needs one named `flipgate` that is its own; one that may only use what is there changes nothing.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn prepare(&self) -> Result<(), SharedError> {
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = connection.begin().await?;
                // Two that make the same table at once fail, "if not exists" or not.
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
                if !is_complete(&mut transaction).await? {
                    transaction.execute(sqlx::raw_sql(STATE)).await?;
                }
                number_anew(&mut transaction).await?;
                transaction.commit().await
            })
            .await
    }
}

/// Whether all is there, so that a role that may not make tables is not asked to.
async fn is_complete(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT bool_and(to_regclass('flipgate.' || name) IS NOT NULL) FROM unnest(ARRAY['record', 'audit', \
         'judgements', 'evidence', 'evidence_tx', 'findings', 'findings_tx', 'samples', 'replicas']) AS name",
    )
    .fetch_one(connection)
    .await
}

/// Gives numbers of this server's transactions to rows that were restored from a dump of another one: theirs would be
/// those of transactions to come, and such rows be new to every reader for ever.
async fn number_anew(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for sql in [
        "UPDATE flipgate.evidence SET tx = DEFAULT WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())",
        "UPDATE flipgate.findings SET tx = DEFAULT WHERE tx >= pg_snapshot_xmax(pg_current_snapshot())",
    ] {
        sqlx::query(sql).execute(&mut *connection).await?;
    }
    Ok(())
}
