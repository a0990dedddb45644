//! A backend that is an HTTP server reading its store, taken as it is: HTTP/1.0, closing, without lengths.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::body::{AnswerBody, Progress, RequestBody};
use super::pool::{Lease, Manner, Place, Pool};
use super::{Answer, Answered, Ask, AskError, Asking, Backend, IDEMPOTENCY_KEY};

/// How long a connect, with its TLS handshake, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where an upstream server is: `http://HOST[:PORT]` or `https://HOST[:PORT]`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Name or IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What bounds an upstream.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once; `None` finds it from the server's answers.
    pub max_connections: Option<usize>,
    /// Connections at once to a server that keeps them, unless set.
    pub default_connections: usize,
    /// Bytes of a request body collected for a server that cannot read chunks.
    pub request_body: usize,
}

/// An HTTP server as a backend.
pub struct Upstream {
    address: Address,
    tls: Option<TlsConnector>,
    pool: Arc<Pool>,
    request_body: usize,
}

// === impl Address ===

impl Address {
    /// Parses the URL of an upstream server.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).map_err(|e| format!("is not a URL ({e})"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("has scheme `{other}`, expected http or https")),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("has a path; give scheme, host and port only".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has credentials; flipgate passes on the client's own and adds none".into());
        }
        let host = url.host_str().ok_or("has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or("has no port")?;
        Ok(Address { tls, host, port })
    }

    /// `host:port`, as it stands in a Host header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

// === impl Upstream ===

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Upstream {
    /// A server at `address`; nothing is connected yet.
    ///
    /// # Errors
    /// If it speaks TLS and this machine has no usable root certificates.
    pub fn new(address: Address, bounds: Bounds) -> Result<Self, String> {
        let tls = if address.tls { Some(tls_connector()?) } else { None };
        let pool = Pool::new(bounds.max_connections, bounds.default_connections, IDLE_TIMEOUT);
        Ok(Upstream { address, tls, pool: Arc::new(pool), request_body: bounds.request_body })
    }

    /// Closes connections that have been idle too long.
    pub fn prune(&self) {
        self.pool.prune();
    }

    async fn exchange(&self, mut ask: Ask) -> Result<Answered, AskError> {
        let body = std::mem::replace(&mut ask.body, RequestBody::Empty);
        let body = self.readable(body, ask.patience).await?;
        let place = tokio::time::timeout(ask.patience, self.pool.place(ask.role)).await;
        let Ok(Some(place)) = place else { return Err(AskError::Busy(self.pool.size())) };
        let sent = Instant::now();
        let progress = body.progress();
        let answer = within(ask.patience, progress.as_deref(), self.send(&ask, body, place)).await?;
        Ok(Answered { answer, sent })
    }

    async fn send(&self, ask: &Ask, body: RequestBody, place: Place) -> Result<Answer, AskError> {
        let mut request = self.prepared(ask, body);
        // A server may close a connection that it kept just when a request is sent on it: of a journalled write nobody could
        // tell whether it was done.
        let is_journalled = !ask.head.repeatable && ask.head.headers.contains_key(IDEMPOTENCY_KEY);
        if let Some(sender) = self.pool.reuse().filter(|_| !is_journalled) {
            match self.send_reused(sender, request, ask).await? {
                Sent::Answered(sender, response) => return Ok(self.answer(sender, response, place)),
                Sent::Not(again) => request = *again,
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(self.answer(sender, response, place))
    }

    /// A body that this server can read: one without a length is collected unless it is known to read chunks.
    async fn readable(&self, body: RequestBody, patience: Duration) -> Result<RequestBody, AskError> {
        let without_length = body.progress().filter(|_| body.size_hint().exact().is_none());
        match without_length {
            Some(progress) if self.pool.manner() != Manner::Keeps => {
                within(patience, Some(&progress), self.collected(body)).await
            }
            Some(_) | None => Ok(body),
        }
    }

    async fn collected(&self, body: RequestBody) -> Result<RequestBody, AskError> {
        match Limited::new(body, self.request_body).collect().await {
            Ok(collected) => Ok(RequestBody::Collected(Some(collected.to_bytes()))),
            Err(e) if e.is::<LengthLimitError>() => Err(AskError::BodyTooLarge(self.request_body)),
            Err(_) => Err(AskError::ClientBody),
        }
    }

    fn prepared(&self, ask: &Ask, body: RequestBody) -> Request<RequestBody> {
        let mut request = ask.request(body);
        if !request.headers().contains_key(header::HOST)
            && let Ok(host) = self.address.authority().parse()
        {
            request.headers_mut().insert(header::HOST, host);
        }
        if let RequestBody::Collected(Some(bytes)) = request.body() {
            let length = bytes.len().into();
            request.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        request
    }

    async fn send_reused(
        &self,
        mut sender: SendRequest<RequestBody>,
        request: Request<RequestBody>,
        ask: &Ask,
    ) -> Result<Sent, AskError> {
        match sender.try_send_request(request).await {
            Ok(response) => Ok(Sent::Answered(sender, Box::new(response))),
            Err(mut failed) => match failed.take_message() {
                Some(unsent) => Ok(Sent::Not(Box::new(unsent))),
                None if ask.head.repeatable => {
                    Ok(Sent::Not(Box::new(self.prepared(ask, RequestBody::Empty))))
                }
                None => Err(broken(failed.into_error())),
            },
        }
    }

    fn answer(
        &self,
        sender: SendRequest<RequestBody>,
        response: impl Into<Box<Response<Incoming>>>,
        place: Place,
    ) -> Answer {
        let response = *response.into();
        let http10 = response.version() == Version::HTTP_10;
        let closes = http10 || says_close(response.headers());
        let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !is_upgrade {
            self.pool.learn(http10, closes);
        }
        let lease = Lease::new(Arc::clone(&self.pool), sender, place, !closes && !is_upgrade);
        response.map(|incoming| {
            // A body that has ended already is never polled, so its lease ends here.
            if incoming.is_end_stream() {
                lease.finish();
                AnswerBody::Upstream { incoming, lease: None }
            } else {
                AnswerBody::Upstream { incoming, lease: Some(lease) }
            }
        })
    }

    async fn connect(&self) -> Result<SendRequest<RequestBody>, AskError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.connect_unbounded())
            .await
            .map_err(|_| AskError::Refused(format!("no connection within {CONNECT_TIMEOUT:?}")))?
    }

    async fn connect_unbounded(&self) -> Result<SendRequest<RequestBody>, AskError> {
        let refused = |e: std::io::Error| AskError::Refused(e.to_string());
        let tcp =
            TcpStream::connect((self.address.host.as_str(), self.address.port)).await.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        let Some(tls) = &self.tls else { return handshake(TokioIo::new(tcp)).await };
        let name = ServerName::try_from(self.address.host.clone())
            .map_err(|e| AskError::Refused(format!("bad TLS name: {e}")))?;
        handshake(TokioIo::new(tls.connect(name, tcp).await.map_err(refused)?)).await
    }
}

/// What became of a request on a reused connection.
enum Sent {
    Answered(SendRequest<RequestBody>, Box<Response<Incoming>>),
    /// The server had closed it; the request goes on a fresh connection.
    Not(Box<Request<RequestBody>>),
}

impl Backend for Upstream {
    fn ask(&self, ask: Ask) -> Asking<'_> {
        Box::pin(self.exchange(ask))
    }

    fn answers(&self, _path: &str) -> bool {
        true
    }

    fn takes_write(&self, _method: &Method, _path: &str) -> bool {
        true
    }

    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let address = (self.address.host.as_str(), self.address.port);
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(_closed_at_once)) => Ok(()),
                Ok(Err(e)) => Err(format!("it cannot be reached ({e}); start it or correct its URL")),
                Err(_) => Err(format!(
                    "it cannot be reached (no connection within {CONNECT_TIMEOUT:?}); correct its URL"
                )),
            }
        })
    }
}

/// Runs `work` until nothing has moved for `patience`: neither an answer nor, where one is sent, a body.
async fn within<T>(
    patience: Duration,
    progress: Option<&Progress>,
    work: impl Future<Output = Result<T, AskError>>,
) -> Result<T, AskError> {
    tokio::pin!(work);
    let begun = Instant::now();
    loop {
        let moved = progress.map_or(begun, |progress| progress.last().max(begun));
        match tokio::time::timeout_at((moved + patience).into(), &mut work).await {
            Ok(done) => return done,
            Err(_) if progress.is_some_and(|progress| progress.last() > moved) => {}
            Err(_) => return Err(AskError::Timeout(patience)),
        }
    }
}

async fn handshake<T>(io: TokioIo<T>) -> Result<SendRequest<RequestBody>, AskError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Python's `send_error` puts the text of an exception, line breaks and all, into the status line.
    let (sender, connection) = http1::Builder::new()
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(io)
        .await
        .map_err(broken)?;
    tokio::spawn(async move {
        if let Err(e) = connection.with_upgrades().await {
            tracing::debug!(error = %e, "upstream connection ended");
        }
    });
    Ok(sender)
}

fn tls_connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err("this machine has no root certificates; install ca-certificates".into());
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn says_close(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("close"))
}

fn broken(error: hyper::Error) -> AskError {
    if error.is_user() { AskError::ClientBody } else { AskError::Reset(error.to_string()) }
}
