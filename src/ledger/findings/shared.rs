//! Findings of several replicas: what is told to the others, and what they tell.

use std::collections::{HashMap, HashSet};

use super::Findings;
use crate::ledger::acceptance::Acceptance;
use crate::ledger::finding::{Finding, OVERFLOW, SAMPLES, State};
use crate::ledger::findings::PER_ROUTE;

/// What the other replicas have not been told of a finding.
#[derive(Debug, Clone)]
pub struct Unshared {
    /// As it is now.
    pub finding: Finding,
    /// Occurrences they do not know of.
    pub untold: u64,
}

// === impl Findings ===

impl Findings {
    /// What the other replicas have not been told; they count as told from now on.
    pub fn take_unshared(&mut self) -> Vec<Unshared> {
        let unshared = std::mem::take(&mut self.unshared);
        let mut taken = Vec::new();
        for signature in unshared {
            if let Some(finding) = self.by_signature.get_mut(&signature) {
                let untold = std::mem::take(&mut finding.watch.untold);
                taken.push(Unshared { finding: finding.clone(), untold });
            }
        }
        taken
    }

    /// What an earlier run knew, until it is told: an outage may have kept that run from telling it.
    #[must_use]
    pub fn restored(&self) -> Vec<Unshared> {
        let known = self.restored.iter().filter_map(|signature| self.by_signature.get(signature));
        known.map(|finding| Unshared { finding: finding.clone(), untold: finding.watch.untold }).collect()
    }

    /// Notes that the other replicas know what an earlier run knew.
    pub fn restored_is_told(&mut self) {
        self.restored.clear();
    }

    /// Takes back what could not be told.
    pub fn give_back(&mut self, unshared: &[Unshared]) {
        for Unshared { finding, untold } in unshared {
            let known = self.by_signature.iter_mut().find(|(_, known)| known.id == finding.id);
            if let Some((signature, known)) = known {
                known.watch.untold += untold;
                self.unshared.insert(signature.clone());
            }
        }
    }

    /// Takes up what all replicas know of a finding. What was seen here meanwhile stays.
    pub fn adopt(&mut self, route: usize, theirs: Finding) {
        let signature = theirs.signature(route);
        let is_restored = self.restored.contains(&signature);
        let is_unshared = self.unshared.contains(&signature);
        self.changed.insert(signature.clone());
        let comparisons = self.comparisons.get(&route).copied().unwrap_or(0);
        let Some(ours) = self.by_signature.get_mut(&signature) else {
            let known = self.per_route.entry(route).or_insert(0);
            if theirs.path != OVERFLOW && *known < PER_ROUTE {
                *known += 1;
            } else if theirs.path != OVERFLOW {
                return;
            }
            let state = if theirs.state == State::Accepted { State::Open } else { theirs.state };
            let mut adopted = Finding { state, accepted: None, ..theirs };
            adopted.occur_elsewhere(comparisons);
            self.by_signature.insert(signature, adopted);
            return;
        };
        // What an earlier run may not have told is newer if it saw the finding later.
        let is_untold = is_unshared || (is_restored && ours.last_seen > theirs.last_seen);
        let count = theirs.count + ours.watch.untold;
        if count > ours.count || theirs.last_seen > ours.last_seen {
            ours.occur_elsewhere(comparisons);
        }
        ours.count = count;
        ours.first_seen = ours.first_seen.min(theirs.first_seen);
        ours.last_seen = ours.last_seen.max(theirs.last_seen);
        ours.unlike = ours.unlike.max(theirs.unlike);
        for sample in theirs.samples {
            if ours.samples.len() < SAMPLES && !ours.samples.contains(&sample) {
                ours.samples.push(sample);
            }
        }
        // What is accepted comes with the judgements.
        if !is_untold && theirs.state != State::Accepted && ours.state != State::Accepted {
            ours.state = theirs.state;
        }
    }

    /// Takes up what operators accepted on any replica: all of it, and nothing else is accepted.
    pub fn adopt_judgements(&mut self, mut judgements: HashMap<String, Acceptance>) {
        // What they are told next about these is newer than what they tell.
        let changing: HashSet<&str> = self.transitions.iter().map(|waits| &*waits.finding.id).collect();
        for (signature, finding) in &mut self.by_signature {
            if changing.contains(&*finding.id) {
                continue;
            }
            let judged = judgements.remove(&finding.id);
            let before = (finding.state, finding.accepted.as_ref().map(|accepted| accepted.at));
            match judged {
                Some(judged) if before == (State::Accepted, Some(judged.at)) => continue,
                Some(judged) => {
                    finding.state = State::Accepted;
                    finding.accepted = Some(judged);
                }
                None if finding.state == State::Accepted => {
                    finding.state = State::Open;
                    finding.accepted = None;
                }
                None => continue,
            }
            self.changed.insert(signature.clone());
        }
    }
}
