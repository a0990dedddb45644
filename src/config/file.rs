//! The TOML file, as written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, keys};

/// Longest file read: a mistyped path must not be read whole.
const MOST: u64 = 1024 * 1024;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub listen: Option<String>,
    pub admin_listen: Option<String>,
    pub state_dir: Option<PathBuf>,
    pub primary: Option<String>,
    pub dashboard: Option<String>,
    pub preset: Option<String>,
    pub primary_header: Option<bool>,
    pub backends: Backends,
    pub routes: Vec<RouteSpec>,
    pub ignore: Vec<String>,
    pub limits: LimitsSpec,
    pub shadow: ShadowSpec,
    pub compare: CompareSpec,
    pub gate: GateSpec,
    pub recheck: RecheckSpec,
    pub watch: WatchSpec,
    pub dial: DialSpec,
    pub failover: Option<bool>,
    pub data_version_header: Option<String>,
    pub state: Option<String>,
    pub admin: AdminSpec,
    pub writes: WritesSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Backends {
    pub from: BackendSpec,
    pub to: BackendSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct BackendSpec {
    pub name: Option<String>,
    pub url: Option<String>,
    pub max_connections: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RouteSpec {
    #[serde(rename = "match")]
    pub pattern: String,
    pub compare: Option<String>,
    pub required: Option<bool>,
    pub head: Option<bool>,
    pub keys: BTreeMap<String, String>,
    pub order: BTreeMap<String, Vec<String>>,
    pub unordered: Vec<String>,
    pub ignore: Vec<String>,
    pub treat_as_equal: TreatAsEqual,
    pub html: Vec<String>,
    pub mask: Option<Vec<String>>,
    pub ignore_selectors: Vec<String>,
    pub only_selectors: Vec<String>,
    pub headers: Option<Vec<String>>,
}

/// Classes for the whole route, or for each path.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum TreatAsEqual {
    Route(Vec<String>),
    Paths(BTreeMap<String, Vec<String>>),
}

impl Default for TreatAsEqual {
    fn default() -> Self {
        TreatAsEqual::Route(Vec::new())
    }
}

/// Durations are seconds, sizes bytes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LimitsSpec {
    pub connections: Option<usize>,
    pub backend_connections: Option<usize>,
    pub head_timeout: Option<f64>,
    pub request_body: Option<usize>,
    pub drain: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShadowSpec {
    pub inflight: Option<usize>,
    pub deadline: Option<f64>,
    pub body: Option<usize>,
    pub memory: Option<usize>,
    pub queue: Option<usize>,
    pub comparators: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompareSpec {
    pub depth: Option<usize>,
    pub decoded: Option<usize>,
    pub ratio: Option<usize>,
    pub differences: Option<usize>,
    pub work: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct GateSpec {
    pub min_comparisons: Option<u64>,
    pub max_mismatch_rate: Option<f64>,
    pub max_failure_rate: Option<f64>,
    pub max_uncompared: Option<f64>,
    pub max_unexplained: Option<f64>,
    pub window: Option<f64>,
    pub hold: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecheckSpec {
    pub after: Option<Vec<f64>>,
    pub control_share: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WatchSpec {
    pub enabled: Option<bool>,
    pub window: Option<f64>,
    pub min_samples: Option<u64>,
    pub min_targets: Option<u64>,
    pub max_mismatch_rate: Option<f64>,
    pub max_failure_rate: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct DialSpec {
    pub cookie: Option<String>,
    pub trusted_proxies: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AdminSpec {
    pub token_file: Option<PathBuf>,
    pub read_token_file: Option<PathBuf>,
    pub open_metrics: bool,
    pub hosts: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WritesSpec {
    pub mode: Option<String>,
    pub routes: Option<Vec<String>>,
    pub body: Option<usize>,
    pub entries: Option<usize>,
    pub bytes: Option<usize>,
    pub read_back: Option<String>,
    pub sync_secret_file: Option<PathBuf>,
    pub ingest_token_file: Option<PathBuf>,
}

/// Reads and parses the file at `path`.
pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let name = path.display();
    let problem = |why: String| ConfigError(vec![format!("configuration file {name}: {why}")]);
    let size = std::fs::metadata(path).map_err(|e| problem(e.to_string()))?.len();
    if size > MOST {
        return Err(problem(format!("it has {size} bytes; a configuration has at most {MOST}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| problem(e.to_string()))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| problem(e.to_string()))?;
    let unknown = keys::unknown(&table);
    if !unknown.is_empty() {
        return Err(ConfigError(unknown.into_iter().map(|u| format!("{name}: {u}")).collect()));
    }
    toml::from_str(&text).map_err(|e| problem(e.to_string()))
}
