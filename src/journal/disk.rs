//! `journal.db`: what was taken in and is not in both stores. One thread writes; what came together is one transaction,
//! so that many writes share one sync.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::State;

/// Changes that may wait for the thread; whoever has another one waits.
const QUEUE: usize = 1024;
/// Changes of one transaction, at most.
const TOGETHER: usize = 256;
/// Between two attempts at what the disk did not take and nobody waits for.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        leader TEXT NOT NULL,
        follower TEXT NOT NULL,
        route TEXT NOT NULL,
        keys TEXT NOT NULL,
        at TEXT NOT NULL,
        client TEXT NOT NULL,
        by TEXT NOT NULL,
        effect TEXT,
        last_error TEXT NOT NULL,
        passed INTEGER NOT NULL,
        request BLOB NOT NULL
    ) STRICT;";

/// An entry as it is on disk.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) state: State,
    /// The backend that takes it first, by name.
    pub(super) leader: String,
    pub(super) follower: String,
    pub(super) route: String,
    pub(super) keys: Vec<String>,
    pub(super) at: DateTime<Utc>,
    pub(super) client: u64,
    pub(super) by: String,
    pub(super) effect: Option<String>,
    pub(super) last_error: String,
    /// Whether a later write of one of its keys went by while it was parked or in doubt.
    pub(super) passed: bool,
    /// Sealed.
    pub(super) request: Vec<u8>,
}

/// Where an entry stands by now.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) effect: Option<String>,
    pub(super) last_error: String,
    pub(super) passed: bool,
}

/// A change of what is on disk.
#[derive(Debug)]
enum Change {
    Append(Box<Kept>),
    Set { seq: i64, standing: Standing },
    Remove { seq: i64 },
}

#[derive(Debug)]
struct Job {
    change: Change,
    /// Told once it is on disk; without anybody who waits it is tried until it is.
    done: Option<oneshot::Sender<Result<(), String>>>,
}

/// Hands changes to the thread.
#[derive(Debug, Clone)]
pub(super) struct Disk(mpsc::Sender<Job>);

// === impl Disk ===

impl Disk {
    /// Opens or makes the journal at `path` and reads what it holds, in order.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Kept>), String> {
        let problem = |why: &dyn std::fmt::Display| format!("journal {}: {why}", path.display());
        // Made before SQLite makes it, so that it and what is beside it are its owner's alone.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(|e| problem(&e))?;
        let opened = Connection::open(path).and_then(|connection| {
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(SCHEMA)?;
            let kept = load(&connection)?;
            Ok((connection, kept))
        });
        let (connection, kept) = opened.map_err(|e| problem(&e))?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer { connection, queue, owed: Vec::new(), path: path.to_owned() };
        thread::Builder::new().name("journal".into()).spawn(move || writer.run()).map_err(|e| problem(&e))?;
        Ok((Disk(jobs), kept))
    }

    /// Appends an entry; it is on disk when this returns.
    pub(super) async fn append(&self, kept: Kept) -> Result<(), String> {
        self.done(Change::Append(Box::new(kept))).await
    }

    /// Sets where an entry stands; it is on disk when this returns.
    pub(super) async fn set(&self, seq: i64, standing: Standing) -> Result<(), String> {
        self.done(Change::Set { seq, standing }).await
    }

    /// The same without waiting for the disk: losing it costs asking the stores again.
    pub(super) async fn set_soon(&self, seq: i64, standing: Standing) {
        self.soon(Change::Set { seq, standing }).await;
    }

    /// Forgets an entry; it is off the disk when this returns.
    pub(super) async fn remove(&self, seq: i64) -> Result<(), String> {
        self.done(Change::Remove { seq }).await
    }

    /// The same without waiting for the disk.
    pub(super) async fn remove_soon(&self, seq: i64) {
        self.soon(Change::Remove { seq }).await;
    }

    async fn done(&self, change: Change) -> Result<(), String> {
        let (done, told) = oneshot::channel();
        let gone = || "its thread has ended".to_owned();
        self.0.send(Job { change, done: Some(done) }).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn soon(&self, change: Change) {
        // Where the thread has ended the disk keeps what it has: more than is still to be done, never less.
        let _ = self.0.send(Job { change, done: None }).await;
    }
}

struct Writer {
    connection: Connection,
    queue: mpsc::Receiver<Job>,
    /// What the disk did not take and nobody waits for.
    owed: Vec<Change>,
    path: PathBuf,
}

// === impl Writer ===

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.next() {
            let mut jobs = first;
            while jobs.len() < TOGETHER {
                let Ok(job) = self.queue.try_recv() else { break };
                jobs.push(job);
            }
            self.write(jobs);
        }
    }

    /// The next change; where some are owed, nothing after a while. None once nobody can send any more.
    fn next(&mut self) -> Option<Vec<Job>> {
        if self.owed.is_empty() {
            return self.queue.blocking_recv().map(|job| vec![job]);
        }
        thread::sleep(RETRY);
        match self.queue.try_recv() {
            Ok(job) => Some(vec![job]),
            Err(mpsc::error::TryRecvError::Empty) => Some(Vec::new()),
            Err(mpsc::error::TryRecvError::Disconnected) => None,
        }
    }

    fn write(&mut self, jobs: Vec<Job>) {
        match self.commit(&jobs) {
            Ok(()) => {
                self.owed.clear();
                for done in jobs.into_iter().filter_map(|job| job.done) {
                    // Who gave up waiting finds it on disk after a restart.
                    let _ = done.send(Ok(()));
                }
            }
            Err(error) => {
                tracing::error!(%error, journal = %self.path.display(), "the journal did not take writes");
                for Job { change, done } in jobs {
                    match done {
                        Some(done) => {
                            let _ = done.send(Err(error.to_string()));
                        }
                        None => self.owed.push(change),
                    }
                }
            }
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in self.owed.iter().chain(jobs.iter().map(|job| &job.change)) {
            apply(&transaction, change)?;
        }
        transaction.commit()
    }
}

fn apply(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Append(kept) => transaction
            .prepare_cached(
                "INSERT INTO entries (seq, id, state, leader, follower, route, keys, at, client, by, effect, last_error,
                     passed, request)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                kept.seq,
                kept.id,
                kept.state.name(),
                kept.leader,
                kept.follower,
                kept.route,
                serde_json::to_string(&kept.keys).unwrap_or_default(),
                kept.at.to_rfc3339(),
                kept.client.to_string(),
                kept.by,
                kept.effect,
                kept.last_error,
                kept.passed,
                kept.request,
            ])
            .map(|_| ()),
        Change::Set { seq, standing: Standing { state, effect, last_error, passed } } => transaction
            .prepare_cached(
                "UPDATE entries SET state = ?2, effect = ?3, last_error = ?4, passed = ?5 WHERE seq = ?1",
            )?
            .execute(params![seq, state.name(), effect, last_error, passed])
            .map(|_| ()),
        Change::Remove { seq } => transaction
            .prepare_cached("DELETE FROM entries WHERE seq = ?1")?
            .execute(params![seq])
            .map(|_| ()),
    }
}

fn load(connection: &Connection) -> rusqlite::Result<Vec<Kept>> {
    let mut statement = connection.prepare(
        "SELECT seq, id, state, leader, follower, route, keys, at, client, by, effect, last_error, passed,
             request
         FROM entries ORDER BY seq",
    )?;
    let rows = statement.query_map([], |row| {
        let (state, keys, at, client): (String, String, String, String) =
            (row.get(2)?, row.get(6)?, row.get(7)?, row.get(8)?);
        let at = DateTime::parse_from_rfc3339(&at).map_or_else(|_| Utc::now(), |at| at.with_timezone(&Utc));
        Ok(Kept {
            seq: row.get(0)?,
            id: row.get(1)?,
            // What cannot be read is for someone to decide.
            state: State::named(&state).unwrap_or(State::Parked),
            leader: row.get(3)?,
            follower: row.get(4)?,
            route: row.get(5)?,
            keys: serde_json::from_str(&keys).unwrap_or_default(),
            at,
            client: client.parse().unwrap_or(0),
            by: row.get(9)?,
            effect: row.get(10)?,
            last_error: row.get(11)?,
            passed: row.get(12)?,
            request: row.get(13)?,
        })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn kept(seq: i64) -> Kept {
        Kept {
            seq,
            id: format!("id{seq}"),
            state: State::Sending,
            leader: "a".into(),
            follower: "b".into(),
            route: "POST /x".into(),
            keys: vec!["k".into()],
            at: Utc::now(),
            client: u64::MAX,
            by: "127.0.0.1".into(),
            effect: None,
            last_error: String::new(),
            passed: false,
            request: vec![0, 1, 2],
        }
    }

    #[tokio::test]
    async fn what_was_appended_set_and_removed_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let (disk, none) = Disk::open(&path).unwrap();
        assert!(none.is_empty());
        for seq in 1..=3 {
            disk.append(kept(seq)).await.unwrap();
        }
        let standing = Standing {
            state: State::Pending,
            effect: Some("{}".into()),
            last_error: "why".into(),
            passed: true,
        };
        disk.set(2, standing).await.unwrap();
        disk.remove_soon(1).await;
        disk.remove(3).await.unwrap();
        for name in ["journal.db", "journal.db-wal"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(disk);
        let again = loop {
            // The thread ends once the last handle is dropped, and its lock with it.
            if let Ok((_, again)) = Disk::open(&path) {
                break again;
            }
            tokio::task::yield_now().await;
        };
        let [entry] = again.as_slice() else { panic!("{again:?}") };
        assert_eq!((entry.seq, entry.state, entry.client), (2, State::Pending, u64::MAX));
        assert_eq!((entry.effect.as_deref(), entry.last_error.as_str()), (Some("{}"), "why"));
        assert!(entry.passed && entry.request == [0, 1, 2]);
    }

    #[tokio::test]
    async fn what_the_disk_refuses_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, _) = Disk::open(&directory.path().join("journal.db")).unwrap();
        disk.append(kept(1)).await.unwrap();
        assert!(disk.append(kept(1)).await.is_err());
        disk.append(kept(2)).await.unwrap();
    }
}
