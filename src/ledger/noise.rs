//! Where a backend differs from itself: learnt from control reads, which ask the primary a second time.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::shape;
use crate::compare::{Comparison, Difference, Kind};

/// Controls before anything counts as noise.
const CONTROLS: u64 = 30;
/// Disagreements that make a path noisy.
const DISAGREEMENTS: u64 = 5;
/// Controls remembered: at this many all counts are halved, so that a path that was noisy once is not for ever.
const REMEMBERED: u64 = 1000;
/// Paths remembered.
const PATHS: usize = 500;

/// What control reads of one route showed, by replica.
#[derive(Debug, Default)]
pub struct Noise {
    own: Counts,
    others: HashMap<String, Counts>,
    changed: bool,
}

/// The counts of one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    controls: u64,
    disagreements: BTreeMap<String, u64>,
}

/// Whether a difference is of the kind that noise can explain: another value, of the same type and of like shape.
#[must_use]
pub fn could_be_noise(difference: &Difference) -> bool {
    let alike = |(from, to): (&String, &String)| shape::alike(from, to);
    difference.kind == Kind::Changed
        && difference.from.as_ref().zip(difference.to.as_ref()).is_some_and(alike)
}

// === impl Noise ===

impl Noise {
    /// Notes how the primary differed from itself.
    pub fn control(&mut self, comparison: &Comparison) {
        self.changed = true;
        self.own.add(comparison);
    }

    /// Whether the primary differs from itself at `path`.
    #[must_use]
    pub fn is_noisy(&self, path: &str) -> bool {
        let all = || self.others.values().chain([&self.own]);
        all().map(|counts| counts.controls).sum::<u64>() >= CONTROLS
            && all().filter_map(|counts| counts.disagreements.get(path)).sum::<u64>() >= DISAGREEMENTS
    }

    /// The paths at which the primary differs from itself.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let all = self.others.values().chain([&self.own]).flat_map(|counts| counts.disagreements.keys());
        let mut paths: Vec<String> = all.filter(|path| self.is_noisy(path)).cloned().collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// This replica's counts, if they changed since the last call.
    pub fn take_changed(&mut self) -> Option<Counts> {
        std::mem::take(&mut self.changed).then(|| self.own.clone())
    }

    /// Takes up the counts of a replica: this one's where `replica` is none.
    pub fn restore(&mut self, replica: Option<&str>, counts: Counts) {
        match replica {
            None => self.own = counts,
            Some(replica) => {
                self.others.insert(replica.to_owned(), counts);
            }
        }
    }

    /// Forgets everything: the rules or the data are others.
    pub fn clear(&mut self) {
        *self = Noise::default();
    }
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, comparison: &Comparison) {
        if self.controls >= REMEMBERED {
            self.controls /= 2;
            self.disagreements.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        self.controls += 1;
        let mut paths: Vec<&str> = comparison
            .differences
            .iter()
            .filter(|difference| difference.kind == Kind::Changed)
            .map(|difference| difference.path.as_str())
            .collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            if self.disagreements.len() < PATHS || self.disagreements.contains_key(path) {
                *self.disagreements.entry(path.to_owned()).or_insert(0) += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Class;

    fn difference(kind: Kind, from: &str, to: &str) -> Difference {
        Difference {
            path: "/token".into(),
            at: "/token".into(),
            kind,
            class: Class::Value,
            from: Some(from.into()),
            to: Some(to.into()),
            accepted_by_rule: false,
        }
    }

    fn disagreeing() -> Comparison {
        Comparison {
            differences: vec![difference(Kind::Changed, "ab", "cd")],
            total: 1,
            ..Comparison::default()
        }
    }

    #[test]
    fn a_path_is_noisy_after_30_controls_of_which_5_disagreed() {
        let mut noise = Noise::default();
        for _ in 0..5 {
            noise.control(&disagreeing());
        }
        for _ in 0..24 {
            noise.control(&Comparison::default());
        }
        assert!(!noise.is_noisy("/token"), "after 29 controls");
        noise.control(&Comparison::default());
        assert!(noise.is_noisy("/token") && !noise.is_noisy("/title"));
        assert_eq!(noise.paths(), ["/token"]);
        let mut few = Noise::default();
        for number in 0..100 {
            few.control(&if number < 4 { disagreeing() } else { Comparison::default() });
        }
        assert!(!few.is_noisy("/token"), "4 disagreements");
    }

    #[test]
    fn replicas_learn_together_and_old_noise_is_forgotten() {
        let mut noise = Noise::default();
        noise.restore(
            Some("b"),
            Counts { controls: 29, disagreements: BTreeMap::from([("/token".to_owned(), 4)]) },
        );
        noise.control(&disagreeing());
        assert!(noise.is_noisy("/token"));
        for _ in 0..2500 {
            noise.control(&Comparison::default());
        }
        assert!(!noise.is_noisy("/token"));
        assert!(noise.take_changed().is_some() && noise.take_changed().is_none());
    }

    #[test]
    fn only_a_changed_value_of_like_shape_could_be_noise() {
        assert!(could_be_noise(&difference(Kind::Changed, "8f3a", "01b2")));
        assert!(!could_be_noise(&difference(Kind::Changed, "8f3a", "not found")));
        assert!(!could_be_noise(&difference(Kind::TypeChanged, "8f3a", "01b2")));
        assert!(!could_be_noise(&Difference { to: None, ..difference(Kind::Changed, "8f3a", "") }));
    }
}
