//! The log: one line an event on standard error, never a body, a token or a full query.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sets the log up; `FLIPGATE_LOG` (as in `RUST_LOG`: `info`, `flipgate=debug`) says how much. A second call changes
/// nothing.
pub fn init(default: &str) {
    let filter = std::env::var("FLIPGATE_LOG")
        .ok()
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only one log can be set; the first one stays.
    let _ = log.try_init();
}
