//! The condition on mirrored writes: nothing that the flip's target does not have yet.

use serde_json::json;

use super::{Condition, WRITES, condition};
use crate::journal::{Counts, State, View};

/// Writes that the hint names.
const NAMED: usize = 3;

/// Whether `target` has every write, by what it lacks and the first of these writes.
pub(in crate::cutover) fn writes(target: &str, counts: &Counts, ids: &[View]) -> Condition {
    let Counts { pending, parked, in_doubt, oldest: _ } = *counts;
    let actual = json!({ "pending": pending, "parked": parked, "in_doubt": in_doubt });
    let met = (pending, parked, in_doubt) == (0, 0, 0);
    let mut named: Vec<String> = ids.iter().take(NAMED).map(named).collect();
    if ids.len() > NAMED {
        named.push("…".to_owned());
    }
    let named = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    let hint = format!(
        "{target} does not have every write: {pending} pending, {parked} parked, {in_doubt} in doubt{named}; {}",
        remedy(counts)
    );
    condition(WRITES, None, (actual, json!(0), met), hint)
}

fn named(write: &View) -> String {
    let state = match write.state {
        State::Sending => "sending",
        State::InDoubt => "in doubt",
        State::Pending => "pending",
        State::Parked => "parked",
    };
    format!("{} {}: {state}", write.id, write.route)
}

fn remedy(counts: &Counts) -> &'static str {
    if counts.parked > 0 || counts.in_doubt > 0 {
        "what is pending is delivered by itself; retry or discard the others at POST /api/writes/ID (GET /api/writes \
         lists them)"
    } else {
        "wait until they are delivered; if one is stuck, retry or discard it at POST /api/writes/ID (GET /api/writes \
         lists them)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(id: &str, state: State) -> View {
        View {
            id: id.to_owned(),
            state,
            backend: "new".to_owned(),
            leader: "old".to_owned(),
            route: "POST /ingest/report".to_owned(),
            keys: vec!["a".to_owned()],
            at: "2026-11-20T10:00:00.000Z".to_owned(),
            tries: 1,
            last_error: String::new(),
        }
    }

    #[test]
    fn a_target_that_has_every_write_meets_it() {
        let condition = writes("new", &Counts::default(), &[]);
        assert!(condition.met && condition.hint.is_empty(), "{condition:?}");
        assert_eq!(condition.actual, json!({ "pending": 0, "parked": 0, "in_doubt": 0 }));
    }

    #[test]
    fn what_it_lacks_is_counted_and_the_first_of_it_named() {
        let counts = Counts { pending: 3, parked: 1, in_doubt: 0, oldest: None };
        let ids = [State::Parked, State::Pending, State::Pending, State::Pending];
        let ids: Vec<View> =
            ids.into_iter().zip(["w1", "w2", "w3", "w4"]).map(|(s, id)| write(id, s)).collect();
        let condition = writes("new", &counts, &ids);
        assert_eq!((condition.name, condition.route, condition.met), ("writes", None, false));
        assert_eq!(condition.required, json!(0));
        assert_eq!(
            condition.hint,
            "new does not have every write: 3 pending, 1 parked, 0 in doubt (w1 POST /ingest/report: parked, w2 POST \
             /ingest/report: pending, w3 POST /ingest/report: pending, …); what is pending is delivered by itself; retry \
             or discard the others at POST /api/writes/ID (GET /api/writes lists them)"
        );
    }

    #[test]
    fn each_kind_alone_stands_against_a_flip() {
        for counts in [
            Counts { pending: 1, ..Counts::default() },
            Counts { parked: 1, ..Counts::default() },
            Counts { in_doubt: 1, ..Counts::default() },
        ] {
            assert!(!writes("new", &counts, &[]).met, "{counts:?}");
        }
        let waiting =
            writes("new", &Counts { pending: 1, ..Counts::default() }, &[write("w", State::Pending)]);
        assert!(waiting.hint.contains("(w POST /ingest/report: pending); wait until"), "{}", waiting.hint);
    }
}
