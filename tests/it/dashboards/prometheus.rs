//! A real Prometheus, with the configuration and the rules as they are shipped.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::files::Target;
use crate::client;
use crate::harness::wait_until;

/// One that scrapes a flipgate each second; killed when dropped.
#[derive(Debug)]
pub(super) struct Prometheus {
    address: SocketAddr,
    since: f64,
    _child: Child,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one for this admin side and waits until it answers.
    pub(super) async fn start(admin: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["recording.yml", "alerts.yml"] {
            std::fs::copy(format!("dashboards/prometheus/{name}"), directory.path().join(name)).unwrap();
        }
        let shipped = std::fs::read_to_string("dashboards/prometheus/prometheus.yml").unwrap();
        let config = shipped.replace("flipgate:9900", &admin.to_string()).replace("15s", "1s");
        assert!(config.contains(&admin.to_string()) && config.matches("1s").count() == 2, "{config}");
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", directory.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            // Any port that is free; it tells which.
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", missing("prometheus")));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line =
                lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it did not start:\n{said}"));
            let listening = line.contains(r#"msg="Listening on""#).then(|| line.rsplit_once("address="));
            if let Some(Some((_, address))) = listening {
                break address.trim().parse().unwrap();
            }
            said += &(line + "\n");
        };
        // Nobody may be held up by a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        wait_until("Prometheus is ready", async || {
            client::get(address, "/-/ready").await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        Self { address, since: now(), _child: child, _directory: directory }
    }

    /// The data of an answer of its API.
    pub(super) async fn get(&self, target: &str) -> Value {
        let answer = client::get(self.address, target).await.unwrap().json();
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        answer["data"].clone()
    }

    /// The one number that a query gives now, if it gives one.
    pub(super) async fn number(&self, query: &str) -> Option<f64> {
        let data = self.get(&format!("/api/v1/query?query={}", encoded(query))).await;
        let [one] = data["result"].as_array()?.as_slice() else { return None };
        one["value"][1].as_str()?.parse().ok()
    }

    /// Every number that a panel's query gives, now or since the start.
    pub(super) async fn numbers(&self, target: &Target, query: &str) -> Vec<f64> {
        if target.instant {
            self.points(&format!("/api/v1/query?query={}", encoded(query))).await
        } else {
            self.stepped(query, self.since, 1).await
        }
    }

    /// Every number that a query gives at one moment now, and a long step before.
    pub(super) async fn zoomed_out(&self, query: &str, step: u32) -> Vec<f64> {
        self.stepped(query, now() - f64::from(step), step).await
    }

    async fn stepped(&self, query: &str, start: f64, step: u32) -> Vec<f64> {
        let (query, end) = (encoded(query), now());
        self.points(&format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}")).await
    }

    async fn points(&self, asked: &str) -> Vec<f64> {
        let data = self.get(asked).await;
        let points = data["result"].as_array().unwrap().iter().flat_map(|series| {
            series["values"].as_array().cloned().unwrap_or_else(|| vec![series["value"].clone()])
        });
        points.map(|point| point[1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The values of a label among these series.
    pub(super) async fn label_values(&self, series: &str, label: &str) -> Vec<String> {
        let data = self.get(&format!("/api/v1/label/{label}/values?match[]={}", encoded(series))).await;
        serde_json::from_value(data).unwrap()
    }
}

/// Says what to do where a program is not there.
pub(super) fn missing(program: &str) -> String {
    format!("{program} cannot be run; `scripts/test` installs Debian's package prometheus, which has it")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn encoded(query: &str) -> String {
    utf8_percent_encode(query, NON_ALPHANUMERIC).to_string()
}
