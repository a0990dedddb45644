//! `flipgate snapshot restore`: in place, in one transaction, and never before what is there was kept.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use crate::snapshot_desk::{Desk, Mount, Told, dump, execute, pragma};

/// Makes a file look as if it had been written to an hour ago.
fn an_hour_ago(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn restore(desk: &Desk, to: &str, more: &[&str]) -> Told {
    desk.snapshot(&[&["restore", "latest", "--dir", "kept", "--to", to], more].concat())
}

#[test]
fn any_snapshot_goes_into_any_target() {
    for from in ["wal", "delete"] {
        for (mode, page_size) in
            [("wal", 4096), ("delete", 4096), ("wal", 1024), ("delete", 8192), ("delete", 1024)]
        {
            let told = format!("{from} into {mode} with pages of {page_size}");
            let desk = Desk::new();
            let source = desk.library("library.db", from, 4096);
            let name = desk.taken("library.db");
            let target = desk.library("target.db", mode, page_size);
            execute(
                &target,
                "DELETE FROM content_summaries; UPDATE content SET title = 'x'; CREATE TABLE more (n)",
            );
            // The dashboard has it open, before and after.
            let dashboard = Connection::open(&target).unwrap();
            let titles = "SELECT count(*) FROM content WHERE title = 'x'";
            let count = |sql: &str| dashboard.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(count(titles), 81, "{told}");
            let (before, inode) = (dump(&target), inode(&target));
            let (code, report) = desk.json(&["restore", &name, "--to", "sqlite:target.db", "--force"]);
            assert_eq!((code, report["outcome"].as_str()), (0, Some("restored")), "{told}: {report}");
            assert_eq!((count(titles), count("SELECT count(*) FROM content_summaries")), (0, 80), "{told}");
            assert!(dump(&target) == dump(&source), "{told}");
            assert_eq!(inode, self::inode(&target), "{told}");
            assert_eq!(pragma(&target, "integrity_check"), "ok", "{told}");
            assert_eq!(pragma(&target, "journal_mode"), mode, "{told}");
            // Nothing is lost: what was there is a snapshot by now, and goes back.
            let kept = report["kept"].as_str().unwrap();
            assert!(kept.starts_with("before-restore-"), "{kept}");
            assert!(dump(&desk.kept(kept)) == before, "{told}");
            // And `latest` is not that one.
            let (code, report) = desk.json(&["restore", "latest", "--to", "sqlite:target.db"]);
            assert_eq!((code, report["outcome"].as_str()), (0, Some("identical")), "{told}: {report}");
            let (code, _) = desk.json(&["restore", kept, "--to", "sqlite:target.db", "--force"]);
            assert_eq!(code, 0, "{told}");
            assert!(dump(&target) == before, "{told}");
        }
    }
}

#[test]
fn a_target_that_shrinks_by_itself_stays_whole() {
    let desk = Desk::new();
    let source = desk.library("library.db", "delete", 4096);
    let name = desk.taken("library.db");
    let target = desk.library("target.db", "delete", 4096);
    execute(&target, "PRAGMA auto_vacuum = FULL; VACUUM; DELETE FROM content_summaries");
    let dashboard = Connection::open(&target).unwrap();
    let count = || dashboard.query_row("SELECT count(*) FROM content_summaries", [], |row| row.get(0));
    assert_eq!(count(), Ok(0));
    let (code, report) = desk.json(&["restore", &name, "--to", "sqlite:target.db", "--force"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(count(), Ok(80));
    dashboard.execute_batch("DELETE FROM content_summaries WHERE id > 40").unwrap();
    assert_eq!(pragma(&target, "integrity_check"), "ok");
    execute(&source, "DELETE FROM content_summaries WHERE id > 40");
    assert!(dump(&target) == dump(&source));
}

fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().unwrap().ino()
}

#[test]
fn a_newer_library_is_refused_without_force() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    desk.taken("library.db");
    execute(
        &library,
        "PRAGMA foreign_keys = OFF; DELETE FROM content WHERE id IN (SELECT id FROM content WHERE subcategories_json IS NULL LIMIT 1)",
    );
    let before = dump(&library);
    let told = restore(&desk, "sqlite:library.db", &[]);
    assert_eq!((told.code, told.err.lines().count()), (1, 3), "{told:?}");
    for words in [
        "library.db is newer than snapshot library-",
        "it was modified at 2",
        "the snapshot was taken at 2",
        "holds 80 content, 80 content_summaries, 38 summary_variants, 70 records with subcategories;",
        "the snapshot holds 81 content, 80",
        "--force",
    ] {
        assert!(told.err.contains(words), "{words}: {told:?}");
    }
    assert!(dump(&library) == before);
    assert_eq!(desk.files().len(), 2, "nothing was kept, since nothing was replaced");
    let (code, report) = desk.json(&["restore", "latest", "--to", "sqlite:library.db"]);
    assert_eq!((code, report["outcome"].as_str()), (1, Some("refused")));
    assert_eq!(
        (&report["before"]["rows"]["content"], &report["after"]["rows"]["content"]),
        (&80.into(), &81.into())
    );
    // An older file goes without force; one with newer records does not, whatever its time.
    an_hour_ago(&library);
    let told = restore(&desk, "sqlite:library.db", &[]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert!(told.out.contains("kept       what was there, as before-restore-"), "{told:?}");
    execute(&library, "UPDATE content SET indexed_at = '2099-01-01 00:00:00' WHERE rowid = 1");
    an_hour_ago(&library);
    let told = restore(&desk, "sqlite:library.db", &[]);
    assert!(told.code == 1 && told.err.contains("its newest record is of 2099-01-01 00:00:00"), "{told:?}");
    assert_eq!(restore(&desk, "sqlite:library.db", &["--force"]).code, 0);
}

#[test]
fn a_write_ahead_log_counts_as_the_library() {
    let desk = Desk::new();
    let library = desk.library("library.db", "wal", 4096);
    desk.taken("library.db");
    let dashboard = Connection::open(&library).unwrap();
    dashboard.execute_batch("UPDATE content SET title = 'in the log'").unwrap();
    an_hour_ago(&library);
    let told = restore(&desk, "sqlite:library.db", &[]);
    assert!(told.code == 1 && told.err.contains("is newer than snapshot"), "{told:?}");
}

#[test]
fn an_identical_library_is_left_alone() {
    let desk = Desk::new();
    let library = desk.library("library.db", "wal", 4096);
    desk.taken("library.db");
    let before = std::fs::read(&library).unwrap();
    let told = restore(&desk, "sqlite:library.db", &["--force"]);
    assert!(told.code == 0 && told.out.contains("nothing was changed"), "{told:?}");
    assert!(std::fs::read(&library).unwrap() == before);
    assert_eq!(desk.files().len(), 2);
}

#[test]
fn a_missing_library_comes_back_as_it_was() {
    for mode in ["wal", "delete"] {
        let desk = Desk::new();
        let library = desk.library("library.db", mode, 4096);
        let before = dump(&library);
        desk.taken("library.db");
        std::fs::remove_file(&library).unwrap();
        let told = restore(&desk, "sqlite:library.db", &[]);
        assert_eq!((told.code, told.out.contains("warning")), (0, false), "{told:?}");
        assert_eq!(pragma(&library, "journal_mode"), mode);
        assert!(dump(&library) == before);
        let beside = std::fs::read_dir(desk.path("")).unwrap().count();
        assert_eq!(beside, 2, "the library and its snapshots");
        // As a program leaves it that opened a library that was not there.
        std::fs::write(&library, "").unwrap();
        assert_eq!(restore(&desk, "sqlite:library.db", &[]).code, 0);
        assert!(dump(&library) == before);
        assert_eq!(desk.files().len(), 2, "there was nothing to keep");
    }
}

#[test]
fn half_a_library_is_not_made_whole_by_half_another() {
    for suffix in ["-wal", "-journal"] {
        let desk = Desk::new();
        let library = desk.library("library.db", "wal", 4096);
        desk.taken("library.db");
        std::fs::remove_file(&library).unwrap();
        let left = format!("library.db{suffix}");
        std::fs::write(desk.path(&left), "stale").unwrap();
        restore(&desk, "sqlite:library.db", &["--force"]).refuses(3, &[&left, "move it away"]);
        assert!(!library.exists());
    }
}

#[test]
fn another_library_is_warned_about() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    desk.taken("library.db");
    let told = restore(&desk, "sqlite:other.db", &[]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("warning") && told.out.contains("library.db, not of"), "{told:?}");
}

#[test]
fn what_is_no_library_is_not_overwritten() {
    let desk = Desk::new();
    desk.library("library.db", "delete", 4096);
    let name = desk.taken("library.db");
    std::fs::write(desk.path("text"), "precious words").unwrap();
    restore(&desk, "sqlite:text", &["--force"])
        .refuses(2, &["text is not a SQLite database", "move it away"]);
    assert_eq!(std::fs::read_to_string(desk.path("text")).unwrap(), "precious words");
    restore(&desk, "sqlite:kept", &["--force"]).refuses(2, &["kept is not a file"]);
    restore(&desk, "sqlite:nowhere/library.db", &[]).refuses(3, &["nowhere/library.db cannot be made"]);
    std::os::unix::fs::symlink("gone.db", desk.path("link.db")).unwrap();
    restore(&desk, "sqlite:link.db", &[]).refuses(2, &["is a link to a file that is not there"]);
    let itself = format!("sqlite:kept/{name}.db");
    restore(&desk, &itself, &["--force"]).refuses(2, &["lies among the snapshots"]);
}

#[test]
fn a_broken_snapshot_is_not_restored() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    let name = desk.taken("library.db");
    execute(&library, "DELETE FROM content_summaries");
    let before = dump(&library);
    execute(&desk.kept(&name), "DELETE FROM content_summaries WHERE id = 1");
    restore(&desk, "sqlite:library.db", &["--force"]).refuses(1, &[&name, "sha256", "was not restored"]);
    // The latest is broken: an older one is not taken for it.
    std::fs::write(desk.kept("library-20990101T000000Z"), "").unwrap();
    restore(&desk, "sqlite:library.db", &["--force"]).refuses(1, &["library-20990101T000000Z", "manifest"]);
    assert!(dump(&library) == before);
    assert_eq!(desk.files().len(), 3);
}

#[test]
fn a_locked_library_is_waited_for_and_left_as_it_is() {
    for (mode, lock) in
        [("wal", "BEGIN IMMEDIATE"), ("delete", "BEGIN IMMEDIATE"), ("delete", "BEGIN EXCLUSIVE")]
    {
        let desk = Desk::new();
        let library = desk.library("library.db", mode, 4096);
        desk.taken("library.db");
        execute(&library, "DELETE FROM content_summaries");
        let before = dump(&library);
        let writer = Connection::open(&library).unwrap();
        writer.execute_batch(lock).unwrap();
        let told = restore(&desk, "sqlite:library.db", &["--force"]);
        told.refuses(3, &["library.db is locked by another program", "within 5 s", "stop"]);
        writer.execute_batch("ROLLBACK").unwrap();
        assert!(dump(&library) == before, "{mode} {lock}");
        assert_eq!(desk.files().len(), 2, "{mode} {lock}: nothing was kept, since nothing was replaced");
    }
}

#[test]
fn a_full_disk_leaves_the_library_as_it_was() {
    let desk = Desk::new();
    let library = desk.library("library.db", "delete", 4096);
    execute(&library, "CREATE TABLE filler AS SELECT zeroblob(3000000) AS b");
    desk.taken("library.db");
    let Some(_mount) = Mount::tmpfs(desk.path("data"), "size=1m") else { return };
    let target = desk.library("data/library.db", "delete", 4096);
    execute(&target, "DELETE FROM content_summaries");
    let before = dump(&target);
    let told = restore(&desk, "sqlite:data/library.db", &["--force"]);
    told.refuses(3, &["no space left", "Nothing was changed", "before-restore-"]);
    assert!(dump(&target) == before);
    assert_eq!(pragma(&target, "integrity_check"), "ok");
    let told = restore(&desk, "sqlite:data/new.db", &[]);
    told.refuses(3, &["no space left", "data/new.db"]);
    assert!(!desk.path("data/new.db").exists());
}

#[test]
fn a_library_that_may_not_be_written_to_is_told() {
    let desk = Desk::new();
    let Some(mount) = Mount::tmpfs(desk.path("data"), "size=4m") else { return };
    let library = desk.library("data/library.db", "delete", 4096);
    desk.taken("data/library.db");
    execute(&library, "DELETE FROM content_summaries");
    mount.remount("ro");
    let told = restore(&desk, "sqlite:data/library.db", &["--force"]);
    told.refuses(3, &["data/library.db cannot be opened or written to", "check the rights"]);
    assert_eq!(desk.files().len(), 2);
}
