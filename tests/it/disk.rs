//! Small real disks, for what happens when one is full or cannot be written.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A disk of its own in memory, mounted for as long as this lives.
pub(crate) struct Disk {
    directory: TempDir,
}

// === impl Disk ===

impl Disk {
    /// One of `size` (as mount has it); `None` (said aloud) where this user may not mount.
    pub(crate) fn of(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        if !mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=777"), "tmpfs"], directory.path()) {
            eprintln!("SKIPPED: no disk can be mounted here, which takes root");
            return None;
        }
        Some(Self { directory })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// From now on nothing can be written.
    pub(crate) fn make_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], self.directory.path()));
    }

    /// From now on there is room.
    pub(crate) fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], self.directory.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there keeps it.
        let _unmounted = Command::new("umount").arg("-l").arg(self.directory.path()).status();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    Command::new("mount").args(options).arg(at).output().is_ok_and(|output| output.status.success())
}
