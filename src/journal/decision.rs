//! What operators decide about writes that are not in both stores.

use super::book::Entry;
use super::{ActError, Action, Journal, State, View};
use crate::metrics::WriteResult;

// === impl Journal ===

impl Journal {
    /// Does what an operator asks of one write. On disk when this returns; auditing is the caller's.
    ///
    /// # Errors
    /// [`ActError`]; nothing has changed then.
    pub async fn act(&self, id: &str, action: Action) -> Result<View, ActError> {
        let unknown = || ActError::Unknown(id.to_owned());
        let seq = self.book.find(id).ok_or_else(unknown)?;
        // Busy until it is on disk. One that is retried stands before later ones from here on.
        let begun = self.book.decide(seq, |entry, overtaking| {
            may(entry, action, overtaking)?;
            let before = entry.state;
            entry.busy = true;
            if action == Action::Retry {
                (entry.state, entry.next_try) = (State::Pending, None);
            }
            Ok((self.view(entry), entry.standing(), before))
        });
        let (view, standing, before) = begun.ok_or_else(unknown)?.map_err(ActError::Impossible)?;
        let kept = match action {
            Action::Retry => self.disk.set(seq, standing).await,
            Action::Discard => self.disk.remove(seq).await,
        };
        if let (Ok(()), Action::Discard) = (&kept, action) {
            if let (Some(entry), _) = self.book.remove(seq, false) {
                self.parts.metrics.write(entry.follower(), WriteResult::Discarded);
            }
        } else {
            self.book.change(seq, |entry| {
                entry.busy = false;
                if kept.is_err() && action == Action::Retry {
                    entry.state = before;
                }
            });
        }
        self.moved();
        kept.map(|()| view).map_err(ActError::Disk)
    }
}

/// Whether an operator may do this with an entry now.
fn may(entry: &Entry, action: Action, overtaking: Option<&str>) -> Result<(), String> {
    let id = &entry.id;
    if entry.busy {
        return Err(format!("write {id} is with the follower right now; look again in a moment"));
    }
    match (entry.state, action) {
        (State::Sending, _) => {
            Err(format!("write {id} is with the leader right now; look again in a moment"))
        }
        (State::InDoubt, Action::Retry) if entry.settling => Err(format!(
            "write {id} is being settled: the leader is asked whether it took it; check that it answers"
        )),
        (_, Action::Retry) if entry.passed => Err(format!(
            "a later write of the same record went by write {id}, and it would undo that; discard it, and copy the record \
             with `flipgate migrate`"
        )),
        (State::Parked | State::InDoubt, Action::Retry) if overtaking.is_some() => Err(format!(
            "write {} of the same record came later and may be where {id} is to go, which would undo it; look again once \
             that is in both stores",
            overtaking.unwrap_or_default()
        )),
        (_, Action::Retry) if entry.request.is_none() => {
            Err(format!("write {id} cannot be sent: {}", entry.last_error))
        }
        (State::InDoubt | State::Pending | State::Parked, Action::Retry | Action::Discard) => Ok(()),
    }
}
