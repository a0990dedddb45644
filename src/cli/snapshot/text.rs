//! What `flipgate snapshot` prints for people.

use std::fmt::Write as _;

use chrono::SecondsFormat;

use crate::snapshot::check::Report as Checked;
use crate::snapshot::directory::{Directory, Entry};
use crate::snapshot::restore::{Outcome, Report as Restored};
use crate::snapshot::{Facts, Manifest};

/// A snapshot just taken.
pub(super) fn taken(directory: &Directory, manifest: &Manifest) -> String {
    let file = directory.path().join(format!("{}.db", manifest.name));
    let mut text = String::new();
    line(&mut text, "snapshot", &manifest.name);
    line(&mut text, "of", &format!("{} {}", manifest.kind, manifest.source));
    line(&mut text, "file", &format!("{}, {} bytes", file.display(), manifest.bytes));
    line(&mut text, "sha256", &manifest.sha256);
    holds(&mut text, "holds", &manifest.facts());
    text
}

/// Every snapshot there is, newest first.
pub(super) fn list(directory: &Directory, entries: &[Entry]) -> String {
    if entries.is_empty() {
        let dir = directory.path().display();
        return format!("No snapshots in {dir}; take one with `flipgate snapshot create`.\n");
    }
    let mut text = String::new();
    for entry in entries {
        let file = if entry.file.exists() { "" } else { "; ITS FILE IS MISSING" };
        match &entry.manifest {
            Ok(manifest) => listed(&mut text, manifest, file),
            Err(problem) => line(&mut text, &entry.name, &format!("UNREADABLE: {problem}{file}")),
        }
    }
    text
}

fn listed(text: &mut String, manifest: &Manifest, file: &str) {
    let at = manifest.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (kind, source) = (manifest.kind, &manifest.source);
    let what = format!("{at}  {kind} {source}  {} bytes  {}{file}", manifest.bytes, manifest.facts());
    line(text, &manifest.name, &what);
}

/// What checks found.
pub(super) fn checked(reports: &[Checked]) -> String {
    let mut text = String::new();
    for report in reports {
        line(&mut text, &report.name, if report.clean { "clean" } else { "NOT CLEAN" });
        for check in &report.checks {
            let verdict = if check.ok { "  ok" } else { "  FAILED" };
            line(&mut text, verdict, &format!("{}: {}", check.check, check.detail));
        }
        for note in &report.notes {
            line(&mut text, "  note", note);
        }
    }
    text
}

/// What a restore did; why it was refused is told elsewhere.
pub(super) fn restored(report: &Restored) -> String {
    let mut text = String::new();
    match report.outcome {
        Outcome::Restored => line(&mut text, "restored", &format!("{} to {}", report.snapshot, report.to)),
        Outcome::Identical => {
            let what = format!("{} holds what {} holds; nothing was changed", report.to, report.snapshot);
            line(&mut text, "identical", &what);
        }
        Outcome::Refused => {}
    }
    if let Some(kept) = &report.kept {
        line(&mut text, "kept", &format!("what was there, as {kept}"));
    }
    if report.outcome == Outcome::Restored {
        report.before.iter().for_each(|facts| holds(&mut text, "before", facts));
        report.after.iter().for_each(|facts| holds(&mut text, "now", facts));
    }
    for warning in &report.warnings {
        line(&mut text, "warning", warning);
    }
    text
}

fn holds(text: &mut String, what: &str, facts: &Facts) {
    let by_analysis = facts.analysis_with_subcategories;
    let newest = facts.newest_indexed_at.as_deref().unwrap_or("of no time");
    line(text, what, &format!("{facts} ({by_analysis} by analysis), newest {newest}"));
}

/// One line; names come from files and may hold anything.
fn line(text: &mut String, label: &str, what: &str) {
    let written = format!("{label:<10} {what}");
    for c in written.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    let _ = writeln!(text);
}
