//! What is written, and what is made of it.

use super::*;

fn load(toml: &str, variables: &[(&str, &str)], flags: Flags) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flipgate.toml");
    std::fs::write(&path, toml).unwrap();
    Config::load(&Flags { config: Some(path), ..flags }, &Environment::of(variables))
}

fn urls() -> Flags {
    Flags {
        sqlite: Some("http://127.0.0.1:1".into()),
        postgres: Some("http://127.0.0.1:2".into()),
        ..Flags::default()
    }
}

fn problems(toml: &str, variables: &[(&str, &str)], flags: Flags) -> String {
    load(toml, variables, flags).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = load("", &[], urls()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9900");
    assert_eq!(config.backends.from.name, "sqlite");
    assert_eq!(config.initial_primary, Side::From);
    assert_eq!(config.routes.labels().len(), 7);
}

#[test]
fn later_sources_win() {
    let toml = "listen = '127.0.0.1:1001'\nadmin_listen = '127.0.0.1:1002'\nstate_dir = 'a'";
    let variables = [("FLIPGATE_LISTEN", "127.0.0.1:2001"), ("FLIPGATE_ADMIN_LISTEN", "127.0.0.1:2002")];
    let flags = Flags { listen: Some("127.0.0.1:3001".into()), ..urls() };
    let config = load(toml, &variables, flags).unwrap();
    assert_eq!(config.listen.port(), 3001);
    assert_eq!(config.admin_listen.port(), 2002);
    assert_eq!(config.state_dir, PathBuf::from("a"));
}

#[test]
fn unknown_keys_are_all_told_with_the_nearest() {
    let told = problems("lisen = '1'\n[gate]\nmin_comparison = 3\n[[routes]]\nmach = '/'", &[], urls());
    assert!(told.contains("`lisen`; did you mean `listen`?"), "{told}");
    assert!(told.contains("`gate.min_comparison`; did you mean `min_comparisons`?"), "{told}");
    assert!(told.contains("`routes.mach`; did you mean `match`?"), "{told}");
}

#[test]
fn unknown_variables_are_told_and_injected_ones_ignored() {
    let told = problems("", &[("FLIPGATE_LISTN", "x"), ("FLIPGATE_PORT_80_TCP", "x")], urls());
    assert_eq!(told, "unknown environment variable FLIPGATE_LISTN; did you mean `FLIPGATE_LISTEN`?");
}

#[test]
fn the_dashboards_own_variables_are_honoured() {
    let variables = [("DATABASE_URL", "postgres://u:p@h/d"), ("READ_FROM_POSTGRES", "true")];
    let flags = Flags { sqlite: Some("http://127.0.0.1:1".into()), ..Flags::default() };
    let config = load("", &variables, flags).unwrap();
    assert_eq!(config.initial_primary, Side::To);
    assert!(!format!("{config:?}").contains("u:p"), "a password is shown");
}

#[test]
fn one_url_for_both_is_refused() {
    let flags = Flags { postgres: Some("http://127.0.0.1:1/".into()), ..urls() };
    assert!(problems("", &[], flags).contains("both backends are http://127.0.0.1:1"));
}

#[test]
fn an_admin_side_outside_loopback_needs_a_token() {
    let flags = || Flags { admin_listen: Some("0.0.0.0:9900".into()), ..urls() };
    assert!(problems("", &[], flags()).contains("there is no token"));
    load("", &[("FLIPGATE_ADMIN_TOKEN", "t")], flags()).unwrap();
}

#[test]
fn any_other_pair_of_names_works() {
    let flags = Flags {
        from: Some("mysql=http://127.0.0.1:1".into()),
        to: Some("pg=http://127.0.0.1:2".into()),
        primary: Some("pg".into()),
        ..Flags::default()
    };
    let config = load("preset = 'none'", &[], flags).unwrap();
    assert_eq!((config.backends.from.name.as_str(), config.initial_primary), ("mysql", Side::To));
}

#[test]
fn all_problems_are_told_at_once() {
    let toml = "preset = 'x'\nlisten = 'nowhere'\n[gate]\nmax_uncompared = 2.0\n[shadow]\ndeadline = 0";
    let told = problems(toml, &[], Flags::default());
    for part in
        ["preset `x`", "listen `nowhere`", "gate.max_uncompared", "shadow.deadline", "--sqlite", "--postgres"]
    {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
}

#[test]
fn a_route_of_the_file_replaces_the_presets() {
    let toml = "[[routes]]\nmatch = '/api/filters'\nrequired = false\ntreat_as_equal = ['timestamp_format']";
    let config = load(toml, &[], urls()).unwrap();
    let (_, route) = config.routes.find("/api/filters").unwrap();
    assert!(!route.required);
    assert_eq!(config.routes.labels().len(), 7);
}

#[test]
fn the_bounds_of_a_comparison_are_configurable() {
    let config = load("[compare]\ndepth = 9\nwork = 1000", &[], urls()).unwrap();
    let (_, route) = config.routes.find("/").unwrap();
    assert_eq!((route.rules.limits().depth, route.rules.limits().work), (9, 1000));
    assert!(problems("[compare]\nratio = 0", &[], urls()).contains("compare.ratio must be between 1"));
}

/// Labels of the writes that go to both.
fn mirrored(toml: &str, variables: &[(&str, &str)], flags: Flags) -> Vec<String> {
    let config = load(toml, variables, flags).unwrap();
    config.writes.routes.iter().map(|route| route.label.clone()).collect()
}

#[test]
fn writes_go_to_both_unless_that_is_turned_off_or_cannot_be() {
    let in_process = || Flags { sqlite: Some("sqlite:library.db".into()), ..urls() };
    let (both, http) = (mirrored("", &[], in_process()), mirrored("", &[], urls()));
    assert_eq!(both, ["POST /ingest/report", "DELETE /api/delete/{id}", "POST /api/delete"]);
    assert!(http.len() == 6 && http.starts_with(&both), "{http:?}");
    let off = [("DUAL_WRITE_MODE", "false")];
    assert!(mirrored("", &off, urls()).is_empty());
    assert!(mirrored("[writes]\nmode = 'primary'", &[], urls()).is_empty());
    assert!(mirrored("preset = 'none'", &[], urls()).is_empty());
    assert_eq!(mirrored("[writes]\nmode = 'both'", &off, urls()).len(), 6, "the file wins");
    let state = || Flags { state: Some("postgres://a/b".into()), ..urls() };
    assert!(mirrored("", &[], state()).is_empty());
    let told = load("", &[], state()).unwrap().warnings;
    assert!(told.iter().any(|told| told.contains("leader only")), "{told:?}");
    let told = problems("[writes]\nmode = 'both'", &[], state());
    assert!(told.contains("with --state"), "{told}");
    let told = problems("[writes]\nroutes = ['POST /api/content', 'GET /a']", &[], in_process());
    assert!(told.contains("`POST /api/content` cannot be mirrored: `sqlite`"), "{told}");
    assert!(told.contains("`GET /a` must begin with POST"), "{told}");
    let told = problems("[writes]\nread_back = '/a'\nmode = 'all'", &[], urls());
    assert!(
        told.contains("`/a` must be a path with {id}") && told.contains("mode `all` is unknown"),
        "{told}"
    );
}
