//! The backends as the configuration names them.

use std::sync::Arc;

use super::StartError;
use crate::backend::Backend;
use crate::backend::inprocess::{InProcess, Store};
use crate::backend::upstream::{Address, Bounds, Upstream};
use crate::config::{BackendConfig, Config, Source};
use crate::side::{Pair, Side};

/// The backends as objects; addresses that are equal share one pool of connections.
pub(super) struct Upstreams {
    pub(super) backends: Pair<Arc<dyn Backend>>,
    pub(super) dashboard: Option<Arc<dyn Backend>>,
    pub(super) http: Vec<Arc<Upstream>>,
}

// === impl Upstreams ===

impl Upstreams {
    pub(super) fn new(config: &Config) -> Result<Self, StartError> {
        let mut known: Vec<(Address, Arc<Upstream>)> = Vec::new();
        let mut upstream = |address: &Address, max_connections| -> Result<Arc<Upstream>, StartError> {
            if let Some((_, same)) = known.iter().find(|(known, _)| known == address) {
                return Ok(Arc::clone(same));
            }
            let bounds = Bounds {
                max_connections,
                default_connections: config.limits.backend_connections,
                request_body: config.limits.request_body,
            };
            let made = Arc::new(Upstream::new(address.clone(), bounds).map_err(StartError::System)?);
            known.push((address.clone(), Arc::clone(&made)));
            Ok(made)
        };
        let secrets = &config.writes.secrets;
        let mut backend = |config: &BackendConfig| -> Result<Arc<dyn Backend>, StartError> {
            Ok(match &config.source {
                Source::Http(address) => upstream(address, config.max_connections)?,
                Source::InProcess(store) => Arc::new(InProcess::new(store.clone(), secrets.clone())),
            })
        };
        let backends = Pair { from: backend(&config.backends.from)?, to: backend(&config.backends.to)? };
        let dashboard = match &config.dashboard {
            Some(address) => Some(upstream(address, None)? as Arc<dyn Backend>),
            None => None,
        };
        Ok(Upstreams { backends, dashboard, http: known.into_iter().map(|(_, upstream)| upstream).collect() })
    }
}

/// The PostgreSQL that flipgate itself reads, if it does.
pub(super) fn postgres_url(config: &Config) -> Option<String> {
    postgres(config).map(|(_, url)| url)
}

/// The same, with the side it is on.
pub(super) fn postgres(config: &Config) -> Option<(Side, String)> {
    Side::BOTH.into_iter().find_map(|side| match &config.backends.get(side).source {
        Source::InProcess(Store::Postgres(url)) => Some((side, url.clone())),
        Source::InProcess(Store::Sqlite(_)) | Source::Http(_) => None,
    })
}

/// Which backends can be reached.
pub(super) async fn check(
    config: &Config,
    upstreams: &Upstreams,
    is_restart: bool,
) -> Result<Pair<bool>, StartError> {
    let mut up = Pair { from: true, to: true };
    for side in Side::BOTH {
        let backend = config.backends.get(side);
        if let Err(why) = upstreams.backends.get(side).check().await {
            let error = StartError::Unreachable {
                name: backend.name.clone(),
                source_name: backend.source.to_string(),
                why,
            };
            if !is_restart {
                return Err(error);
            }
            tracing::warn!(%error, "starting all the same, since a state exists: clients come first");
            match side {
                Side::From => up.from = false,
                Side::To => up.to = false,
            }
        }
    }
    Ok(up)
}
