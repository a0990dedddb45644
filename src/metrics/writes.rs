//! Series of mirrored writes and of the journal they wait in.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{Metrics, gauge, gauges, registered};
use crate::side::{Pair, Side};

/// What became of a write at a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// The leader took it.
    Taken,
    /// The leader answered, and did not take it.
    Refused,
    /// The follower took it.
    Delivered,
    /// The follower did not take it now, and is asked again.
    Retried,
    /// Somebody must decide about it.
    Parked,
    /// Whether the leader took it is not known.
    InDoubt,
    /// An operator gave it up.
    Discarded,
    /// The leader could not be asked, so it has not taken it.
    Unreachable,
}

/// Why the journal did not take a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalRefusal {
    /// As many wait, or as many bytes, as may.
    Full,
    /// This one alone is longer than one may be.
    TooLarge,
    /// The disk did not take it.
    Disk,
    /// Too many are under way, or one of its keys for too long.
    Busy,
}

/// The series.
#[derive(Debug)]
pub(super) struct Writes {
    writes: IntCounterVec,
    pending: IntGaugeVec,
    parked: IntGaugeVec,
    in_doubt: IntGaugeVec,
    oldest: IntGaugeVec,
    bytes: IntGauge,
    refused: IntCounterVec,
}

// === impl WriteResult ===

impl WriteResult {
    const ALL: [WriteResult; 8] = [
        WriteResult::Taken,
        WriteResult::Refused,
        WriteResult::Delivered,
        WriteResult::Retried,
        WriteResult::Parked,
        WriteResult::InDoubt,
        WriteResult::Discarded,
        WriteResult::Unreachable,
    ];

    fn label(self) -> &'static str {
        match self {
            WriteResult::Taken => "taken",
            WriteResult::Refused => "refused",
            WriteResult::Delivered => "delivered",
            WriteResult::Retried => "retried",
            WriteResult::Parked => "parked",
            WriteResult::InDoubt => "in_doubt",
            WriteResult::Discarded => "discarded",
            WriteResult::Unreachable => "unreachable",
        }
    }
}

// === impl JournalRefusal ===

impl JournalRefusal {
    const ALL: [JournalRefusal; 4] =
        [JournalRefusal::Full, JournalRefusal::TooLarge, JournalRefusal::Disk, JournalRefusal::Busy];

    fn label(self) -> &'static str {
        match self {
            JournalRefusal::Full => "full",
            JournalRefusal::TooLarge => "too_large",
            JournalRefusal::Disk => "disk",
            JournalRefusal::Busy => "busy",
        }
    }
}

// === impl Writes ===

impl Writes {
    pub(super) fn new(registry: &Registry, names: &Pair<String>) -> prometheus::Result<Self> {
        let writes = Opts::new(
            "flipgate_writes_total",
            "Journalled writes, by backend and what became of them there: taken or refused by the leader, delivered to \
             the other one, and what else can happen on the way.",
        );
        let refused = Opts::new(
            "flipgate_journal_refused_total",
            "Writes that the journal did not take, so that no backend was asked, by reason.",
        );
        let writes = Writes {
            writes: registered(registry, IntCounterVec::new(writes, &["backend", "result"])?)?,
            pending: gauges(
                registry,
                "flipgate_writes_pending",
                "Writes that the other backend took and this one has not yet; they are on their way.",
                &["backend"],
            )?,
            parked: gauges(
                registry,
                "flipgate_writes_parked",
                "Writes that this backend does not have, and about which an operator must decide.",
                &["backend"],
            )?,
            in_doubt: gauges(
                registry,
                "flipgate_writes_in_doubt",
                "Writes that this backend may lack, because whether the other one took them is not known.",
                &["backend"],
            )?,
            oldest: gauges(
                registry,
                "flipgate_writes_oldest_seconds",
                "Age of the oldest write that this backend does not have, in seconds; 0 if it lacks none.",
                &["backend"],
            )?,
            bytes: gauge(
                registry,
                "flipgate_journal_bytes",
                "Bytes of the writes that wait in the journal.",
            )?,
            refused: registered(registry, IntCounterVec::new(refused, &["reason"])?)?,
        };
        for name in [&names.from, &names.to] {
            for result in WriteResult::ALL {
                writes.writes.with_label_values(&[name.as_str(), result.label()]).inc_by(0);
            }
            for gauge in [&writes.pending, &writes.parked, &writes.in_doubt, &writes.oldest] {
                gauge.with_label_values(&[name]).set(0);
            }
        }
        for reason in JournalRefusal::ALL {
            writes.refused.with_label_values(&[reason.label()]).inc_by(0);
        }
        Ok(writes)
    }
}

// === impl Metrics ===

impl Metrics {
    /// Counts what became of a write at `side`.
    pub fn write(&self, side: Side, result: WriteResult) {
        self.writes.writes.with_label_values(&[self.names.get(side).as_str(), result.label()]).inc();
    }

    /// Sets how many writes `side` lacks, and how old the oldest of them is.
    pub fn set_writes(&self, side: Side, pending: u64, parked: u64, in_doubt: u64, oldest_seconds: u64) {
        let Writes { pending: of_pending, parked: of_parked, in_doubt: of_doubt, oldest, .. } = &self.writes;
        let values =
            [(of_pending, pending), (of_parked, parked), (of_doubt, in_doubt), (oldest, oldest_seconds)];
        for (gauge, value) in values {
            let gauge = gauge.with_label_values(&[self.names.get(side).as_str()]);
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Sets how many bytes wait in the journal.
    pub fn set_journal_bytes(&self, bytes: u64) {
        self.writes.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a write that the journal did not take.
    pub fn journal_refused(&self, why: JournalRefusal) {
        self.writes.refused.with_label_values(&[why.label()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics, series: &str) -> Vec<String> {
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        text.lines().filter(|line| line.starts_with(series)).map(str::to_owned).collect()
    }

    #[test]
    fn each_backend_has_its_writes_and_all_of_it_is_there_before_it_happens() {
        let names = Pair { from: "a".to_owned(), to: "b".to_owned() };
        let metrics = Metrics::new(names, &["/x".to_owned(), "other".to_owned()]).unwrap();
        for (series, count) in [
            ("flipgate_writes_total{", 16),
            ("flipgate_writes_pending{", 2),
            ("flipgate_writes_parked{", 2),
            ("flipgate_writes_in_doubt{", 2),
            ("flipgate_writes_oldest_seconds{", 2),
            ("flipgate_journal_bytes", 1),
            ("flipgate_journal_refused_total{", 4),
        ] {
            let lines = lines(&metrics, series);
            assert_eq!(lines.len(), count, "{lines:?}");
            assert!(lines.iter().all(|line| line.ends_with(" 0")), "{lines:?}");
        }
        metrics.write(Side::To, WriteResult::InDoubt);
        metrics.journal_refused(JournalRefusal::TooLarge);
        metrics.set_writes(Side::To, 3, 2, 1, 60);
        metrics.set_journal_bytes(512);
        for line in [
            r#"flipgate_writes_total{backend="b",result="in_doubt"} 1"#,
            r#"flipgate_writes_total{backend="a",result="in_doubt"} 0"#,
            r#"flipgate_journal_refused_total{reason="too_large"} 1"#,
            r#"flipgate_writes_pending{backend="b"} 3"#,
            r#"flipgate_writes_parked{backend="b"} 2"#,
            r#"flipgate_writes_in_doubt{backend="b"} 1"#,
            r#"flipgate_writes_oldest_seconds{backend="b"} 60"#,
            r#"flipgate_writes_pending{backend="a"} 0"#,
            "flipgate_journal_bytes 512",
        ] {
            assert_eq!(lines(&metrics, line), [line]);
        }
    }
}
