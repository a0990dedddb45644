//! A small client for the demo's traffic: one connection, one request after the other.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to the proxy.
pub(super) struct Client {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("the proxy does not accept")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender, host: address.to_string() })
    }

    pub(super) async fn get(&mut self, target: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::get(target).header(header::HOST, &self.host).body(Empty::new())?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await.with_context(|| format!("GET {target}"))?;
        let status = response.status();
        let body = response.into_body().collect().await.with_context(|| format!("GET {target}"))?;
        Ok((status, body.to_bytes()))
    }
}
