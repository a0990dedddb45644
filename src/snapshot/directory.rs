//! The directory of snapshots: their names, which of them is the latest, and how a new one gets in.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tempfile::{NamedTempFile, TempDir};

use super::SnapshotError;
use super::files;
use super::manifest::Manifest;

/// Snapshots of one second at most.
const MAX_OF_A_SECOND: u32 = 1000;
/// A time as names have it.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// How files begin that are not finished yet.
const UNFINISHED: &str = ".unfinished-";

/// Where snapshots are kept.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// What a snapshot is for; its name begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Somebody asked for it.
    Library,
    /// It holds what a restore was about to replace.
    BeforeRestore,
}

/// Which snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The latest that somebody asked for.
    Latest,
    /// The one of this name.
    Named(String),
}

/// One snapshot, whole or not.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Where its file is, or should be.
    pub(crate) file: PathBuf,
    /// What is known of it, or why nothing is.
    pub(crate) manifest: Result<Manifest, String>,
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it that is, or was to be, a snapshot; newest first. Nothing if there is no such directory.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, SnapshotError> {
        let mut names = Vec::new();
        let listed = match self.path.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| self.unreadable(&error))?,
        };
        for file in listed {
            let file = file.map_err(|error| self.unreadable(&error))?.file_name();
            let Some((name, "json" | "db")) = file.to_str().and_then(|file| file.rsplit_once('.')) else {
                continue;
            };
            names.push(name.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        let mut entries: Vec<Entry> = names.into_iter().map(|name| self.entry(name)).collect();
        entries.sort_by_cached_key(|entry| std::cmp::Reverse(entry.age()));
        Ok(entries)
    }

    /// The snapshot that is meant; it may be broken.
    pub(crate) fn find(&self, wanted: &Wanted) -> Result<Entry, SnapshotError> {
        let dir = self.path.display();
        let found = match wanted {
            // A broken one is not passed over: it would be the latest.
            Wanted::Latest => self.entries()?.into_iter().find(|entry| entry.name.starts_with("library-")),
            Wanted::Named(name) => Some(self.entry(name.clone())).filter(Entry::is_there),
        };
        found.ok_or_else(|| {
            SnapshotError::CouldNotRun(match wanted {
                Wanted::Latest => {
                    format!("There is no snapshot in {dir}; take one with `flipgate snapshot create`.")
                }
                Wanted::Named(name) => format!(
                    "There is no snapshot {name} in {dir}; `flipgate snapshot list` names those there are."
                ),
            })
        })
    }

    fn entry(&self, name: String) -> Entry {
        let file = self.path.join(format!("{name}.db"));
        let manifest = if name.starts_with(UNFINISHED) {
            Err("it is being written now, or was left by an interrupted run and can be deleted".to_owned())
        } else {
            Manifest::read(&self.path.join(format!("{name}.json")))
        };
        Entry { name, file, manifest }
    }

    fn unreadable(&self, error: &io::Error) -> SnapshotError {
        let dir = self.path.display();
        SnapshotError::CouldNotRun(format!(
            "The directory of snapshots {dir} cannot be read ({error}); check its rights or name another with --dir."
        ))
    }

    // --- Writing ---

    /// A file in it that has no name yet, for its owner only.
    pub(super) fn unfinished(&self) -> Result<NamedTempFile, SnapshotError> {
        let mut file = tempfile::Builder::new();
        self.make()
            .and_then(|()| file.prefix(UNFINISHED).suffix(".db").tempfile_in(&self.path))
            .map_err(|error| self.unwritable(&error))
    }

    /// A directory in it for what is needed on the way, likewise.
    pub(super) fn scratch(&self) -> Result<TempDir, SnapshotError> {
        let mut directory = tempfile::Builder::new();
        self.make()
            .and_then(|()| directory.prefix(UNFINISHED).suffix(".db").tempdir_in(&self.path))
            .map_err(|error| self.unwritable(&error))
    }

    fn make(&self) -> io::Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.path)?;
        files::sync(files::parent(&self.path))
    }

    /// Gives a finished file its name, writes its manifest, and returns once both are on disk.
    pub(super) fn place(
        &self,
        purpose: Purpose,
        mut file: NamedTempFile,
        mut manifest: Manifest,
    ) -> Result<Manifest, SnapshotError> {
        for nth in 1..=MAX_OF_A_SECOND {
            manifest.name = purpose.name(manifest.created_at, nth);
            let json = self.path.join(format!("{}.json", manifest.name));
            let data = self.path.join(format!("{}.db", manifest.name));
            if json.exists() {
                continue;
            }
            match file.persist_noclobber(&data) {
                Ok(_) => {
                    return self.describe(&json, &manifest).map(|()| manifest).map_err(|error| {
                        // Without its manifest nobody can trust it.
                        let _ = std::fs::remove_file(&data);
                        self.unwritable(&error)
                    });
                }
                Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => file = taken.file,
                Err(failed) => return Err(self.unwritable(&failed.error)),
            }
        }
        Err(SnapshotError::CouldNotRun(format!(
            "{} holds {MAX_OF_A_SECOND} snapshots of this second; run again.",
            self.path.display()
        )))
    }

    fn describe(&self, json: &Path, manifest: &Manifest) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).suffix(".json").tempfile_in(&self.path)?;
        file.write_all(manifest.text().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(json)?;
        files::sync(&self.path)
    }

    pub(super) fn unwritable(&self, error: &io::Error) -> SnapshotError {
        let dir = self.path.display();
        SnapshotError::CouldNotRun(if error.kind() == io::ErrorKind::StorageFull {
            format!("There is no space left in {dir} for a snapshot; free some, or name another with --dir.")
        } else {
            format!(
                "No snapshot can be written to {dir} ({error}); check its rights or name another with --dir."
            )
        })
    }
}

// === impl Purpose ===

impl Purpose {
    fn name(self, at: DateTime<Utc>, nth: u32) -> String {
        let prefix = match self {
            Self::Library => "library",
            Self::BeforeRestore => "before-restore",
        };
        let stamp = at.format(STAMP);
        if nth == 1 { format!("{prefix}-{stamp}") } else { format!("{prefix}-{stamp}-{nth}") }
    }
}

// === impl Wanted ===

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
            return Err("a name is letters, digits, - _ and ., as `flipgate snapshot list` shows it, \
                        and no path; name the directory with --dir"
                .to_owned());
        }
        Ok(if text == "latest" { Self::Latest } else { Self::Named(text.to_owned()) })
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it ever got its name.
    pub(crate) fn is_finished(&self) -> bool {
        !self.name.starts_with(UNFINISHED)
    }

    fn is_there(&self) -> bool {
        self.file.exists() || self.file.with_extension("json").exists()
    }

    /// What it is sorted by: time as the name has it, else as the manifest; then the number within a second.
    fn age(&self) -> (String, u32) {
        let rest = ["library-", "before-restore-"].iter().find_map(|prefix| self.name.strip_prefix(prefix));
        match rest.and_then(|rest| rest.split_at_checked("20261125T123456Z".len())) {
            Some((stamp, nth)) => {
                (stamp.to_owned(), nth.strip_prefix('-').and_then(|nth| nth.parse().ok()).unwrap_or(1))
            }
            None => {
                let taken = self.manifest.as_ref().map(|known| known.created_at.format(STAMP).to_string());
                (taken.unwrap_or_default(), 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_then_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let first: DateTime<Utc> = "2026-11-25T12:34:56Z".parse().unwrap();
        let mut names: Vec<String> = [1, 2, 10].map(|nth| Purpose::Library.name(first, nth)).to_vec();
        names.push(Purpose::BeforeRestore.name(first + chrono::TimeDelta::seconds(1), 1));
        assert_eq!(names[1], "library-20261125T123456Z-2");
        for name in &names {
            std::fs::write(dir.path().join(format!("{name}.db")), "").unwrap();
        }
        let directory = Directory::new(dir.path().to_owned());
        let listed: Vec<String> = directory.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        names.reverse();
        assert_eq!(listed, names);
        assert_eq!(directory.find(&Wanted::Latest).unwrap().name, "library-20261125T123456Z-10");
    }

    #[test]
    fn a_name_is_no_path() {
        for path in ["", "a/b", "/etc/passwd", "..", ".hidden", "a\\b", "a b", "a\n"] {
            assert!(path.parse::<Wanted>().is_err(), "{path:?}");
        }
        assert_eq!("latest".parse(), Ok(Wanted::Latest));
    }
}
