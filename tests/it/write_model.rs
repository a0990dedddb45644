//! Random writes by eight clients while everything breaks that can; then whatever they were told must be true of both
//! stores, and nothing may have been applied twice.
//!
//! `FLIPGATE_MODEL_STEPS` makes it longer, `FLIPGATE_MODEL_SEED` repeats what clients and the disturber choose (not how it
//! falls together in time).

mod disturber;
mod model;
mod relay;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::RwLock;

use self::disturber::Disturber;
use self::model::{Indexed, Model, Spelling, Step};
use self::relay::Relay;
use crate::harness::{Flipgate, wait_until};
use crate::replicas::Server;
use crate::written::{Record, Records, Stores, Told, Writer, all_delivered};

const CLIENTS: usize = 8;
/// Writes of all clients that were decided about or are in doubt, at least.
const STEPS: usize = 2000;
/// Videos of each client alone that are in the library, and that are not.
const OWN: (usize, usize) = (2, 2);
/// Videos of all clients, likewise.
const SHARED: (usize, usize) = (4, 4);
/// Until a client that was refused asks again: those who ask must not keep off who comes back.
const PAUSE: Duration = Duration::from_millis(20);
/// A backend that is slower leaves a write in doubt.
const CONFIG: &str = "[limits]\nhead_timeout = 1.0\n";

/// What the clients and the disturber know of each other.
#[derive(Debug, Default)]
struct Storm {
    /// Requests, whatever became of them: the time of this test.
    attempts: AtomicUsize,
    /// Clients that have done their share.
    ready: AtomicUsize,
    is_over: AtomicBool,
    /// Held by each client while it is told something, and by who wants none to be.
    turn: RwLock<()>,
    /// Videos of each client alone.
    own: Vec<Vec<Mutex<Model>>>,
    /// Videos of all clients.
    shared: Vec<Shared>,
    /// How often clients were told what.
    told: Mutex<BTreeMap<Told, usize>>,
}

/// A video that every client writes.
#[derive(Debug)]
struct Shared {
    video_id: String,
    /// Whether anyone deletes it.
    is_deleted: bool,
    before: Option<Record>,
    /// Texts whose ingest was answered with success, or may have been done.
    taken: Mutex<Vec<String>>,
    perhaps: Mutex<Vec<String>>,
}

/// One of eight.
struct Client {
    number: usize,
    writer: Writer,
    rng: Rng,
    /// Of its texts, each of which is sent once.
    serial: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_eight_clients_were_told_is_true_of_both_stores_after_a_storm() {
    storm("sqlite", from_environment("FLIPGATE_MODEL_STEPS").unwrap_or(STEPS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn and_so_it_is_where_postgresql_leads() {
    storm("postgres", from_environment("FLIPGATE_MODEL_STEPS").unwrap_or(STEPS) / 2).await;
}

fn from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} should be a number")))
}

async fn storm(leader: &str, steps: usize) {
    let seed = from_environment("FLIPGATE_MODEL_SEED").map_or_else(|| fastrand::u64(..), |seed| seed as u64);
    eprintln!("FLIPGATE_MODEL_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let server = Server::durable().await;
    let stores = Stores::generated(&server.url).await;
    let relay = Relay::before(&server.url).await;
    let setup = stores.setup(&relay.url(&server.url), CONFIG).argument("--listen", &unused_address(&mut rng));
    let flipgate = setup.start().await;
    if leader == "postgres" {
        assert_eq!(flipgate.flip(leader, true).await.status, 200);
    }
    let before = stores.in_sqlite();
    let (own, shared) = videos(&before);
    let storm = Arc::new(Storm { own, shared, ..Storm::default() });
    let clients = (0..CLIENTS).map(|number| {
        let client = Client { number, writer: Writer::to(flipgate.proxy), rng: rng.fork(), serial: 0 };
        tokio::spawn(client.run(Arc::clone(&storm), steps / CLIENTS))
    });
    let clients: Vec<_> = clients.collect();
    let disturber =
        Disturber { flipgate: Some(flipgate), server: &server, relay, stores: &stores, storm: &storm, rng };
    let (flipgate, _relay) = disturber.run().await;
    for client in clients {
        client.await.unwrap();
    }
    let told = storm.told.lock().unwrap().clone();
    eprintln!("{told:?}");
    let all =
        [200, 404, 409].map(Told::Decided).into_iter().chain([Told::NotTaken, Told::Broken, Told::NoAnswer]);
    let missing: Vec<_> = all.filter(|one| !told.contains_key(one)).collect();
    assert!(missing.is_empty(), "this storm was none: {missing:?} of {told:?}");
    assert_eq!(flipgate.primary().await, leader);
    all_delivered(&flipgate).await;
    flipgate.terminate();
    drop(flipgate.stopped().await);
    storm.assert_true_of_both(&stores).await;
    stores.assert_equal().await;
}

/// An address that no outgoing connection gets while flipgate is down.
fn unused_address(rng: &mut Rng) -> String {
    let mut addresses = std::iter::repeat_with(|| format!("127.0.0.1:{}", rng.u16(20_000..30_000)));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}

/// Videos of each client alone, and of all.
fn videos(before: &Records) -> (Vec<Vec<Mutex<Model>>>, Vec<Shared>) {
    let mut known = before.iter();
    let mut new = (0..).map(|number| format!("nEw_{number:07}"));
    let mut next = |is_known: bool| match is_known {
        true => known.next().map(|(video_id, record)| (video_id.clone(), Some(record.clone()))).unwrap(),
        false => (new.next().unwrap(), None),
    };
    let mut some = |(old, new): (usize, usize)| -> Vec<(String, Option<Record>)> {
        (0..old + new).map(|place| next(place < old)).collect()
    };
    let model =
        |(video_id, before): (String, Option<Record>)| Mutex::new(Model::new(&video_id, before.as_ref()));
    let own = (0..CLIENTS).map(|_| some(OWN).into_iter().map(model).collect()).collect();
    let shared = some(SHARED).into_iter().enumerate().map(|(place, (video_id, before))| Shared {
        video_id,
        is_deleted: place % 2 == 1,
        before,
        taken: Mutex::default(),
        perhaps: Mutex::default(),
    });
    (own, shared.collect())
}

// === impl Storm ===

impl Storm {
    /// Waits for so many more requests.
    async fn passes(&self, requests: Range<usize>, rng: &mut Rng) {
        let until = self.attempts.load(Ordering::SeqCst) + rng.usize(requests);
        wait_until("clients go on", async || self.attempts.load(Ordering::SeqCst) >= until).await;
    }

    /// Lets nobody write until all is delivered and found to be what everyone was told: a later delete would hide much.
    async fn lulls(&self, flipgate: &Flipgate, stores: &Stores) {
        let _turn = self.turn.write().await;
        // A write whose client went may come late.
        wait_until("both stores are the same", async || {
            all_delivered(flipgate).await;
            stores.in_sqlite() == stores.in_postgres().await
        })
        .await;
        self.assert_true_of_both(stores).await;
    }

    async fn assert_true_of_both(&self, stores: &Stores) {
        let (sqlite, postgres) = (stores.in_sqlite(), stores.in_postgres().await);
        let (in_sqlite, in_postgres) = (stores.tombstones_in_sqlite(), stores.tombstones_in_postgres().await);
        let held: HashSet<&str> = in_sqlite.iter().map(|stone| stone.video_id.as_str()).collect();
        for (store, records) in [("sqlite", &sqlite), ("postgres", &postgres)] {
            for model in self.own.iter().flatten() {
                let mut model = model.lock().unwrap();
                let found = records.get(&model.video_id);
                model.find(store, found);
                assert!(!model.is_buried() || held.contains(&*model.video_id), "nothing holds {model:?}");
            }
            for video in &self.shared {
                video.assert_possible(store, records.get(&video.video_id));
            }
        }
        assert_eq!(sqlite, postgres);
        assert_eq!(in_sqlite, in_postgres);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) == CLIENTS
    }
}

// === impl Shared ===

impl Shared {
    fn note(&self, text: &str, told: Told) {
        match told {
            Told::Decided(200) => self.taken.lock().unwrap().push(text.to_owned()),
            Told::Broken | Told::NoAnswer => self.perhaps.lock().unwrap().push(text.to_owned()),
            Told::NotTaken => {}
            Told::Decided(status) => panic!("{}: an ingest of {text} was answered {status}", self.video_id),
        }
    }

    fn assert_possible(&self, store: &str, found: Option<&Record>) {
        let revisions = found.map(|record| record.revisions.as_slice()).unwrap_or_default();
        let about = || format!("{} in {store}: {revisions:?} of {self:?}", self.video_id);
        let numbers: Vec<i64> = revisions.iter().map(|(number, _)| *number).collect();
        let count = i64::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{}", about());
        let texts: BTreeSet<&str> = revisions.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts.len(), revisions.len(), "one was applied twice: {}", about());
        let (taken, perhaps) = (self.taken.lock().unwrap(), self.perhaps.lock().unwrap());
        let before = self.before.iter().flat_map(|record| &record.revisions).map(|(_, text)| text);
        let sent: HashSet<&str> =
            before.clone().chain(&*taken).chain(&*perhaps).map(String::as_str).collect();
        let foreign: Vec<_> = texts.iter().filter(|text| !sent.contains(*text)).collect();
        assert!(foreign.is_empty(), "{foreign:?} were refused: {}", about());
        if !self.is_deleted {
            let lost: Vec<_> = before.chain(&*taken).filter(|text| !texts.contains(text.as_str())).collect();
            assert!(lost.is_empty(), "{lost:?} are lost: {}", about());
        }
    }
}

// === impl Client ===

impl Client {
    async fn run(mut self, storm: Arc<Storm>, steps: usize) {
        let mut done = 0;
        while !storm.is_over.load(Ordering::SeqCst) {
            let turn = storm.turn.read().await;
            let told = if self.rng.u8(..) < 80 {
                self.write_shared(&storm.shared).await
            } else {
                self.write_own(&storm.own[self.number]).await
            };
            drop(turn);
            storm.attempts.fetch_add(1, Ordering::SeqCst);
            *storm.told.lock().unwrap().entry(told).or_default() += 1;
            if told == Told::NotTaken {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            done += 1;
            if done == steps {
                storm.ready.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    async fn write_own(&mut self, own: &[Mutex<Model>]) -> Told {
        let model = &own[self.rng.usize(..own.len())];
        let step = if self.rng.u8(..) < 80 { self.delete(&model.lock().unwrap()) } else { self.ingest() };
        let write = step.write(&model.lock().unwrap().video_id);
        let told = self.writer.send(&write).await;
        model.lock().unwrap().note(&step, told);
        told
    }

    async fn write_shared(&mut self, shared: &[Shared]) -> Told {
        let video = &shared[self.rng.usize(..shared.len())];
        if video.is_deleted && self.rng.u8(..) < 80 {
            let delete = Step::Delete { name: video.video_id.clone(), spelling: Spelling::Plain };
            return self.writer.send(&delete.write(&video.video_id)).await;
        }
        let text = self.text();
        let step = Step::Ingest { title: text.clone(), text: text.clone(), indexed: Indexed::Newer };
        let write = step.write(&video.video_id);
        let told = if self.rng.u8(..) < 25 {
            self.writer.send_and_leave(&write).await;
            Told::Broken
        } else {
            self.writer.send(&write).await
        };
        video.note(&text, told);
        told
    }

    fn delete(&mut self, model: &Model) -> Step {
        let name = match (self.rng.u8(..3), model.id()) {
            (0, Some(id)) => id.to_owned(),
            (1, _) => format!("yt:{}", model.video_id),
            _ => model.video_id.clone(),
        };
        let spellings = [Spelling::Plain, Spelling::Encoded, Spelling::Query, Spelling::Body];
        Step::Delete { name, spelling: spellings[self.rng.usize(..4)] }
    }

    fn ingest(&mut self) -> Step {
        let indexed = match self.rng.u8(..5) {
            0 => Indexed::Older,
            1 | 2 => Indexed::Newer,
            _ => Indexed::Unsaid,
        };
        let text = self.text();
        Step::Ingest { title: text.clone(), text, indexed }
    }

    fn text(&mut self) -> String {
        self.serial += 1;
        format!("{} of client {}", self.serial, self.number)
    }
}
