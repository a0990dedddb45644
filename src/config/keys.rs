//! Unknown keys: told all at once, each with the nearest known one.

/// How near a key must be to be suggested: 1 is equal.
const NEAR: f64 = 0.6;

/// The keys a table may have; `*` stands for the items of an array or any member.
const SCHEMA: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "listen",
            "admin_listen",
            "state_dir",
            "primary",
            "dashboard",
            "preset",
            "primary_header",
            "backends",
            "routes",
            "ignore",
            "limits",
            "compare",
            "shadow",
            "gate",
            "recheck",
            "watch",
            "dial",
            "failover",
            "data_version_header",
            "state",
            "admin",
            "writes",
        ],
    ),
    ("backends", &["from", "to"]),
    ("backends.from", &["name", "url", "max_connections"]),
    ("backends.to", &["name", "url", "max_connections"]),
    (
        "routes.*",
        &[
            "match",
            "compare",
            "required",
            "keys",
            "order",
            "unordered",
            "ignore",
            "treat_as_equal",
            "html",
            "mask",
            "ignore_selectors",
            "only_selectors",
            "headers",
            "head",
        ],
    ),
    ("limits", &["connections", "backend_connections", "head_timeout", "request_body", "drain"]),
    ("shadow", &["inflight", "deadline", "body", "memory", "queue", "comparators"]),
    ("compare", &["depth", "decoded", "ratio", "differences", "work"]),
    (
        "gate",
        &[
            "min_comparisons",
            "max_mismatch_rate",
            "max_failure_rate",
            "max_uncompared",
            "max_unexplained",
            "window",
            "hold",
        ],
    ),
    ("recheck", &["after", "control_share"]),
    ("watch", &["enabled", "window", "min_samples", "min_targets", "max_mismatch_rate", "max_failure_rate"]),
    ("dial", &["cookie", "trusted_proxies"]),
    ("admin", &["token_file", "read_token_file", "open_metrics", "hosts"]),
    (
        "writes",
        &["mode", "routes", "body", "entries", "bytes", "read_back", "sync_secret_file", "ingest_token_file"],
    ),
];

/// One sentence for every key of `table` that is not known.
pub(super) fn unknown(table: &toml::Table) -> Vec<String> {
    let mut problems = Vec::new();
    visit("", table, &mut problems);
    problems
}

/// The word of `known` nearest to `word`, as a hint to be appended to a message.
pub(super) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((score, candidate)) if score >= NEAR => format!("; did you mean `{candidate}`?"),
        Some(_) | None => String::new(),
    }
}

fn visit(path: &str, table: &toml::Table, problems: &mut Vec<String>) {
    let Some((_, known)) = SCHEMA.iter().find(|(place, _)| *place == path) else { return };
    for (key, value) in table {
        let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if !known.contains(&key.as_str()) {
            let hint = hint(key, known.iter().copied());
            problems.push(format!("unknown configuration key `{}`{hint}", place.replace(".*", "")));
            continue;
        }
        match value {
            toml::Value::Table(inner) => visit(&place, inner, problems),
            toml::Value::Array(items) => {
                for inner in items.iter().filter_map(toml::Value::as_table) {
                    visit(&format!("{place}.*"), inner, problems);
                }
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_) => {}
        }
    }
}
