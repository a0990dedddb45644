//! Samples: both legs of a request that differed, kept (secrets blanked) so that a person can look at them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::finding::rfc3339;

/// One request that differed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its number, unique within a state directory.
    pub id: u64,
    /// When it was compared.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// The route's `match` string.
    pub route: String,
    /// Path and query, secrets blanked.
    pub target: String,
    /// The headers with which it can be asked again; null if it carried credentials, which are never stored.
    pub request: Option<Vec<(String, String)>>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleLeg {
    /// Name of the backend.
    pub backend: String,
    /// HTTP status.
    pub status: u16,
    /// The headers that are compared, those with credentials blanked.
    pub headers: Vec<(String, String)>,
    /// Leg time in seconds.
    pub seconds: f64,
    /// The body with secrets blanked, or a line that gives its length and digest.
    pub body: String,
}

/// One difference of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleDifference {
    /// Its finding.
    pub finding: String,
    /// Where exactly, with positions.
    pub at: String,
    /// Kind of difference.
    pub kind: String,
    /// Class of difference.
    pub class: String,
    /// Value in *from*, shortened.
    pub from: Option<String>,
    /// Value in *to*, shortened.
    pub to: Option<String>,
}

// === impl Sample ===

impl Sample {
    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        // A patch holds at most the values of both bodies again.
        let patch = if self.patch.is_some() { self.from.body.len() + self.to.body.len() } else { 0 };
        4096 + self.from.body.len() + self.to.body.len() + patch
    }
}
