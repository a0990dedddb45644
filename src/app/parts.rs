//! Parts that are made of the configuration and of what is shared.

use std::sync::Arc;

use http::HeaderValue;

use super::upstreams::Upstreams;
use super::{Shared, StartError};
use crate::backend::Backend;
use crate::backend::data_version::DataVersions;
use crate::config::Config;
use crate::cutover::Cutover;
use crate::journal::traffic::Traffic;
use crate::journal::{self, Journal};
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::side::Pair;

/// The journal of writes. Of a self-check there is none: what waits is not for the backend that stands behind both names.
pub(super) fn open_journal(
    config: &Config,
    names: &Pair<String>,
    upstreams: &Upstreams,
    traffic: &Arc<Traffic>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Journal>>, StartError> {
    if config.self_check {
        return Ok(None);
    }
    let parts = journal::Parts {
        backends: upstreams.backends.clone(),
        names: names.clone(),
        config: config.writes.clone(),
        metrics: Arc::clone(metrics),
        traffic: Arc::clone(traffic),
        patience: config.limits.head_timeout,
    };
    Journal::open(&config.state_dir, parts).map(Some).map_err(StartError::System)
}

pub(super) fn warn_if_overruled(config: &Config, cutover: &Cutover, names: &Pair<String>) {
    let stored = cutover.status();
    if config.primary_was_set && stored.primary() != Some(config.initial_primary) {
        tracing::warn!(
            "--primary or READ_FROM_POSTGRES asks for `{}`, but the state in {} says `{}`: the state wins",
            names.get(config.initial_primary),
            config.state_dir.display(),
            stored.primary().map_or("split", |side| names.get(side))
        );
    }
}

pub(super) fn proxy(
    config: &Config,
    shared: &Shared,
    dashboard: Option<Arc<dyn Backend>>,
    data_versions: Option<Arc<DataVersions>>,
) -> Result<Proxy, StartError> {
    let header = |name: &String| {
        HeaderValue::from_str(name).map_err(|e| StartError::System(format!("backend name `{name}`: {e}")))
    };
    let names = Pair { from: header(&shared.names.from)?, to: header(&shared.names.to)? };
    Ok(Proxy {
        backends: shared.backends.clone(),
        dashboard,
        routes: Arc::clone(&shared.routes),
        cutover: Arc::clone(&shared.cutover),
        shadow: Arc::clone(&shared.shadow),
        ledger: Arc::clone(&shared.ledger),
        metrics: Arc::clone(&shared.metrics),
        primary_header: config.primary_header.then(|| names.clone()),
        head_timeout: config.limits.head_timeout,
        sticky: config.sticky.clone(),
        traffic: Arc::clone(&shared.traffic),
        failover: config.failover.then_some(names),
        journal: shared.journal.clone(),
        data_versions,
    })
}
