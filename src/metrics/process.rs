//! The process itself, under the names that Prometheus' own clients use.
//!
//! Read at the scrape. What a system does not tell (memory and descriptors without /proc) is left out, not 0.

use std::time::SystemTime;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge, Opts};

use super::unix_seconds;

/// What the process uses.
#[derive(Debug)]
pub(super) struct Process {
    start: Gauge,
    descriptions: Vec<Desc>,
}

/// One reading.
struct Reading {
    cpu: Counter,
    resident: Option<IntGauge>,
    threads: Option<IntGauge>,
    open_fds: Option<IntGauge>,
    max_fds: Option<IntGauge>,
}

// === impl Process ===

impl Process {
    pub(super) fn new(started: SystemTime) -> prometheus::Result<Self> {
        let start = Gauge::new(
            "process_start_time_seconds",
            "When the process started, in seconds since the Unix epoch.",
        )?;
        start.set(unix_seconds(started));
        let cpu = cpu()?;
        let gauges = [resident(0)?, threads(0)?, open_fds(0)?, max_fds(0)?];
        let described =
            start.desc().into_iter().chain(cpu.desc()).chain(gauges.iter().flat_map(Collector::desc));
        let descriptions = described.cloned().collect();
        Ok(Process { start, descriptions })
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.start.collect();
        if let Ok(reading) = Reading::take() {
            families.extend(reading.cpu.collect());
            let gauges = [reading.resident, reading.threads, reading.open_fds, reading.max_fds];
            families.extend(gauges.into_iter().flatten().flat_map(|gauge| gauge.collect()));
        }
        families
    }
}

// === impl Reading ===

impl Reading {
    fn take() -> prometheus::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = number(&status, "VmRSS:");
        Ok(Reading {
            cpu: cpu_now()?,
            resident: kibibytes.map(|kib| resident(kib.saturating_mul(1024))).transpose()?,
            threads: number(&status, "Threads:").map(threads).transpose()?,
            open_fds: descriptors().map(open_fds).transpose()?,
            max_fds: limit().map(max_fds).transpose()?,
        })
    }
}

fn cpu() -> prometheus::Result<Counter> {
    Counter::new("process_cpu_seconds_total", "Processor time used, user and system, in seconds.")
}

fn cpu_now() -> prometheus::Result<Counter> {
    let counter = cpu()?;
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a process stay below 2^53")]
        counter.inc_by((microseconds.max(0) as f64) / 1e6);
    }
    Ok(counter)
}

fn resident(value: i64) -> prometheus::Result<IntGauge> {
    set("process_resident_memory_bytes", "Memory in use, as it lies in RAM, in bytes.", value)
}

fn threads(value: i64) -> prometheus::Result<IntGauge> {
    set("process_threads", "Threads of the process.", value)
}

fn open_fds(value: i64) -> prometheus::Result<IntGauge> {
    set("process_open_fds", "File descriptors that are open.", value)
}

fn max_fds(value: i64) -> prometheus::Result<IntGauge> {
    set("process_max_fds", "File descriptors that may be open.", value)
}

fn set(name: &str, help: &str, value: i64) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::with_opts(Opts::new(name, help))?;
    gauge.set(value);
    Ok(gauge)
}

/// The number behind a name in /proc/self/status.
fn number(status: &str, name: &str) -> Option<i64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn descriptors() -> Option<i64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // The one that lists them is among them.
    i64::try_from(open.saturating_sub(1)).ok()
}

fn limit() -> Option<i64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(i64::try_from(soft).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read() {
        let status = "Name:\tflipgate\nVmRSS:\t    9184 kB\nThreads:\t12\n";
        assert_eq!((number(status, "VmRSS:"), number(status, "Threads:")), (Some(9184), Some(12)));
        assert_eq!(number(status, "VmSwap:"), None);
        let process = Process::new(SystemTime::UNIX_EPOCH).unwrap();
        let families = process.collect();
        let names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
        let expected = [
            "start_time_seconds",
            "cpu_seconds_total",
            "resident_memory_bytes",
            "threads",
            "open_fds",
            "max_fds",
        ];
        assert_eq!(names, expected.map(|name| format!("process_{name}")));
        let values: Vec<f64> =
            families.iter().skip(2).map(|family| family.get_metric()[0].get_gauge().get_value()).collect();
        assert!(values.iter().all(|value| *value >= 1.0), "{values:?}");
    }
}
