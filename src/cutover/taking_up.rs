//! The state to start with.

use super::epochs::CHANGED_RULES;
use super::merging::{recovered, recovery};
use super::sharing::{as_record, as_stored};
use crate::side::{Pair, Side};
use crate::state::shared::{Set, SharedError, SharedStore};
use crate::state::{AuditEntry, StateError, StateStore, Stored};

/// Attempts against other replicas that start as well.
const ATTEMPTS: usize = 5;

/// What a start goes by.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Who serves where no state exists.
    pub initial: Side,
    /// Fingerprint of the comparison rules and the backends.
    pub rules: &'a str,
    /// The backends' names.
    pub names: &'a Pair<String>,
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
    let (stored, entry) = match shared {
        None => (start.from(known.clone()), None),
        Some(shared) => match together(shared, known.clone(), store.owed()?.is_some(), start).await {
            Ok(taken) => taken,
            Err(error) => {
                let Some(known) = known.clone() else { return Err(StateError::Shared(error.to_string())) };
                tracing::warn!(%error, "starting with what this replica knows: the state store cannot be reached");
                (known, None)
            }
        },
    };
    if known.as_ref() != Some(&stored) {
        store.save(&stored, entry.as_ref())?;
    }
    Ok(stored)
}

/// The record of all replicas; made, or brought to these rules, where need be. With what the audit says where it lost
/// changes that are known here.
async fn together(
    shared: &SharedStore,
    known: Option<Stored>,
    owes: bool,
    start: Start<'_>,
) -> Result<(Stored, Option<AuditEntry>), SharedError> {
    shared.prepare().await?;
    for _ in 0..ATTEMPTS {
        let there = match shared.record().await? {
            Some(record) => Some(as_stored(&record)?),
            None => None,
        };
        // A rollback that the others do not know of yet holds here until they do.
        if let (Some(known), true) = (&known, owes) {
            return Ok((known.clone(), None));
        }
        let (wanted, entry) = start.together(known.as_ref(), there.as_ref());
        if there.as_ref() == Some(&wanted) {
            return Ok((wanted, None));
        }
        let expected = there.map(|there| there.version);
        if shared.compare_and_set(expected, &as_record(&wanted), entry.as_slice()).await? == Set::Done {
            return Ok((wanted, entry));
        }
    }
    Err(SharedError::Unreachable("other replicas keep changing the state; start again".to_owned()))
}

// === impl Start ===

impl Start<'_> {
    /// The record there, unless it has less than is known here.
    fn together(self, known: Option<&Stored>, there: Option<&Stored>) -> (Stored, Option<AuditEntry>) {
        match (known, there) {
            (Some(known), Some(there)) if there.version < known.version => {
                let mut next = recovered(known, Some(there));
                self.rules.clone_into(&mut next.epoch.rules);
                let entry = recovery(self.names, known, &next);
                (next, Some(entry))
            }
            (known, there) => (self.from(there.or(known).cloned()), None),
        }
    }

    fn from(self, known: Option<Stored>) -> Stored {
        let dial = match self.initial {
            Side::From => 0,
            Side::To => 100,
        };
        match known {
            None => Stored::new(dial, self.rules.to_owned()),
            Some(stored) if stored.epoch.rules == self.rules => stored,
            Some(stored) => {
                tracing::info!("a new epoch begins, and evidence with it: {CHANGED_RULES}");
                stored.with_epoch(CHANGED_RULES.to_owned(), self.rules.to_owned())
            }
        }
    }
}
