use super::*;
use crate::ledger::sample::SampleLeg;
use crate::side::Pair;

fn metrics() -> Arc<Metrics> {
    let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
    Arc::new(Metrics::new(names, &["/a".to_owned()]).unwrap())
}

fn sample(id: u64, body: &str) -> Sample {
    let leg = || SampleLeg {
        backend: "sqlite".to_owned(),
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        seconds: 0.25,
        body: body.to_owned(),
    };
    let at = chrono::DateTime::from_timestamp_millis(1_767_323_045_678).unwrap();
    Sample {
        id,
        at,
        route: "/a".to_owned(),
        target: "/a?b".to_owned(),
        request: Some(vec![("host".to_owned(), "a".to_owned())]),
        primary: "sqlite".to_owned(),
        from: leg(),
        to: leg(),
        differences: Vec::new(),
        patch: Some(serde_json::json!([{"op": "remove", "path": "/a", "value": 1.50}])),
    }
}

fn keeps() -> Keeps {
    Keeps {
        findings: Arc::default(),
        books: Arc::new(Books::new(&["/a".to_owned()], 1)),
        outgoing: Arc::default(),
    }
}

fn open(directory: &Path, bounds: Bounds) -> (Archive, Restored) {
    let store = StateStore::open(directory).unwrap();
    Archive::open(directory, bounds, keeps(), store, metrics()).unwrap()
}

#[test]
fn a_sample_is_there_at_once_after_writing_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, restored) = open(directory.path(), Bounds::default());
    assert_eq!((restored.findings.len(), restored.last_sample), (0, 0));
    assert!(archive.keep(sample(7, "{}")));
    assert_eq!(archive.sample(7), Some(sample(7, "{}")));
    archive.flush();
    assert_eq!(archive.sample(7), Some(sample(7, "{}")));
    drop(archive);
    let (archive, restored) = open(directory.path(), Bounds::default());
    assert_eq!(restored.last_sample, 7);
    assert_eq!(archive.sample(7), Some(sample(7, "{}")));
    assert_eq!(archive.sample(8), None);
}

#[test]
fn the_last_sample_is_looked_for_among_a_replica_s_own_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, _) = open(directory.path(), Bounds::default());
    for id in [7, 2_000, 2_041, 5_000] {
        assert!(archive.keep(sample(id, "{}")));
    }
    archive.flush();
    let last = |numbers: Range<u64>| archive.last_sample_within(&numbers).unwrap();
    assert_eq!(
        (last(2_000..3_000), last(1_000..2_000), last(5_000..6_000)),
        (Some(2_041), None, Some(5_000))
    );
}

#[test]
fn the_oldest_make_room_and_one_too_large_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, _) = open(directory.path(), Bounds { stored: 4000, ..Bounds::default() });
    for id in 1..=20 {
        assert!(archive.keep(sample(id, &"x".repeat(400))));
    }
    archive.flush();
    let kept: Vec<u64> = (1..=20).filter(|id| archive.sample(*id).is_some()).collect();
    assert!(!kept.is_empty() && kept.len() < 5, "{kept:?}");
    assert_eq!(kept.last(), Some(&20));
    assert!(archive.keep(sample(21, &"x".repeat(4000))));
    archive.flush();
    assert_eq!(archive.sample(21), None);
    let bytes: i64 = lock(&archive.shared.disk)
        .connection
        .query_row("SELECT coalesce(sum(bytes), 0) FROM samples", [], |row| row.get(0))
        .unwrap();
    assert!(bytes <= 4000, "{bytes}");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, _) = open(directory.path(), Bounds { waiting: 2, ..Bounds::default() });
    let writer_waits = lock(&archive.shared.disk);
    let kept: Vec<bool> = (1..=4).map(|id| archive.keep(sample(id, "{}"))).collect();
    drop(writer_waits);
    assert_eq!(kept, [true, true, false, false]);
    assert_eq!(archive.shared.metrics.samples_dropped.get(), 2);
}
