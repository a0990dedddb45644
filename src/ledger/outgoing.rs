//! What is to be told to the other replicas, gathered while it is written to this one's disk. Empty where there are none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::books::Placed;
use super::findings::Transition;
use super::lock;
use super::sample::Sample;

/// Samples that wait, at most; the oldest go first, and stay on this replica alone.
const SAMPLES: usize = 64;
/// Bytes of the samples that wait, at most.
const SAMPLE_BYTES: usize = 32 << 20;
/// Changes of findings that wait, at most.
const TRANSITIONS: usize = 1000;

/// What waits.
#[derive(Debug, Default)]
pub struct Outgoing(Mutex<Option<Waiting>>);

/// What is to be told.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The epoch of the pages.
    pub epoch: i64,
    /// Pages by route and key, each in its latest form: as many as the books have, at most.
    pub pages: BTreeMap<(String, String), String>,
    /// Changes of findings that no operator made.
    pub transitions: VecDeque<Transition>,
    /// Samples, as JSON.
    pub samples: VecDeque<(u64, String)>,
    sample_bytes: usize,
}

// === impl Outgoing ===

impl Outgoing {
    /// Gathers from now on.
    pub fn open(&self) {
        lock(&self.0).get_or_insert_default();
    }

    /// All that waits.
    pub fn take(&self) -> Waiting {
        lock(&self.0).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes back what could not be told; what came meanwhile is newer.
    pub fn give_back(&self, told: Waiting) {
        if let Some(waiting) = &mut *lock(&self.0) {
            if waiting.pages.is_empty() {
                waiting.epoch = told.epoch;
            }
            if waiting.epoch == told.epoch {
                for (key, document) in told.pages {
                    waiting.pages.entry(key).or_insert(document);
                }
            }
            told.transitions
                .into_iter()
                .rev()
                .for_each(|transition| waiting.transitions.push_front(transition));
            waiting.transitions.truncate(TRANSITIONS);
            for (id, document) in told.samples {
                waiting.sample(id, document);
            }
        }
    }

    /// Pages that an earlier run may not have told; those that changed meanwhile are newer.
    pub(super) fn restored(&self, epoch: i64, pages: Vec<Placed>) {
        if let Some(waiting) = &mut *lock(&self.0) {
            if waiting.pages.is_empty() {
                waiting.epoch = epoch;
            }
            if waiting.epoch == epoch {
                for Placed { route, page } in pages {
                    waiting.pages.entry((route, page.key)).or_insert(page.document);
                }
            }
        }
    }

    pub(super) fn pages(&self, epoch: i64, pages: &[Placed]) {
        if let Some(waiting) = &mut *lock(&self.0) {
            if waiting.epoch != epoch {
                waiting.pages.clear();
                waiting.epoch = epoch;
            }
            for Placed { route, page } in pages {
                waiting.pages.insert((route.clone(), page.key.clone()), page.document.clone());
            }
        }
    }

    pub(super) fn transition(&self, transition: &Transition) {
        if let Some(waiting) = &mut *lock(&self.0)
            && waiting.transitions.len() < TRANSITIONS
        {
            waiting.transitions.push_back(transition.clone());
        }
    }

    pub(super) fn sample(&self, sample: &Sample) {
        if let Some(waiting) = &mut *lock(&self.0)
            && let Ok(document) = serde_json::to_string(sample)
        {
            waiting.sample(sample.id, document);
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn sample(&mut self, id: u64, document: String) {
        self.sample_bytes += document.len();
        self.samples.push_back((id, document));
        while self.samples.len() > SAMPLES || self.sample_bytes > SAMPLE_BYTES {
            let Some((_, gone)) = self.samples.pop_front() else { break };
            self.sample_bytes -= gone.len();
        }
    }
}
