//! A way to PostgreSQL that can be shut: the network between a replica and its server.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// They reach the server.
    Open,
    /// They are taken, and nobody answers any more.
    Silent,
    /// A COMMIT reaches the server, its answer nobody.
    DeafAfterCommit,
}

pub(super) struct Door {
    port: u16,
    socket: PathBuf,
    way: Arc<watch::Sender<Way>>,
    accepts: Option<JoinHandle<()>>,
}

impl Door {
    /// In front of the server of this URL, whose `host` is the directory of its socket.
    pub(super) async fn before(url: &str) -> Self {
        let directory = url.split_once("?host=").unwrap().1;
        let socket = PathBuf::from(directory).join(".s.PGSQL.5432");
        let mut door = Door { port: 0, socket, way: Arc::new(watch::channel(Way::Open).0), accepts: None };
        door.open().await;
        door
    }

    pub(super) fn url(&self, url: &str) -> String {
        let database = url.split_once("5432/").unwrap().1.split_once('?').unwrap().0;
        format!("postgres://flipgate:hunter2@127.0.0.1:{}/{database}", self.port)
    }

    pub(super) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Refuses connections and cuts those there are.
    pub(super) async fn shut(&mut self) {
        let accepts = self.accepts.take().unwrap();
        accepts.abort();
        drop(accepts.await);
        self.way = Arc::new(watch::channel(Way::Open).0);
    }

    pub(super) async fn open(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let (socket, way) = (self.socket.clone(), Arc::downgrade(&self.way));
        self.accepts = Some(tokio::spawn(async move {
            while let (Ok((client, _)), Some(way)) = (listener.accept().await, way.upgrade()) {
                tokio::spawn(pass(client, socket.clone(), way.subscribe()));
            }
        }));
    }
}

/// Until either side ends, or the door (with it the sender) is gone.
async fn pass(client: TcpStream, socket: PathBuf, mut way: watch::Receiver<Way>) {
    let server = UnixStream::connect(socket).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = ([0; 8192], [0; 8192]);
    let mut committed = false;
    loop {
        let now = *way.borrow();
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            read = from_client.read(&mut asked), if now != Way::Silent => {
                let Ok(length @ 1..) = read else { return };
                let asked = &asked[..length];
                committed |= now == Way::DeafAfterCommit && asked.windows(6).any(|word| word == b"COMMIT");
                if to_server.write_all(asked).await.is_err() { return }
            }
            read = from_server.read(&mut answered), if now != Way::Silent => {
                let Ok(length @ 1..) = read else { return };
                // The answer is there, so it is done; but it goes no further.
                if committed { return }
                if to_client.write_all(&answered[..length]).await.is_err() { return }
            }
        }
    }
}
