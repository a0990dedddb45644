//! Logging in, staying, being sent there and back.

use crate::doors::{Doors, FORM, FULL, READ, form};

const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_traded_for_a_session_until_it_is_logged_out() {
    let doors = Doors::open().await;
    let answer = doors.try_to_log_in(&format!(" {FULL}\n"), &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flip")));
    let cookie = answer.header("set-cookie").unwrap();
    let name = format!("flipgate_session_{}=", doors.flipgate.admin.port());
    let (number, attributes) = cookie.strip_prefix(&name).unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Max-Age=43200");
    assert!(number.len() == 64 && !doors.flipgate.said().contains(number));
    let over_tls = doors.try_to_log_in(FULL, &[("X-Forwarded-Proto", "https")]).await;
    assert!(over_tls.header("set-cookie").unwrap().ends_with("; Max-Age=43200; Secure"));

    let session = doors.log_in(FULL).await;
    let status = async || doors.get("/api/status", &[session.header()]).await.status;
    assert_eq!(status().await, 200);
    let foreign = [FORM, session.header(), ("Origin", "http://evil.example")];
    let csrf = form(&[("csrf", &session.csrf)]);
    for (headers, body) in [(&foreign[..], csrf.as_str()), (&[FORM, session.header()], "csrf=0")] {
        assert_eq!(doors.ask("POST", "/logout", headers, body).await.status, 403);
        assert_eq!(status().await, 200, "nobody else ends a session");
    }
    let answer = doors.ask("POST", "/logout", &[FORM, session.header()], &csrf).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")));
    assert_eq!(
        answer.header("set-cookie"),
        Some(&*format!("{name}; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"))
    );
    assert_eq!(status().await, 401);
    assert_eq!(doors.ask("POST", "/logout", &[FORM], "").await.status, 303, "there is nothing to end");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_ends_the_session_before_and_a_restart_ends_all() {
    let doors = Doors::open().await;
    let (reader, other) = (doors.log_in(READ).await, doors.log_in(READ).await);
    assert_eq!(doors.try_to_log_in(FULL, &[reader.header()]).await.status, 303);
    assert_eq!(doors.get("/api/status", &[reader.header()]).await.status, 401);
    assert_eq!(doors.get("/api/status", &[other.header()]).await.status, 200);
    let Doors { flipgate, from, to } = doors;
    let port = flipgate.admin;
    flipgate.terminate();
    let setup = flipgate.stopped().await.argument("--admin-listen", &port.to_string());
    let doors = Doors { flipgate: setup.start().await, from, to };
    assert_eq!(doors.get("/api/status", &[other.header()]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_must_wait_and_so_must_all_from_there() {
    let doors = Doors::open().await;
    for _ in 0..5 {
        doors.log_in(FULL).await;
        let answer = doors.try_to_log_in("hush-wrong", &[]).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains("role=\"alert\">This token is not known here.<"), "{}", answer.text());
        assert!(answer.text().contains("name=\"next\" value=\"/flip\""), "{}", answer.text());
        assert_eq!(answer.header("set-cookie"), None);
    }
    for token in ["hush-wrong", FULL] {
        let answer = doors.try_to_log_in(token, &[]).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (429, None));
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
        assert!(answer.text().contains(&format!("Too many wrong tokens; try again in {after} s.")));
    }
    // Who has a session or a bearer token is not concerned.
    let scrape = doors.get("/metrics", &[("Authorization", "Bearer hush-full")]).await;
    for (result, count) in [("ok", 5), ("refused", 5), ("limited", 2)] {
        let line = format!("flipgate_admin_logins_total{{result=\"{result}\"}} {count}\n");
        assert!(scrape.text().contains(&line), "{line}{}", scrape.text());
    }
    let said = doors.flipgate.said();
    assert_eq!(said.matches("a login with a wrong token was refused").count(), 5, "{said}");
    assert!(said.contains("127.0.0.1") && !said.contains("hush"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_are_counted_as_many() {
    let doors = Doors::open().await;
    let guesses = (0..20).map(|_| doors.try_to_log_in("hush-wrong", &[]));
    let answers = futures_util::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_leads_back_to_where_one_was_going_and_nowhere_else() {
    let doors = Doors::open().await;
    let answer = doors.get("/findings?route=%2Fread&state=open", &[HTML]).await;
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(
        (answer.status, &*location),
        (303, "/login?next=%2Ffindings%3Froute%3D%252Fread%26state%3Dopen")
    );
    let page = doors.get(&location, &[HTML]).await;
    assert!(
        page.text().contains("name=\"next\" value=\"/findings?route=%2Fread&#38;state=open\""),
        "{}",
        page.text()
    );
    let lead = async |next: &str| {
        let body = form(&[("token", READ), ("next", next)]);
        let answer = doors.ask("POST", "/login", &[FORM], &body).await;
        assert_eq!(answer.status, 303);
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(lead("/findings?route=%2Fread&state=open").await, "/findings?route=%2Fread&state=open");
    for next in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "/a\r\nX: y",
        "",
        "x",
    ] {
        assert_eq!(lead(next).await, "/", "{next:?}");
    }
    let page = doors.get("/login?next=%2F%22%3E%3Cscript%3E", &[HTML]).await;
    assert!(!page.text().contains("<script"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_from_elsewhere_finds_the_session_at_the_second_look() {
    let doors = Doors::open().await;
    // The browser keeps the cookie back from what another site's page leads to.
    let followed = doors.get("/flip?a=1&b=%22", &[HTML, ("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!(followed.status, 200);
    let refresh = "<meta http-equiv=\"refresh\" content=\"0;url=/flip?a=1&#38;b=%22\">";
    assert!(followed.text().contains(refresh), "{}", followed.text());
    let again = [HTML, ("Sec-Fetch-Site", "same-origin")];
    let without = doors.get("/flip?a=1", &again).await;
    assert_eq!((without.status, without.header("location")), (303, Some("/login?next=%2Fflip%3Fa%3D1")));
    let session = doors.log_in(READ).await;
    let with = doors.get("/flip?a=1", &[&again[..], &[session.header()]].concat()).await;
    assert!(!matches!(with.status, 303 | 401), "{with:?}");
    let change = doors.ask("POST", "/login", &[FORM, ("Sec-Fetch-Site", "cross-site")], "token=x").await;
    assert_eq!(change.status, 403, "nobody is logged in by another site's page");
}
