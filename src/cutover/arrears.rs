//! What is in force here and not known elsewhere yet: to the other replicas, or to this replica's disk.

use std::sync::{MutexGuard, PoisonError};

use super::{Cutover, blocking};
use crate::state::{AuditEntry, Owed, StateError, Stored};

/// Audit entries that wait for the disk at most; later ones are in the log alone.
const UNWRITTEN: usize = 1000;

/// What is yet to be told and to be written.
#[derive(Debug, Default)]
pub(super) struct Arrears {
    /// A rollback that the state store of all replicas does not know.
    pub(super) owed: Option<Owed>,
    /// Whether it was just made: then it holds against whatever stands there. Later, others may have gone on.
    pub(super) is_fresh: bool,
    /// The record that the state store was given last and did not answer.
    pub(super) tried: Option<Stored>,
    /// Audit entries that the disk did not take; none while it has all that is in force.
    unwritten: Option<Vec<AuditEntry>>,
}

// === impl Arrears ===

impl Arrears {
    /// What was owed before this start.
    pub(super) fn of(owed: Option<Owed>) -> Self {
        Arrears { owed, ..Arrears::default() }
    }

    /// An operator asked once more.
    pub(super) fn renew(&mut self) {
        self.is_fresh = true;
    }
}

// === impl Cutover ===

impl Cutover {
    pub(super) fn arrears(&self) -> MutexGuard<'_, Arrears> {
        self.arrears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a rollback of this replica is not known to the others yet.
    pub(super) fn owes(&self) -> bool {
        self.arrears().owed.is_some()
    }

    /// What is owed once a rollback of `turn` is owed as well.
    pub(super) fn owed_with(&self, turn: i64, entry: AuditEntry) -> Owed {
        let mut owed = self.arrears().owed.clone().unwrap_or(Owed { turn, entries: Vec::new() });
        owed.entries.push(entry);
        owed
    }

    /// Notes what is owed from now on.
    pub(super) fn owe(&self, owed: Option<Owed>) {
        self.parts.metrics.set_state_owed(owed.is_some());
        let mut arrears = self.arrears();
        arrears.is_fresh = owed.is_some();
        arrears.tried = None;
        arrears.owed = owed;
    }

    /// Writes a state, what is owed with it, and what the disk did not take before. Whoever calls this has the turn.
    pub(super) async fn write(
        &self,
        stored: &Stored,
        owed: Option<Owed>,
        entry: Option<AuditEntry>,
    ) -> Result<(), StateError> {
        let mut entries = self.arrears().unwritten.clone().unwrap_or_default();
        entries.extend(entry);
        let (store, stored) = (self.parts.store.clone(), stored.clone());
        blocking(move || store.keep(&stored, owed.as_ref(), &entries)).await?;
        self.arrears().unwritten = None;
        self.parts.metrics.set_state_unsaved(false);
        Ok(())
    }

    /// Notes that the disk did not take what is in force: it is tried again.
    pub(super) fn leave_unwritten(&self, entry: Option<AuditEntry>, error: &StateError) {
        tracing::error!(%error, "what is in force is not on this replica's disk; it is tried again");
        let mut arrears = self.arrears();
        let unwritten = arrears.unwritten.get_or_insert_default();
        if unwritten.len() < UNWRITTEN {
            unwritten.extend(entry);
        }
        self.parts.metrics.set_state_unsaved(true);
    }

    /// Tries again to write what the disk did not take.
    pub(super) async fn write_again(&self) {
        if self.arrears().unwritten.is_none() {
            return;
        }
        let turn = self.changing.lock().await;
        let owed = self.arrears().owed.clone();
        if self.write(&self.status(), owed, None).await.is_ok() {
            tracing::info!("what is in force is on this replica's disk again");
        }
        drop(turn);
    }
}
