//! The admin side of a running flipgate, as its commands reach it.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

use super::Flags;
use super::reply::{Failure, Reply};
use crate::backend::AskError;
use crate::client::{self, ClientError, Request};
use crate::config::{Environment, Secret};

/// Where the admin side is unless it is said.
const DEFAULT: &str = "http://127.0.0.1:9900";
/// Longest answer read, in bytes.
const MOST: usize = 8 * 1024 * 1024;
/// How long an answer may take, to its last byte.
const PATIENCE: Duration = Duration::from_secs(30);
/// Shortest token that is looked for in what a server says: shorter ones are parts of words.
const TOKEN_LEAST: usize = 6;

/// What the token must open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What is open to everybody: none is looked for.
    Nothing,
    /// Reading: the read-only token will do.
    Read,
    /// Everything.
    Change,
}

/// The admin side at a URL.
#[derive(Debug)]
pub(super) struct Remote {
    base: Url,
    token: Option<Secret>,
    patience: Duration,
}

/// An answer of success, and the call that it is to.
struct Taken {
    call: String,
    status: StatusCode,
    reply: Reply,
}

// === impl Remote ===

impl Remote {
    /// As flags and environment say.
    ///
    /// # Errors
    /// [`Failure::Unusable`] if the URL or the token's file cannot be used.
    pub(super) fn of(flags: &Flags, reach: Reach) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let url = flags.admin.clone().or_else(|| environment.get("FLIPGATE_ADMIN"));
        let base = base(url.as_deref().unwrap_or(DEFAULT)).map_err(Failure::Unusable)?;
        let token = match reach {
            Reach::Nothing => None,
            Reach::Read | Reach::Change => {
                token(flags.token_file.as_deref(), &environment, reach).map_err(Failure::Unusable)?
            }
        };
        Ok(Remote { base, token, patience: PATIENCE })
    }

    /// Reads the document at `path`.
    ///
    /// # Errors
    /// [`Failure`] in one sentence.
    pub(super) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a document to `path`.
    ///
    /// # Errors
    /// [`Failure`] in one sentence, which says so where it is open whether the change was made.
    pub(super) async fn post(&self, path: &str, document: &Value) -> Result<Reply, Failure> {
        self.ask(Method::POST, path, Some(document.to_string().into())).await
    }

    /// Asks whether it runs.
    ///
    /// # Errors
    /// [`Failure`] in one sentence.
    pub(super) async fn health(&self) -> Result<(), Failure> {
        let taken = self.take(Method::GET, "/healthz", None).await?;
        if taken.reply.bytes.trim_ascii() == b"ok" { Ok(()) } else { Err(taken.not("flipgate's health")) }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Reply, Failure> {
        let taken = self.take(method, path, body).await?;
        if taken.reply.document.is_object() {
            Ok(taken.reply)
        } else {
            Err(taken.not("a document of flipgate's"))
        }
    }

    /// Gives an answer that says success, whatever is in it.
    async fn take(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Taken, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let call = format!("{method} {url}");
        let changes = !method.is_safe();
        let request = Request { headers: self.headers(body.is_some())?, method, url, body };
        let answered = match tokio::time::timeout(self.patience, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => Err(ClientError::Ask(AskError::Timeout(self.patience))),
        };
        let (status, bytes) = answered.map_err(|error| self.unanswered(&call, changes, &error))?;
        let reply = Reply::of(self.without_token(bytes));
        if !status.is_success() {
            let failure = Failure::of(&call, status, &reply);
            // What stands in between may have given up on a change that went on behind it; flipgate gives its reason.
            let in_doubt = changes && status.is_server_error() && reply.detail().is_none();
            return Err(if in_doubt { failure.in_doubt() } else { failure });
        }
        Ok(Taken { call, status, reply })
    }

    async fn exchange(&self, request: Request) -> Result<(StatusCode, Bytes), ClientError> {
        // The bound on the whole answer is the one that tells, so the one on its head is wider.
        let answer = request.send(self.patience * 2).await?;
        let status = answer.status();
        Ok((status, client::collected(answer.into_body(), MOST).await?))
    }

    fn headers(&self, has_body: bool) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).map_err(|_| {
                Failure::Unusable(
                    "the token holds characters that no header can carry; write it on one line, alone"
                        .to_owned(),
                )
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// What a call means that got no answer. One that may have arrived may have been done.
    fn unanswered(&self, call: &str, changes: bool, error: &ClientError) -> Failure {
        let arrived = match error {
            ClientError::Url(_) | ClientError::Ask(AskError::Refused(_) | AskError::Busy(_)) => false,
            ClientError::Ask(_) | ClientError::Broke(_) | ClientError::TooLong(_) => true,
        };
        let next = if arrived {
            "check that --admin or FLIPGATE_ADMIN names flipgate's admin side"
        } else {
            "start flipgate, or say by --admin or FLIPGATE_ADMIN where its admin side is"
        };
        let failure = Failure::CouldNotRun(format!("{call} got no answer ({error}); {next}"));
        if arrived && changes { failure.in_doubt() } else { failure }
    }

    /// A token is never printed, whatever a server repeats.
    fn without_token(&self, bytes: Bytes) -> Bytes {
        let Some(token) = self.token.as_ref().map(Secret::reveal).filter(|token| token.len() >= TOKEN_LEAST)
        else {
            return bytes;
        };
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.contains(token) => text.replace(token, "***").into(),
            Ok(_) | Err(_) => bytes,
        }
    }
}

// === impl Taken ===

impl Taken {
    /// It holds something else than what was asked for.
    fn not(&self, wanted: &str) -> Failure {
        Failure::CouldNotRun(format!(
            "{} answered {} with something else than {wanted}; check that --admin or FLIPGATE_ADMIN names its admin side",
            self.call, self.status
        ))
    }
}

/// The URL below which the admin side's paths lie. What was given is not repeated: it may hold a password.
fn base(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("--admin or FLIPGATE_ADMIN {why}; write it as in {DEFAULT}");
    let url = Url::parse(text).map_err(|e| wrong(&format!("is no URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is no http:// or https:// URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has credentials (a token goes into --token-file or FLIPGATE_ADMIN_TOKEN)"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment"));
    }
    Ok(url)
}

/// A flag before a variable, as for `serve`, so that both can be started from one environment.
fn token(file: Option<&Path>, environment: &Environment, reach: Reach) -> Result<Option<Secret>, String> {
    if let Some(file) = file {
        return crate::config::token(file).map(Some);
    }
    if let Some(token) = environment.secret("FLIPGATE_ADMIN_TOKEN") {
        return Ok(Some(token));
    }
    if let Some(file) = environment.get("FLIPGATE_ADMIN_TOKEN_FILE") {
        return crate::config::token(Path::new(&file)).map(Some);
    }
    match reach {
        Reach::Read => Ok(environment.secret("FLIPGATE_ADMIN_READ_TOKEN")),
        Reach::Change | Reach::Nothing => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], reach: Reach) -> Option<String> {
        let token = token(None, &Environment::of(variables), reach).unwrap();
        token.map(|token| token.reveal().to_owned())
    }

    #[test]
    fn the_read_only_token_is_the_last_resort_of_reading() {
        let both = [("FLIPGATE_ADMIN_TOKEN", "full\n"), ("FLIPGATE_ADMIN_READ_TOKEN", "read")];
        let read = [("FLIPGATE_ADMIN_TOKEN", ""), ("FLIPGATE_ADMIN_READ_TOKEN", "read")];
        assert_eq!(chosen(&both, Reach::Read).as_deref(), Some("full"));
        assert_eq!(chosen(&both, Reach::Change).as_deref(), Some("full"));
        assert_eq!(chosen(&read, Reach::Read).as_deref(), Some("read"));
        assert_eq!(chosen(&read, Reach::Change), None);
    }

    #[test]
    fn a_url_that_is_not_taken_is_not_repeated() {
        for text in [
            "localhost:9900",
            "127.0.0.1:9900",
            "http://me:hush@gate",
            "http://gate/?token=hush",
            "http://gate/#hush",
            "",
        ] {
            let why = base(text).unwrap_err();
            assert!(why.contains(DEFAULT) && !why.contains("hush"), "{why}");
        }
        assert!(base("https://gate.example/flipgate/").is_ok());
    }

    #[tokio::test]
    async fn an_answer_that_takes_too_long_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = base(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let remote = Remote { base, token: None, patience: Duration::from_millis(50) };
        let Err(Failure::CouldNotRun(why)) = remote.get("/api/status").await else {
            panic!("an answer came from nowhere");
        };
        assert!(why.contains("no answer within 50ms") && !why.contains("whether"), "{why}");
        let Err(Failure::CouldNotRun(why)) = remote.post("/api/rollback", &Value::Null).await else {
            panic!("an answer came from nowhere");
        };
        assert!(why.contains("`flipgate status` tells whether"), "{why}");
    }
}
