//! From what was written to what is meant, every problem noted.

use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::environment::Variables;
use super::file::{BackendSpec, File, RouteSpec, TreatAsEqual};
use super::{AdminConfig, BackendConfig, Config, ConfigError, Flags, Limits, Secret, Source};
use crate::backend::inprocess::Store;
use crate::backend::upstream::Address;
use crate::compare::{Class, Mask, Mode, Rules, RulesSpec};
use crate::cutover::gate::GateRules;
use crate::route::{Route, Routes};
use crate::shadow;
use crate::side::{Pair, Side};

/// First bytes of every SQLite file.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The paths that the preset `ytv2` names.
const YTV2_ROUTES: &[&str] =
    &["/", "/api/reports", "/api/reports/{id}", "/api/filters", "/{stem}.json", "/{stem}.html"];
/// What the preset `ytv2` ignores: the dashboard's own version.
const YTV2_IGNORED: &str = "/deployment_version";
/// Longest token file read.
const TOKEN_MOST: u64 = 4096;

/// Collects problems, so that all are told at once.
struct Problems(Vec<String>);

/// Turns file, variables and flags into a configuration.
pub(super) fn resolve(file: &File, variables: &Variables, flags: &Flags) -> Result<Config, ConfigError> {
    let mut problems = Problems(Vec::new());
    let backends = backends(file, variables, flags, &mut problems);
    let listen = pick([&flags.listen, &variables.listen, &file.listen]);
    let listen = problems.address("listen", listen.unwrap_or("127.0.0.1:8080"));
    let admin_listen = pick([&flags.admin_listen, &variables.admin_listen, &file.admin_listen]);
    let admin_listen = problems.address("admin_listen", admin_listen.unwrap_or("127.0.0.1:9900"));
    let admin = admin(file, variables, flags, &mut problems);
    check_admin(admin_listen, &admin, &mut problems);
    let dashboard = pick([&flags.dashboard, &variables.dashboard, &file.dashboard])
        .and_then(|url| problems.note(Address::parse(url).map_err(|why| format!("dashboard `{url}` {why}"))));
    let routes = routes(file, &mut problems);
    let primary =
        backends.as_ref().and_then(|backends| primary(file, variables, flags, backends, &mut problems));
    let (limits, shadow, gate) =
        (limits(file, &mut problems), shadowing(file, &mut problems), gate(file, &mut problems));
    let warnings = writes(file, variables, &mut problems);
    let state_dir = [&flags.state_dir, &variables.state_dir, &file.state_dir].into_iter().flatten().next();
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
        admin,
        primary_header: file.primary_header.unwrap_or(true),
        warnings,
    })
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
            Some(0) => {
                self.0.push(format!("{key} must be at least 1"));
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

fn backends(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    problems: &mut Problems,
) -> Option<Pair<BackendConfig>> {
    let written = Pair {
        from: Written {
            side: Side::From,
            spec: &file.backends.from,
            named: [(&flags.from, &flags.sqlite), (&variables.from, &variables.sqlite)],
            fallback: None,
        },
        to: Written {
            side: Side::To,
            spec: &file.backends.to,
            named: [(&flags.to, &flags.postgres), (&variables.to, &variables.postgres)],
            fallback: variables.database_url.as_deref(),
        },
    };
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
                "backend name `{name}` must be 1 to 32 of a-z, 0-9, _ and -: it becomes a metric label and a header"
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
                        problems
                            .0
                            .push(format!("`{pair}` must be NAME=URL, as in mysql=http://127.0.0.1:10000"));
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
fn check_sqlite(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("sqlite: needs a path, as in sqlite:/data/library.db".into());
    }
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut magic = [0; 16];
    if file.read_exact(&mut magic).is_err() || magic != *SQLITE_MAGIC {
        return Err(format!("{} is not a SQLite database", path.display()));
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

fn primary(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    backends: &Pair<BackendConfig>,
    problems: &mut Problems,
) -> Option<Side> {
    let read_from_to = variables.read_from_postgres.map(|to| if to { Side::To } else { Side::From });
    let Some(name) = pick([&flags.primary, &variables.primary, &file.primary]) else { return read_from_to };
    let side = Side::BOTH.into_iter().find(|side| backends.get(*side).name == name);
    if side.is_none() {
        problems.0.push(format!(
            "primary `{name}` is none of the backends; choose `{}` or `{}`",
            backends.from.name, backends.to.name
        ));
    }
    side
}

fn admin(file: &File, variables: &Variables, flags: &Flags, problems: &mut Problems) -> AdminConfig {
    let token_file = [&flags.admin_token_file, &variables.admin_token_file, &file.admin.token_file]
        .into_iter()
        .flatten()
        .next();
    let token = match &variables.admin_token {
        Some(token) if flags.admin_token_file.is_none() => Some(token.clone()),
        Some(_) | None => token_file.and_then(|path| problems.note(token(path))),
    };
    let read_token = match &variables.admin_read_token {
        Some(token) => Some(token.clone()),
        None => file.admin.read_token_file.as_ref().and_then(|path| problems.note(self::token(path))),
    };
    AdminConfig { token, read_token, open_metrics: file.admin.open_metrics, hosts: file.admin.hosts.clone() }
}

fn token(path: &Path) -> Result<Secret, String> {
    let problem = |why: String| format!("token file {}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|e| problem(e.to_string()))?;
    let mut text = String::new();
    file.take(TOKEN_MOST).read_to_string(&mut text).map_err(|e| problem(e.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(problem("it is empty; write the token on its first line".into()));
    }
    Ok(Secret::new(token.to_owned()))
}

fn check_admin(listen: Option<SocketAddr>, admin: &AdminConfig, problems: &mut Problems) {
    if let Some(address) = listen
        && !address.ip().to_canonical().is_loopback()
        && admin.token.is_none()
    {
        problems.0.push(format!(
            "admin_listen {address} is reachable from outside and there is no token; set --admin-token-file or \
             FLIPGATE_ADMIN_TOKEN, or listen on 127.0.0.1"
        ));
    }
    if admin.read_token.is_some() && admin.token.is_none() {
        problems
            .0
            .push("a read-only admin token without a full one would lock everybody out; set both".into());
    }
}

fn routes(file: &File, problems: &mut Problems) -> Option<Routes> {
    let preset = file.preset.as_deref().unwrap_or("ytv2");
    let (patterns, mut ignored): (&[&str], Vec<String>) = match preset {
        "ytv2" => (YTV2_ROUTES, vec![YTV2_IGNORED.to_owned()]),
        "none" => (&[], Vec::new()),
        other => {
            problems.0.push(format!("preset `{other}` is unknown; choose `ytv2` or `none`"));
            return None;
        }
    };
    ignored.extend(file.ignore.iter().cloned());
    let preset = patterns.iter().filter(|pattern| !file.routes.iter().any(|spec| spec.pattern == **pattern));
    let preset = preset.map(|pattern| RouteSpec { pattern: (*pattern).to_owned(), ..RouteSpec::default() });
    let specs: Vec<RouteSpec> = preset.chain(file.routes.iter().cloned()).collect();
    let routes = specs.iter().filter_map(|spec| route(spec, &ignored, problems)).collect();
    problems.note(Routes::new(routes))
}

fn route(spec: &RouteSpec, ignored: &[String], problems: &mut Problems) -> Option<Route> {
    let pattern = &spec.pattern;
    if pattern.is_empty() {
        problems
            .0
            .push("a [[routes]] entry has no `match`; name its path, as in match = \"/api/reports\"".into());
        return None;
    }
    if spec.head == Some(true) {
        problems.0.push(format!("route `{pattern}`: comparing HEAD is not built yet; leave out `head`"));
    }
    let rules = problems.note(rules(spec, ignored).map_err(|why| format!("route `{pattern}`: {why}")))?;
    Some(Route { pattern: pattern.clone(), rules: Arc::new(rules), required: spec.required.unwrap_or(true) })
}

fn rules(spec: &RouteSpec, ignored: &[String]) -> Result<Rules, String> {
    let classes =
        |names: &[String]| names.iter().map(|name| class(name)).collect::<Result<Vec<Class>, String>>();
    let mut written = RulesSpec {
        keys: spec.keys.clone().into_iter().collect(),
        order: spec.order.clone().into_iter().collect(),
        unordered: spec.unordered.clone(),
        ignore: ignored.iter().chain(&spec.ignore).cloned().collect(),
        html: spec.html.clone(),
        ignore_selectors: spec.ignore_selectors.clone(),
        only_selectors: spec.only_selectors.clone(),
        ..RulesSpec::default()
    };
    if let Some(mode) = &spec.compare {
        written.mode = mode.parse::<Mode>().map_err(|e| e.to_string())?;
    }
    if let Some(masks) = &spec.mask {
        let mask = |name: &String| name.parse::<Mask>().map_err(|e| format!("in `mask`: {e}"));
        written.mask = masks.iter().map(mask).collect::<Result<_, _>>()?;
    }
    if let Some(headers) = &spec.headers {
        written.headers.clone_from(headers);
    }
    match &spec.treat_as_equal {
        TreatAsEqual::Route(names) => written.treat_as_equal = classes(names)?,
        TreatAsEqual::Paths(paths) => {
            for (path, names) in paths {
                written.treat_as_equal_at.push((path.clone(), classes(names)?));
            }
        }
    }
    Rules::new(&written).map_err(|e| e.to_string())
}

fn class(name: &str) -> Result<Class, String> {
    name.parse::<Class>().map_err(|e| format!("in `treat_as_equal`: {e}"))
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

fn gate(file: &File, problems: &mut Problems) -> GateRules {
    let (spec, default) = (&file.gate, GateRules::default());
    GateRules {
        min_comparisons: spec.min_comparisons.unwrap_or(default.min_comparisons),
        max_mismatch_rate: problems.share(
            "gate.max_mismatch_rate",
            spec.max_mismatch_rate,
            default.max_mismatch_rate,
        ),
        max_failure_rate: problems.share(
            "gate.max_failure_rate",
            spec.max_failure_rate,
            default.max_failure_rate,
        ),
        max_uncompared: problems.share("gate.max_uncompared", spec.max_uncompared, default.max_uncompared),
        window: problems.seconds("gate.window", spec.window, default.window.as_secs()),
    }
}

/// Writes go to one backend until mirroring is built; what asks for more is told so.
fn writes(file: &File, variables: &Variables, problems: &mut Problems) -> Vec<String> {
    let mut warnings = Vec::new();
    match file.writes.mode.as_deref() {
        None | Some("primary") => {}
        Some("both") => problems.0.push(
            "writes.mode = \"both\" is not built yet; with \"primary\" each write goes to the leader only"
                .into(),
        ),
        Some(other) => {
            problems.0.push(format!("writes.mode `{other}` is unknown; choose `both` or `primary`"))
        }
    }
    if variables.dual_write == Some(true) {
        warnings.push(
            "DUAL_WRITE_MODE is true, but mirroring writes is not built yet: each write goes to the leader only"
                .to_owned(),
        );
    }
    warnings
}
