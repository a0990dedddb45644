//! Which writes go to both backends.

use super::{Problems, token};
use crate::config::environment::Variables;
use crate::config::file::File;
use crate::config::{BackendConfig, Flags, Secret, Source, WriteSecrets, WritesConfig};
use crate::dashboard;
use crate::journal::routes::{WriteRoute, WriteRoutes};
use crate::side::{Pair, Side};

/// What the preset `ytv2` mirrors, whoever answers.
const YTV2: &[&str] = &["POST /ingest/report", "DELETE /api/delete/{id}", "POST /api/delete"];
/// What it mirrors besides where both backends are HTTP.
const YTV2_HTTP: &[&str] = &["POST /delete-reports", "POST /api/content", "POST /api/content/{id}"];
/// Where it reads a record.
const YTV2_READ_BACK: &str = "/api/reports/{id}";
/// Longest body, in bytes.
const BODY: usize = 8 * 1024 * 1024;
/// Writes that may wait.
const ENTRIES: usize = 10_000;
/// Their bytes.
const BYTES: usize = 256 * 1024 * 1024;

/// The writes, and what is to be known of them.
pub(super) fn writes(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    backends: Option<&Pair<BackendConfig>>,
    is_shared: bool,
    problems: &mut Problems,
) -> (WritesConfig, Vec<String>) {
    let mut warnings = Vec::new();
    let in_process = backends.map(in_process).unwrap_or_default();
    let is_mirrored = is_mirrored(file, variables, flags, is_shared, problems, &mut warnings);
    let labels: Vec<String> = match (&file.writes.routes, file.preset.as_deref().unwrap_or("ytv2")) {
        (Some(labels), _) => labels.clone(),
        (None, "ytv2") => {
            let http = if in_process.is_empty() { YTV2_HTTP } else { &[] };
            YTV2.iter().chain(http).map(|label| (*label).to_owned()).collect()
        }
        (None, _) => Vec::new(),
    };
    let routes: Vec<WriteRoute> =
        labels.iter().filter_map(|label| problems.note(WriteRoute::parse(label))).collect();
    for route in &routes {
        if let Some(name) = in_process.first()
            && is_mirrored
            && !dashboard::is_write_route(&route.method, &route.pattern)
        {
            problems.0.push(format!(
                "write route `{}` cannot be mirrored: `{name}` is written by flipgate itself, which implements {}; leave \
                 it out of writes.routes and it goes to one backend",
                route.label,
                YTV2.join(", ")
            ));
        }
    }
    let routes = problems.note(WriteRoutes::new(routes)).unwrap_or_default();
    let spec = &file.writes;
    let config = WritesConfig {
        routes: if is_mirrored { routes } else { WriteRoutes::default() },
        body: problems.count("writes.body", spec.body, BODY),
        entries: problems.count("writes.entries", spec.entries, ENTRIES),
        bytes: problems.count("writes.bytes", spec.bytes, BYTES),
        read_back: read_back(file, problems),
        secrets: secrets(file, variables, problems),
    };
    (config, warnings)
}

/// Whether writes are mirrored: what the file says, else `DUAL_WRITE_MODE`, else yes.
fn is_mirrored(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    is_shared: bool,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> bool {
    let asked = match file.writes.mode.as_deref() {
        None => variables.dual_write,
        Some("both") => Some(true),
        Some("primary") => Some(false),
        Some(other) => {
            problems.0.push(format!("writes.mode `{other}` is unknown; choose `both` or `primary`"));
            None
        }
    };
    if variables.dual_write.is_some_and(|dual| file.writes.mode.is_some() && asked != Some(dual)) {
        warnings.push(
            "DUAL_WRITE_MODE says otherwise than writes.mode in the configuration: the file wins".to_owned(),
        );
    }
    if flags.self_check {
        return false;
    }
    if is_shared {
        match asked {
            Some(true) => problems.0.push(
                "writes cannot go to both backends with --state yet: each replica would keep a journal of its own, and no \
                 order between them; run one flipgate without --state, or set writes.mode = \"primary\""
                    .to_owned(),
            ),
            Some(false) => {}
            None => warnings.push(
                "with --state each write goes to the leader only; mirroring them from several replicas is not built"
                    .to_owned(),
            ),
        }
        return false;
    }
    asked.unwrap_or(true)
}

/// Names of the backends that flipgate writes itself.
fn in_process(backends: &Pair<BackendConfig>) -> Vec<String> {
    let of = |side: Side| backends.get(side);
    let is_ours = |side: &Side| matches!(of(*side).source, Source::InProcess(_));
    Side::BOTH.into_iter().filter(is_ours).map(|side| of(side).name.clone()).collect()
}

fn read_back(file: &File, problems: &mut Problems) -> Option<String> {
    let is_preset = file.preset.as_deref().unwrap_or("ytv2") == "ytv2";
    let template = file.writes.read_back.clone().or_else(|| is_preset.then(|| YTV2_READ_BACK.to_owned()))?;
    if !(template.starts_with('/') && template.contains("{id}")) {
        problems.0.push(format!(
            "writes.read_back `{template}` must be a path with {{id}}, as in \"/api/reports/{{id}}\""
        ));
        return None;
    }
    Some(template)
}

fn secrets(file: &File, variables: &Variables, problems: &mut Problems) -> WriteSecrets {
    let mut read = |path: Option<&std::path::PathBuf>, variable: &Option<Secret>| match path {
        Some(path) => problems.note(token(path)),
        None => variable.clone(),
    };
    WriteSecrets {
        sync: read(file.writes.sync_secret_file.as_ref(), &variables.sync_secret),
        ingest: read(file.writes.ingest_token_file.as_ref(), &variables.ingest_token),
    }
}
