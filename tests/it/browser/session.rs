//! One browser, spoken to in the WebDriver protocol, as far as the tests of pages need it.
//!
//! Our own instead of fantoccini: that is 29 crates more, among them another `http` and another ICU, and it turns on
//! features of those we have, so that every `cargo build` and `cargo test` would compile them twice.

use std::fmt;
use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::client;

/// The key under which the protocol hides an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const FLAGS: [&str; 6] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
    // It ends with chromedriver, however that ends.
    "--remote-debugging-pipe",
];

/// A browser with a profile of its own.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    driver: SocketAddr,
    id: String,
    pub(crate) capabilities: Value,
}

/// Something on the page, as long as it is there.
#[derive(Debug, Clone)]
pub(crate) struct Element(String);

/// What chromedriver would not do, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    code: String,
    message: String,
}

type Answer<T> = Result<T, Refused>;

// === impl Session ===

impl Session {
    /// Starts a browser.
    pub(crate) async fn begin(driver: SocketAddr) -> Answer<Self> {
        let wanted = json!({
            "goog:chromeOptions": {"args": FLAGS},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"pageLoad": 40_000, "script": 40_000},
        });
        let body = json!({"capabilities": {"alwaysMatch": wanted}});
        let begun = command(driver, "POST", "/session", &body).await?;
        let id = begun["sessionId"].as_str().unwrap_or_default().to_owned();
        Ok(Self { driver, id, capabilities: begun["capabilities"].clone() })
    }

    pub(crate) async fn end(&self) -> Answer<()> {
        self.command("DELETE", "", &Value::Null).await.map(drop)
    }

    pub(crate) async fn go(&self, url: &str) -> Answer<()> {
        self.post("/url", &json!({"url": url})).await.map(drop)
    }

    pub(crate) async fn url(&self) -> Answer<String> {
        self.get("/url").await.map(text)
    }

    /// Runs the body of a function in the page, whatever the page's own policy is; a promise is waited for.
    pub(crate) async fn execute(&self, script: &str, arguments: &[Value]) -> Answer<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": arguments})).await
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, name: &str, parameters: &Value) -> Answer<Value> {
        self.post("/goog/cdp/execute", &json!({"cmd": name, "params": parameters})).await
    }

    /// What the console said since the last call.
    pub(crate) async fn log(&self) -> Answer<Vec<Value>> {
        let said = self.post("/se/log", &json!({"type": "browser"})).await?;
        Ok(said.as_array().cloned().unwrap_or_default())
    }

    pub(crate) async fn cookies(&self) -> Answer<Vec<Value>> {
        Ok(self.get("/cookie").await?.as_array().cloned().unwrap_or_default())
    }

    /// The element that a script returns.
    pub(crate) async fn element(&self, script: &str, arguments: &[Value]) -> Answer<Element> {
        Element::read(&self.execute(script, arguments).await?)
    }

    /// What has the focus.
    pub(crate) async fn active(&self) -> Answer<Element> {
        Element::read(&self.get("/element/active").await?)
    }

    /// Its tag and its accessible name, as Chromium tells screen readers.
    pub(crate) async fn describe(&self, element: &Element) -> Answer<(String, String)> {
        let path = format!("/element/{}", element.0);
        let tag = self.get(&format!("{path}/name")).await?;
        let label = self.get(&format!("{path}/computedlabel")).await?;
        Ok((text(tag), text(label)))
    }

    /// Scrolls there and clicks in the middle of it; refused if something else would get the click.
    pub(crate) async fn click(&self, element: &Element) -> Answer<()> {
        self.post(&format!("/element/{}/click", element.0), &json!({})).await.map(drop)
    }

    /// Empties a field and types into it.
    pub(crate) async fn fill(&self, element: &Element, text: &str) -> Answer<()> {
        let path = format!("/element/{}", element.0);
        self.post(&format!("{path}/clear"), &json!({})).await?;
        self.post(&format!("{path}/value"), &json!({"text": text})).await.map(drop)
    }

    /// Presses these keys together, the first ones being held, and lets them go.
    pub(crate) async fn chord(&self, keys: &[char]) -> Answer<()> {
        let down = keys.iter().map(|key| json!({"type": "keyDown", "value": key}));
        let up = keys.iter().rev().map(|key| json!({"type": "keyUp", "value": key}));
        let keyboard =
            json!({"type": "key", "id": "keyboard", "actions": down.chain(up).collect::<Vec<_>>()});
        self.post("/actions", &json!({"actions": [keyboard]})).await.map(drop)
    }

    /// The whole page, also what is below the window, as PNG.
    pub(crate) async fn picture(&self) -> Answer<Vec<u8>> {
        let size = self.devtools("Page.getLayoutMetrics", &json!({})).await?["cssContentSize"].take();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.devtools("Page.captureScreenshot", &wanted).await?;
        BASE64_STANDARD
            .decode(taken["data"].as_str().unwrap_or_default())
            .map_err(|error| Refused::new("not a picture", error))
    }

    async fn get(&self, path: &str) -> Answer<Value> {
        self.command("GET", path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer<Value> {
        self.command("POST", path, body).await
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Answer<Value> {
        command(self.driver, method, &format!("/session/{}{path}", self.id), body).await
    }
}

async fn command(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Answer<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("Content-Type", "application/json; charset=utf-8")];
    let answer = client::request(driver, method, path, &headers, body.as_bytes()).await;
    let answer = answer.map_err(|error| Refused::new("chromedriver does not answer", error))?;
    let mut read: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| Refused::new("chromedriver does not answer with JSON", error))?;
    let value = read["value"].take();
    if answer.status == 200 {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or_default();
    Err(Refused::new(
        value["error"].as_str().unwrap_or("refused"),
        message.lines().next().unwrap_or_default(),
    ))
}

fn text(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

// === impl Element ===

impl Element {
    fn read(value: &Value) -> Answer<Self> {
        let id = value[ELEMENT].as_str().ok_or_else(|| Refused::new("not an element", value))?;
        Ok(Self(id.to_owned()))
    }

    /// As an argument of a script.
    pub(crate) fn argument(&self) -> Value {
        json!({ELEMENT: self.0})
    }
}

// === impl Refused ===

impl Refused {
    fn new(code: &str, message: impl fmt::Display) -> Self {
        Self { code: code.to_owned(), message: message.to_string() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
