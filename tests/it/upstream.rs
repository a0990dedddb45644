//! Servers that answer as told, and misbehave as told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::{Framing, Headers, Wire};

/// A server on a loopback port; it ends when dropped, and its connections with it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Path and query, byte for byte (other than UTF-8 is replaced).
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// What to answer and how.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    version: &'static str,
    status: u16,
    headers: Vec<(String, String)>,
    ends: Ends,
    /// Before the head.
    first: Vec<Step>,
    body: Vec<Step>,
    after: After,
}

/// One thing done while answering.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Bytes),
    /// The same bytes so many times.
    Repeat(Bytes, usize),
    /// The same bytes until the other side goes.
    Forever(Bytes),
    /// Nothing until the test opens the gate once more.
    Await(Gate),
    Delay(Duration),
    /// Nothing until the other side goes.
    Hang,
}

/// Holds a server up until the test says so; each opening lets one [`Step::Await`] pass.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

/// How the end of the body is marked.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Length,
    /// A Content-Length that is not the body's.
    Claimed(usize),
    Chunked,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    KeepAlive,
    /// The connection ends, whatever was announced.
    Cut,
    /// Every byte comes back: an upgraded connection.
    Echo,
}

type Handler = Box<dyn Fn(&Recorded) -> Reply + Send + Sync>;

struct Shared {
    handler: Handler,
    requests: Mutex<Vec<Recorded>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// Counts a connection for as long as it is served.
struct Open(Arc<Shared>);

// === impl Upstream ===

impl Upstream {
    pub(crate) async fn start(handler: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// A server that answers everything alike.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests for `target` so far; what flipgate may ask for its own sake is not among them.
    pub(crate) fn requests(&self, target: &str) -> Vec<Recorded> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|request| request.target == target).cloned().collect()
    }

    /// Connections taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Stops listening and cuts every connection.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        // An aborted task ends with the error that says so.
        let _aborted = (&mut self.task).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(stream, Open(Arc::clone(&shared))));
    }
}

async fn serve(stream: TcpStream, open: Open) {
    let mut wire = Wire::new(stream);
    // An error here is the other side's going: what it means is the test's to say.
    while let Ok(Some(request)) = read(&mut wire).await {
        let reply = (open.0.handler)(&request);
        open.0.requests.lock().unwrap().push(request.clone());
        if !reply.play(&request, &mut wire).await.unwrap_or(false) {
            return;
        }
    }
}

async fn read(wire: &mut Wire) -> io::Result<Option<Recorded>> {
    let Some(head) = wire.head().await? else { return Ok(None) };
    let mut words = head.start.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if head.headers.get("expect").is_some() {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = wire.rest(&mut head.headers.framing(Framing::Empty)).await?;
    Ok(Some(Recorded { method, target, headers: head.headers, body }))
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

// === impl Reply ===

impl Reply {
    /// An HTTP/1.1 answer without a body.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            version: "HTTP/1.1",
            status,
            headers: Vec::new(),
            ends: Ends::Length,
            first: Vec::new(),
            body: Vec::new(),
            after: After::KeepAlive,
        }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::status(200).header("Content-Type", "application/json").body(body)
    }

    pub(crate) fn html(body: impl Into<Bytes>) -> Self {
        Self::status(200).header("Content-Type", "text/html; charset=utf-8").body(body)
    }

    /// A server that takes the request and says nothing.
    pub(crate) fn hang() -> Self {
        Self::status(200).first(Step::Hang)
    }

    /// 101, then every byte comes back.
    pub(crate) fn echo(protocol: &str) -> Self {
        let reply = Self::status(101).header("Connection", "Upgrade").header("Upgrade", protocol);
        Self { after: After::Echo, ..reply }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        self.step(Step::Send(body.into()))
    }

    pub(crate) fn step(mut self, step: Step) -> Self {
        self.body.push(step);
        self
    }

    /// Something done before the head is sent.
    pub(crate) fn first(mut self, step: Step) -> Self {
        self.first.push(step);
        self
    }

    pub(crate) fn chunked(self) -> Self {
        Self { ends: Ends::Chunked, ..self }
    }

    /// HTTP/1.0 without a length: the end of the connection ends the body.
    pub(crate) fn http10(self) -> Self {
        Self { version: "HTTP/1.0", ends: Ends::Close, ..self }
    }

    /// Announces another length than the body has.
    pub(crate) fn claiming(self, length: usize) -> Self {
        Self { ends: Ends::Claimed(length), ..self }
    }

    /// Ends the connection after the last step, whatever was announced.
    pub(crate) fn cut(self) -> Self {
        Self { after: After::Cut, ..self }
    }

    /// Answers; whether the connection is good for another request.
    async fn play(&self, request: &Recorded, wire: &mut Wire) -> io::Result<bool> {
        for step in &self.first {
            step.play(wire, false).await?;
        }
        wire.send(self.head().as_bytes()).await?;
        if request.method != "HEAD" {
            let chunked = matches!(self.ends, Ends::Chunked);
            for step in &self.body {
                step.play(wire, chunked).await?;
            }
            if chunked && self.after != After::Cut {
                wire.send(b"0\r\n\r\n").await?;
            }
        }
        match self.after {
            After::KeepAlive => Ok(!matches!(self.ends, Ends::Close)),
            After::Cut => Ok(false),
            After::Echo => loop {
                let bytes = wire.raw().await?;
                if bytes.is_empty() {
                    return Ok(false);
                }
                wire.send(&bytes).await?;
            },
        }
    }

    fn head(&self) -> String {
        let mut head = format!("{} {} Told So\r\n", self.version, self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let length: usize = self.body.iter().map(Step::length).sum();
        match self.ends {
            // An interim answer has no body to measure.
            Ends::Length if self.status == 101 => {}
            Ends::Length => head += &format!("Content-Length: {length}\r\n"),
            Ends::Claimed(claimed) => head += &format!("Content-Length: {claimed}\r\n"),
            Ends::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Ends::Close => {}
        }
        head + "\r\n"
    }
}

impl Step {
    fn length(&self) -> usize {
        match self {
            Self::Send(bytes) => bytes.len(),
            Self::Repeat(bytes, times) => bytes.len() * times,
            Self::Forever(_) | Self::Await(_) | Self::Delay(_) | Self::Hang => 0,
        }
    }

    async fn play(&self, wire: &mut Wire, chunked: bool) -> io::Result<()> {
        match self {
            Self::Send(bytes) => send(wire, bytes, chunked).await,
            Self::Repeat(bytes, times) => {
                for _ in 0..*times {
                    send(wire, bytes, chunked).await?;
                }
                Ok(())
            }
            Self::Forever(bytes) => loop {
                send(wire, bytes, chunked).await?;
            },
            Self::Await(gate) => tokio::select! {
                () = gate.pass() => Ok(()),
                () = wire.closed() => Err(io::ErrorKind::ConnectionReset.into()),
            },
            Self::Delay(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Self::Hang => {
                wire.closed().await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

async fn send(wire: &mut Wire, bytes: &[u8], chunked: bool) -> io::Result<()> {
    // An empty chunk would be the end of the body.
    if bytes.is_empty() {
        return Ok(());
    }
    if !chunked {
        return wire.send(bytes).await;
    }
    wire.send(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    wire.send(bytes).await?;
    wire.send(b"\r\n").await
}

// === impl Gate ===

impl Gate {
    pub(crate) fn shut() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one waiting step pass, now or when it comes.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}
