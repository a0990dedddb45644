//! Making the schema, and what becomes of it elsewhere.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn eight_replicas_make_it_at_once() {
    let database = Database::bare().await;
    let tasks: Vec<_> = (0..8)
        .map(|replica| {
            let store = database.store(&format!("{replica}"));
            tokio::spawn(async move { store.prepare().await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let store = database.store("a");
    store.compare_and_set(None, &record(1, "sqlite"), &[]).await.unwrap();
    store.prepare().await.unwrap();
    assert_eq!(store.record().await.unwrap(), Some(record(1, "sqlite")));
    // What someone dropped is made again.
    database.execute("DROP TABLE flipgate.evidence; DROP SEQUENCE flipgate.replicas").await;
    store.prepare().await.unwrap();
    store.push(&[document("v1", "k", "d")]).await.unwrap();
    assert_eq!(store.next_replica().await.unwrap(), 1);
}

#[tokio::test]
async fn before_it_is_made_a_call_says_so() {
    let database = Database::bare().await;
    let error = database.store("a").record().await.unwrap_err();
    assert!(matches!(&error, SharedError::Refused(why) if why.contains("schema flipgate")), "{error}");
}

#[tokio::test]
async fn a_role_that_owns_the_schema_or_may_only_use_it_needs_no_more() {
    let database = Database::bare().await;
    database.execute("DROP ROLE IF EXISTS owner, user_only, nobody; CREATE ROLE owner LOGIN; CREATE ROLE user_only LOGIN; \
        CREATE ROLE nobody LOGIN; CREATE SCHEMA flipgate AUTHORIZATION owner").await;
    let as_role = |role: &str| {
        let url = database.url.replace("flipgate@", &format!("{role}@"));
        SharedStore::new(&url, role).unwrap()
    };
    let owner = as_role("owner");
    owner.prepare().await.unwrap();
    owner.compare_and_set(None, &record(1, "sqlite"), &[entry("flip")]).await.unwrap();
    database
        .execute(
            "GRANT USAGE ON SCHEMA flipgate TO user_only; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA flipgate TO user_only; \
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA flipgate TO user_only",
        )
        .await;
    let user = as_role("user_only");
    user.prepare().await.unwrap();
    user.compare_and_set(Some(1), &record(2, "postgres"), &[entry("flip")]).await.unwrap();
    user.push(&[document("v1", "k", "d")]).await.unwrap();
    user.keep_sample(1, "{}").await.unwrap();
    user.next_replica().await.unwrap();
    let error = as_role("nobody").prepare().await.unwrap_err();
    assert!(matches!(&error, SharedError::Refused(why) if why.contains("does not permit")), "{error}");
    database.execute("DROP OWNED BY user_only, owner, nobody; DROP ROLE owner, user_only, nobody").await;
}

#[tokio::test]
async fn rows_restored_from_another_server_are_read_once() {
    let database = Database::new().await;
    let (writer, reader) = (database.store("writer"), database.store("reader"));
    writer.push(&[document("v1", "k", "d")]).await.unwrap();
    database.execute("UPDATE flipgate.evidence SET tx = '9999999999'").await;
    reader.prepare().await.unwrap();
    let (documents, cursor) = reader.pull(&Cursor::default()).await.unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(reader.pull(&cursor).await.unwrap().0, []);
}

#[tokio::test]
async fn a_reader_of_a_server_that_went_back_begins_again_without_its_own() {
    let database = Database::new().await;
    let (writer, reader) = (database.store("writer"), database.store("reader"));
    writer.push(&[document("v1", "k", "d")]).await.unwrap();
    reader.push(&[document("v1", "k", "own")]).await.unwrap();
    let ahead = Cursor::that_has_seen("9999999999:9999999999:");
    let (documents, cursor) = reader.pull(&ahead).await.unwrap();
    assert_eq!(told(&documents), ["writer v1/k=d"]);
    assert_eq!(reader.pull(&cursor).await.unwrap().0, []);
}

#[tokio::test]
async fn no_password_is_shown() {
    let url = "postgres://flipgate:hunter2@127.0.0.1:1/state";
    let store = SharedStore::new(url, "a").unwrap();
    let error = store.record().await.unwrap_err();
    let shown = format!("{store:?} {} {error} {error:?} {:?}", store.name(), store.clone());
    assert!(shown.contains("state at 127.0.0.1:1 as flipgate") && !shown.contains("hunter2"), "{shown}");
    let error = SharedStore::new("postgres://u:hunter2@host:port/", "a").unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

/// Every call may be awaited in a task of its own.
#[tokio::test]
async fn every_call_can_be_spawned() {
    fn sendable<T: Send + 'static>(_: impl Future<Output = T> + Send) {}
    let store = SharedStore::new("postgres://127.0.0.1:1/", "a").unwrap();
    let (entry, record, cursor) = (entry("flip"), record(1, "sqlite"), Cursor::default());
    sendable(store.prepare());
    sendable(store.record());
    sendable(store.compare_and_set(None, &record, std::slice::from_ref(&entry)));
    sendable(store.note(std::slice::from_ref(&entry)));
    sendable(store.audit(1));
    sendable(store.judge("f", None, &entry));
    sendable(store.judgements());
    sendable(store.push(&[]));
    sendable(store.pull(&cursor));
    sendable(store.prune());
    sendable(store.change_findings(&[]));
    sendable(store.findings(&cursor));
    sendable(store.keep_sample(1, ""));
    sendable(store.sample(1));
    sendable(store.next_replica());
    sendable(store.listen());
    fn of_listener(mut listener: Listener) -> impl Send {
        async move { listener.changed().await }
    }
    let _: fn(Listener) -> _ = of_listener;
}
