//! How this crate reaches PostgreSQL: options from a URL, its name without secrets, errors in one sentence.
//!
//! The only place where SQL text made at run time is declared safe: it is put together from constants, never from input.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqlSafeStr as _, SqlStr};

/// How long one connection attempt, or the wait for a free connection, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL store: where it is, and what it may be called in messages.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    options: PgConnectOptions,
    name: String,
}

impl Target {
    /// Reads a postgres URL; an error is a whole sentence.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        let options = known.then(|| url.parse::<PgConnectOptions>().ok()).flatten().ok_or_else(|| {
            "The PostgreSQL URL is not valid; write postgres://user:password@host:5432/database.".to_owned()
        })?;
        let host = match options.get_socket() {
            Some(path) => path.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let name = format!("{database} at {host}:{} as {}", options.get_port(), options.get_username());
        Ok(Self { options: options.application_name("flipgate").disable_statement_logging(), name })
    }

    /// Database, host, port and user: what messages say. Never the password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Host, or socket, and port: which server it is.
    pub(crate) fn server(&self) -> (String, u16) {
        let host = match self.options.get_socket() {
            Some(path) => path.display().to_string(),
            None => self.options.get_host().to_owned(),
        };
        (host, self.options.get_port())
    }

    /// One connection, for work that goes step by step: what it says does not depend on the server's settings.
    pub(crate) async fn connect_one(&self) -> Result<PgConnection, String> {
        let mut connection = self.attempt().await?;
        let setup = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET jit = off; SET statement_timeout = 0; \
            SET idle_in_transaction_session_timeout = 0; SET default_transaction_isolation = 'read committed'";
        connection.execute(sqlx::raw_sql(setup)).await.map_err(|error| self.explain(&error))?;
        Ok(connection)
    }

    /// One connection prepared by `setup`; the error is as it came, for who answers by its kind. The caller bounds the
    /// wait.
    pub(crate) async fn open(&self, setup: &'static str) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        connection.execute(sqlx::raw_sql(setup)).await?;
        Ok(connection)
    }

    /// A pool of one connection that is made when it is asked for and kept for good: what listening takes.
    pub(crate) fn pool_of_one(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone())
    }

    async fn attempt(&self) -> Result<PgConnection, String> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(format!(
                "PostgreSQL {} did not answer within {} s; check the host, the port and that it is running.",
                self.name,
                CONNECT_TIMEOUT.as_secs()
            )),
        }
    }

    /// A pool of at most `connections`, each prepared by `setup`; one connection is made to see that it can be.
    pub(crate) async fn connect(&self, connections: u32, setup: &'static str) -> Result<PgPool, String> {
        // The pool would hide a refused connection behind a timeout; a single one says what is wrong.
        drop(sqlx::Connection::close(self.attempt().await?).await);
        Ok(self.pool(connections, setup))
    }

    /// A pool of at most `connections`, each prepared by `setup` and made when it is asked for.
    pub(crate) fn pool(&self, connections: u32, setup: &'static str) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(setup).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// What went wrong with this store and what to do, in one sentence.
    pub(crate) fn explain(&self, error: &sqlx::Error) -> String {
        let name = &self.name;
        match code(error).as_deref() {
            Some("28P01" | "28000") => {
                format!("PostgreSQL {name} refused the login; check the user and the password in the URL.")
            }
            Some("3D000") => format!("PostgreSQL {name} has no such database; create it or correct the URL."),
            Some("42P01" | "42703" | "42883") => {
                format!("PostgreSQL {name} does not have flipgate's schema; run `flipgate migrate` first.")
            }
            Some("42501") => {
                format!(
                    "PostgreSQL {name} does not permit this; grant the user rights on the schema and its tables."
                )
            }
            Some("55P03") => {
                format!("PostgreSQL {name}: another program holds a lock for too long; end it and run again.")
            }
            Some("53100") => format!("PostgreSQL {name} has no disk space left; free some and run again."),
            Some("53300") => {
                format!("PostgreSQL {name} has no free connection; raise max_connections or close others.")
            }
            Some(_) => format!("PostgreSQL {name} reports: {error}; see its log."),
            None => self.explain_connection(error),
        }
    }

    fn explain_connection(&self, error: &sqlx::Error) -> String {
        let name = &self.name;
        if let sqlx::Error::Io(io) = error {
            return format!(
                "PostgreSQL {name} cannot be reached ({io}); check host and port, and that it runs."
            );
        }
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return format!("PostgreSQL {name} gave no connection in time; check that it is running.");
        }
        if matches!(error, sqlx::Error::Tls(_)) {
            return format!("TLS with PostgreSQL {name} failed ({error}); check sslmode in the URL.");
        }
        format!("PostgreSQL {name} cannot be used ({error}); check the URL and the server's log.")
    }
}

/// The five-character SQLSTATE, if the server sent the error.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// Declares SQL safe that was put together from constants of this crate.
pub(crate) fn constant_sql(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}
