//! The table that is printed, and the goals it is held to.

use std::collections::BTreeMap;

use crate::contenders::{Contender, ORDER};
use crate::measure::Spent;

const MAX_MEMORY_MB: f64 = 150.0;
/// Times the floor, pgloader and the loop of INSERTs that a copy must be as fast as.
const SPEEDS: [(Contender, f64); 3] =
    [(Contender::Floor, 0.7), (Contender::Pgloader, 1.1), (Contender::Inserts, 2.5)];

pub(crate) struct Results {
    rows: u32,
    runs: BTreeMap<Contender, Vec<Spent>>,
    skipped: BTreeMap<Contender, String>,
}

/// One goal, and how far it was met.
struct Goal {
    name: String,
    is: f64,
    goal: f64,
    at_most: bool,
}

// === impl Results ===

impl Results {
    pub(crate) fn new(rows: u32) -> Self {
        Self { rows, runs: BTreeMap::new(), skipped: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, contender: Contender, spent: &Spent) {
        self.runs.entry(contender).or_default().push(spent.clone());
    }

    pub(crate) fn skip(&mut self, contender: Contender, why: String) {
        self.skipped.insert(contender, why);
    }

    pub(crate) fn print(&self) {
        println!("{:<38} {:>9} {:>9} {:>9} {:>9}", "", "seconds", "rows/s", "peak MB", "floor ×");
        let floor = self.seconds(Contender::Floor);
        for contender in ORDER {
            let Some(seconds) = self.seconds(contender) else { continue };
            let peak = self.peak_mb(contender).map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0}"));
            let ratio = floor.map_or(f64::NAN, |floor| floor / seconds);
            let rows = f64::from(self.rows) / seconds;
            println!("{:<38} {seconds:>9.2} {rows:>9.0} {peak:>9} {ratio:>9.2}", contender.name());
        }
        for (contender, why) in &self.skipped {
            println!("SKIPPED: {}: {}", contender.name(), why.lines().last().unwrap_or_default());
        }
        println!("\n{:<38} {:>9} {:>9}", "goals", "is", "goal");
        for goal in self.goals() {
            let (relation, verdict) =
                (if goal.at_most { "≤" } else { "≥" }, if goal.met() { "" } else { "  MISSED" });
            println!(
                "{:<38} {:>9.2} {:>9}{verdict}",
                goal.name,
                goal.is,
                format!("{relation} {:.2}", goal.goal)
            );
        }
        println!("{} of {} missed", self.missed(), self.goals().len());
    }

    pub(crate) fn missed(&self) -> usize {
        self.goals().iter().filter(|goal| !goal.met()).count()
    }

    fn goals(&self) -> Vec<Goal> {
        let Some(migrate) = self.seconds(Contender::Migrate) else { return Vec::new() };
        let mut goals = Vec::new();
        for (other, goal) in SPEEDS {
            if let Some(seconds) = self.seconds(other) {
                let name = format!("migrate is as fast as {}, times", other.short());
                goals.push(Goal { name, is: seconds / migrate, goal, at_most: false });
            }
        }
        if let Some(is) = self.peak_mb(Contender::Migrate) {
            let name = "migrate, peak memory in MB".to_owned();
            goals.push(Goal { name, is, goal: MAX_MEMORY_MB, at_most: true });
        }
        if let Some(seconds) = self.seconds(Contender::Verify) {
            let name = "verify, in times of migrate".to_owned();
            goals.push(Goal { name, is: seconds / migrate, goal: 1.0, at_most: true });
        }
        goals
    }

    fn seconds(&self, contender: Contender) -> Option<f64> {
        let runs = self.runs.get(&contender)?;
        Some(median(runs.iter().map(|spent| spent.seconds).collect()))
    }

    fn peak_mb(&self, contender: Contender) -> Option<f64> {
        let peak = self.runs.get(&contender)?.iter().filter_map(|spent| spent.peak_bytes).max()?;
        Some(peak as f64 / f64::from(1 << 20))
    }
}

// === impl Goal ===

impl Goal {
    fn met(&self) -> bool {
        if self.at_most { self.is <= self.goal } else { self.is >= self.goal }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
