//! The main way: see what differs, judge it, watch the gate turn, flip, go back, read what was done.

use super::{DEFECT, Stage};
use crate::browser::Page;
use crate::demo::{Demo, demo};

#[tokio::test(flavor = "multi_thread")]
async fn a_defect_is_found_judged_and_flipped_past_and_back() {
    let stage = Stage::set().await;
    let page = stage.page().await;
    page.goto("/").await;
    page.see("sqlite serves all reads").await;
    page.see("The gate is shut").await;
    page.see("Nothing that is open.").await;
    // What comes to be known comes to the open page.
    stage.traffic().await;
    page.see("/items/*/has_audio").await;
    page.see("1 open").await;
    page.see("3 conditions are not met").await;

    find_it(&page).await;
    judge_it(&page, &stage.finding("/read/{name}").await).await;
    flip_and_roll_back(&page).await;

    page.click("Audit").await;
    let rows = page.texts("tbody tr").await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    for (row, said) in rows.iter().zip([
        ["rollback postgres → sqlite", "none given", "the gate was open"],
        ["flip sqlite → postgres", "all is well", "the gate was open"],
        ["accept open → accepted", "audio comes later", "has_audio"],
    ]) {
        assert!(said.iter().all(|said| row.contains(said)), "{row}");
    }
}

async fn find_it(page: &Page) {
    page.click("Findings").await;
    page.see(DEFECT).await;
    page.choose("Severity", "breaking").await;
    page.click("Filter").await;
    page.see("0 of 1 finding").await;
    page.choose("Severity", "value").await;
    page.choose("Route", "/read/{name}").await;
    page.choose("State", "open").await;
    page.click("Filter").await;
    page.see("1 finding").await;
    page.click(&format!("{DEFECT}, on /read/{{name}}.")).await;
}

async fn judge_it(page: &Page, finding: &str) {
    page.arrive(finding).await;
    page.see("on 4 of 40 answers of /read/{name}").await;
    assert_eq!(page.texts(".sides mark").await, ["true", "false"]);
    let heads = page.texts(".sides thead th").await;
    assert!(heads.contains(&"sqlite".to_owned()) && heads.contains(&"postgres".to_owned()), "{heads:?}");
    let curls = page.texts("pre.code").await;
    assert!(curls.len() == 2 && curls.iter().all(|curl| curl.starts_with("curl ")), "{curls:?}");
    page.click("RFC 6902 patch from sqlite to postgres").await;
    page.see(r#""path": "/items/0/has_audio", "value": false"#).await;
    page.click("Recheck now").await;
    page.see("Asked again just now: it still differs at /items/*/has_audio changed.").await;
    assert_eq!(page.js("return location.pathname").await, finding, "where one can come back to");

    page.fill("Why is it acceptable?", "audio comes later").await;
    page.click("only the values of its samples (1)").await;
    page.choose("For how long", "30 days").await;
    page.click("Accept").await;
    page.see("“audio comes later”").await;
    page.see("for 1 pair of values only").await;
    // The page is not loaded again for this.
    page.js("window.still = 'here'").await;
    page.see("ready").await;
    page.see_gone("not ready").await;
    assert_eq!(page.js("return window.still").await, "here");
}

async fn flip_and_roll_back(page: &Page) {
    page.click("Flip").await;
    page.see("The gate is open").await;
    page.fill("Reason for the flip", "all is well").await;
    page.click("Flip to postgres …").await;
    page.see("Flip to postgres?").await;
    page.see("no client is cut off").await;
    page.click("Yes, flip to postgres").await;
    page.see("postgres serves all reads").await;
    for screen in ["Overview", "Findings", "Audit", "Flip"] {
        page.click_in("nav", screen).await;
        page.see("primary: postgres").await;
        page.see("Roll back to sqlite").await;
    }
    page.click_in(".now", "Roll back to sqlite").await;
    page.see("sqlite serves all reads").await;
    page.see_gone("Roll back to sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_that_the_gate_refuses_says_why_and_can_be_forced() {
    let stage = Stage::set().await;
    stage.traffic().await;
    let page = stage.page().await;
    page.expect_error("409 (Conflict)");
    page.goto("/flip").await;
    page.fill("Reason for the flip", "at any price").await;
    page.click("Flip to postgres …").await;
    page.see("It would be refused: 3 conditions are not met (below).").await;
    page.click("Yes, flip to postgres").await;
    page.see("Refused: the gate is shut, 3 conditions not met. Nothing was changed.").await;
    page.see("No open findings").await;
    page.see("sqlite serves all reads").await;
    page.fill("Reason for the flip", "at any price").await;
    page.click_in("form[action='/flip']", "even if the gate is shut (the audit says so)").await;
    page.click("Flip to postgres …").await;
    page.see("3 conditions not met: it is done all the same, and the audit says so.").await;
    page.click("Yes, flip to postgres").await;
    page.see("postgres serves all reads").await;
    page.click("Audit").await;
    page.see("flip sqlite → postgres forced").await;
    page.see("the gate was shut: 3 conditions unmet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_planted_defects_are_there_to_be_seen() {
    let demo = Demo::start(&mut demo(&["--rows", "30"])).await;
    let page = Page::open(demo.admin).await;
    page.goto("/").await;
    page.see("The gate is shut").await;
    page.see("indexed_at changed").await;
    page.screenshot("demo-overview").await;
    page.click("Findings").await;
    for defect in ["has_audio is true in sqlite and false in postgres", "is missing", "indexed_at"] {
        page.see(defect).await;
    }
    page.screenshot("demo-findings").await;
    let finding = page.js("return document.querySelector('.cause li a').getAttribute('href')").await;
    page.goto(finding.as_str().unwrap()).await;
    page.see("Both bodies, as JSON").await;
    assert!(!page.texts(".sides mark, .sides .gone, .sides .new").await.is_empty());
    page.screenshot("demo-finding").await;
    page.click("Recheck now").await;
    page.see("Asked again just now: it still differs at").await;
    drop(page);
    demo.stop().await;
}
