//! The rules of a write, whatever the store: claim its id, change rows, remember what was answered.

use std::collections::BTreeMap;

use chrono::DateTime;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::payload::{Ingest, Variant};
use super::record::{self, spelt};
use super::session::{Failure, Found, Named, Remembered, Revisions, Session, Tombstone};
use super::{Change, Fate, Made, Stamp};
use crate::migrate::cell::Cell;
use crate::migrate::instant;
use crate::migrate::row::Table;

/// What ids begin with.
const PREFIX: &str = "yt:";

/// Why a follower does not take a change of a record.
const MISSING: &str =
    "this store does not have the record, which the other one has changed; run `flipgate migrate`";

/// What the leader made of a write, for the follower to make the same of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Effect {
    /// The record ingested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether that was there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    known: bool,
    /// The revision of each variant that named none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    revisions: BTreeMap<String, i32>,
    /// The records deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
    /// The videos of those that had one, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    videos: BTreeMap<String, String>,
}

/// Applies a change, or gives back what was answered before.
pub(super) async fn apply<S: Session>(
    session: &mut S,
    change: &Change,
    stamp: &Stamp,
) -> Result<Made, Failure> {
    match session.claim(stamp).await? {
        // One that was refused changed nothing: asked again, by an operator, it is tried again.
        Some(before) if before.status != i32::from(StatusCode::CONFLICT.as_u16()) => return Ok(before.made()),
        Some(_) | None => {}
    }
    let told = stamp.effect.as_deref().and_then(|effect| serde_json::from_str(effect).ok());
    let told: Effect = told.unwrap_or_default();
    let made = match change {
        Change::Ingest(payload) => ingest(session, payload, stamp, &told).await?,
        Change::Delete(name) => delete(session, name, stamp, told).await?,
    };
    session.remember(stamp, &made).await?;
    Ok(made)
}

async fn ingest<S: Session>(
    session: &mut S,
    payload: &Ingest,
    stamp: &Stamp,
    told: &Effect,
) -> Result<Made, Failure> {
    session.lock(&folded(&payload.video_id)).await?;
    let found = find(session, payload, told).await?;
    let known = found.is_some();
    // A new record's summaries are those of this write, unless orphans of its video lie about.
    let has_summaries = known || S::HAS_ORPHANS;
    let (id, video_id) = match found {
        Some(found) => update(session, found, payload, stamp).await?,
        // A new one would be the payload and nothing else of what the leader has: no curated subcategories, for one.
        None if told.known => return Ok(Made::refused(StatusCode::CONFLICT, MISSING)),
        None => {
            let id = told.id.clone().unwrap_or_else(|| format!("{PREFIX}{}", payload.video_id));
            if let Some(refused) = rise(session, &id, payload, stamp).await? {
                return Ok(refused);
            }
            let mut row = record::begun(&id, &payload.video_id, stamp.at);
            record::change(&mut row, payload);
            row.put("updated_at", record::text(&spelt(stamp.at)));
            session.insert(Table::Content, &row).await?;
            (id, payload.video_id.clone())
        }
    };
    let mut effect = Effect { id: Some(id.clone()), known, ..Effect::default() };
    for (place, variant) in payload.variants.iter().enumerate() {
        let wanted = variant.revision.or_else(|| told.revisions.get(&variant.name).copied());
        let revisions = match has_summaries || place > 0 {
            true => session.revisions(&video_id, &variant.name).await?,
            false => Vec::new(),
        };
        let (revision, is_latest) = summarise(session, &video_id, variant, wanted, revisions, stamp).await?;
        if variant.revision.is_none() {
            effect.revisions.insert(variant.name.clone(), revision);
        }
        if is_latest
            && has_summaries
            && let Some(mut legacy) = session.legacy(&id).await?
            && record::is_behind(&legacy.row, variant)
        {
            // It is what the API shows.
            legacy.row.put("summary_text", record::text(&variant.body));
            session.update(Table::Legacy, legacy.place, &legacy.row).await?;
        }
    }
    Ok(Made {
        status: StatusCode::OK,
        answer: json!({ "upserted": 1, "summaries_upserted": payload.variants.len() }).to_string(),
        effect: Some(effect.text()),
    })
}

/// The record that the payload is about: the one that the leader found, of its video, or of its id.
async fn find<S: Session>(
    session: &mut S,
    payload: &Ingest,
    told: &Effect,
) -> Result<Option<Found<S::Place>>, Failure> {
    if let Some(id) = &told.id
        && let Some(found) = session.by_id(id).await?
    {
        return Ok(Some(found));
    }
    if let Some(found) = session.by_video(&payload.video_id).await? {
        return Ok(Some(found));
    }
    let id = format!("{PREFIX}{}", payload.video_id);
    if told.id.as_ref() == Some(&id) { Ok(None) } else { session.by_id(&id).await }
}

/// Changes a record if there is anything to change; gives its id and video id.
async fn update<S: Session>(
    session: &mut S,
    found: Found<S::Place>,
    payload: &Ingest,
    stamp: &Stamp,
) -> Result<(String, String), Failure> {
    let Found { mut row, place } = found;
    if record::change(&mut row, payload) {
        row.put("updated_at", record::text(&spelt(stamp.at)));
        session.update(Table::Content, place, &row).await?;
    }
    let name = |column: &str| row.cell(column).clean_text().map(str::to_owned);
    Ok((name("id").unwrap_or_default(), name("video_id").unwrap_or_else(|| payload.video_id.clone())))
}

/// Clears the tombstones of a record that was deleted before it was indexed; a later one stands against the payload.
async fn rise<S: Session>(
    session: &mut S,
    id: &str,
    payload: &Ingest,
    stamp: &Stamp,
) -> Result<Option<Made>, Failure> {
    let stones = session.tombstones(id, &payload.video_id).await?;
    let indexed_at = payload.indexed_at.as_deref().and_then(micros);
    let indexed_at = indexed_at.unwrap_or_else(|| stamp.at.timestamp_micros());
    let latest = stones.iter().max_by_key(|stone| stone.deleted_at);
    if let Some(stone) = latest.filter(|stone| stone.deleted_at >= indexed_at) {
        let when = DateTime::from_timestamp_micros(stone.deleted_at).map(spelt).unwrap_or_default();
        return Ok(Some(Made::refused(
            StatusCode::CONFLICT,
            &format!(
                "{} was deleted at {when}; only a newer indexed_at or `flipgate tombstones clear {}`, with --sqlite for a \
                 library that flipgate writes, brings it back",
                stone.id, stone.id
            ),
        )));
    }
    if !stones.is_empty() {
        session.clear(&stones).await?;
    }
    Ok(None)
}

/// Stores a summary unless it is there; gives its revision and whether that is the latest of its variant.
async fn summarise<S: Session>(
    session: &mut S,
    video_id: &str,
    variant: &Variant,
    wanted: Option<i32>,
    mut revisions: Revisions<S::Place>,
    stamp: &Stamp,
) -> Result<(i32, bool), Failure> {
    let highest = revisions.last().map_or(0, |(number, _)| *number);
    let place = match wanted {
        Some(wanted) => revisions.iter().position(|(number, _)| *number == wanted),
        None => revisions.len().checked_sub(1),
    };
    let there = place.and_then(|place| revisions.get_mut(place));
    if let Some((number, found)) = there {
        if record::says(&found.row, variant) {
            return Ok((*number, *number == highest));
        }
        if wanted.is_some() {
            record::say(&mut found.row, variant, stamp.at);
            session.update(Table::Variants, found.place, &found.row).await?;
            return Ok((*number, *number == highest));
        }
    }
    // A number of 32 bits that is taken already is refused by the store.
    let number = wanted.unwrap_or(highest.saturating_add(1));
    let is_latest = number > highest;
    let mut row = record::revision(video_id, variant, number, stamp.at);
    row.put("is_latest", Cell::Integer(i64::from(is_latest)));
    if is_latest {
        for (_, found) in &mut revisions {
            outdate(session, found, stamp).await?;
        }
    }
    session.insert(Table::Variants, &row).await?;
    Ok((number, is_latest))
}

async fn outdate<S: Session>(
    session: &mut S,
    found: &mut Found<S::Place>,
    stamp: &Stamp,
) -> Result<(), Failure> {
    if *found.row.cell("is_latest") == Cell::Integer(0) {
        return Ok(());
    }
    found.row.put("is_latest", Cell::Integer(0));
    // Else an older copy of the row looks like a change of it.
    found.row.put("updated_at", record::text(&spelt(stamp.at)));
    session.update(Table::Variants, found.place, &found.row).await
}

async fn delete<S: Session>(
    session: &mut S,
    name: &str,
    stamp: &Stamp,
    told: Effect,
) -> Result<Made, Failure> {
    session.lock(&folded(name)).await?;
    let bare = name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let Effect { mut ids, mut videos, .. } = told;
    ids.push(name.to_owned());
    let records = session.named(&ids, &[name.to_owned(), bare.clone()]).await?;
    ids.pop();
    if !records.is_empty() {
        session.delete(&records).await?;
    }
    let deleted_at = stamp.at.timestamp_micros();
    let gone = |id: String, video_id| Tombstone { id, video_id, deleted_at, named: false };
    // A record without an id is one that only SQLite can hold.
    let mut stones: Vec<Tombstone> = records
        .iter()
        .filter(|record| !record.id.is_empty())
        .map(|record| gone(record.id.clone(), record.video_id.clone()))
        .collect();
    // What the leader had and this store did not must not come here either.
    for id in ids {
        if !stones.iter().any(|stone| stone.id == id) {
            let video_id = videos.remove(&id);
            stones.push(gone(id, video_id.or_else(|| Some(bare.clone()))));
        }
    }
    if stones.is_empty() {
        stones.push(Tombstone { id: name.to_owned(), video_id: Some(bare), deleted_at, named: true });
    }
    session.bury(&stones, &stamp.by).await?;
    Ok(deleted(&records))
}

fn deleted<P>(records: &[Named<P>]) -> Made {
    if records.is_empty() {
        return Made::refused(StatusCode::NOT_FOUND, "no record has this id or video_id");
    }
    // One without an id is in no other store.
    let ids = records.iter().map(|record| record.id.clone()).filter(|id| !id.is_empty()).collect();
    let video = |record: &Named<P>| Some((record.id.clone(), record.video_id.clone()?));
    let videos = records.iter().filter_map(video).collect();
    Made {
        status: StatusCode::OK,
        answer: json!({ "success": true, "deleted": records.len() }).to_string(),
        effect: Some(Effect { ids, videos, ..Effect::default() }.text()),
    }
}

pub(super) fn micros(text: &str) -> Option<i64> {
    instant(text)?.parse::<DateTime<chrono::Utc>>().ok().map(|instant| instant.timestamp_micros())
}

/// What spellings of one name have in common.
fn folded(name: &str) -> String {
    name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase()
}

// === impl Effect ===

impl Effect {
    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

// === impl Remembered ===

impl Remembered {
    /// What was answered then.
    pub(super) fn made(self) -> Made {
        let status = u16::try_from(self.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        match status {
            Some(status) => Made { status, answer: self.answer, effect: self.effect },
            // A status that is none says that it was given up.
            None => Made::refused(
                StatusCode::CONFLICT,
                "this write was given up before it was applied, and is not applied any more; send it anew",
            ),
        }
    }
    /// What became of the write, for who asks.
    pub(super) fn fate(self) -> Fate {
        match u16::try_from(self.status).ok().filter(|status| *status > 0) {
            Some(status) => Fate::Done { status, effect: self.effect },
            None => Fate::Never,
        }
    }
}
