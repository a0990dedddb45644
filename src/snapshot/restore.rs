//! Putting a snapshot back: checked first, refused over something newer, and what is there is kept before it goes.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::check::check;
use super::directory::{Directory, Entry, Wanted};
use super::facts::{self, Facts};
use super::manifest::{Kind, Manifest};
use super::target::{self, Target};
use super::{SnapshotError, files, open, take};

/// What a restore did.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The snapshot.
    pub(crate) snapshot: String,
    /// The library's file.
    pub(crate) to: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why it was refused.
    pub(crate) reason: Option<String>,
    /// The snapshot made of what was there.
    pub(crate) kept: Option<String>,
    /// What the file held.
    pub(crate) before: Option<Facts>,
    /// What the snapshot holds.
    pub(crate) after: Option<Facts>,
    /// What should be known.
    pub(crate) warnings: Vec<String>,
}

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The file holds what the snapshot holds.
    Restored,
    /// It did so before; nothing was written.
    Identical,
    /// Nothing was written.
    Refused,
}

/// Puts the snapshot back to `to`; over something newer only with `force`.
pub(crate) fn restore(
    directory: &Directory,
    wanted: &Wanted,
    to: &Path,
    force: bool,
) -> Result<Report, SnapshotError> {
    let entry = directory.find(wanted)?;
    let mut report = Report::of(&entry, to);
    let checked = check(&entry);
    let manifest = match (&entry.manifest, checked.failure()) {
        (Ok(manifest), None) => manifest,
        (Ok(_) | Err(_), failure) => return Ok(report.refused(broken(&entry, failure))),
    };
    if files::real(files::parent(to)) == files::real(directory.path()) {
        return Err(SnapshotError::Unusable(format!(
            "{} lies among the snapshots, which are not overwritten; name the library's file.",
            to.display()
        )));
    }
    report.after = Some(manifest.facts());
    report.warnings.extend(foreign(manifest, to));
    match Target::look(to)? {
        Some(target) => onto(directory, &entry, manifest, &target, force, report),
        None => {
            target::create(to, &open::kept(&entry.file)?, manifest.journal)?;
            Ok(report.ended(Outcome::Restored))
        }
    }
}

/// Puts the snapshot into a database that is there.
fn onto(
    directory: &Directory,
    entry: &Entry,
    manifest: &Manifest,
    target: &Target,
    force: bool,
    mut report: Report,
) -> Result<Report, SnapshotError> {
    report.before = Some(target.facts.clone());
    let snapshot = open::kept(&entry.file)?;
    let digest = facts::digest(&snapshot).map_err(|error| open::explain(&entry.file, &error))?;
    if digest == target.digest {
        return Ok(report.ended(Outcome::Identical));
    }
    if let Some(reason) = newer(manifest, target).filter(|_| !force && !target.empty) {
        return Ok(report.refused(reason));
    }
    let mut writer = target.writer()?;
    if !target.empty {
        report.kept = Some(take::before_restore(directory, &target.path)?.name);
    }
    let written = target.overwrite(&mut writer, &snapshot, directory);
    written.map_err(|error| nothing_changed(error, report.kept.as_deref()))?;
    drop(writer);
    // As a program sees it that opens it now.
    let library = open::live(&target.path)?.connection;
    let (problems, now) = facts::problems(&library)
        .and_then(|problems| Ok((problems, facts::digest(&library)?)))
        .map_err(|error| open::explain(&target.path, &error))?;
    if !problems.is_empty() {
        return Err(SnapshotError::CouldNotRun(format!(
            "{} was restored and is damaged ({}); look at its disk, move it away and restore again.",
            target.path.display(),
            problems.join("; ")
        )));
    }
    if now != digest {
        report.warnings.push(format!("{} was written to since it was restored", target.path.display()));
    }
    Ok(report.ended(Outcome::Restored))
}

// === impl Report ===

impl Report {
    fn of(entry: &Entry, to: &Path) -> Self {
        Self {
            snapshot: entry.name.clone(),
            to: to.to_string_lossy().into_owned(),
            outcome: Outcome::Refused,
            reason: None,
            kept: None,
            before: None,
            after: None,
            warnings: Vec::new(),
        }
    }

    fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    fn refused(self, reason: String) -> Self {
        Self { outcome: Outcome::Refused, reason: Some(reason), ..self }
    }
}

// === Sentences ===

fn broken(entry: &Entry, failure: Option<String>) -> String {
    format!(
        "Snapshot {} is not what was taken ({}) and was not restored; choose another from `flipgate snapshot list`.",
        entry.name,
        failure.unwrap_or_default()
    )
}

/// Says so if the snapshot was taken of something else than `to`.
fn foreign(manifest: &Manifest, to: &Path) -> Option<String> {
    let to = files::real(to);
    let source = &manifest.source;
    match manifest.kind {
        Kind::Sqlite if *source == to.to_string_lossy() => None,
        Kind::Sqlite => Some(format!("the snapshot was taken of {source}, not of {}", to.display())),
        Kind::Postgres => {
            Some(format!("the snapshot was taken of PostgreSQL {source}, not of a SQLite library"))
        }
    }
}

/// Says why and what would be lost, if the target is newer than the snapshot.
fn newer(manifest: &Manifest, target: &Target) -> Option<String> {
    let (taken, modified) = (manifest.created_at, DateTime::<Utc>::from(target.modified));
    let holds = manifest.facts();
    // File systems round: in the same second the file may be the newer one.
    let why = if modified.timestamp() >= taken.timestamp() {
        format!("it was modified at {}", instant(modified))
    } else if target.facts.has_newer_records_than(&holds) {
        let newest = |facts: &Facts| facts.newest_indexed_at.clone().unwrap_or("no time".to_owned());
        format!("its newest record is of {}, the snapshot's of {}", newest(&target.facts), newest(&holds))
    } else {
        return None;
    };
    Some(format!(
        "{0} is newer than snapshot {1} and was not overwritten: {why}, the snapshot was taken at {2}.\n\
         {0} holds {3}; the snapshot holds {holds}.\n\
         Run again with --force to replace it (it is kept as a snapshot first), or restore to another file.",
        target.path.display(),
        manifest.name,
        instant(taken),
        target.facts,
    ))
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The same error, with what was done before it.
fn nothing_changed(error: SnapshotError, kept: Option<&str>) -> SnapshotError {
    let Some(kept) = kept else { return error };
    let also = |text: String| format!("{text} Nothing was changed; what was there is also kept as {kept}.");
    match error {
        SnapshotError::Unusable(text) => SnapshotError::Unusable(also(text)),
        SnapshotError::CouldNotRun(text) => SnapshotError::CouldNotRun(also(text)),
    }
}
