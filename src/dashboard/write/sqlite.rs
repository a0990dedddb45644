//! Writes to a SQLite library: one thread, one connection, what waits together in one transaction.

mod session;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use futures_util::FutureExt as _;
use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use self::session::Open;
use super::session::Failure;
use super::{Change, Fate, Made, Stamp, WriteError, apply};
use crate::migrate::back::rows::blames_row;

/// Writes that may wait; one more is refused as busy.
const QUEUE: usize = 64;
/// Writes of one transaction.
const TOGETHER: usize = 32;
/// Writes between two times that ids are forgotten.
const FORGET_EVERY: usize = 256;

/// The handle to the thread, which is started by the first write and ends once this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    jobs: Mutex<Option<SyncSender<Job>>>,
}

/// One write that waits.
struct Job {
    task: Task,
    answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

enum Task {
    Write(Box<(Change, Stamp)>),
    Settle(String),
}

enum Outcome {
    Made(Made),
    Fate(Fate),
}

/// The thread's side.
struct Desk {
    path: PathBuf,
    open: Option<Open>,
    /// Writes since ids were forgotten.
    since: usize,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), jobs: Mutex::new(None) }
    }

    pub(super) async fn write(&self, change: Change, stamp: Stamp) -> Result<Made, WriteError> {
        match self.run(Task::Write(Box::new((change, stamp)))).await? {
            Outcome::Made(made) => Ok(made),
            Outcome::Fate(_) => Err(unknown()),
        }
    }

    pub(super) async fn settle(&self, id: String) -> Result<Fate, WriteError> {
        match self.run(Task::Settle(id)).await? {
            Outcome::Fate(fate) => Ok(fate),
            Outcome::Made(_) => Err(unknown()),
        }
    }

    async fn run(&self, task: Task) -> Result<Outcome, WriteError> {
        let (answer, outcome) = oneshot::channel();
        self.jobs()?.try_send(Job { task, answer }).map_err(|error| match error {
            TrySendError::Full(_) => WriteError::Busy(QUEUE),
            TrySendError::Disconnected(_) => unknown(),
        })?;
        // Without an answer the thread is gone, which takes a panic in SQLite's binding.
        outcome.await.unwrap_or_else(|_| Err(unknown()))
    }

    fn jobs(&self) -> Result<SyncSender<Job>, WriteError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = &*jobs {
            return Ok(jobs.clone());
        }
        let (sender, queue) = sync_channel(QUEUE);
        let desk = Desk { path: self.path.clone(), open: None, since: 0 };
        thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || desk.serve(&queue)).map_err(
            |error| WriteError::NotDone(format!("No thread can be started to write to SQLite ({error}).")),
        )?;
        Ok(jobs.insert(sender).clone())
    }
}

fn unknown() -> WriteError {
    WriteError::Unknown(
        "The thread that writes to the SQLite library ended; see the log and restart.".to_owned(),
    )
}

// === impl Desk ===

impl Desk {
    fn serve(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut jobs = vec![first];
            while jobs.len() < TOGETHER
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            // Whoever gave up before it was begun finds that it was not done.
            jobs.retain(|job| !job.answer.is_closed());
            if !jobs.is_empty() {
                self.run(jobs);
            }
        }
    }

    /// Runs jobs as one transaction and answers them after its end.
    fn run(&mut self, jobs: Vec<Job>) {
        self.since += jobs.len();
        let (tasks, answers): (Vec<Task>, Vec<_>) =
            jobs.into_iter().map(|job| (job.task, job.answer)).unzip();
        let outcomes = self.outcomes(&tasks);
        for (outcome, answer) in outcomes.into_iter().zip(answers) {
            // Nobody listening any more is no error: the id says what became of it.
            let _ = answer.send(outcome);
        }
    }

    /// One outcome for each task.
    fn outcomes(&mut self, tasks: &[Task]) -> Vec<Result<Outcome, WriteError>> {
        let none = |why: &str| tasks.iter().map(|_| Err(WriteError::NotDone(why.to_owned()))).collect();
        let forget = self.since >= FORGET_EVERY;
        let path = self.path.clone();
        let open = match self.current() {
            Ok(open) => open,
            Err(why) => return none(&why),
        };
        if let Err(error) = open.begin() {
            let why = explain(&path, &error);
            self.open = None;
            return none(&why);
        }
        let mut outcomes = Vec::with_capacity(tasks.len());
        for task in tasks {
            let outcome = open.within(|open| perform(open, task));
            if open.is_over() {
                // SQLite gave the whole transaction up, as where the disk is full.
                let why =
                    outcome.err().map_or_else(|| "it ended early".to_owned(), |error| error.to_string());
                self.open = None;
                return none(&format!(
                    "The SQLite library {} cannot be written ({why}); check the disk.",
                    path.display()
                ));
            }
            outcomes.push(outcome.or_else(|failure| refused(&path, &failure)));
        }
        if forget {
            open.forget(tasks.iter().rev().find_map(Task::unfinished_since));
        }
        if let Err(error) = open.commit() {
            // One that found the file locked left the transaction as it was, so taking it back is certain.
            let is_undone = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && open.roll_back();
            let why = explain(&path, &error);
            self.open = None;
            let broken = |_| {
                Err(if is_undone {
                    WriteError::NotDone(why.clone())
                } else {
                    WriteError::Unknown(why.clone())
                })
            };
            return outcomes.into_iter().map(|outcome| outcome.and_then(broken)).collect();
        }
        if forget {
            self.since = 0;
        }
        outcomes
    }

    /// The connection, made anew where the file was replaced.
    fn current(&mut self) -> Result<&mut Open, String> {
        let kept = self.open.take().filter(|open| open.is_of(&self.path));
        let open = match kept {
            Some(open) => open,
            None => Open::new(&self.path)?,
        };
        Ok(self.open.insert(open))
    }
}

fn perform(open: &mut Open, task: &Task) -> Result<Outcome, Failure> {
    match task {
        Task::Write(write) => {
            let (change, stamp) = &**write;
            // Nothing in it waits.
            let made = apply::apply(open, change, stamp).now_or_never();
            made.unwrap_or(Err(Failure::Sqlite(rusqlite::Error::InvalidQuery))).map(Outcome::Made)
        }
        Task::Settle(id) => open.settle(id).map(Outcome::Fate),
    }
}

/// What SQLite does not take is the row's fault, and no reason to send it again; all else was not done.
fn refused(path: &Path, failure: &Failure) -> Result<Outcome, WriteError> {
    match failure {
        Failure::Sqlite(error) if blames_row(error) => Ok(Outcome::Made(Made::refused_by_store(error))),
        Failure::Sqlite(error) => Err(WriteError::NotDone(explain(path, error))),
        Failure::Postgres(error) => Err(WriteError::NotDone(error.to_string())),
    }
}

fn explain(path: &Path, error: &rusqlite::Error) -> String {
    let name = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!(
                "The SQLite library {name} is locked by another program for too long; end it and try again."
            )
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "The SQLite library {name} cannot be written ({error}); give flipgate rights on the file and its directory."
        ),
        _ => format!(
            "The SQLite library {name} cannot be written ({error}); check the disk and that it is whole."
        ),
    }
}

// === impl Task ===

impl Task {
    fn unfinished_since(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        match self {
            Self::Write(write) => Some(write.1.unfinished_since),
            Self::Settle(_) => None,
        }
    }
}
