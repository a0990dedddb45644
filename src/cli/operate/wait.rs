//! Waiting for the gate: asks once a second, tells when something changed, and then makes the change.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::change::Change;
use super::readiness::Readiness;
use super::remote::Remote;
use super::reply::{Failure, Refusal, Reply};
use super::table::{complain, list, unmet};

/// Time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Conditions told each time.
const FIRST: usize = 3;
/// How often figures alone are news: a condition that comes nearer does so every second.
const NEWS: Duration = Duration::from_secs(30);
/// Longest wait, in days.
const DAYS: u64 = 30;

/// A change that waits for the gate.
#[derive(Debug)]
pub(super) struct Wait<'w> {
    remote: &'w Remote,
    change: &'w Change,
    patience: Duration,
    deadline: Instant,
    told: Option<(Instant, Readiness)>,
    /// Whether the latest question found nobody.
    lost: bool,
    /// The gate's latest refusal.
    refusal: Option<Box<Refusal>>,
}

// === impl Wait ===

impl<'w> Wait<'w> {
    pub(super) fn new(remote: &'w Remote, change: &'w Change, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        Wait { remote, change, patience, deadline, told: None, lost: false, refusal: None }
    }

    /// Waits, and makes the change.
    ///
    /// # Errors
    /// [`Failure::Refused`] if time runs out, or waiting cannot help.
    pub(super) async fn run(mut self) -> Result<Reply, Failure> {
        // What is not taken at all (an unknown name, a token that may only read) is told now and not after an hour.
        let mut outcome = self.change.send(self.remote, true).await;
        let mut dry = true;
        loop {
            match outcome {
                Ok(reply) if !dry || self.change.is_dry() => return Ok(reply),
                Ok(_would_be_done) => {}
                Err(Failure::Refused(refusal)) if self.is_worth_waiting(&refusal).await => {
                    self.tell(refusal.readiness.clone());
                    self.refusal = Some(refusal);
                    self.until_ready().await?;
                }
                Err(failure) => return Err(failure),
            }
            dry = self.change.is_dry();
            outcome = self.change.send(self.remote, dry).await;
        }
    }

    /// Whether the gate refused, and not the comparison with what was expected.
    async fn is_worth_waiting(&self, refusal: &Refusal) -> bool {
        refusal.readiness.ready == Some(false)
            && self.remote.get("/api/status").await.is_ok_and(|status| self.change.expects(&status.document))
    }

    async fn until_ready(&mut self) -> Result<(), Failure> {
        loop {
            let next = (Instant::now() + PAUSE).min(self.deadline);
            sleep_until(next).await;
            if next == self.deadline {
                return Err(self.timed_out());
            }
            match timeout_at(self.deadline, self.remote.get("/api/readiness")).await {
                Err(_) => return Err(self.timed_out()),
                Ok(Ok(reply)) => {
                    if std::mem::take(&mut self.lost) {
                        complain("it answers again");
                    }
                    let readiness = Readiness::of(&reply.document);
                    if readiness.ready == Some(true) {
                        return Ok(());
                    }
                    self.refusal = Some(Box::new(Refusal::of(&reply)));
                    self.tell(readiness);
                }
                // It was there a moment ago: a restart must not end an hour of waiting.
                Ok(Err(Failure::CouldNotRun(why))) => {
                    if !std::mem::replace(&mut self.lost, true) {
                        complain(&format!("{why}; trying again until time is up"));
                    }
                }
                Ok(Err(failure)) => return Err(failure),
            }
        }
    }

    fn tell(&mut self, readiness: Readiness) {
        let now = Instant::now();
        let is_news = self.told.as_ref().is_none_or(|(at, told)| {
            told.names != readiness.names || (*told != readiness && now.duration_since(*at) >= NEWS)
        });
        if !is_news {
            return;
        }
        complain(&format!("waiting: {}", unmet(readiness.unmet.len())));
        let mut first: Vec<String> = readiness.unmet.iter().take(FIRST).cloned().collect();
        if let Some(more) = readiness.unmet.len().checked_sub(FIRST).filter(|more| *more > 0) {
            first.push(format!("and {more} more"));
        }
        list(&first);
        self.told = Some((now, readiness));
    }

    fn timed_out(&mut self) -> Failure {
        let mut refusal = self.refusal.take().unwrap_or_default();
        let count = refusal.readiness.unmet.len();
        let lost = if self.lost { ", and it does not answer now" } else { "" };
        refusal.why = format!(
            "not ready within {}: {}{lost}; {} was not made",
            shown(self.patience),
            unmet(count),
            self.change.what
        );
        Failure::Refused(refusal)
    }
}

/// A duration as `90s`, `30m`, `12h` or `2d` is one; seconds where no unit is given.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (count, unit) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        Some((at, 'd')) => (text.get(..at), 24 * 3600),
        Some(_) | None => (Some(text), 1),
    };
    let count: Option<u64> = count.and_then(|count| count.parse().ok());
    match count.and_then(|count| count.checked_mul(unit)) {
        Some(seconds) if (1..=DAYS * 24 * 3600).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(format!("must be above 0 and at most {DAYS}d")),
        None => Err("is no duration; write 90s, 30m, 12h or 2d".to_owned()),
    }
}

/// A duration in its largest whole unit.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 3600, 'd'), (3600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, letter) = whole.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_it_may_be_written() {
        for text in ["2d", "36h", "90m", "61s"] {
            assert_eq!(shown(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1.5h", "-1s", "+h", "1w", "0", "31d", "99999999999999999999s", "1 h", "1é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
