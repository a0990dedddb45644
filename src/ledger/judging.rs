//! What a comparison means: noise, accepted, or a mismatch; and what is counted and kept of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use super::acceptance::{Accepted, Place, Values};
use super::evidence::Differs;
use super::finding::{SAMPLES, Signature};
use super::noise::could_be_noise;
use super::sample::{Sample, SampleDifference, SampleLeg};
use super::{Compared, Ledger, LegRecord, PLACES, Records, lock, redact, sentence};
use crate::compare::{Comparison, Difference};
use crate::side::{Pair, Side};

/// What a comparison means before anything of it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Equal.
    Match,
    /// Differs only where the primary differs from itself.
    Noise,
    /// What is not noise is accepted.
    Accepted,
    /// Something remains.
    Differs {
        /// Whether all that remains was confirmed a short while ago.
        known: bool,
    },
}

/// What counting a comparison's differences brought to light.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Each difference that no rule covers, with its finding and the values as they may be shown.
    differences: Vec<SampleDifference>,
    /// Where they lie, each once.
    places: HashSet<Place>,
    /// Whether one of these findings still has room for a sample.
    pub(super) wants_sample: bool,
    /// What remains after noise and what is accepted is nothing: it is this, and no mismatch.
    pub(super) covered: Option<Verdict>,
}

// === impl Ledger ===

impl Ledger {
    /// What a comparison of `route` means now. Counts nothing. `listed` says that every cause is in its list.
    #[must_use]
    pub fn verdict(&self, route: usize, comparison: &Comparison, listed: bool) -> Verdict {
        if comparison.is_match() {
            return Verdict::Match;
        }
        let accepted = self.accepted(route);
        let label = self.label(route);
        let all_values = has_all_values(comparison);
        let (mut is_accepted, mut is_noise) = (false, false);
        let mut remaining = Vec::new();
        for difference in &comparison.differences {
            let place = place(route, label, difference, all_values);
            if difference.accepted_by_rule {
                is_accepted = true;
            } else if accepted.is_noise(&place) {
                is_noise = true;
            } else if accepted.covers(&[place]) {
                is_accepted = true;
            } else {
                remaining.push(difference);
            }
        }
        let is_complete = comparison.limited.is_none() && listed;
        match (is_complete && remaining.is_empty(), is_noise && !is_accepted) {
            (true, true) => Verdict::Noise,
            (true, false) => Verdict::Accepted,
            (false, _) => {
                let findings = lock(&self.findings);
                let was_confirmed = |difference: &&Difference| findings.was_confirmed(route, difference);
                Verdict::Differs { known: is_complete && remaining.iter().all(was_confirmed) }
            }
        }
    }

    /// What counts against nothing on `route` now.
    #[must_use]
    pub fn accepted(&self, route: usize) -> Accepted {
        let accepted = {
            let mut findings = lock(&self.findings);
            findings.settle(Utc::now());
            findings.accepted()
        };
        self.books.with_noise(route, accepted)
    }

    /// Notes how the two sides differed on `route`, or that they did not, before anything is asked again.
    pub fn note_compared(&self, route: usize, comparison: &Comparison) {
        self.books.compared(route, comparison);
    }

    /// Notes how the primary's answer on `route` differed from another one of its own to the same request.
    pub fn control(&self, route: usize, comparison: &Comparison) {
        let noisy = self.books.control(route, comparison);
        lock(&self.findings).settle_noise(route, &noisy, Utc::now());
    }

    /// Counts a comparison of `route` and its differences.
    pub(super) fn count_differences(
        &self,
        route: usize,
        compared: &Compared<'_>,
        now: DateTime<Utc>,
    ) -> (Noted, Differs) {
        if compared.comparison.is_match() {
            // The usual case, and nothing to be judged.
            lock(&self.findings).begin(route);
            return (Noted::default(), Differs::No);
        }
        let label = self.label(route);
        let accepted = self.accepted(route);
        let mut findings = lock(&self.findings);
        findings.begin(route);
        let mut noted = Noted::default();
        let all_values = has_all_values(&compared.comparison);
        let mut is_noise = true;
        for difference in &compared.comparison.differences {
            let values = values(difference);
            let unnoticed = place(route, label, difference, all_values);
            if accepted.is_noise(&unnoticed) && !difference.accepted_by_rule {
                let finding = Signature::of(route, difference).id(label);
                noted.add(difference, finding, values, unnoticed);
                continue;
            }
            is_noise = false;
            self.metrics.difference(route, difference.kind.as_str(), difference.class.as_str());
            if difference.accepted_by_rule {
                continue;
            }
            let signature = Signature::of(route, difference);
            let finding = findings.count(signature, label, &self.names, difference, &values, now);
            noted.wants_sample |= finding.samples.len() < SAMPLES;
            let exact = all_values.then_some(&values);
            let place = Place::new(&finding.id, exact, could_be_noise(difference));
            noted.add(difference, finding.id.clone(), values, place);
        }
        let is_listed = compared.comparison.limited.is_none() && compared.listed;
        if noted.places.len() > PLACES {
            noted.places = noted.places.iter().map(|place| Place { values: None, ..*place }).collect();
        }
        if !is_listed || noted.places.len() > PLACES {
            return (noted, Differs::Yes);
        }
        if noted.places.is_empty() {
            noted.covered = Some(Verdict::Accepted);
            return (noted, Differs::No);
        }
        let places: Arc<[Place]> = noted.places.iter().copied().collect();
        // By what is accepted after counting: an occurrence beyond its scope ends an acceptance.
        if self.books.with_noise(route, findings.accepted()).covers(&places) {
            noted.covered = Some(if is_noise { Verdict::Noise } else { Verdict::Accepted });
        }
        (noted, Differs::At(places))
    }

    /// Counts the differences of a comparison that agreed when asked again, though nothing known explains it.
    pub(super) fn count_unexplained(
        &self,
        route: usize,
        compared: &Compared<'_>,
        now: DateTime<Utc>,
    ) -> Noted {
        let label = self.label(route);
        let mut findings = lock(&self.findings);
        findings.begin(route);
        let mut noted = Noted::default();
        for difference in compared.comparison.differences.iter().filter(|d| !d.accepted_by_rule) {
            let values = values(difference);
            let signature = Signature::of(route, difference).transient();
            let finding = findings.count(signature, label, &self.names, difference, &values, now);
            noted.wants_sample |= finding.samples.len() < SAMPLES;
            let place = Place::new(&finding.id, None, false);
            noted.add(difference, finding.id.clone(), values, place);
        }
        noted
    }

    pub(super) fn keep_sample(
        &self,
        route: usize,
        compared: &Compared<'_>,
        now: DateTime<Utc>,
        noted: Noted,
        records: Records,
    ) -> u64 {
        let ids: Vec<String> =
            noted.differences.iter().map(|difference| difference.finding.clone()).collect();
        let leg = |side: Side, record: LegRecord| SampleLeg {
            backend: self.names.get(side).clone(),
            status: record.status,
            headers: record.headers,
            seconds: compared.times.get(side).as_secs_f64(),
            body: record.body,
        };
        let Pair { from, to } = records.legs;
        let id = self.last_sample.fetch_add(1, Ordering::Relaxed) + 1;
        let sample = Sample {
            id,
            at: now,
            route: self.label(route).to_owned(),
            target: redact::target(compared.target),
            request: records.request,
            primary: self.names.get(compared.primary).clone(),
            from: leg(Side::From, from),
            to: leg(Side::To, to),
            differences: noted.differences,
            patch: records.patch,
        };
        // Named before it is queued, so that the writer finds the name to take back should it fail.
        lock(&self.findings).add_sample(&ids, id);
        if !self.archive.keep(sample) {
            lock(&self.findings).forget_samples(&[id]);
        }
        id
    }

    pub(super) fn label(&self, route: usize) -> &str {
        self.labels.get(route).map_or("other", String::as_str)
    }
}

// === impl Noted ===

impl Noted {
    fn add(&mut self, difference: &Difference, finding: String, values: Values, place: Place) {
        self.places.insert(place);
        self.differences.push(SampleDifference {
            finding,
            at: difference.at.clone(),
            kind: difference.kind.to_string(),
            class: difference.class.to_string(),
            from: values.from,
            to: values.to,
        });
    }
}

/// Where a difference lies, as if its finding were its own (which it is not beyond the limit of findings).
fn place(route: usize, label: &str, difference: &Difference, all_values: bool) -> Place {
    let exact = all_values.then(|| values(difference));
    Place::new(&Signature::of(route, difference).id(label), exact.as_ref(), could_be_noise(difference))
}

/// Both values as they may be shown.
fn values(difference: &Difference) -> Values {
    let shown = |value: Option<&str>| value.map(|value| sentence::shown(difference, value));
    Values { from: shown(difference.from.as_deref()), to: shown(difference.to.as_deref()) }
}

/// Of a frequent cause only the first values are listed: which others there were is not known.
fn has_all_values(comparison: &Comparison) -> bool {
    comparison.total == comparison.differences.len() as u64
}
