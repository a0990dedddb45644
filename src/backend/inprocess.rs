//! A backend that is flipgate itself, answering the dashboard's read API from a store.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Response, StatusCode, header};
use tokio::sync::RwLock;

use super::body::AnswerBody;
use super::{Answer, Answered, Ask, AskError, Asking, Backend, StoreFile};
use crate::dashboard::{Dashboard, OpenError};

/// How long after a failed attempt to open the store the next one may be made.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which store.
#[derive(Clone)]
pub enum Store {
    /// The SQLite file at this path.
    Sqlite(PathBuf),
    /// The PostgreSQL database at this URL, which may hold a password.
    Postgres(String),
}

/// The read API over one store; a store that cannot be opened now is tried again later.
pub struct InProcess {
    store: Store,
    state: RwLock<State>,
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
    /// A backend over `store`; it is opened by the first request or check.
    #[must_use]
    pub fn new(store: Store) -> Self {
        InProcess { store, state: RwLock::new(State::Closed { tried: None, why: "not opened yet".into() }) }
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
            return Ok(refusal(StatusCode::NOT_IMPLEMENTED, "this store takes no writes through flipgate"));
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
}

impl Backend for InProcess {
    fn ask(&self, ask: Ask) -> Asking<'_> {
        Box::pin(async move {
            let (sent, patience) = (Instant::now(), ask.patience);
            let made = tokio::time::timeout(patience, self.made(ask)).await;
            let answer = made.unwrap_or(Err(AskError::Timeout(patience)))?;
            Ok(Answered { answer, sent })
        })
    }

    fn answers(&self, path: &str) -> bool {
        crate::dashboard::is_read_path(path)
    }

    fn takes_write(&self, _method: &Method, _path: &str) -> bool {
        false
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

fn refusal(status: StatusCode, detail: &str) -> Answer {
    let body = serde_json::json!({"error": detail}).to_string();
    let mut response = Response::new(AnswerBody::Made(Some(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
