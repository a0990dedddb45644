//! That the browser of the tests sees what people would, and that its checks fail where they should.

use std::path::Path;

use serde_json::json;

use crate::browser::Page;
use crate::browser::driver::Driver;
use crate::browser::session::Session;
use crate::harness::wait_until;
use crate::upstream::{Recorded, Reply, Upstream};

/// What the admin page allows, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'";

const GOOD: &str = r#"<main><h1>Findings</h1>
<p>There are <a href="/two">two of them</a> in all.</p>
<form action="/sent"><label>Reason <input name="reason" value="old"></label>
<label>Side <select name="side"><option>sqlite<option>postgres</select></label>
<label><input type="checkbox" name="force"> Force</label> <button>Flip</button></form>
<details><summary>More</summary>It was folded</details>
<p hidden>Never shown</p></main>"#;

/// Script and style of every page.
const SCRIPT: &str = "document.documentElement.dataset.script = 'ran'";
const STYLE: &str = "html { color-scheme: light dark; background: #fff } button, input, select, summary { min-height: 24px } \
                     @media (prefers-color-scheme: dark) { html { background: #111 } }";

/// A server of one page; other paths say where they are.
async fn server(body: &'static str) -> Upstream {
    Upstream::start(move |request| answer(request, body)).await
}

fn answer(request: &Recorded, body: &str) -> Reply {
    let path = request.target.split('?').next().unwrap();
    let body = match path {
        "/script.js" => return Reply::status(200).header("Content-Type", "text/javascript").body(SCRIPT),
        "/style.css" => return Reply::status(200).header("Content-Type", "text/css").body(STYLE),
        "/" => body.to_owned(),
        "/lost" => return Reply::html("nothing here").with_status(404),
        _ => format!("<main><h1>You are at {}</h1></main>", request.target),
    };
    let head = "<meta name=viewport content='width=device-width'>\
                <link rel=stylesheet href=/style.css><script src=/script.js></script>";
    Reply::html(format!("<!doctype html><html lang=en><title>A page</title>{head}<body>{body}"))
        .header("Content-Security-Policy", POLICY)
        .header("Set-Cookie", "session=1; HttpOnly; SameSite=Strict")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_page_passes_all_checks_wide_narrow_and_dark() {
    let server = server(GOOD).await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    page.axe().await;
    page.assert_fits().await;
    page.assert_no_foreign_requests().await;
    page.at_width(390).await;
    page.emulate_dark().await;
    page.goto("/").await;
    assert_eq!(
        page.js("return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]").await,
        json!([390, true])
    );
    page.axe().await;
    page.assert_fits().await;
    assert_eq!(page.console().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_used_by_what_is_written_on_it() {
    let server = server(GOOD).await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    page.see("There are two of them in all.").await;
    page.see_gone("It was folded").await;
    page.click("More").await;
    page.see("It was folded").await;
    assert_eq!(page.texts("h1, p").await, ["Findings", "There are two of them in all."]);
    page.fill("Reason", "a test").await;
    page.choose("Side", "postgres").await;
    page.click_in("form", "Force").await;
    page.click("Flip").await;
    page.arrive("/sent?reason=a+test&side=postgres&force=on").await;
    page.see("You are at /sent").await;
    assert_eq!(page.cookies().await[0]["httpOnly"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_used_by_keyboard_alone() {
    let server = server(GOOD).await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    assert_eq!(page.focused().await, r#"body """#);
    page.press("Tab").await;
    assert_eq!(page.focused().await, r#"a "two of them""#);
    page.press("Tab").await;
    assert_eq!(page.focused().await, r#"input "Reason""#);
    page.type_in("Typed ").await;
    page.press("Tab ArrowDown Tab Space Tab Tab Shift+Tab").await;
    assert_eq!(page.focused().await, r#"button "Flip""#);
    page.press("Enter").await;
    page.arrive("/sent?reason=Typed+&side=postgres&force=on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_a_field_without_a_label() {
    let server = server("<main><h1>Flip</h1><input name=reason></main>").await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    let found = page.axe_violations().await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("label (critical): Form elements must have labels: input: "), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_wide_or_too_small_does_not_fit() {
    let server = server(
        "<main><h1>Wide</h1><table><tr><td>mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm</table>\
         <nav><a href=/a>A</a> | <a href=/b>B</a></nav><p>In <a href=/c>C</a></p></main>",
    )
    .await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    page.at_width(390).await;
    let found = page.misfits().await;
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].ends_with(" px wide in a window of 390 px"), "{found:#?}");
    assert!(found[1].starts_with(r#"<a> "A" is "#) && found[2].starts_with(r#"<a> "B" is "#), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_other_servers_are_seen() {
    let other = Upstream::always(Reply::status(200).header("Access-Control-Allow-Origin", "*")).await;
    let server = Upstream::always(Reply::html("<!doctype html>A page")).await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    page.assert_no_foreign_requests().await;
    page.js(&format!("return fetch('{}/x').then(() => null)", other.url())).await;
    assert_eq!(page.foreign_requests().await, [format!("{}/x", other.url())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_in_the_console_fail_a_test_that_does_not_expect_them() {
    let server = server("<main><h1>Bad</h1><script>inline()</script><img src=/lost alt=lost></main>").await;
    let errors = ["Executing inline script violates", "Loading the image"];
    for (expected, verdict) in [
        (&errors[..], None),
        (&errors[..1], Some("Loading the image")),
        (&[errors[0], errors[1], "what never comes"], Some("missing: what never comes")),
    ] {
        let page = Page::open(server.address).await;
        page.goto("/").await;
        let said = async || page.console().await.len();
        wait_until("the console told of both", async || said().await == 2).await;
        expected.iter().for_each(|words| page.expect_error(words));
        let dropped = std::thread::spawn(move || drop(page)).join();
        let message = dropped.err().map(|panicked| *panicked.downcast::<String>().unwrap());
        match verdict {
            None => assert_eq!(message, None),
            Some(verdict) => assert!(message.as_ref().is_some_and(|m| m.contains(verdict)), "{message:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_can_be_had_without_script() {
    let server = server(GOOD).await;
    let page = Page::open(server.address).await;
    let script = "return document.documentElement.dataset.script ?? null";
    page.goto("/").await;
    assert_eq!(page.js(script).await, "ran");
    page.without_script().await;
    page.goto("/").await;
    assert_eq!(page.js(script).await, json!(null));
    page.click("Flip").await;
    page.arrive("/sent?reason=old&side=sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screenshot_shows_the_whole_page() {
    let server = server("<main><h1>Long</h1><pre>\n1\n2\n3\n</pre></main>").await;
    let page = Page::open(server.address).await;
    page.goto("/").await;
    page.js("document.querySelector('pre').style.height = '3000px'").await;
    let picture = std::fs::read(page.screenshot("a-long-page").await).unwrap();
    let height = u32::from_be_bytes(picture[20..24].try_into().unwrap());
    assert!(picture.starts_with(b"\x89PNG") && height > 3000, "{height} px high");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_browser_whose_tests_were_killed() {
    let driver = tokio::task::spawn_blocking(Driver::start).await.unwrap().unwrap();
    let session = Session::begin(driver.address).await.unwrap();
    let process = session.capabilities["goog:processID"].to_string();
    let profile = session.capabilities["chrome"]["userDataDir"].as_str().unwrap();
    let profile = Path::new(profile);
    // The zombie that nobody has waited for yet has no command line.
    let runs = || std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(runs() && profile.is_dir());
    // All that the kernel does for the guardian when a process is killed: it closes the pipe.
    drop(driver);
    wait_until("the browser has ended", async || !runs()).await;
    wait_until("its files are gone", async || !profile.parent().unwrap().exists()).await;
}
