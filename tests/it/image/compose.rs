//! `compose.yaml`: what it mounts and opens, and its services' own commands run one after the other, without an engine.

use std::process::Stdio;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

use super::{read, repository, runtime};
use crate::client;
use crate::command::{Told, command};
use crate::harness::{Flipgate, Setup, pg_database};

/// PostgreSQL and the library's volume, as the services call them.
const POSTGRES: &str = "postgres://flipgate:demo-only@postgres/library";
const LIBRARY: &str = "/data/library.db";

/// The services that are of our image.
const OURS: [&str; 3] = ["library", "migrate", "flipgate"];

struct Compose(Yaml);

/// One service, with what it takes over from `<<`.
#[derive(Clone, Copy)]
struct Service<'y>(&'y str, &'y Yaml);

/// Where the services' places are on this machine.
struct Places {
    directory: TempDir,
    postgres: String,
}

// === impl Compose ===

impl Compose {
    fn read() -> Self {
        Compose(YamlLoader::load_from_str(&read("compose.yaml")).unwrap().remove(0))
    }

    fn services(&self) -> Vec<Service<'_>> {
        let services = self.0["services"].as_hash().unwrap();
        services.iter().map(|(name, service)| Service(name.as_str().unwrap(), service)).collect()
    }

    fn service(&self, name: &str) -> Service<'_> {
        self.services().into_iter().find(|service| service.0 == name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn declares(&self, section: &str, name: &str) -> bool {
        self.0[section].as_hash().is_some_and(|all| all.contains_key(&Yaml::String(name.to_owned())))
    }
}

// === impl Service ===

impl<'y> Service<'y> {
    fn get(&self, key: &str) -> &'y Yaml {
        let own = &self.1[key];
        if own.is_badvalue() { &self.1["<<"][key] } else { own }
    }

    /// A list of words; none where there is none.
    fn list(&self, key: &str) -> Vec<&'y str> {
        self.get(key).as_vec().into_iter().flatten().map(|item| item.as_str().unwrap()).collect()
    }

    fn text(&self, key: &str) -> &'y str {
        self.get(key).as_str().unwrap_or_else(|| panic!("{}: no {key}", self.0))
    }

    /// The files that its command and its variables name, as the container sees them.
    fn places(&self) -> Vec<&'y str> {
        let variables = self.map("environment").into_iter().filter_map(|(_, value)| value.as_str());
        let words = self.list("command").into_iter().chain(variables);
        words
            .map(|word| word.strip_prefix("sqlite:").unwrap_or(word))
            .filter(|w| w.starts_with('/'))
            .collect()
    }

    fn map(&self, key: &str) -> Vec<(&'y str, &'y Yaml)> {
        let pairs = self.get(key).as_hash().into_iter().flatten();
        pairs.map(|(name, value)| (name.as_str().unwrap(), value)).collect()
    }
}

// === impl Places ===

impl Places {
    async fn new() -> Self {
        Places { directory: tempfile::tempdir().unwrap(), postgres: pg_database().await }
    }

    fn library(&self) -> String {
        self.directory.path().join("library.db").to_str().unwrap().to_owned()
    }

    /// A word of a command or a variable, with what lies elsewhere here.
    fn here(&self, word: &str) -> String {
        let ours = |name: &str| repository().join(name).to_str().unwrap().to_owned();
        word.replace(POSTGRES, &self.postgres)
            .replace(LIBRARY, &self.library())
            .replace("/etc/flipgate/flipgate.toml", &ours("compose/flipgate.toml"))
            .replace("/run/secrets/admin-token", &ours("compose/demo-admin-token"))
    }

    /// Runs the service's command with the image's environment and its own.
    async fn run(&self, service: Service<'_>, edit: impl Fn(&mut Vec<String>)) -> Told {
        let mut words: Vec<String> =
            service.list("command").into_iter().map(|word| self.here(word)).collect();
        edit(&mut words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = command(&words);
        command.envs(runtime().environment()).current_dir(self.directory.path());
        command
            .envs(service.map("environment").into_iter().map(|(n, v)| (n, self.here(v.as_str().unwrap()))));
        Told::of(command.output().await.unwrap())
    }

    /// Runs the three services that prepare the data; gives what `migrate` said.
    async fn prepare(&self, compose: &Compose) -> Told {
        let written = self.run(compose.service("library"), |_| {}).await;
        assert_eq!(written.code, 0, "{written:?}");
        let migrated = self.run(compose.service("migrate"), |_| {}).await;
        assert_eq!(migrated.code, 0, "{migrated:?}");
        let mut connection = PgConnection::connect(&self.postgres).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(read("compose/defects.sql")))
            .execute(&mut connection)
            .await
            .unwrap();
        migrated
    }
}

#[test]
fn what_compose_mounts_is_there_and_declared() {
    let compose = Compose::read();
    let dashboards = repository().join("dashboards").exists();
    if !dashboards {
        eprintln!("SKIPPED: no dashboards/ beside compose.yaml to look for");
    }
    for service in compose.services() {
        for volume in service.list("volumes") {
            let (source, target) = volume.split_once(':').unwrap();
            if !source.starts_with('.') {
                assert!(compose.declares("volumes", source), "{}: {source} is not declared", service.0);
                continue;
            }
            assert!(
                target.ends_with(":ro"),
                "{}: {volume} is of the repository and may be written",
                service.0
            );
            if dashboards || !source.contains("dashboards") {
                assert!(repository().join(source).exists(), "{}: {source} does not exist", service.0);
            }
        }
        for secret in service.list("secrets") {
            let file = compose.0["secrets"][secret]["file"].as_str().unwrap_or_else(|| panic!("{secret}"));
            assert!(repository().join(file).exists(), "{file} does not exist");
        }
        for place in service.places() {
            let mounted = service.list("volumes").into_iter().filter_map(|volume| volume.split(':').nth(1));
            let secrets = service.list("secrets").into_iter().map(|secret| format!("/run/secrets/{secret}"));
            let mut known = mounted.map(str::to_owned).chain(secrets);
            assert!(known.any(|known| place.starts_with(&known)), "{}: nothing is at {place}", service.0);
        }
        for (other, condition) in service.map("depends_on") {
            let other = compose.service(other);
            let healthy = condition["condition"].as_str() == Some("service_healthy");
            let has_check = !other.get("healthcheck").is_badvalue();
            assert!(has_check || !healthy, "{} waits for {}, which has no check", service.0, other.0);
        }
    }
}

#[test]
fn only_this_machine_reaches_what_compose_opens() {
    let compose = Compose::read();
    let opened: Vec<&str> = compose.services().iter().flat_map(|service| service.list("ports")).collect();
    assert_eq!(opened.len(), 4, "{opened:?}");
    for port in opened {
        assert!(
            port.starts_with("127.0.0.1:"),
            "{port} is open to the network, and demo-only secrets with it"
        );
    }
    for service in compose.services() {
        assert_eq!(service.list("security_opt"), ["no-new-privileges:true"], "{}", service.0);
        let image = service.text("image");
        assert!(
            image == "flipgate" || image.contains(|c: char| c.is_ascii_digit()),
            "{image} is of no version"
        );
    }
}

#[test]
fn compose_runs_the_image_as_it_is_meant() {
    let (compose, image) = (Compose::read(), runtime());
    let ours = compose.services().into_iter().filter(|service| service.text("image") == "flipgate");
    let ours: Vec<Service<'_>> = ours.collect();
    assert_eq!(ours.iter().map(|service| service.0).collect::<Vec<_>>(), OURS);
    for service in ours {
        assert_eq!(service.get("read_only").as_bool(), Some(true), "{}", service.0);
        assert_eq!(service.text("user"), image.one("USER"));
        assert_eq!(service.list("cap_drop"), ["ALL"]);
        assert_eq!(service.list("tmpfs"), ["/tmp"]);
        // Built once, by the service that all others wait for.
        let is_first = service.0 == OURS[0];
        assert_eq!(service.get("build").as_str(), is_first.then_some("."), "{}", service.0);
        assert_eq!(service.get("pull_policy").as_str(), (!is_first).then_some("never"), "{}", service.0);
        let written: Vec<&str> =
            service.list("volumes").into_iter().filter(|v| !v.ends_with(":ro")).collect();
        assert!(written.iter().all(|v| v.ends_with(&format!(":{}", image.one("VOLUME")))), "{written:?}");
    }
    let check = &compose.service("flipgate").get("healthcheck")["test"];
    let check: Vec<&str> = check.as_vec().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(
        (check[0], &check[1..]),
        ("CMD", &image.health().iter().map(String::as_str).collect::<Vec<_>>()[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_of_compose_is_taken() {
    let (compose, places) = (Compose::read(), Places::new().await);
    let told = places.run(compose.service("flipgate"), |words| words[0] = "check-config".to_owned()).await;
    assert_eq!(told.code, 0, "{told:?}");
    for line in ["listen    0.0.0.0:8080 (admin 0.0.0.0:9900)", "state     /var/lib/flipgate"] {
        assert!(told.out.contains(line), "{told:?}");
    }
}

/// Also when it is started again over what is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_compose_prepares_has_defects_that_are_found() {
    let (compose, places) = (Compose::read(), Places::new().await);
    let first = places.prepare(&compose).await;
    assert!(first.out.contains("81"), "{first:?}");
    places.prepare(&compose).await;

    let from = format!("sqlite:{}", places.library());
    let config = format!("{}\n[recheck]\nafter = []\ncontrol_share = 0.0\n", read("compose/flipgate.toml"));
    let setup = Setup::with_config(&from, &places.postgres, &config);
    let flipgate = setup.start().await;
    let mut prometheus = client::Connection::open(flipgate.admin).await.unwrap();
    prometheus.send(b"GET /metrics HTTP/1.1\r\nHost: flipgate:9900\r\n\r\n").await.unwrap();
    assert_eq!(prometheus.answer("GET").await.unwrap().status, 200, "Prometheus gets no metrics");
    send_traffic(&format!("http://{}", flipgate.proxy), &flipgate).await;
    flipgate.settled().await;
    let findings = flipgate.findings().await;
    let sentences: Vec<&str> = findings.iter().map(|finding| finding["sentence"].as_str().unwrap()).collect();
    for defect in ["has_audio` is true in sqlite and false", "categories/*` is missing", "indexed_at` is"] {
        assert!(sentences.iter().any(|sentence| sentence.contains(defect)), "{defect}: {sentences:?}");
    }
}

/// One round of the traffic, by the shell and wget that it is written for; some of its reads where there are none.
async fn send_traffic(proxy: &str, flipgate: &Flipgate) {
    // As the image has it: a directory of its applets, and nothing else on PATH.
    let applets = tempfile::tempdir().unwrap();
    let mut install = tokio::process::Command::new("busybox");
    if let Err(why) = install.arg("--install").arg("-s").arg(applets.path()).output().await {
        eprintln!("SKIPPED: the traffic of compose.yaml is not sent as it is: busybox: {why}");
        for target in ["/api/reports?size=50", "/api/reports?size=50&page=2", "/api/filters"] {
            assert_eq!(flipgate.get(target).await.status, 200, "{target}");
        }
        return;
    }
    let mut traffic = tokio::process::Command::new(applets.path().join("sh"));
    traffic.arg(repository().join("compose/traffic.sh")).arg("1").env_clear();
    traffic.env("PATH", applets.path()).env("PROXY", proxy).env("PAUSE", "0");
    let status = traffic.stdin(Stdio::null()).kill_on_drop(true).status().await.unwrap();
    assert!(status.success(), "{status}");
    let sent = flipgate.settled().await.by("flipgate_outcomes_total", "outcome");
    assert!(sent["match"] + sent["mismatch"] > 300.0, "{sent:?}");
}
