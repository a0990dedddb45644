//! Files as snapshots need them: hashed, on disk before they are spoken of, and what lies beside a database.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

/// Bytes hashed at once.
const BLOCK: usize = 64 * 1024;

/// What a file holds, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Its length.
    pub(crate) bytes: u64,
    /// Of all of them, in hexadecimal.
    pub(crate) sha256: String,
}

/// Reads the whole file at `path`.
pub(crate) fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        let length = file.read(&mut block)?;
        let Some(read) = block.get(..length).filter(|read| !read.is_empty()) else { break };
        hash.update(read);
        bytes += length as u64;
    }
    Ok(Fingerprint { bytes, sha256: hex(&hash.finalize()) })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until a file, or the names in a directory, are on disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` without links and dots; as it is written where that cannot be known. The file itself may be missing.
pub(super) fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (parent(path).canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        (Ok(_) | Err(_), _) => path.to_owned(),
    }
}

/// Files beside a database without which it is not whole: a write-ahead log, a rollback journal.
pub(super) fn unfinished(path: &Path) -> Vec<PathBuf> {
    let beside = ["-wal", "-journal"].map(|suffix| beside(path, suffix));
    beside.into_iter().filter(|path| path.metadata().is_ok_and(|metadata| metadata.len() > 0)).collect()
}

/// When the database at `path` was last written to, by its file or its write-ahead log.
pub(super) fn modified(path: &Path) -> io::Result<SystemTime> {
    let file = path.metadata()?.modified()?;
    let log = beside(path, "-wal").metadata().ok().filter(|metadata| metadata.len() > 0);
    Ok(log.and_then(|metadata| metadata.modified().ok()).map_or(file, |log| log.max(file)))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
