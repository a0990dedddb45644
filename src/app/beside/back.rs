//! Records that were deleted from PostgreSQL and are in a file: for how long, and whether that was told.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a deleted record may be in a file: a write that goes to both stores takes less.
const GRACE: Duration = Duration::from_secs(5);

/// A record that PostgreSQL has a tombstone of, and not itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) id: String,
    /// Where it was deleted by name: the video, all records of which it is about.
    pub(super) video: Option<String>,
}

/// The deleted records that one file has.
#[derive(Debug, Default)]
pub(super) struct Back {
    there: HashMap<String, Seen>,
    /// Whether there was a look yet: what the first one finds has been there before.
    looked: bool,
}

#[derive(Debug, Clone, Copy)]
enum Seen {
    Since(Instant),
    Told,
}

// === impl Back ===

impl Back {
    /// Whether some are there that are neither told nor gone.
    pub(super) fn is_waiting(&self) -> bool {
        self.there.values().any(|seen| matches!(seen, Seen::Since(_)))
    }

    /// Notes which deleted records are there now; gives those to be told, in their order.
    pub(super) fn judge(&mut self, there: Vec<String>, now: Instant) -> Vec<String> {
        let looked = std::mem::replace(&mut self.looked, true);
        let before = std::mem::take(&mut self.there);
        let mut news = Vec::new();
        for id in there {
            let seen = match before.get(&id).copied() {
                None if looked => Seen::Since(now),
                None | Some(Seen::Told) => Seen::Told,
                Some(Seen::Since(since)) if now.saturating_duration_since(since) >= GRACE => {
                    news.push(id.clone());
                    Seen::Told
                }
                Some(waiting @ Seen::Since(_)) => waiting,
            };
            self.there.insert(id, seen);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_for_a_while_is_told_once_until_it_is_gone() {
        let (mut back, begun) = (Back::default(), Instant::now());
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(back.judge(ids(&["a"]), at(0)).is_empty() && !back.is_waiting(), "it was there before");
        assert!(back.judge(ids(&["a", "b"]), at(1)).is_empty() && back.is_waiting());
        assert!(back.judge(ids(&["a", "b"]), at(5)).is_empty());
        assert_eq!(back.judge(ids(&["a", "b"]), at(6)), ["b"]);
        assert!(back.judge(ids(&["a", "b"]), at(20)).is_empty() && !back.is_waiting());
        assert!(back.judge(ids(&["b"]), at(21)).is_empty());
        assert!(back.judge(ids(&["a", "b"]), at(22)).is_empty());
        assert_eq!(back.judge(ids(&["a", "b"]), at(27)), ["a"]);
    }
}
