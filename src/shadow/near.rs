//! What a write near a read makes of a comparison that differs: lag and a defect look alike until the write is in both
//! stores.
//!
//! Not for: which writes there are (`journal::traffic`).

use std::time::{Duration, Instant};

use super::comparator::target;
use super::rechecker::{Conclusion, Differing};
use crate::journal::traffic::Traffic;
use crate::ledger::{Confirmation, Ledger, Verdict};

/// How long before a comparison a write that is not journalled, or a change of data, explains a transient.
pub(super) const NEAR: Duration = Duration::from_secs(2);

/// What of a read tells which writes touch it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// When the request began, and with it its legs.
    pub began: Instant,
    /// It names no record: every write touches it.
    pub is_list: bool,
}

/// What is known of a comparison besides its verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// A limit was reached before it was done.
    pub(super) is_limited: bool,
    /// What differs is asked again at all.
    pub(super) has_rechecks: bool,
    /// A journalled write touches what was read.
    pub(super) is_touched: bool,
    /// A write that is not journalled went through shortly before.
    pub(super) wrote_near: bool,
}

/// What is done with a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It ends so.
    Conclude(Conclusion),
    /// Both sides are asked again first.
    AskAgain,
}

/// What is done with a comparison that was just made.
pub(super) fn course(verdict: Verdict, standing: Standing) -> Course {
    let Standing { is_limited, has_rechecks, is_touched, wrote_near } = standing;
    let is_final = is_limited || !has_rechecks;
    let confirmation = match verdict {
        Verdict::Match | Verdict::Noise => Confirmation::Confirmed,
        Verdict::Accepted if is_final => Confirmation::Confirmed,
        // Should counting it show that it is beyond what was accepted, nobody has asked again.
        Verdict::Accepted => Confirmation::Unconfirmed,
        Verdict::Differs { .. } if is_final => {
            return Course::Conclude(settled(Confirmation::Confirmed, standing));
        }
        // Near a write what looks like a known cause may be lag; asking again would take from the allowance.
        Verdict::Differs { known: true } if is_touched => return Course::Conclude(Conclusion::WritePending),
        Verdict::Differs { known: true } if wrote_near => Confirmation::Unconfirmed,
        Verdict::Differs { known: true } => Confirmation::Known,
        Verdict::Differs { known: false } => return Course::AskAgain,
    };
    Course::Conclude(Conclusion::Settled(confirmation))
}

/// How a comparison ends that differs, and that is not asked again (any more).
pub(super) fn settled(confirmation: Confirmation, standing: Standing) -> Conclusion {
    // What was not compared to its end says nothing of a write either.
    if standing.is_touched && !standing.is_limited {
        Conclusion::WritePending
    } else {
        Conclusion::Settled(confirmation)
    }
}

/// Whether a request that wrote went through since, or shortly before, what began so long ago.
pub(super) fn wrote_near(ledger: &Ledger, ago: Duration) -> bool {
    let near = i64::try_from((ago + NEAR).as_millis()).unwrap_or(0);
    ledger.has_written_since(chrono::Utc::now().timestamp_millis() - near)
}

// === impl Differing ===

impl Differing {
    /// Whether a journalled write touches what was read, for answers that were asked for at `since`.
    pub(super) fn is_touched(&self, traffic: &Traffic, since: Instant) -> bool {
        traffic.touches(target(&self.head), self.reading.is_list, since)
    }

    /// Gives a request that differs its outcome. `since` is when it was asked for, the last time.
    pub(super) fn settle(self, traffic: &Traffic, since: Instant, confirmation: Confirmation) {
        let standing = Standing {
            is_limited: self.comparison.limited.is_some(),
            is_touched: self.is_touched(traffic, since),
            ..Standing::default()
        };
        self.conclude(settled(confirmation, standing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFERS: Verdict = Verdict::Differs { known: false };
    const KNOWN: Verdict = Verdict::Differs { known: true };
    const RECHECKS: Standing =
        Standing { is_limited: false, has_rechecks: true, is_touched: false, wrote_near: false };
    const TOUCHED: Standing = Standing { is_touched: true, ..RECHECKS };

    fn ends(verdict: Verdict, standing: Standing) -> Conclusion {
        match course(verdict, standing) {
            Course::Conclude(conclusion) => conclusion,
            Course::AskAgain => panic!("{verdict:?}, {standing:?} is asked again"),
        }
    }

    #[test]
    fn what_differs_is_asked_again_whether_or_not_a_write_touches_it() {
        for standing in [RECHECKS, TOUCHED] {
            assert_eq!(course(DIFFERS, standing), Course::AskAgain);
        }
    }

    #[test]
    fn what_would_be_a_mismatch_is_pending_where_a_write_touches_it() {
        for confirmation in [Confirmation::Confirmed, Confirmation::Known, Confirmation::Unconfirmed] {
            assert_eq!(settled(confirmation, RECHECKS), Conclusion::Settled(confirmation));
            assert_eq!(settled(confirmation, TOUCHED), Conclusion::WritePending);
        }
        assert_eq!(ends(KNOWN, RECHECKS), Conclusion::Settled(Confirmation::Known));
        assert_eq!(ends(KNOWN, TOUCHED), Conclusion::WritePending);
        let without_rechecks = |is_touched| Standing { is_touched, ..Standing::default() };
        assert_eq!(ends(DIFFERS, without_rechecks(false)), Conclusion::Settled(Confirmation::Confirmed));
        assert_eq!(ends(DIFFERS, without_rechecks(true)), Conclusion::WritePending);
    }

    #[test]
    fn no_write_explains_what_reached_a_limit_or_is_no_difference() {
        let limited = Standing { is_limited: true, ..TOUCHED };
        for verdict in [DIFFERS, KNOWN] {
            assert_eq!(ends(verdict, limited), Conclusion::Settled(Confirmation::Confirmed));
        }
        for verdict in [Verdict::Match, Verdict::Noise] {
            assert_eq!(ends(verdict, TOUCHED), Conclusion::Settled(Confirmation::Confirmed));
        }
        assert_eq!(ends(Verdict::Accepted, TOUCHED), Conclusion::Settled(Confirmation::Unconfirmed));
    }

    #[test]
    fn a_write_that_is_not_journalled_makes_a_known_cause_unconfirmed() {
        let wrote = Standing { wrote_near: true, ..RECHECKS };
        assert_eq!(ends(KNOWN, wrote), Conclusion::Settled(Confirmation::Unconfirmed));
    }
}
