//! What every screen has around it: who serves, whether the gate is open, the way back, and what must be known.

use super::words;
use crate::admin::access::{Access, By};
use crate::admin::writes;
use crate::app::Shared;
use crate::cutover::gate::Readiness;
use crate::journal::Counts;
use crate::side::{Pair, Side};
use crate::state::Stored;

/// The screens, in the order of the menu.
pub(crate) const SCREENS: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/findings", "Findings"),
    ("/flip", "Flip"),
    (WRITES, "Writes"),
    ("/audit", "Audit"),
];
/// The screen of writes, which the menu says the number of undecided ones beside.
pub(crate) const WRITES: &str = "/writes";

/// The frame of one answer.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) names: Pair<String>,
    pub(crate) sources: Pair<String>,
    pub(crate) screen: &'static str,
    pub(crate) serving: String,
    pub(crate) dial: u8,
    pub(crate) ready: bool,
    pub(crate) is_latched: bool,
    pub(crate) may_change: bool,
    pub(crate) may_log_out: bool,
    pub(crate) csrf: String,
    pub(crate) notices: Vec<Notice>,
    pub(crate) version: &'static str,
    pub(crate) assets: &'static str,
    /// Writes that somebody must decide about.
    pub(crate) undecided: u64,
    /// What each store does not have yet.
    pub(super) lacking: Pair<Counts>,
    /// What is committed.
    pub(super) stored: Stored,
    /// What the gate says.
    pub(super) readiness: Readiness,
}

/// One thing that must be known.
#[derive(Debug)]
pub(crate) struct Notice {
    /// `good`, `warn`, `bad`, or nothing.
    pub(crate) weight: &'static str,
    pub(crate) text: String,
}

// === impl Notice ===

impl Notice {
    pub(super) fn good(text: impl Into<String>) -> Self {
        Notice { weight: "good", text: text.into() }
    }

    pub(super) fn warn(text: impl Into<String>) -> Self {
        Notice { weight: "warn", text: text.into() }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Notice { weight: "bad", text: text.into() }
    }
}

// === impl Frame ===

impl Frame {
    pub(super) fn new(shared: &Shared, access: &Access, screen: &'static str) -> Self {
        let stored = shared.cutover.status();
        let readiness = shared.cutover.readiness();
        let lacking = Pair { from: writes::counts(shared, Side::From), to: writes::counts(shared, Side::To) };
        let undecided = |side| lacking.get(side).parked + lacking.get(side).in_doubt;
        Frame {
            names: shared.names.clone(),
            sources: shared.sources.clone(),
            screen,
            serving: serving(shared, &stored),
            dial: stored.dial,
            ready: readiness.ready,
            is_latched: stored.latch.is_some(),
            may_change: access.may_change(),
            may_log_out: access.by == By::Session,
            csrf: access.csrf.clone(),
            notices: notices(shared, &stored),
            version: env!("CARGO_PKG_VERSION"),
            assets: super::assets::version(),
            undecided: undecided(Side::From) + undecided(Side::To),
            lacking,
            stored,
            readiness,
        }
    }

    /// Who serves reads, in a sentence.
    pub(super) fn headline(&self) -> String {
        let Pair { from, to } = &self.names;
        match self.dial {
            0 => format!("{from} serves all reads"),
            100 => format!("{to} serves all reads"),
            dial => format!("{to} serves {dial} % of the reads, {from} the others"),
        }
    }

    /// What the API calls the primary.
    pub(super) fn primary(&self) -> &str {
        self.stored.primary().map_or("split", |side| self.names.get(side).as_str())
    }
}

fn serving(shared: &Shared, stored: &Stored) -> String {
    match stored.primary() {
        Some(side) => format!("primary: {}", shared.names.get(side)),
        None => format!("split: {} % {}", stored.dial, shared.names.to),
    }
}

fn notices(shared: &Shared, stored: &Stored) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(latch) = &stored.latch {
        let since = words::time(latch.since);
        notices.push(Notice::bad(format!(
            "An automatic rollback latched at {since}: {}. Going forward waits until somebody releases the latch.",
            latch.reason
        )));
    }
    if shared.self_check {
        notices.push(Notice::warn(
            "This is a self-check: one backend stands behind both names, so what differs is the comparison's own floor.",
        ));
    }
    let metrics = &shared.metrics;
    if metrics.is_state_unsaved() {
        notices.push(Notice::bad(
            "What is in force is not on this replica's disk, which did not take it: make room on it.",
        ));
    }
    if !metrics.is_state_up() {
        notices.push(Notice::bad(
            "The state store of all replicas gives no answer: a rollback works, going forward waits.",
        ));
    } else if metrics.is_state_owed() {
        notices.push(Notice::warn("A rollback of this replica is not known to the others yet."));
    }
    let share = shared.shadow.capacity.load.share();
    if share < 1.0 {
        let share = words::percent(share);
        notices.push(Notice::warn(format!("Load: only {share} of the requests are shadowed and compared.")));
    }
    notices
}
