//! `flipgate snapshot create`, `list` and `check`: one moment of a library in use, and what it must still be.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use flipgate::migrate;
use rusqlite::Connection;

use crate::both_stores::real_library;
use crate::harness::pg_database;
use crate::snapshot_desk::{Desk, Mount, dump, execute, pragma};

/// Tells a thread to stop when dropped, also by a failing test.
struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_help_shows_how() {
    let desk = Desk::new();
    let told = desk.snapshot(&["--help"]);
    assert_eq!(told.code, 0);
    insta::assert_snapshot!("snapshot_help", told.out);
    insta::assert_snapshot!("snapshot_restore_help", desk.snapshot(&["restore", "--help"]).out);
}

#[test]
fn the_real_library_is_counted() {
    let Some(library) = real_library() else { return };
    let desk = Desk::new();
    std::fs::copy(library, desk.path("library.db")).unwrap();
    let (code, manifest) = desk.json(&["create", "--sqlite", "sqlite:library.db"]);
    assert_eq!(code, 0);
    assert_eq!(manifest["records_with_subcategories"], 67);
    assert_eq!(manifest["analysis_with_subcategories"], 1);
    let rows = serde_json::json!({"content": 81, "content_summaries": 80, "summary_variants": 38});
    assert_eq!(manifest["rows"], rows);
    assert_eq!(manifest["newest_indexed_at"], "2025-09-17T13:56:44.479177");
    assert_eq!(manifest["kind"], "sqlite");
    assert_eq!(manifest["source"], desk.path("library.db").canonicalize().unwrap().to_str().unwrap());
    let name = manifest["name"].as_str().unwrap();
    assert!(dump(&desk.path("library.db")) == dump(&desk.kept(name)));
    let (code, checked) = desk.json(&["check", "--all"]);
    assert_eq!((code, checked["clean"].as_bool()), (0, Some(true)), "{checked}");
}

#[test]
fn a_snapshot_is_one_file_for_its_owner_whatever_the_journal() {
    for mode in ["wal", "delete", "persist"] {
        let desk = Desk::new();
        let library = desk.library("library.db", mode, 4096);
        // Still in the write-ahead log, where there is one.
        let dashboard = Connection::open(&library).unwrap();
        dashboard.execute_batch("UPDATE content SET title = 'late' WHERE id LIKE 'yt:%'").unwrap();
        let name = desk.taken("library.db");
        assert_eq!(desk.files(), [format!("{name}.db"), format!("{name}.json")], "{mode}");
        assert!(dump(&library) == dump(&desk.kept(&name)), "{mode}");
        assert_eq!(pragma(&desk.kept(&name), "journal_mode"), "delete", "{mode}");
        for file in desk.files() {
            let rights = desk.path("kept").join(file).metadata().unwrap().permissions().mode();
            assert_eq!(rights & 0o777, 0o600);
        }
        let (code, _) = desk.json(&["check", &name]);
        assert_eq!(code, 0, "{mode}");
    }
}

#[test]
fn nothing_is_left_beside_a_library() {
    let desk = Desk::new();
    desk.library("library.db", "wal", 4096);
    desk.taken("library.db");
    desk.json(&["restore", "latest", "--to", "sqlite:library.db"]);
    execute(&desk.path("library.db"), "DELETE FROM content_summaries");
    assert_eq!(desk.json(&["restore", "latest", "--to", "sqlite:library.db", "--force"]).0, 0);
    let beside = std::fs::read_dir(desk.path("")).unwrap();
    let mut names: Vec<String> =
        beside.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["kept", "library.db"]);
}

#[test]
fn a_list_tells_what_an_interrupted_run_left() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    desk.taken("library.db");
    std::fs::write(desk.path("kept/.unfinished-x.db"), "half").unwrap();
    let text = desk.snapshot(&["list", "--dir", "kept"]).out;
    assert!(text.contains(".unfinished-x") && text.contains("left by an interrupted run"), "{text}");
    assert_eq!(desk.json(&["check", "--all"]).0, 0);
}

/// Every commit of the writer keeps both tables equally long; a torn copy would not.
#[test]
fn a_writer_neither_tears_a_snapshot_nor_waits_for_its_end() {
    for mode in ["wal", "delete"] {
        let desk = Desk::new();
        let library = desk.library("library.db", mode, 4096);
        execute(
            &library,
            "CREATE TABLE a (n, filler); CREATE TABLE b (n, filler);
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 3000)
             INSERT INTO a SELECT n, zeroblob(5000) FROM n; INSERT INTO b SELECT * FROM a",
        );
        let (stop, commits) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = Connection::open(&library).unwrap();
                let pair = "BEGIN IMMEDIATE; INSERT INTO a VALUES (0, zeroblob(100));
                    INSERT INTO b VALUES (0, zeroblob(100)); COMMIT";
                while !stop.load(Ordering::SeqCst) {
                    writer.execute_batch(pair).unwrap();
                    commits.fetch_add(1, Ordering::SeqCst);
                }
            });
            let _stopped = Stopped(&stop);
            for _ in 0..3 {
                let before = commits.load(Ordering::SeqCst);
                let name = desk.taken("library.db");
                assert!(commits.load(Ordering::SeqCst) > before, "{mode}: the writer got nowhere");
                let kept = Connection::open(desk.kept(&name)).unwrap();
                let torn: i64 = kept
                    .query_row("SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b)", [], |row| {
                        row.get(0)
                    })
                    .unwrap();
                assert_eq!(torn, 0, "{mode}");
            }
        });
        assert_eq!(desk.json(&["check", "--all"]).0, 0, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_library_becomes_a_sqlite_file() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    let url = pg_database().await;
    migrate::run(&library, &url).await.unwrap();
    let (code, manifest) = desk.json(&["create", "--postgres", &url]);
    assert_eq!((code, manifest["kind"].as_str()), (0, Some("postgres")));
    assert_eq!(manifest["records_with_subcategories"], 70);
    let rows = serde_json::json!({"content": 81, "content_summaries": 80, "summary_variants": 38});
    assert_eq!(manifest["rows"], rows);
    assert_eq!(desk.files().len(), 2, "nothing of the way there is left");
    assert_eq!(desk.json(&["check"]).0, 0);
    let (code, report) = desk.json(&["restore", "latest", "--to", "sqlite:back.db"]);
    assert_eq!(code, 0, "{report}");
    assert!(report["warnings"][0].as_str().unwrap().contains("taken of PostgreSQL"), "{report}");
}

#[test]
fn older_libraries_lack_columns_and_tables() {
    let desk = Desk::new();
    execute(
        &desk.path("library.db"),
        "CREATE TABLE content (id TEXT PRIMARY KEY, Title TEXT); INSERT INTO content VALUES ('a', 'One')",
    );
    let (code, manifest) = desk.json(&["create", "--sqlite", "sqlite:library.db"]);
    assert_eq!((code, manifest["records_with_subcategories"].as_u64()), (0, Some(0)));
    let rows = serde_json::json!({"content": 1, "content_summaries": null, "summary_variants": null});
    assert_eq!(manifest["rows"], rows);
    assert_eq!(desk.json(&["check"]).0, 0);
}

#[test]
fn a_list_hides_nothing() {
    let desk = Desk::new();
    let told = desk.snapshot(&["list", "--dir", "kept"]);
    assert_eq!(told.code, 0);
    assert!(told.out.contains("No snapshots in kept"), "{told:?}");
    assert_eq!(desk.json(&["list"]).1["snapshots"], serde_json::json!([]));
    desk.library("library.db", "delete", 4096);
    let names = [(); 3].map(|()| desk.taken("library.db"));
    std::fs::write(desk.path("kept").join(format!("{}.json", names[0])), "{").unwrap();
    std::fs::remove_file(desk.kept(&names[1])).unwrap();
    std::fs::write(desk.path("kept/library-20200101T000000Z.db"), "no manifest").unwrap();
    let (code, listed) = desk.json(&["list"]);
    assert_eq!(code, 0);
    let listed: Vec<(&str, bool, bool)> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let name = entry["name"].as_str().unwrap();
            (name, entry["problem"].is_string(), entry["file"].as_bool().unwrap())
        })
        .collect();
    let wanted = [
        (names[2].as_str(), false, true),
        (&names[1], false, false),
        (&names[0], true, true),
        ("library-20200101T000000Z", true, true),
    ];
    assert_eq!(listed, wanted);
    let text = desk.snapshot(&["list", "--dir", "kept"]).out;
    assert!(text.contains("ITS FILE IS MISSING") && text.matches("UNREADABLE").count() == 2, "{text}");
    // The default directory, and the one beside the state.
    assert!(desk.snapshot(&["list"]).out.contains("in flipgate-state/snapshots;"));
}

#[test]
fn what_is_not_what_was_taken_fails_its_check() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    let failed = |desk: &Desk, name: &str| -> Vec<String> {
        let (code, report) = desk.json(&["check", name]);
        assert_eq!((code, report["clean"].as_bool()), (1, Some(false)), "{report}");
        let checks = report["snapshots"][0]["checks"].as_array().unwrap();
        let failed = checks.iter().filter(|check| check["ok"] == false);
        failed.map(|check| check["check"].as_str().unwrap().to_owned()).collect()
    };
    let name = desk.taken("library.db");
    execute(&desk.kept(&name), "DELETE FROM content_summaries WHERE id = 1");
    assert_eq!(failed(&desk, &name), ["sha256", "counts"]);
    let name = desk.taken("library.db");
    let bytes = std::fs::read(desk.kept(&name)).unwrap();
    std::fs::write(desk.kept(&name), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(failed(&desk, &name)[..3], ["size", "sha256", "integrity"]);
    let name = desk.taken("library.db");
    std::fs::write(desk.kept(&name), "not a database at all, nor ever was").unwrap();
    assert_eq!(failed(&desk, &name), ["size", "sha256", "integrity"]);
    let name = desk.taken("library.db");
    std::fs::remove_file(desk.kept(&name)).unwrap();
    assert_eq!(failed(&desk, "latest"), ["file"]);
    let manifest = desk.kept(&name).with_extension("json");
    let newer = std::fs::read_to_string(&manifest).unwrap().replace("\"format\": 1", "\"format\": 2");
    std::fs::write(&manifest, newer).unwrap();
    assert_eq!(failed(&desk, "latest"), ["manifest"]);
    let told = desk.snapshot(&["check", "--all", "--dir", "kept"]);
    assert_eq!((told.code, told.out.matches("NOT CLEAN").count()), (1, 4), "{told:?}");
}

#[test]
fn orphans_are_a_note_and_no_failure() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    execute(
        &library,
        "PRAGMA foreign_keys = OFF; DELETE FROM content WHERE id IN (SELECT id FROM content LIMIT 2)",
    );
    desk.taken("library.db");
    let (code, report) = desk.json(&["check"]);
    assert_eq!(code, 0);
    let note = report["snapshots"][0]["notes"][0].as_str().unwrap();
    assert!(note.starts_with("2 rows name a parent that is not there, 2 when"), "{note}");
}

#[test]
fn what_cannot_be_copied_is_told_in_a_sentence() {
    let desk = Desk::new();
    std::fs::write(desk.path("text"), "not a database").unwrap();
    execute(&desk.path("other.db"), "CREATE TABLE t (n)");
    let create = |url: &str| desk.snapshot(&["create", "--dir", "kept", "--sqlite", url]);
    create("sqlite:missing.db").refuses(3, &["missing.db", "No such file", "check the path"]);
    create("sqlite:text").refuses(2, &["text is not a SQLite database"]);
    create("sqlite:other.db").refuses(2, &["other.db has no table `content`"]);
    create("sqlite:").refuses(2, &["--sqlite must be sqlite:FILE"]);
    create("library.db").refuses(2, &["--sqlite must be sqlite:FILE"]);
    let postgres = "postgres://u:hunter2@127.0.0.1:1/x";
    let told = desk.snapshot(&["create", "--dir", "kept", "--postgres", postgres]);
    told.refuses(3, &["PostgreSQL x at 127.0.0.1:1 as u"]);
    assert!(!told.err.contains("hunter2"), "{told:?}");
    assert!(desk.files().is_empty(), "nothing is left");
    for arguments in [&["create"][..], &["create", "--sqlite", "a", "--postgres", "b"], &["check", "a/b"]] {
        assert_eq!(desk.snapshot(arguments).code, 2, "{arguments:?}");
    }
    desk.snapshot(&["check", "--dir", "kept", "library-x"]).refuses(3, &["library-x", "snapshot list"]);
    desk.snapshot(&["check", "--dir", "kept", "--all"]).refuses(3, &["no snapshot in kept", "create"]);
}

#[test]
fn a_damaged_library_is_not_taken_for_a_good_one() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    let mut bytes = std::fs::read(&library).unwrap();
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0x55);
    std::fs::write(&library, bytes).unwrap();
    let told = desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:library.db"]);
    told.refuses(3, &["library.db is damaged"]);
    assert!(desk.files().is_empty());
}

#[test]
fn a_locked_library_is_waited_for_and_then_told() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    let writer = Connection::open(&library).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let told = desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:library.db"]);
    told.refuses(3, &["library.db is locked by another program", "within 5 s"]);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    let Some(_mount) = Mount::tmpfs(desk.path("kept"), "size=128k") else { return };
    let told = desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:library.db"]);
    told.refuses(3, &["no space left", "kept"]);
    assert!(desk.files().is_empty());
}

#[test]
fn a_read_only_directory_is_told() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    let Some(_mount) = Mount::tmpfs(desk.path("kept"), "ro") else { return };
    let told = desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:library.db"]);
    told.refuses(3, &["No snapshot can be written to kept", "--dir"]);
}

#[test]
fn changes_that_cannot_be_read_are_not_left_out() {
    let desk = Desk::new();
    let Some(mount) = Mount::tmpfs(desk.path("data"), "size=4m") else { return };
    let library = desk.library("data/library.db", "wal", 4096);
    // A log that its writer left behind, as a crash leaves it.
    let writer = Connection::open(&library).unwrap();
    writer.execute_batch("UPDATE content SET title = 'in the log'").unwrap();
    let log = std::fs::read(desk.path("data/library.db-wal")).unwrap();
    drop(writer);
    mount.remount("ro");
    assert!(desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:data/library.db"]).code == 0);
    mount.remount("rw");
    std::fs::write(desk.path("data/library.db-wal"), log).unwrap();
    mount.remount("ro");
    let told = desk.snapshot(&["create", "--dir", "kept", "--sqlite", "sqlite:data/library.db"]);
    told.refuses(3, &["library.db-wal holds changes of data/library.db", "open the library once"]);
}
