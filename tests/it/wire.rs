//! HTTP/1 on a socket, read by hand, so that tests see bytes as they came and in the order they came.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A socket and what was read from it too far.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The start line and headers of a message.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Headers,
}

/// Headers in their order, names as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

/// How a body ends, and how much of it is still to come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    /// Bytes left of the chunk begun.
    Chunked(u64),
    UntilClose,
}

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The framing these headers announce; `otherwise` if none.
    pub(crate) fn framing(&self, otherwise: Framing) -> Framing {
        if self.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked(0);
        }
        self.get("content-length").map_or(otherwise, |length| Framing::Length(length.parse().unwrap()))
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message's head; `None` if the other side closed instead.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        let head = self.take(end + 4);
        let text = String::from_utf8_lossy(&head);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Ok(Some(Head { start, headers: Headers(headers) }))
    }

    /// The next bytes of a body as they came in; `None` at its end. A body that ends early is `UnexpectedEof`.
    pub(crate) async fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        match framing {
            Framing::Empty | Framing::Length(0) => Ok(None),
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Framing::Length(left) => {
                let piece = self.up_to(*left).await?;
                *left -= piece.len() as u64;
                Ok(Some(piece))
            }
            Framing::Chunked(left) => {
                if *left == 0 {
                    *left = self.chunk_size().await?;
                    if *left == 0 {
                        self.line().await?;
                        *framing = Framing::Empty;
                        return Ok(None);
                    }
                }
                let piece = self.up_to(*left).await?;
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.line().await?;
                }
                Ok(Some(piece))
            }
        }
    }

    /// The whole rest of a body.
    pub(crate) async fn rest(&mut self, framing: &mut Framing) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(framing).await? {
            body.extend(piece);
        }
        Ok(body)
    }

    /// Bytes that are no HTTP message, as they come; empty at the end of the connection.
    pub(crate) async fn raw(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Returns when the other side closes the connection, and not before.
    pub(crate) async fn closed(&mut self) {
        while self.fill().await.is_ok_and(|read| read > 0) {}
    }

    async fn chunk_size(&mut self) -> io::Result<u64> {
        let line = self.line().await?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill_or_fail().await?;
        }
    }

    async fn up_to(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill_or_fail().await?;
        }
        let length = self.buffer.len().min(usize::try_from(limit).unwrap());
        Ok(self.take(length))
    }

    async fn fill_or_fail(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
