//! The two backends: who they are called, where their answers come from, who serves first.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Problems, pick};
use crate::backend::inprocess::Store;
use crate::backend::upstream::Address;
use crate::config::environment::Variables;
use crate::config::file::{BackendSpec, File};
use crate::config::{BackendConfig, Flags, Source};
use crate::side::{Pair, Side};

/// First bytes of every SQLite file.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

pub(super) fn backends(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    problems: &mut Problems,
) -> Option<Pair<BackendConfig>> {
    let written = Pair {
        from: Written {
            side: Side::From,
            spec: &file.backends.from,
            named: [(&flags.from, &flags.sqlite), (&variables.flags.from, &variables.flags.sqlite)],
            fallback: None,
        },
        to: Written {
            side: Side::To,
            spec: &file.backends.to,
            named: [(&flags.to, &flags.postgres), (&variables.flags.to, &variables.flags.postgres)],
            fallback: variables.database_url.as_deref(),
        },
    };
    if flags.self_check {
        return self_checked(written, problems);
    }
    let Pair { from, to } = written.map(|written| written.resolve(problems));
    let backends = Pair { from: from?, to: to? };
    if backends.from.name == backends.to.name {
        problems.0.push(format!("both backends are named `{}`; give each its own name", backends.from.name));
    }
    if same(&backends.from.source, &backends.to.source) {
        problems.0.push(format!(
            "both backends are {}; comparing a store with itself proves nothing, so give two different URLs",
            backends.from.source
        ));
    }
    Some(backends)
}

/// *from* behind both names: what differs then is the comparison's own doing. *to* need not be given.
fn self_checked(written: Pair<Written<'_>>, problems: &mut Problems) -> Option<Pair<BackendConfig>> {
    let name = match written.to.resolve(&mut Problems(Vec::new())) {
        Some(to) => to.name,
        None => "postgres".to_owned(),
    };
    let from = written.from.resolve(problems)?;
    let to = BackendConfig { name, ..from.clone() };
    Some(Pair { from, to })
}

/// One backend as the sources of configuration name it.
struct Written<'a> {
    side: Side,
    spec: &'a BackendSpec,
    /// `NAME=URL` and the URL under the usual name: flags first, then variables.
    named: [(&'a Option<String>, &'a Option<String>); 2],
    fallback: Option<&'a str>,
}

impl Written<'_> {
    fn usual_name(&self) -> &'static str {
        match self.side {
            Side::From => "sqlite",
            Side::To => "postgres",
        }
    }

    fn resolve(self, problems: &mut Problems) -> Option<BackendConfig> {
        let usual = self.usual_name();
        let file_name = self.spec.name.as_deref().unwrap_or(usual);
        let (name, url) = match self.first_named(problems) {
            Some((name, url)) => (name.unwrap_or(file_name).to_owned(), url),
            None => match self.spec.url.as_deref().or(self.fallback) {
                Some(url) => (file_name.to_owned(), url),
                None => {
                    let key = match self.side {
                        Side::From => "from",
                        Side::To => "to",
                    };
                    problems.0.push(format!(
                        "no URL for the backend `{usual}`; give --{usual} URL, or [backends.{key}] url in the file"
                    ));
                    return None;
                }
            },
        };
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > 32 || !name.chars().all(valid) {
            problems.0.push(format!(
                "the name of the backend {usual} stands for must be 1 to 32 of a-z, 0-9, _ and -: it becomes a metric \
                 label and a header"
            ));
        }
        let source = problems.note(source(url).map_err(|why| format!("backend `{name}`: {why}")))?;
        Some(BackendConfig { name, source, max_connections: self.spec.max_connections })
    }

    fn first_named(&self, problems: &mut Problems) -> Option<(Option<&str>, &str)> {
        for (pair, usual) in self.named {
            if let Some(pair) = pair {
                return match pair.split_once('=') {
                    Some((name, url)) => Some((Some(name), url)),
                    None => {
                        // Not repeated: what is taken for it may hold a password.
                        let example = "NAME=URL, as in mysql=http://127.0.0.1:10000";
                        problems.0.push(format!("--from and --to must be {example}"));
                        None
                    }
                };
            }
            if let Some(url) = usual {
                return Some((Some(self.usual_name()), url));
            }
        }
        None
    }
}

fn source(url: &str) -> Result<Source, String> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        check_sqlite(&path)?;
        return Ok(Source::InProcess(Store::Sqlite(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Source::InProcess(Store::Postgres(url.to_owned())));
    }
    if url.starts_with("http://") || url.starts_with("https://") {
        let address = Address::parse(url).map_err(|why| format!("its URL {why}"))?;
        return Ok(Source::Http(address));
    }
    Err("its URL must start with http://, https://, sqlite: or postgres://".into())
}

/// A file that is there must be a SQLite database; one that is not may come (the check at start says so).
///
/// # Errors
/// Says that it is none.
pub fn check_sqlite(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("sqlite: needs a path, as in sqlite:/data/library.db".into());
    }
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut magic = [0; 16];
    if file.read_exact(&mut magic).is_err() || magic != *SQLITE_MAGIC {
        return Err(format!("{} is not a SQLite database; name the library's file", path.display()));
    }
    Ok(())
}

fn same(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Http(a), Source::Http(b)) => a == b,
        (Source::InProcess(Store::Sqlite(a)), Source::InProcess(Store::Sqlite(b))) => {
            let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
            real(a) == real(b)
        }
        (Source::InProcess(Store::Postgres(a)), Source::InProcess(Store::Postgres(b))) => a == b,
        (Source::Http(_) | Source::InProcess(_), _) => false,
    }
}

pub(super) fn primary(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    backends: &Pair<BackendConfig>,
    problems: &mut Problems,
) -> Option<Side> {
    let read_from_to = variables.read_from_postgres.map(|to| if to { Side::To } else { Side::From });
    let Some(name) = pick([&flags.primary, &variables.flags.primary, &file.primary]) else {
        return read_from_to;
    };
    let side = Side::BOTH.into_iter().find(|side| backends.get(*side).name == name);
    if side.is_none() {
        problems.0.push(format!(
            "primary `{name}` is none of the backends; choose `{}` or `{}`",
            backends.from.name, backends.to.name
        ));
    }
    side
}
