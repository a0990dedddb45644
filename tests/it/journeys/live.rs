//! What others do, and what becomes of flipgate, comes to a page that is open.

use super::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_operator_does_the_other_sees_and_cannot_undo_unknowing() {
    let stage = Stage::set().await;
    let (one, other) = (stage.page().await, stage.page().await);
    other.goto("/flip").await;
    other.see("sqlite serves all reads").await;
    other.fill("Reason for the flip", "I am late").await;
    one.goto("/flip").await;
    one.fill("Reason for the flip", "I am first").await;
    one.click_in("form[action='/flip']", "even if the gate is shut (the audit says so)").await;
    one.click("Flip to postgres …").await;
    one.click("Yes, flip to postgres").await;
    one.see("postgres serves all reads").await;

    other.see("postgres serves all reads").await;
    other.see("Roll back to sqlite").await;
    // What is being typed stays; what it was typed for is no more.
    assert_eq!(other.js("return document.getElementById('reason').value").await, "I am late");
    other.click("Flip to postgres …").await;
    other.see("That is so already: nothing would change.").await;
    other.fill("Percent of the reads to postgres", "50").await;
    one.click_in("header", "Roll back to sqlite").await;
    one.see("sqlite serves all reads").await;
    other.see("sqlite serves all reads").await;
    other.expect_error("409 (Conflict)");
    other.click("Set the dial …").await;
    other.see("Set the dial to 50 %?").await;
    other.click("Yes, set the dial to 50 %").await;
    other.see("Nothing was changed: ").await;
    other.see("This page shows what is so now.").await;
    other.see("primary: sqlite").await;
    let audit = stage.audit().await;
    assert_eq!(audit.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>(), ["rollback", "flip"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_flipgate_is_gone_and_recovers_with_it() {
    let Stage { flipgate, _from, _to } = Stage::set().await;
    let page = crate::browser::Page::open(flipgate.admin).await;
    page.expect_error("ERR_CONNECTION_REFUSED");
    page.goto("/flip").await;
    page.see("sqlite serves all reads").await;
    page.see_gone("Not connected").await;
    let admin = flipgate.admin.to_string();
    flipgate.terminate();
    let stopped = flipgate.stopped().await;
    page.see("Not connected to flipgate: what is shown may be old.").await;
    let flipgate = stopped.argument("--admin-listen", &admin).start().await;
    flipgate.flip("postgres", true).await;
    page.see("postgres serves all reads").await;
    page.see_gone("Not connected").await;
    // Its forms are those of the flipgate that is there now.
    page.fill("Reason for another epoch", "a new start").await;
    page.click("Begin another epoch").await;
    page.click("Audit").await;
    page.see("a new start").await;
    drop(page);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_sees_holds_no_stream_and_catches_up_once_seen() {
    let stage = Stage::set().await;
    let page = stage.page().await;
    page.goto("/").await;
    page.see("sqlite serves all reads").await;
    let shown = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange')); return events.readyState"
        )
    };
    assert_eq!(page.js(&shown(true)).await, 2, "closed");
    stage.flipgate.flip("postgres", true).await;
    page.js(&shown(false)).await;
    page.see("postgres serves all reads").await;
}
