//! A client that shows what came, byte for byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{Framing, Headers, Wire};

/// How long any one answer may take; far more than any needs, so that a hang is a failure and not a wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// As it came, not decoded; only a chunked coding is taken off.
    pub(crate) body: Vec<u8>,
}

/// A connection that is kept between requests.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    host: SocketAddr,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub(crate) struct Coming<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    framing: Framing,
    wire: &'a mut Wire,
}

/// One GET on a connection of its own.
pub(crate) async fn get(to: SocketAddr, target: &str) -> io::Result<Answer> {
    request(to, "GET", target, &[], b"").await
}

/// One request on a connection of its own.
pub(crate) async fn request(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    Connection::open(to).await?.request(method, target, headers, body).await
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {} {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(to)).await??;
        Ok(Self { wire: Wire::new(stream), host: to })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut coming = self.begin(method, target, headers, body).await?;
        let body = coming.rest().await?;
        Ok(Answer { status: coming.status, headers: coming.headers, body })
    }

    /// Sends a request and reads the head of its answer. A body is sent with its length, unless a header says chunked.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Coming<'_>> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        let mut message = Vec::new();
        if chunked {
            message.extend(format!("{:x}\r\n", body.len()).bytes().chain(body.iter().copied()));
            message.extend(b"\r\n0\r\n\r\n");
        } else {
            if !body.is_empty() {
                head += &format!("Content-Length: {}\r\n", body.len());
            }
            message.extend(body);
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend(message);
        self.wire.send(&bytes).await?;
        self.answer(method).await
    }

    /// Sends bytes as they are, for requests that no client would make and for tunnels.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes).await
    }

    /// The next bytes as they come; empty at the end.
    pub(crate) async fn raw(&mut self) -> io::Result<Vec<u8>> {
        timeout(PATIENCE, self.wire.raw()).await?
    }

    /// Reads the head of the final answer to a request with `method`; interim answers are passed over.
    pub(crate) async fn answer(&mut self, method: &str) -> io::Result<Coming<'_>> {
        loop {
            let head = timeout(PATIENCE, self.wire.head()).await??.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.start.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status: u16 =
                status.ok_or_else(|| io::Error::other(format!("not a status line: {}", head.start)))?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let bodyless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framing = if bodyless { Framing::Empty } else { head.headers.framing(Framing::UntilClose) };
            return Ok(Coming { status, headers: head.headers, framing, wire: &mut self.wire });
        }
    }
}

impl Coming<'_> {
    /// The next bytes of the body as they come in; `None` at its end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        timeout(PATIENCE, self.wire.piece(&mut self.framing)).await?
    }

    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        timeout(PATIENCE, self.wire.rest(&mut self.framing)).await?
    }
}
