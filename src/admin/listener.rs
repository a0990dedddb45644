//! Serves the admin side: a bounded number of connections, and a bound on reading a request's head, so that nobody who
//! merely connects takes descriptors from the clients. Body and answer have theirs in [`super::in_time`], and a peer that
//! does not read in [`Patient`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::patience::Patient;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// From the start of waiting for a request to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long nothing of an answer, or of an event stream, may be taken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` turns true; requests in flight are finished. `listener` must not block.
pub(super) async fn run(listener: std::net::TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin side cannot listen"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let stopping = stop.clone();
    let accept = async {
        while let Ok(permit) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, address)) => {
                    tokio::spawn(serve(stream, address, router.clone(), permit, stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the admin side");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // All places free again: every connection has ended.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(HEAD_TIMEOUT, places.acquire_many(all)).await;
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    permit: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(address))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = async { let _ = stop.wait_for(|stop| *stop).await; } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(caller = %address, %error, "admin connection ended");
    }
    drop(permit);
}
