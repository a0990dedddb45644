//! What a flip needs and what undoes one: gate, rechecks, watch, dial, state store.

use std::time::Duration;

use http::HeaderName;
use sha2::{Digest, Sha256};

use super::{Problems, routes};
use crate::backend::inprocess::Store;
use crate::config::file::File;
use crate::config::{BackendConfig, Secret, Source};
use crate::cutover::gate::GateRules;
use crate::cutover::sticky::{Network, Sticky};
use crate::cutover::watch::WatchRules;
use crate::pg::Target;
use crate::shadow::rechecker::RecheckRules;
use crate::side::Pair;

/// Rechecks of one request, at most.
const RECHECKS: usize = 5;
/// Longest time after which to ask again, in seconds: the request is held until then.
const LONGEST: f64 = 60.0;

pub(super) fn gate(file: &File, problems: &mut Problems) -> GateRules {
    let (spec, default) = (&file.gate, GateRules::default());
    GateRules {
        min_comparisons: spec.min_comparisons.unwrap_or(default.min_comparisons),
        max_mismatch_rate: problems.share(
            "gate.max_mismatch_rate",
            spec.max_mismatch_rate,
            default.max_mismatch_rate,
        ),
        max_failure_rate: problems.share(
            "gate.max_failure_rate",
            spec.max_failure_rate,
            default.max_failure_rate,
        ),
        max_uncompared: problems.share("gate.max_uncompared", spec.max_uncompared, default.max_uncompared),
        max_unexplained: problems.share(
            "gate.max_unexplained",
            spec.max_unexplained,
            default.max_unexplained,
        ),
        window: problems.seconds("gate.window", spec.window, default.window.as_secs()).min(default.window),
        hold: problems.seconds("gate.hold", spec.hold, default.hold.as_secs()),
    }
}

pub(super) fn recheck(file: &File, problems: &mut Problems) -> RecheckRules {
    let (spec, default) = (&file.recheck, RecheckRules::default());
    let control_share = problems.share("recheck.control_share", spec.control_share, default.control_share);
    let Some(after) = &spec.after else { return RecheckRules { control_share, ..default } };
    let is_usable = after.len() <= RECHECKS
        && after.iter().all(|seconds| (0.0..=LONGEST).contains(seconds))
        && after.is_sorted();
    if !is_usable {
        problems.0.push(format!(
            "recheck.after must be at most {RECHECKS} times in seconds, each from 0 to {LONGEST}, ascending, as in \
             [0.25, 2.0]; [] asks for nothing again"
        ));
        return default;
    }
    RecheckRules {
        after: after.iter().map(|seconds| Duration::from_secs_f64(*seconds)).collect(),
        control_share,
    }
}

pub(super) fn watch(file: &File, problems: &mut Problems) -> WatchRules {
    let (spec, default) = (&file.watch, WatchRules::default());
    WatchRules {
        enabled: spec.enabled.unwrap_or(default.enabled),
        window: problems.seconds("watch.window", spec.window, default.window.as_secs()),
        min_samples: spec.min_samples.unwrap_or(default.min_samples),
        min_targets: spec.min_targets.unwrap_or(default.min_targets),
        max_mismatch_rate: problems.share(
            "watch.max_mismatch_rate",
            spec.max_mismatch_rate,
            default.max_mismatch_rate,
        ),
        max_failure_rate: problems.share(
            "watch.max_failure_rate",
            spec.max_failure_rate,
            default.max_failure_rate,
        ),
    }
}

pub(super) fn sticky(file: &File, problems: &mut Problems) -> Sticky {
    let spec = &file.dial;
    let network =
        |text: &String| text.parse::<Network>().map_err(|why| format!("dial.trusted_proxies: {why}"));
    let trusted_proxies =
        spec.trusted_proxies.iter().filter_map(|text| problems.note(network(text))).collect();
    let is_token = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'=' && b != b';')
    };
    if let Some(name) = spec.cookie.as_ref().filter(|name| !is_token(name)) {
        problems.0.push(format!("dial.cookie `{}` is no name of a cookie", name.escape_default()));
    }
    Sticky { cookie: spec.cookie.clone(), trusted_proxies }
}

pub(super) fn data_version_header(file: &File, problems: &mut Problems) -> Option<HeaderName> {
    let name = file.data_version_header.as_deref()?;
    problems.note(name.parse().map_err(|_| format!("data_version_header `{name}` is no name of a header")))
}

pub(super) fn state(url: &str, problems: &mut Problems) -> Option<Secret> {
    problems.note(Target::parse(url).map_err(|why| format!("state: {why}")))?;
    Some(Secret::new(url.to_owned()))
}

/// What works with this state store, but should be known.
pub(super) fn warnings(state: Option<&Secret>, backends: Option<&Pair<BackendConfig>>) -> Vec<String> {
    let (Some(state), Some(backends)) = (state, backends) else { return Vec::new() };
    let server = |url: &str| Target::parse(url).ok().map(|target| target.server());
    let is_same = |backend: &BackendConfig| match &backend.source {
        Source::InProcess(Store::Postgres(url)) => server(url) == server(state.reveal()),
        Source::InProcess(Store::Sqlite(_)) | Source::Http(_) => false,
    };
    [&backends.from, &backends.to]
        .into_iter()
        .filter(|backend| is_same(backend))
        .map(|backend| {
            format!(
                "the state store is on the same server as the backend `{}`: when that is down, flips are refused, and \
                 each replica is rolled back by itself",
                backend.name
            )
        })
        .collect()
}

/// What must be as it was for evidence to go on counting.
pub(super) fn fingerprint(file: &File, backends: Option<&Pair<BackendConfig>>, self_check: bool) -> String {
    let sources = backends.map(|backends| {
        [&backends.from, &backends.to].map(|backend| format!("{} {}", backend.name, backend.source))
    });
    let rules = format!("{:?} {sources:?} {self_check}", routes::written_rules(file));
    Sha256::digest(rules.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
