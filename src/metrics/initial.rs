//! Series that are there from the start, at 0: a rate needs a sample from before the first event, and a panel that shows
//! 0 says more than one without data.
//!
//! Bounded: for each route the ways in which its requests usually end. What is rare (and differences, of which there are
//! too many kinds) begins with its first event.

use super::Metrics;
use crate::ledger::outcome::{Outcome, Reason};
use crate::side::Side;

/// How requests of a compared route usually end.
const COMPARED: &[(Outcome, Reason)] = &[
    (Outcome::Match, Reason::None),
    (Outcome::Accepted, Reason::None),
    (Outcome::Noise, Reason::None),
    (Outcome::Transient, Reason::None),
    (Outcome::Transient, Reason::Unexplained),
    (Outcome::Transient, Reason::WritePending),
    (Outcome::Mismatch, Reason::None),
    (Outcome::Mismatch, Reason::Known),
    (Outcome::Mismatch, Reason::Unconfirmed),
    (Outcome::ShadowFailed, Reason::Connect),
    (Outcome::ShadowFailed, Reason::Timeout),
    (Outcome::ShadowFailed, Reason::Store),
    (Outcome::PrimaryFailed, Reason::Connect),
    (Outcome::PrimaryFailed, Reason::Timeout),
    (Outcome::PrimaryFailed, Reason::Status),
    (Outcome::Shed, Reason::Inflight),
    (Outcome::Shed, Reason::Queue),
    (Outcome::Shed, Reason::Load),
    (Outcome::Shed, Reason::Breaker),
    (Outcome::Incomplete, Reason::ClientGone),
];
/// How all other requests usually end.
const OTHER: &[(Outcome, Reason)] = &[
    (Outcome::Skipped, Reason::Method),
    (Outcome::Skipped, Reason::Route),
    (Outcome::Skipped, Reason::Write),
];
/// What reads of a compared route are answered, if they are answered well, and if no backend answers.
const CODES: [&str; 4] = ["200", "502", "503", "504"];
/// What changes the primary.
const TRIGGERS: [&str; 2] = ["operator", "automatic"];

// === impl Metrics ===

impl Metrics {
    pub(super) fn begin_at_zero(&self) {
        let other = self.routes.len().saturating_sub(1);
        for (route, series) in self.routes.iter().enumerate() {
            let endings = if route == other { OTHER } else { COMPARED };
            for (outcome, reason) in endings {
                self.accounting.no_outcome_yet([&series.label, outcome.label(), reason.label()]);
            }
            let codes = if route == other { &CODES[..1] } else { &CODES };
            for side in Side::BOTH {
                for code in codes {
                    self.accounting.no_request_yet([&series.label, "GET", code, self.names.get(side)]);
                }
            }
        }
        for side in Side::BOTH {
            for trigger in TRIGGERS {
                self.flips.with_label_values(&[self.names.get(side).as_str(), trigger]).inc_by(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Role;
    use crate::compare::{Class, Kind};
    use crate::side::Pair;
    use std::time::Duration;

    /// Fifty routes on which everything has happened that usually does, and differences of every kind on each.
    #[test]
    fn a_scrape_of_fifty_routes_stays_small() {
        let mut labels: Vec<String> = (0..50).map(|n| format!("/api/some/longish/path/{n}/{{id}}")).collect();
        labels.push("other".to_owned());
        let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
        let metrics = Metrics::new(names, &labels).unwrap();
        for route in 0..labels.len() {
            metrics.set_bound(route, 0.01);
            metrics.transient(route, Duration::from_secs(1));
            metrics.request_time(route, Duration::from_millis(3));
            for side in Side::BOTH {
                for code in [200, 304, 404, 500] {
                    metrics.request(route, "GET", code, Some(side));
                }
            }
            metrics.leg_time(route, Side::From, Role::Primary, Duration::from_millis(3));
            metrics.leg_time(route, Side::To, Role::Shadow, Duration::from_millis(3));
            for kind in Kind::ALL {
                metrics.difference(route, kind.as_str(), Class::Value.as_str());
            }
        }
        let text = metrics.render().unwrap();
        assert!(text.len() < 650_000, "a scrape has {} bytes", text.len());
        assert!(text.len() > 500_000, "a scrape has only {} bytes: does it hold fifty routes?", text.len());
    }

    #[test]
    fn what_alerts_rate_is_there_before_it_happens() {
        let names = Pair { from: "a".to_owned(), to: "b".to_owned() };
        let metrics = Metrics::new(names, &["/x".to_owned(), "other".to_owned()]).unwrap();
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            r#"flipgate_flips_total{to="a",trigger="automatic"} 0"#,
            r#"flipgate_outcomes_total{outcome="mismatch",reason="",route="/x"} 0"#,
            r#"flipgate_outcomes_total{outcome="shed",reason="load",route="/x"} 0"#,
            r#"flipgate_requests_total{code="200",method="GET",primary="b",route="/x"} 0"#,
            r#"flipgate_requests_total{code="502",method="GET",primary="b",route="/x"} 0"#,
            r#"flipgate_writes_pending{backend="b"} 0"#,
            r#"flipgate_backend_info{backend="b",side="to"} 1"#,
            "flipgate_outcomes_pending 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        }
        // Nothing is compared there.
        for series in [
            "outcome=\"mismatch\",reason=\"\",",
            "flipgate_latency_ratio_count{",
            "flipgate_transient_seconds_count{",
        ] {
            assert!(!text.contains(&format!("{series}route=\"other\"")), "{series}:\n{text}");
        }
        assert!(!text.contains("flipgate_leg_seconds_count{"), "a leg that nobody went:\n{text}");
        metrics.leg_time(0, Side::From, Role::Primary, Duration::from_millis(3));
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        let legs =
            text.lines().filter(|line| line.starts_with("flipgate_leg_seconds_count{")).collect::<Vec<_>>();
        assert_eq!(legs, [r#"flipgate_leg_seconds_count{backend="a",role="primary",route="/x"} 1"#]);
    }
}
