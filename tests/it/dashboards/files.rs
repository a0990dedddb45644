//! The dashboard files: what is in them, and what no query can show.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::promql;

/// A query as its panel makes it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) expr: String,
    /// Asked for one moment, or for a stretch of time.
    pub(super) instant: bool,
    /// Marks moments over all panels.
    pub(super) is_annotation: bool,
}

/// One file.
#[derive(Debug)]
pub(super) struct Dashboard {
    pub(super) name: String,
    pub(super) json: Value,
}

impl Dashboard {
    pub(super) fn all() -> Vec<Self> {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            let json = (path.extension()? == "json").then(|| std::fs::read_to_string(&path).unwrap())?;
            let name = path.file_stem()?.to_str()?.to_owned();
            Some(Self { name, json: serde_json::from_str(&json).unwrap() })
        };
        let found: Vec<Self> = std::fs::read_dir("dashboards").unwrap().filter_map(read).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        found
    }

    /// Every panel that shows something, with its title.
    fn panels(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.json["panels"].as_array().unwrap().iter();
        all.filter(|panel| panel["type"] != "row").map(|panel| (panel["title"].as_str().unwrap(), panel))
    }

    /// Every query of every panel and annotation, with the title it stands under.
    pub(super) fn targets(&self) -> Vec<(String, Target)> {
        let read = |target: &Value, is_annotation: bool| Target {
            expr: target["expr"].as_str().unwrap().to_owned(),
            instant: target["instant"] == true,
            is_annotation,
        };
        let mut targets = Vec::new();
        for (title, panel) in self.panels() {
            let own = panel["targets"].as_array().unwrap();
            assert!(!own.is_empty(), "{title} asks nothing");
            targets.extend(own.iter().map(|target| (title.to_owned(), read(target, false))));
        }
        let annotations = self.json["annotations"]["list"].as_array().unwrap();
        targets.extend(annotations.iter().map(|annotation| {
            (annotation["name"].as_str().unwrap().to_owned(), read(&annotation["target"], true))
        }));
        targets
    }

    /// Its variables, in the order in which Grafana fills them.
    pub(super) fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }
}

#[test]
fn no_two_dashboards_or_panels_have_the_same_id() {
    let mut uids = HashSet::new();
    for dashboard in Dashboard::all() {
        let Dashboard { name, json } = &dashboard;
        assert!(json["id"].is_null(), "{name}: the id is Grafana's to give");
        assert_eq!(json["uid"], format!("flipgate-{name}"));
        assert!(uids.insert(json["uid"].to_string()), "{name}");
        let mut ids = HashSet::new();
        for panel in json["panels"].as_array().unwrap() {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{name}: panel {} is there twice",
                panel["id"]
            );
        }
        assert_eq!(json["refresh"], "30s");
        assert!(json["links"].to_string().contains(r#""tags":["flipgate"]"#), "{name} links to no other");
        assert_eq!(json["tags"], serde_json::json!(["flipgate"]), "{name} is linked from no other");
    }
}

#[test]
fn no_panel_lies_over_another() {
    for dashboard in Dashboard::all() {
        let mut taken = HashSet::new();
        for panel in dashboard.json["panels"].as_array().unwrap() {
            let grid = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            let (x, y, w, h) = (grid("x"), grid("y"), grid("w"), grid("h"));
            assert!(w > 0 && h > 0 && x + w <= 24, "{}: {}", dashboard.name, panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{}: {} lies over another", dashboard.name, panel["title"]);
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_to_do() {
    for dashboard in Dashboard::all() {
        for (title, panel) in dashboard.panels() {
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 60, "{title}: {description:?}");
            let has_unit = match panel["type"].as_str().unwrap() {
                "stat" | "timeseries" => panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "heatmap" => panel["options"]["yAxis"]["unit"].is_string(),
                "table" | "state-timeline" => true,
                other => panic!("{title}: a panel of type {other}"),
            };
            assert!(has_unit, "{title} has no unit");
        }
    }
}

#[test]
fn variables_are_defined_before_they_are_used_and_every_query_keeps_to_its_job() {
    for dashboard in Dashboard::all() {
        let mut known = vec![];
        for variable in dashboard.variables() {
            let query = variable["query"]["query"].as_str().unwrap_or_default();
            for used in promql::variables(query) {
                assert!(known.contains(&used), "{}: {variable} uses {used} too early", dashboard.name);
            }
            known.push(variable["name"].as_str().unwrap().to_owned());
        }
        for (panel, Target { expr, .. }) in dashboard.targets() {
            for used in promql::variables(&expr) {
                let is_grafanas = ["__rate_interval", "__interval", "__range"].contains(&&*used);
                assert!(is_grafanas || known.contains(&used), "{panel}: ${used} is not defined");
            }
            for selector in promql::selectors(&expr) {
                assert!(selector.contains(r#"job="$job""#), "{panel}: {selector} is of any job");
            }
        }
        let sources = promql::members(&dashboard.json, "datasource");
        assert!(sources.len() > 20 && sources.iter().all(|source| source["uid"] == "${datasource}"));
    }
}

#[test]
fn grafana_finds_them_where_they_are_mounted() {
    for name in ["datasources", "dashboards"] {
        assert!(Path::new("dashboards/provisioning").join(name).join("flipgate.yml").is_file(), "{name}");
    }
    let provider = std::fs::read_to_string("dashboards/provisioning/dashboards/flipgate.yml").unwrap();
    assert!(provider.contains("path: /var/lib/grafana/dashboards"), "{provider}");
}
