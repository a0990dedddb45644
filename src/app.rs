//! Everything built once: backends, books, gate, listeners; and the graceful end of it all.

mod beside;
mod chores;
pub mod floor;
mod listeners;
mod parts;
mod replicas;
mod upstreams;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderName;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::beside::Beside;
use self::floor::Floors;
use self::listeners::{Listeners, on_its_own_threads, warn_if_short_of_descriptors};
use self::parts::{open_journal, proxy, warn_if_overruled};
use self::upstreams::{Upstreams, check, postgres, postgres_url};
use crate::admin::Admin;
use crate::backend::Backend;
use crate::backend::data_version::DataVersions;
use crate::config::Config;
use crate::cutover::gate::Gate;
use crate::cutover::quarantine::Quarantine;
use crate::cutover::sticky::Sticky;
use crate::cutover::{self, Cutover, Event, Parts, Start};
use crate::journal::Journal;
use crate::journal::traffic::Traffic;
use crate::ledger::Ledger;
use crate::ledger::seen::Log;
use crate::ledger::sharing::Sharing;
use crate::metrics::Metrics;
use crate::proxy::listener;
use crate::route::Routes;
use crate::shadow::Shadow;
use crate::shadow::rechecker::{Again, Rechecker};
use crate::shadow::resolver::Resolver;
use crate::side::{Pair, Side};
use crate::state::shared::{Held, SharedStore};
use crate::state::{StateError, StateStore};

/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// Changes of the data that may wait to begin an epoch; all that wait begin one.
const EVENTS: usize = 16;

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
    /// What exchanges with the other replicas, if there are any.
    sharing: Option<JoinHandle<Sharing>>,
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
    /// The state store of all replicas, if there are several.
    pub shared_state: Option<SharedStore>,
    /// The two backends, to ask again.
    pub backends: Pair<Arc<dyn Backend>>,
    /// Where clients are served; the admin side has a runtime of its own.
    pub runtime: Handle,
    /// What tells clients apart.
    pub sticky: Sticky,
    /// Writes that are not in both stores yet; the journal's, if there is one.
    pub traffic: Arc<Traffic>,
    /// Writes to both backends, if they go there.
    pub journal: Option<Arc<Journal>>,
    /// What the last self-check measured.
    pub floors: Floors,
    /// Whether this is one.
    pub self_check: bool,
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
        let (shared_store, name) = match replicas::open(&config, &store).await? {
            Some(replica) => (Some(replica.store), replica.name),
            None => (None, None),
        };
        let start = Start { initial: config.initial_primary, rules: &config.fingerprint, names: &names };
        let stored = cutover::take_up(&store, shared_store.as_ref(), start).await?;
        replicas::forget_evidence_of_other_rules(&config, &store)?;
        let seen = Arc::new(Log::default());
        let traffic = Arc::new(Traffic::default());
        let ledger = Arc::new(Ledger::open(
            Arc::clone(&metrics),
            names.clone(),
            labels,
            &config.state_dir,
            &store,
            stored.epoch.number,
            Arc::clone(&seen),
        )?);
        if let Some(shared_store) = &shared_store {
            replicas::number(&ledger, &store, shared_store).await?;
        }
        let quarantine = postgres_url(&config).map(|url| (Quarantine::unknown(), url));
        let gate = Gate {
            rules: config.gate,
            routes: Arc::clone(&routes),
            ledger: Arc::clone(&ledger),
            metrics: Arc::clone(&metrics),
            quarantine: quarantine.as_ref().map(|(quarantine, _)| Arc::clone(quarantine)),
            self_check: config.self_check,
        };
        let journal = open_journal(&config, &names, &upstreams, &traffic, &metrics)?;
        let parts = Parts {
            journal: journal.clone(),
            store: store.clone(),
            shared: shared_store.clone(),
            gate,
            rules: config.watch,
            seen,
            ledger: Arc::clone(&ledger),
            metrics: Arc::clone(&metrics),
            names: names.clone(),
            fingerprint: config.fingerprint.clone(),
        };
        let cutover = Arc::new(Cutover::new(stored, parts)?);
        warn_if_overruled(&config, &cutover, &names);
        let (events, told) = mpsc::channel(EVENTS);
        let versions =
            |header: &HeaderName| Arc::new(DataVersions::new(header.clone(), names.clone(), events.clone()));
        let data_versions = config.data_version_header.as_ref().map(versions);
        let started = Shadow::start(
            config.shadow,
            config.recheck.clone(),
            data_versions.clone(),
            Arc::clone(&traffic),
            Arc::clone(&metrics),
        );
        let (shadow, again) = started.map_err(|e| system(&e))?;
        let floors = Floors::take_up(&store, &metrics)?;
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
            shadow: Arc::new(shadow),
            state: store,
            shared_state: shared_store,
            backends: upstreams.backends.clone(),
            runtime: Handle::current(),
            sticky: config.sticky.clone(),
            traffic,
            journal,
            floors,
            self_check: config.self_check,
        });
        run(
            config,
            shared,
            upstreams,
            listeners,
            Waiting { again, quarantine, events, told, data_versions, name },
        )
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
        if let Some(sharing) = self.sharing {
            replicas::exchange_at_last(sharing).await;
        }
    }
}

/// What waits for its task.
struct Waiting {
    again: mpsc::Receiver<Again>,
    quarantine: Option<(Arc<Quarantine>, String)>,
    events: mpsc::Sender<Event>,
    told: mpsc::Receiver<Event>,
    data_versions: Option<Arc<DataVersions>>,
    /// This replica's name, held against another one of that name.
    name: Option<Held>,
}

fn run(
    config: Config,
    shared: Arc<Shared>,
    upstreams: Upstreams,
    listeners: Listeners,
    waiting: Waiting,
) -> Result<App, StartError> {
    let (stop, stopping) = watch::channel(false);
    let Waiting { again, quarantine, events, told, data_versions, name } = waiting;
    let beside = Beside {
        backends: shared.backends.clone(),
        postgres: postgres(&config),
        metrics: Arc::clone(&shared.metrics),
        events: events.clone(),
    };
    let proxy = Arc::new(proxy(&config, &shared, upstreams.dashboard, data_versions)?);
    let (proxy_address, admin_address) = (listeners.proxy_address, listeners.admin_address);
    let (alive, connections) = mpsc::channel(1);
    tokio::spawn(listener::run(listeners.proxy, proxy, config.limits.connections, stopping.clone(), alive));
    let admin = Admin::new(Arc::clone(&shared), config.admin, admin_address.port(), stopping.clone())
        .map_err(|e| StartError::System(format!("no random numbers: {e}")))?;
    on_its_own_threads(admin.run(listeners.admin))
        .map_err(|e| StartError::System(format!("the admin side's thread: {e}")))?;
    let rechecker = Rechecker {
        shadow: Arc::clone(&shared.shadow),
        backends: shared.backends.clone(),
        rules: config.recheck,
    };
    let resolver = Resolver {
        rechecker: rechecker.clone(),
        ledger: Arc::clone(&shared.ledger),
        routes: Arc::clone(&shared.routes),
        names: shared.names.clone(),
        shared: shared.shared_state.clone(),
    };
    if let Some(journal) = shared.journal.clone() {
        tokio::spawn(journal.run(stopping.clone()));
    }
    tokio::spawn(rechecker.run(again));
    tokio::spawn(resolver.run(stopping.clone()));
    tokio::spawn(cutover::watch(Arc::clone(&shared.cutover), stopping.clone()));
    let mut exchanging = None;
    if let Some(shared_store) = shared.shared_state.clone() {
        let sharing = Sharing::new(
            Arc::clone(&shared.ledger),
            shared_store.clone(),
            shared.state.clone(),
            &config.fingerprint,
            config.watch.window,
        );
        exchanging = Some(tokio::spawn(sharing.run(stopping.clone())));
        tokio::spawn(replicas::hold(shared_store.clone(), name, stopping.clone()));
        tokio::spawn(cutover::follow(Arc::clone(&shared.cutover), shared_store, stopping.clone()));
    }
    tokio::spawn(chores::follow_events(Arc::clone(&shared.cutover), told));
    tokio::spawn(beside.watch(stopping.clone()));
    if shared.self_check {
        tokio::spawn(floor::measure(Arc::clone(&shared), stopping.clone()));
    }
    if let Some((quarantine, url)) = quarantine {
        tokio::spawn(quarantine.watch(url, shared.state.clone(), events, stopping.clone()));
    }
    let looking = Arc::clone(&shared);
    let look_at_load = move || looking.shadow.capacity.look(looking.cutover.position().turn);
    let metrics = Arc::clone(&shared.metrics);
    tokio::spawn(chores::housekeeping(upstreams.http, upstreams.backends, metrics, look_at_load, stopping));
    let (drain, sharing) = (config.limits.drain, exchanging);
    Ok(App { proxy_address, admin_address, shared, stop, connections, drain, sharing })
}
