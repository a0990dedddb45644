//! Random writes, each store leading at times.

use crate::both_stores::*;
use crate::write_rig::*;
use serde_json::{Value, json};

/// A request about one of few records, so that they meet each other in every order.
fn random(random: &mut fastrand::Rng) -> Request {
    const NAMES: [&str; 10] = [
        "kfByOR0_Kuw",
        "kfbyor0_kuw",
        "aaaaaaaaaa2",
        "jjjjjjjjjj4",
        "tttttttttt3",
        "nnnnnnnnnn1",
        "née",
        "new1",
        "new2",
        "yt:new1",
    ];
    let pick = |random: &mut fastrand::Rng, values: &[Value]| values[random.usize(..values.len())].clone();
    let name = NAMES[random.usize(..NAMES.len())];
    if random.u8(..5) == 0 {
        let prefix = if random.bool() { "yt:" } else { "" };
        return delete(&format!("{prefix}{name}"));
    }
    let documents = [
        json!(null),
        json!("{}"),
        json!({"categories":[{"category":"A–B","subcategories":["c"]}],"n":1.50}),
        json!(" {\"categories\" : [{\"category\":\"D\"}], \"n\":1e400} "),
        json!({"a":{"b":"\u{0}"},"language":"xx-YY","category":["A"],"key_topics":[1]}),
    ];
    let texts = [json!(null), json!(""), json!("a\u{0}"), json!("été"), json!(7)];
    let times =
        [json!(null), json!("2025-01-01"), json!("2030-01-01 00:00:00"), json!("2026-11-25T21:00:30.5+0000")];
    let numbers = [json!(null), json!("12.7"), json!(-3), json!("3000000000")];
    let variants: Vec<Value> = (0..random.usize(..3))
        .map(|position| {
            let (name, text) =
                (["alpha", "audio", "comprehensive"][position], ["one", "two", ""][random.usize(..3)]);
            let mut item = json!({"variant":name,"text":text,"html":"<b>"});
            if random.u8(..3) == 0 {
                item["revision"] = json!(random.u8(1..12));
            }
            item
        })
        .collect();
    ingest(json!({
        "video_id":name,
        "title":pick(random, &texts),
        "channel_name":pick(random, &texts),
        "indexed_at":pick(random, &times),
        "published_at":pick(random, &texts),
        "duration_seconds":pick(random, &numbers),
        "subcategories_json":pick(random, &documents),
        "analysis_json":pick(random, &documents),
        "topics_json":pick(random, &[json!(null), json!("[1.0, 2]"), json!(["x", null])]),
        "media":pick(random, &[json!(null), json!({"has_audio":"no","transcript_chars":9}), json!("{\"has_transcript\":1}")]),
        "summary_variants":variants,
    }))
}

/// Any writes in any order, each store leading at times.
#[tokio::test(flavor = "multi_thread")]
async fn random_writes_leave_both_stores_the_same() {
    let seed =
        std::env::var("FLIPGATE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(fastrand::u64(..));
    eprintln!("FLIPGATE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut both = Both::of(&[SCHEMA, NASTY, PLAIN]).await;
    let mut counts = std::collections::BTreeMap::new();
    for round in 0..160 {
        let request = random(&mut rng);
        if rng.bool() {
            // The other one leads.
            both.writes += 1;
        }
        let told = both.apply(request).await;
        *counts.entry(told.status).or_insert(0) += 1;
        if round % 20 == 19 {
            both.assert_equal().await;
        }
    }
    assert!(counts[&200] > 50 && counts.keys().all(|status| [200, 404, 409].contains(status)), "{counts:?}");
    both.stores.everything().await;
}
