//! How fast the comparison is, as ratios in one run to what parsing alone takes: `serde_json::from_slice::<Value>` of
//! both sides for JSON, scraper's (html5ever's) own parse of both sides for HTML. Rounds of both are interleaved and the
//! fastest of each counts, since others use the machine, too. Not run by `cargo test`; `scripts/bench-compare` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark, which fails by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use flipgate::compare::{Body, Comparison, Leg, Rules, compare};
use http::{HeaderMap, HeaderValue, header};
use peak_alloc::PeakAlloc;
use serde_json::Value;

/// Most memory in use at once, in times the two bodies.
const MEMORY: f64 = 6.0;
/// Time given to each scenario.
const BUDGET: Duration = Duration::from_millis(1500);
const SIZES: [(&str, usize); 3] = [("12 KB", 12 << 10), ("100 KB", 100 << 10), ("1 MB", 1 << 20)];

/// Knows the most bytes there were in use.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

struct Scenario {
    name: String,
    content_type: &'static str,
    from: String,
    to: String,
    /// At least so many times as fast as parsing.
    goal: f64,
    expected: u64,
}

/// One row: its members in order.
type Row = Vec<(&'static str, String)>;

fn main() {
    println!("flipgate {}: times faster than parsing both sides alone", env!("CARGO_PKG_VERSION"));
    println!(
        "{:<44} {:>9} {:>9} {:>8} {:>8} {:>7} {:>7}",
        "scenario", "floor µs", "ours µs", "×", "goal", "memory", "floor's"
    );
    println!(
        "(memory: the most in use at once, in times both bodies, goal 6; the floor holds one tree at a time)"
    );
    let mut scenarios = Vec::new();
    for (name, size) in SIZES {
        scenarios.extend(json(name, size));
    }
    for (name, size) in SIZES {
        scenarios.push(html(name, size));
    }
    let mut missed = 0;
    // Part of a name chooses scenarios, as cargo bench usually has it.
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    scenarios.retain(|scenario| scenario.name.contains(&chosen));
    for scenario in &scenarios {
        missed += u32::from(!run(scenario));
    }
    println!("{missed} of {} missed", scenarios.len());
}

fn run(scenario: &Scenario) -> bool {
    let bytes = scenario.from.len() + scenario.to.len();
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let comparison = ours(scenario);
    let memory = (ALLOCATOR.peak_usage() - before) as f64 / bytes as f64;
    assert_eq!(comparison.total, scenario.expected, "{}: {:#?}", scenario.name, comparison.differences);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    parse(scenario);
    let floor_memory = (ALLOCATOR.peak_usage() - before) as f64 / bytes as f64;
    let (mut floor, mut own) = (Duration::MAX, Duration::MAX);
    let begun = Instant::now();
    while begun.elapsed() < BUDGET {
        floor = floor.min(timed(|| parse(scenario)));
        own = own.min(timed(|| {
            black_box(ours(scenario));
        }));
    }
    let ratio = floor.as_secs_f64() / own.as_secs_f64();
    let verdict = match (ratio >= scenario.goal, memory <= MEMORY) {
        (true, true) => "",
        (false, true) => "  MISSED time",
        (true, false) => "  MISSED memory",
        (false, false) => "  MISSED time and memory",
    };
    println!(
        "{:<44} {:>9.1} {:>9.1} {ratio:>8.2} {:>8.2} {memory:>7.2} {floor_memory:>7.2}{}",
        scenario.name,
        floor.as_secs_f64() * 1e6,
        own.as_secs_f64() * 1e6,
        scenario.goal,
        verdict,
    );
    verdict.is_empty()
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn parse(scenario: &Scenario) {
    for side in [&scenario.from, &scenario.to] {
        if scenario.content_type == "text/html" {
            black_box(scraper::Html::parse_document(side));
        } else {
            black_box(serde_json::from_slice::<Value>(side.as_bytes()).unwrap());
        }
    }
}

fn ours(scenario: &Scenario) -> Comparison {
    let headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(scenario.content_type))]);
    compare(
        Leg {
            status: 200,
            headers: &headers,
            body: Body::Whole { bytes: scenario.from.as_bytes(), framed: true },
        },
        Leg {
            status: 200,
            headers: &headers,
            body: Body::Whole { bytes: scenario.to.as_bytes(), framed: true },
        },
        &Rules::default(),
    )
}

// === documents ===

/// A report in the likeness of the dashboard's.
fn report(number: usize) -> Vec<(&'static str, String)> {
    let text = |text: String| Value::from(text).to_string();
    vec![
        ("id", text(format!("yt:vid{number:08}"))),
        ("title", text(format!("Report number {number}: what was found, \"in short\", and why it matters"))),
        ("thumbnail_url", text(format!("https://img.example.org/vi/vid{number:08}/maxresdefault.jpg"))),
        ("canonical_url", text(format!("https://video.example.org/watch?v=vid{number:08}"))),
        ("channel", text(format!("Channel {}", number % 17))),
        ("published_at", text(format!("2025-09-17T00:{:02}:{:02}Z", number / 60 % 60, number % 60))),
        ("duration_seconds", (number * 7 % 3600).to_string()),
        (
            "analysis",
            format!(r#"{{"category":["History","Technology"],"score":{}.5,"language":"en"}}"#, number % 9),
        ),
        (
            "media",
            format!(
                r#"{{"has_audio":{},"audio_duration_seconds":{}}}"#,
                number.is_multiple_of(2),
                number % 99
            ),
        ),
        ("file_stem", text(format!("vid{number:08}"))),
        ("word_count", (number % 5000).to_string()),
        (
            "summary",
            text(format!("A summary of some length, as they are, of what report {number} says. ").repeat(3)),
        ),
    ]
}

fn document(reports: &[Vec<(&'static str, String)>], reversed: bool) -> String {
    let object = |members: &Vec<(&str, String)>| {
        let mut members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        if reversed {
            members.reverse();
        }
        format!("{{{}}}", members.join(","))
    };
    let rows: Vec<String> = reports.iter().map(object).collect();
    format!(r#"{{"reports":[{}],"pagination":{{"page":1,"total":{}}}}}"#, rows.join(","), rows.len())
}

fn json(size_name: &str, size: usize) -> Vec<Scenario> {
    let one = document(&[report(1)], false).len();
    let reports: Vec<_> = (0..size / one).map(report).collect();
    let from = document(&reports, false);
    let changed = |change: &dyn Fn(&mut Vec<Row>), reversed: bool| {
        let mut reports = reports.clone();
        change(&mut reports);
        document(&reports, reversed)
    };
    let middle = reports.len() / 2;
    let respelled = |reports: &mut Vec<Vec<(&'static str, String)>>| {
        for report in reports {
            report[5].1 = report[5].1.replace('T', " ").replace('Z', "+00:00");
        }
    };
    let scenario = |name: &str, to: String, goal: f64, expected: usize| Scenario {
        name: format!("json, {size_name}, {name}"),
        content_type: "application/json",
        from: from.clone(),
        to,
        goal,
        expected: expected as u64,
    };
    vec![
        scenario("identical", from.clone(), 50.0, 0),
        scenario("keys reordered", changed(&|_| {}, true), 2.5, 0),
        scenario(
            "one value changed",
            changed(&|reports| reports[middle][10].1 = "99999".into(), false),
            2.5,
            1,
        ),
        scenario(
            "keys reordered, one changed",
            changed(&|reports| reports[middle][10].1 = "99999".into(), true),
            2.5,
            1,
        ),
        scenario(
            "one row inserted at the front",
            changed(&|reports| reports.insert(0, report(9_999_999)), false),
            1.5,
            2,
        ),
        scenario("timestamp respelled in every item", changed(&respelled, false), 1.0, reports.len()),
        scenario("all rows rotated", changed(&|reports| reports.rotate_left(middle), false), 1.0, 1),
    ]
}

fn html(size_name: &str, size: usize) -> Scenario {
    let card = |number: usize, price: usize| {
        format!(
            "  <article class=\"card shadow rounded\" data-id=\"{number}\">\n    <a href=\"/reports/{number}\">\
             <img src=\"/static/img/{number}.jpg\" alt=\"Report {number}\"></a>\n    <h2>Report number {number}</h2>\n    \
             <p>What was found &amp; why it <b>matters</b>, in some words.</p>\n    <span class=\"price\">{price}</span>\n  \
             </article>\n"
        )
    };
    let page = |price: usize| {
        let cards: String =
            (0..size / 330).map(|number| card(number, if number == 7 { price } else { number })).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Reports</title></head>\n<body>\
             <main>\n{cards}</main></body></html>\n"
        )
    };
    Scenario {
        name: format!("html, {size_name}, one price changed"),
        content_type: "text/html",
        from: page(7),
        to: page(8),
        // 1.3 times what parsing takes.
        goal: 1.0 / 1.3,
        expected: 1,
    }
}
