//! Where a backend differs from itself: learnt from control reads, which ask the primary a second time.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::shape;
use crate::compare::{Comparison, Difference, Kind};
use crate::stats::{lower_bound, upper_bound};

/// Controls before anything counts as noise.
const CONTROLS: u64 = 30;
/// Disagreements that make a path noisy.
const DISAGREEMENTS: u64 = 5;
/// Controls remembered: at this many all counts are halved, so that a path that was noisy once is not for ever.
const REMEMBERED: u64 = 1000;
/// Paths remembered.
const PATHS: usize = 500;
/// After so many comparisons what is noisy is worked out anew.
const REFRESH: u64 = 50;

/// What control reads and comparisons of one route showed, by replica.
#[derive(Debug, Default)]
pub struct Noise {
    own: Counts,
    others: HashMap<String, Counts>,
    changed: bool,
    /// The paths that are noisy, as last worked out.
    noisy: Vec<String>,
    since: u64,
}

/// The counts of one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    controls: Tallied,
    #[serde(default)]
    comparisons: Tallied,
}

/// How many there were, and in how many of them a path differed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tallied {
    all: u64,
    differed: BTreeMap<String, u64>,
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
        self.own.controls.add(comparison);
        self.work_out();
    }

    /// Notes how the two sides differed, or that they did not.
    pub fn compared(&mut self, comparison: &Comparison) {
        self.own.comparisons.add(comparison);
        self.since += 1;
        if self.since >= REFRESH {
            self.work_out();
        }
    }

    /// The paths at which the primary differs from itself.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.noisy
    }

    /// This replica's counts, if there was a control since the last call.
    pub fn take_changed(&mut self) -> Option<Counts> {
        std::mem::take(&mut self.changed).then(|| self.own.clone())
    }

    /// This replica's counts, if there was a control.
    #[must_use]
    pub fn own(&self) -> Option<Counts> {
        (self.own.controls.all > 0).then(|| self.own.clone())
    }

    /// Takes up the counts of a replica: this one's where `replica` is none.
    pub fn restore(&mut self, replica: Option<&str>, counts: Counts) {
        match replica {
            None => self.own = counts,
            Some(replica) => {
                self.others.insert(replica.to_owned(), counts);
            }
        }
        self.work_out();
    }

    /// Forgets everything: the rules or the data are others.
    pub fn clear(&mut self) {
        *self = Noise::default();
    }

    fn work_out(&mut self) {
        self.since = 0;
        let mut paths: Vec<&String> = self.all().flat_map(|counts| counts.controls.differed.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        self.noisy = paths.into_iter().filter(|path| self.is_noisy(path)).cloned().collect();
    }

    /// A path is noisy if the primary differed from itself there often enough, and the sides differ there no more often
    /// than that explains: a value that is wrong for good and changes now and then is wrong.
    fn is_noisy(&self, path: &str) -> bool {
        let sum = |of: fn(&Counts) -> &Tallied| {
            let differed = |counts| of(counts).differed.get(path).copied().unwrap_or(0);
            self.all().fold((0, 0), |(hits, all), counts| (hits + differed(counts), all + of(counts).all))
        };
        let (disagreements, controls) = sum(|counts| &counts.controls);
        if controls < CONTROLS || disagreements < DISAGREEMENTS {
            return false;
        }
        let (differed, comparisons) = sum(|counts| &counts.comparisons);
        lower_bound(differed, comparisons) <= upper_bound(disagreements, controls)
    }

    fn all(&self) -> impl Iterator<Item = &Counts> {
        self.others.values().chain([&self.own])
    }
}

// === impl Tallied ===

impl Tallied {
    fn add(&mut self, comparison: &Comparison) {
        if self.all >= REMEMBERED {
            self.all /= 2;
            self.differed.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        self.all += 1;
        let changed = comparison.differences.iter().filter(|difference| difference.kind == Kind::Changed);
        let mut paths: Vec<&str> = changed.map(|difference| difference.path.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            if self.differed.len() < PATHS || self.differed.contains_key(path) {
                *self.differed.entry(path.to_owned()).or_insert(0) += 1;
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

    fn is_noisy(noise: &Noise) -> bool {
        noise.paths() == ["/token"]
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
        assert!(!is_noisy(&noise), "after 29 controls");
        noise.control(&Comparison::default());
        assert!(is_noisy(&noise));
        let mut few = Noise::default();
        for number in 0..100 {
            few.control(&if number < 4 { disagreeing() } else { Comparison::default() });
        }
        assert!(!is_noisy(&few), "4 disagreements");
    }

    #[test]
    fn what_differs_more_often_than_the_primary_from_itself_is_no_noise() {
        let mut noise = Noise::default();
        for number in 0..60 {
            noise.control(&if number % 10 == 0 { disagreeing() } else { Comparison::default() });
        }
        assert!(is_noisy(&noise));
        // A tenth is explained; a path that always differs is not, however often it also changes.
        for number in 0..200 {
            noise.compared(&if number % 10 == 0 { disagreeing() } else { Comparison::default() });
        }
        assert!(is_noisy(&noise));
        (0..200).for_each(|_| noise.compared(&disagreeing()));
        assert!(!is_noisy(&noise));
    }

    #[test]
    fn replicas_learn_together_and_old_noise_is_forgotten() {
        let mut noise = Noise::default();
        let controls = Tallied { all: 29, differed: BTreeMap::from([("/token".to_owned(), 4)]) };
        noise.restore(Some("b"), Counts { controls, comparisons: Tallied::default() });
        noise.control(&disagreeing());
        assert!(is_noisy(&noise));
        for _ in 0..2500 {
            noise.control(&Comparison::default());
        }
        assert!(!is_noisy(&noise));
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
