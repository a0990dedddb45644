//! Small lines: a route's last hour as points of an SVG polyline, 120 wide and 30 high.

use std::fmt::Write as _;

use super::words;
use crate::ledger::evidence::history::{POINTS, Point};
use crate::side::Pair;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 30.0;
/// Room for the stroke above and below.
const MARGIN: f64 = 2.0;

/// One line.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) points: String,
    pub(crate) label: String,
}

/// Two lines on one scale.
#[derive(Debug, PartialEq)]
pub(crate) struct Lines {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) label: String,
}

/// The share of comparisons that agreed, on a scale from the worst (or 90 %) to all; none without comparisons.
pub(super) fn agreement(history: &[Point]) -> Option<Line> {
    let shares = stretches(history, |point| {
        share(point.compared - point.differed.min(point.compared), point.compared)
    });
    let worst = shares.iter().map(|(_, share)| *share).min_by(f64::total_cmp)?;
    let label = format!("Agreement over the last hour, at worst {}", words::percent(worst));
    Some(Line { points: points(&shares, worst.min(0.9), 1.0), label })
}

/// p95 of both sides, on a scale from 0 to the highest; none without pairs.
pub(super) fn latencies(history: &[Point], names: &Pair<String>) -> Option<Lines> {
    let from = stretches(history, |point| point.p95.as_ref().map(|p95| p95.from));
    let to = stretches(history, |point| point.p95.as_ref().map(|p95| p95.to));
    let highest = |line: &[(f64, f64)]| line.iter().map(|(_, value)| *value).max_by(f64::total_cmp);
    let (of_from, of_to) = (highest(&from)?, highest(&to)?);
    let most = of_from.max(of_to).max(f64::MIN_POSITIVE);
    let label = format!(
        "p95 over the last hour: {} at most {}, {} at most {}",
        names.from,
        words::seconds(of_from),
        names.to,
        words::seconds(of_to)
    );
    Some(Lines { from: points(&from, 0.0, most), to: points(&to, 0.0, most), label })
}

/// The stretches that have a value, with where they stand from left to right.
fn stretches(history: &[Point], value: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen stretches")]
    let place = |index: usize| WIDTH * index as f64 / (POINTS - 1) as f64;
    history.iter().enumerate().filter_map(|(index, point)| Some((place(index), value(point)?))).collect()
}

fn points(line: &[(f64, f64)], least: f64, most: f64) -> String {
    let height = |value: f64| MARGIN + (HEIGHT - 2.0 * MARGIN) * (most - value) / (most - least);
    let mut points = String::new();
    for (x, value) in line {
        let _ = write!(points, "{x:.0},{:.1} ", height(*value));
    }
    // One point alone draws nothing.
    if let [(x, value)] = line {
        let _ = write!(points, "{:.0},{:.1}", (x - 4.0).max(0.0), height(*value));
    }
    points.trim_end().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(compared: u64, differed: u64, p95: Option<(f64, f64)>) -> Point {
        Point { compared, differed, p95: p95.map(|(from, to)| Pair { from, to }) }
    }

    #[test]
    fn a_line_runs_from_the_oldest_stretch_to_the_one_under_way_and_skips_empty_ones() {
        let mut history = vec![Point::default(); POINTS];
        assert_eq!(agreement(&history), None);
        history[0] = point(10, 0, None);
        history[POINTS - 1] = point(10, 5, None);
        let line = agreement(&history).unwrap();
        assert_eq!(
            (line.points.as_str(), line.label.as_str()),
            ("0,2.0 120,28.0", "Agreement over the last hour, at worst 50 %")
        );
    }

    #[test]
    fn a_single_stretch_is_seen() {
        let mut history = vec![Point::default(); POINTS];
        history[POINTS - 1] = point(3, 0, Some((0.010, 0.020)));
        let names = Pair { from: "a".to_owned(), to: "b".to_owned() };
        let lines = latencies(&history, &names).unwrap();
        assert_eq!((lines.from.as_str(), lines.to.as_str()), ("120,15.0 116,15.0", "120,2.0 116,2.0"));
        assert_eq!(lines.label, "p95 over the last hour: a at most 10.0 ms, b at most 20.0 ms");
    }
}
