//! Commits a change: on this replica's disk, or in the state store of all of them, and only then in force.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::gate::Readiness;
use super::sharing::{as_record, as_stored};
use super::{Cause, Cutover, Refused, blocking};
use crate::side::Side;
use crate::state::shared::{Set, SharedError, SharedStore};
use crate::state::{StateError, Stored};

/// A change that is to be committed.
pub(super) struct Commit {
    pub(super) action: &'static str,
    pub(super) cause: Cause,
    pub(super) next: Stored,
    pub(super) forced: bool,
    pub(super) readiness: Readiness,
}

// === impl Cutover ===

impl Cutover {
    /// Commits a change and puts it in force, in a task of its own: a caller who hangs up in between must not leave a
    /// state that is committed and not in force. `turn` is held by whoever read the state that the change starts from.
    pub(super) async fn commit(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        commit: Commit,
    ) -> Result<Stored, Refused> {
        let cutover = Arc::clone(self);
        let committing = tokio::spawn(async move {
            let goes_back = commit.next.dial == 0 && cutover.status().dial > 0;
            let committed = match cutover.parts.shared.clone() {
                Some(_) if goes_back => cutover.commit_owed(turn, &commit).await,
                Some(shared) => cutover.commit_together(turn, &shared, &commit).await,
                None => cutover.commit_alone(turn, &commit).await,
            }?;
            cutover.tell(&commit);
            Ok(committed)
        });
        committing.await.unwrap_or_else(|e| Err(StateError::Interrupted(e.to_string()).into()))
    }

    async fn commit_alone(&self, turn: OwnedMutexGuard<()>, commit: &Commit) -> Result<Stored, Refused> {
        let (store, next, entry) = (self.parts.store.clone(), commit.next.clone(), self.audit_entry(commit));
        blocking(move || store.save(&next, Some(&entry))).await?;
        self.obey(&commit.next);
        drop(turn);
        Ok(commit.next.clone())
    }

    /// A rollback: on this replica's disk and in force at once; the others are told as soon as that is possible.
    async fn commit_owed(&self, turn: OwnedMutexGuard<()>, commit: &Commit) -> Result<Stored, Refused> {
        let (store, next, entry) = (self.parts.store.clone(), commit.next.clone(), self.audit_entry(commit));
        blocking(move || store.save_owed(&next, &entry)).await?;
        self.obey(&commit.next);
        self.parts.metrics.set_state_owed(true);
        drop(turn);
        self.owing.notify_one();
        Ok(commit.next.clone())
    }

    /// In the state store first. The turn is given back meanwhile: a rollback must not wait for the network.
    async fn commit_together(
        &self,
        turn: OwnedMutexGuard<()>,
        shared: &SharedStore,
        commit: &Commit,
    ) -> Result<Stored, Refused> {
        let before = self.status();
        let entry = self.audit_entry(commit);
        let owes = self.owes().await?;
        drop(turn);
        if owes {
            return Err(Refused::CutOff("a rollback of this replica is not known there yet".to_owned()));
        }
        let record = as_record(&commit.next);
        let set = match shared.compare_and_set(Some(before.version), &record, &[entry]).await {
            Ok(set) => set,
            Err(error) => self.after_doubt(shared, commit, error).await?,
        };
        match set {
            Set::Done => {
                let turn = Arc::clone(&self.changing).lock_owned().await;
                // Meanwhile it may have been obeyed as another replica's, or have been taken back by a rollback here.
                if self.status().version == before.version {
                    self.cache_and_obey(&commit.next).await;
                }
                drop(turn);
                Ok(commit.next.clone())
            }
            Set::Conflict(found) => {
                self.parts.metrics.state_conflict();
                if let Some(stored) = found.as_ref().and_then(|record| as_stored(record).ok()) {
                    self.adopt(&stored).await;
                }
                Err(Refused::Overtaken)
            }
        }
    }

    /// A commit without an answer: the record says whether it was done.
    async fn after_doubt(
        &self,
        shared: &SharedStore,
        commit: &Commit,
        error: SharedError,
    ) -> Result<Set, Refused> {
        let found = shared.record().await.map_err(|_| Refused::CutOff(error.to_string()))?;
        let is_ours = found.as_ref().is_some_and(|record| *record == as_record(&commit.next));
        if is_ours { Ok(Set::Done) } else { Err(Refused::CutOff(error.to_string())) }
    }

    /// Notes a state that all replicas know on this one's disk, for a start without the state store, and obeys it.
    pub(super) async fn cache_and_obey(&self, stored: &Stored) {
        let (store, cached) = (self.parts.store.clone(), stored.clone());
        if let Err(error) = blocking(move || store.save(&cached, None)).await {
            // What is committed is committed: whether this disk takes it decides nothing.
            tracing::error!(%error, "the state of all replicas cannot be kept on this one's disk");
        }
        self.obey(stored);
    }

    /// Whether a rollback of this replica is not known to the others yet.
    pub(super) async fn owes(&self) -> Result<bool, StateError> {
        let store = self.parts.store.clone();
        blocking(move || Ok(store.owed()?.is_some())).await
    }

    fn tell(&self, commit: &Commit) {
        let Commit { action, cause, next, .. } = commit;
        if next.turn == next.version && next.primary().is_some() {
            let to = if next.dial == 0 { Side::From } else { Side::To };
            self.parts.metrics.flipped(to, cause.trigger);
        }
        let dial = next.dial;
        tracing::info!(action, dial, version = next.version, trigger = cause.trigger, "state changed");
    }
}
