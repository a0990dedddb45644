//! As much of PromQL and of Grafana's variables as the tests need.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::files::Dashboard;
use super::prometheus::Prometheus;

/// A dashboard's variables, filled as Grafana fills them with everything chosen.
#[derive(Debug, Clone)]
pub(super) struct Scope(BTreeMap<String, String>);

impl Scope {
    pub(super) async fn of(prometheus: &Prometheus, dashboard: &Dashboard) -> Self {
        let mut scope = Self(
            [("__rate_interval", "30s"), ("__interval", "30s"), ("__range", "10m")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        );
        for variable in dashboard.variables() {
            if variable["type"] != "query" {
                continue;
            }
            let query = scope.fill(variable["query"]["query"].as_str().unwrap());
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
            let (series, label) = inner.rsplit_once(", ").unwrap();
            let values = prometheus.label_values(series, label).await;
            assert!(!values.is_empty(), "{}: {query} finds nothing", dashboard.name);
            let filled = if variable["multi"] == true {
                format!("({})", values.iter().map(|value| escaped(value)).collect::<Vec<_>>().join("|"))
            } else {
                values[0].clone()
            };
            scope.0.insert(variable["name"].as_str().unwrap().to_owned(), filled);
        }
        scope
    }

    /// The same, zoomed out until a step has this many seconds. The rate interval is that and one scrape more.
    pub(super) fn zoomed_out(mut self, step: u32) -> Self {
        self.0.insert("__interval".to_owned(), format!("{step}s"));
        self.0.insert("__rate_interval".to_owned(), format!("{}s", step + 15));
        self
    }

    pub(super) fn fill(&self, query: &str) -> String {
        let filled = self
            .0
            .iter()
            .fold(query.to_owned(), |query, (name, value)| query.replace(&format!("${name}"), value));
        assert!(variables(&filled).is_empty(), "a variable is left in {filled}");
        filled
    }
}

/// A value as Grafana puts it into a regular expression within quotes.
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.chars() {
        if "\\^$*+?.()|[]{}".contains(c) {
            escaped += "\\\\";
        }
        escaped.push(c);
    }
    escaped
}

/// The variables in a query. (`$1` is PromQL's.)
pub(super) fn variables(query: &str) -> Vec<String> {
    let names = query.split('$').skip(1);
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    names.map(name).filter(|name| name != "1").collect()
}

/// Every `name{…}` of one of flipgate's metrics, and names that stand without braces.
pub(super) fn selectors(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["flipgate_", "process_"] {
        found.extend(query.match_indices(name).map(|(at, _)| {
            let rest = &query[at..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = if rest[end..].starts_with('{') { rest.find('}').unwrap() } else { end };
            rest[..end].to_owned()
        }));
    }
    found
}

/// Every member of this name, at any depth.
pub(super) fn members<'a>(json: &'a Value, name: &str) -> Vec<&'a Value> {
    match json {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| if key == name { vec![value] } else { members(value, name) })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| members(item, name)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Every word that looks like a metric of flipgate's or of its process.
fn words(text: &str) -> HashSet<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let words = words.map(|word| word.strip_prefix("record:").unwrap_or(word).trim_matches(':'));
    words
        .filter(|word| {
            word.starts_with("flipgate_") || word.starts_with("process_") || word.contains(":flipgate_")
        })
        .collect()
}

/// Every metric that a dashboard or a rule names is in this scrape, or recorded.
pub(super) fn assert_known_names(scrape: &str) {
    let mut known = HashSet::new();
    for (name, kind) in scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        known.insert(name.to_owned());
        if kind == "histogram" {
            known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
    }
    let rules = ["recording", "alerts", "tests"]
        .map(|name| std::fs::read_to_string(format!("dashboards/prometheus/{name}.yml")).unwrap());
    let recorded =
        rules[0].lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned);
    known.extend(recorded);
    let dashboards = Dashboard::all();
    let targets = dashboards.iter().flat_map(Dashboard::targets).map(|(_, target)| target.expr);
    let mut asked = 0;
    for text in rules.into_iter().chain(targets) {
        for word in words(&text) {
            assert!(known.contains(word), "{word} is named, and is in no scrape: {text}");
            asked += 1;
        }
    }
    assert!(asked > 100, "only {asked} names were found");
}
