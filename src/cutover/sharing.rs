//! One truth for several replicas: follows the record in the state store, and tells it of rollbacks made without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::Cutover;
use super::merging::{merged, recovered, recovery};
use crate::state::shared::{Listener, Record, Set, SharedError, SharedStore};
use crate::state::{Owed, Stored};

/// Between two looks where nothing is told: notifications may be lost.
const PACE: Duration = Duration::from_secs(1);

/// Follows until `stopping`.
pub async fn follow(cutover: Arc<Cutover>, shared: SharedStore, mut stopping: Receiver<bool>) {
    let mut listener = None;
    loop {
        if listener.is_none() {
            listener = shared.listen().await.ok();
        }
        // After listening began, so that no change falls in between.
        let followed = cutover.follow_once(&shared).await;
        cutover.note_state(&followed);
        match followed {
            Ok(()) => cutover.begin_epoch_of_rules().await,
            Err(_) => listener = None,
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = cutover.owing.notified() => {}
            () = told(&mut listener) => {}
            () = tokio::time::sleep(PACE) => {}
        }
    }
}

/// Ends when a change is told, or the connection is lost.
async fn told(listener: &mut Option<Listener>) {
    match listener {
        Some(listening) => {
            if listening.changed().await.is_err() {
                *listener = None;
            }
        }
        None => std::future::pending().await,
    }
}

// === impl Cutover ===

impl Cutover {
    /// Tells what is owed, or takes over what others committed.
    pub(super) async fn follow_once(&self, shared: &SharedStore) -> Result<(), SharedError> {
        let one = self.following.lock().await;
        let owed = self.arrears().owed.clone();
        let followed = match &owed {
            Some(owed) => self.tell_owed(shared, owed).await,
            None => self.take_over(shared).await,
        };
        if followed.is_err() {
            // Others may go on before it is told.
            self.arrears().is_fresh = false;
        }
        drop(one);
        followed
    }

    async fn tell_owed(&self, shared: &SharedStore, owed: &Owed) -> Result<(), SharedError> {
        let there = record(shared).await?;
        let here = self.status();
        let (is_fresh, tried) = {
            let mut arrears = self.arrears();
            (arrears.is_fresh, arrears.tried.take())
        };
        if let Some(there) = there.as_ref().filter(|there| tried.as_ref() == Some(*there)) {
            // It was told, and only the answer was lost.
            self.settle(&here, there).await;
            return Ok(());
        }
        let merged = merged(&here, there.as_ref(), owed, is_fresh);
        self.arrears().tried = Some(merged.clone()).filter(|merged| Some(merged) != there.as_ref());
        let expected = there.map(|there| there.version);
        if shared.compare_and_set(expected, &as_record(&merged), &owed.entries).await? == Set::Done {
            self.settle(&here, &merged).await;
        }
        Ok(())
    }

    async fn take_over(&self, shared: &SharedStore) -> Result<(), SharedError> {
        let here = self.status();
        let there = record(shared).await?;
        if let Some(there) = there.as_ref().filter(|there| there.version >= here.version) {
            self.adopt(there).await;
            return Ok(());
        }
        let next = recovered(&here, there.as_ref());
        let entry = recovery(&self.parts.names, &here, &next);
        let expected = there.map(|there| there.version);
        if shared.compare_and_set(expected, &as_record(&next), &[entry]).await? == Set::Done {
            self.adopt(&next).await;
        }
        Ok(())
    }

    /// Obeys a newer state, unless a rollback of this replica waits to be told.
    pub(super) async fn adopt(&self, there: &Stored) {
        let turn = self.changing.lock().await;
        let here = self.status();
        let is_newer = there.version > here.version || (there.version == here.version && *there != here);
        if is_newer && !self.owes() {
            tracing::info!(dial = there.dial, version = there.version, "following the state of all replicas");
            self.cache_and_obey(there).await;
        }
        drop(turn);
    }

    /// A rollback that all replicas know by now. Where the disk does not take that, it is written later, and not told
    /// again unless flipgate starts anew before.
    async fn settle(&self, before: &Stored, merged: &Stored) {
        let turn = self.changing.lock().await;
        if self.status() == *before {
            // In this order: who is told that nothing is owed may end this process, and it must not be owed again then.
            self.cache_and_obey(merged).await;
            self.owe(None);
        }
        drop(turn);
    }

    fn note_state(&self, followed: &Result<(), SharedError>) {
        let was_up = self.parts.metrics.is_state_up();
        self.parts.metrics.set_state_up(followed.is_ok());
        match followed {
            Ok(()) if !was_up => tracing::info!("the state store answers again"),
            Ok(()) => {}
            Err(error) if was_up => {
                tracing::error!(%error, "cut off from the state store: serving with what is known, never going forward");
            }
            Err(_) => {}
        }
    }
}

/// What stands in the state store.
async fn record(shared: &SharedStore) -> Result<Option<Stored>, SharedError> {
    shared.record().await?.as_ref().map(as_stored).transpose()
}

/// The state as the state store keeps it.
pub(super) fn as_record(stored: &Stored) -> Record {
    Record { version: stored.version, document: serde_json::json!(stored) }
}

/// The state that a record is.
pub(super) fn as_stored(record: &Record) -> Result<Stored, SharedError> {
    let stored: Result<Stored, _> = serde_json::from_value(record.document.clone());
    stored.map_err(|error| {
        SharedError::Refused(format!(
            "the state store holds a record that this flipgate cannot read ({error}); use the version that wrote it or a \
             newer one"
        ))
    })
}
