//! Accepts clients: a bounded number of connections, a bound on reading a request's head, a graceful end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Client, Proxy};

/// From the start of waiting for a request to the end of its head; also how long an unused connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Pause after the system refused a connection (out of descriptors): trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts on `listener` until `stop` turns true. Returns at once then; connections end by themselves: their current
/// request is finished, and the sender that every connection holds in `alive` is dropped with it.
pub async fn run(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    max_connections: usize,
    stop: watch::Receiver<bool>,
    alive: tokio::sync::mpsc::Sender<Infallible>,
) {
    let places = Arc::new(Semaphore::new(max_connections));
    let mut stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = turned(&mut stopping) => return,
            accepted = next(&listener, &places) => accepted,
        };
        let Some((stream, address, permit)) = accepted else { continue };
        let connection =
            serve(stream, Client { address, permit }, Arc::clone(&proxy), stop.clone(), alive.clone());
        tokio::spawn(connection);
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(
    stream: TcpStream,
    client: Client,
    proxy: Arc<Proxy>,
    mut stop: watch::Receiver<bool>,
    _alive: tokio::sync::mpsc::Sender<Infallible>,
) {
    // Without it small answers wait for the client's acknowledgement; a socket that refuses is already closed.
    let _ = stream.set_nodelay(true);
    proxy.metrics.connections.inc();
    let client = Arc::new(client);
    let service = service_fn(|request| {
        let (proxy, client) = (Arc::clone(&proxy), Arc::clone(&client));
        async move { Ok::<_, Infallible>(proxy.serve(&client, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = turned(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    proxy.metrics.connections.dec();
    if let Err(error) = ended {
        if error.is_parse_too_large() {
            proxy.refused_unread(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        } else if error.is_parse() {
            proxy.refused_unread(StatusCode::BAD_REQUEST);
        }
        tracing::debug!(client = %client.address, %error, "connection ended");
    }
}

/// Ends when `stop` has turned true, or can no longer.
async fn turned(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and so is what it could have stopped.
    let _ = stop.wait_for(|stop| *stop).await;
}
