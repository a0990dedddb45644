//! The record, the audit, judgements.

use super::*;
use crate::state::shared::audit::begin_durable;

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_one_wins_and_the_record_is_its() {
    let database = Database::new().await;
    for expected in [None, Some(0)] {
        let next = expected.map_or(0, |version| version + 1);
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                // Ten replicas, five callers in each.
                let store = database.store(&format!("replica {}", number % 10));
                let record = record(next, &format!("{number}"));
                tokio::spawn(async move {
                    let audit = [entry(&format!("{number}"))];
                    let set = store.compare_and_set(expected, &record, &audit).await.unwrap();
                    (record, set)
                })
            })
            .collect();
        let mut ends = Vec::new();
        for task in tasks {
            ends.push(task.await.unwrap());
        }
        let winners: Vec<_> = ends.iter().filter(|(_, set)| *set == Set::Done).collect();
        let [(won, _)] = winners[..] else { panic!("{} won", winners.len()) };
        let store = database.store("another");
        assert_eq!(store.record().await.unwrap().as_ref(), Some(won));
        let others = ends.iter().filter(|(record, _)| record != won);
        others.for_each(|(_, set)| assert_eq!(*set, Set::Conflict(Some(won.clone()))));
        let audit = store.audit(100).await.unwrap();
        assert_eq!(audit.len(), usize::try_from(next).unwrap() + 1);
        assert_eq!(won.document["primary"], audit[0].action);
    }
}

#[tokio::test]
async fn a_conflict_tells_the_record_and_leaves_no_audit() {
    let database = Database::new().await;
    let store = database.store("a");
    assert_eq!(store.record().await.unwrap(), None);
    let none = store.compare_and_set(Some(1), &record(2, "postgres"), &[entry("flip")]).await.unwrap();
    assert_eq!(none, Set::Conflict(None));
    assert_eq!(store.record().await.unwrap(), None);
    let first = record(1, "sqlite");
    assert_eq!(store.compare_and_set(None, &first, &[entry("a"), entry("b")]).await.unwrap(), Set::Done);
    for expected in [None, Some(0), Some(2)] {
        let set = store.compare_and_set(expected, &record(2, "postgres"), &[entry("flip")]).await.unwrap();
        assert_eq!(set, Set::Conflict(Some(first.clone())), "{expected:?}");
    }
    let actions = |audit: Vec<AuditEntry>| audit.into_iter().map(|entry| entry.action).collect::<Vec<_>>();
    assert_eq!(actions(store.audit(10).await.unwrap()), ["b", "a"]);
    store.note(&[entry("c"), entry("d")]).await.unwrap();
    store.note(&[]).await.unwrap();
    assert_eq!(actions(store.audit(3).await.unwrap()), ["d", "c", "b"]);
    assert_eq!(actions(store.audit(-1).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_and_one_of_another_flipgate_is_left_out() {
    let database = Database::new().await;
    let store = database.store("a");
    store.note(&[entry("flip")]).await.unwrap();
    database.execute(r#"INSERT INTO flipgate.audit (document) VALUES ('{"novel": 1}')"#).await;
    let audit = store.audit(10).await.unwrap();
    assert_eq!(json!(audit), json!([entry("flip")]));
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_whatever_the_server_s_default_is() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    for (default, meant) in
        [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
    {
        sqlx::query("SELECT set_config('synchronous_commit', $1, false)")
            .bind(default)
            .execute(&mut connection)
            .await
            .unwrap();
        let mut transaction = begin_durable(&mut connection).await.unwrap();
        let set: String =
            sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(set, meant, "{default}");
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_record_that_is_no_document_is_refused_rather_than_none() {
    let database = Database::new().await;
    database.execute("INSERT INTO flipgate.record (version, document) VALUES (1, '{')").await;
    let error = database.store("a").record().await.unwrap_err();
    assert!(matches!(&error, SharedError::Refused(why) if why.contains("a record")), "{error}");
}

#[tokio::test]
async fn a_judgement_is_kept_audited_and_told_until_it_is_taken_back() {
    let database = Database::new().await;
    let store = database.store("a");
    let state = async || store.findings(&Cursor::default()).await.unwrap().0[0].state.clone();
    store
        .change_findings(&[FindingChange {
            id: "f1".to_owned(),
            document: "{}".to_owned(),
            added: 1,
            first_seen: at(0),
            last_seen: at(0),
            state: None,
        }])
        .await
        .unwrap();
    let mut listener = database.store("b").listen().await.unwrap();
    let (_, cursor) = store.findings(&Cursor::default()).await.unwrap();
    for note in ["first", "second"] {
        store.judge("f1", Some(&json!({"note": note, "max_share": 0.10})), &entry("accept")).await.unwrap();
        woken(&mut listener).await;
        let judgement = format!(r#"{{"note":"{note}","max_share":0.1}}"#);
        assert_eq!(store.judgements().await.unwrap(), [("f1".to_owned(), judgement)]);
        assert_eq!(state().await, "accepted");
    }
    // Others learn of it as of any change of a finding.
    assert_eq!(store.findings(&cursor).await.unwrap().0.len(), 1);
    store.judge("f1", None, &entry("reopen")).await.unwrap();
    assert_eq!((store.judgements().await.unwrap(), state().await), (Vec::new(), "open".to_owned()));
    store.judge("of nobody", Some(&json!(1)), &entry("accept")).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap().len(), 4);
    assert_eq!(store.judgements().await.unwrap().len(), 1);
}
