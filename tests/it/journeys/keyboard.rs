//! The same flip by keyboard alone.

use super::Stage;
use crate::browser::Page;

/// More stops than any screen has.
const STOPS: usize = 60;

/// Goes on from control to control until this one has the focus, each of which must be seen to have it.
async fn tab_to(page: &Page, control: &str) {
    for _ in 0..STOPS {
        page.press("Tab").await;
        let focused = page.focused().await;
        if focused != "body \"\"" {
            assert!(is_seen(page).await, "{focused} has the focus unseen");
        }
        if focused == control {
            return;
        }
    }
    panic!("no way to {control}: {}", page.focused().await);
}

/// Whether what has the focus shows so, within the window.
async fn is_seen(page: &Page) -> bool {
    let script = "const at = document.activeElement, box = at.getBoundingClientRect(); \
                  return getComputedStyle(at).outlineStyle !== 'none' && box.width > 1 && box.right > 0 \
                  && box.bottom > 0 && box.top < innerHeight";
    page.js(script).await == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_and_the_way_back_need_no_mouse() {
    let stage = Stage::set().await;
    stage.traffic().await;
    let page = stage.page().await;
    page.goto("/").await;
    page.press("Tab").await;
    assert_eq!(page.focused().await, "a \"To the content\"");
    assert!(is_seen(&page).await);
    page.press("Enter Tab").await;
    assert_eq!(page.focused().await, "a \"1 open\"", "the first link of the content");
    page.press("Enter").await;
    page.arrive("/findings?state=open").await;
    tab_to(&page, "a \"/items/*/has_audio is true in sqlite and false in postgres, on /read/{name}.\"").await;
    page.press("Enter").await;
    page.see("Judge it").await;
    tab_to(&page, "input \"Why is it acceptable?\"").await;
    page.type_in("audio comes later").await;
    // One stop for both radio buttons, of which the arrows choose one.
    tab_to(&page, "input \"up to a share of the route's comparisons\"").await;
    page.press("ArrowUp").await;
    tab_to(&page, "button \"Accept\"").await;
    page.press("Space").await;
    page.see("for 1 pair of values only").await;

    tab_to(&page, "a \"Flip\"").await;
    page.press("Enter").await;
    page.see("The gate is open").await;
    tab_to(&page, "input \"Reason for the flip\"").await;
    page.type_in("by hand").await;
    // A key held down asks for the plan, and does not confirm it.
    page.press("Enter").await;
    page.see("Flip to postgres?").await;
    assert_eq!(page.focused().await, "h2 \"Flip to postgres?\"");
    page.press("Enter").await;
    assert_eq!(stage.flipgate.primary().await, "sqlite");
    page.press("Tab").await;
    assert_eq!(page.focused().await, "button \"Yes, flip to postgres\"");
    page.press("Enter").await;
    page.see("primary: postgres").await;
    tab_to(&page, "button \"Roll back to sqlite\"").await;
    page.press("Enter").await;
    page.see("primary: sqlite").await;
    let audit = stage.audit().await;
    assert_eq!(audit[1], ("flip".to_owned(), "by hand".to_owned()), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_and_what_is_unfolded_outlive_what_is_new() {
    let stage = Stage::set().await;
    stage.traffic().await;
    let page = stage.page().await;
    page.goto("/").await;
    tab_to(&page, "a \"Open findings\"").await;
    stage.flipgate.get("/page/1").await;
    page.see("2 open findings").await;
    assert_eq!(page.focused().await, "a \"Open findings\"");
    assert!(is_seen(&page).await);
    // What had the focus goes: the focus stays where it was.
    stage.flipgate.flip("postgres", true).await;
    page.see("Roll back to sqlite").await;
    page.js("document.querySelector('.now button').focus()").await;
    assert_eq!(page.focused().await, "button \"Roll back to sqlite\"");
    stage.flipgate.flip("sqlite", true).await;
    page.see_gone("Roll back to sqlite").await;
    assert_eq!(page.js("return document.activeElement.className").await, "now changed");
}
