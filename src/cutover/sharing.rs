//! One truth for several replicas: follows the record in the state store, and tells it of rollbacks made without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::{Cutover, blocking};
use crate::state::Stored;
use crate::state::shared::{Listener, Record, Set, SharedError, SharedStore};

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
        if followed.is_err() {
            listener = None;
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
    async fn follow_once(&self, shared: &SharedStore) -> Result<(), SharedError> {
        let owed = {
            let store = self.parts.store.clone();
            blocking(move || store.owed()).await.map_err(|e| SharedError::Refused(e.to_string()))?
        };
        let found = shared.record().await?;
        let there = found.as_ref().map(as_stored).transpose()?;
        match (there, owed) {
            (there, Some(entries)) => {
                let here = self.status();
                let merged = merged(&here, there.as_ref());
                let expected = there.map(|there| there.version);
                let set = shared.compare_and_set(expected, &as_record(&merged), &entries).await?;
                if set == Set::Done {
                    self.settle(&here, &merged).await;
                }
                Ok(())
            }
            (Some(there), None) => self.take_over(shared, &there).await,
            (None, None) => {
                // Someone removed it: what is in force is what there is.
                shared.compare_and_set(None, &as_record(&self.status()), &[]).await.map(|_| ())
            }
        }
    }

    async fn take_over(&self, shared: &SharedStore, there: &Stored) -> Result<(), SharedError> {
        let here = self.status();
        if there.version >= here.version {
            self.adopt(there).await;
            return Ok(());
        }
        // The state store has lost changes, as one restored from a backup has: the safer side wins.
        let mut next = if there.dial <= here.dial { there.clone() } else { here.clone() };
        next.version = here.version + 1;
        next.turn = next.version;
        tracing::warn!(dial = next.dial, "the state store has lost changes; the safer side of both is taken");
        shared.compare_and_set(Some(there.version), &as_record(&next), &[]).await?;
        Ok(())
    }

    /// Obeys a newer state, unless a rollback of this replica waits to be told.
    pub(super) async fn adopt(&self, there: &Stored) {
        let turn = self.changing.lock().await;
        let here = self.status();
        let is_newer = there.version > here.version || (there.version == here.version && *there != here);
        if is_newer && matches!(self.owes().await, Ok(false)) {
            tracing::info!(dial = there.dial, version = there.version, "following the state of all replicas");
            self.cache_and_obey(there).await;
        }
        drop(turn);
    }

    /// A rollback that all replicas know by now.
    async fn settle(&self, before: &Stored, merged: &Stored) {
        let turn = self.changing.lock().await;
        if self.status() == *before {
            let (store, settled) = (self.parts.store.clone(), merged.clone());
            match blocking(move || store.save_settled(&settled)).await {
                Ok(()) => {
                    self.obey(merged);
                    self.parts.metrics.set_state_owed(false);
                }
                // It is told once more; that changes nothing.
                Err(error) => tracing::error!(%error, "that a rollback is known to all cannot be kept"),
            }
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

/// What stands after a rollback of this replica is told: *from*, whatever stands there.
fn merged(here: &Stored, there: Option<&Stored>) -> Stored {
    let Some(there) = there else { return here.clone() };
    let mut next = if there.dial == 0 { there.clone() } else { there.with_dial(0) };
    next.version = there.version.max(here.version) + 1;
    if there.dial != 0 {
        next.turn = next.version;
    }
    if next.latch.is_none() {
        next.latch.clone_from(&here.latch);
    }
    next
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Latch;

    fn stored(dial: u8, version: i64) -> Stored {
        Stored { version, dial, turn: version, ..Stored::new(dial, String::new()) }
    }

    #[test]
    fn a_rollback_wins_over_whatever_stands_there() {
        let mut here = stored(0, 8);
        here.latch = Some(Latch { since: here.since, reason: "5xx".to_owned() });
        for (there, turn) in [(stored(100, 5), 9), (stored(100, 20), 21), (stored(0, 20), 20)] {
            let merged = merged(&here, Some(&there));
            assert_eq!((merged.dial, merged.version), (0, there.version.max(8) + 1));
            assert_eq!(merged.turn, turn);
            assert_eq!(merged.latch, here.latch);
            assert_eq!(as_stored(&as_record(&merged)).unwrap(), merged);
        }
        assert_eq!(merged(&here, None), here);
    }
}
