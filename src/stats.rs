//! The statistics of the gate.

/// Bisection steps: enough for the last bit of a double.
const STEPS: u32 = 60;

/// One-sided 95 % Clopper-Pearson upper bound of a rate, from `hits` in `trials`; 1 without trials.
///
/// It is the rate at which `hits` or fewer would be seen only once in twenty times.
#[must_use]
pub fn upper_bound(hits: u64, trials: u64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..STEPS {
        let rate = f64::midpoint(low, high);
        if at_most(hits, trials, rate) > 0.05 {
            low = rate;
        } else {
            high = rate;
        }
    }
    high
}

/// One-sided 95 % Clopper-Pearson lower bound of a rate, from `hits` in `trials`; 0 without trials.
#[must_use]
pub fn lower_bound(hits: u64, trials: u64) -> f64 {
    if trials == 0 { 0.0 } else { 1.0 - upper_bound(trials.saturating_sub(hits), trials) }
}

/// The fewest trials in which `hits` have an upper bound of at most `most`; none if more than `trials` are needed.
#[must_use]
pub fn trials_needed(hits: u64, most: f64, trials: u64) -> Option<u64> {
    if upper_bound(hits, trials) > most {
        return None;
    }
    let (mut too_few, mut enough) = (hits, trials);
    while enough - too_few > 1 {
        let middle = u64::midpoint(too_few, enough);
        if upper_bound(hits, middle) <= most {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Some(enough)
}

/// How the times of *to* compare to those of *from* for the same requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// p95 of *from*, in seconds.
    pub from: f64,
    /// p95 of *to*, in seconds.
    pub to: f64,
    /// What p95 of *to* may be.
    pub limit: f64,
    /// Whether it is over that, and not by chance.
    pub exceeded: bool,
}

/// p95 of *to* may be this many times that of *from* …
const LATENCY_FACTOR: f64 = 1.2;
/// … or exceed it by this many seconds.
const LATENCY_SLACK: f64 = 0.005;
/// Resamples of the bootstrap.
const RESAMPLES: usize = 300;
/// Pairs that are resampled at most, spread evenly over those there are.
const RESAMPLED: usize = 2000;
/// The bootstrap's seed: the same evidence always gives the same verdict.
const SEED: u64 = 95;

/// Compares p95 over pairs of leg times in seconds. Over the limit counts only if the lower end of the one-sided 95 %
/// interval of a paired bootstrap (percentile method) is over it, too.
#[must_use]
pub fn latency(pairs: &[(f64, f64)]) -> Latency {
    let (from, to) = p95(pairs);
    let limit = allowed(from);
    Latency { from, to, limit, exceeded: to > limit && excess_low(pairs) > 0.0 }
}

fn allowed(from: f64) -> f64 {
    (from * LATENCY_FACTOR).max(from + LATENCY_SLACK)
}

/// By how much p95 of *to* is over its limit at least: the 5th percentile over resamples.
fn excess_low(pairs: &[(f64, f64)]) -> f64 {
    let step = pairs.len().div_ceil(RESAMPLED).max(1);
    let pairs: Vec<(f64, f64)> = pairs.iter().step_by(step).copied().collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut excess: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<(f64, f64)> =
                pairs.iter().filter_map(|_| random.choice(&pairs).copied()).collect();
            let (from, to) = p95(&drawn);
            to - allowed(from)
        })
        .collect();
    quantile(&mut excess, 0.05)
}

fn p95(pairs: &[(f64, f64)]) -> (f64, f64) {
    let mut from: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let mut to: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    (quantile(&mut from, 0.95), quantile(&mut to, 0.95))
}

/// Probability of `hits` or fewer in `trials` at `rate`, summed in logarithms so that nothing underflows early.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn at_most(hits: u64, trials: u64, rate: f64) -> f64 {
    let (n, odds) = (trials as f64, rate.ln() - (-rate).ln_1p());
    let mut term = n * (-rate).ln_1p();
    let mut sum = term.exp();
    for k in 1..=hits {
        let k = k as f64;
        term += ((n - k + 1.0) / k).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The value that a share `q` (0 to 1) of `values` does not exceed: nearest rank; 0 without values. Reorders `values`.
#[must_use]
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank lies between 0 and the length"
    )]
    let rank = ((q * values.len() as f64).ceil() as usize).saturating_sub(1);
    if rank >= values.len() {
        return 0.0;
    }
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_bound_of_0_in_299_1_in_473_and_2_in_628_is_one_percent() {
        for (hits, trials) in [(0, 299), (1, 473), (2, 628)] {
            let bound = upper_bound(hits, trials);
            assert!((0.0099..=0.01).contains(&bound), "{hits} in {trials}: {bound}");
            assert!(upper_bound(hits, trials - 1) > 0.01, "{hits} in {}", trials - 1);
        }
    }

    #[test]
    fn no_evidence_bounds_nothing() {
        assert!((upper_bound(0, 0) - 1.0).abs() < f64::EPSILON);
        assert!((upper_bound(5, 5) - 1.0).abs() < f64::EPSILON);
    }

    /// Exact limits as tables print them (one-sided 97.5 % of two-sided 95 % tables are not these): R's
    /// `binom.test(x, n, alternative = "less")$conf.int[2]` and `"greater"` for the lower ones.
    #[test]
    fn bounds_are_those_that_are_published() {
        for (hits, trials, upper) in [(0, 10, 0.2589), (1, 10, 0.3942), (5, 10, 0.7776), (0, 59, 0.0495)] {
            assert!((upper_bound(hits, trials) - upper).abs() < 1e-4, "{hits} in {trials}");
        }
        for (hits, trials, lower) in [(10, 10, 0.7411), (9, 10, 0.6058), (5, 10, 0.2224), (0, 10, 0.0)] {
            assert!((lower_bound(hits, trials) - lower).abs() < 1e-4, "{hits} in {trials}");
        }
        assert!(lower_bound(0, 0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_fewest_trials_are_299_473_and_628() {
        for (hits, fewest) in [(0, 299), (1, 473), (2, 628)] {
            assert_eq!(trials_needed(hits, 0.01, 10_000), Some(fewest));
        }
        assert_eq!(trials_needed(0, 0.01, 298), None);
    }

    fn pairs(to: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..1000)
            .map(|_| {
                let from = 0.05 - random.f64().max(1e-9).ln() * 0.02;
                (from, to(from))
            })
            .collect()
    }

    #[test]
    fn a_slower_store_is_told_from_a_slow_moment() {
        assert!(!latency(&pairs(|from| from)).exceeded);
        assert!(!latency(&pairs(|from| from * 1.19)).exceeded);
        assert!(latency(&pairs(|from| from * 1.3)).exceeded);
        assert!(latency(&pairs(|from| from + 0.2)).exceeded);
        assert!(!latency(&[(0.001, 0.0055)]).exceeded, "within 5 ms");
        assert!(!latency(&[]).exceeded);
    }

    #[test]
    fn what_may_be_chance_is_not_held_against_it() {
        // One slow answer in twenty decides p95: it is over the limit, and the interval's lower end is not.
        let mut few: Vec<(f64, f64)> = vec![(0.05, 0.05); 19];
        few.extend([(0.05, 0.5), (0.05, 0.5)]);
        let judged = latency(&few);
        assert!(judged.to > judged.limit && !judged.exceeded, "{judged:?}");
    }

    /// The percentile bootstrap of a known case: of n exponential times a sample's p95 has the density of an order
    /// statistic, whose 5th percentile is computed here from the binomial distribution.
    #[test]
    fn the_bootstrap_s_lower_end_is_that_of_the_order_statistic() {
        let n = 1000_u64;
        let values: Vec<(f64, f64)> = (1..=n).map(|rank| (0.0, rank as f64)).collect();
        let low = excess_low(&values) + allowed(0.0);
        // P(resampled p95 <= r) = P(Binomial(n, r/n) >= 950).
        let cdf = |r: u64| 1.0 - at_most(949, n, r as f64 / n as f64);
        let exact = (1..=n).find(|r| cdf(*r) >= 0.05).unwrap() as f64;
        assert!((low - exact).abs() <= 4.0, "{low}, exactly {exact}");
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.95), 3.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [], 0.95), 0.0);
    }
}
