//! flipgate as a client: one request to a URL on a connection of its own, and an answer of bounded length.
//!
//! It stands on [`upstream`](crate::backend::upstream), so servers are taken as they are. Redirects are answers, and not
//! followed. Not for: passing on what clients ask (`proxy`, `shadow`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use url::Url;

use crate::backend::body::{AnswerBody, BodyError, RequestBody};
use crate::backend::upstream::{Address, Bounds, Upstream};
use crate::backend::{Answer, Answered, Ask, AskError, Backend, Head, Role};

/// What is asked.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// `http://…` or `https://…`; credentials in it are not sent.
    pub url: Url,
    /// Headers besides Host, Accept and User-Agent; of the latter two, these win.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Bytes>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing can be asked of this URL.
    #[error("{0}")]
    Url(String),
    /// The server gave no head of an answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The body ended before its end.
    #[error("the answer broke off: {0}")]
    Broke(BodyError),
    /// The body is longer than was allowed, in bytes.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

// === impl Request ===

impl Request {
    /// A plain GET.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: None }
    }

    /// Sends it, and returns when the head of the answer is there. The body follows as it arrives.
    ///
    /// # Errors
    /// [`ClientError`] if there is no complete head within `patience`.
    pub async fn send(self, patience: Duration) -> Result<Answer, ClientError> {
        let upstream = upstream(&self.url).map_err(ClientError::Url)?;
        let head = Arc::new(self.head().map_err(ClientError::Url)?);
        let body = self.body.map_or(RequestBody::Empty, |bytes| RequestBody::Collected(Some(bytes)));
        let Answered { answer, .. } = upstream.ask(Ask { head, role: Role::Primary, body, patience }).await?;
        Ok(answer)
    }

    /// It carries no loop mark: it begins here, and asking through a proxy is as good a use as any.
    fn head(&self) -> Result<Head, String> {
        let url = &self.url;
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&host).map_err(|e| e.to_string())?);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let agent = HeaderValue::from_static(concat!("flipgate/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        headers.extend(self.headers.clone());
        let uri = target.parse::<Uri>().map_err(|e| e.to_string())?;
        Ok(Head { method: self.method.clone(), uri, headers, repeatable: self.method.is_safe() })
    }
}

/// Reads a body to its end.
///
/// # Errors
/// [`ClientError`] if it breaks off or has more than `most` bytes.
pub async fn collected(body: AnswerBody, most: usize) -> Result<Bytes, ClientError> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(ClientError::TooLong(most)),
        Err(e) => Err(ClientError::Broke(e)),
    }
}

fn upstream(url: &Url) -> Result<Upstream, String> {
    let host = url.host_str().ok_or("the URL has no host")?;
    let address = Address {
        tls: url.scheme() == "https",
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port_or_known_default().ok_or("the URL has no port")?,
    };
    Upstream::new(address, Bounds { max_connections: Some(1), default_connections: 1, request_body: 0 })
}
