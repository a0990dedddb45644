//! How things stand, read from a status document: each member as the words a person reads.
//!
//! What a document does not tell is `None`, and a member of another shape than expected counts as not told.

use serde_json::Value;

use super::table::Cell;

/// A status document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'d>(pub(super) &'d Value);

/// A string, a number or a truth value as text.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A share as a percentage.
pub(super) fn percent(share: &Value) -> Option<String> {
    share.as_f64().map(|share| format!("{:.2} %", share * 100.0))
}

// === impl Standing ===

impl<'d> Standing<'d> {
    /// The name of who serves the reads, or `split`.
    pub(super) fn primary(self) -> Option<String> {
        self.word("primary")
    }

    /// `postgres since 2026-…`
    pub(super) fn primary_since(self) -> String {
        let primary = self.primary().unwrap_or_else(|| "not told".to_owned());
        with(primary, " since ", self.word("since"))
    }

    /// The percentage of reads that *to* serves.
    pub(super) fn dial(self) -> Option<u64> {
        self.0.get("dial")?.as_u64()
    }

    /// `25 % of reads by postgres`
    pub(super) fn dial_told(self) -> Option<String> {
        let to = self.backend("to").and_then(|backend| backend.get("name").and_then(word));
        Some(with(format!("{} % of reads", self.word("dial")?), " by ", to))
    }

    /// Rows of what comes after the primary, as far as it is told.
    pub(super) fn rows(self) -> Vec<(&'static str, String)> {
        let told = [
            ("dial", self.dial_told()),
            ("leader", self.word("leader")),
            ("epoch", self.epoch()),
            ("sticky", self.sticky()),
            ("watch", self.watch()),
            ("latch", self.latch()),
            ("state", self.state()),
            ("self-check", self.self_check()),
            ("findings", self.word("findings")),
            ("writes", self.writes()),
            ("pending", self.word("pending")),
        ];
        told.into_iter().filter_map(|(label, text)| Some((label, text?))).collect()
    }

    /// Rows of both backends, in the order of the move.
    pub(super) fn backends(self) -> Vec<Vec<Cell>> {
        let told = ["from", "to"].into_iter().filter_map(|side| Some((side, self.backend(side)?)));
        told.map(|(side, backend)| {
            let word = |member: &str| backend.get(member).and_then(word);
            let up = match backend.get("up").and_then(Value::as_bool) {
                Some(true) => "up",
                Some(false) => "DOWN",
                None => "not told",
            };
            // A closed breaker is as it should be.
            let breaker = word("breaker").filter(|breaker| breaker != "closed");
            let breaker =
                breaker.map_or_else(String::new, |breaker| format!("breaker {}", breaker.replace('_', " ")));
            let columns =
                [word("name").unwrap_or_default(), up.to_owned(), word("url").unwrap_or_default(), breaker];
            std::iter::once(side).chain(columns.iter().map(String::as_str)).map(Cell::word).collect()
        })
        .collect()
    }

    /// What came after a flip, while it is watched.
    pub(super) fn watch(self) -> Option<String> {
        let watch = self.0.get("watch").filter(|watch| watch.is_object())?;
        let count = |member: &str| Some(format!("{member} {}", watch.get(member).and_then(word)?));
        let counts: Vec<String> =
            ["requests", "mismatches", "failures"].into_iter().filter_map(count).collect();
        let until =
            watch.get("until").and_then(word).map_or_else(|| "on".to_owned(), |time| format!("until {time}"));
        Some(with(until, ": ", (!counts.is_empty()).then(|| counts.join(", "))))
    }

    /// Why nothing is flipped forward any more.
    pub(super) fn latch(self) -> Option<String> {
        let latch = self.0.get("latch").filter(|latch| latch.is_object())?;
        let since = with("set".to_owned(), " since ", latch.get("since").and_then(word));
        Some(with(since, ": ", latch.get("reason").and_then(word)))
    }

    /// What going back costs, where this is the answer to that.
    pub(super) fn cost(self) -> Option<String> {
        self.0.get("cost")?.get("sentence").and_then(word)
    }

    /// `postgres lacks 2: 1 pending, 1 parked, 0 in doubt, since 2026-…`; only where a store lacks any.
    fn writes(self) -> Option<String> {
        let stores: Vec<String> = ["from", "to"].into_iter().filter_map(|side| self.lacking(side)).collect();
        (!stores.is_empty()).then(|| stores.join("; "))
    }

    fn lacking(self, side: &str) -> Option<String> {
        let store = self.0.get("writes")?.get(side)?;
        let count = |member: &str| store.get(member).and_then(Value::as_u64).unwrap_or(0);
        let (pending, parked, in_doubt) = (count("pending"), count("parked"), count("in_doubt"));
        let all = pending.saturating_add(parked).saturating_add(in_doubt);
        let name = store.get("name").and_then(word).unwrap_or_else(|| side.to_owned());
        let told = format!("{name} lacks {all}: {pending} pending, {parked} parked, {in_doubt} in doubt");
        (all > 0).then(|| with(told, ", since ", store.get("oldest").and_then(word)))
    }

    fn epoch(self) -> Option<String> {
        let since = with(self.word("epoch")?, " since ", self.word("epoch_since"));
        Some(with(since, ": ", self.word("epoch_reason").filter(|reason| !reason.is_empty())))
    }

    fn sticky(self) -> Option<String> {
        let sticky = self.0.get("sticky")?;
        Some(with(
            format!("by {}", sticky.get("by").and_then(word)?),
            ": ",
            sticky.get("note").and_then(word),
        ))
    }

    fn state(self) -> Option<String> {
        let state = self.0.get("state").filter(|state| state.is_object())?;
        let is = |member: &str| state.get(member).and_then(Value::as_bool);
        let told = [
            is("shared").map(|shared| if shared { "shared by replicas" } else { "of this replica alone" }),
            is("up").map(|up| if up { "up" } else { "DOWN" }),
            is("owed").and_then(|owed| owed.then_some("a rollback is still OWED to it")),
        ];
        let told: Vec<&str> = told.into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn self_check(self) -> Option<String> {
        let is_on = self.0.get("self_check")?.as_bool()?;
        is_on.then(|| "both names are one store: what differs is the comparison's own floor".to_owned())
    }

    fn backend(self, side: &str) -> Option<&'d Value> {
        self.0.get("backends")?.get(side).filter(|backend| backend.is_object())
    }

    fn word(self, member: &str) -> Option<String> {
        self.0.get(member).and_then(word)
    }
}

fn with(text: String, between: &str, more: Option<String>) -> String {
    match more {
        Some(more) if !more.is_empty() => format!("{text}{between}{more}"),
        Some(_) | None => text,
    }
}
