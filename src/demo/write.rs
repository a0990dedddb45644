//! `flipgate demo --write-library`: the generated library alone, for a set-up that brings its own PostgreSQL.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::SEED;
use crate::cli::{CLEAN, COULD_NOT_RUN, failed};
use crate::library;

/// Writes it unless it is there, so that a set-up may be started again.
pub(super) fn run(path: &Path, rows: u32) -> ExitCode {
    if path.exists() {
        println!("library    {} is there and stays as it is", path.display());
        return ExitCode::from(CLEAN);
    }
    match write(path, rows) {
        Ok(()) => {
            println!("library    {rows} generated records in {}", path.display());
            ExitCode::from(CLEAN)
        }
        Err(error) => {
            let why = format!("the library {} cannot be written: {error:#}", path.display());
            failed(COULD_NOT_RUN, &why)
        }
    }
}

/// It gets its name at the end, so a library that is there is whole.
fn write(path: &Path, rows: u32) -> anyhow::Result<()> {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = tempfile::Builder::new().prefix(".flipgate-").tempdir_in(beside)?;
    let unfinished = directory.path().join("library.db");
    library::generate(&unfinished, rows, SEED)?;
    std::fs::rename(&unfinished, path).context("it cannot be given its name")
}
