//! `serve --self-check`: how often two answers of one backend differ, route by route. What differs there is no difference
//! of the stores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch::Receiver;

use super::Shared;
use crate::metrics::Metrics;
use crate::state::{StateError, StateStore};

/// Between two measurements.
const PACE: Duration = Duration::from_secs(1);
/// The fact of the state directory that keeps them.
const FACT: &str = "floor";

/// What the last self-check measured, by route.
#[derive(Debug, Default)]
pub struct Floors(Mutex<BTreeMap<String, Floor>>);

/// What it measured of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Comparisons.
    pub compared: u64,
    /// Those that differed, whatever became of them.
    pub differed: u64,
}

// === impl Floors ===

impl Floors {
    /// What is kept from the last self-check, if there was one.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub fn take_up(store: &StateStore, metrics: &Metrics) -> Result<Self, StateError> {
        let kept = store.fact(FACT)?.and_then(|fact| serde_json::from_str(&fact).ok()).unwrap_or_default();
        let floors = Floors(Mutex::new(kept));
        floors.show(metrics);
        Ok(floors)
    }

    /// What was measured of `route`.
    #[must_use]
    pub fn of(&self, route: &str) -> Option<Floor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(route).copied()
    }

    fn show(&self, metrics: &Metrics) {
        for (route, floor) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            metrics.set_floor(route, floor.differed as f64 / floor.compared.max(1) as f64);
        }
    }
}

/// Measures every second until `stopping`; what is measured is kept.
pub(super) async fn measure(shared: Arc<Shared>, mut stopping: Receiver<bool>) {
    let mut ticks = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let measuring = Arc::clone(&shared);
        let measured = tokio::task::spawn_blocking(move || measure_once(&measuring)).await;
        match measured {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what the self-check measures cannot be kept"),
            Err(_) => return,
        }
    }
}

fn measure_once(shared: &Shared) -> Result<(), StateError> {
    let measured: BTreeMap<String, Floor> = shared
        .routes
        .iter()
        .map(|(index, route)| (route.pattern.clone(), shared.ledger.tally(index, 0)))
        .filter(|(_, tally)| tally.compared > 0)
        .map(|(route, tally)| (route, Floor { compared: tally.compared, differed: tally.differed }))
        .collect();
    let is_new = {
        let mut floors = shared.floors.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *floors != measured && !measured.is_empty();
        if is_new {
            floors.clone_from(&measured);
        }
        is_new
    };
    if !is_new {
        return Ok(());
    }
    shared.floors.show(&shared.metrics);
    shared.state.keep_fact(FACT, &serde_json::json!(measured).to_string())
}
