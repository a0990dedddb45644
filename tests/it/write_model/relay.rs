//! A way to PostgreSQL that breaks when it hurts: between what was done and the answer that says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP port that leads to the server's socket; closed when dropped.
pub(super) struct Relay {
    port: u16,
    faults: Arc<Faults>,
    task: JoinHandle<()>,
}

/// What is still to go wrong.
struct Faults {
    /// COMMITs that reach the server, whose answers reach nobody.
    commits: AtomicUsize,
    /// Answers of which only the beginning arrives.
    answers: AtomicUsize,
    /// Moves to cut every connection.
    cut: watch::Sender<()>,
}

impl Relay {
    /// In front of the server of this URL, whose `host` is the directory of its socket.
    pub(super) async fn before(url: &str) -> Self {
        let socket = PathBuf::from(url.split_once("?host=").unwrap().1).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults =
            Faults { commits: AtomicUsize::new(0), answers: AtomicUsize::new(0), cut: watch::channel(()).0 };
        let faults = Arc::new(faults);
        let shared = Arc::clone(&faults);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, socket.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, faults, task }
    }

    /// The URL that leads through here.
    pub(super) fn url(&self, url: &str) -> String {
        let database = url.split_once("5432/").unwrap().1.split_once('?').unwrap().0;
        format!("postgres://flipgate@127.0.0.1:{}/{database}", self.port)
    }

    pub(super) fn lose_commits(&self, count: usize) {
        self.faults.commits.store(count, Ordering::SeqCst);
    }

    pub(super) fn halve_answers(&self, count: usize) {
        self.faults.answers.store(count, Ordering::SeqCst);
    }

    pub(super) fn cut_all(&self) {
        self.faults.cut.send_replace(());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether one of so many is left; it is taken.
fn takes_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

async fn pass(client: TcpStream, socket: PathBuf, faults: Arc<Faults>) {
    // It may be down.
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let mut cut = faults.cut.subscribe();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 8192], vec![0; 8192]);
    let mut is_committing = false;
    loop {
        tokio::select! {
            _ = cut.changed() => return,
            read = from_client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let asked = &asked[..length];
                is_committing |= asked.windows(6).any(|word| word == b"COMMIT") && takes_one(&faults.commits);
                if to_server.write_all(asked).await.is_err() { return }
            }
            read = from_server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                // The answer is there, so it is done; but it goes no further.
                if is_committing { return }
                let is_halved = takes_one(&faults.answers);
                let shown = if is_halved { length / 2 } else { length };
                if to_client.write_all(&answered[..shown]).await.is_err() || is_halved { return }
            }
        }
    }
}
