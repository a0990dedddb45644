//! The header by which a backend says which version of its data it answers from: another one begins an epoch.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::Sender;

use crate::cutover::Event;
use crate::side::{Pair, Side};

/// Versions of one backend remembered: nodes behind one address may answer from different ones for a while.
const REMEMBERED: usize = 8;
/// How long a version that is not the latest is remembered after it was seen.
const WHILE: Duration = Duration::from_secs(60);
/// Longest version that is shown as it is.
const SHOWN: usize = 64;

/// The versions seen last.
#[derive(Debug)]
pub struct DataVersions {
    header: HeaderName,
    names: Pair<String>,
    seen: Pair<Mutex<Seen>>,
    events: Sender<Event>,
}

/// The latest first.
#[derive(Debug, Default)]
struct Seen(VecDeque<(HeaderValue, Instant)>);

// === impl Seen ===

impl Seen {
    /// Notes a version; says whether it is another one than those of a while ago.
    fn is_news(&mut self, version: &HeaderValue, now: Instant) -> bool {
        if let Some((latest, at)) = self.0.front_mut()
            && latest == version
        {
            *at = now;
            return false;
        }
        let is_first = self.0.is_empty();
        let known = self.0.iter().position(|(known, _)| known == version);
        let before = known.and_then(|place| self.0.remove(place));
        self.0.push_front((version.clone(), now));
        self.0.truncate(REMEMBERED);
        !is_first && before.is_none_or(|(_, at)| now.saturating_duration_since(at) > WHILE)
    }
}

// === impl DataVersions ===

impl DataVersions {
    /// Watches `header`; a change is told to `events`.
    #[must_use]
    pub fn new(header: HeaderName, names: Pair<String>, events: Sender<Event>) -> Self {
        DataVersions { header, names, seen: Pair::default(), events }
    }

    /// Notes what an answer of a backend says.
    pub fn note(&self, side: Side, headers: &HeaderMap) {
        let Some(now) = headers.get(&self.header) else { return };
        let mut seen = self.seen.get(side).lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_news(now, Instant::now()) {
            let name = self.names.get(side);
            let event = format!("`{name}` answers with another {}: {}", self.header, shown(now));
            // Where events wait already, an epoch is about to begin anyway.
            let _ = self.events.try_send(Event::new(event));
        }
    }
}

/// A version as an operator may read it: its hash where it is long, or not plain.
fn shown(version: &HeaderValue) -> String {
    // Events are told apart by semicolons.
    let is_plain = |byte: &u8| (byte.is_ascii_graphic() || *byte == b' ') && *byte != b';';
    match version.to_str() {
        Ok(text) if text.len() <= SHOWN && text.as_bytes().iter().all(is_plain) => text.to_owned(),
        _ => {
            let hash = Sha256::digest(version.as_bytes());
            let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("sha256 {hash}…")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_alternate_are_news_once() {
        let version = HeaderValue::from_static;
        let (mut seen, begun) = (Seen::default(), Instant::now());
        assert!(!seen.is_news(&version("1"), begun), "the first is what there is");
        assert!(seen.is_news(&version("2"), begun));
        for after in [1, 30, 60] {
            let now = begun + Duration::from_secs(after);
            assert!(!seen.is_news(&version("1"), now) && !seen.is_news(&version("2"), now));
        }
        let later = begun + Duration::from_secs(3600);
        assert!(!seen.is_news(&version("2"), later), "the latest stays known");
        assert!(seen.is_news(&version("1"), later), "an older one is news again");
        for n in 3..100 {
            assert!(seen.is_news(&HeaderValue::from(n), later));
        }
        assert_eq!(seen.0.len(), REMEMBERED);
    }

    #[test]
    fn a_version_is_shown_if_it_can_be() {
        assert_eq!(shown(&HeaderValue::from_static("2026-11-25 #7")), "2026-11-25 #7");
        let long = "x".repeat(65);
        for hidden in [long.as_bytes(), b"a;b", b"a\tb", b"\xc3\xa4"] {
            let shown = shown(&HeaderValue::from_bytes(hidden).unwrap());
            assert!(shown.starts_with("sha256 ") && shown.len() < 30, "{shown}");
        }
    }
}
