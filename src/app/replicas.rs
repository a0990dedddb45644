//! What a replica is: a name that lasts, and a range of sample numbers of its own.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::Config;
use crate::ledger::sharing::Sharing;
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
/// How long a stop may wait until the other replicas are told.
const LAST_EXCHANGE: Duration = Duration::from_secs(5);

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

/// Tells the other replicas what came while this one was stopping.
pub(super) async fn exchange_at_last(sharing: JoinHandle<Sharing>) {
    let last = async {
        match sharing.await {
            Ok(mut sharing) => sharing.exchange().await,
            Err(_) => false,
        }
    };
    if !tokio::time::timeout(LAST_EXCHANGE, last).await.unwrap_or(false) {
        tracing::warn!("stopping before the other replicas know all: they are told at the next start");
    }
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
    let first = number * SAMPLES;
    ledger.number_samples_within(&(first..first + SAMPLES))
}
