//! What operators accepted of findings.

use sqlx::postgres::PgConnection;

use super::audit::{add, begin_durable};
use super::record::notify;
use super::text::storable;
use super::{SharedError, SharedStore};
use crate::state::AuditEntry;

/// What those who listen are told; they read the judgements.
const JUDGED: &str = "judgement";

impl SharedStore {
    /// Stores what an operator accepted of a finding, or that it is open again, and why; the finding's own row says the
    /// same. One transaction, on the server's disk when this returns; all replicas that listen are told.
    ///
    /// # Errors
    /// [`SharedError`]; after [`SharedError::Unreachable`] it may have been done all the same. To do it again changes
    /// nothing but that the audit has it twice.
    pub async fn judge(
        &self,
        finding: &str,
        accepted: Option<&serde_json::Value>,
        entry: &AuditEntry,
    ) -> Result<(), SharedError> {
        let finding = storable(finding);
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = begin_durable(connection).await?;
                let judgement = match accepted {
                    Some(accepted) => sqlx::query(
                        "INSERT INTO flipgate.judgements (finding, document) VALUES ($1, $2) \
                         ON CONFLICT (finding) DO UPDATE SET document = EXCLUDED.document",
                    )
                    .bind(&*finding)
                    .bind(accepted.to_string()),
                    None => sqlx::query("DELETE FROM flipgate.judgements WHERE finding = $1").bind(&*finding),
                };
                judgement.execute(&mut *transaction).await?;
                let state = if accepted.is_some() { "accepted" } else { "open" };
                set_state(&mut transaction, &finding, state).await?;
                add(&mut transaction, std::slice::from_ref(entry)).await?;
                notify(&mut transaction, JUDGED).await?;
                transaction.commit().await
            })
            .await
    }

    /// Stores that a finding is open again, and why, if what is accepted of it is still what was accepted at `at` (the `at`
    /// of its document); says whether it was. Of several replicas that notice the same, one says so.
    ///
    /// # Errors
    /// [`SharedError`]; to say it again is harmless.
    pub async fn expire(&self, finding: &str, at: &str, entry: &AuditEntry) -> Result<bool, SharedError> {
        let finding = storable(finding);
        self.inner
            .connections
            .run(async |connection| {
                let mut transaction = begin_durable(connection).await?;
                let known: Option<String> = sqlx::query_scalar(
                    "SELECT document FROM flipgate.judgements WHERE finding = $1 FOR UPDATE",
                )
                .bind(&*finding)
                .fetch_optional(&mut *transaction)
                .await?;
                if known.is_none_or(|known| accepted_at(&known).as_deref() != Some(at)) {
                    transaction.rollback().await?;
                    return Ok(false);
                }
                sqlx::query("DELETE FROM flipgate.judgements WHERE finding = $1")
                    .bind(&*finding)
                    .execute(&mut *transaction)
                    .await?;
                set_state(&mut transaction, &finding, "open").await?;
                add(&mut transaction, std::slice::from_ref(entry)).await?;
                notify(&mut transaction, JUDGED).await?;
                transaction.commit().await.map(|()| true)
            })
            .await
    }

    /// What is accepted: the finding's id and the document given to [`SharedStore::judge`].
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn judgements(&self) -> Result<Vec<(String, String)>, SharedError> {
        self.inner
            .connections
            .run(async |connection| {
                sqlx::query_as("SELECT finding, document FROM flipgate.judgements ORDER BY finding")
                    .fetch_all(connection)
                    .await
            })
            .await
    }
}

/// When an acceptance was made, as its document says it. Read here: PostgreSQL takes nothing out of JSON that has a NUL.
fn accepted_at(document: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(document).ok()?;
    Some(document.get("at")?.as_str()?.to_owned())
}

async fn set_state(connection: &mut PgConnection, finding: &str, state: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE flipgate.findings SET state = $2, tx = DEFAULT WHERE finding = $1")
        .bind(finding)
        .bind(state)
        .execute(connection)
        .await?;
    Ok(())
}
