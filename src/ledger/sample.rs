//! Samples: both legs of a request that differed, kept (secrets blanked) so that a person can look at them.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::finding::rfc3339;

/// Bytes of all samples together; the oldest go first.
const BYTES: usize = 64 * 1024 * 1024;

/// One request that differed.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Its number, unique while flipgate runs.
    pub id: u64,
    /// When it was compared.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// The route's `match` string.
    pub route: String,
    /// Path and query, secrets blanked.
    pub target: String,
    /// Name of the backend whose answer the client got.
    pub primary: String,
    /// *from*'s answer.
    pub from: SampleLeg,
    /// *to*'s answer.
    pub to: SampleLeg,
    /// Where they differ.
    pub differences: Vec<SampleDifference>,
    /// RFC 6902: turns *from*'s document into *to*'s; null where the bodies are not JSON.
    pub patch: Option<serde_json::Value>,
}

/// One leg of a sample.
#[derive(Debug, Clone, Serialize)]
pub struct SampleLeg {
    /// Name of the backend.
    pub backend: String,
    /// HTTP status.
    pub status: u16,
    /// The headers that are compared.
    pub headers: Vec<(String, String)>,
    /// Leg time in seconds.
    pub seconds: f64,
    /// The body with secrets blanked, or a line that gives its length and digest.
    pub body: String,
}

/// One difference of a sample.
#[derive(Debug, Clone, Serialize)]
pub struct SampleDifference {
    /// Its finding.
    pub finding: String,
    /// Where exactly, with positions.
    pub at: String,
    /// Kind of difference.
    pub kind: &'static str,
    /// Class of difference.
    pub class: &'static str,
    /// Value in *from*, shortened.
    pub from: Option<String>,
    /// Value in *to*, shortened.
    pub to: Option<String>,
}

/// The samples kept.
#[derive(Debug, Default)]
pub struct Samples {
    kept: VecDeque<Sample>,
    bytes: usize,
    next_id: u64,
}

// === impl Samples ===

impl Samples {
    /// The id the next sample will have.
    pub fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Keeps `sample`; the oldest go where there is no room.
    pub fn keep(&mut self, sample: Sample) {
        self.bytes += sample.size();
        self.kept.push_back(sample);
        while self.bytes > BYTES
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.size();
        }
    }

    /// The sample of this id, if it is still kept.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Sample> {
        self.kept.iter().find(|sample| sample.id == id)
    }
}

// === impl Sample ===

impl Sample {
    fn size(&self) -> usize {
        // A patch holds at most the values of both bodies again.
        let patch = if self.patch.is_some() { self.from.body.len() + self.to.body.len() } else { 0 };
        4096 + self.from.body.len() + self.to.body.len() + patch
    }
}
