//! `flipgate serve` and `flipgate check-config`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CLEAN, COULD_NOT_RUN, UNUSABLE, failed};
use crate::app::App;
use crate::config::{Config, Environment, Flags};
use crate::telemetry;

/// Stand in front of the application: answer reads from both stores, compare, count.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate serve --sqlite http://127.0.0.1:10000 --postgres http://127.0.0.1:10001
  flipgate serve --sqlite sqlite:library.db --postgres postgres://user@db/library
  flipgate serve --from mysql=http://127.0.0.1:1 --to postgres=http://127.0.0.1:2 --config flipgate.toml

Each flag but NAME=URL pairs also has a FLIPGATE_ variable (FLIPGATE_LISTEN, …); DATABASE_URL, READ_FROM_POSTGRES,
DUAL_WRITE_MODE, SYNC_SECRET and INGEST_TOKEN are honoured. Writes on the allow-list go to both stores; with --state
(several replicas) they go to the leader only.")]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: ConfigFlags,
}

/// Check a configuration and say what it means, without running it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  flipgate check-config --config flipgate.toml")]
pub(super) struct CheckArguments {
    #[command(flatten)]
    flags: ConfigFlags,
}

#[derive(Debug, Args)]
struct ConfigFlags {
    /// TOML file; variables and flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where operators connect [default: 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// The store moved from: http://…, https://…, sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    sqlite: Option<String>,
    /// The store moved to: http://…, https://…, sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// The store moved from, under another name
    #[arg(long, value_name = "NAME=URL", conflicts_with = "sqlite")]
    from: Option<String>,
    /// The store moved to, under another name
    #[arg(long, value_name = "NAME=URL", conflicts_with = "postgres")]
    to: Option<String>,
    /// Takes what neither backend answers [default: the leader, if it is an HTTP server]
    #[arg(long, value_name = "URL")]
    dashboard: Option<String>,
    /// Who serves first; counts only where no state exists yet
    #[arg(long, value_name = "NAME")]
    primary: Option<String>,
    /// Where the state is kept [default: ./flipgate-state]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// PostgreSQL that keeps the state of several replicas
    #[arg(long, value_name = "URL")]
    state: Option<String>,
    /// File with the admin side's token
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Put the first backend behind both names and measure what differs all the same
    #[arg(long)]
    self_check: bool,
}

impl From<ConfigFlags> for Flags {
    fn from(flags: ConfigFlags) -> Self {
        Flags {
            config: flags.config,
            listen: flags.listen,
            admin_listen: flags.admin_listen,
            sqlite: flags.sqlite,
            postgres: flags.postgres,
            from: flags.from,
            to: flags.to,
            dashboard: flags.dashboard,
            primary: flags.primary,
            state_dir: flags.state_dir,
            admin_token_file: flags.admin_token_file,
            state: flags.state,
            self_check: flags.self_check,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("info");
    let config = match Config::load(&arguments.flags.into(), &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => return failed(UNUSABLE, &error.to_string()),
    };
    let app = match App::start(config).await {
        Ok(app) => app,
        Err(error) => return failed(COULD_NOT_RUN, &error.to_string()),
    };
    // Watched before anyone is told that it runs: a signal that comes sooner would end it with requests in flight.
    let stopped = stop_signal();
    // One line that scripts read: both addresses, once both are bound.
    println!("flipgate: proxy http://{} admin http://{}", app.proxy_address, app.admin_address);
    stopped.await;
    tracing::info!("stopping: requests in flight are finished first");
    app.stop().await;
    ExitCode::from(CLEAN)
}

pub(super) fn check(arguments: CheckArguments) -> ExitCode {
    match Config::load(&arguments.flags.into(), &Environment::of_process()) {
        Ok(config) => {
            println!("from      {} ({})", config.backends.from.name, config.backends.from.source);
            println!("to        {} ({})", config.backends.to.name, config.backends.to.source);
            println!("listen    {} (admin {})", config.listen, config.admin_listen);
            println!("state     {}", config.state_dir.display());
            if config.state.is_some() {
                println!("replicas  share their state in PostgreSQL");
            }
            println!("clients   told apart by {}", config.sticky.by());
            for (_, route) in config.routes.iter() {
                println!(
                    "compare   {}{}",
                    route.pattern,
                    if route.required { "" } else { " (not required)" }
                );
            }
            for warning in &config.warnings {
                println!("warning   {warning}");
            }
            ExitCode::from(CLEAN)
        }
        Err(error) => failed(UNUSABLE, &error.to_string()),
    }
}

/// Watches for Ctrl-C and SIGTERM from now on; ends when one came.
pub fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            tracing::warn!("signals cannot be watched; stop flipgate with SIGKILL");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
