//! The gate's answer, as a command reads it.

use serde_json::Value;

use super::standing::word;

/// What a readiness document says, as far as it says anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Whether the gate is open; `None` where it is not told.
    pub(super) ready: Option<bool>,
    /// A sentence for each condition that is unmet: its hint, else its figures.
    pub(super) unmet: Vec<String>,
    /// Which conditions are unmet, whatever their figures.
    pub(super) names: Vec<String>,
}

// === impl Readiness ===

impl Readiness {
    pub(super) fn of(document: &Value) -> Self {
        let unmet: Vec<&Value> = conditions(document)
            .filter(|condition| condition.get("met") == Some(&Value::Bool(false)))
            .collect();
        Readiness {
            ready: document.get("ready").and_then(Value::as_bool),
            unmet: unmet.iter().map(|condition| sentence(condition)).collect(),
            names: unmet.iter().map(|condition| name(condition)).collect(),
        }
    }
}

/// The condition of this name on this route.
pub(super) fn condition<'d>(document: &'d Value, wanted: &str, route: &str) -> Option<&'d Value> {
    conditions(document).find(|condition| {
        let is = |member: &str, value: &str| condition.get(member).and_then(Value::as_str) == Some(value);
        is("name", wanted) && is("route", route)
    })
}

fn conditions(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("conditions").and_then(Value::as_array).into_iter().flatten()
}

fn name(condition: &Value) -> String {
    let word = |member| condition.get(member).and_then(word);
    let name = word("name").unwrap_or_else(|| "a condition".to_owned());
    word("route").map_or(name.clone(), |route| format!("{route}: {name}"))
}

fn sentence(condition: &Value) -> String {
    let word = |member| condition.get(member).and_then(word);
    if let Some(hint) = word("hint").filter(|hint| !hint.trim().is_empty()) {
        return hint;
    }
    let figures = match (word("actual"), word("required")) {
        (Some(actual), Some(required)) => format!(" ({actual}, required {required})"),
        (Some(_) | None, _) => String::new(),
    };
    format!("{} is unmet{figures}", name(condition))
}
