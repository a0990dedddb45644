//! The header by which a backend says which version of its data it answers from: another one begins an epoch.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc::Sender;

use crate::side::{Pair, Side};

/// The versions seen last.
#[derive(Debug)]
pub struct DataVersions {
    header: HeaderName,
    names: Pair<String>,
    seen: Pair<Mutex<Option<HeaderValue>>>,
    events: Sender<String>,
}

// === impl DataVersions ===

impl DataVersions {
    /// Watches `header`; a change is told to `events`.
    #[must_use]
    pub fn new(header: HeaderName, names: Pair<String>, events: Sender<String>) -> Self {
        DataVersions { header, names, seen: Pair::default(), events }
    }

    /// Notes what an answer of a backend says.
    pub fn note(&self, side: Side, headers: &HeaderMap) {
        let Some(now) = headers.get(&self.header) else { return };
        let mut seen = self.seen.get(side).lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref() == Some(now) {
            return;
        }
        if seen.replace(now.clone()).is_some() {
            let event = format!("`{}` answers with another {}", self.names.get(side), self.header);
            // Where events wait already, an epoch is about to begin anyway.
            let _ = self.events.try_send(event);
        }
    }
}
