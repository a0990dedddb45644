//! One state out of two: a rollback that is told late, and a state store that lost changes.

use chrono::Utc;

use super::called;
use crate::side::Pair;
use crate::state::{AuditEntry, Epoch, Owed, Stored, rfc3339};

/// What an epoch begins for that the state store's own loss makes necessary.
const LOST: &str = "the state store lost changes";

/// What stands after a rollback of this replica is told: *from*, unless what it took back was taken back by somebody
/// else before, and others went on from there. A fresh one holds against that as well.
pub(super) fn merged(here: &Stored, there: Option<&Stored>, owed: &Owed, is_fresh: bool) -> Stored {
    let Some(there) = there else { return here.clone() };
    let was_taken_back = there.zeroed > owed.turn && !is_fresh;
    let mut next = if there.dial == 0 || was_taken_back { there.clone() } else { there.turned_to(0) };
    if next.dial == 0 && next.latch.is_none() && there.released <= owed.turn {
        next.latch.clone_from(&here.latch);
    }
    if there.epoch.number < here.epoch.number {
        next.epoch = after_loss(here, there);
    }
    if next == *there && there.version >= here.version {
        return next;
    }
    next.version = there.version.max(here.version) + 1;
    if there.dial != next.dial {
        next.turn = next.version;
        next.zeroed = next.version;
    }
    next
}

/// What stands where the state store has less than this replica knows, as one restored from a backup has: the safer side
/// of both, in an epoch of its own.
pub(super) fn recovered(here: &Stored, there: Option<&Stored>) -> Stored {
    let there = there.unwrap_or(here);
    let safer = if there.dial <= here.dial { there } else { here };
    let version = here.version.max(there.version) + 1;
    let zeroed = if safer.dial == 0 { version } else { here.zeroed.max(there.zeroed) };
    Stored {
        version,
        dial: safer.dial,
        leader: safer.leader,
        since: safer.since,
        turn: version,
        raised: false,
        epoch: after_loss(here, there),
        latch: here.latch.clone().or_else(|| there.latch.clone()),
        zeroed,
        released: here.released.max(there.released),
    }
}

/// Numbers never come back: evidence of a later epoch would count for an earlier one.
fn after_loss(here: &Stored, there: &Stored) -> Epoch {
    let number = here.epoch.number.max(there.epoch.number) + 1;
    Epoch { number, since: Utc::now(), reason: LOST.to_owned(), rules: here.epoch.rules.clone() }
}

/// What the audit says of it.
pub(super) fn recovery(names: &Pair<String>, here: &Stored, next: &Stored) -> AuditEntry {
    tracing::warn!(dial = next.dial, version = next.version, "{LOST}; the safer side of both is taken");
    AuditEntry {
        at: rfc3339(Utc::now()),
        action: "recover".to_owned(),
        from: called(names, here),
        to: called(names, next),
        trigger: "automatic".to_owned(),
        source: "flipgate".to_owned(),
        reason: LOST.to_owned(),
        forced: false,
        evidence: serde_json::Value::Null,
        finding: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutover::sharing::{as_record, as_stored};
    use crate::side::Side;
    use crate::state::Latch;

    fn stored(dial: u8, version: i64) -> Stored {
        Stored { version, dial, turn: version, zeroed: 0, ..Stored::new(dial, String::new()) }
    }

    fn owed(turn: i64) -> Owed {
        Owed { turn, entries: Vec::new() }
    }

    #[test]
    fn a_rollback_wins_over_whatever_stands_there() {
        let mut here = stored(0, 8);
        here.latch = Some(Latch { since: here.since, reason: "5xx".to_owned() });
        for (there, turn) in [(stored(100, 5), 9), (stored(100, 20), 21), (stored(0, 20), 20)] {
            let merged = merged(&here, Some(&there), &owed(7), false);
            assert_eq!((merged.dial, merged.version), (0, there.version.max(8) + 1));
            assert_eq!(merged.turn, turn);
            assert_eq!(merged.latch, here.latch);
            assert_eq!(as_stored(&as_record(&merged)).unwrap(), merged);
        }
        assert_eq!(merged(&here, None, &owed(7), false), here);
    }

    #[test]
    fn told_twice_it_changes_nothing_more() {
        let mut here = stored(0, 8);
        here.latch = Some(Latch { since: here.since, reason: "5xx".to_owned() });
        let once = merged(&here, Some(&stored(100, 7)), &owed(7), true);
        assert_eq!(merged(&here, Some(&once), &owed(7), true), once);
        assert_eq!(merged(&here, Some(&once), &owed(7), false), once);
    }

    #[test]
    fn a_rollback_told_to_a_store_that_lost_changes_brings_no_epoch_back() {
        let mut here = stored(0, 8);
        here.epoch.number = 4;
        let once = merged(&here, Some(&stored(100, 2)), &owed(7), true);
        assert_eq!((once.dial, once.version, once.epoch.number), (0, 9, 5));
        assert_eq!(merged(&here, Some(&once), &owed(7), false), once);
    }

    #[test]
    fn what_was_taken_back_by_others_is_not_taken_back_again() {
        let mut here = stored(0, 8);
        here.latch = Some(Latch { since: here.since, reason: "5xx".to_owned() });
        let back = stored(100, 7).turned_to(0);
        let forward = back.turned_to(100);
        assert_eq!(merged(&here, Some(&forward), &owed(7), false), forward);
        assert_eq!(merged(&here, Some(&forward), &owed(7), true).dial, 0);
        // The latch comes along unless one was released since.
        assert_eq!(merged(&here, Some(&back), &owed(7), false).latch, here.latch);
        let released = Stored { latch: here.latch.clone(), ..back }.with_latch(None);
        assert_eq!(merged(&here, Some(&released), &owed(7), false), released);
    }

    #[test]
    fn of_a_store_that_lost_changes_the_safer_side_is_taken() {
        let mut here = stored(0, 9);
        here.epoch.number = 4;
        here.latch = Some(Latch { since: here.since, reason: "5xx".to_owned() });
        let there = stored(100, 3);
        for (here, there) in [(&here, &there), (&there, &here)] {
            let next = recovered(here, Some(there));
            assert_eq!((next.dial, next.leader, next.version, next.turn), (0, Side::From, 10, 10));
            assert_eq!((next.epoch.number, &*next.epoch.reason, next.zeroed), (5, LOST, 10));
            assert!(next.latch.is_some());
        }
        assert_eq!((recovered(&here, None).version, recovered(&here, None).epoch.number), (10, 5));
    }
}
