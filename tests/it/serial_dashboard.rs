//! In front of the dashboard as it is: one thread, HTTP/1.0, a backlog of 5, stopped by one idle connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client;
use crate::harness::{ROUTES, Setup};
use crate::serial::SerialServer;

const READS: usize = 500;
const BODY: &str = r#"{"reports":[{"id":"yt:a","title":"A"}],"pagination":{"page":1}}"#;

/// The check at start connects once to each backend, and hangs up.
const CHECKS: usize = 1;

/// What one read costs the real one, or less.
const WORK: Duration = Duration::from_millis(2);

/// Reads `READS` times with so many clients at once; all must be answered.
async fn read_all(address: SocketAddr, clients: usize) -> Duration {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..clients).map(|_| {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= READS {
                    return;
                }
                let answer = client::get(address, &format!("/read/{number}")).await.unwrap();
                assert_eq!((answer.status, answer.text()), (200, BODY));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_reads_by_eight_clients_are_all_answered() {
    let (from, to) = (SerialServer::start(BODY, WORK), SerialServer::start(BODY, WORK));
    // As many at once as its backlog takes without the kernel dropping any.
    let alone = read_all(from.address, 4).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), ROUTES).start().await;
    let before = from.answered();
    let proxied = read_all(flipgate.proxy, 8).await;
    // How much of it may be is for the benchmark to say: here other tests run at the same time.
    eprintln!(
        "serial server: {READS} reads alone {alone:?}, through flipgate {proxied:?}, ratio {:.2}",
        proxied.as_secs_f64() / alone.as_secs_f64()
    );
    let metrics = flipgate.settled().await;
    assert_eq!(metrics.sum("flipgate_requests_total", &[("code", "200")]), 500.0);
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[]), 500.0);
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("outcome", "mismatch")]), 0.0);
    let compared = metrics.sum("flipgate_outcomes_total", &[("outcome", "match")]);
    assert!(compared >= 450.0, "only {compared} of 500 were compared");
    assert!(from.answered() - before >= READS);

    for server in [&from, &to] {
        // It takes the next client only once it has no other connection.
        let answer = client::get(server.address, "/read/after").await.unwrap();
        assert_eq!(answer.text(), BODY);
        assert!(server.idle() <= CHECKS, "connections were opened for nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_never_asked_for_more_than_it_can_take() {
    let (from, to) = (SerialServer::start(BODY, Duration::ZERO), SerialServer::start(BODY, Duration::ZERO));
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    // Many more than the backlog: one that waits for the kernel's second try would take a second.
    let reads = (0..40).map(|number| {
        let proxy = flipgate.proxy;
        tokio::spawn(async move { client::get(proxy, &format!("/read/{number}")).await.unwrap().status })
    });
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap(), 200);
    }
    flipgate.settled().await;
    assert!(from.idle() <= CHECKS && to.idle() <= CHECKS);
}
