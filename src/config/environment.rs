//! `FLIPGATE_*` variables, and the five the dashboard's deployments set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ConfigError, Flags, Secret, keys};

const PREFIX: &str = "FLIPGATE_";
/// Variables that Kubernetes injects for a service named flipgate.
const INJECTED: [&str; 2] = ["FLIPGATE_PORT", "FLIPGATE_SERVICE_"];
const KNOWN: &[&str] = &[
    "FLIPGATE_CONFIG",
    "FLIPGATE_LISTEN",
    "FLIPGATE_ADMIN_LISTEN",
    // For the commands that talk to a running flipgate; `serve` may see it in a container that both share.
    "FLIPGATE_ADMIN",
    "FLIPGATE_SQLITE",
    "FLIPGATE_POSTGRES",
    "FLIPGATE_FROM",
    "FLIPGATE_TO",
    "FLIPGATE_DASHBOARD",
    "FLIPGATE_PRIMARY",
    "FLIPGATE_STATE_DIR",
    "FLIPGATE_STATE",
    "FLIPGATE_ADMIN_TOKEN",
    "FLIPGATE_ADMIN_READ_TOKEN",
    "FLIPGATE_ADMIN_TOKEN_FILE",
    "FLIPGATE_LOG",
    // Where flipgate's own tests find their data.
    "FLIPGATE_SHARED",
];

/// The process's environment, handed in so that tests need not change their own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// What the environment sets.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    /// What flags can set as well.
    pub flags: Flags,
    pub admin_token: Option<Secret>,
    pub admin_read_token: Option<Secret>,
    pub database_url: Option<String>,
    pub read_from_postgres: Option<bool>,
    pub dual_write: Option<bool>,
    pub sync_secret: Option<Secret>,
    pub ingest_token: Option<Secret>,
}

// === impl Environment ===

impl Environment {
    /// Of this process. Values that are not UTF-8 cannot be meant for flipgate.
    #[must_use]
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(utf8).collect())
    }

    /// Of these variables.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        Environment(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    pub(super) fn read(&self) -> Result<Variables, ConfigError> {
        let mut problems = self.unknown();
        let mut flag = |name: &str| match self.get(name).as_deref().map(boolean) {
            Some(None) => {
                problems.push(format!("{name} must be true or false"));
                None
            }
            Some(value) => value,
            None => None,
        };
        let read_from_postgres = flag("READ_FROM_POSTGRES");
        let dual_write = flag("DUAL_WRITE_MODE");
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        let path = |name| self.get(name).map(PathBuf::from);
        Ok(Variables {
            flags: Flags {
                config: path("FLIPGATE_CONFIG"),
                listen: self.get("FLIPGATE_LISTEN"),
                admin_listen: self.get("FLIPGATE_ADMIN_LISTEN"),
                sqlite: self.get("FLIPGATE_SQLITE"),
                postgres: self.get("FLIPGATE_POSTGRES"),
                from: self.get("FLIPGATE_FROM"),
                to: self.get("FLIPGATE_TO"),
                dashboard: self.get("FLIPGATE_DASHBOARD"),
                primary: self.get("FLIPGATE_PRIMARY"),
                state_dir: path("FLIPGATE_STATE_DIR"),
                admin_token_file: path("FLIPGATE_ADMIN_TOKEN_FILE"),
                state: self.get("FLIPGATE_STATE"),
                // A run of its own, never the way a deployment is set up.
                self_check: false,
            },
            admin_token: self.secret("FLIPGATE_ADMIN_TOKEN"),
            admin_read_token: self.secret("FLIPGATE_ADMIN_READ_TOKEN"),
            database_url: self.get("DATABASE_URL"),
            read_from_postgres,
            dual_write,
            sync_secret: self.secret("SYNC_SECRET"),
            ingest_token: self.secret("INGEST_TOKEN"),
        })
    }

    /// A variable that is set to nothing counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Without the line break that files and secrets often end with; nothing but white space counts as not set.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        let value = self.get(name)?.trim().to_owned();
        (!value.is_empty()).then(|| Secret::new(value))
    }

    fn unknown(&self) -> Vec<String> {
        let ours = self.0.keys().filter(|name| {
            name.starts_with(PREFIX)
                && !KNOWN.contains(&name.as_str())
                && !INJECTED.iter().any(|injected| name.starts_with(injected))
        });
        ours.map(|name| {
            format!("unknown environment variable {name}{}", keys::hint(name, KNOWN.iter().copied()))
        })
        .collect()
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}
