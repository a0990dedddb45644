//! `flipgate diff`: what it prints, what it refuses, and the exit code that scripts read.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::upstream::{Reply, Upstream};

const OLD: &str = r#"{"generated_at":"2026-01-02 03:04:05","reports":[
    {"id":"a","title":"One","category":"History","n":1,"at":"2026-01-02T03:04:05Z"},
    {"id":"b","title":"Two","category":"Music","n":2,"at":"2026-01-03T03:04:05Z"}]}"#;
const NEW: &str = r#"{"generated_at":"2026-01-09 00:00:00","reports":[
    {"id":"a","title":"One","categories":"History","n":1,"at":"2026-01-02T03:04:05+00:00"},
    {"id":"b","title":"Zwei","categories":"Music","n":2,"at":"2026-01-03T03:04:05+00:00"},
    {"id":"c","title":"Three","categories":"Art","n":3,"at":"2026-01-04T03:04:05+00:00"}]}"#;

/// A directory with documents in it, where the command runs.
struct Desk(TempDir);

/// What it printed and how it ended.
#[derive(Debug)]
struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn with(files: &[(&str, &str)]) -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(desk.path(name), text).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `flipgate diff` with these arguments.
    async fn diff(&self, arguments: &[&str]) -> Told {
        self.diff_of("", arguments).await
    }

    /// The same, with this on standard input.
    async fn diff_of(&self, input: &str, arguments: &[&str]) -> Told {
        let mut command = command(self.0.path(), arguments);
        let input = input.to_owned();
        // The servers it asks may be served by this very runtime: wait for it elsewhere.
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that refuses its arguments does not read.
            let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = run.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Told { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipgate"));
    command.arg("diff").args(arguments).current_dir(directory).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_shows_how() {
    let told = Desk::with(&[]).diff(&["--help"]).await;
    assert_eq!(told.code, 0);
    insta::assert_snapshot!(told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_grouped_by_cause() {
    let desk = Desk::with(&[("old.json", OLD), ("new.json", NEW)]);
    let arguments =
        ["--treat-as-equal", "timestamp_format", "--ignore", "/generated_at", "old.json", "new.json"];
    let told = desk.diff(&arguments).await;
    assert_eq!(told.code, 1, "{told:?}");
    insta::assert_snapshot!("diff_text", told.out);
    let told = desk.diff(&[&["--format", "json"][..], &arguments].concat()).await;
    assert_eq!(told.code, 1, "{told:?}");
    insta::assert_snapshot!("diff_json", told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_turns_the_first_into_the_second() {
    let desk = Desk::with(&[("old.json", OLD), ("new.json", NEW), ("page.html", "<p>a</p>")]);
    let told = desk.diff(&["--format", "patch", "old.json", "new.json"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    let patch: json_patch::Patch = serde_json::from_str(&told.out).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(OLD).unwrap();
    json_patch::patch(&mut document, &patch).unwrap();
    assert_eq!(document, serde_json::from_str::<serde_json::Value>(NEW).unwrap());
    let told = desk.diff(&["--format", "patch", "old.json", "page.html"]).await;
    assert_eq!((told.code, told.out.as_str()), (3, ""), "{told:?}");
    assert!(told.err.contains("two JSON documents"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_by_the_rules_ends_with_0() {
    let desk = Desk::with(&[
        ("a.json", r#"{"a":[2,1],"b":1}"#),
        ("b", "\n{ \"b\": 1, \"a\": [1, 2] }"),
        ("a.html", "<ul class='x  y'><li>1</ul>"),
        ("b.html", "<ul class=\"y x\"> <li>1</li> </ul>"),
        ("rules.toml", "preset = \"none\"\n[[routes]]\nmatch = \"/r/{id}\"\nunordered = [\"/a\"]\n"),
    ]);
    for arguments in [
        &["a.json", "a.json"][..],
        &["--unordered", "/a", "a.json", "b"],
        &["--ignore", "/a", "a.json", "b"],
        &["--config", "rules.toml", "--route", "/r/{id}", "a.json", "b"],
        &["a.html", "b.html"],
    ] {
        let told = desk.diff(arguments).await;
        assert_eq!((told.code, told.out.as_str()), (0, "equal\n"), "{arguments:?}: {told:?}");
    }
    assert_eq!(desk.diff(&["a.json", "b"]).await.code, 1);
    assert_eq!(desk.diff(&["--compare", "bytes", "a.html", "b.html"]).await.code, 1);
    assert_eq!(desk.diff_of(r#"{"a":[2,1],"b":1.0}"#, &["a.json", "-"]).await.code, 1);
    assert_eq!(desk.diff_of(r#"{"a":[2,1],"b":1}"#, &["-", "a.json"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_aligned_by_the_key_given() {
    let desk = Desk::with(&[
        ("a.json", r#"{"rows":[{"k":"x","v":1},{"k":"y","v":2}]}"#),
        ("b.json", r#"{"rows":[{"k":"new","v":9},{"k":"x","v":1},{"k":"y","v":3}]}"#),
    ]);
    let told = desk.diff(&["--format", "json", "--key", "/rows=k", "a.json", "b.json"]).await;
    let report: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let found: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|f| (&f["kind"], &f["path"])).collect();
    assert_eq!(found.len(), 2, "{told:?}");
    assert!(found.contains(&(&"changed".into(), &"/rows/*/v".into())), "{found:?}");
    assert!(found.contains(&(&"added".into(), &"/rows/*".into())), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_urls_are_compared_with_status_and_headers() {
    let (from, to) =
        (Upstream::always(Reply::json(OLD)).await, Upstream::always(Reply::json(OLD).chunked()).await);
    let gone = Upstream::always(Reply::json(OLD).with_status(404)).await;
    let url = |upstream: &Upstream| format!("{}/a?b=%20c", upstream.url());
    let desk = Desk::with(&[("old", OLD)]);
    assert_eq!(desk.diff(&[&url(&from), &url(&to)]).await.code, 0);
    assert_eq!(desk.diff(&["old", &url(&to)]).await.code, 0);
    let told = desk.diff(&[&url(&from), &url(&gone)]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("A answers 200, B answers 404"), "{told:?}");
    let asked = &from.requests("/a?b=%20c")[0];
    assert_eq!((asked.method.as_str(), asked.headers.get("host")), ("GET", Some(&*from.address.to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_one_sentence_and_3() {
    let mut gone = Upstream::always(Reply::hang()).await;
    let desk = Desk::with(&[("a.json", "{}")]);
    let told = desk.diff(&["--timeout", "1", "a.json", &gone.url()]).await;
    assert!(told.err.contains("no complete answer within 1s"), "{told:?}");
    assert_eq!((told.code, told.err.lines().count()), (3, 1), "{told:?}");
    gone.stop().await;
    for (other, said) in [
        ("none-such.json", "none-such.json: No such file"),
        (".", "directory"),
        (&format!("{}/?token=hush", gone.url()), "cannot connect"),
    ] {
        let told = desk.diff(&["a.json", other]).await;
        assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (3, "", 1), "{told:?}");
        assert!(told.err.contains(said) && !told.err.contains("hush"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_arguments_are_named_and_2() {
    let desk =
        Desk::with(&[("a.json", "{}"), ("rules.toml", "preset = \"none\"\n[[routes]]\nmatch = \"/r\"\n")]);
    for (arguments, said) in [
        (&["a.json"][..], "<B>"),
        (&["-", "-"], "standard input"),
        (&["--ignore", "a", "a.json", "a.json"], "`a`"),
        (&["--key", "/a", "a.json", "a.json"], "/reports=id"),
        (&["--treat-as-equal", "value", "a.json", "a.json"], "ignore"),
        (&["--treat-as-equal", "timestamp", "a.json", "a.json"], "timestamp_format"),
        (&["--compare", "xml", "a.json", "a.json"], "html"),
        (&["--config", "rules.toml", "a.json", "a.json"], "--route"),
        (&["--config", "rules.toml", "--route", "/x", "a.json", "a.json"], "choose one of: `/r`"),
        (&["http://me:hush@127.0.0.1:1/", "a.json"], "credentials"),
    ] {
        let told = desk.diff(arguments).await;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{arguments:?}: {told:?}");
        assert!(told.err.contains(said) && !told.err.contains("hush"), "{arguments:?}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_for_those_who_want_it() {
    let desk = Desk::with(&[("a.json", "{\"a\":1}"), ("b.json", "{\"a\":2}")]);
    let coloured = |told: &Told| told.out.contains('\u{1b}');
    assert!(!coloured(&desk.diff(&["a.json", "b.json"]).await), "a pipe is no terminal");
    assert!(coloured(&desk.diff(&["--color", "always", "a.json", "b.json"]).await));
    assert!(!coloured(&desk.diff(&["--color", "never", "a.json", "b.json"]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_blanked_and_control_characters_escaped() {
    let desk = Desk::with(&[
        ("a.json", r#"{"token":"hush-1","t":"\u001b[2Ja"}"#),
        ("b.json", r#"{"token":"hush-2","t":"b"}"#),
    ]);
    for format in ["text", "json"] {
        let told = desk.diff(&["--format", format, "a.json", "b.json"]).await;
        assert_eq!(told.code, 1);
        assert!(told.out.contains("/token") && !told.out.contains("hush"), "{told:?}");
        assert!(!told.out.contains('\u{1b}'), "{told:?}");
    }
}
