//! Checking a snapshot: whether it is still what its manifest says.

use serde::Serialize;

use super::directory::Entry;
use super::facts::{self, Facts};
use super::manifest::Manifest;
use super::{files, open};

/// What became of a snapshot's checks.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) name: String,
    /// Whether none failed.
    pub(crate) clean: bool,
    /// Each check made; one that fails may leave others unmade.
    pub(crate) checks: Vec<Check>,
    /// What is worth knowing and no failure.
    pub(crate) notes: Vec<String>,
}

/// One check.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    /// `manifest`, `file`, `size`, `sha256`, `integrity`, `counts`.
    pub(crate) check: &'static str,
    /// Whether it passed.
    pub(crate) ok: bool,
    /// What was found.
    pub(crate) detail: String,
}

/// Checks one snapshot.
pub(crate) fn check(entry: &Entry) -> Report {
    let mut report = Report { name: entry.name.clone(), clean: true, checks: Vec::new(), notes: Vec::new() };
    match &entry.manifest {
        Ok(manifest) => {
            if report.bytes(entry, manifest) {
                report.database(entry, manifest);
            }
        }
        Err(why) => report.note("manifest", Err(why.clone())),
    }
    report
}

// === impl Report ===

impl Report {
    /// What failed first, in a few words.
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = self.checks.iter().find(|check| !check.ok)?;
        Some(format!("{}: {}", failed.check, failed.detail))
    }

    fn note(&mut self, check: &'static str, found: Result<String, String>) {
        let ok = found.is_ok();
        self.clean &= ok;
        let (Ok(detail) | Err(detail)) = found;
        self.checks.push(Check { check, ok, detail });
    }

    /// The file as bytes; whether there are any.
    fn bytes(&mut self, entry: &Entry, manifest: &Manifest) -> bool {
        let print = match files::fingerprint(&entry.file) {
            Ok(print) => print,
            Err(error) => {
                self.note("file", Err(format!("{} cannot be read ({error})", entry.file.display())));
                return false;
            }
        };
        self.note("file", Ok(entry.file.display().to_string()));
        let size = if print.bytes == manifest.bytes {
            Ok(format!("{} bytes", print.bytes))
        } else {
            Err(format!("{} bytes, {} when it was taken", print.bytes, manifest.bytes))
        };
        self.note("size", size);
        let sha256 = if print.sha256 == manifest.sha256 {
            Ok(print.sha256)
        } else {
            Err(format!("{}, {} when it was taken", print.sha256, manifest.sha256))
        };
        self.note("sha256", sha256);
        true
    }

    /// The file as a database.
    fn database(&mut self, entry: &Entry, manifest: &Manifest) {
        let library = match open::kept(&entry.file) {
            Ok(library) => library,
            Err(error) => return self.note("integrity", Err(error.to_string())),
        };
        let problems = facts::problems(&library).map_err(|error| error.to_string());
        self.note(
            "integrity",
            problems.and_then(|problems| {
                if problems.is_empty() { Ok("whole".to_owned()) } else { Err(problems.join("; ")) }
            }),
        );
        match Facts::read(&library) {
            Ok(facts) => self.counts(&facts, &manifest.facts()),
            Err(error) => self.note("counts", Err(error.to_string())),
        }
    }

    fn counts(&mut self, now: &Facts, then: &Facts) {
        let counts = if now == then {
            Ok(now.to_string())
        } else {
            Err(format!("{}, {} when it was taken", now.in_full(), then.in_full()))
        };
        self.note("counts", counts);
        match now.foreign_key_violations {
            Some(0) => {}
            Some(rows) => self.notes.push(format!(
                "{rows} rows name a parent that is not there, {} when it was taken",
                then.foreign_key_violations.map_or("uncounted".to_owned(), |rows| rows.to_string())
            )),
            None => self.notes.push("its foreign keys do not fit its tables and were not checked".to_owned()),
        }
    }
}
