//! How far a copy is: a bar with rows/s and the time left on a terminal, a log line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two log lines.
const EVERY: Duration = Duration::from_secs(5);
const TEMPLATE: &str = "{msg:18} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";

/// Progress of one table.
pub(super) struct Progress {
    table: &'static str,
    bar: Option<ProgressBar>,
    rows: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Begins; a bar is drawn where `shown` says so and standard error is a terminal.
    pub(super) fn new(table: &'static str, shown: bool) -> Self {
        let now = Instant::now();
        let bar = shown.then(|| {
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_message(table)
        });
        Self { table, bar, rows: 0, started: now, told: now }
    }

    /// `rows` more of `of` are done.
    pub(super) fn advance(&mut self, rows: u64, of: u64) {
        self.rows += rows;
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(self.rows);
        }
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell(of);
        }
    }

    fn tell(&self, of: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = self.rows as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        tracing::info!(table = self.table, rows = self.rows, of, "{rate:.0} rows/s");
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
