//! With tokens: who is let in, what a session may, and what nobody else can make it do.

use serde_json::{Value, json};

use crate::browser::Page;
use crate::doors::{Doors, FULL, READ, bearer};
use crate::upstream::{Reply, Upstream};

async fn log_in(page: &Page, token: &str) {
    page.fill("Token", token).await;
    page.click("Log in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_page_that_was_asked_for() {
    let doors = Doors::open().await;
    let page = Page::open(doors.flipgate.admin).await;
    page.expect_error("401 (Unauthorized)");
    page.goto("/findings?state=open").await;
    page.arrive("/login?next=%2Ffindings%3Fstate%3Dopen").await;
    log_in(&page, "a guess").await;
    page.see("This token is not known here.").await;
    log_in(&page, FULL).await;
    page.arrive("/findings?state=open").await;
    let cookies = page.cookies().await;
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!((&cookies[0]["httpOnly"], &cookies[0]["sameSite"]), (&json!(true), &json!("Strict")));
    assert_eq!(page.js("return document.cookie").await, "");
    page.click("Flip").await;
    page.see("Reason for the flip").await;
    page.click("Log out").await;
    page.arrive("/login").await;
    page.goto("/flip").await;
    page.arrive("/login?next=%2Fflip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_may_only_read_is_offered_no_change() {
    let doors = Doors::open().await;
    let (finding, _) = doors.finding().await;
    let page = Page::open(doors.flipgate.admin).await;
    page.goto("/flip").await;
    log_in(&page, READ).await;
    page.see("This session may only read: a flip needs the full token.").await;
    page.goto(&format!("/findings/{finding}")).await;
    page.see("This session may only read.").await;
    page.see("Both bodies").await;
    let forms = page.js("return [...document.forms].map(form => form.getAttribute('action'))").await;
    assert_eq!(forms, json!(["/logout"]));
}

/// What the page's own script gets for a form that it sends.
async fn sent(page: &Page, body: &str) -> Value {
    let script = format!(
        "return fetch('/rollback', {{ method: 'POST', redirect: 'manual', body: new URLSearchParams({body}) }})\
         .then((answer) => answer.type === 'opaqueredirect' ? 303 : answer.status)"
    );
    page.js(&script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_changes_nothing_without_the_sessions_own_token_nor_from_elsewhere() {
    let doors = Doors::open().await;
    let page = Page::open(doors.flipgate.admin).await;
    page.expect_error("403 (Forbidden)");
    page.goto("/flip").await;
    log_in(&page, FULL).await;
    let flip = json!({"primary": "postgres", "reason": "a test", "force": true}).to_string();
    let headers = [("Authorization", &*bearer(FULL)), ("Content-Type", "application/json")];
    assert_eq!(doors.ask("POST", "/api/primary", &headers, &flip).await.status, 200);
    page.see("Roll back to sqlite").await;
    let before = doors.state().await;
    assert_eq!(sent(&page, "{}").await, 403);
    assert_eq!(sent(&page, "{ csrf: 'guessed' }").await, 403);

    // Another port is another origin, but the same site, so that the cookie goes along.
    let action = format!("http://{}/rollback", doors.flipgate.admin);
    let trap = format!(
        "<!doctype html><title>A trap</title><form method=post action='{action}'></form>\
         <script>document.forms[0].submit()</script>"
    );
    let elsewhere = Upstream::always(Reply::html(trap)).await;
    page.js(&format!("setTimeout(() => location.assign('{}/trap'))", elsewhere.url())).await;
    page.arrive("/rollback").await;
    page.see("this Origin is not the admin side's own").await;
    assert_eq!(doors.state().await, before);

    page.goto("/flip").await;
    let own = "{ csrf: document.querySelector('input[name=csrf]').value, reason: 'by its own page' }";
    assert_eq!(sent(&page, own).await, 303);
    assert_eq!(doors.told("/api/audit").await["entries"][0]["reason"], "by its own page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_session_ended_says_so() {
    let doors = Doors::open().await;
    let page = Page::open(doors.flipgate.admin).await;
    page.goto("/flip").await;
    log_in(&page, FULL).await;
    page.see("Reason for the flip").await;
    // As another tab of this browser would.
    let leave = "return fetch('/logout', { method: 'POST', redirect: 'manual', body: new URLSearchParams({ csrf: \
                 document.querySelector('input[name=csrf]').value }) }).then(() => null)";
    page.js(leave).await;
    page.see("You are logged out: load the page again.").await;
    page.goto("/flip").await;
    log_in(&page, FULL).await;
    page.see("Reason for the flip").await;
    page.see_gone("You are logged out").await;
}
