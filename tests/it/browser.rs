//! A page in a real browser, used as people use it: by what is written there, by label, by keyboard.
//!
//! Each [`Page`] is a headless Chromium with a profile of its own. Whatever a test looks at, it also tests that the
//! console had no error and the page's own policy was not violated, once the page is dropped. What a test waits for
//! may come at any time within patience; nothing is found by position or id, so that pages may be rebuilt.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod checks;
mod controls;
pub(crate) mod driver;
pub(crate) mod session;

use driver::Place;
use session::{Refused, Session};

/// How long something may take to come about; far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What an error in the console begins with.
const SEVERE: &str = "SEVERE";

/// A browser and the one server it is for.
#[derive(Debug)]
pub(crate) struct Page {
    session: Session,
    server: SocketAddr,
    console: Mutex<Vec<String>>,
    expected: Mutex<Vec<String>>,
    _place: Place,
}

impl Page {
    /// A browser that has not been anywhere yet; waits until there is a place for one.
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let (driver, place) = driver::place().await;
        let session = Session::begin(driver).await.unwrap_or_else(|refused| panic!("no browser: {refused}"));
        Self { session, server, console: Mutex::default(), expected: Mutex::default(), _place: place }
    }

    /// Goes to a path of the server, and waits until all of the page is loaded.
    pub(crate) async fn goto(&self, target: &str) {
        let url = format!("http://{}{target}", self.server);
        self.session.go(&url).await.unwrap_or_else(|refused| panic!("going to {url}: {refused}"));
    }

    /// Waits until it is at this path (with its query) of the server, as a click or a redirect leads there.
    pub(crate) async fn arrive(&self, target: &str) {
        let wanted = format!("http://{}{target}", self.server);
        self.patiently(&format!("it should be at {target}"), async || {
            let url = self.session.url().await.map_err(|refused| refused.to_string())?;
            if url == wanted { Ok(()) } else { Err(format!("it is at {url}")) }
        })
        .await;
    }

    /// Waits until the page shows this text. White space is folded; what is hidden or in a field is not text.
    pub(crate) async fn see(&self, text: &str) {
        self.patiently(&format!("the page should show {text:?}"), async || {
            if self.shown().await?.contains(text) { Ok(()) } else { Err("it does not".to_owned()) }
        })
        .await;
    }

    /// Waits until the page shows this text no more.
    pub(crate) async fn see_gone(&self, text: &str) {
        self.patiently(&format!("the page should not show {text:?}"), async || {
            if self.shown().await?.contains(text) { Err("it does".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// The visible text of each element that a CSS selector finds; white space is folded.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()) \
                      .map(e => e.innerText)";
        let found = self.run(script, &[json!(css)]).await;
        found.as_array().unwrap().iter().map(|text| folded(text.as_str().unwrap_or_default())).collect()
    }

    /// Runs the body of a function in the page and returns what it `return`s; a promise is waited for.
    pub(crate) async fn js(&self, script: &str) -> Value {
        self.run(script, &[]).await
    }

    pub(crate) async fn cookies(&self) -> Vec<Value> {
        self.session.cookies().await.unwrap_or_else(|refused| panic!("cookies: {refused}"))
    }

    /// Writes the whole page as `target/screenshots/NAME.png`.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        self.picture(name).await.unwrap_or_else(|refused| panic!("a screenshot: {refused}"))
    }

    /// Lays the page out for a window of so many CSS pixels, as narrow as those of phones.
    pub(crate) async fn at_width(&self, width: u32) {
        let size = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false});
        self.emulate("Emulation.setDeviceMetricsOverride", &size).await;
    }

    /// As for one who prefers dark colours.
    pub(crate) async fn emulate_dark(&self) {
        let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
        self.emulate("Emulation.setEmulatedMedia", &dark).await;
    }

    /// From the next page on, none may run a script of its own.
    pub(crate) async fn without_script(&self) {
        self.emulate("Emulation.setScriptExecutionDisabled", &json!({"value": true})).await;
    }

    /// All that the console said so far: `LEVEL source: message`, also what was refused by a page's policy.
    pub(crate) async fn console(&self) -> Vec<String> {
        self.listen().await.unwrap_or_else(|refused| panic!("the console: {refused}"))
    }

    /// An error with these words in the console is part of this test: it must come, and does not fail it.
    pub(crate) fn expect_error(&self, words: &str) {
        self.expected.lock().unwrap().push(words.to_owned());
    }

    async fn emulate(&self, command: &str, parameters: &Value) {
        let done = self.session.devtools(command, parameters).await;
        done.unwrap_or_else(|refused| panic!("{command}: {refused}"));
    }

    async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let done = self.session.execute(script, arguments).await;
        done.unwrap_or_else(|refused| panic!("{refused}; of the script {script}"))
    }

    async fn shown(&self) -> Result<String, String> {
        let shown = self.session.execute("return document.body?.innerText ?? ''", &[]).await;
        shown.map(|text| folded(text.as_str().unwrap_or_default())).map_err(|refused| refused.to_string())
    }

    async fn picture(&self, name: &str) -> Result<PathBuf, Refused> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        let file = directory.join(format!("{name}.png"));
        let picture = self.session.picture().await?;
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(&file, picture).unwrap();
        Ok(file)
    }

    async fn listen(&self) -> Result<Vec<String>, Refused> {
        let new = self.session.log().await?;
        let mut console = self.console.lock().unwrap();
        for said in new {
            let [level, source, message] = ["level", "source", "message"].map(|key| said[key].as_str());
            let [level, source, message] = [level, source, message].map(Option::unwrap_or_default);
            console.push(format!("{level} {source}: {message}"));
        }
        Ok(console.clone())
    }

    /// Tries until it works; what hinders it may pass, also that the page is just being replaced.
    async fn patiently<T>(&self, wanted: &str, attempt: impl AsyncFn() -> Result<T, String>) -> T {
        let patience = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(reason) if Instant::now() > patience => {
                    panic!("{wanted}, but {reason}\n{}", self.whereabouts().await)
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// For messages: what somebody sees there.
    async fn whereabouts(&self) -> String {
        let url = self.session.url().await.unwrap_or_else(|refused| refused.to_string());
        let shown = self.shown().await.unwrap_or_else(|refused| refused);
        let shown: String = shown.chars().take(4000).collect();
        format!("at {url}\nit shows: {shown}\nit offers: {}", self.offers().await.join(", "))
    }

    /// Ends the browser; what speaks against the page. Of a failed test it keeps a picture.
    async fn farewell(&self, failed: Option<&str>) -> Result<Vec<String>, Refused> {
        if let Some(test) = failed {
            let picture = self.picture(&format!("failed-{}", test.replace("::", "-"))).await;
            eprintln!("what the page looked like: {picture:?}; its console: {:#?}", self.listen().await);
        }
        let console = self.listen().await;
        self.session.end().await?;
        let expected = self.expected.lock().unwrap();
        let (mut errors, _) = console?.into_iter().partition::<Vec<_>, _>(|said| said.starts_with(SEVERE));
        let missing: Vec<_> =
            expected.iter().filter(|words| !errors.iter().any(|e| e.contains(*words))).collect();
        let missing: Vec<_> = missing.into_iter().map(|words| format!("missing: {words}")).collect();
        errors.retain(|error| !expected.iter().any(|words| error.contains(words)));
        errors.extend(missing);
        Ok(errors)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let current = std::thread::current();
        let failed = std::thread::panicking().then(|| current.name().unwrap_or("test"));
        // A test's own runtime may be at its end, or this very thread one of its workers.
        let farewell = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(self.farewell(failed))
        };
        let said = std::thread::scope(|scope| scope.spawn(farewell).join());
        if failed.is_some() {
            return;
        }
        match said {
            Ok(Ok(errors)) => assert!(errors.is_empty(), "the console, other than expected: {errors:#?}"),
            Ok(Err(refused)) => panic!("the browser did not end well: {refused}"),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }
}

/// As it reads: one space for any white space.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
