//! The state to start with.

use super::sharing::{as_record, as_stored};
use crate::side::Side;
use crate::state::shared::{Set, SharedError, SharedStore};
use crate::state::{StateError, StateStore, Stored};

/// Attempts against other replicas that start as well.
const ATTEMPTS: usize = 5;

/// What a start goes by.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Who serves where no state exists.
    pub initial: Side,
    /// Fingerprint of the comparison rules and the backends.
    pub rules: &'a str,
}

/// Takes up what is committed, or begins where nothing is; in an epoch of its own where the rules or the backends are
/// others now. With a state store of all replicas its record counts; where it cannot be reached, what this replica knows.
///
/// # Errors
/// If the state cannot be read or written, or nothing is known and the state store cannot be reached.
pub async fn take_up(
    store: &StateStore,
    shared: Option<&SharedStore>,
    start: Start<'_>,
) -> Result<Stored, StateError> {
    let known = store.load()?;
    let stored = match shared {
        None => start.from(known.clone()),
        Some(shared) => match together(shared, known.clone(), store.owed()?.is_some(), start).await {
            Ok(stored) => stored,
            Err(error) => {
                let Some(known) = known.clone() else { return Err(StateError::Shared(error.to_string())) };
                tracing::warn!(%error, "starting with what this replica knows: the state store cannot be reached");
                known
            }
        },
    };
    if known.as_ref() != Some(&stored) {
        store.save(&stored, None)?;
    }
    Ok(stored)
}

/// The record of all replicas; made, or brought to these rules, where need be.
async fn together(
    shared: &SharedStore,
    known: Option<Stored>,
    owes: bool,
    start: Start<'_>,
) -> Result<Stored, SharedError> {
    shared.prepare().await?;
    for _ in 0..ATTEMPTS {
        let there = match shared.record().await? {
            Some(record) => Some(as_stored(&record)?),
            None => None,
        };
        // A rollback that the others do not know of yet holds here until they do.
        if let (Some(known), true) = (&known, owes) {
            return Ok(known.clone());
        }
        let wanted = start.from(there.clone().or_else(|| known.clone()));
        if there.as_ref() == Some(&wanted) {
            return Ok(wanted);
        }
        let expected = there.map(|there| there.version);
        if shared.compare_and_set(expected, &as_record(&wanted), &[]).await? == Set::Done {
            return Ok(wanted);
        }
    }
    Err(SharedError::Unreachable("other replicas keep changing the state; start again".to_owned()))
}

// === impl Start ===

impl Start<'_> {
    fn from(self, known: Option<Stored>) -> Stored {
        let dial = match self.initial {
            Side::From => 0,
            Side::To => 100,
        };
        match known {
            None => Stored::new(dial, self.rules.to_owned()),
            Some(stored) if stored.epoch.rules == self.rules => stored,
            Some(stored) => {
                let reason = "the comparison rules or the backends changed";
                tracing::info!("a new epoch begins, and evidence with it: {reason}");
                stored.with_epoch(reason.to_owned(), self.rules.to_owned())
            }
        }
    }
}
