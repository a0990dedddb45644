//! Breaks one thing after the other while clients write, and puts it right again.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::Storm;
use super::relay::Relay;
use crate::harness::Flipgate;
use crate::replicas::Server;
use crate::written::Stores;

/// How often each thing is broken, at least.
const ROUNDS: usize = 2;
/// How long SQLite is locked, in milliseconds: longer than flipgate waits for an answer.
const LOCKED: Range<u64> = 1200..3000;

/// What breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    /// SIGKILL, and another start.
    KillFlipgate,
    /// SIGTERM, and another start.
    StopFlipgate,
    KillPostgres,
    /// As another program does.
    LockSqlite,
    /// As an administrator does.
    TerminateBackends,
    CutConnections,
    /// PostgreSQL commits and the answer is lost.
    LoseCommits,
    /// Of an answer the beginning arrives.
    HalveAnswers,
}

const ALL: [Disturbance; 8] = [
    Disturbance::KillFlipgate,
    Disturbance::StopFlipgate,
    Disturbance::KillPostgres,
    Disturbance::LockSqlite,
    Disturbance::TerminateBackends,
    Disturbance::CutConnections,
    Disturbance::LoseCommits,
    Disturbance::HalveAnswers,
];

pub(super) struct Disturber<'a> {
    /// None while it is down.
    pub(super) flipgate: Option<Flipgate>,
    pub(super) server: &'a Server,
    pub(super) relay: Relay,
    pub(super) stores: &'a Stores,
    pub(super) storm: &'a Storm,
    pub(super) rng: Rng,
}

// === impl Disturber ===

impl Disturber<'_> {
    /// Until everything broke often enough and all clients have done their share.
    pub(super) async fn run(mut self) -> (Flipgate, Relay) {
        let mut round = 0;
        while round < ROUNDS || !self.storm.is_ready() {
            let mut all = ALL;
            self.rng.shuffle(&mut all);
            for disturbance in all {
                self.storm.passes(10..60, &mut self.rng).await;
                self.disturb(disturbance).await;
            }
            self.storm.lulls(self.flipgate.as_ref().unwrap(), self.stores).await;
            round += 1;
        }
        self.storm.is_over.store(true, Ordering::SeqCst);
        (self.flipgate.take().unwrap(), self.relay)
    }

    async fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::KillFlipgate => {
                let setup = self.flipgate.take().unwrap().kill9();
                self.flipgate = Some(setup.start().await);
            }
            Disturbance::StopFlipgate => {
                let flipgate = self.flipgate.take().unwrap();
                flipgate.terminate();
                self.flipgate = Some(flipgate.stopped().await.start().await);
            }
            Disturbance::KillPostgres => {
                self.server.kill9();
                self.storm.passes(20..80, &mut self.rng).await;
                self.server.restart().await;
            }
            Disturbance::LockSqlite => self.lock_sqlite().await,
            Disturbance::TerminateBackends => self.terminate_backends().await,
            Disturbance::CutConnections => self.relay.cut_all(),
            Disturbance::LoseCommits => self.relay.lose_commits(self.rng.usize(1..6)),
            Disturbance::HalveAnswers => self.relay.halve_answers(self.rng.usize(1..6)),
        }
    }

    async fn lock_sqlite(&mut self) {
        let (library, held) = (self.stores.library.clone(), Duration::from_millis(self.rng.u64(LOCKED)));
        let locked = tokio::task::spawn_blocking(move || {
            let sqlite = rusqlite::Connection::open(library).unwrap();
            sqlite.busy_timeout(Duration::from_secs(30)).unwrap();
            sqlite.execute_batch("BEGIN EXCLUSIVE").unwrap();
            // Not a wait for something: its length is the fault that is tested.
            std::thread::sleep(held);
            sqlite.execute_batch("ROLLBACK").unwrap();
        });
        locked.await.unwrap();
    }

    async fn terminate_backends(&self) {
        let mut postgres = PgConnection::connect(&self.server.url).await.unwrap();
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE pid <> pg_backend_pid() AND datname = current_database()";
        sqlx::raw_sql(sql).execute(&mut postgres).await.unwrap();
    }
}
