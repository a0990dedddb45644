//! A backend that is flipgate itself, answering the dashboard's API from a store.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::RwLock;

use super::body::{AnswerBody, RequestBody};
use super::{
    Answer, Answered, Ask, AskError, Asking, Backend, Head, Settled, Settling, StoreFile, Write, Writing,
    Written,
};
use crate::config::WriteSecrets;
use crate::dashboard::write::{self, Asked, Fate, Made, Stamp, WriteError, Writer};
use crate::dashboard::{Dashboard, OpenError};

/// How long after a failed attempt to open the store the next one may be made.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Longest body of a write, in bytes.
const MOST_BODY: usize = 8 * 1024 * 1024;
/// Who asked for a write that was not journalled.
const CLIENT: &str = "client";
/// How long ids of writes are kept that nobody will ask for again.
const KEPT: TimeDelta = TimeDelta::hours(1);

/// Which store.
#[derive(Clone)]
pub enum Store {
    /// The SQLite file at this path.
    Sqlite(PathBuf),
    /// The PostgreSQL database at this URL, which may hold a password.
    Postgres(String),
}

/// The API over one store; a store that cannot be opened now is tried again later.
pub struct InProcess {
    store: Store,
    state: RwLock<State>,
    writer: Writer,
    /// Deletes made or tried.
    deletes: AtomicU64,
}

enum State {
    Closed { tried: Option<Instant>, why: String },
    Open(Arc<Dashboard>),
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Store::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Store::Postgres(url) => match url::Url::parse(url) {
                Ok(url) => {
                    let (host, database) = (url.host_str().unwrap_or("localhost"), url.path());
                    write!(f, "postgres://{host}{database}")
                }
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("store", &self.store).finish_non_exhaustive()
    }
}

impl InProcess {
    /// A backend over `store` that writes for those who know `secrets`; it is opened by the first request or check.
    #[must_use]
    pub fn new(store: Store, secrets: WriteSecrets) -> Self {
        let writer = match &store {
            Store::Sqlite(path) => Writer::sqlite(path, secrets),
            Store::Postgres(url) => Writer::postgres(url, secrets),
        };
        let state = State::Closed { tried: None, why: "not opened yet".into() };
        InProcess { store, state: RwLock::new(state), writer, deletes: AtomicU64::new(0) }
    }

    async fn open(&self) -> Result<Dashboard, OpenError> {
        match &self.store {
            Store::Sqlite(path) => Dashboard::sqlite(path).await,
            Store::Postgres(url) => Dashboard::postgres(url).await,
        }
    }

    async fn dashboard(&self) -> Result<Arc<Dashboard>, String> {
        if let State::Open(dashboard) = &*self.state.read().await {
            return Ok(Arc::clone(dashboard));
        }
        let mut state = self.state.write().await;
        match &*state {
            State::Open(dashboard) => return Ok(Arc::clone(dashboard)),
            State::Closed { tried: Some(at), why } if at.elapsed() < RETRY_AFTER => return Err(why.clone()),
            State::Closed { .. } => {}
        }
        match self.open().await {
            Ok(dashboard) => {
                let dashboard = Arc::new(dashboard);
                *state = State::Open(Arc::clone(&dashboard));
                Ok(dashboard)
            }
            Err(e) => {
                let why = e.to_string();
                *state = State::Closed { tried: Some(Instant::now()), why: why.clone() };
                Err(why)
            }
        }
    }

    async fn made(&self, ask: Ask) -> Result<Answer, AskError> {
        let method = &ask.head.method;
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Ok(refusal(
                StatusCode::NOT_IMPLEMENTED,
                "this store does not take this write through flipgate",
            ));
        }
        let dashboard = self.dashboard().await.map_err(AskError::Store)?;
        let target = ask.head.uri.path_and_query().map_or("/", |target| target.as_str());
        let Some(answer) = dashboard.answer(method, target).await else {
            return Ok(refusal(StatusCode::NOT_FOUND, "not a path of the read API"));
        };
        let mut response = Response::new(());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        if *method == Method::HEAD {
            return Ok(response.map(|()| AnswerBody::Made(None)));
        }
        response.headers_mut().insert(header::CONTENT_LENGTH, answer.body.len().into());
        Ok(response.map(|()| AnswerBody::Made((!answer.body.is_empty()).then_some(answer.body))))
    }

    /// Applies a write within the patience of `ask`, which begins once its body is there.
    async fn written(
        &self,
        ask: Ask,
        stamp: impl FnOnce() -> Result<Stamp, AskError>,
    ) -> Result<Written, AskError> {
        let Ask { head, body, patience, role: _ } = ask;
        let Some(body) = collected(body, patience).await? else {
            let answer = refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 8 MiB");
            let answered = Answered { answer, sent: Instant::now() };
            return Ok(Written { answered, effect: None, is_final: true });
        };
        if write::deletes(&head.method, head.uri.path()) {
            // Before it is made, so that no look comes between.
            self.deletes.fetch_add(1, Ordering::SeqCst);
        }
        let (sent, stamp) = (Instant::now(), stamp()?);
        let made = tokio::time::timeout(patience, self.writer.write(&asked(&head, &body), stamp)).await;
        let made = made.map_err(|_| AskError::Timeout(patience))?.map_err(failed)?;
        let is_final = made.is_final();
        let (answer, effect) = answered(made);
        Ok(Written { answered: Answered { answer, sent }, effect, is_final })
    }
}

impl Backend for InProcess {
    fn ask(&self, ask: Ask) -> Asking<'_> {
        Box::pin(async move {
            if self.takes_write(&ask.head.method, ask.head.uri.path()) {
                return Ok(self.written(ask, fresh).await?.answered);
            }
            let (sent, patience) = (Instant::now(), ask.patience);
            let made = tokio::time::timeout(patience, self.made(ask)).await;
            let answer = made.unwrap_or(Err(AskError::Timeout(patience)))?;
            Ok(Answered { answer, sent })
        })
    }

    fn answers(&self, path: &str) -> bool {
        crate::dashboard::is_read_path(path)
    }

    fn takes_write(&self, method: &Method, path: &str) -> bool {
        write::takes(method, path)
    }

    fn write<'a>(&'a self, ask: Ask, write: &'a Write) -> Writing<'a> {
        Box::pin(self.written(ask, || Ok(stamp(write))))
    }

    fn remembers(&self) -> bool {
        true
    }

    fn settle<'a>(&'a self, id: &'a str) -> Settling<'a> {
        Box::pin(async move {
            match self.writer.settle(id).await {
                Ok(Fate::Done { status, effect }) => Ok(Settled::Done { status, effect }),
                Ok(Fate::Never) => Ok(Settled::Never),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn own_deletes(&self) -> u64 {
        self.deletes.load(Ordering::SeqCst)
    }

    fn changed_at(&self) -> Option<SystemTime> {
        let Store::Sqlite(path) = &self.store else { return None };
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        changed(path).max(changed(Path::new(&log)))
    }

    fn file(&self) -> Option<StoreFile> {
        let Store::Sqlite(path) = &self.store else { return None };
        let metadata = std::fs::metadata(path).ok()?;
        Some(StoreFile { path: path.clone(), identity: (metadata.dev(), metadata.ino()) })
    }

    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async {
            let dashboard = self.dashboard().await?;
            if dashboard.up().await { Ok(()) } else { Err("it does not answer a trivial query".into()) }
        })
    }
}

/// A client's body; `None` if it is too long.
async fn collected(body: RequestBody, patience: Duration) -> Result<Option<Bytes>, AskError> {
    let mut body = Limited::new(body, MOST_BODY);
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(patience, body.frame()).await;
        match frame.map_err(|_| AskError::Timeout(patience))? {
            None => return Ok(Some(bytes.into())),
            Some(Ok(frame)) => {
                bytes.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default())
            }
            Some(Err(error)) if error.is::<LengthLimitError>() => return Ok(None),
            Some(Err(_)) => return Err(AskError::ClientBody),
        }
    }
}

fn asked<'a>(head: &'a Head, body: &'a [u8]) -> Asked<'a> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Asked { method: &head.method, target, headers: &head.headers, body }
}

/// What fixes a journalled write.
fn stamp(write: &Write) -> Stamp {
    Stamp {
        id: write.id.clone(),
        at: write.at,
        by: write.by.clone(),
        effect: write.effect.clone(),
        unfinished_since: write.unfinished_since,
    }
}

/// What fixes a write that nobody else knows of.
fn fresh() -> Result<Stamp, AskError> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random)
        .map_err(|error| AskError::Store(format!("the system gives no random number ({error})")))?;
    let at = Utc::now();
    Ok(Stamp {
        id: format!("{:032x}", u128::from_be_bytes(random)),
        at,
        by: CLIENT.to_owned(),
        effect: None,
        unfinished_since: at - KEPT,
    })
}

fn failed(error: WriteError) -> AskError {
    match error {
        WriteError::NotDone(why) => AskError::Store(why),
        WriteError::Busy(waiting) => AskError::Busy(waiting),
        WriteError::Unknown(why) => AskError::Reset(why),
    }
}

fn answered(made: Made) -> (Answer, Option<String>) {
    (document(made.status, made.answer), made.effect)
}

fn refusal(status: StatusCode, detail: &str) -> Answer {
    document(status, serde_json::json!({"error": detail}).to_string())
}

fn document(status: StatusCode, body: String) -> Answer {
    let mut response = Response::new(AnswerBody::Made(Some(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    response
}
