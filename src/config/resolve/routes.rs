//! What is compared, and how: the preset and the routes of the file.

use std::sync::Arc;

use super::Problems;
use crate::compare::{Class, Limits, Mask, Mode, Rules, RulesSpec};
use crate::config::file::{File, RouteSpec, TreatAsEqual};
use crate::route::{Route, Routes};

/// What holds for every route.
struct Common {
    ignored: Vec<String>,
    limits: Limits,
}

/// The paths that the preset `ytv2` names.
const YTV2_ROUTES: &[&str] =
    &["/", "/api/reports", "/api/reports/{id}", "/api/filters", "/{stem}.json", "/{stem}.html"];
/// What the preset `ytv2` ignores: the dashboard's own version.
const YTV2_IGNORED: &str = "/deployment_version";

pub(super) fn routes(file: &File, problems: &mut Problems) -> Option<Routes> {
    let (specs, common) = specs(file, problems)?;
    let routes = specs.iter().filter_map(|spec| route(spec, &common, problems)).collect();
    problems.note(Routes::new(routes))
}

/// The rules of the route `pattern`, as written.
pub(super) fn rules_of(file: &File, pattern: &str, problems: &mut Problems) -> Option<RulesSpec> {
    let (specs, common) = specs(file, problems)?;
    let Some(spec) = specs.iter().find(|spec| spec.pattern == pattern) else {
        let known: Vec<String> = specs.iter().map(|spec| format!("`{}`", spec.pattern)).collect();
        let known = if known.is_empty() { "it names none".to_owned() } else { known.join(", ") };
        problems.0.push(format!("no route `{pattern}` is configured; choose one of: {known}"));
        return None;
    };
    problems.note(written(spec, &common).map_err(|why| format!("route `{pattern}`: {why}")))
}

/// The rules of every route, as written: what a fingerprint is taken of.
pub(super) fn written_rules(file: &File) -> Vec<(String, Option<RulesSpec>)> {
    // Whatever is wrong has been told already.
    let Some((specs, common)) = specs(file, &mut Problems(Vec::new())) else { return Vec::new() };
    specs.iter().map(|spec| (spec.pattern.clone(), written(spec, &common).ok())).collect()
}

/// Every route that preset and file name, and what holds for all of them.
fn specs(file: &File, problems: &mut Problems) -> Option<(Vec<RouteSpec>, Common)> {
    let preset = file.preset.as_deref().unwrap_or("ytv2");
    let (patterns, mut ignored): (&[&str], Vec<String>) = match preset {
        "ytv2" => (YTV2_ROUTES, vec![YTV2_IGNORED.to_owned()]),
        "none" => (&[], Vec::new()),
        other => {
            problems.0.push(format!("preset `{other}` is unknown; choose `ytv2` or `none`"));
            return None;
        }
    };
    ignored.extend(file.ignore.iter().cloned());
    let preset = patterns.iter().filter(|pattern| !file.routes.iter().any(|spec| spec.pattern == **pattern));
    let preset = preset.map(|pattern| RouteSpec { pattern: (*pattern).to_owned(), ..RouteSpec::default() });
    let common = Common { ignored, limits: limits(file, problems) };
    Some((preset.chain(file.routes.iter().cloned()).collect(), common))
}

/// The bounds of one comparison.
fn limits(file: &File, problems: &mut Problems) -> Limits {
    let (spec, default) = (&file.compare, Limits::default());
    let work = usize::try_from(default.work).unwrap_or(usize::MAX);
    Limits {
        depth: problems.count("compare.depth", spec.depth, default.depth),
        decoded: problems.count("compare.decoded", spec.decoded, default.decoded),
        ratio: problems.count("compare.ratio", spec.ratio, default.ratio),
        differences: problems.count("compare.differences", spec.differences, default.differences),
        work: problems.count("compare.work", spec.work, work) as u64,
    }
}

fn route(spec: &RouteSpec, common: &Common, problems: &mut Problems) -> Option<Route> {
    let pattern = &spec.pattern;
    if pattern.is_empty() {
        problems
            .0
            .push("a [[routes]] entry has no `match`; name its path, as in match = \"/api/reports\"".into());
        return None;
    }
    if spec.head == Some(true) {
        problems.0.push(format!("route `{pattern}`: comparing HEAD is not built yet; leave out `head`"));
    }
    let rules = written(spec, common).and_then(|written| Rules::new(&written).map_err(|e| e.to_string()));
    let rules = problems.note(rules.map_err(|why| format!("route `{pattern}`: {why}")))?;
    Some(Route { pattern: pattern.clone(), rules: Arc::new(rules), required: spec.required.unwrap_or(true) })
}

fn written(spec: &RouteSpec, common: &Common) -> Result<RulesSpec, String> {
    let classes =
        |names: &[String]| names.iter().map(|name| class(name)).collect::<Result<Vec<Class>, String>>();
    let mut written = RulesSpec {
        keys: spec.keys.clone().into_iter().collect(),
        order: spec.order.clone().into_iter().collect(),
        unordered: spec.unordered.clone(),
        ignore: common.ignored.iter().chain(&spec.ignore).cloned().collect(),
        limits: common.limits,
        html: spec.html.clone(),
        ignore_selectors: spec.ignore_selectors.clone(),
        only_selectors: spec.only_selectors.clone(),
        ..RulesSpec::default()
    };
    if let Some(mode) = &spec.compare {
        written.mode = mode.parse::<Mode>().map_err(|e| e.to_string())?;
    }
    if let Some(masks) = &spec.mask {
        let mask = |name: &String| name.parse::<Mask>().map_err(|e| format!("in `mask`: {e}"));
        written.mask = masks.iter().map(mask).collect::<Result<_, _>>()?;
    }
    if let Some(headers) = &spec.headers {
        written.headers.clone_from(headers);
    }
    match &spec.treat_as_equal {
        TreatAsEqual::Route(names) => written.treat_as_equal = classes(names)?,
        TreatAsEqual::Paths(paths) => {
            for (path, names) in paths {
                written.treat_as_equal_at.push((path.clone(), classes(names)?));
            }
        }
    }
    Ok(written)
}

fn class(name: &str) -> Result<Class, String> {
    name.parse::<Class>().map_err(|e| format!("in `treat_as_equal`: {e}"))
}
