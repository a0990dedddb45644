//! Where PostgreSQL's server programs are.

use std::path::{Path, PathBuf};

use super::ClusterError;

/// What a cluster needs, all in one directory.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Directories with one subdirectory a version, and what leads from that to the programs.
const VERSIONED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// The directory of the server programs: that on PATH, else the newest installed one.
pub(super) fn find() -> Result<PathBuf, ClusterError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|dir| through_links(&dir));
    on_path
        .chain(installed())
        .find(|dir| is_complete(dir))
        .ok_or_else(|| ClusterError::NoBinaries { searched: VERSIONED.map(|(root, _)| root).join(", ") })
}

/// A directory on PATH often holds links to only some of the programs: their real place has all.
fn through_links(dir: &Path) -> Option<PathBuf> {
    let initdb = dir.join("initdb").canonicalize().ok()?;
    Some(initdb.parent()?.to_owned())
}

/// Version directories, newest first.
fn installed() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (root, bin) in VERSIONED {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = major_version(&name) {
                found.push((version, entry.path().join(bin)));
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// `15`, `9.6`, `postgresql@17`, `postgresql` (unversioned, so last).
fn major_version(name: &str) -> Option<u32> {
    let number = name.strip_prefix("postgresql").map_or(name, |rest| rest.trim_start_matches('@'));
    if number.is_empty() {
        return Some(0);
    }
    number.split('.').next()?.parse().ok()
}

fn is_complete(dir: &Path) -> bool {
    PROGRAMS.iter().all(|program| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_directory_names() {
        assert_eq!(major_version("15"), Some(15));
        assert_eq!(major_version("9.6"), Some(9));
        assert_eq!(major_version("postgresql@17"), Some(17));
        assert_eq!(major_version("postgresql"), Some(0));
        assert_eq!(major_version("openssl@3"), None);
        assert_eq!(major_version("latest"), None);
    }
}
