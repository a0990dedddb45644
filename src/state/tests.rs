use super::*;

fn stored(dial: u8, version: i64) -> Stored {
    let since = DateTime::parse_from_rfc3339("2026-01-02T03:04:05.678Z").unwrap().with_timezone(&Utc);
    let mut stored = Stored { dial, since, version, ..Stored::new(dial, String::new()) };
    stored.epoch.since = since;
    stored
}

#[test]
fn what_was_saved_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = StateStore::open(directory.path()).unwrap();
    assert_eq!(store.load().unwrap(), None);
    store.save(&stored(0, 1), None).unwrap();
    store.save(&stored(100, 2), None).unwrap();
    drop(store);
    assert_eq!(StateStore::open(directory.path()).unwrap().load().unwrap(), Some(stored(100, 2)));
}

#[test]
fn a_second_flipgate_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let _first = StateStore::open(directory.path()).unwrap();
    let error = StateStore::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("in use by another flipgate"), "{error}");
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: rfc3339(stored(0, 1).since),
        action: action.to_owned(),
        from: "open".to_owned(),
        to: "accepted".to_owned(),
        trigger: "operator".to_owned(),
        source: "127.0.0.1:1".to_owned(),
        reason: "known".to_owned(),
        forced: false,
        evidence: serde_json::json!({"count": 3}),
        finding: Some("0a1b2c".to_owned()),
    }
}

#[test]
fn a_file_of_the_first_version_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let old = Connection::open(directory.path().join("flipgate.db")).unwrap();
    old.execute_batch(SCHEMA).unwrap();
    old.execute_batch(
        "INSERT INTO cutover VALUES (1, 100, '2026-01-02T03:04:05.678Z', 2);
         INSERT INTO audit VALUES (1, 'x', 'flip', 'a', 'b', 'operator', '', 'why', 0, '{}');",
    )
    .unwrap();
    drop(old);
    for entries in 1..4 {
        let store = StateStore::open(directory.path()).unwrap();
        let loaded = store.load().unwrap().unwrap();
        assert_eq!((loaded.dial, loaded.version, loaded.leader), (100, 2, crate::side::Side::To));
        let audit = store.audit().unwrap();
        assert_eq!(audit.len(), entries);
        assert_eq!(audit.last().unwrap().finding, None);
        store.judge("0a1b2c", None, &entry("reopen")).unwrap();
    }
}

#[test]
fn a_judgement_and_its_audit_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = StateStore::open(directory.path()).unwrap();
    let document = serde_json::json!({"note": "known"});
    store.judge("0a1b2c", Some(&document), &entry("accept")).unwrap();
    store.judge("0a1b2c", Some(&document), &entry("accept")).unwrap();
    drop(store);
    let store = StateStore::open(directory.path()).unwrap();
    assert_eq!(store.judgements().unwrap(), [("0a1b2c".to_owned(), document.to_string())]);
    assert_eq!(store.audit().unwrap()[0].finding.as_deref(), Some("0a1b2c"));
    store.judge("0a1b2c", None, &entry("reopen")).unwrap();
    assert!(store.judgements().unwrap().is_empty());
}

#[test]
fn what_is_owed_stays_until_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let store = StateStore::open(directory.path()).unwrap();
    assert!(store.owed().unwrap().is_none());
    let mut owed = Owed { turn: 2, entries: vec![entry("rollback")] };
    store.keep(&stored(0, 3), Some(&owed), &owed.entries).unwrap();
    owed.entries.push(entry("rollback"));
    store.keep(&stored(0, 4), Some(&owed), &[entry("rollback")]).unwrap();
    drop(store);
    let store = StateStore::open(directory.path()).unwrap();
    let told = store.owed().unwrap().unwrap();
    assert_eq!((told.turn, told.entries.len(), store.audit().unwrap().len()), (2, 2, 2));
    // As an earlier version wrote it.
    store.keep_fact("owed", &serde_json::json!(owed.entries).to_string()).unwrap();
    let told = store.owed().unwrap().unwrap();
    assert_eq!((told.turn, told.entries.len()), (i64::MAX, 2));
    assert_eq!(store.load().unwrap().unwrap().version, 4);
    store.keep(&stored(0, 5), None, &[]).unwrap();
    assert!(store.owed().unwrap().is_none());
    store.keep_fact("replica", "a").unwrap();
    store.keep_fact("replica", "b").unwrap();
    assert_eq!(store.fact("replica").unwrap().as_deref(), Some("b"));
}
