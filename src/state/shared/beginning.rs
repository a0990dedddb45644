//! What a flipgate knew before it had other replicas.

use super::audit::{add, begin_durable};
use super::record::notify;
use super::text::storable;
use super::{SharedError, SharedStore};
use crate::state::AuditEntry;

/// The advisory lock under which one replica begins: "begin" as a number.
const LOCK: i64 = 0x0062_6567_696e;
const IS_EMPTY: &str =
    "SELECT NOT EXISTS (SELECT FROM flipgate.judgements) AND NOT EXISTS (SELECT FROM flipgate.audit)";
const JUDGE: &str = "INSERT INTO flipgate.judgements (finding, document) \
    SELECT DISTINCT ON (finding) finding, document FROM unnest($1::text[], $2::text[]) AS given (finding, document)";

impl SharedStore {
    /// Stores what one replica had accepted, and its audit (oldest first), where no replica has stored any yet; says
    /// whether it did.
    ///
    /// # Errors
    /// [`SharedError`]; to do it again is harmless.
    pub async fn begin(
        &self,
        judgements: &[(String, String)],
        audit: &[AuditEntry],
    ) -> Result<bool, SharedError> {
        let ids: Vec<String> = judgements.iter().map(|(id, _)| storable(id).into_owned()).collect();
        let documents: Vec<&str> = judgements.iter().map(|(_, document)| &**document).collect();
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = begin_durable(connection).await?;
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
                let is_empty: bool = sqlx::query_scalar(IS_EMPTY).fetch_one(&mut *transaction).await?;
                if !is_empty {
                    transaction.rollback().await?;
                    return Ok(false);
                }
                sqlx::query(JUDGE).bind(&ids).bind(&documents).execute(&mut *transaction).await?;
                add(&mut transaction, audit).await?;
                notify(&mut transaction, "begun").await?;
                transaction.commit().await.map(|()| true)
            })
            .await
    }
}
