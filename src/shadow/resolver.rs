//! Asks for the samples of findings again whose cause may be gone, so that what was mended resolves by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::recheck::{Rechecked, Unaskable, doubt, question};
use super::rechecker::Rechecker;
use crate::ledger::Ledger;
use crate::ledger::sample::Sample;
use crate::route::Routes;
use crate::side::{Pair, Side};
use crate::state::shared::SharedStore;

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);
/// Samples asked again at each look, at most.
const AT_ONCE: usize = 4;

/// Asks for samples again.
#[derive(Debug)]
pub struct Resolver {
    /// Whom to ask, and how.
    pub rechecker: Rechecker,
    /// What is known of findings.
    pub ledger: Arc<Ledger>,
    /// How samples are compared.
    pub routes: Arc<Routes>,
    /// The backends' names.
    pub names: Pair<String>,
    /// Where the samples of other replicas are.
    pub shared: Option<SharedStore>,
}

// === impl Resolver ===

impl Resolver {
    /// Looks every second until `stopping`.
    pub async fn run(self, mut stopping: Receiver<bool>) {
        let mut ticks = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            for sample in self.ledger.samples_to_ask(AT_ONCE) {
                if !self.rechecker.shadow.capacity.may_ask() {
                    break;
                }
                self.ask(sample).await;
            }
        }
    }

    async fn ask(&self, id: u64) {
        let Some(sample) = self.sample(id).await else { return self.ledger.not_rechecked(id) };
        let question = match question(&sample, &self.routes) {
            Ok(question) => question,
            Err(why) => {
                if why == Unaskable::Credentials {
                    self.ledger.await_clients(&sample);
                }
                return self.ledger.not_rechecked(id);
            }
        };
        let Rechecker { shadow, backends, .. } = &self.rechecker;
        match shadow.recheck(backends, &question.rules, &question.head).await {
            Ok(rechecked) if doubt(&sample, &self.names, &rechecked).is_none() => {
                self.ledger.rechecked(question.route, id, &rechecked.comparison);
            }
            // It is gone on both sides: others have to show whether the cause is.
            Ok(rechecked) if rechecked.comparison.is_match() && is_gone(&rechecked) => {
                self.ledger.forget_sample(id);
            }
            Ok(_) | Err(_) => self.ledger.not_rechecked(id),
        }
    }

    /// A sample, from this replica's disk or from where all of them keep theirs.
    async fn sample(&self, id: u64) -> Option<Sample> {
        let ledger = Arc::clone(&self.ledger);
        let own = tokio::task::spawn_blocking(move || ledger.sample(id)).await.ok()?;
        match (own, &self.shared) {
            (Some(sample), _) => Some(sample),
            (None, None) => None,
            (None, Some(shared)) => {
                let document = shared.sample(i64::try_from(id).ok()?).await.ok()??;
                serde_json::from_str(&document).ok()
            }
        }
    }
}

/// Whether what was asked for is not there any more.
fn is_gone(rechecked: &Rechecked) -> bool {
    Side::BOTH.iter().all(|side| matches!(rechecked.legs.get(*side).status.as_u16(), 404 | 410))
}
