//! Everything built once: backends, books, gate, listeners; and the graceful end of it all.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::backend::Backend;
use crate::backend::inprocess::{InProcess, Store};
use crate::backend::upstream::{Address, Bounds, Upstream};
use crate::config::{BackendConfig, Config, Source};
use crate::cutover::Cutover;
use crate::cutover::gate::Gate;
use crate::cutover::quarantine::Quarantine;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::proxy::{Proxy, listener};
use crate::route::Routes;
use crate::shadow::Shadow;
use crate::side::{Pair, Side};
use crate::state::{StateError, StateStore};

/// How often unused connections and silent backends are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(2);
/// Descriptors for all else: stores, listeners, the admin side, shadows without a client.
const OTHER_DESCRIPTORS: u64 = 512;
/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// A flipgate that runs.
#[derive(Debug)]
pub struct App {
    /// Where clients connect.
    pub proxy_address: SocketAddr,
    /// Where operators connect.
    pub admin_address: SocketAddr,
    /// What is shared with the admin side.
    pub shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// Every connection holds a sender of this channel: it closes when the last has ended.
    connections: mpsc::Receiver<Infallible>,
    drain: Duration,
}

/// What listeners and admin side share.
#[derive(Debug)]
pub struct Shared {
    /// The backends' names.
    pub names: Pair<String>,
    /// Where their answers come from, without credentials.
    pub sources: Pair<String>,
    /// What is compared.
    pub routes: Arc<Routes>,
    /// Who is primary.
    pub cutover: Arc<Cutover>,
    /// Outcomes and findings.
    pub ledger: Arc<Ledger>,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// Bytes held and more.
    pub shadow: Arc<Shadow>,
    /// What is on disk before it is answered.
    pub state: StateStore,
    /// The two backends, to ask again.
    pub backends: Pair<Arc<dyn Backend>>,
    /// Where clients are served; the admin side has a runtime of its own.
    pub runtime: Handle,
}

/// Why flipgate did not start, in one sentence. All of these mean exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// An address that is taken or not ours.
    #[error("{what} {address}: {source}; choose another address")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Its address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A store that cannot be used.
    #[error("backend `{name}` ({source_name}) cannot be used: {why}")]
    Unreachable {
        /// Which backend.
        name: String,
        /// Where it is.
        source_name: String,
        /// Why not.
        why: String,
    },
    /// This machine lacks something.
    #[error("cannot start: {0}")]
    System(String),
}

// === impl App ===

impl App {
    /// Opens the state, checks the stores and listens.
    ///
    /// # Errors
    /// [`StartError`]. A store that cannot be reached is an error only where no state exists yet: on a restart the
    /// clients matter more, and it may come back.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        warn_if_short_of_descriptors(&config);
        let store = StateStore::open(&config.state_dir)?;
        let is_restart = store.load()?.is_some();
        let upstreams = Upstreams::new(&config)?;
        let up = check(&config, &upstreams, is_restart).await?;
        // Before the state is touched: a start that fails must not count as one.
        let listeners = Listeners::bind(&config).await?;
        let names = Pair { from: config.backends.from.name.clone(), to: config.backends.to.name.clone() };
        let routes = Arc::new(config.routes.clone());
        let labels = routes.labels();
        let system = |e: &dyn std::fmt::Display| StartError::System(e.to_string());
        let metrics = Arc::new(Metrics::new(names.clone(), &labels).map_err(|e| system(&e))?);
        for side in Side::BOTH {
            metrics.set_up(side, *up.get(side));
        }
        let ledger =
            Arc::new(Ledger::open(Arc::clone(&metrics), names.clone(), labels, &config.state_dir, &store)?);
        let quarantine = postgres_url(&config).map(|url| (Quarantine::unknown(), url));
        let gate = Gate::new(config.gate, Arc::clone(&routes), Arc::clone(&ledger), Arc::clone(&metrics))
            .watching(quarantine.as_ref().map(|(quarantine, _)| Arc::clone(quarantine)));
        let cutover = Arc::new(Cutover::open(
            store.clone(),
            config.initial_primary,
            gate,
            Arc::clone(&metrics),
            names.clone(),
        )?);
        warn_if_overruled(&config, &cutover, &names);
        let shadow = Arc::new(Shadow::start(config.shadow, Arc::clone(&metrics)).map_err(|e| system(&e))?);
        let shared = Arc::new(Shared {
            sources: Pair {
                from: config.backends.from.source.to_string(),
                to: config.backends.to.source.to_string(),
            },
            names,
            routes,
            cutover,
            ledger,
            metrics,
            shadow,
            state: store,
            backends: upstreams.backends.clone(),
            runtime: Handle::current(),
        });
        let app = run(config, shared, upstreams, listeners)?;
        if let Some((quarantine, url)) = quarantine {
            tokio::spawn(quarantine.watch(url, app.stop.subscribe()));
        }
        Ok(app)
    }

    /// Waits until every counted request has its outcome, at most `within`; says whether they all have.
    pub async fn settle(&self, within: Duration) -> bool {
        let settled = async {
            while self.shared.metrics.pending() != 0 {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        tokio::time::timeout(within, settled).await.is_ok()
    }

    /// Stops: no new connections; requests in flight and their comparisons are finished, within the configured time.
    pub async fn stop(mut self) {
        let begun = Instant::now();
        // Nobody listens any more where the listener has ended by itself.
        let _ = self.stop.send(true);
        let ended = tokio::time::timeout(self.drain, self.connections.recv()).await;
        if ended.is_err() {
            tracing::warn!(after = ?self.drain, "stopping with requests still in flight");
        }
        if !self.settle(self.drain.saturating_sub(begun.elapsed())).await {
            tracing::warn!(
                pending = self.shared.metrics.pending(),
                "stopping with comparisons still pending"
            );
        }
        let ledger = Arc::clone(&self.shared.ledger);
        if tokio::task::spawn_blocking(move || ledger.flush()).await.is_err() {
            tracing::warn!("stopping without having written the latest findings and samples");
        }
    }
}

/// The backends as objects; addresses that are equal share one pool of connections.
struct Upstreams {
    backends: Pair<Arc<dyn Backend>>,
    dashboard: Option<Arc<dyn Backend>>,
    http: Vec<Arc<Upstream>>,
}

/// Both addresses, bound but not served yet.
struct Listeners {
    proxy: TcpListener,
    proxy_address: SocketAddr,
    /// Served by a runtime of its own.
    admin: std::net::TcpListener,
    admin_address: SocketAddr,
}

// === impl Upstreams ===

impl Upstreams {
    fn new(config: &Config) -> Result<Self, StartError> {
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
        let mut backend = |config: &BackendConfig| -> Result<Arc<dyn Backend>, StartError> {
            Ok(match &config.source {
                Source::Http(address) => upstream(address, config.max_connections)?,
                Source::InProcess(store) => Arc::new(InProcess::new(store.clone())),
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
fn postgres_url(config: &Config) -> Option<String> {
    Side::BOTH.into_iter().find_map(|side| match &config.backends.get(side).source {
        Source::InProcess(Store::Postgres(url)) => Some(url.clone()),
        Source::InProcess(Store::Sqlite(_)) | Source::Http(_) => None,
    })
}

/// Which backends can be reached.
async fn check(config: &Config, upstreams: &Upstreams, is_restart: bool) -> Result<Pair<bool>, StartError> {
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

/// Raises the limit of open files as far as allowed: each client may need a connection to both backends besides its own.
fn warn_if_short_of_descriptors(config: &Config) {
    let wanted = (config.limits.connections as u64).saturating_mul(3).saturating_add(OTHER_DESCRIPTORS);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = wanted.min(hard).max(soft);
    let soft = if setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() { raised } else { soft };
    if soft < wanted {
        tracing::warn!(
            "{soft} files may be open, {} connections may need {wanted}: raise `ulimit -n` or lower limits.connections",
            config.limits.connections
        );
    }
}

fn warn_if_overruled(config: &Config, cutover: &Cutover, names: &Pair<String>) {
    let primary = cutover.primary();
    if config.primary_was_set && primary != config.initial_primary {
        tracing::warn!(
            "--primary or READ_FROM_POSTGRES asks for `{}`, but the state in {} says `{}`: the state wins",
            names.get(config.initial_primary),
            config.state_dir.display(),
            names.get(primary)
        );
    }
}

fn run(
    config: Config,
    shared: Arc<Shared>,
    upstreams: Upstreams,
    listeners: Listeners,
) -> Result<App, StartError> {
    let header = |name: &String| {
        HeaderValue::from_str(name).map_err(|e| StartError::System(format!("backend name `{name}`: {e}")))
    };
    let primary_header = if config.primary_header {
        Some(Pair { from: header(&shared.names.from)?, to: header(&shared.names.to)? })
    } else {
        None
    };
    let backends = upstreams.backends;
    let proxy = Arc::new(Proxy {
        backends: backends.clone(),
        dashboard: upstreams.dashboard,
        routes: Arc::clone(&shared.routes),
        cutover: Arc::clone(&shared.cutover),
        shadow: Arc::clone(&shared.shadow),
        ledger: Arc::clone(&shared.ledger),
        metrics: Arc::clone(&shared.metrics),
        primary_header,
        head_timeout: config.limits.head_timeout,
    });
    let (proxy_address, admin_address) = (listeners.proxy_address, listeners.admin_address);
    let (stop, stopping) = watch::channel(false);
    let (alive, connections) = mpsc::channel(1);
    tokio::spawn(listener::run(listeners.proxy, proxy, config.limits.connections, stopping.clone(), alive));
    let router = admin::router(Arc::clone(&shared), config.admin);
    on_its_own_thread(admin::run(listeners.admin, router, stopping.clone()))
        .map_err(|e| StartError::System(format!("the admin side's thread: {e}")))?;
    tokio::spawn(housekeeping(upstreams.http, backends, Arc::clone(&shared.metrics), stopping));
    Ok(App { proxy_address, admin_address, shared, stop, connections, drain: config.limits.drain })
}

// === impl Listeners ===

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let (proxy, proxy_address) = bind("listen", config.listen).await?;
        let (admin, admin_address) = bind("admin_listen", config.admin_listen).await?;
        let failed = |source| StartError::Listen { what: "admin_listen", address: admin_address, source };
        Ok(Listeners { proxy, proxy_address, admin: admin.into_std().map_err(failed)?, admin_address })
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Runs the admin side beside the clients' threads: a scrape or a long document must not make a client wait.
fn on_its_own_thread(side: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("admin".into()).spawn(move || runtime.block_on(side))?;
    Ok(())
}

/// Closes connections that were idle too long, and looks whether a backend that gave no answer is back: where a load
/// balancer has taken this flipgate out, no request would show it.
async fn housekeeping(
    upstreams: Vec<Arc<Upstream>>,
    backends: Pair<Arc<dyn Backend>>,
    metrics: Arc<Metrics>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        upstreams.iter().for_each(|upstream| upstream.prune());
        for side in Side::BOTH {
            if !metrics.is_up(side) && backends.get(side).check().await.is_ok() {
                metrics.set_up(side, true);
            }
        }
    }
}
