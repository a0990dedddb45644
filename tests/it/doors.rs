//! A flipgate with both tokens, and those who come to its admin side.

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::client::{self, Answer, Connection};
use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Reply, Upstream};

pub(crate) const FULL: &str = "hush-full";
pub(crate) const READ: &str = "hush-read";
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// What comes where nothing changes.
const HEARTBEAT: &str = "\r\n:\n\n";

/// A flipgate with a full and a read-only token, between two servers that differ.
pub(crate) struct Doors {
    pub(crate) flipgate: Flipgate,
    pub(crate) from: Upstream,
    pub(crate) to: Upstream,
}

/// A session as a browser has it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Of the Cookie header.
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

/// What an open stream of events said.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) data: Value,
}

impl Doors {
    pub(crate) async fn open() -> Self {
        let from = Upstream::always(Reply::json("{\"a\":1}")).await;
        let to = Upstream::always(Reply::json("{\"a\":2}")).await;
        let flipgate = Self::setup(&from, &to).start().await;
        Doors { flipgate, from, to }
    }

    pub(crate) fn setup(from: &Upstream, to: &Upstream) -> Setup {
        let setup = Setup::between(&from.url(), &to.url());
        setup.environment("FLIPGATE_ADMIN_TOKEN", FULL).environment("FLIPGATE_ADMIN_READ_TOKEN", READ)
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let asked = client::request(self.flipgate.admin, method, target, headers, body.as_bytes()).await;
        asked.unwrap_or_else(|error| panic!("{method} {target}: {error}; {}", self.flipgate.said()))
    }

    /// The head of an answer whose body may never end.
    pub(crate) async fn head(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut connection = Connection::open(self.flipgate.admin).await.unwrap();
        let coming = connection.begin(method, target, headers, body.as_bytes()).await.unwrap();
        Answer { status: coming.status, headers: coming.headers, body: Vec::new() }
    }

    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", target, headers, "").await
    }

    /// A JSON answer to the full token.
    pub(crate) async fn told(&self, target: &str) -> Value {
        let answer = self.get(target, &[("Authorization", &bearer(FULL))]).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn try_to_log_in(&self, token: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[FORM], headers].concat();
        self.ask("POST", "/login", &headers, &form(&[("token", token), ("next", "/flip")])).await
    }

    pub(crate) async fn log_in(&self, token: &str) -> Session {
        let answer = self.try_to_log_in(token, &[]).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/flip")), "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Session { cookie, csrf: answer.header("x-csrf-token").unwrap().to_owned() }
    }

    /// A finding and a sample of it, as a request that differs makes them.
    pub(crate) async fn finding(&self) -> (String, u64) {
        self.flipgate.get("/read/a").await;
        wait_until("there is a finding", async || {
            self.told("/api/findings").await["findings"][0]["samples"][0].is_u64()
        })
        .await;
        let findings = self.told("/api/findings").await;
        let finding = &findings["findings"][0];
        (finding["id"].as_str().unwrap().to_owned(), finding["samples"][0].as_u64().unwrap())
    }

    /// All that a caller could have changed.
    pub(crate) async fn state(&self) -> Value {
        let status = self.told("/api/status").await;
        let findings = self.told("/api/findings").await;
        let states = |finding: &Value| json!([finding["id"], finding["state"], finding["accepted"]]);
        json!({
            "version": status["version"],
            "dial": status["dial"],
            "epoch": status["epoch"],
            "audit": self.told("/api/audit").await["entries"].as_array().unwrap().len(),
            "findings": findings["findings"].as_array().unwrap().iter().map(states).collect::<Vec<_>>(),
        })
    }

    /// Opens a stream of events and hands it on.
    pub(crate) async fn events(&self, headers: &[(&str, &str)]) -> (u16, Connection) {
        let mut connection = Connection::open(self.flipgate.admin).await.unwrap();
        let status = connection.begin("GET", "/api/events", headers, b"").await.unwrap().status;
        (status, connection)
    }
}

impl Session {
    pub(crate) fn header(&self) -> (&'static str, &str) {
        ("Cookie", &self.cookie)
    }
}

impl Event {
    /// The next event of a stream, which comments may come before.
    pub(crate) async fn next(connection: &mut Connection) -> Self {
        let mut text = String::new();
        loop {
            let piece = connection.raw().await.unwrap();
            assert!(!piece.is_empty(), "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&piece));
            assert!(text.matches(HEARTBEAT).count() < 3, "nothing but heartbeats: {text}");
            let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let (Some(id), Some(data)) = (line("id: "), line("data: "))
                && let Ok(data) = serde_json::from_str(&data)
            {
                assert_eq!(line("event: ").as_deref(), Some("status"));
                return Event { id: id.parse().unwrap(), data };
            }
        }
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Reads a stream to its end, which must be one: not merely a connection that broke, nor one that lives on.
pub(crate) async fn assert_ends(mut connection: Connection) {
    let mut text = String::new();
    loop {
        let piece = connection.raw().await.unwrap();
        text.push_str(&String::from_utf8_lossy(&piece));
        assert!(!text.contains(HEARTBEAT), "the stream lives on: {text}");
        if text.ends_with("0\r\n\r\n") {
            return;
        }
        assert!(!piece.is_empty(), "the stream broke: {text}");
    }
}
