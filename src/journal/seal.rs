//! What the journal keeps on disk is sealed: requests may hold credentials, and always hold somebody's data.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const KEY_BYTES: usize = 32;

/// Seals and opens by the key beside the journal.
#[derive(Debug)]
pub(super) struct Sealer(LessSafeKey);

// === impl Sealer ===

impl Sealer {
    /// With the key in the file at `path`, which is made where there is none; only its owner can read it.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let problem = |why: &dyn std::fmt::Display| format!("journal key {}: {why}", path.display());
        let mut key = [0; KEY_BYTES];
        match File::open(path) {
            Ok(mut file) => file.read_exact(&mut key).map_err(|e| problem(&e))?,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                getrandom::fill(&mut key).map_err(|e| problem(&e))?;
                make(path, &key).map_err(|e| problem(&e))?;
            }
            Err(e) => return Err(problem(&e)),
        }
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|e| problem(&e))?;
        Ok(Sealer(LessSafeKey::new(key)))
    }

    /// Seals `text` for the entry `id`: what is sealed for one cannot be opened as another's.
    pub(super) fn seal(&self, id: &str, mut text: Vec<u8>) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| e.to_string())?;
        let aad = Aad::from(id.as_bytes());
        let sealed = self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text);
        sealed.map_err(|_| "the request cannot be sealed".to_owned())?;
        text.splice(..0, nonce);
        Ok(text)
    }

    /// None if it was not sealed by this key for this entry.
    pub(super) fn unseal(&self, id: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(id.as_bytes()), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Makes the file of a key: whole, or not at all.
fn make(path: &Path, key: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("key.new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(key).and_then(|()| file.sync_all())?;
    std::fs::rename(&new, path)?;
    match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_key_and_the_entry_open_what_was_sealed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.key");
        let sealer = Sealer::open(&path).unwrap();
        let sealed = sealer.seal("a", b"secret".to_vec()).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let again = Sealer::open(&path).unwrap();
        assert_eq!(again.unseal("a", &sealed).as_deref(), Some(b"secret".as_slice()));
        assert_eq!(again.unseal("b", &sealed), None);
        assert_eq!(again.unseal("a", &[]), None);
        let other = Sealer::open(&directory.path().join("other.key")).unwrap();
        assert_eq!(other.unseal("a", &sealed), None);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
