//! How fast a library is copied, as ratios in one run: `scripts/bench-migrate`, or `cargo bench --bench migrate`.
//!
//! The same rows go four ways into the same tables, each time into a fresh copy of a database that holds the schema and
//! nothing else: `psql \copy` from a dump (the floor: PostgreSQL's own work and next to none beside it), `flipgate
//! migrate` from SQLite, pgloader from that dump, and one INSERT a row in one transaction. Contenders are interleaved
//! round by round and medians compared, so that what else the machine does hits all alike; what each left in the tables
//! must be the same to the byte. `--costs` times the floor without single columns, indexes and checks instead, to show
//! what each of them costs. Everything lies in a temporary directory that goes at the end, also after Ctrl-C.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark that cannot go on may end"
)]

#[path = "migrate/contenders.rs"]
mod contenders;
#[path = "migrate/costs.rs"]
mod costs;
#[path = "migrate/dump.rs"]
mod dump;
#[path = "migrate/inserts.rs"]
mod inserts;
#[path = "migrate/lab.rs"]
mod lab;
#[path = "migrate/measure.rs"]
mod measure;
#[path = "migrate/report.rs"]
mod report;
#[path = "migrate/source.rs"]
mod source;

use std::process::ExitCode;

use clap::Parser;

use contenders::ORDER;
use dump::Dump;
use lab::Lab;
use report::Results;

#[derive(Debug, Parser)]
struct Options {
    /// Records to copy, each with a summary
    #[arg(long, default_value_t = 100_000)]
    rows: u32,
    /// Times each contender runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Time the floor without single columns, indexes and checks instead
    #[arg(long)]
    costs: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == measure::MIDDLEMAN) {
        return measure::middleman(arguments);
    }
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let code = runtime.block_on(async {
        // Dropping the work stops the server and removes all files.
        tokio::select! {
            code = run(&options) => code,
            () = flipgate::cli::stop_signal() => ExitCode::from(130),
        }
    });
    // A generator that is cut short needs not be waited for: its file is gone.
    runtime.shutdown_background();
    code
}

async fn run(options: &Options) -> ExitCode {
    let lab = Lab::open(options.rows).await;
    let dump = Dump::of_a_first_copy(&lab).await;
    println!(
        "flipgate {}: {} records of {:.1} KB with their summaries, {} round(s), {}",
        env!("CARGO_PKG_VERSION"),
        options.rows,
        lab.source_bytes() as f64 / f64::from(options.rows) / 1024.0,
        options.rounds,
        if options.costs { "the least" } else { "medians" }
    );
    if options.costs {
        costs::run(&lab, &dump, options.rounds).await;
        return ExitCode::SUCCESS;
    }
    let mut results = Results::new(options.rows);
    for _ in 0..options.rounds {
        for contender in ORDER {
            match contender.run(&lab, &dump).await {
                Ok(spent) => results.add(contender, &spent),
                Err(why) if contender.may_be_missing() => results.skip(contender, why),
                Err(why) => panic!("{}: {why}", contender.name()),
            }
        }
    }
    results.print();
    if results.missed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
