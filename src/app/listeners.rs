//! Both addresses, and the thread of the admin side.

use std::net::SocketAddr;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;

use super::StartError;
use crate::config::Config;

/// Descriptors for all else: stores, listeners, the admin side, shadows without a client.
const OTHER_DESCRIPTORS: u64 = 512;

/// Both addresses, bound but not served yet.
pub(super) struct Listeners {
    pub(super) proxy: TcpListener,
    pub(super) proxy_address: SocketAddr,
    /// Served by a runtime of its own.
    pub(super) admin: std::net::TcpListener,
    pub(super) admin_address: SocketAddr,
}

// === impl Listeners ===

impl Listeners {
    pub(super) async fn bind(config: &Config) -> Result<Self, StartError> {
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

/// Threads of the admin side.
const ADMIN_THREADS: usize = 2;

/// Runs the admin side beside the clients' threads: a scrape or a long document must not make a client wait. Two threads,
/// since it must not make a rollback wait either.
pub(super) fn on_its_own_threads(side: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ADMIN_THREADS)
        .thread_name("admin-worker")
        .enable_all()
        .build()?;
    std::thread::Builder::new().name("admin".into()).spawn(move || runtime.block_on(side))?;
    Ok(())
}

/// Raises the limit of open files as far as allowed: each client may need a connection to both backends besides its own.
pub(super) fn warn_if_short_of_descriptors(config: &Config) {
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
