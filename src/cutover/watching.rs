//! The ticker behind the watch after a flip, the evidence's ageing and the gauges that follow.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch::Receiver;

use super::Cutover;
use crate::side::Side;
use crate::state::Stored;

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);

/// Looks every second until `stopping`.
pub async fn watch(cutover: Arc<Cutover>, mut stopping: Receiver<bool>) {
    let mut ticks = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        cutover.write_again().await;
        let looking = Arc::clone(&cutover);
        // Counting the evidence takes longer than a client's task may be kept waiting.
        let looked = tokio::task::spawn_blocking(move || looking.look()).await;
        if let Ok(Some((turn, reason))) = looked {
            cutover.go_back(turn, reason).await;
        }
    }
}

impl Cutover {
    /// Lets old evidence go; says which change has to be taken back, and why, if one has.
    fn look(&self) -> Option<(i64, String)> {
        self.parts.ledger.tick(self.parts.gate.window_start());
        let stored = self.status();
        if !self.is_watched(&stored) {
            return None;
        }
        let reason = self.parts.rules.verdict(&self.parts.seen.seen(stored.turn))?;
        if self.parts.metrics.is_up(Side::From) {
            return Some((stored.turn, reason));
        }
        let from = &self.parts.names.from;
        tracing::warn!(%reason, "the watch would go back, but `{from}` gives no answer either");
        None
    }

    /// Whether the dial was raised within the watch's window, and nothing has latched since.
    #[must_use]
    pub fn is_watched(&self, stored: &Stored) -> bool {
        let age = Utc::now().signed_duration_since(stored.since).to_std().unwrap_or_default();
        self.parts.rules.enabled
            && stored.raised
            && stored.dial > 0
            && stored.latch.is_none()
            && age < self.parts.rules.window
    }

    /// Where the evidence's window begins, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        self.parts.gate.window_start()
    }

    /// How far back evidence counts, and how many comparisons a route needs of it.
    #[must_use]
    pub fn evidence_wanted(&self) -> (Duration, u64) {
        (self.parts.gate.rules.window, self.parts.gate.rules.min_comparisons)
    }

    /// How long the watch goes on after a change of the dial.
    #[must_use]
    pub fn watch_window(&self) -> Duration {
        self.parts.rules.window
    }

    /// What the watch counted since the last change of the dial.
    #[must_use]
    pub fn watched(&self) -> crate::ledger::seen::Counts {
        self.parts.seen.counts(self.position().turn)
    }

    async fn go_back(self: &Arc<Self>, turn: i64, reason: String) {
        match self.fall_back(turn, reason.clone()).await {
            Ok(Some(_)) => {
                tracing::error!(%reason, "went back to `{}` by itself, and latched", self.parts.names.from)
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%reason, %error, "the automatic rollback could not be stored"),
        }
    }
}
