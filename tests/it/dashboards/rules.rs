//! The rules: Prometheus' own tool accepts and tests them, and each alert has its cases and its page in the runbook.

use std::collections::BTreeSet;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::prometheus::missing;

const DIRECTORY: &str = "dashboards/prometheus";

/// Runs promtool in the directory of the rules; it must not complain.
async fn promtool(arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(DIRECTORY);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", missing("promtool")));
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // One that does not read its input has closed it.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

/// A scrape keeps to Prometheus' conventions for names, units and help.
pub(super) async fn assert_lint(scrape: &[u8]) {
    let said = promtool(&["check", "metrics"], scrape).await;
    assert_eq!(said, "", "promtool check metrics");
}

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{DIRECTORY}/{name}")).unwrap()
}

/// The names of all alerts.
fn alerts() -> BTreeSet<String> {
    let names = read("alerts.yml");
    let names = names.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned);
    let names: BTreeSet<String> = names.collect();
    assert!(names.len() >= 14, "{names:?}");
    names
}

#[tokio::test]
async fn promtool_accepts_configuration_and_rules() {
    promtool(&["check", "rules", "recording.yml", "alerts.yml"], b"").await;
    promtool(&["check", "config", "prometheus.yml"], b"").await;
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_not_when_it_should_not() {
    promtool(&["test", "rules", "tests.yml"], b"").await;
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    let tests = read("tests.yml");
    for case in tests.split("- expr: ALERTS{alertname=\"").skip(1) {
        let name = case.split('"').next().unwrap().to_owned();
        let own = case.split("\n\n").next().unwrap();
        if own.contains("exp_samples:") {
            fires.insert(name)
        } else {
            is_silent.insert(name)
        };
    }
    assert_eq!(fires, alerts(), "alerts with a case that fires");
    assert_eq!(is_silent, alerts(), "alerts with a case that does not");
}

#[test]
fn every_alert_has_its_page_in_the_runbook() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let runbook = readme.split("\n## Runbook\n").nth(1).expect("no runbook").split("\n## ").next().unwrap();
    let pages: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(pages, alerts());
    for page in runbook.split("\n### ").skip(1) {
        assert!(page.contains('`') && page.len() > 300, "it does not say what to do: {page}");
    }
    for rule in read("alerts.yml").split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let anchor = format!("runbook_url: README.md#{}\n", name.to_lowercase());
        assert!(format!("{rule}\n").contains(&anchor), "{name} has no {anchor}");
        for member in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(member), "{name} has no {member}");
        }
    }
}
