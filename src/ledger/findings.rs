//! All findings, at most [`PER_ROUTE`] a route and one for what is beyond.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::finding::{Finding, OVERFLOW, SAMPLES, Signature};
use crate::compare::{Difference, Severity};
use crate::side::Pair;

/// Findings kept a route; beyond, differences go to one overflow finding at `**`.
pub const PER_ROUTE: usize = 200;

/// All findings.
#[derive(Debug, Default)]
pub struct Findings {
    by_signature: HashMap<Signature, Finding>,
    per_route: HashMap<usize, usize>,
    /// What has changed since it was last written to disk.
    changed: HashSet<Signature>,
}

// === impl Findings ===

impl Findings {
    /// Takes up what an earlier run knew of the routes that still have these labels.
    pub fn restore(&mut self, findings: Vec<Finding>, labels: &[String]) {
        for finding in findings {
            let Some(route) = labels.iter().position(|label| *label == finding.route) else { continue };
            if finding.path != OVERFLOW {
                *self.per_route.entry(route).or_insert(0) += 1;
            }
            let Finding { kind, class, .. } = finding;
            let signature = Signature { route, path: finding.path.clone(), kind, class };
            self.by_signature.insert(signature, finding);
        }
    }

    /// Counts one difference and returns its finding.
    pub fn count(
        &mut self,
        route: usize,
        label: &str,
        names: &Pair<String>,
        difference: &Difference,
        now: DateTime<Utc>,
    ) -> &Finding {
        let mut signature = Signature::of(route, difference);
        let known = self.per_route.entry(route).or_insert(0);
        let is_new = !self.by_signature.contains_key(&signature);
        if is_new && *known >= PER_ROUTE {
            signature = Signature::overflow(route);
        } else if is_new {
            *known += 1;
        }
        if !self.changed.contains(&signature) {
            self.changed.insert(signature.clone());
        }
        let finding = self
            .by_signature
            .entry(signature)
            .or_insert_with_key(|signature| Finding::new(signature, label, names, difference, now));
        finding.count += 1;
        finding.last_seen = now;
        finding
    }

    /// Notes that the findings of these ids have one sample more, where they have room for it.
    pub fn add_sample(&mut self, ids: &[String], sample: u64) {
        for (signature, finding) in &mut self.by_signature {
            if ids.contains(&finding.id) && finding.samples.len() < SAMPLES {
                finding.samples.push(sample);
                self.changed.insert(signature.clone());
            }
        }
    }

    /// Notes that these samples are gone, so that later ones may take their place.
    pub fn forget_samples(&mut self, gone: &[u64]) {
        if gone.is_empty() {
            return;
        }
        for (signature, finding) in &mut self.by_signature {
            let before = finding.samples.len();
            finding.samples.retain(|sample| !gone.contains(sample));
            if finding.samples.len() < before {
                self.changed.insert(signature.clone());
            }
        }
    }

    /// What has changed since the last call, to be written to disk.
    pub fn take_changed(&mut self, _now: DateTime<Utc>) -> Vec<Finding> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|signature| self.by_signature.get(signature)).cloned().collect()
    }

    /// The finding of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Finding> {
        self.by_signature.values().find(|finding| finding.id == id)
    }

    /// All findings, most severe first, then most frequent.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.by_signature.values().collect();
        let rank = |finding: &Finding| (finding.severity, std::cmp::Reverse(finding.count));
        findings.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id)));
        findings
    }

    /// How many findings there are of each severity, in state open.
    #[must_use]
    pub fn open_by_severity(&self) -> BTreeMap<Severity, i64> {
        let mut counts: BTreeMap<Severity, i64> =
            Severity::ALL.iter().map(|severity| (*severity, 0)).collect();
        for finding in self.by_signature.values() {
            *counts.entry(finding.severity).or_insert(0) += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Class, Kind};

    fn difference(path: &str, from: &str) -> Difference {
        Difference {
            path: path.to_owned(),
            at: path.to_owned(),
            kind: Kind::Changed,
            class: Class::Value,
            from: Some(from.to_owned()),
            to: Some("x".to_owned()),
            accepted_by_rule: false,
        }
    }

    fn count(findings: &mut Findings, path: &str, from: &str) -> String {
        let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
        findings.count(0, "/a", &names, &difference(path, from), Utc::now()).id.clone()
    }

    #[test]
    fn a_thousand_values_at_one_path_are_one_finding() {
        let mut findings = Findings::default();
        for value in 0..1000 {
            count(&mut findings, "/rows/*/n", &value.to_string());
        }
        let sorted = findings.sorted();
        assert_eq!((sorted.len(), sorted[0].count), (1, 1000));
    }

    #[test]
    fn a_route_has_200_findings_and_one_for_the_rest() {
        let mut findings = Findings::default();
        for path in 0..1000 {
            count(&mut findings, &format!("/{path}"), "1");
        }
        let sorted = findings.sorted();
        assert_eq!(sorted.len(), PER_ROUTE + 1);
        let overflow = sorted.iter().find(|finding| finding.path == OVERFLOW).unwrap();
        assert_eq!((overflow.severity, overflow.count), (Severity::Breaking, 800));
        assert_eq!(
            count(&mut findings, "/7", "1"),
            count(&mut findings, "/7", "2"),
            "a known one keeps counting"
        );
        assert_eq!(findings.sorted().len(), PER_ROUTE + 1);
    }

    #[test]
    fn a_restored_finding_goes_on_counting_under_its_id() {
        let mut before = Findings::default();
        for path in 0..=PER_ROUTE {
            count(&mut before, &format!("/{path}"), "1");
        }
        let written = before.take_changed(Utc::now());
        assert!(before.take_changed(Utc::now()).is_empty());
        let read = written.iter().map(|f| serde_json::from_str(&serde_json::to_string(f).unwrap()).unwrap());
        let mut after = Findings::default();
        after.restore(read.collect(), &["/a".to_owned()]);
        assert_eq!(count(&mut after, "/7", "1"), count(&mut before, "/7", "1"));
        let overflow = count(&mut after, "/one-more", "1");
        assert_eq!(after.get(&overflow).unwrap().path, OVERFLOW);
        assert_eq!(after.sorted().len(), PER_ROUTE + 1);
        let mut elsewhere = Findings::default();
        elsewhere.restore(before.sorted().into_iter().cloned().collect(), &["/b".to_owned()]);
        assert!(elsewhere.sorted().is_empty());
    }
}
