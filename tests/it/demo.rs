//! `flipgate demo`: the main job, as a newcomer runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::client;
use crate::command::flipgate;
use crate::harness::{shared, wait_until};
use crate::metrics::Metrics;

pub(crate) fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipgate"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Exit code and standard output of a demo that ends by itself.
async fn once(arguments: &[&str]) -> (Option<i32>, String) {
    let output = demo(arguments).arg("--once").output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A demo that has sent its traffic and waits to be stopped; killed when dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    child: Child,
    /// Kept open, since it may say more.
    _said: Lines<BufReader<ChildStdout>>,
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Demo {
    /// Waits until it waits itself.
    pub(crate) async fn start(command: &mut Command) -> Self {
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut child = command.args(listen).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut proxy, mut admin) = (None, None);
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("proxy      http://") {
                proxy = Some(address.parse().unwrap());
            }
            if let Some(address) = line.strip_prefix("metrics    http://") {
                admin = Some(address.strip_suffix("/metrics").unwrap().parse().unwrap());
            }
            if line.starts_with("Stop with") {
                break;
            }
        }
        let (proxy, admin) = (proxy.expect("no proxy"), admin.expect("no admin side"));
        Self { child, _said: lines, proxy, admin }
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::parse(client::get(self.admin, "/metrics").await.unwrap().text())
    }

    /// Stops it as Ctrl-C does; gives its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.unwrap().unwrap().code()
    }
}

#[tokio::test]
async fn three_planted_defects_are_found() {
    let (code, said) = once(&["--rows", "30"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("planted ").count(), 3, "{said}");
    for path in
        ["has_audio` is true in sqlite and false in postgres", "categories/*` is missing", "indexed_at` is"]
    {
        assert!(said.contains(path), "no finding of {path}:\n{said}");
    }
    assert!(said.contains(" 0 not compared"), "{said}");
}

#[tokio::test]
async fn a_clean_copy_is_clean() {
    let (code, said) = once(&["--rows", "30", "--clean"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 differ, 0 not compared") && said.contains("0 findings"), "{said}");
}

#[tokio::test]
async fn every_read_of_the_real_library_gives_the_same_document() {
    let Some(shared) = shared() else { return };
    let library = shared.join("data/library.db");
    let before = std::fs::metadata(&library).unwrap().modified().unwrap();
    let (code, said) = once(&["--library", library.to_str().unwrap(), "--clean"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("content: 81 of 81 rows"), "{said}");
    assert_eq!(std::fs::metadata(&library).unwrap().modified().unwrap(), before, "it was written to");
}

#[tokio::test]
async fn with_traffic_reads_go_on_on_every_route() {
    let demo = Demo::start(&mut demo(&["--rows", "5", "--traffic", "--rate", "200"])).await;
    let count = async |route: &str| demo.metrics().await.sum("flipgate_requests_total", &[("route", route)]);
    for route in ["/api/reports", "/api/reports/{id}", "/{stem}.json", "/{stem}.html"] {
        let before = count(route).await;
        wait_until("reads go on", async || count(route).await > before).await;
    }
    // What it found at first is its exit code, whatever was found since.
    assert_eq!(demo.stop().await, Some(1));
}

#[tokio::test]
async fn a_library_that_is_none_is_named() {
    let output = demo(&["--library", "Cargo.toml", "--once"]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Cargo.toml cannot be copied"), "{said}");
}

#[tokio::test]
async fn the_library_alone_is_written_once_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (path, missing) = (directory.path().join("library.db"), directory.path().join("none/library.db"));
    let write = async |path: &Path| {
        let path = path.to_str().unwrap();
        flipgate(&["demo", "--rows", "7", "--write-library", path]).await
    };
    for said in ["7 generated records", "is there and stays as it is"] {
        let told = write(&path).await;
        assert!(told.code == 0 && told.out.contains(said), "{told:?}");
        let records: i64 = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM content", [], |row| row.get(0))
            .unwrap();
        assert_eq!(records, 7);
    }
    write(&missing).await.assert_one_sentence(3, "cannot be written");
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["library.db"], "more than the library is left");
}

#[tokio::test]
async fn it_goes_on_until_it_is_stopped_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Root's PostgreSQL runs as another user, who must get in.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let demo = Demo::start(demo(&["--rows", "5", "--clean"]).env("TMPDIR", directory.path())).await;
    let answer = client::get(demo.proxy, "/api/filters").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(demo.stop().await, Some(0));
    wait_until("nothing is left behind", async || {
        std::fs::read_dir(directory.path()).unwrap().next().is_none()
    })
    .await;
}
