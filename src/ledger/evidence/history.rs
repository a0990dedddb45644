//! A route's last hour, stretch by stretch: what the page draws.

use super::{Book, MINUTE};
use crate::side::Pair;
use crate::stats::quantile;

/// Stretches of a history.
pub const POINTS: usize = 30;
/// Minutes of one stretch.
const STRETCH: i64 = 2;

/// What happened in one stretch.
#[derive(Debug, Clone, Default)]
pub struct Point {
    /// Comparisons.
    pub compared: u64,
    /// Those of them that differed and did not agree when asked again, noise left out.
    pub differed: u64,
    /// p95 of the pairs of leg times, in seconds; none without any.
    pub p95: Option<Pair<f64>>,
}

/// The last [`POINTS`] stretches that all `books` hold by `now_ms`, oldest first; the last one is under way.
#[must_use]
pub fn history<'a>(books: impl Iterator<Item = &'a Book> + Clone, now_ms: i64) -> Vec<Point> {
    let last = now_ms.div_euclid(MINUTE).div_euclid(STRETCH);
    let points = i64::try_from(POINTS).unwrap_or(i64::MAX);
    (last - points + 1..=last).map(|stretch| point(books.clone(), stretch)).collect()
}

fn point<'a>(books: impl Iterator<Item = &'a Book>, stretch: i64) -> Point {
    let mut point = Point::default();
    let mut times = Pair { from: Vec::new(), to: Vec::new() };
    let minutes = stretch * STRETCH..(stretch + 1) * STRETCH;
    for (_, minute) in books.flat_map(|book| book.minutes.range(minutes.clone())) {
        point.compared += minute.compared;
        point.differed +=
            minute.differed.saturating_sub(minute.transients + minute.noise + minute.unconfirmed);
        times.from.extend(minute.pairs.iter().map(|(from, _)| f64::from(*from) / 1e6));
        times.to.extend(minute.pairs.iter().map(|(_, to)| f64::from(*to) / 1e6));
    }
    if !times.from.is_empty() {
        point.p95 = Some(Pair { from: quantile(&mut times.from, 0.95), to: quantile(&mut times.to, 0.95) });
    }
    point
}
