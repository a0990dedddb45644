//! The gate as a checklist: one line a condition, over all routes.

use crate::cutover::gate::Condition;

/// Hints of one line that are shown; the rest is counted.
const HINTS: usize = 20;

/// One line of the checklist.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) label: &'static str,
    pub(crate) met: bool,
    pub(crate) summary: String,
    /// Where on this page it is dealt with.
    pub(crate) link: Option<(&'static str, &'static str)>,
    /// What would meet it, route by route.
    pub(crate) hints: Vec<String>,
    /// Hints left out.
    pub(crate) more: usize,
}

/// The checklist, what is not met first.
pub(super) fn checks(conditions: &[Condition]) -> Vec<Check> {
    let mut names: Vec<&'static str> = Vec::new();
    for condition in conditions {
        if !names.contains(&condition.name) {
            names.push(condition.name);
        }
    }
    let of = |name: &&'static str| conditions.iter().filter(|c| c.name == *name).collect::<Vec<_>>();
    let mut checks: Vec<Check> = names.iter().map(|name| check(name, &of(name))).collect();
    checks.sort_by_key(|check| check.met);
    checks
}

fn check(name: &'static str, conditions: &[&Condition]) -> Check {
    let unmet: Vec<&&Condition> = conditions.iter().filter(|condition| !condition.met).collect();
    let by_route = conditions.iter().filter(|condition| condition.route.is_some()).count();
    let summary = match (by_route, unmet.len()) {
        // A hint names the only one.
        (0 | 1, _) => String::new(),
        (all, 0) => format!("on all {all} routes"),
        (all, unmet) => format!("on {} of {all} routes", all - unmet.min(all)),
    };
    Check {
        label: label(name),
        link: if unmet.is_empty() { None } else { link(name) },
        met: unmet.is_empty(),
        summary,
        hints: unmet.iter().take(HINTS).map(|condition| condition.hint.clone()).collect(),
        more: unmet.len().saturating_sub(HINTS),
    }
}

/// A condition's name in words.
fn label(name: &'static str) -> &'static str {
    match name {
        "evidence" => "Enough comparisons",
        "mismatch_bound" => "Mismatch rate low enough",
        "hold" => "Held long enough",
        "shadow_failures" => "The shadow answers",
        "unexplained_transients" => "Nothing differs now and then",
        "uncompared" => "Almost all is compared",
        "latency_p95" => "No slower",
        "required_routes" => "Routes are named",
        "open_findings" => "No open findings",
        "quarantine" => "No rows in quarantine",
        "writes" => "Every write is in both stores",
        "latch" => "No latch",
        "rules" => "Same rules on all replicas",
        "state_store" => "The state store answers",
        "self_check" => "Two backends",
        other => other,
    }
}

fn link(name: &'static str) -> Option<(&'static str, &'static str)> {
    match name {
        "open_findings" => Some(("/findings?state=open", "Open findings")),
        "unexplained_transients" => Some(("/findings?state=open", "Findings marked transient")),
        "latch" => Some(("/flip#latch", "Release it")),
        "writes" => Some(("/writes", "Writes")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(name: &'static str, route: Option<&str>, met: bool) -> Condition {
        let hint = if met { String::new() } else { format!("{route:?} lacks {name}") };
        Condition { name, route: route.map(str::to_owned), met, actual: json!(0), required: json!(1), hint }
    }

    #[test]
    fn conditions_of_many_routes_are_one_line_and_what_is_unmet_comes_first() {
        let mut conditions = vec![condition("quarantine", None, true)];
        for route in 0..50 {
            let name = format!("/r{route}");
            conditions.push(condition("hold", Some(&name), true));
            conditions.push(condition("evidence", Some(&name), route < 10));
        }
        let checks = checks(&conditions);
        let lines: Vec<(&str, bool, &str)> =
            checks.iter().map(|check| (check.label, check.met, check.summary.as_str())).collect();
        assert_eq!(
            lines,
            [
                ("Enough comparisons", false, "on 10 of 50 routes"),
                ("No rows in quarantine", true, ""),
                ("Held long enough", true, "on all 50 routes"),
            ]
        );
        assert_eq!((checks[0].hints.len(), checks[0].more), (20, 20));
    }
}
