//! The directory a cluster lives in, and whom it belongs to.

use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::ClusterError;

/// Longest directory that leaves room for the socket's name: 104 bytes is the least any system gives the path.
const MAX_PATH: usize = 104 - "/.s.PGSQL.5432.lock".len();

/// Who runs the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// The user of this process.
    Own,
    /// We are root, which PostgreSQL refuses.
    Other {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Owner {
    /// The user of this process, or if that is root `postgres`, else `nobody`.
    pub(super) fn choose() -> Result<Self, ClusterError> {
        if !Uid::effective().is_root() {
            return Ok(Self::Own);
        }
        let known = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = known.ok_or(ClusterError::NoUnprivilegedUser)?;
        Ok(Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }
}

/// A fresh directory that only its owner may enter.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    pub(super) fn create(owner: &Owner) -> Result<Self, ClusterError> {
        let root = root(owner);
        loop {
            let path = root.join(format!("flipgate-pg-{:08x}", fastrand::u32(..)));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self(path).give_to(owner),
                Err(taken) if taken.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(ClusterError::Home { path, source }),
            }
        }
    }

    fn give_to(self, owner: &Owner) -> Result<Self, ClusterError> {
        let given = match owner {
            Owner::Own => Ok(()),
            Owner::Other { uid, gid } => chown(&self.0, Some(*uid), Some(*gid)),
        };
        if let Err(source) = given {
            self.remove();
            return Err(ClusterError::Home { path: self.0, source });
        }
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Deletes what is left, if anything.
    pub(super) fn remove(&self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, directory = %self.0.display(), "a throw-away PostgreSQL was not wholly removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The system's temporary directory, unless the socket's path could not lie in it.
fn root(owner: &Owner) -> PathBuf {
    let common = PathBuf::from("/tmp");
    let own = std::env::temp_dir();
    match owner {
        // Root's TMPDIR may lie where the unprivileged user cannot go.
        Owner::Other { .. } => common,
        Owner::Own if is_plain(&own) => own,
        Owner::Own => common,
    }
}

/// Short enough, and the same in a URL, in a shell and in PostgreSQL's configuration.
fn is_plain(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    plain && path.is_absolute() && text.len() + "/flipgate-pg-00000000".len() <= MAX_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_is_used_only_where_a_socket_fits() {
        assert!(is_plain(Path::new("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T")));
        assert!(!is_plain(&Path::new("/tmp").join("d".repeat(80))));
        assert!(!is_plain(Path::new("/tmp/with space")));
        assert!(!is_plain(Path::new("relative")));
    }
}
