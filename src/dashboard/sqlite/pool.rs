//! The threads that read a SQLite library: a few, each with a connection of its own, behind one bounded queue.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{ErrorCode, InterruptHandle};
use tokio::sync::oneshot;

use super::connection::{Open, OpenFailure};
use crate::dashboard::{OpenError, StoreError};

/// Reads that may wait; beyond it a read fails as busy.
const QUEUE: usize = 256;
/// How long one read may take, waiting included.
const DEADLINE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// The handle to the threads; they end once it is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: SyncSender<Job>,
}

/// One thread's connection, made at its first job and again whenever the file was replaced.
struct Reader {
    path: PathBuf,
    open: Option<Open>,
}

/// Stops a read whose answer nobody waits for any more, and never another one on the same connection.
#[derive(Clone, Default)]
struct Interrupt(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Running(InterruptHandle),
    Over,
}

struct InterruptOnDrop(Interrupt);

// === impl Pool ===

impl Pool {
    /// Starts the threads; each opens the file when it first reads.
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let threads = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4));
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let mut reader = Reader { path: path.to_owned(), open: None };
            thread::Builder::new()
                .name(format!("sqlite-{number}"))
                .spawn(move || {
                    while let Some(job) = next(&queue) {
                        job(&mut reader)
                    }
                })
                .map_err(|error| OpenError(format!("No thread can be started to read SQLite ({error}).")))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `work` on one of the threads.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Open) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let interrupt = Interrupt::default();
        let guard = InterruptOnDrop(interrupt.clone());
        let job: Job = Box::new(move |reader| {
            if !answer.is_closed() {
                // Nobody listening any more is no error.
                let _ = answer.send(reader.run(work, &interrupt));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => StoreError::Busy,
        })?;
        let result = tokio::time::timeout(DEADLINE, result).await;
        drop(guard);
        match result {
            Ok(Ok(result)) => result,
            // The thread died, which takes a panic in SQLite's binding.
            Ok(Err(_)) => Err(StoreError::Busy),
            Err(_) => Err(StoreError::Timeout(DEADLINE.as_secs())),
        }
    }
}

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

// === impl Reader ===

impl Reader {
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Open) -> Result<T, StoreError>,
        interrupt: &Interrupt,
    ) -> Result<T, StoreError> {
        let open = self.current().map_err(|OpenFailure(sentence)| StoreError::Reopen(OpenError(sentence)))?;
        interrupt.begin(open.connection.get_interrupt_handle());
        let result = open.refresh().map_err(StoreError::from).and_then(|()| work(open));
        interrupt.end();
        if result.as_ref().is_err_and(spoilt) {
            self.open = None;
        }
        result
    }

    fn current(&mut self) -> Result<&mut Open, OpenFailure> {
        let kept = match self.open.take() {
            Some(open) if !open.replaced(&self.path)? => open,
            Some(_) => {
                tracing::info!(library = %self.path.display(), "the SQLite file was replaced; it is opened again");
                Open::new(&self.path)?
            }
            None => Open::new(&self.path)?,
        };
        Ok(self.open.insert(kept))
    }
}

/// Whether a connection is better made anew: its file was overwritten under it.
fn spoilt(error: &StoreError) -> bool {
    match error {
        StoreError::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
            )
        ),
        StoreError::Postgres(_) | StoreError::Reopen(_) | StoreError::Busy | StoreError::Timeout(_) => false,
    }
}

// === impl Interrupt ===

impl Interrupt {
    fn begin(&self, handle: InterruptHandle) {
        self.set(State::Running(handle));
    }

    fn end(&self) {
        self.set(State::Over);
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        // Under the lock, so that the connection cannot have gone on to the next read.
        match &*self.0.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running(handle) => handle.interrupt(),
            State::Waiting | State::Over => {}
        }
    }
}
