//! Where a document comes from: a file, standard input or a URL. Bounded in bytes and time.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use crate::client::{self, ClientError, Request};
use crate::compare::{Body, Leg};
use crate::ledger::redact;
use crate::shadow::is_framed;

/// Most bytes of a document, as sent or stored.
pub const MOST: usize = 16 * 1024 * 1024;

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// What a server answers to a GET. Redirects are answers, and not followed.
    Url(Box<Url>),
}

/// A document with what is known about it.
#[derive(Debug)]
pub struct Document {
    /// HTTP status; 200 for what no server answered.
    pub status: StatusCode,
    /// HTTP headers; a guessed content type for what no server answered.
    pub headers: HeaderMap,
    /// The bytes, still content-encoded.
    pub body: Vec<u8>,
    /// Whether the body's end showed.
    pub framed: bool,
    /// Whether a server answered it.
    pub answered: bool,
}

/// Why a document cannot be had, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {why}")]
pub struct SourceError {
    source_name: String,
    why: String,
}

// === impl Source ===

impl Source {
    /// Reads an argument.
    ///
    /// # Errors
    /// Says what is wrong with a URL, without repeating its credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Source::Stdin);
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(Source::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|e| format!("that URL cannot be read ({e}); quote it whole"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a URL with credentials is not taken, as it would stay in the shell's history; fetch the \
                        document with another tool and give the file"
                    .into(),
            );
        }
        Ok(Source::Url(Box::new(url)))
    }

    /// Whether a server answers it.
    #[must_use]
    pub fn is_url(&self) -> bool {
        matches!(self, Source::Url(_))
    }

    /// Reads the document.
    ///
    /// # Errors
    /// [`SourceError`] says which source, and why.
    pub async fn read(&self, timeout: Duration) -> Result<Document, SourceError> {
        let read = match self {
            Source::Stdin => {
                off_the_runtime(|| bounded(std::io::stdin().lock())).await.map(|b| found(None, b))
            }
            Source::File(path) => {
                let opened = path.clone();
                let read = off_the_runtime(move || bounded(std::fs::File::open(opened)?)).await;
                read.map(|body| found(Some(path), body))
            }
            // The bound on the whole answer is the one that tells, so the one on its head is wider.
            Source::Url(url) => match tokio::time::timeout(timeout, get(url, timeout * 2)).await {
                Ok(answered) => answered,
                Err(_) => Err(format!("no complete answer within {timeout:?}; allow more with --timeout")),
            },
        };
        read.map_err(|why| SourceError { source_name: self.to_string(), why })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Stdin => f.write_str("standard input"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Url(url) => f.write_str(&redact::target(url.as_str())),
        }
    }
}

// === impl Document ===

impl Document {
    /// The document as one leg of a comparison.
    pub(super) fn leg(&self) -> Leg<'_> {
        let body = Body::Whole { bytes: &self.body, framed: self.framed };
        Leg { status: self.status.as_u16(), headers: &self.headers, body }
    }
}

fn found(path: Option<&Path>, body: Vec<u8>) -> Document {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(guess(path, &body)));
    Document { status: StatusCode::OK, headers, body, framed: true, answered: false }
}

/// The content type by extension, else by the first byte that is no white space.
fn guess(path: Option<&Path>, body: &[u8]) -> &'static str {
    let extension = path.and_then(Path::extension).and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => return "application/json",
        Some("html" | "htm" | "xhtml") => return "text/html; charset=utf-8",
        Some("txt" | "md" | "csv" | "log") => return "text/plain; charset=utf-8",
        Some(_) | None => {}
    }
    let start = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => "application/json",
        Some(b'<') => "text/html; charset=utf-8",
        Some(_) | None if std::str::from_utf8(body).is_ok() => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(MOST as u64 + 1).read_to_end(&mut body)?;
    if body.len() > MOST {
        return Err(std::io::Error::other(too_long()));
    }
    Ok(body)
}

fn too_long() -> String {
    format!("it has more than {} MiB; compare a part of it", MOST / (1024 * 1024))
}

async fn off_the_runtime(
    work: impl FnOnce() -> std::io::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(read) => read.map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    }
}

async fn get(url: &Url, patience: Duration) -> Result<Document, String> {
    let answer = Request::get(url.clone()).send(patience).await.map_err(|e| e.to_string())?;
    let (parts, body) = answer.into_parts();
    let framed = is_framed(&parts.headers, parts.status, &body);
    let body = client::collected(body, MOST).await.map_err(|e| match e {
        ClientError::TooLong(_) => too_long(),
        ClientError::Url(_) | ClientError::Ask(_) | ClientError::Broke(_) => e.to_string(),
    })?;
    Ok(Document { status: parts.status, headers: parts.headers, body: body.to_vec(), framed, answered: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_told_by_the_extension_else_by_the_first_byte() {
        for (path, body, wanted) in [
            (Some("a.JSON"), "<", "application/json"),
            (Some("a.htm"), "{", "text/html; charset=utf-8"),
            (Some("a"), " \n{", "application/json"),
            (None, "\u{feff}[", "application/json"),
            (None, "<!doctype html>", "text/html; charset=utf-8"),
            (None, "plain", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(guess(path.map(Path::new), body.as_bytes()), wanted, "{path:?} {body}");
        }
        assert_eq!(guess(None, b"\xff\x00"), "application/octet-stream");
    }

    #[test]
    fn a_url_is_shown_without_its_secrets_and_not_taken_with_credentials() {
        let url = Source::parse("http://a.example/x?token=abc&n=1").unwrap();
        assert_eq!(url.to_string(), "http://a.example/x?token=***&n=1");
        let refused = Source::parse("http://me:hush@a.example/").unwrap_err();
        assert!(refused.contains("credentials") && !refused.contains("hush"), "{refused}");
    }

    #[test]
    fn more_than_the_most_is_refused_and_not_read_on() {
        let endless = std::io::repeat(b' ');
        assert!(bounded(endless).unwrap_err().to_string().contains("more than 16 MiB"));
    }
}
