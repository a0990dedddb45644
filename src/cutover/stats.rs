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

/// The value that a share `q` (0 to 1) of `values` does not exceed: nearest rank; 0 without values.
#[must_use]
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank lies between 0 and the length"
    )]
    let rank = (q * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
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

    #[test]
    fn quantiles_are_values_that_were_seen() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.95), 3.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [], 0.95), 0.0);
    }
}
