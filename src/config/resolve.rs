//! From what was written to what is meant, every problem noted.

mod admin;
mod backends;
mod cutovers;
mod routes;
mod writes;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

pub use self::admin::token;
use self::admin::{admin, check_admin};
pub use self::backends::check_sqlite;
use self::backends::{backends, primary};
use self::routes::routes;
use super::environment::Variables;
use super::file::File;
use super::{Config, ConfigError, Flags, Limits};
use crate::backend::upstream::Address;
use crate::compare::RulesSpec;
use crate::shadow;
use crate::side::Side;

/// Largest number any limit may be: what is meant as none would be taken for room to be reserved.
const MOST: usize = 1 << 31;

/// Collects problems, so that all are told at once.
struct Problems(Vec<String>);

/// Turns file, variables and flags into a configuration.
pub(super) fn resolve(file: &File, variables: &Variables, flags: &Flags) -> Result<Config, ConfigError> {
    let mut problems = Problems(Vec::new());
    let backends = backends(file, variables, flags, &mut problems);
    let listen = pick([&flags.listen, &variables.flags.listen, &file.listen]);
    let listen = problems.address("listen", listen.unwrap_or("127.0.0.1:8080"));
    let admin_listen = pick([&flags.admin_listen, &variables.flags.admin_listen, &file.admin_listen]);
    let admin_listen = problems.address("admin_listen", admin_listen.unwrap_or("127.0.0.1:9900"));
    let admin = admin(file, variables, flags, &mut problems);
    check_admin(admin_listen, &admin, &mut problems);
    let dashboard = pick([&flags.dashboard, &variables.flags.dashboard, &file.dashboard]).and_then(|url| {
        problems.note(Address::parse(url).map_err(|why| format!("the dashboard's URL {why}")))
    });
    let routes = routes(file, &mut problems);
    let primary =
        backends.as_ref().and_then(|backends| primary(file, variables, flags, backends, &mut problems));
    let (limits, shadow) = (limits(file, &mut problems), shadowing(file, &mut problems));
    let gate = cutovers::gate(file, &mut problems);
    let (recheck, watch) = (cutovers::recheck(file, &mut problems), cutovers::watch(file, &mut problems));
    let sticky = cutovers::sticky(file, &mut problems);
    let data_version_header = cutovers::data_version_header(file, &mut problems);
    let state = pick([&flags.state, &variables.flags.state, &file.state]);
    let state = state.and_then(|url| cutovers::state(url, &mut problems));
    if flags.self_check && state.is_some() {
        problems.0.push(
            "--self-check is of one flipgate alone and gathers no evidence that others may use; leave --state out".to_owned(),
        );
    }
    let (writes, mut warnings) =
        writes::writes(file, variables, flags, backends.as_ref(), state.is_some(), &mut problems);
    warnings.extend(cutovers::warnings(state.as_ref(), backends.as_ref()));
    let fingerprint = cutovers::fingerprint(file, backends.as_ref(), flags.self_check);
    let state_dir =
        [&flags.state_dir, &variables.flags.state_dir, &file.state_dir].into_iter().flatten().next();
    let (Some(backends), Some(listen), Some(admin_listen), Some(routes), true) =
        (backends, listen, admin_listen, routes, problems.0.is_empty())
    else {
        return Err(ConfigError(problems.0));
    };
    Ok(Config {
        listen,
        admin_listen,
        state_dir: state_dir.cloned().unwrap_or_else(|| PathBuf::from("flipgate-state")),
        backends,
        dashboard,
        initial_primary: primary.unwrap_or(Side::From),
        primary_was_set: primary.is_some(),
        routes,
        limits,
        shadow,
        gate,
        recheck,
        watch,
        sticky,
        failover: file.failover.unwrap_or(false),
        data_version_header,
        state,
        self_check: flags.self_check,
        fingerprint,
        admin,
        writes,
        primary_header: file.primary_header.unwrap_or(true),
        warnings,
    })
}

/// The rules of one route; nothing else of the file needs to be usable.
pub(super) fn rules_of(file: &File, pattern: &str) -> Result<RulesSpec, ConfigError> {
    let mut problems = Problems(Vec::new());
    let rules = routes::rules_of(file, pattern, &mut problems);
    rules.ok_or(ConfigError(problems.0))
}

// === impl Problems ===

impl Problems {
    fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }

    fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let found = text.to_socket_addrs().map(|mut all| all.next());
        match found {
            Ok(Some(address)) => Some(address),
            Ok(None) | Err(_) => {
                self.0
                    .push(format!("{key} `{text}` is not an address; write HOST:PORT, as in 127.0.0.1:8080"));
                None
            }
        }
    }

    fn seconds(&mut self, key: &str, value: Option<f64>, default: u64) -> Duration {
        let Some(seconds) = value else { return Duration::from_secs(default) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() => duration,
            Ok(_) | Err(_) => {
                self.0.push(format!("{key} must be a number of seconds above 0, not {seconds}"));
                Duration::from_secs(default)
            }
        }
    }

    fn share(&mut self, key: &str, value: Option<f64>, default: f64) -> f64 {
        match value {
            None => default,
            Some(share) if (0.0..=1.0).contains(&share) => share,
            Some(share) => {
                self.0.push(format!("{key} must be between 0 and 1, not {share}"));
                default
            }
        }
    }

    fn count(&mut self, key: &str, value: Option<usize>, default: usize) -> usize {
        match value {
            Some(count) if !(1..=MOST).contains(&count) => {
                self.0.push(format!("{key} must be between 1 and {MOST}, not {count}"));
                default
            }
            Some(count) => count,
            None => default,
        }
    }
}

/// The first that is set.
fn pick(values: [&Option<String>; 3]) -> Option<&str> {
    values.into_iter().flatten().next().map(String::as_str)
}

fn limits(file: &File, problems: &mut Problems) -> Limits {
    let spec = &file.limits;
    Limits {
        connections: problems.count("limits.connections", spec.connections, 4096),
        backend_connections: problems.count("limits.backend_connections", spec.backend_connections, 256),
        head_timeout: problems.seconds("limits.head_timeout", spec.head_timeout, 60),
        request_body: problems.count("limits.request_body", spec.request_body, 8 * 1024 * 1024),
        drain: problems.seconds("limits.drain", spec.drain, 30),
    }
}

fn shadowing(file: &File, problems: &mut Problems) -> shadow::Limits {
    let spec = &file.shadow;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    shadow::Limits {
        inflight: problems.count("shadow.inflight", spec.inflight, 64),
        deadline: problems.seconds("shadow.deadline", spec.deadline, 10),
        body: problems.count("shadow.body", spec.body, 2 * 1024 * 1024),
        memory: problems.count("shadow.memory", spec.memory, 64 * 1024 * 1024),
        queue: problems.count("shadow.queue", spec.queue, 256),
        comparators: problems.count("shadow.comparators", spec.comparators, (cores / 2).max(1)),
    }
}
