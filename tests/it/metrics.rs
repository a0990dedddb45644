//! A scrape, read back.

use std::collections::BTreeMap;

/// Every series of one scrape.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Vec<Series>);

#[derive(Debug, Clone)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads Prometheus' text format.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(Series::parse).collect())
    }

    /// The sum of all series of this name with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|series| series.value).sum()
    }

    /// The sums of a name for each value of a label, without those that are 0.
    pub(crate) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for series in self.matching(name, &[]) {
            *sums.entry(series.labels[label].clone()).or_default() += series.value;
        }
        sums.retain(|_, sum| *sum != 0.0);
        sums
    }

    /// Every request has exactly one outcome or is pending.
    pub(crate) fn assert_accounting(&self) {
        let requests = self.sum("flipgate_requests_total", &[]);
        let outcomes = self.sum("flipgate_outcomes_total", &[]);
        let pending = self.sum("flipgate_outcomes_pending", &[]);
        assert!(pending >= 0.0, "pending is {pending}");
        assert!(
            (requests - outcomes - pending).abs() < 0.5,
            "{requests} requests are not {outcomes} outcomes and {pending} pending"
        );
        assert_eq!(self.matching("flipgate_outcomes_pending", &[]).count(), 1, "pending is not published");
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| {
            let has =
                |(label, value): &(&str, &str)| series.labels.get(*label).is_some_and(|known| known == value);
            series.name == name && labels.iter().all(has)
        })
    }
}

impl Series {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
        Self { name: name.to_owned(), labels: parse_labels(labels), value }
    }
}

/// `route="/a/{b}",method="GET"`; a quote within a value is escaped.
fn parse_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut end = 0;
        while rest.as_bytes()[end] != b'"' {
            end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
        }
        let value = rest[..end].replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\");
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = &rest[end + 1..];
    }
    labels
}
