//! Where tokens come from, and that they are never printed.

use serde_json::json;

use super::{on, reply, two_stores};
use crate::command::{Told, command};
use crate::harness::Setup;
use crate::upstream::Upstream;

/// Arguments, variables, the exit code and what is said.
type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], i32, &'c str);

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_and_never_printed() {
    let (from, to) = two_stores().await;
    let setup = Setup::between(&from.url(), &to.url()).environment("FLIPGATE_ADMIN_TOKEN", "hush-full");
    // What the commands know, `serve` must not refuse.
    let setup =
        setup.environment("FLIPGATE_ADMIN_READ_TOKEN", "hush-read").environment("FLIPGATE_ADMIN", "http://x");
    let flipgate = setup.start().await;
    let url = format!("http://{}", flipgate.admin);
    let (full, wrong) = (flipgate.path("full"), flipgate.path("wrong"));
    std::fs::write(&full, "hush-full\n").unwrap();
    std::fs::write(&wrong, "hush\u{1}wrong").unwrap();
    let (full, wrong) = (full.to_str().unwrap(), wrong.to_str().unwrap());
    let flip = ["flip", "postgres", "--force"];
    let read = ("FLIPGATE_ADMIN_READ_TOKEN", "hush-read");
    let cases: [Case<'_>; 9] = [
        (&["status"], &[], 2, "answered 401 Unauthorized: a token is needed"),
        (&["status"], &[("FLIPGATE_ADMIN_TOKEN", "hush-other")], 2, "give the token by --token-file"),
        (&["status"], &[read], 0, "sqlite"),
        (
            &["status"],
            &[("FLIPGATE_ADMIN_TOKEN", "hush-full"), ("FLIPGATE_ADMIN_READ_TOKEN", "x")],
            0,
            "sqlite",
        ),
        (&flip, &[read], 2, "401"),
        (
            &flip,
            &[("FLIPGATE_ADMIN_TOKEN", "hush-read")],
            2,
            "answered 403 Forbidden: this token may only read",
        ),
        (&flip, &[("FLIPGATE_ADMIN_TOKEN_FILE", full)], 0, "postgres"),
        (&["rollback", "--token-file", full], &[("FLIPGATE_ADMIN_TOKEN", "hush-read")], 0, "sqlite"),
        (&["rollback", "--token-file", wrong], &[], 2, "characters that no header can carry"),
    ];
    for (arguments, variables, code, said) in cases {
        let mut command = command(arguments);
        command.env("FLIPGATE_ADMIN", &url).envs(variables.iter().copied());
        let told = Told::of(command.output().await.unwrap());
        assert_eq!(told.code, code, "{arguments:?} {variables:?}: {told:?}");
        assert!(format!("{}{}", told.out, told.err).contains(said), "{said}: {told:?}");
        assert!(!told.out.contains("hush") && !told.err.contains("hush"), "{told:?}");
    }
    let told = on(&flipgate, &["status", "--token-file", "/none/such"]).await;
    told.assert_one_sentence(2, "token file /none/such: No such file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_repeats_the_token_does_not_have_it_printed() {
    let echo = |status| {
        Upstream::start(move |request| {
            let said = request.headers.get("authorization").unwrap_or("none");
            reply(&json!({"detail": said, "primary": said})).with_status(status)
        })
    };
    for (status, code) in [(200, 0), (400, 2), (409, 1), (500, 3)] {
        let admin = echo(status).await;
        for format in ["text", "json"] {
            let mut command = command(&["status", "--admin", &admin.url(), "--format", format]);
            let told = Told::of(command.env("FLIPGATE_ADMIN_TOKEN", "hush-full").output().await.unwrap());
            assert_eq!(told.code, code, "{told:?}");
            assert!(format!("{}{}", told.out, told.err).contains("Bearer ***"), "{told:?}");
            assert!(!told.out.contains("hush") && !told.err.contains("hush"), "{told:?}");
        }
    }
}
