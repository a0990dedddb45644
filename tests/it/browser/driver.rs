//! The chromedriver that all tests of pages share, and how many browsers it may run at once.
//!
//! A guardian (a `sh` in a process group of its own) owns it and reads from a pipe whose other end this process holds;
//! however this process ends, the pipe closes, and the guardian ends chromedriver, which ends its browsers.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use tokio::sync::{Semaphore, SemaphorePermit};

const GUARDIAN: &str = include_str!("guardian.sh");

/// Browsers at once: one that loads a page takes a core.
const BROWSERS: usize = 2;

static PLACES: Semaphore = Semaphore::const_new(BROWSERS);

/// A running chromedriver; it ends when this is dropped, or this process ends.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) address: SocketAddr,
    /// Holds the pipe.
    _guardian: Child,
}

/// Leave to run one browser.
pub(crate) type Place = SemaphorePermit<'static>;

/// The shared chromedriver, started by whoever comes first, and a place on it once there is one.
pub(crate) async fn place() -> (SocketAddr, Place) {
    static SHARED: LazyLock<Result<Driver, String>> = LazyLock::new(Driver::start);
    let place = PLACES.acquire().await.unwrap();
    let shared = tokio::task::spawn_blocking(|| LazyLock::force(&SHARED)).await.unwrap();
    (shared.as_ref().unwrap_or_else(|error| panic!("{error}")).address, place)
}

impl Driver {
    /// Starts one and waits until it listens. Blocks.
    pub(crate) fn start() -> Result<Self, String> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(GUARDIAN).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut guardian = command.spawn().map_err(|error| format!("chromedriver needs `sh`: {error}"))?;
        let mut lines = BufReader::new(guardian.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| port(&line)).ok_or(
            "chromedriver is missing or does not start: run scripts/test, which installs it with chromium",
        )?;
        // Nobody may be held up by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _guardian: guardian })
    }
}

/// `ChromeDriver was started successfully on port 45725.`
fn port(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}
