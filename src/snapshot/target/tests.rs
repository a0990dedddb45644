//! What comes between looking at a target and writing to it.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// A database of one row in this journal mode.
fn database(dir: &TempDir, name: &str, mode: &str, row: i64) -> PathBuf {
    let path = dir.path().join(name);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", mode).unwrap();
    connection.execute_batch(&format!("CREATE TABLE t (n); INSERT INTO t VALUES ({row})")).unwrap();
    path
}

fn row(path: &Path) -> i64 {
    Connection::open(path).unwrap().query_row("SELECT max(n) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_write_in_between_is_not_lost() {
    for mode in ["WAL", "DELETE", "PERSIST"] {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = database(&dir, "snapshot.db", "DELETE", 1);
        let path = database(&dir, "target.db", mode, 2);
        let directory = Directory::new(dir.path().join("snapshots"));
        // A program that has it open, as a dashboard would.
        let dashboard = Connection::open(&path).unwrap();
        let target = Target::look(&path).unwrap().unwrap();
        let mut writer = target.writer().unwrap();
        dashboard.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        let refused = target.overwrite(&mut writer, &open::kept(&snapshot).unwrap(), &directory);
        assert!(refused.unwrap_err().to_string().contains("was written to"), "{mode}");
        assert_eq!(row(&path), 3, "{mode}");
        // Looked at again, it goes.
        drop((writer, target));
        let target = Target::look(&path).unwrap().unwrap();
        let mut writer = target.writer().unwrap();
        target.overwrite(&mut writer, &open::kept(&snapshot).unwrap(), &directory).unwrap();
        assert_eq!(row(&path), 1, "{mode}");
        assert_eq!(dashboard.query_row("SELECT max(n) FROM t", [], |row| row.get::<_, i64>(0)), Ok(1));
    }
}

#[test]
fn looking_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = database(&dir, "target.db", "WAL", 2);
    let dashboard = Connection::open(&path).unwrap();
    dashboard.execute_batch("INSERT INTO t VALUES (3)").unwrap();
    let before = [std::fs::read(&path).unwrap(), std::fs::read(dir.path().join("target.db-wal")).unwrap()];
    // Only now: reading its file in this process gives up its locks.
    let target = Target::look(&path).unwrap().unwrap();
    drop(target);
    let after = [std::fs::read(&path).unwrap(), std::fs::read(dir.path().join("target.db-wal")).unwrap()];
    assert!(before == after);
}
