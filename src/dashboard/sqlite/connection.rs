//! One read-only connection: opening it, telling whether its file was replaced, and what its schema has.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::dashboard::cells::{plain, whole};
use crate::dashboard::subjects::{Spelled, Wanted};

/// How long a read waits for a writer's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const CACHED_STATEMENTS: usize = 64;

/// Why a library cannot be opened, in one sentence that names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OpenFailure(pub(crate) String);

/// An open library with what is known of its schema.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) tables: Tables,
    identity: Identity,
}

/// Columns that exist; older libraries lack some, or whole tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    schema_version: i64,
    content: BTreeSet<String>,
    legacy: BTreeSet<String>,
    variants: BTreeSet<String>,
}

/// A table of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Content,
    Legacy,
    Variants,
}

/// Which file a path led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// Opens the file at `path` for reading and checks that it is a library.
pub(crate) fn read_only(path: &Path) -> Result<Connection, OpenFailure> {
    let name = path.display();
    if !metadata(path)?.is_file() {
        return Err(OpenFailure(format!("The SQLite library {name} is not a file; name the file itself.")));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let explain = |error| explain(path, &error);
    let connection = match Connection::open_with_flags(path, flags).and_then(prepared) {
        // What a killed writer left half done only a writer can take back.
        Err(error) if needs_immutable(&error) && recovered(path) => {
            Connection::open_with_flags(path, flags).and_then(prepared).map_err(explain)?
        }
        Err(error) if needs_immutable(&error) => {
            unfinished(path)?;
            // A WAL library needs a -shm file beside it; where none can be made, nothing writes there either.
            tracing::warn!(library = %name, "opened as immutable, because nothing can be written beside it");
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable_uri(path), flags).and_then(prepared).map_err(explain)?
        }
        other => other.map_err(explain)?,
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master WHERE lower(name) = 'content'", [], |row| row.get(0))
        .map_err(explain)?;
    if tables == 0 {
        return Err(OpenFailure(format!(
            "The SQLite file {name} has no table `content`; name the dashboard's library file."
        )));
    }
    Ok(connection)
}

/// Sets the connection up and makes sure by a first read that the file is a database.
fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // The file comes from elsewhere: nothing in its schema may call functions with effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, OpenFailure> {
    std::fs::metadata(path).map_err(|error| {
        let name = path.display();
        OpenFailure(format!(
            "The SQLite library {name} cannot be opened ({error}); check the path and its rights."
        ))
    })
}

/// Whether SQLite could open the library for writing, by which it takes back what a killed writer left.
fn recovered(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let written = |suffix: &str| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        std::fs::metadata(&beside).is_ok_and(|beside| beside.len() > 0)
    };
    written("-journal") && Connection::open_with_flags(path, flags).and_then(prepared).is_ok()
}

/// What SQLite would take from a file beside the library cannot be taken from one that is opened as immutable.
fn unfinished(path: &Path) -> Result<(), OpenFailure> {
    for suffix in ["-wal", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if std::fs::metadata(&beside).is_ok_and(|beside| beside.len() > 0) {
            return Err(OpenFailure(format!(
                "The SQLite library {} has changes in {} that cannot be read where nothing can be written; copy both files \
                 to a directory that can be.",
                path.display(),
                Path::new(&beside).display()
            )));
        }
    }
    Ok(())
}

fn needs_immutable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// The URI by which SQLite reads `path` without locks and without looking for files beside it.
pub(crate) fn immutable_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    const PATH: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.');
    format!("file:{}?immutable=1", percent_encoding::percent_encode(path.as_os_str().as_bytes(), PATH))
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenFailure {
    let name = path.display();
    OpenFailure(match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            format!("The file {name} is not a SQLite database; name the dashboard's library file.")
        }
        _ => format!(
            "The SQLite library {name} cannot be read ({error}); check that it is whole and readable."
        ),
    })
}

// === impl Open ===

impl Open {
    /// Opens the library at `path`.
    pub(super) fn new(path: &Path) -> Result<Self, OpenFailure> {
        // Before opening: should the file be replaced in between, the next read notices.
        let identity = Identity::of(path)?;
        let connection = read_only(path)?;
        let tables = register_functions(&connection)
            .and_then(|()| Tables::read(&connection))
            .map_err(|error| explain(path, &error))?;
        Ok(Self { connection, tables, identity })
    }

    /// Whether `path` leads to another file by now.
    pub(super) fn replaced(&self, path: &Path) -> Result<bool, OpenFailure> {
        Ok(Identity::of(path)? != self.identity)
    }

    /// Reads the schema again if it changed.
    pub(super) fn refresh(&mut self) -> rusqlite::Result<()> {
        if schema_version(&self.connection)? != self.tables.schema_version {
            self.tables = Tables::read(&self.connection)?;
        }
        Ok(())
    }
}

impl Identity {
    pub(crate) fn of(path: &Path) -> Result<Self, OpenFailure> {
        let metadata = metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

// === impl Tables ===

impl Tables {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            schema_version: schema_version(connection)?,
            content: columns(connection, "content")?,
            legacy: columns(connection, "content_summaries")?,
            variants: columns(connection, "summary_variants")?,
        })
    }

    /// Whether the table exists with this column.
    pub(super) fn has(&self, table: Table, column: &str) -> bool {
        let columns = match table {
            Table::Content => &self.content,
            Table::Legacy => &self.legacy,
            Table::Variants => &self.variants,
        };
        columns.contains(column)
    }
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

// === Functions in SQL ===

/// `plain(x)`, `whole(x)`: cells as the API reads them. `about(category, subcategory, structured, wanted)`: whether a
/// record is about any of `wanted`, a JSON array of [`Wanted`].
fn register_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("plain", 1, flags, |context| Ok(plain(context.get_raw(0))))?;
    connection.create_scalar_function("whole", 1, flags, |context| Ok(whole(context.get_raw(0))))?;
    connection.create_scalar_function("about", 4, flags, about)
}

fn about(context: &Context<'_>) -> rusqlite::Result<bool> {
    let wanted = context.get_or_create_aux(3, |raw| {
        serde_json::from_slice::<Vec<Wanted>>(raw.as_bytes().unwrap_or_default())
    })?;
    let (category, subcategory, structured) =
        (plain(context.get_raw(0)), plain(context.get_raw(1)), plain(context.get_raw(2)));
    let spelled = Spelled {
        category: category.as_deref(),
        subcategory: subcategory.as_deref(),
        structured: structured.as_deref(),
    };
    Ok(spelled.matches(&wanted))
}
