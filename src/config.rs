//! Configuration: a TOML file, then `FLIPGATE_*` variables, then flags; later wins. All problems are told at once.

mod environment;
mod file;
mod keys;
mod resolve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;

use crate::backend::inprocess::Store;
use crate::backend::upstream::Address;
use crate::compare::RulesSpec;
use crate::cutover::gate::GateRules;
use crate::cutover::sticky::Sticky;
use crate::cutover::watch::WatchRules;
use crate::journal::routes::WriteRoutes;
use crate::route::Routes;
use crate::shadow;
use crate::shadow::rechecker::RecheckRules;
use crate::side::{Pair, Side};

pub use self::environment::Environment;
pub use self::resolve::{check_sqlite, token};

/// What the command line set, as written; the environment can set the same.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin-listen`.
    pub admin_listen: Option<String>,
    /// `--sqlite`.
    pub sqlite: Option<String>,
    /// `--postgres`.
    pub postgres: Option<String>,
    /// `--from NAME=URL`.
    pub from: Option<String>,
    /// `--to NAME=URL`.
    pub to: Option<String>,
    /// `--dashboard`.
    pub dashboard: Option<String>,
    /// `--primary`.
    pub primary: Option<String>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--admin-token-file`.
    pub admin_token_file: Option<PathBuf>,
    /// `--state`.
    pub state: Option<String>,
    /// `--self-check`.
    pub self_check: bool,
}

/// A configuration that can be run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub admin_listen: SocketAddr,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// The two backends.
    pub backends: Pair<BackendConfig>,
    /// Where requests go that neither backend answers.
    pub dashboard: Option<Address>,
    /// The primary where no state exists yet.
    pub initial_primary: Side,
    /// Whether the initial primary was asked for, so that a state that says otherwise is worth a warning.
    pub primary_was_set: bool,
    /// What is compared.
    pub routes: Routes,
    /// Limits of the client's path.
    pub limits: Limits,
    /// Limits of shadowing.
    pub shadow: shadow::Limits,
    /// What a flip needs.
    pub gate: GateRules,
    /// When to ask again for what differed.
    pub recheck: RecheckRules,
    /// When to go back by itself after a flip.
    pub watch: WatchRules,
    /// What tells clients apart.
    pub sticky: Sticky,
    /// Whether the other backend answers where the primary fails.
    pub failover: bool,
    /// The header by which backends say which version of their data they answer from.
    pub data_version_header: Option<HeaderName>,
    /// The PostgreSQL that keeps the state of several replicas; the URL may hold a password.
    pub state: Option<Secret>,
    /// Whether *from* stands behind both names.
    pub self_check: bool,
    /// Fingerprint of the comparison rules and the backends: with another one another epoch begins.
    pub fingerprint: String,
    /// Who may use the admin side.
    pub admin: AdminConfig,
    /// Which writes go to both backends, and who may write in-process.
    pub writes: WritesConfig,
    /// Whether answers carry `x-flipgate-primary`.
    pub primary_header: bool,
    /// What works, but should be known.
    pub warnings: Vec<String>,
}

/// One backend.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// Its name: metric label, header value, word in messages.
    pub name: String,
    /// Where its answers come from.
    pub source: Source,
    /// Connections at once, unless found by itself.
    pub max_connections: Option<usize>,
}

/// Where a backend's answers come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An HTTP server.
    Http(Address),
    /// This process, from a store.
    InProcess(Store),
}

/// Limits of the client's path.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Client connections at once.
    pub connections: usize,
    /// Connections at once to a backend that keeps them.
    pub backend_connections: usize,
    /// From asking the primary to the head of its answer.
    pub head_timeout: Duration,
    /// Bytes of a request body collected for a backend that cannot read chunks.
    pub request_body: usize,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
}

/// Which writes go to both backends, and how much of them may wait.
#[derive(Debug, Clone)]
pub struct WritesConfig {
    /// Journalled routes; none where mirroring is off.
    pub routes: WriteRoutes,
    /// Longest body of a journalled write, in bytes.
    pub body: usize,
    /// Writes that may wait.
    pub entries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Where a record is read, as `/api/reports/{id}`: tells whether a DELETE that was left unanswered was done.
    pub read_back: Option<String>,
    /// Who may write in-process.
    pub secrets: WriteSecrets,
}

/// The tokens that the dashboard's writers send; without one all its writes are refused in-process.
#[derive(Debug, Clone, Default)]
pub struct WriteSecrets {
    /// `SYNC_SECRET`, for deletes: `Authorization: Bearer`.
    pub sync: Option<Secret>,
    /// `INGEST_TOKEN`: `X-INGEST-TOKEN`.
    pub ingest: Option<Secret>,
}

/// Who may use the admin side.
#[derive(Debug, Clone, Default)]
pub struct AdminConfig {
    /// Opens everything.
    pub token: Option<Secret>,
    /// Opens what changes nothing.
    pub read_token: Option<Secret>,
    /// Whether `/metrics` is open without a token.
    pub open_metrics: bool,
    /// Host names, besides addresses and `localhost`, by which the admin side may be called.
    pub hosts: Vec<String>,
}

/// A secret; it is never shown.
#[derive(Clone)]
pub struct Secret(String);

/// Every problem of a configuration, one sentence a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

// === impl Secret ===

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Secret(secret)
    }

    /// The secret itself, for comparing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

// === impl Config ===

impl Config {
    /// Reads file, environment and flags.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.read()?;
        let path = flags.config.clone().or_else(|| variables.flags.config.clone());
        let file = path.map(|path| file::read(&path)).transpose()?.unwrap_or_default();
        resolve::resolve(&file, &variables, flags)
    }

    /// The rules that the file at `path` gives the route `pattern`.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read or has no such route.
    pub fn rules_of(path: &Path, pattern: &str) -> Result<RulesSpec, ConfigError> {
        resolve::rules_of(&file::read(path)?, pattern)
    }
}

// === impl Source ===

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Http(address) => write!(f, "{address}"),
            Source::InProcess(store) => write!(f, "{store}"),
        }
    }
}

#[cfg(test)]
mod tests;
