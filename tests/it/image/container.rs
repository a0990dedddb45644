//! A container by hand: a root that holds what the image would, and a process in it that may do what one in the
//! container may. util-linux does what an engine does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::BINARY;
use super::dockerfile::Stage;
use crate::command::Told;
use crate::harness::addresses;

/// How long any step may take; far more than any needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mounts of `docker run --read-only --tmpfs /tmp -v STATE:VOLUME`; the process that makes them becomes the one that
/// runs, and they end with it.
const MOUNTS: &str = r#"
mount --bind "$1" "$1"
mount -t tmpfs -o size=16m,mode=1777 tmpfs "$1/tmp"
mount --bind "$2" "$1$3"
mount -o remount,bind,ro "$1"
shift 3
exec "$@"
"#;

/// What keeps the process from writing to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// A read-only mount.
    ReadOnly,
    /// Only that it belongs to somebody else.
    Writable,
}

/// The image's files, laid out.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) root: Root,
    stage: Stage,
    files: TempDir,
    /// What is mounted at the volume.
    state: TempDir,
}

/// A running `flipgate serve` in it; killed when dropped.
#[derive(Debug)]
pub(super) struct Served<'c> {
    container: &'c Container,
    child: Child,
    pub(super) proxy: SocketAddr,
    pub(super) admin: SocketAddr,
}

// === impl Container ===

impl Container {
    /// Lays the image out; `None`, and said loudly, where this machine does not let us.
    pub(super) fn of(stage: &Stage, root: Root) -> Option<Self> {
        let libraries = libraries()?;
        if let Err(why) = permitted(root) {
            eprintln!("SKIPPED: the image is not run with a {root:?} root: {why}");
            return None;
        }
        let container = Self {
            root,
            stage: stage.clone(),
            files: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        };
        container.lay_out(&libraries);
        Some(container)
    }

    fn lay_out(&self, libraries: &[PathBuf]) {
        let (user, group) = self.stage.user();
        std::fs::set_permissions(self.files.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for directory in ["/tmp", "/etc", "/usr/local/bin", self.volume()] {
            let mode = if directory == "/tmp" { 0o1777 } else { 0o755 };
            let path = self.host(directory);
            std::fs::DirBuilder::new().recursive(true).create(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::write(
            self.host("/etc/passwd"),
            format!("nonroot:x:{user}:{group}:nonroot:/:/sbin/nologin\n"),
        )
        .unwrap();
        for volume in [self.state.path(), &self.host(self.volume())] {
            chown(volume, Some(user), Some(group)).unwrap();
        }
        for library in libraries {
            let target = self.host(library.to_str().unwrap());
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(target.parent().unwrap()).unwrap();
            std::fs::copy(library, target).unwrap();
        }
        let (built, binary) = (env!("CARGO_BIN_EXE_flipgate"), self.host(BINARY));
        if std::fs::hard_link(built, &binary).is_err() {
            std::fs::copy(built, &binary).unwrap();
        }
    }

    fn volume(&self) -> &str {
        self.stage.one("VOLUME")
    }

    /// Where a path of the container lies on this machine.
    fn host(&self, path: &str) -> PathBuf {
        self.files.path().join(path.trim_start_matches('/'))
    }

    /// Runs flipgate in a container of its own until it ends.
    pub(super) async fn run(&self, arguments: &[String], environment: &[(&str, &str)]) -> Told {
        told(self.command(None, Some(self.stage.user()), arguments, environment)).await
    }

    /// Starts it and waits until it listens.
    pub(super) async fn start(&self, arguments: &[String], environment: &[(&str, &str)]) -> Served<'_> {
        let mut command = self.command(None, Some(self.stage.user()), arguments, environment);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it starts in time").unwrap();
        let line = line.expect("it starts; what it says is above");
        let reached = |address: SocketAddr| {
            assert!(address.ip().is_unspecified(), "{line}: not reachable from outside");
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        };
        let (proxy, admin) = addresses(&line).unwrap_or_else(|| panic!("not the line of addresses: {line}"));
        Served { container: self, child, proxy: reached(proxy), admin: reached(admin) }
    }

    /// Flipgate in a container of its own, or in that of a process; as a user, or as root with all it may do.
    fn command(
        &self,
        beside: Option<u32>,
        user: Option<(u32, u32)>,
        arguments: &[String],
        environment: &[(&str, &str)],
    ) -> Command {
        let (root, state) = (self.files.path().to_str().unwrap(), self.state.path().to_str().unwrap());
        let mut words: Vec<String> = match (self.root, beside) {
            (Root::Writable, _) => Vec::new(),
            (Root::ReadOnly, Some(process)) => {
                ["nsenter", "--mount", "--target", &process.to_string()].map(str::to_owned).to_vec()
            }
            (Root::ReadOnly, None) => {
                let mounted = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", MOUNTS, "sh"];
                [&mounted[..], &[root, state, self.volume()]]
                    .concat()
                    .into_iter()
                    .map(str::to_owned)
                    .collect()
            }
        };
        words.extend(
            ["setpriv", "--no-new-privs", "unshare", "--root", root, "--wd", self.volume()]
                .map(str::to_owned),
        );
        if let Some((user, group)) = user {
            words.extend([format!("--setgid={group}"), format!("--setuid={user}")]);
        }
        words.push(BINARY.to_owned());
        words.extend_from_slice(arguments);
        let mut command = Command::new(&words[0]);
        // The image's environment and no PATH; only the ports are others, since this machine's may be taken.
        command.args(&words[1..]).env_clear().envs(self.stage.environment());
        command.env("FLIPGATE_LISTEN", "0.0.0.0:0").env("FLIPGATE_ADMIN_LISTEN", "0.0.0.0:0");
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        command
    }

    /// Every file of the image with its length and the time of its last change. What is mounted over it is not seen.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut files = listed(self.files.path());
        if self.root == Root::Writable {
            let written = [self.host("/tmp"), self.host(self.volume())];
            files.retain(|path, _| !written.iter().any(|directory| path.starts_with(directory)));
        }
        files
    }

    pub(super) fn assert_owns_its_state(&self, (user, group): (u32, u32)) {
        let state = match self.root {
            Root::ReadOnly => self.state.path().to_owned(),
            Root::Writable => self.host(self.volume()),
        };
        let files = listed(&state);
        assert!(files.contains_key(&state.join("samples.db")), "no state was kept: {files:?}");
        for path in files.keys() {
            let metadata = std::fs::metadata(path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (user, group), "{}", path.display());
        }
    }
}

// === impl Served ===

impl Served<'_> {
    /// Runs flipgate beside it, in the same root and as the same user.
    pub(super) async fn run(&self, arguments: &[String], environment: &[(&str, &str)]) -> Told {
        let user = Some(self.container.stage.user());
        told(self.container.command(self.child.id(), user, arguments, environment)).await
    }

    /// The same as root, whom no owner of a directory keeps from writing.
    pub(super) async fn run_as_root(&self, arguments: &[String]) -> Told {
        told(self.container.command(self.child.id(), None, arguments, &[])).await
    }

    pub(super) fn assert_without_privileges(&self, (user, group): (u32, u32)) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let status: BTreeMap<&str, Vec<&str>> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, values)| (name, values.split_whitespace().collect()))
            .collect();
        assert_eq!(status["Name"], ["flipgate"], "another process than flipgate is looked at");
        assert_eq!(status["Uid"], vec![user.to_string(); 4]);
        assert_eq!(status["Gid"], vec![group.to_string(); 4]);
        assert_eq!(status["Groups"], Vec::<&str>::new());
        assert_eq!(status["NoNewPrivs"], ["1"]);
        for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[capabilities], ["0000000000000000"], "{capabilities}");
        }
    }

    /// Stops it by the signal that the image names.
    pub(super) async fn stop(mut self) {
        let signal: Signal = self.container.stage.one("STOPSIGNAL").parse().unwrap();
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it stops in time").unwrap();
        assert_eq!(ended.code(), Some(0));
    }
}

/// What the binary is linked to; `None`, and said loudly, where that cannot be found out.
pub(super) fn libraries() -> Option<Vec<PathBuf>> {
    let Ok(output) = std::process::Command::new("ldd").arg(env!("CARGO_BIN_EXE_flipgate")).output() else {
        eprintln!("SKIPPED: the image is not made, since this machine has no `ldd`");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let word = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Some(text.lines().filter_map(word).collect())
}

/// Whether this machine lets us do what an engine does.
fn permitted(root: Root) -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("only root may change a process's root and user".to_owned());
    }
    let attempt: &[&str] = match root {
        Root::ReadOnly => &["--mount", "--propagation", "private", "mount", "--bind", "/tmp", "/tmp"],
        Root::Writable => &["--root", "/", "true"],
    };
    let output = std::process::Command::new("unshare").args(attempt).output();
    let output = output.map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

async fn told(mut command: Command) -> Told {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("it ends in time");
    Told::of(output.unwrap())
}

fn listed(directory: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            files.extend(listed(&entry.path()));
        } else {
            files.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
    files
}
