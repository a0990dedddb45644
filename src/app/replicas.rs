//! What a replica is: a name that lasts, and a range of sample numbers of its own.

use std::time::{Duration, Instant};

use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::ledger::sharing::Sharing;
use crate::ledger::{Ledger, archive};
use crate::state::shared::{Held, SharedError, SharedStore};
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

/// Between two looks whether the name is still held.
const LOOK: Duration = Duration::from_secs(5);
/// How long a name may stay taken by a process that has just ended.
const TAKEN: Duration = Duration::from_secs(3);
/// Between two attempts to hold it meanwhile.
const ATTEMPT: Duration = Duration::from_millis(100);

/// The state store of all replicas, for this one, and its name if it could be held.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) store: SharedStore,
    pub(super) name: Option<Held>,
}

/// The state store of all replicas, if the configuration names one. A state directory that was copied from another replica
/// that runs gets a name and a number of its own, and leaves that one's evidence to it.
pub(super) async fn open(config: &Config, store: &StateStore) -> Result<Option<Replica>, StartError> {
    let Some(url) = &config.state else { return Ok(None) };
    let of = |name: &str| SharedStore::new(url.reveal(), name).map_err(StartError::System);
    let shared = match store.fact(NAME)? {
        Some(name) => of(&name)?,
        None => of(&new_name(store)?)?,
    };
    match held(&shared).await {
        Ok(Some(name)) => Ok(Some(Replica { store: shared, name: Some(name) })),
        Ok(None) => {
            tracing::warn!(
                name = shared.replica(),
                "another replica has this one's name: its state directory was copied. It gets a name of its own"
            );
            archive::forget_evidence(&config.state_dir)?;
            let shared = of(&new_name(store)?)?;
            let name = held(&shared).await.ok().flatten();
            Ok(Some(Replica { store: shared, name }))
        }
        // Whether it can start without is seen when the record is read.
        Err(_) => Ok(Some(Replica { store: shared, name: None })),
    }
}

/// A name that no replica has; its number goes with the old one.
fn new_name(store: &StateStore) -> Result<String, StateError> {
    let name = format!("{:016x}", fastrand::u64(..));
    store.keep_fact(NUMBER, "")?;
    store.keep_fact(NAME, &name)?;
    Ok(name)
}

async fn held(shared: &SharedStore) -> Result<Option<Held>, SharedError> {
    let until = Instant::now() + TAKEN;
    loop {
        let held = shared.hold_name().await?;
        if held.is_some() || Instant::now() >= until {
            return Ok(held);
        }
        tokio::time::sleep(ATTEMPT).await;
    }
}

/// Holds the name until `stopping`, over losses of the connection.
pub(super) async fn hold(shared: SharedStore, mut name: Option<Held>, mut stopping: Receiver<bool>) {
    let mut is_taken = false;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let lives = match &mut name {
            Some(held) => held.is_held().await.is_ok(),
            None => false,
        };
        if lives {
            continue;
        }
        name = None;
        if let Ok(held) = shared.hold_name().await {
            if held.is_none() && !is_taken {
                tracing::error!(
                    name = shared.replica(),
                    "another replica has this one's name: their evidence counts as one's. Start this one again"
                );
            }
            is_taken = held.is_none();
            name = held;
        }
    }
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
