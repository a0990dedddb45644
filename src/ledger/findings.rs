//! All findings, at most [`PER_ROUTE`] a route and one for what is beyond.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::acceptance::{Acceptance, Accepted, Values};
use super::finding::{AGAIN, Finding, OVERFLOW, SAMPLES, Signature, State};
use super::noise::could_be_noise;
use crate::compare::{Comparison, Difference, Kind, Severity};
use crate::side::Pair;

/// Findings kept a route; beyond, differences go to one overflow finding at `**`.
pub const PER_ROUTE: usize = 200;

/// Targets that samples wait for; beyond, a sample waits until there is room.
const AWAITED: usize = 1000;
/// How often clients must ask for a sample's target without its finding to count as a recheck.
const BY_CLIENTS: u8 = 3;

/// All findings.
#[derive(Debug, Default)]
pub struct Findings {
    by_signature: HashMap<Signature, Finding>,
    per_route: HashMap<usize, usize>,
    /// Comparisons of each route in this run.
    comparisons: HashMap<usize, u64>,
    /// What has changed since it was last written to disk.
    changed: HashSet<Signature>,
    /// What has changed here since the other replicas were last told.
    unshared: HashSet<Signature>,
    /// What an earlier run knew, of which it is not known whether the other replicas were told.
    restored: HashSet<Signature>,
    transitions: VecDeque<Transition>,
    /// Findings that made room for others, to be deleted from the disk.
    evicted: Vec<String>,
    /// Samples that flipgate may not ask again, by route and target: how often clients did so without the finding.
    awaited: HashMap<(usize, u64), HashMap<u64, u8>>,
}

// === impl Findings ===

impl Findings {
    /// Takes up what an earlier run knew of the routes that still have these labels, and what operators accepted since.
    pub fn restore(
        &mut self,
        findings: Vec<Finding>,
        labels: &[String],
        mut accepted: HashMap<String, Acceptance>,
    ) {
        for mut finding in findings {
            let Some(route) = labels.iter().position(|label| *label == finding.route) else { continue };
            if finding.path != OVERFLOW {
                *self.per_route.entry(route).or_insert(0) += 1;
            }
            match (accepted.remove(&finding.id), &finding.accepted) {
                // The counts of its share are newer where the finding was written.
                (Some(judged), Some(written)) if judged.at == written.at => {}
                (Some(judged), _) => {
                    finding.state = State::Accepted;
                    finding.accepted = Some(judged);
                }
                (None, Some(_)) => {
                    finding.state = State::Open;
                    finding.accepted = None;
                }
                (None, None) => {}
            }
            let signature = finding.signature(route);
            self.restored.insert(signature.clone());
            self.by_signature.insert(signature, finding);
        }
    }

    /// Counts one comparison of a route, before its differences.
    pub fn begin(&mut self, route: usize) {
        *self.comparisons.entry(route).or_insert(0) += 1;
    }

    /// Counts one difference and returns its finding.
    pub fn count(
        &mut self,
        mut signature: Signature,
        label: &str,
        names: &Pair<String>,
        difference: &Difference,
        values: &Values,
        now: DateTime<Utc>,
    ) -> &Finding {
        let route = signature.route;
        let known = self.per_route.get(&route).copied().unwrap_or(0);
        let is_new = !self.by_signature.contains_key(&signature);
        if is_new && known >= PER_ROUTE && !self.make_room(route) {
            signature = Signature::overflow(route);
        } else if is_new {
            *self.per_route.entry(route).or_insert(0) += 1;
        }
        if !self.changed.contains(&signature) {
            self.changed.insert(signature.clone());
        }
        if !self.unshared.contains(&signature) {
            self.unshared.insert(signature.clone());
        }
        let comparison = self.comparisons.get(&route).copied().unwrap_or(0);
        let finding = self
            .by_signature
            .entry(signature)
            .or_insert_with_key(|signature| Finding::new(signature, label, names, difference, now));
        finding.unlike += u64::from(!could_be_noise(difference));
        if let Some(reason) = finding.occur(values, comparison, now) {
            change(&mut self.transitions, finding, State::Open, reason, now);
        }
        finding
    }

    /// Forgets the resolved finding of a route that was seen longest ago; false if there is none.
    fn make_room(&mut self, route: usize) -> bool {
        let resolved = self.by_signature.iter().filter(|(signature, finding)| {
            signature.route == route && signature.path != OVERFLOW && finding.state == State::Resolved
        });
        let oldest =
            resolved.min_by_key(|(_, finding)| finding.last_seen).map(|(signature, _)| signature.clone());
        let Some(gone) = oldest.and_then(|signature| self.by_signature.remove(&signature)) else {
            return false;
        };
        self.evicted.push(gone.id);
        if let Some(known) = self.per_route.get_mut(&route) {
            *known -= 1;
        }
        true
    }

    /// The ids of findings that made room for others since the last call.
    pub fn take_evicted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.evicted)
    }

    /// Notes that a recheck confirmed these differences.
    pub fn confirm(&mut self, route: usize, differences: &[Difference]) {
        for difference in differences {
            if let Some(finding) = self.by_signature.get_mut(&Signature::of(route, difference)) {
                finding.watch.confirmed = Some(Instant::now());
            }
        }
    }

    /// Whether a recheck confirmed this difference a short while ago.
    #[must_use]
    pub fn was_confirmed(&self, route: usize, difference: &Difference) -> bool {
        let finding = self.by_signature.get(&Signature::of(route, difference));
        let confirmed = finding.and_then(|finding| finding.watch.confirmed);
        confirmed.is_some_and(|confirmed| confirmed.elapsed() < AGAIN)
    }

    /// Resolves the findings of a route at which nothing but noise was seen.
    pub fn settle_noise(&mut self, route: usize, noisy: &[String], now: DateTime<Utc>) {
        for (signature, finding) in &mut self.by_signature {
            let is_noise = signature.route == route
                && signature.kind == Kind::Changed
                && finding.unlike == 0
                && finding.state == State::Open
                && noisy.contains(&signature.path);
            if is_noise {
                let reason = "noise: the primary differs from itself there".to_owned();
                change(&mut self.transitions, finding, State::Resolved, reason, now);
                self.changed.insert(signature.clone());
                self.unshared.insert(signature.clone());
            }
        }
    }

    /// At most `most` samples of findings whose cause may be gone.
    pub fn samples_to_ask(&mut self, most: usize) -> Vec<u64> {
        let mut due = Vec::new();
        for (signature, finding) in &mut self.by_signature {
            let comparisons = self.comparisons.get(&signature.route).copied().unwrap_or(0);
            if due.len() < most
                && let Some(sample) = finding.sample_to_ask(comparisons)
            {
                due.push(sample);
            }
        }
        due
    }

    /// Does what is due by itself: acceptances that expired, causes that are gone.
    pub fn settle(&mut self, now: DateTime<Utc>) {
        for (signature, finding) in &mut self.by_signature {
            let comparisons = self.comparisons.get(&signature.route).copied().unwrap_or(0);
            if let Some((state, reason)) = finding.due(comparisons, now) {
                change(&mut self.transitions, finding, state, reason, now);
                self.changed.insert(signature.clone());
                self.unshared.insert(signature.clone());
            }
        }
    }

    /// The changes that no operator made, since the last call.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.transitions.drain(..).collect()
    }

    /// Gives a finding the state that an operator judged it to have.
    pub fn judge(&mut self, id: &str, accepted: Option<Acceptance>) -> Option<Finding> {
        let (signature, finding) = self.by_signature.iter_mut().find(|(_, finding)| finding.id == id)?;
        finding.bring_up_to_date(self.comparisons.get(&signature.route).copied().unwrap_or(0));
        finding.state = if accepted.is_some() { State::Accepted } else { State::Open };
        finding.accepted = accepted;
        self.changed.insert(signature.clone());
        Some(finding.clone())
    }

    /// Notes how a sample differed when it was asked again: it agrees for each of its findings that did not occur.
    pub fn recheck(&mut self, route: usize, sample: u64, comparison: &Comparison) {
        let occurred: HashSet<Signature> =
            comparison.differences.iter().map(|difference| Signature::of(route, difference)).collect();
        for (signature, finding) in &mut self.by_signature {
            if !finding.samples.contains(&sample) {
                continue;
            }
            finding.watch.agreed.retain(|agreed| *agreed != sample);
            let seen = Signature { transient: false, ..signature.clone() };
            // What was not compared to its end, or has overflowed, shows nothing.
            if comparison.limited.is_none() && signature.path != OVERFLOW && !occurred.contains(&seen) {
                finding.watch.agreed.push(sample);
            } else {
                finding.watch.asked = Some(Instant::now());
            }
        }
    }

    /// Has a sample that cannot be asked again wait for clients to ask for its target.
    pub fn await_target(&mut self, route: usize, target: u64, sample: u64) {
        if self.awaited.len() < AWAITED || self.awaited.contains_key(&(route, target)) {
            self.awaited.entry((route, target)).or_default().entry(sample).or_insert(0);
        }
    }

    /// Notes how a client's request for a target of `route` differed, for the samples that wait for it.
    pub fn asked_by_client(&mut self, route: usize, target: u64, comparison: &Comparison) {
        if self.awaited.is_empty() || comparison.limited.is_some() {
            return;
        }
        let Some(samples) = self.awaited.get_mut(&(route, target)) else { return };
        let occurred: HashSet<Signature> =
            comparison.differences.iter().map(|difference| Signature::of(route, difference)).collect();
        for (sample, times) in samples.iter_mut() {
            let of_sample =
                self.by_signature.iter_mut().filter(|(_, finding)| finding.samples.contains(sample));
            let mut is_gone = true;
            for (signature, finding) in of_sample {
                let seen = Signature { transient: false, ..signature.clone() };
                if occurred.contains(&seen) {
                    is_gone = false;
                } else if *times + 1 >= BY_CLIENTS && !finding.watch.agreed.contains(sample) {
                    finding.watch.agreed.push(*sample);
                }
            }
            *times = if is_gone { times.saturating_add(1) } else { 0 };
        }
        samples.retain(|_, times| *times < BY_CLIENTS);
        if samples.is_empty() {
            self.awaited.remove(&(route, target));
        }
    }

    /// Notes that a sample could not be asked again.
    pub fn not_rechecked(&mut self, sample: u64) {
        let of_sample = |finding: &&mut Finding| finding.samples.contains(&sample);
        for finding in self.by_signature.values_mut().filter(of_sample) {
            finding.watch.asked = Some(Instant::now());
        }
    }

    /// What is accepted now.
    #[must_use]
    pub fn accepted(&self) -> Accepted {
        Accepted::of(self.by_signature.values())
    }

    /// Notes that the findings of these ids have one sample more, where they have room for it.
    pub fn add_sample(&mut self, ids: &[String], sample: u64) {
        for (signature, finding) in &mut self.by_signature {
            if ids.contains(&finding.id) && finding.samples.len() < SAMPLES {
                finding.samples.push(sample);
                self.changed.insert(signature.clone());
                self.unshared.insert(signature.clone());
            }
        }
    }

    /// Notes that these samples are gone, so that later ones may take their place.
    pub fn forget_samples(&mut self, gone: &[u64]) {
        if gone.is_empty() {
            return;
        }
        for (signature, finding) in &mut self.by_signature {
            let before = finding.samples.len();
            finding.samples.retain(|sample| !gone.contains(sample));
            if finding.samples.len() < before {
                self.changed.insert(signature.clone());
            }
        }
    }

    /// The highest id within `numbers` of a sample that a finding names.
    #[must_use]
    pub fn last_sample_within(&self, numbers: &Range<u64>) -> Option<u64> {
        let named = self.by_signature.values().flat_map(|finding| &finding.samples).copied();
        named.filter(|id| numbers.contains(id)).max()
    }

    /// What has changed since the last call, to be written to disk.
    pub fn take_changed(&mut self) -> Vec<Finding> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|signature| self.by_signature.get(signature)).cloned().collect()
    }

    /// The finding of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Finding> {
        self.by_signature.values().find(|finding| finding.id == id)
    }

    /// All findings, most severe first, then most frequent.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.by_signature.values().collect();
        let rank = |finding: &Finding| (finding.severity, std::cmp::Reverse(finding.count));
        findings.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id)));
        findings
    }

    /// Open findings of these severities that stand against a flip: those of transients do by their share only.
    #[must_use]
    pub fn open(&self, severities: &[Severity]) -> Vec<&Finding> {
        let mut open = self.sorted();
        open.retain(|finding| {
            finding.state == State::Open && !finding.transient && severities.contains(&finding.severity)
        });
        open
    }

    /// How many findings there are of each state and severity.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(State, Severity), i64> {
        let all =
            State::ALL.iter().flat_map(|state| Severity::ALL.iter().map(|severity| (*state, *severity)));
        let mut counts: BTreeMap<(State, Severity), i64> = all.map(|key| (key, 0)).collect();
        for finding in self.by_signature.values() {
            *counts.entry((finding.state, finding.severity)).or_insert(0) += 1;
        }
        counts
    }
}

mod shared;
mod transition;

pub use self::shared::Unshared;
use self::transition::change;
pub use self::transition::{Transition, action};

#[cfg(test)]
mod tests;
