//! What a replica is: a name that lasts, and a range of sample numbers of its own.

use crate::config::Config;
use crate::ledger::{Ledger, archive};
use crate::state::shared::SharedStore;
use crate::state::{StateError, StateStore};

use super::StartError;

/// The facts of the state directory that say which replica this is.
const NAME: &str = "replica";
const NUMBER: &str = "replica_number";
/// The fact that says by which rules the evidence in the state directory was gathered.
const RULES: &str = "evidence_rules";
/// Samples that one replica may make: their numbers stay exact in JSON for a million replicas.
const SAMPLES: u64 = 1_000_000_000;

/// The state store of all replicas, if the configuration names one.
pub(super) fn open(config: &Config, store: &StateStore) -> Result<Option<SharedStore>, StartError> {
    let Some(url) = &config.state else { return Ok(None) };
    let name = match store.fact(NAME)? {
        Some(name) => name,
        None => {
            let name = format!("{:016x}", fastrand::u64(..));
            store.keep_fact(NAME, &name)?;
            name
        }
    };
    SharedStore::new(url.reveal(), &name).map(Some).map_err(StartError::System)
}

/// Forgets the evidence in the state directory if other rules gathered it: the epoch may be the same all the same, if it
/// was another replica that began it.
pub(super) fn forget_evidence_of_other_rules(config: &Config, store: &StateStore) -> Result<(), StateError> {
    let gathered_by = store.fact(RULES)?;
    if gathered_by.as_ref() == Some(&config.fingerprint) {
        return Ok(());
    }
    if gathered_by.is_some() {
        archive::forget_evidence(&config.state_dir)?;
    }
    store.keep_fact(RULES, &config.fingerprint)
}

/// Has this replica number its samples so that no other one uses the same numbers.
pub(super) async fn number(
    ledger: &Ledger,
    store: &StateStore,
    shared: &SharedStore,
) -> Result<(), StateError> {
    let known = store.fact(NUMBER)?.and_then(|number| number.parse().ok());
    let number: u64 = match known {
        Some(number) => number,
        None => {
            let number = match shared.next_replica().await {
                Ok(number) => number.unsigned_abs(),
                Err(error) => {
                    // It is asked for at the next start; until then this replica's samples may share numbers with others'.
                    tracing::warn!(%error, "this replica has no number yet");
                    return Ok(());
                }
            };
            store.keep_fact(NUMBER, &number.to_string())?;
            number
        }
    };
    ledger.number_samples_from(number * SAMPLES);
    Ok(())
}
