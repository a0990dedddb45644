//! What is committed: one record, which changes by compare-and-set on its version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::side::Side;

/// The committed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Counts every change of this record.
    pub version: i64,
    /// Share of reads served by *to*, in percent.
    pub dial: u8,
    /// Who takes writes first.
    pub leader: Side,
    /// Since when the dial stands there.
    pub since: DateTime<Utc>,
    /// The version that the last change of the dial made.
    pub turn: i64,
    /// Whether it was raised since it was last 0.
    pub raised: bool,
    /// The stretch of evidence gathered now.
    pub epoch: Epoch,
    /// Set by an automatic rollback until an operator releases it.
    pub latch: Option<Latch>,
    /// The highest version that set the dial to 0: what was forward before it was taken back by then.
    #[serde(default)]
    pub zeroed: i64,
    /// The highest version that released a latch.
    #[serde(default)]
    pub released: i64,
}

/// A stretch of evidence gathered under the same rules and data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts epochs from 1.
    pub number: i64,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it began.
    pub reason: String,
    /// Fingerprint of the comparison rules and the backends.
    pub rules: String,
}

/// Why going forward waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// Since when.
    pub since: DateTime<Utc>,
    /// What the automatic rollback saw.
    pub reason: String,
}

/// What a request needs to know of the committed state: one word, so that it is read at once and whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Share of reads served by *to*, in percent.
    pub dial: u8,
    /// Who takes writes first.
    pub leader: Side,
    /// The version that the last change of the dial made.
    pub turn: i64,
}

// === impl Position ===

impl Position {
    /// As one word.
    #[must_use]
    pub fn packed(self) -> u64 {
        let leader = u64::from(self.leader == Side::To);
        self.turn.unsigned_abs() << 16 | leader << 8 | u64::from(self.dial)
    }

    /// From one word.
    #[must_use]
    pub fn unpacked(word: u64) -> Self {
        let [dial, leader, ..] = word.to_le_bytes();
        let leader = if leader == 0 { Side::From } else { Side::To };
        Position { dial, leader, turn: i64::try_from(word >> 16).unwrap_or(i64::MAX) }
    }
}

// === impl Stored ===

impl Stored {
    /// The first state, with a dial at 0 or 100.
    #[must_use]
    pub fn new(dial: u8, rules: String) -> Self {
        let since = Utc::now();
        Stored {
            version: 1,
            dial,
            leader: if dial == 100 { Side::To } else { Side::From },
            since,
            turn: 1,
            raised: false,
            epoch: Epoch { number: 1, since, reason: "the first start".to_owned(), rules },
            latch: None,
            zeroed: i64::from(dial == 0),
            released: 0,
        }
    }

    /// What a state file says that was written before there were epochs.
    pub(super) fn of_the_first_version(dial: u8, since: DateTime<Utc>, version: i64) -> Self {
        Stored { version, since, turn: version, ..Stored::new(dial, String::new()) }
    }

    /// What a request needs to know of it.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { dial: self.dial, leader: self.leader, turn: self.turn }
    }

    /// Who serves all reads, unless they are split.
    #[must_use]
    pub fn primary(&self) -> Option<Side> {
        match self.dial {
            0 => Some(Side::From),
            100 => Some(Side::To),
            _ => None,
        }
    }

    /// The state after the dial is set. The leader changes at the ends only.
    #[must_use]
    pub fn with_dial(&self, dial: u8) -> Self {
        let version = self.version + 1;
        let leader = match dial {
            0 => Side::From,
            100 => Side::To,
            _ => self.leader,
        };
        // Lowering it, but not to 0, leaves the rest of the last raise to be watched.
        let (since, raised) = (Utc::now(), dial > self.dial || (self.raised && dial > 0));
        Stored { version, dial, leader, since, turn: version, raised, ..self.clone() }
    }

    /// The state after another epoch has begun.
    #[must_use]
    pub fn with_epoch(&self, reason: String, rules: String) -> Self {
        let epoch = Epoch { number: self.epoch.number + 1, since: Utc::now(), reason, rules };
        Stored { version: self.version + 1, epoch, ..self.clone() }
    }

    /// The state after an automatic rollback latched, or an operator released it.
    #[must_use]
    pub fn with_latch(&self, latch: Option<Latch>) -> Self {
        let version = self.version + 1;
        let released = if latch.is_none() { version } else { self.released };
        Stored { version, latch, released, ..self.clone() }
    }

    /// The state after the dial is set, which remembers when it was at 0 last, and that a raise releases a latch.
    #[must_use]
    pub fn turned_to(&self, dial: u8) -> Self {
        let mut next = self.with_dial(dial);
        if dial == 0 {
            next.zeroed = next.version;
        }
        if dial > self.dial && next.latch.take().is_some() {
            next.released = next.version;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_one_word() {
        for (dial, leader, turn) in [(0, Side::From, 1), (100, Side::To, 1 << 40), (25, Side::To, 0)] {
            let position = Position { dial, leader, turn };
            assert_eq!(Position::unpacked(position.packed()), position);
        }
    }

    #[test]
    fn the_leader_changes_at_the_ends_only() {
        let mut stored = Stored::new(0, String::new());
        for (dial, leader, raised) in
            [(50, Side::From, true), (100, Side::To, true), (50, Side::To, true), (0, Side::From, false)]
        {
            stored = stored.with_dial(dial);
            assert_eq!((stored.leader, stored.raised, stored.turn), (leader, raised, stored.version));
        }
        assert_eq!(stored.with_epoch(String::new(), String::new()).turn, stored.turn);
    }
}
