//! What one video may be, after what its writer was told: every state that explains all of it.

use serde_json::json;

use crate::written::{Record, Told, VARIANT, Write};

/// What the store that leads may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Possible {
    /// Nothing; a tombstone holds what is older, or there is none.
    Absent {
        is_buried: bool,
    },
    Present(Record),
}

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Ingest { title: String, text: String, indexed: Indexed },
    Delete { name: String, spelling: Spelling },
}

/// What an ingest says of its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexed {
    Unsaid,
    /// Than any tombstone.
    Newer,
    Older,
}

/// How a name is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spelling {
    Plain,
    Encoded,
    Query,
    Body,
}

/// A video that one writer writes alone.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) video_id: String,
    pub(super) possible: Vec<Possible>,
    /// For whoever has to find out.
    told: Vec<String>,
}

// === impl Possible ===

impl Possible {
    /// The status and what is there then.
    fn after(&self, video_id: &str, step: &Step) -> (u16, Possible) {
        match step {
            Step::Ingest { title, text, indexed } => match self {
                Possible::Absent { is_buried: true } if *indexed == Indexed::Older => (409, self.clone()),
                Possible::Absent { .. } => {
                    let id = format!("yt:{video_id}");
                    let revisions = vec![(1, text.clone())];
                    (200, Possible::Present(Record { id, title: title.clone(), revisions }))
                }
                Possible::Present(record) => {
                    let mut record = Record { title: title.clone(), ..record.clone() };
                    let last = record.revisions.last().map_or(0, |(number, _)| *number);
                    record.revisions.push((last + 1, text.clone()));
                    (200, Possible::Present(record))
                }
            },
            Step::Delete { name, .. } => {
                let is_video = name.strip_prefix("yt:").unwrap_or(name) == video_id;
                match self {
                    Possible::Present(record) if is_video || record.id == *name => {
                        (200, Possible::Absent { is_buried: true })
                    }
                    Possible::Present(_) => (404, self.clone()),
                    Possible::Absent { is_buried } => {
                        (404, Possible::Absent { is_buried: *is_buried || is_video })
                    }
                }
            }
        }
    }
}

// === impl Step ===

impl Step {
    pub(super) fn write(&self, video_id: &str) -> Write {
        match self {
            Step::Ingest { title, text, indexed } => {
                let mut payload = json!({
                    "video_id": video_id,
                    "title": title,
                    "summary_variants": [{"variant": VARIANT, "text": text}],
                });
                if let Some(time) = indexed.time() {
                    payload["indexed_at"] = json!(time);
                }
                Write::ingest(&payload)
            }
            Step::Delete { name, spelling } => match spelling {
                Spelling::Plain => Write::delete(name),
                Spelling::Encoded => Write::delete(&encoded(name)),
                Spelling::Query => Write::delete_by_query(&encoded(name)),
                Spelling::Body => Write::delete_by_body(name),
            },
        }
    }
}

/// Every byte, also those that need not be.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Indexed {
    fn time(self) -> Option<&'static str> {
        match self {
            Indexed::Unsaid => None,
            Indexed::Newer => Some("2099-01-01T00:00:00Z"),
            Indexed::Older => Some("2001-01-01T00:00:00Z"),
        }
    }
}

// === impl Model ===

impl Model {
    pub(super) fn new(video_id: &str, before: Option<&Record>) -> Self {
        let possible = before.cloned().map_or(Possible::Absent { is_buried: false }, Possible::Present);
        Self { video_id: video_id.to_owned(), possible: vec![possible], told: Vec::new() }
    }

    /// A name by which it may be known.
    pub(super) fn id(&self) -> Option<&str> {
        self.possible.iter().find_map(|possible| match possible {
            Possible::Present(record) => Some(record.id.as_str()),
            Possible::Absent { .. } => None,
        })
    }

    /// Takes in what a writer was told; panics if nothing explains it.
    pub(super) fn note(&mut self, step: &Step, told: Told) {
        self.told.push(format!("{step:?} -> {told:?}"));
        let mut possible: Vec<Possible> = Vec::new();
        let mut add = |one: Possible| {
            if !possible.contains(&one) {
                possible.push(one);
            }
        };
        for before in &self.possible {
            let (status, after) = before.after(&self.video_id, step);
            match told {
                Told::NotTaken => add(before.clone()),
                Told::Broken | Told::NoAnswer => {
                    add(before.clone());
                    add(after);
                }
                Told::Decided(told) if told == status => add(after),
                Told::Decided(_) => {}
            }
        }
        assert!(
            !possible.is_empty(),
            "nothing explains the last answer: {}\nbefore it: {:?}",
            self.story(),
            self.possible
        );
        self.possible = possible;
    }

    /// Takes in what a store has; panics if that is not possible.
    pub(super) fn find(&mut self, store: &str, found: Option<&Record>) {
        let before = self.possible.clone();
        self.possible.retain(|possible| match (possible, found) {
            (Possible::Absent { .. }, None) => true,
            (Possible::Present(record), Some(found)) => record == found,
            (Possible::Absent { .. }, Some(_)) | (Possible::Present(_), None) => false,
        });
        let is_possible = !self.possible.is_empty();
        assert!(is_possible, "{store} has {found:?}\nof what may be {before:?}\nafter {}", self.story());
        self.told.push(format!("found as {:?}", self.possible));
    }

    /// Whether it must have been deleted.
    pub(super) fn is_buried(&self) -> bool {
        self.possible.iter().all(|possible| *possible == Possible::Absent { is_buried: true })
    }

    fn story(&self) -> String {
        format!("{}:\n{}", self.video_id, self.told.join("\n"))
    }
}

#[test]
fn an_unknown_answer_leaves_both_and_a_later_one_tells() {
    let mut model = Model::new("v", None);
    let delete = Step::Delete { name: "yt:v".to_owned(), spelling: Spelling::Plain };
    let ingest = |text: &str, indexed| Step::Ingest { title: "t".to_owned(), text: text.to_owned(), indexed };
    model.note(&ingest("a", Indexed::Unsaid), Told::NoAnswer);
    assert_eq!(model.possible.len(), 2);
    model.note(&delete, Told::Decided(404));
    assert!(model.is_buried());
    model.note(&ingest("b", Indexed::Older), Told::Decided(409));
    model.note(&ingest("c", Indexed::Newer), Told::NoAnswer);
    model.note(&ingest("d", Indexed::Newer), Told::Decided(200));
    let texts = |possible: &Possible| match possible {
        Possible::Present(record) => record.revisions.iter().map(|(_, text)| text.clone()).collect(),
        Possible::Absent { .. } => Vec::new(),
    };
    let texts: Vec<Vec<String>> = model.possible.iter().map(texts).collect();
    assert_eq!(texts, [vec!["d".to_owned()], vec!["c".to_owned(), "d".to_owned()]]);
}
