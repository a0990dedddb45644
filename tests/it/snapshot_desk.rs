//! Where the tests of `flipgate snapshot` work: a directory with libraries, the command in it, and what it made of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;
use tempfile::TempDir;

/// A directory with libraries in it, where the command runs; snapshots go to `kept`.
pub(crate) struct Desk(TempDir);

/// What it printed and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A small file system of its own, gone when dropped.
pub(crate) struct Mount(PathBuf);

impl Desk {
    pub(crate) fn new() -> Self {
        Desk(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A generated library in this journal mode and with pages of this size.
    pub(crate) fn library(&self, name: &str, mode: &str, page_size: u32) -> PathBuf {
        let path = self.path(name);
        flipgate::library::generate(&path, 81, 1).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&format!("PRAGMA page_size = {page_size}; VACUUM")).unwrap();
        connection.pragma_update(None, "journal_mode", mode).unwrap();
        path
    }

    /// `flipgate snapshot` with these arguments.
    pub(crate) fn snapshot(&self, arguments: &[&str]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flipgate"));
        command.arg("snapshot").args(arguments).current_dir(self.0.path()).env_remove("FLIPGATE_STATE_DIR");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Told { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The same in `kept`, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let told = self.snapshot(&[arguments, &["--dir", "kept", "--format", "json"]].concat());
        (told.code, serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}")))
    }

    /// Takes a snapshot of this library; gives its name.
    pub(crate) fn taken(&self, library: &str) -> String {
        let (code, manifest) = self.json(&["create", "--sqlite", &format!("sqlite:{library}")]);
        assert_eq!(code, 0);
        manifest["name"].as_str().unwrap().to_owned()
    }

    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.path("kept").join(format!("{name}.db"))
    }

    /// What lies in the directory of snapshots.
    pub(crate) fn files(&self) -> Vec<String> {
        let listed = std::fs::read_dir(self.path("kept")).into_iter().flatten();
        let mut names: Vec<String> =
            listed.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Told {
    /// That it ended with `code` and said why in one line that holds all of `words`.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.err.lines().count(), self.out.as_str()), (code, 1, ""), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word}: {self:?}");
        }
    }
}

impl Mount {
    /// A tmpfs at `path`; `None` (said aloud) where that is not allowed.
    pub(crate) fn tmpfs(path: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mut command = Command::new("mount");
        let mounted = command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: no tmpfs can be mounted here");
            return None;
        }
        Some(Mount(path))
    }

    /// From here on `ro` or `rw`.
    pub(crate) fn remount(&self, how: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-o", &format!("remount,{how}")]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Everything a library holds, table by table; neither layout nor journal mode.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut schema = connection.prepare("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").unwrap();
    let texts = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let objects: Vec<(String, String, Option<String>)> =
        schema.query_map([], texts).unwrap().map(Result::unwrap).collect();
    let mut lines = Vec::new();
    for (kind, name, sql) in objects {
        lines.push(format!("{kind} {name} {sql:?}"));
        if kind == "table" {
            let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = statement.column_count();
            let cells = |row: &rusqlite::Row<'_>| {
                (0..columns).map(|index| row.get(index)).collect::<rusqlite::Result<Vec<Cell>>>()
            };
            lines.extend(statement.query_map([], cells).unwrap().map(|row| format!("{:?}", row.unwrap())));
        }
    }
    lines
}

pub(crate) fn pragma(path: &Path, name: &str) -> String {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
}

pub(crate) fn execute(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}
