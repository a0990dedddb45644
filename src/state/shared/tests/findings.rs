//! Findings.

use super::*;

fn change(id: &str, added: i64, seen: (i64, i64), state: Option<&str>) -> FindingChange {
    FindingChange {
        id: id.to_owned(),
        document: format!("{id} of {added}"),
        added,
        first_seen: at(seen.0),
        last_seen: at(seen.1),
        state: state.map(str::to_owned),
    }
}

async fn all(store: &SharedStore) -> Vec<SharedFinding> {
    let mut all = store.findings(&Cursor::default()).await.unwrap().0;
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

#[tokio::test]
async fn what_replicas_counted_adds_up() {
    let database = Database::new().await;
    let (a, b) = (database.store("a"), database.store("b"));
    a.change_findings(&[change("f", 3, (10, 20), None), change("g", 1, (1, 1), None)]).await.unwrap();
    b.change_findings(&[change("f", 4, (5, 15), None)]).await.unwrap();
    // One call may have two of the same finding.
    a.change_findings(&[change("f", 1, (30, 30), None), change("f", 2, (31, 40), None)]).await.unwrap();
    a.change_findings(&[]).await.unwrap();
    let [f, g] = &all(&b).await[..] else { panic!() };
    assert_eq!((f.count, f.first_seen, f.last_seen, &*f.state), (10, at(5), at(40), "open"));
    assert_eq!(f.document, "f of 2");
    assert_eq!((g.count, &*g.document, &*g.state), (1, "g of 1", "open"));
}

#[tokio::test]
async fn a_state_follows_who_saw_it_last() {
    let database = Database::new().await;
    let store = database.store("a");
    let steps = [
        (None, 10, "open"),
        (Some("resolved"), 9, "open"),
        (Some("resolved"), 10, "resolved"),
        (None, 10, "resolved"),
        (Some("accepted"), 9, "resolved"),
        (Some("accepted"), 10, "accepted"),
        (None, 50, "accepted"),
        (Some("open"), 49, "accepted"),
        (Some("open"), 50, "open"),
        (Some("resolved"), 60, "resolved"),
        (Some("open"), 59, "resolved"),
        (Some("open"), 60, "open"),
    ];
    for (number, (state, seen, expected)) in steps.into_iter().enumerate() {
        store.change_findings(&[change("f", 0, (0, seen), state)]).await.unwrap();
        assert_eq!(all(&store).await[0].state, expected, "step {number}");
    }
    for state in ["open", "accepted", "resolved"] {
        store.change_findings(&[change(state, 1, (0, 0), Some(state))]).await.unwrap();
    }
    assert!(all(&store).await.iter().filter(|one| one.id != "f").all(|one| one.id == one.state));
    let error = store.change_findings(&[change("f", 1, (0, 0), Some("odd"))]).await.unwrap_err();
    assert!(matches!(error, SharedError::Refused(_)), "{error}");
}

#[tokio::test]
async fn an_acceptance_expires_once_and_a_newer_one_stays() {
    let database = Database::new().await;
    let (a, b) = (database.store("a"), database.store("b"));
    a.change_findings(&[change("f", 1, (1, 1), None)]).await.unwrap();
    a.judge("f", Some(&json!({"at": "1", "note": "nul\0"})), &entry("accept")).await.unwrap();
    a.judge("f", Some(&json!({"at": "2"})), &entry("accept")).await.unwrap();
    assert!(!b.expire("f", "1", &entry("reopen")).await.unwrap());
    assert!(!b.expire("g", "2", &entry("reopen")).await.unwrap());
    assert_eq!((b.judgements().await.unwrap().len(), &*all(&b).await[0].state), (1, "accepted"));
    let expired = [a.expire("f", "2", &entry("reopen")).await, b.expire("f", "2", &entry("reopen")).await];
    assert_eq!(expired, [Ok(true), Ok(false)]);
    assert_eq!((b.judgements().await.unwrap().len(), &*all(&b).await[0].state), (0, "open"));
    assert_eq!(a.audit(9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn only_the_first_replica_brings_along_what_it_knew() {
    let database = Database::new().await;
    let (a, b) = (database.store("a"), database.store("b"));
    let of = |id: &str| [(id.to_owned(), "{}".to_owned())];
    let audit = [entry("accept"), entry("flip")];
    let (f, g) = (of("f"), of("g"));
    let begun = tokio::join!(a.begin(&f, &audit), b.begin(&g, &audit));
    let begun = [begun.0.unwrap(), begun.1.unwrap()];
    assert_eq!(begun.iter().filter(|begun| **begun).count(), 1);
    let actions: Vec<String> = a.audit(9).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["flip", "accept"]);
    assert_eq!(a.judgements().await.unwrap(), if begun[0] { f } else { g });
}

#[tokio::test]
async fn what_is_told_again_adds_nothing_unless_it_is_newer() {
    let database = Database::new().await;
    let store = database.store("a");
    store.tell_findings_again(&[change("f", 7, (5, 10), Some("open"))]).await.unwrap();
    store.tell_findings_again(&[change("f", 7, (5, 10), Some("open"))]).await.unwrap();
    let one = all(&store).await.remove(0);
    assert_eq!((one.count, &*one.state, one.last_seen), (7, "open", at(10)));
    store.change_findings(&[change("f", 1, (5, 10), Some("resolved"))]).await.unwrap();
    store.tell_findings_again(&[change("f", 7, (1, 10), Some("open"))]).await.unwrap();
    let one = all(&store).await.remove(0);
    assert_eq!((one.count, &*one.state), (8, "resolved"));
    store.tell_findings_again(&[change("f", 9, (1, 11), Some("open"))]).await.unwrap();
    let one = all(&store).await.remove(0);
    assert_eq!((one.count, &*one.state, one.first_seen, one.last_seen), (8, "open", at(1), at(11)));
}

#[tokio::test]
async fn a_reader_learns_of_changes_by_anyone_in_pages() {
    let database = Database::new().await;
    let bounds = Bounds { page: 3, batch: 2, ..Bounds::default() };
    let store = database.bounded("a", bounds);
    let changes: Vec<FindingChange> = (0..7).map(|id| change(&format!("{id}"), 1, (0, 0), None)).collect();
    store.change_findings(&changes).await.unwrap();
    let mut cursor = Cursor::default();
    let mut pages = Vec::new();
    while pages.is_empty() || cursor.has_more() {
        let (findings, next) = store.findings(&cursor).await.unwrap();
        pages.push(findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>().concat());
        cursor = next;
    }
    assert_eq!(pages, ["012", "345", "6"]);
    assert_eq!(store.findings(&cursor).await.unwrap().0, []);
    store.change_findings(&[change("4", 1, (0, 9), None)]).await.unwrap();
    let (findings, cursor) = store.findings(&cursor).await.unwrap();
    assert_eq!((findings.len(), findings[0].count), (1, 2));
    assert_eq!(store.findings(&cursor).await.unwrap().0, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_change_the_same_ones_in_any_order_do_not_wait_in_a_circle() {
    let database = Database::new().await;
    let mut ids: Vec<String> = (0..200).map(|id| format!("f{id}")).collect();
    let mut tasks = Vec::new();
    for replica in 0..8 {
        fastrand::shuffle(&mut ids);
        let store = database.store(&format!("{replica}"));
        let changes: Vec<FindingChange> = ids.iter().map(|id| change(id, 1, (0, 0), None)).collect();
        tasks.push(tokio::spawn(async move {
            for _ in 0..5 {
                store.change_findings(&changes).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let findings = all(&database.store("a")).await;
    assert_eq!(findings.len(), 200);
    assert!(findings.iter().all(|finding| finding.count == 40));
}
