use std::pin::Pin;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::Method;

use super::rechecker::Rechecker;
use super::*;
use crate::backend::Asking;
use crate::backend::body::AnswerBody;
use crate::ledger::seen::Log;
use crate::ledger::{Ledger, Visitor};
use crate::state::{Position, StateStore};

/// A backend that answers every request with a JSON text, later with another one.
#[derive(Debug)]
struct Says {
    first: &'static str,
    then: &'static str,
    asked: AtomicUsize,
}

/// A shadow with its rechecker, over two backends that say these texts.
struct Desktop {
    shadow: Arc<Shadow>,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    traffic: Arc<Traffic>,
    backends: Pair<Arc<Says>>,
    _directory: tempfile::TempDir,
}

// === impl Says ===

impl Says {
    fn always(text: &'static str) -> Arc<Self> {
        Says::first(text, text)
    }

    fn first(first: &'static str, then: &'static str) -> Arc<Self> {
        Arc::new(Says { first, then, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Backend for Says {
    fn ask(&self, _ask: Ask) -> Asking<'_> {
        let is_first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        let text = if is_first { self.first } else { self.then };
        let body = AnswerBody::Made(Some(Bytes::from_static(text.as_bytes())));
        Box::pin(async move { Ok(Answered { answer: http::Response::new(body), sent: Instant::now() }) })
    }

    fn answers(&self, _path: &str) -> bool {
        true
    }

    fn takes_write(&self, _method: &Method, _path: &str) -> bool {
        false
    }

    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

// === impl Desktop ===

impl Desktop {
    /// Rechecks come this many milliseconds after the comparison.
    fn over(to: Arc<Says>, rechecks: &[u64]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = Pair { from: "a".to_owned(), to: "b".to_owned() };
        let labels = vec!["/{name}".to_owned(), "other".to_owned()];
        let metrics = Arc::new(Metrics::new(names.clone(), &labels).unwrap());
        let store = StateStore::open(directory.path()).unwrap();
        let seen = Arc::new(Log::default());
        let ledger =
            Ledger::open(Arc::clone(&metrics), names, labels, directory.path(), &store, 1, seen).unwrap();
        let limits = Limits {
            inflight: 8,
            deadline: Duration::from_secs(5),
            body: 1 << 20,
            memory: 1 << 24,
            queue: 8,
            comparators: 1,
        };
        let after = rechecks.iter().map(|after| Duration::from_millis(*after)).collect();
        let rules = RecheckRules { after, control_share: 0.0 };
        let traffic = Arc::new(Traffic::default());
        let started = Shadow::start(limits, rules.clone(), None, Arc::clone(&traffic), Arc::clone(&metrics));
        let (shadow, again) = started.unwrap();
        let shadow = Arc::new(shadow);
        let backends = Pair { from: Says::always("{\"n\":1}"), to };
        let asked: Pair<Arc<dyn Backend>> =
            Pair { from: Arc::clone(&backends.from) as _, to: Arc::clone(&backends.to) as _ };
        tokio::spawn(Rechecker { shadow: Arc::clone(&shadow), backends: asked, rules }.run(again));
        Desktop { shadow, ledger: Arc::new(ledger), metrics, traffic, backends, _directory: directory }
    }

    /// Has `/a` read, and waits until that has its outcome, which it gives back as `outcome reason`.
    async fn reads(&self) -> String {
        let before = self.outcomes();
        let position = Position { dial: 0, leader: Side::From, turn: 1 };
        let visitor = Visitor { client: 0, primary: Side::From, position };
        self.metrics.request(0, "GET", 200, Some(Side::From));
        let head = Arc::new(Head {
            method: Method::GET,
            uri: "/a".parse().unwrap(),
            headers: HeaderMap::new(),
            repeatable: true,
        });
        let plan = Plan {
            route: 0,
            rules: Arc::default(),
            primary: Side::From,
            head,
            reading: Reading { began: Instant::now(), is_list: false },
            primary_is_whole: AtomicBool::new(false),
        };
        let (told, primary) = oneshot::channel();
        let (done, body) = oneshot::channel();
        let answer =
            PrimaryHead::Answer { status: StatusCode::OK, headers: HeaderMap::new(), framed: true, body };
        told.send(answer).unwrap();
        let mut capture = self.shadow.capture();
        capture.push(&Bytes::from_static(self.backends.from.first.as_bytes()));
        done.send(capture.finish(End::Complete, Duration::from_millis(1))).unwrap();
        let slot = self.shadow.capacity.slot().unwrap();
        let backend: Arc<dyn Backend> = Arc::clone(&self.backends.to) as _;
        let ticket = self.ledger.ticket(0, "/a", visitor);
        Arc::clone(&self.shadow).run(ticket, plan, backend, slot, primary).await;
        let settled = async {
            while self.metrics.pending() != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), settled).await.expect("it has no outcome");
        let new: Vec<String> =
            self.outcomes().into_iter().filter(|outcome| !before.contains(outcome)).collect();
        let [new] = new.as_slice() else { panic!("{new:?} for one request") };
        new.clone()
    }

    /// How requests have ended so far.
    fn outcomes(&self) -> Vec<String> {
        let text = String::from_utf8(self.metrics.render().unwrap()).unwrap();
        let ended = text.lines().filter_map(|line| {
            let (labels, count) =
                line.strip_prefix("flipgate_outcomes_total{outcome=\"")?.split_once("} ")?;
            let (outcome, labels) = labels.split_once("\",reason=\"")?;
            let (reason, _route) = labels.split_once('"')?;
            (count != "0").then(|| format!("{outcome} {reason}").trim().to_owned())
        });
        ended.collect()
    }

    fn begin_write(&self, key: &str) -> crate::journal::traffic::OnItsWay {
        self.traffic.begin(&[key.to_owned()], 7)
    }
}

#[tokio::test]
async fn what_differs_while_its_write_is_on_its_way_is_transient_and_no_finding() {
    let desktop = Desktop::over(Says::always("{\"n\":2}"), &[5, 10]);
    let write = desktop.begin_write("a");
    assert_eq!(desktop.reads().await, "transient write_pending");
    assert_eq!(desktop.backends.to.asked(), 3, "it is asked again as any other");
    assert!(desktop.ledger.findings().is_empty());
    drop(write);
    let other = Desktop::over(Says::always("{\"n\":2}"), &[5, 10]);
    let _write = other.begin_write("b");
    assert_eq!(other.reads().await, "mismatch", "another record's write explains nothing");
}

#[tokio::test]
async fn what_differs_still_when_the_write_has_long_been_in_both_stores_is_a_mismatch() {
    let desktop = Desktop::over(Says::always("{\"n\":2}"), &[2_500]);
    drop(desktop.begin_write("a"));
    assert_eq!(desktop.reads().await, "mismatch");
    assert_eq!(desktop.ledger.findings().len(), 1);
}

#[tokio::test]
async fn what_agrees_when_asked_again_near_a_write_is_explained() {
    let desktop = Desktop::over(Says::first("{\"n\":2}", "{\"n\":1}"), &[5]);
    drop(desktop.begin_write("a"));
    assert_eq!(desktop.reads().await, "transient");
    assert!(desktop.ledger.findings().is_empty());
    let unexplained = Desktop::over(Says::first("{\"n\":2}", "{\"n\":1}"), &[5]);
    assert_eq!(unexplained.reads().await, "transient unexplained");
}

#[tokio::test]
async fn a_known_cause_near_a_write_is_pending_and_nobody_is_asked_again() {
    let desktop = Desktop::over(Says::always("{\"n\":2}"), &[5]);
    assert_eq!(desktop.reads().await, "mismatch");
    let asked = (desktop.backends.from.asked(), desktop.backends.to.asked());
    let _write = desktop.begin_write("a");
    assert_eq!(desktop.reads().await, "transient write_pending");
    assert_eq!((desktop.backends.from.asked(), desktop.backends.to.asked()), (asked.0, asked.1 + 1));
    assert_eq!(desktop.ledger.findings()[0].count, 1);
}
