//! The container image and `compose.yaml`, without a container engine: the Dockerfile is read, the runtime stage's files
//! are laid out as a root of their own, and the binary runs in it as the image says.

mod compose;
mod container;
mod dockerfile;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::container::{Container, Root, libraries};
use self::dockerfile::{Copied, Dockerfile, Stage};
use crate::client;
use crate::command::Told;
use crate::harness::wait_until;
use crate::metrics::Metrics;
use crate::upstream::{Reply, Upstream};

/// Shared libraries of the base, as far as a Rust program links to them.
const BASE: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Where the image has the binary.
const BINARY: &str = "/usr/local/bin/flipgate";

const TOKEN: (&str, &str) = ("FLIPGATE_ADMIN_TOKEN", "hush-full");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn runtime() -> Stage {
    Dockerfile::parse(&read("Dockerfile")).runtime().clone()
}

#[test]
fn the_build_uses_the_project_s_toolchain_and_the_base_is_of_the_same_debian() {
    let dockerfile = Dockerfile::parse(&read("Dockerfile"));
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let bases: Vec<&str> = dockerfile.stages.iter().map(|stage| stage.base.as_str()).collect();
    assert_eq!(bases, [&format!("rust:{channel}-bookworm"), "gcr.io/distroless/cc-debian12:nonroot"]);
    for line in dockerfile.stages[0].all("RUN").iter().filter(|line| line.contains("cargo")) {
        assert!(line.contains("--locked"), "{line}");
    }
}

#[test]
fn the_image_holds_the_binary_and_a_place_for_its_state() {
    let stage = runtime();
    let copied = |owner: Option<&str>, source: &str, target: &str| Copied {
        stage: Some("build".to_owned()),
        owner: owner.map(str::to_owned),
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let volume = stage.one("VOLUME");
    assert_eq!(
        stage.copied(),
        [copied(None, "/out/flipgate", BINARY), copied(Some("65532:65532"), "/out/state", volume)]
    );
    for other in ["ADD", "RUN", "SHELL"] {
        assert!(stage.all(other).is_empty(), "{other} adds to the image what is not declared");
    }
    assert_eq!(stage.environment()["FLIPGATE_STATE_DIR"], volume);
    assert_eq!(stage.one("WORKDIR"), volume);
    assert_eq!(stage.exec("ENTRYPOINT"), [BINARY]);
    assert_eq!(stage.exec("CMD"), ["serve"]);
    assert_eq!(stage.one("STOPSIGNAL"), "SIGTERM");
    assert_eq!(stage.user(), (65532, 65532));
    assert_eq!(stage.health()[0], BINARY);
}

#[test]
fn the_image_listens_where_it_says_and_is_asked_there() {
    let stage = runtime();
    let environment = stage.environment();
    let ports: Vec<&str> = ["FLIPGATE_LISTEN", "FLIPGATE_ADMIN_LISTEN"]
        .iter()
        .map(|name| environment[*name].strip_prefix("0.0.0.0:").expect("from outside the container"))
        .collect();
    assert_eq!(stage.one("EXPOSE").split(' ').collect::<Vec<_>>(), ports);
    // The health check says no URL: it asks where every command asks unless it is told otherwise.
    let help = read("tests/it/snapshots/it__cli_operate__help_status.snap");
    assert!(help.contains(&format!("else http://127.0.0.1:{}.", ports[1])), "{help}");
}

#[test]
fn the_base_has_all_that_the_binary_links_to() {
    let Some(libraries) = libraries() else { return };
    assert!(!libraries.is_empty());
    for library in libraries {
        let name = library.file_name().unwrap().to_str().unwrap();
        assert!(BASE.contains(&name), "{name} is not in the base; change that, or copy it from the build");
    }
}

#[test]
fn the_build_gets_all_that_the_binary_is_made_of() {
    let ignored = read(".dockerignore");
    let lines: Vec<&str> =
        ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(lines[0], "*", "all else that lies here would be sent to the build");
    let sent: Vec<&Path> = lines[1..].iter().map(|line| Path::new(line.strip_prefix('!').unwrap())).collect();
    let mut needed = included(&repository().join("src"));
    needed.extend(["Cargo.toml", "Cargo.lock", "src/main.rs", "templates/cards.html"].map(PathBuf::from));
    assert!(needed.len() > 10, "{needed:?}");
    for file in needed {
        let is_sent = sent.iter().any(|sent| file.starts_with(sent));
        assert!(is_sent, "{} is not sent to the build: add it to .dockerignore", file.display());
    }
}

/// The files below a directory of sources that `include_str!` and `include_bytes!` name.
fn included(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(included(&path));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for macro_name in ["include_str!(", "include_bytes!("] {
            for rest in text.split(macro_name).skip(1) {
                let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                let name = name.unwrap_or_else(|| panic!("{}: not a plain name", path.display()));
                let file = directory.join(name).canonicalize().unwrap_or_else(|e| panic!("{name}: {e}"));
                found.insert(file.strip_prefix(repository()).unwrap().to_owned());
            }
        }
    }
    found
}

/// Else every build would fail at the layer of dependencies.
#[test]
fn the_dependency_layer_has_all_that_the_manifest_wants() {
    let dockerfile = Dockerfile::parse(&read("Dockerfile"));
    let (layer, build) = dockerfile.stages[0].all("RUN")[0].rsplit_once("&&").unwrap();
    assert!(build.trim().starts_with("cargo build "), "{build}");
    let directory = tempfile::tempdir().unwrap();
    for name in ["Cargo.toml", "Cargo.lock"] {
        std::fs::copy(repository().join(name), directory.path().join(name)).unwrap();
    }
    let made = Command::new("sh").args(["-ec", layer]).current_dir(directory.path()).status().unwrap();
    assert!(made.success());
    // Reads the manifest as a build does. Whatever else it may miss offline, the build gets.
    let read = Command::new(env!("CARGO"))
        .args(["fetch", "--offline", "--locked"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(!said.contains("failed to parse manifest"), "{said}");
}

/// The image's own root, read-only as `docker run --read-only` makes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_image_runs_read_only_as_nobody() {
    let Some(container) = Container::of(&runtime(), Root::ReadOnly) else { return };
    assert_runs(container).await;
}

/// The same where nothing may be mounted: then the directories' owner keeps it from writing.
#[tokio::test(flavor = "multi_thread")]
async fn the_image_runs_as_nobody_where_only_its_volume_is_its_own() {
    let Some(container) = Container::of(&runtime(), Root::Writable) else { return };
    assert_runs(container).await;
}

async fn assert_runs(container: Container) {
    let stage = runtime();
    let (from, to) =
        (Upstream::always(Reply::json("{\"n\":1}")).await, Upstream::always(Reply::json("{\"n\":1}")).await);
    let (from, to) = (from.url(), to.url());
    let stores = [("FLIPGATE_SQLITE", from.as_str()), ("FLIPGATE_POSTGRES", to.as_str())];
    let before = container.files();

    let refused = container.run(&stage.exec("CMD"), &stores).await;
    refused.assert_one_sentence(2, "reachable from outside and there is no token");
    let ill = container.run(&stage.health()[1..], &[("FLIPGATE_ADMIN", "http://127.0.0.1:9")]).await;
    ill.assert_one_sentence(3, "got no answer");

    let served = container.start(&stage.exec("CMD"), &[&stores[..], &[TOKEN]].concat()).await;
    let admin = format!("http://{}", served.admin);
    let healthy = served.run(&stage.health()[1..], &[("FLIPGATE_ADMIN", &admin)]).await;
    assert_eq!((healthy.code, healthy.out.as_str()), (0, "flipgate runs\n"), "{healthy:?}");
    assert_eq!(client::get(served.proxy, "/api/filters").await.unwrap().text(), "{\"n\":1}");
    let token = [("Authorization", "Bearer hush-full")];
    wait_until("the answer is compared", async || {
        let scrape = client::request(served.admin, "GET", "/metrics", &token, b"").await.unwrap();
        let outcomes = Metrics::parse(scrape.text()).by("flipgate_outcomes_total", "outcome");
        outcomes.get("match") == Some(&1.0)
    })
    .await;

    served.assert_without_privileges(stage.user());
    for (place, writable) in
        [("", false), ("/usr/local/bin", false), ("/etc", false), ("/tmp", true), (stage.one("VOLUME"), true)]
    {
        let file = format!("{place}/extra.db");
        let write = ["demo", "--rows", "1", "--write-library", &file].map(str::to_owned);
        let told = served.run(&write, &[]).await;
        assert_eq!(told.code, if writable { 0 } else { 3 }, "{file}: {told:?}");
        if !writable && container.root == Root::ReadOnly {
            let told: Told = served.run_as_root(&write).await;
            told.assert_one_sentence(3, "Read-only file system");
        }
    }

    served.stop().await;
    assert_eq!(container.files(), before, "something was written outside the volume");
    container.assert_owns_its_state(stage.user());
}
