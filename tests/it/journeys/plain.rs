//! The whole way without script: forms and links alone.

use super::{DEFECT, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn all_but_copying_works_without_script() {
    let stage = Stage::set().await;
    stage.traffic().await;
    let page = stage.page().await;
    page.expect_error("409 (Conflict)");
    page.without_script().await;
    page.goto("/findings").await;
    page.choose("Severity", "value").await;
    page.click("Filter").await;
    page.see("1 finding").await;
    page.click(&format!("{DEFECT}, on /read/{{name}}.")).await;
    page.see("Both bodies, as JSON").await;
    assert_eq!(page.texts("[data-copy]").await, [""; 0], "what would not work is not offered");
    page.click("RFC 6902 patch from sqlite to postgres").await;
    page.see("\"op\": \"replace\"").await;
    page.click("Recheck now").await;
    page.see("Asked again just now: it still differs").await;
    page.fill("Why is it acceptable?", "audio comes later").await;
    page.click("up to a share of the route's comparisons").await;
    page.fill("Share, in percent", "5").await;
    page.click("Accept").await;
    page.see("Nothing was changed: ").await;
    page.fill("Share, in percent", "20").await;
    page.click("Accept").await;
    page.see("in at most 20 % of the comparisons (so far 4 of 40): “audio comes later”").await;
    page.fill("Why is it no longer acceptable?", "it never came").await;
    page.click("Reopen").await;
    page.see("Why is it acceptable?").await;

    page.click("Flip").await;
    page.fill("Reason for the flip", "all the same").await;
    page.click_in("form[action='/flip']", "even if the gate is shut (the audit says so)").await;
    page.click("Flip to postgres …").await;
    page.click("Yes, flip to postgres").await;
    page.see("postgres serves all reads").await;
    page.fill("Percent of the reads to postgres", "25").await;
    page.click("Set the dial …").await;
    page.click("Yes, set the dial to 25 %").await;
    page.see("postgres serves 25 % of the reads").await;
    page.fill("Reason for rolling back", "enough").await;
    page.click_in("main", "Roll back to sqlite").await;
    page.see("sqlite serves all reads").await;
    page.click("Audit").await;
    page.see("enough").await;
    let audit = stage.audit().await;
    let actions: Vec<&str> = audit.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["rollback", "dial", "flip", "reopen", "accept"]);
}
