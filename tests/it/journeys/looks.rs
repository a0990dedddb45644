//! Every screen: wide, on a phone and in the dark; what axe-core says; that nothing comes from elsewhere.

use std::fmt::Write as _;

use super::Stage;
use crate::browser::Page;
use crate::doors::Doors;
use crate::harness::Setup;
use crate::upstream::{Reply, Upstream};

/// All screens of a flipgate that has findings of both kinds, and something in its audit.
async fn set() -> (Stage, Vec<(&'static str, String)>) {
    let stage = Stage::set().await;
    stage.traffic().await;
    for number in 0..3 {
        stage.flipgate.get(&format!("/page/{number}")).await;
    }
    stage.flipgate.settled().await;
    stage.flipgate.flip("postgres", true).await;
    let screens = vec![
        ("overview", "/".to_owned()),
        ("findings", "/findings".to_owned()),
        ("finding-json", stage.finding("/read/{name}").await),
        ("finding-html", stage.finding("/page/{name}").await),
        ("flip", "/flip".to_owned()),
        ("writes", "/writes".to_owned()),
        ("audit", "/audit".to_owned()),
        ("problem", "/findings/none".to_owned()),
    ];
    (stage, screens)
}

async fn check(page: &Page, name: &str) {
    page.screenshot(name).await;
    page.axe().await;
    page.assert_fits().await;
    page.assert_no_foreign_requests().await;
}

async fn check_all(page: &Page, screens: &[(&str, String)], manner: &str) {
    page.expect_error("404 (Not Found)");
    for (name, path) in screens {
        page.goto(path).await;
        check(page, &format!("{name}-{manner}")).await;
    }
    page.goto("/flip").await;
    page.fill("Percent of the reads to postgres", "25").await;
    page.click("Set the dial …").await;
    page.see("Set the dial to 25 %?").await;
    check(page, &format!("plan-{manner}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_fit_for_all_on_a_wide_window() {
    let (stage, screens) = set().await;
    check_all(&stage.page().await, &screens, "wide").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_fits_a_phone() {
    let (stage, screens) = set().await;
    let page = stage.page().await;
    page.at_width(390).await;
    check_all(&page, &screens, "phone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_can_be_read_in_the_dark() {
    let (stage, screens) = set().await;
    let page = stage.page().await;
    page.emulate_dark().await;
    check_all(&page, &screens, "dark").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_fit_for_all() {
    let doors = Doors::open().await;
    let page = Page::open(doors.flipgate.admin).await;
    page.goto("/login").await;
    check(&page, "login-wide").await;
    page.at_width(390).await;
    check(&page, "login-phone").await;
    page.emulate_dark().await;
    check(&page, "login-dark").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_routes_and_two_hundred_findings_can_be_used() {
    let members = |side: &str| format!(r#"{{"a":"{side}","b":"{side}","c":"{side}","d":"{side}"}}"#);
    let from = Upstream::always(Reply::json(members("x"))).await;
    let to = Upstream::always(Reply::json(members("y"))).await;
    let config = (0..50).fold("preset = \"none\"\n".to_owned(), |mut config, route| {
        writeln!(config, "[[routes]]\nmatch = \"/route-{route}/{{name}}\"").unwrap();
        config
    });
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config).start().await;
    for route in 0..50 {
        flipgate.get(&format!("/route-{route}/a")).await;
    }
    flipgate.settled().await;
    let page = Page::open(flipgate.admin).await;
    page.goto("/").await;
    page.see("/route-49/{name}").await;
    check(&page, "overview-many").await;
    page.goto("/findings").await;
    page.see("200 findings").await;
    assert_eq!(page.texts(".cause li a").await.len(), 200);
    check(&page, "findings-many").await;
    page.choose("Route", "/route-31/{name}").await;
    page.click("Filter").await;
    page.see("4 of 200 findings").await;
    page.click("/d is \"x\" in sqlite and \"y\" in postgres, on /route-31/{name}.").await;
    page.see("on every answer of /route-31/{name}").await;
    page.goto("/flip").await;
    page.click_in(".unmet", "What is missing").await;
    page.see("… and 30 more").await;
}
