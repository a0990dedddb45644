//! Commits a change: on this replica's disk, or in the state store of all of them, and only then in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OwnedMutexGuard;

use super::gate::Readiness;
use super::sharing::{as_record, as_stored};
use super::{Cause, Cutover, Refused, blocking};
use crate::side::Side;
use crate::state::shared::{Record, Set, SharedError, SharedStore};
use crate::state::{StateError, Stored};

/// The fact of the state directory that is written before the dial is raised on all replicas.
const RAISING: &str = "raising";

/// A change that is to be committed.
pub(super) struct Commit {
    pub(super) action: &'static str,
    pub(super) cause: Cause,
    pub(super) next: Stored,
    pub(super) forced: bool,
    pub(super) readiness: Readiness,
    /// The turn that it takes back, if it goes back to *from*.
    pub(super) back: Option<i64>,
}

/// A change on its way to the state store, for as long as this lives.
struct Flight<'a>(&'a AtomicUsize);

// === impl Flight ===

impl<'a> Flight<'a> {
    fn begin(flights: &'a AtomicUsize) -> Self {
        flights.fetch_add(1, Ordering::SeqCst);
        Flight(flights)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
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
            let committed = match (cutover.parts.shared.clone(), commit.back) {
                (Some(shared), Some(back)) => cutover.commit_owed(turn, &shared, &commit, back).await,
                (Some(shared), None) => cutover.commit_together(turn, &shared, &commit).await,
                (None, _) => cutover.commit_alone(turn, &commit).await,
            }?;
            cutover.tell(&commit);
            Ok(committed)
        });
        committing.await.unwrap_or_else(|e| Err(StateError::Interrupted(e.to_string()).into()))
    }

    async fn commit_alone(&self, turn: OwnedMutexGuard<()>, commit: &Commit) -> Result<Stored, Refused> {
        let entry = self.audit_entry(commit);
        match self.write(&commit.next, None, Some(entry.clone())).await {
            Ok(()) => {}
            // Going back is always possible.
            Err(error) if commit.back.is_some() => self.leave_unwritten(Some(entry), &error),
            Err(error) => return Err(error.into()),
        }
        self.obey(&commit.next);
        drop(turn);
        Ok(commit.next.clone())
    }

    /// A rollback: on this replica's disk and in force at once; the others are told as soon as that is possible. Where
    /// the disk does not take it, the state store is told before it is answered, if it can be.
    async fn commit_owed(
        &self,
        turn: OwnedMutexGuard<()>,
        shared: &SharedStore,
        commit: &Commit,
        back: i64,
    ) -> Result<Stored, Refused> {
        self.rollbacks.fetch_add(1, Ordering::SeqCst);
        let entry = self.audit_entry(commit);
        let owed = self.owed_with(back, entry.clone());
        let written = self.write(&commit.next, Some(owed.clone()), Some(entry.clone())).await;
        self.owe(Some(owed));
        self.obey(&commit.next);
        match written {
            Ok(()) => drop(turn),
            Err(error) => {
                self.leave_unwritten(Some(entry), &error);
                drop(turn);
                if let Err(error) = self.follow_once(shared).await {
                    tracing::error!(%error, "a rollback is in force here and kept nowhere yet");
                }
            }
        }
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
        let rollbacks = self.rollbacks.load(Ordering::SeqCst);
        if self.owes() {
            return Err(Refused::CutOff("a rollback of this replica is not known there yet".to_owned()));
        }
        let raises = commit.next.dial > before.dial;
        if raises {
            // Where this disk is full, this replica would not know of the flip after a restart.
            let (store, version) = (self.parts.store.clone(), commit.next.version.to_string());
            blocking(move || store.keep_fact(RAISING, &version)).await?;
        }
        let _flight = Flight::begin(&self.flights);
        drop(turn);
        if let Some(found) = self.set_there(shared, &before, commit).await? {
            self.parts.metrics.state_conflict();
            if let Some(stored) = found.as_ref().and_then(|record| as_stored(record).ok()) {
                self.adopt(&stored).await;
            }
            return Err(Refused::Overtaken);
        }
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let was_taken_back = self.rollbacks.load(Ordering::SeqCst) != rollbacks;
        // Meanwhile it may have been obeyed as another replica's.
        if !was_taken_back && self.status().version == before.version {
            self.cache_and_obey(&commit.next).await;
        }
        drop(turn);
        // The rollback is told to all, and takes it back there.
        if was_taken_back && raises { Err(Refused::Overtaken) } else { Ok(commit.next.clone()) }
    }

    /// None once it is the record; what stands there instead where another change came before.
    async fn set_there(
        &self,
        shared: &SharedStore,
        before: &Stored,
        commit: &Commit,
    ) -> Result<Option<Option<Record>>, Refused> {
        let record = as_record(&commit.next);
        let entry = self.audit_entry(commit);
        match shared.compare_and_set(Some(before.version), &record, &[entry]).await {
            Ok(Set::Done) => Ok(None),
            Ok(Set::Conflict(found)) => Ok(Some(found)),
            Err(SharedError::Refused(why)) => Err(Refused::CutOff(why)),
            Err(SharedError::Unreachable(why)) => self.after_doubt(shared, &record, why).await,
        }
    }

    /// A commit without an answer: the record says whether it was done. Where it does not, it may be done yet.
    async fn after_doubt(
        &self,
        shared: &SharedStore,
        record: &Record,
        why: String,
    ) -> Result<Option<Option<Record>>, Refused> {
        let found = shared.record().await;
        match found {
            Ok(Some(found)) if found == *record => Ok(None),
            Ok(Some(found)) if found.version >= record.version => Ok(Some(Some(found))),
            Ok(_) | Err(_) => {
                self.doubted.fetch_max(record.version, Ordering::SeqCst);
                Err(Refused::InDoubt(why))
            }
        }
    }

    /// Notes a state that all replicas know on this one's disk, for a start without the state store, and obeys it. What
    /// is committed is committed: whether this disk takes it decides nothing.
    pub(super) async fn cache_and_obey(&self, stored: &Stored) {
        if let Err(error) = self.write(stored, None, None).await {
            self.leave_unwritten(None, &error);
        }
        self.obey(stored);
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
