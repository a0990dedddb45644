//! Documents of evidence, and samples.

use super::*;

#[tokio::test]
async fn each_replica_reads_what_the_others_wrote_and_after_a_restart_its_own() {
    let database = Database::new().await;
    let stores = ["a", "b", "c"].map(|replica| database.store(replica));
    let mut cursors = [const { None }; 3];
    for (store, cursor) in stores.iter().zip(&mut cursors) {
        *cursor = Some(store.pull(&Cursor::default()).await.unwrap().1);
    }
    for store in &stores {
        let name = &store.inner.replica;
        store.push(&[document("v1/target", "/", name), document("v1/minute", "1", name)]).await.unwrap();
    }
    stores[0].push(&[document("v1/target", "/", "a again")]).await.unwrap();
    let (documents, cursor) = stores[1].pull(cursors[1].as_ref().unwrap()).await.unwrap();
    let others =
        ["a v1/minute/1=a", "a v1/target//=a again", "c v1/minute/1=c", "c v1/target//=c"].map(str::to_owned);
    assert_eq!(told(&documents), others);
    assert!(!cursor.has_more());
    assert_eq!(stores[1].pull(&cursor).await.unwrap().0, []);
    stores[1].push(&[document("v1/target", "/", "own")]).await.unwrap();
    assert_eq!(stores[1].pull(&cursor).await.unwrap().0, []);

    let (documents, _) = database.store("b").pull(&Cursor::default()).await.unwrap();
    let own = ["b v1/minute/1=b", "b v1/target//=own"].map(str::to_owned);
    let mut all = [&others[..], &own[..]].concat();
    all.sort();
    assert_eq!(told(&documents), all);
}

#[tokio::test]
async fn what_is_committed_late_is_not_missed() {
    let database = Database::new().await;
    let (writer, reader) = (database.store("writer"), database.store("reader"));
    // Two begin before the other's document and commit after it was read, the second one after a further reading.
    let mut late = [database.connection().await, database.connection().await];
    for (connection, replica) in late.iter_mut().zip(["late", "later"]) {
        connection.execute("BEGIN").await.unwrap();
        sqlx::query(
            "INSERT INTO flipgate.evidence (digest, replica, kind, key, document) VALUES ('1', $1, 'v1', 'k', 'd')",
        )
        .bind(replica)
        .execute(connection)
        .await
        .unwrap();
    }
    writer.push(&[document("v1", "k", "d")]).await.unwrap();
    let (documents, cursor) = reader.pull(&Cursor::default()).await.unwrap();
    assert_eq!(told(&documents), ["writer v1/k=d"]);
    late[0].execute("COMMIT").await.unwrap();
    let (documents, cursor) = reader.pull(&cursor).await.unwrap();
    assert_eq!(told(&documents), ["late v1/k=d"]);
    late[1].execute("COMMIT").await.unwrap();
    let (documents, cursor) = reader.pull(&cursor).await.unwrap();
    assert_eq!(told(&documents), ["later v1/k=d"]);
    assert_eq!(reader.pull(&cursor).await.unwrap().0, []);
}

#[tokio::test]
async fn many_come_in_pages_and_what_is_written_in_between_comes_too() {
    let database = Database::new().await;
    let bounds = Bounds { page: 10, page_bytes: 100, batch: 7, ..Bounds::default() };
    let (writer, reader) = (database.bounded("writer", bounds), database.bounded("reader", bounds));
    let numbered = |number: usize, text: &str| document("v1", &format!("{number:02}"), text);
    // Its place is before those that are read first.
    let mut late = database.connection().await;
    late.execute(sqlx::raw_sql(
        "BEGIN; INSERT INTO flipgate.evidence (digest, replica, kind, key, document) VALUES ('1', 'late', 'v1', '', '')",
    ))
    .await
    .unwrap();
    let documents: Vec<Document> = (0..35).map(|number| numbered(number, "x")).collect();
    writer.push(&documents).await.unwrap();
    let (first, cursor) = reader.pull(&Cursor::default()).await.unwrap();
    assert_eq!((first.len(), cursor.has_more()), (10, true));
    late.execute("COMMIT").await.unwrap();
    writer.push(&[numbered(0, "y"), document("v1", "new", "z")]).await.unwrap();
    let (rest, cursor) = pull_all(&reader, cursor).await;
    let (more, cursor) = pull_all(&reader, cursor).await;
    let mut all = told(&[first, rest, more].concat());
    all.dedup();
    let mut expected: Vec<String> = (0..35).map(|number| format!("writer v1/{number:02}=x")).collect();
    expected.extend(["late v1/=", "writer v1/00=y", "writer v1/new=z"].map(str::to_owned));
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(pull_all(&reader, cursor).await.0, []);
}

#[tokio::test]
async fn a_page_ends_at_its_bytes_but_has_a_row_at_least() {
    let database = Database::new().await;
    let bounds = Bounds { page_bytes: 100, ..Bounds::default() };
    let (writer, reader) = (database.store("writer"), database.bounded("reader", bounds));
    for (key, length) in [("1", 60), ("2", 60), ("3", 40), ("4", 500), ("5", 1)] {
        writer.push(&[document("v1", key, &"é".repeat(length / 2))]).await.unwrap();
    }
    let mut cursor = Cursor::default();
    let mut pages = Vec::new();
    while pages.is_empty() || cursor.has_more() {
        let (documents, next) = reader.pull(&cursor).await.unwrap();
        pages.push(documents.into_iter().map(|(_, document)| document.key).collect::<Vec<_>>().concat());
        cursor = next;
    }
    assert_eq!(pages, ["1", "23", "4", "5"]);
}

#[tokio::test]
async fn a_statement_writes_no_more_than_its_bounds_but_a_document_at_least() {
    let database = Database::new().await;
    let writer = database.bounded("a", Bounds { batch: 3, batch_bytes: 100, ..Bounds::default() });
    let lengths = [57, 37, 1, 500, 1, 1, 1, 1];
    let documents: Vec<Document> = (0..)
        .zip(lengths)
        .map(|(number, length)| document("v1", &format!("{number}"), &"x".repeat(length)))
        .collect();
    writer.push(&documents).await.unwrap();
    let sql = "SELECT string_agg(n::text, ' ' ORDER BY tx) FROM \
        (SELECT tx, count(*) AS n FROM flipgate.evidence GROUP BY tx) AS statements";
    let written: String = sqlx::query_scalar(sql).fetch_one(&mut database.connection().await).await.unwrap();
    assert_eq!(written, "2 1 1 3 1");
}

#[tokio::test]
async fn text_of_clients_is_taken_whatever_it_holds() {
    let database = Database::new().await;
    let (writer, reader) = (database.store("wri\0ter"), database.store("reader"));
    // Longer than an index takes, and so that it cannot be compressed.
    let long: String = std::iter::repeat_with(fastrand::alphanumeric).take(9000).collect();
    let twice = [document("v1", "nul\0", "1\0"), document("v1", "nul\0", "2\0")];
    writer.push(&twice).await.unwrap();
    writer.push(&[document("v1", &long, "long")]).await.unwrap();
    writer.push(&[]).await.unwrap();
    let (documents, _) = reader.pull(&Cursor::default()).await.unwrap();
    let long = format!("wri\u{FFFD}ter v1/{long}=long");
    let mut expected = ["wri\u{FFFD}ter v1/nul\u{FFFD}=2\u{FFFD}".to_owned(), long];
    expected.sort();
    assert_eq!(told(&documents), expected);
}

#[tokio::test]
async fn what_is_of_an_epoch_before_the_record_s_or_a_day_old_is_pruned() {
    let database = Database::new().await;
    let bounds = Bounds { page: 4, ..Bounds::default() };
    let (a, b) = (database.bounded("a", bounds), database.store("b"));
    let old: Vec<Document> = (0..9).map(|number| document("epoch 9 x;", &format!("{number}"), "")).collect();
    a.push(&old).await.unwrap();
    a.push(&[document("epoch 9;", "older", ""), document("epoch 10 x;", "aged", "")]).await.unwrap();
    b.push(&[document("epoch 10 x;", "nearly", ""), document("epoch 10 y;", "kept", "")]).await.unwrap();
    b.push(&[document("epoch 11 x;", "new", ""), document("odd", "epoch 1;", "")]).await.unwrap();
    // Without a record nothing says which epoch counts.
    assert_eq!(a.prune().await.unwrap(), 0);
    let record = Record { version: 1, document: json!({"epoch": {"number": 10, "reason": "nul\0"}}) };
    assert_eq!(a.compare_and_set(None, &record, &[]).await.unwrap(), Set::Done);
    database
        .execute(
            "UPDATE flipgate.evidence SET written_at = now() - interval '25 hours 1 second' WHERE key = 'aged';
             UPDATE flipgate.evidence SET written_at = now() - interval '24 hours 59 minutes' WHERE key = 'nearly'",
        )
        .await;
    assert_eq!(a.prune().await.unwrap(), 11);
    assert_eq!(a.prune().await.unwrap(), 0);
    let (left, _) = b.pull(&Cursor::default()).await.unwrap();
    let kept = ["b epoch 10 x;/nearly=", "b epoch 10 y;/kept=", "b epoch 11 x;/new=", "b odd/epoch 1;="];
    assert_eq!(told(&left), kept);
    // What was aged and is written again is new.
    database.execute("UPDATE flipgate.evidence SET written_at = now() - interval '2 days'").await;
    b.push(&[document("epoch 10 y;", "kept", "")]).await.unwrap();
    assert_eq!(a.prune().await.unwrap(), 3);
}

#[tokio::test]
async fn samples_are_bounded_by_bytes_oldest_out() {
    let database = Database::new().await;
    let bounds = Bounds { sample_bytes: 100, ..Bounds::default() };
    let (a, b) = (database.bounded("a", bounds), database.bounded("b", bounds));
    assert_eq!(a.next_replica().await.unwrap() + 1, b.next_replica().await.unwrap());
    let forty = "é".repeat(20);
    // Numbers of replicas say nothing about age.
    assert_eq!(b.keep_sample(2001, &forty).await.unwrap(), [0; 0]);
    assert_eq!(a.keep_sample(1001, &forty).await.unwrap(), [0; 0]);
    assert_eq!(a.sample(2001).await.unwrap(), Some(forty.clone()));
    assert_eq!(a.keep_sample(1002, &forty).await.unwrap(), [2001]);
    assert_eq!(b.sample(2001).await.unwrap(), None);
    assert_eq!(a.keep_sample(1001, "a\0b").await.unwrap(), [0; 0]);
    assert_eq!(a.sample(1001).await.unwrap().as_deref(), Some("a\u{FFFD}b"));
    assert_eq!(a.keep_sample(1003, &"x".repeat(60)).await.unwrap(), [1001]);
    assert_eq!(a.keep_sample(1004, &"x".repeat(101)).await.unwrap().len(), 3);
    assert_eq!(database.count("SELECT count(*) FROM flipgate.samples").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_kept_at_once_do_not_exceed_the_bound() {
    let database = Database::new().await;
    let bounds = Bounds { sample_bytes: 100, ..Bounds::default() };
    let stores = ["a", "b", "c", "d"].map(|replica| database.bounded(replica, bounds));
    let tasks: Vec<_> = (0..40)
        .map(|id| {
            let store = stores[usize::try_from(id % 4).unwrap()].clone();
            tokio::spawn(async move { store.keep_sample(id, &"x".repeat(40)).await.unwrap() })
        })
        .collect();
    let mut evicted = Vec::new();
    for task in tasks {
        evicted.extend(task.await.unwrap());
    }
    evicted.sort_unstable();
    evicted.dedup();
    assert_eq!(evicted.len(), 38);
    assert_eq!(database.count("SELECT count(*) FROM flipgate.samples").await, 2);
}
