//! Whatever bodies, requests and operators say is shown as text.

use crate::browser::Page;
use crate::client;
use crate::harness::Setup;
use crate::upstream::{Reply, Upstream};

const MARKUP: &str =
    r#"</script></td><script>window.pwned=1</script><img src=x onerror=window.pwned=1>{{7*7}}"#;

/// Turns what follows around, where it is not shown for what it is.
const TURNED: &str = "\u{202e}gnp.exe";

#[tokio::test(flavor = "multi_thread")]
async fn what_others_say_is_text_in_every_place() {
    let answer = |side: &'static str| {
        let long = side.repeat(100_000);
        let body = serde_json::json!({
            format!("name {MARKUP}"): format!("{side} {MARKUP}"),
            "turned": format!("{side} {TURNED}"),
            "long": long,
        });
        let page =
            format!("<html><body><p title='{side}'>&lt;script&gt;window.pwned=1&lt;/script&gt;</p>{MARKUP}");
        let body = body.to_string();
        Upstream::start(move |request| match request.target.starts_with("/page") {
            true => Reply::html(page.clone()),
            false => Reply::json(body.clone()).header("X-Mark", MARKUP),
        })
    };
    let (from, to) = (answer("a").await, answer("b").await);
    let config =
        "preset = \"none\"\n[[routes]]\nmatch = \"/read/{name}\"\n[[routes]]\nmatch = \"/page/{name}\"\n";
    let flipgate = Setup::with_config(&from.url(), &to.url(), config).start().await;
    for target in
        ["/read/%3Cscript%3Ewindow.pwned=1%3C%2Fscript%3E", "/read/a?q='onload=window.pwned=1", "/page/1"]
    {
        client::request(flipgate.proxy, "GET", target, &[], b"").await.unwrap();
    }
    flipgate.settled().await;
    let page = Page::open(flipgate.admin).await;
    page.goto("/flip").await;
    page.fill("Reason for the flip", MARKUP).await;
    page.click_in("form[action='/flip']", "even if the gate is shut (the audit says so)").await;
    page.click("Flip to postgres …").await;
    assert_text(&page).await;
    page.click("Yes, flip to postgres").await;
    page.see("postgres serves all reads").await;

    let findings = flipgate.findings().await;
    assert!(findings.len() >= 4, "{findings:?}");
    let mut seen = String::new();
    for finding in &findings {
        page.goto(&format!("/findings/{}", finding["id"].as_str().unwrap())).await;
        assert_text(&page).await;
        page.assert_fits().await;
        seen += &page.texts("main").await.concat();
    }
    for text in [MARKUP, "\\u202egnp.exe", "'onload=window.pwned=1", "aaaaaaaaaa"] {
        assert!(seen.contains(text), "{text} is shown nowhere");
    }
    assert!(!seen.contains('\u{202e}'));
    page.fill("Why is it acceptable?", &format!("{MARKUP}{}", "x".repeat(800))).await;
    page.click("only the values of its samples (1)").await;
    page.click("Accept").await;
    for screen in
        ["/", "/findings", "/audit", "/flip", "/findings?route=%3Cscript%3Ewindow.pwned=1%3C/script%3E"]
    {
        page.goto(screen).await;
        assert_text(&page).await;
        page.assert_fits().await;
    }
}

/// Nothing of it ran, nor became an element.
async fn assert_text(page: &Page) {
    page.see("flipgate").await;
    let found = page
        .js("return [typeof window.pwned, document.querySelectorAll('img, main script, main svg[onload]').length]")
        .await;
    assert_eq!(found, serde_json::json!(["undefined", 0]));
}
