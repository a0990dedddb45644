//! Evidence, findings and samples of several replicas: each tells what is its own, and takes up what the others tell.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch::Receiver;

use super::books::Placed;
use super::evidence::Page;
use super::finding::{Finding, State};
use super::findings::Unshared;
use super::outgoing::Waiting;
use super::{Ledger, lock};
use crate::state::shared::{Cursor, Document, FindingChange, SharedError, SharedFinding, SharedStore};
use crate::state::{StateError, StateStore};

/// Between two exchanges.
const PACE: Duration = Duration::from_secs(1);
/// How often evidence that is no longer of use is deleted.
const PRUNE: Duration = Duration::from_secs(60);

/// Exchanges with the other replicas.
#[derive(Debug)]
pub struct Sharing {
    ledger: Arc<Ledger>,
    store: SharedStore,
    /// What is on this replica's own disk.
    local: StateStore,
    /// Whether it is settled that the other replicas know, or need not know, what is on this one's disk.
    begun: bool,
    /// Fingerprint of the rules by which this replica compares.
    rules: String,
    /// How long after a change of the dial what the watch sees is told.
    watch: Duration,
    /// The change of the dial, and how much the watch had seen of it, when that was last told.
    watched: (i64, u64),
    evidence: Cursor,
    findings: Cursor,
    /// The epoch whose evidence was pulled.
    epoch: i64,
    pruned: Option<Instant>,
    /// The parts of the exchange that failed the last time.
    failing: HashSet<&'static str>,
}

// === impl Sharing ===

impl Sharing {
    /// Exchanges what `ledger` and `local` hold through `store`; evidence only with those who compare by the same `rules`,
    /// and what the watch sees for as long as `watch` after a change of the dial.
    #[must_use]
    pub fn new(
        ledger: Arc<Ledger>,
        store: SharedStore,
        local: StateStore,
        rules: &str,
        watch: Duration,
    ) -> Self {
        ledger.outgoing.open();
        // An outage may have kept the run before from telling what it gathered; to tell it again is harmless.
        let (epoch, pages) = ledger.books.pages();
        ledger.outgoing.restored(epoch, pages);
        Sharing {
            ledger,
            store,
            local,
            begun: false,
            rules: rules.to_owned(),
            watch,
            watched: (0, 0),
            evidence: Cursor::default(),
            findings: Cursor::default(),
            epoch,
            pruned: None,
            failing: HashSet::new(),
        }
    }

    /// Exchanges every second until `stopping`; gives itself back for a last exchange.
    pub async fn run(mut self, mut stopping: Receiver<bool>) -> Self {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return self,
                _ = ticks.tick() => {}
            }
            self.exchange().await;
        }
    }

    /// Takes up what is new elsewhere, and tells the others what is new here; says whether all of it could be done. What
    /// could not is done by a later call. One table that fails keeps nothing else from being exchanged.
    pub async fn exchange(&mut self) -> bool {
        let mut waiting = self.ledger.outgoing.take();
        let evidence = self.take_up_evidence().await;
        let mut complete = self.note("taking up evidence", evidence);
        let findings = self.take_up_findings().await;
        complete &= self.note("taking up findings", findings);
        let findings = self.tell_findings().await;
        complete &= self.note("telling findings", findings);
        let evidence = self.tell_pages(&mut waiting).await;
        complete &= self.note("telling evidence", evidence);
        let watched = self.tell_watched().await;
        complete &= self.note("telling what the watch saw", watched);
        // Before anything is added to the audit that they share.
        let begun = self.begin().await;
        complete &= self.note("telling what is accepted here", begun);
        let transitions = if self.begun { self.tell_transitions(&mut waiting).await } else { Ok(()) };
        // What is accepted no more would be so again, if the others had not been told.
        let judgements =
            if self.begun && transitions.is_ok() { Some(self.take_up_judgements().await) } else { None };
        complete &= self.note("telling changes of findings", transitions);
        if let Some(judgements) = judgements {
            complete &= self.note("taking up acceptances", judgements);
        }
        let samples = self.tell_samples(&mut waiting).await;
        complete &= self.note("telling samples", samples);
        self.ledger.outgoing.give_back(waiting);
        let pruned = self.prune().await;
        complete &= self.note("deleting old evidence", pruned);
        self.ledger.metrics.set_exchange_up(complete);
        complete
    }

    /// Says once that a part of the exchange fails, and once that it works again.
    fn note(&mut self, part: &'static str, done: Result<(), SharedError>) -> bool {
        match &done {
            Ok(()) if self.failing.remove(part) => tracing::info!("replicas: {part} works again"),
            Err(error) if self.failing.insert(part) => tracing::warn!(%error, "replicas: {part} fails"),
            Ok(()) | Err(_) => {}
        }
        done.is_ok()
    }

    async fn prune(&mut self) -> Result<(), SharedError> {
        if self.pruned.is_none_or(|at| at.elapsed() >= PRUNE) {
            self.store.prune().await?;
            self.pruned = Some(Instant::now());
        }
        Ok(())
    }

    async fn tell_findings(&self) -> Result<(), SharedError> {
        let restored = lock(&self.ledger.findings).restored();
        if !restored.is_empty() {
            let changes: Vec<FindingChange> = restored.iter().filter_map(known).collect();
            self.store.tell_findings_again(&changes).await?;
            lock(&self.ledger.findings).restored_is_told();
        }
        let unshared = lock(&self.ledger.findings).take_unshared();
        let changes: Vec<FindingChange> = unshared.iter().filter_map(change).collect();
        let told = if changes.is_empty() { Ok(()) } else { self.store.change_findings(&changes).await };
        if told.is_err() {
            lock(&self.ledger.findings).give_back(&unshared);
        }
        told
    }

    /// Tells the pages that wait; what is told is taken out.
    async fn tell_pages(&self, waiting: &mut Waiting) -> Result<(), SharedError> {
        let kind = kind(waiting.epoch, &self.rules);
        let document = |((route, key), document): (&(String, String), &String)| Document {
            kind: kind.clone(),
            key: format!("{route}\n{key}"),
            document: document.clone(),
        };
        let documents: Vec<Document> = waiting.pages.iter().map(document).collect();
        if !documents.is_empty() {
            self.store.push(&documents).await?;
            waiting.pages.clear();
        }
        Ok(())
    }

    /// Tells what the watch saw since the last change of the dial: it judges what all replicas saw.
    async fn tell_watched(&mut self) -> Result<(), SharedError> {
        let Some(told) = self.ledger.seen.untold(self.watched, self.watch) else { return Ok(()) };
        let kind = format!("watch {};", told.turn);
        self.store.push(&[Document { kind, key: String::new(), document: told.document }]).await?;
        self.watched = (told.turn, told.noted);
        Ok(())
    }

    /// The same of changes of findings.
    async fn tell_transitions(&self, waiting: &mut Waiting) -> Result<(), SharedError> {
        while let Some(transition) = waiting.transitions.front() {
            let entry = transition.audit();
            match &transition.accepted {
                // Another replica may have said so already, or an operator have accepted it anew.
                Some(at) => self.store.expire(&transition.finding.id, at, &entry).await.map(|_| ())?,
                None => self.store.note(&[entry]).await?,
            }
            waiting.transitions.pop_front();
        }
        Ok(())
    }

    /// The same of samples.
    async fn tell_samples(&self, waiting: &mut Waiting) -> Result<(), SharedError> {
        while let Some((id, document)) = waiting.samples.front() {
            let gone = self.store.keep_sample(i64::try_from(*id).unwrap_or(i64::MAX), document).await?;
            let gone: Vec<u64> = gone.into_iter().map(i64::unsigned_abs).collect();
            lock(&self.ledger.findings).forget_samples(&gone);
            waiting.samples.pop_front();
        }
        Ok(())
    }

    async fn take_up_evidence(&mut self) -> Result<(), SharedError> {
        let epoch = self.ledger.books.epoch();
        if epoch != self.epoch {
            // Others may have begun it before this replica did, and what they told then was left out.
            (self.epoch, self.evidence) = (epoch, Cursor::default());
        }
        let kind = kind(epoch, &self.rules);
        loop {
            let (documents, cursor) = self.store.pull(&self.evidence).await?;
            let has_more = cursor.has_more();
            for (replica, document) in documents {
                if replica != self.store.replica() {
                    self.take_up(epoch, &kind, &replica, document);
                }
            }
            self.evidence = cursor;
            if !has_more {
                return Ok(());
            }
        }
    }

    fn take_up(&self, epoch: i64, kind: &str, replica: &str, Document { kind: of, key, document }: Document) {
        if let Some(turn) = of.strip_prefix("watch ").and_then(|turn| turn.strip_suffix(';')?.parse().ok()) {
            self.ledger.seen.adopt(replica, turn, &document);
        }
        let Some((route, key)) = key.split_once('\n').filter(|_| of == kind) else { return };
        let page = Page { key: key.to_owned(), document };
        self.ledger.books.restore(epoch, Some(replica), &Placed { route: route.to_owned(), page });
    }

    async fn take_up_findings(&mut self) -> Result<(), SharedError> {
        loop {
            let (found, cursor) = self.store.findings(&self.findings).await?;
            let has_more = cursor.has_more();
            {
                let mut findings = lock(&self.ledger.findings);
                for theirs in found.into_iter().filter_map(finding) {
                    let route = self.ledger.labels.iter().position(|label| *label == theirs.route);
                    if let Some(route) = route {
                        findings.adopt(route, theirs);
                    }
                }
            }
            self.findings = cursor;
            if !has_more {
                return Ok(());
            }
        }
    }

    /// Tells what this replica accepted, and its audit, if it is the first that ever had others.
    async fn begin(&mut self) -> Result<(), SharedError> {
        if self.begun {
            return Ok(());
        }
        let local = self.local.clone();
        let (judgements, mut audit) = on_disk(move || Ok((local.judgements()?, local.audit()?))).await?;
        audit.reverse();
        if self.store.begin(&judgements, &audit).await? {
            tracing::info!("the state store of all replicas begins with what this one knew");
        }
        self.begun = true;
        Ok(())
    }

    async fn take_up_judgements(&self) -> Result<(), SharedError> {
        let judgements = self.store.judgements().await?;
        let read = |(id, document): (String, String)| Some((id, serde_json::from_str(&document).ok()?));
        let accepted: HashMap<_, _> = judgements.iter().cloned().filter_map(read).collect();
        lock(&self.ledger.findings).adopt_judgements(accepted);
        let (local, there) = (self.local.clone(), judgements);
        // So that they hold after a start without the state store.
        on_disk(move || {
            let mut here = local.judgements()?;
            here.sort_unstable();
            let mut sorted = there.clone();
            sorted.sort_unstable();
            if here == sorted { Ok(()) } else { local.keep_judgements(&there) }
        })
        .await
    }
}

/// Does what waits for this replica's disk.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, SharedError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|e| StateError::Interrupted(e.to_string())).flatten();
    done.map_err(|e| SharedError::Refused(e.to_string()))
}

/// What the documents of an epoch are called that were gathered by these rules: what other rules found equal, or not, is
/// no evidence for these.
fn kind(epoch: i64, rules: &str) -> String {
    format!("epoch {epoch} rules {rules};")
}

fn change(Unshared { finding, untold }: &Unshared) -> Option<FindingChange> {
    let state = match finding.state {
        State::Open | State::Resolved => Some(finding.state.as_str().to_owned()),
        // What is accepted is told when an operator does so.
        State::Accepted => None,
    };
    Some(FindingChange {
        id: finding.id.clone(),
        document: serde_json::to_string(finding).ok()?,
        added: i64::try_from(*untold).unwrap_or(i64::MAX),
        first_seen: finding.first_seen,
        last_seen: finding.last_seen,
        state,
    })
}

/// All that is known of a finding, but what is told as new.
fn known(unshared: &Unshared) -> Option<FindingChange> {
    let told = unshared.finding.count.saturating_sub(unshared.untold);
    change(&Unshared { untold: told, ..unshared.clone() })
}

/// What all replicas know of a finding; none if another version wrote it in a form that is not read.
fn finding(shared: SharedFinding) -> Option<Finding> {
    let mut finding: Finding = serde_json::from_str(&shared.document).ok()?;
    finding.count = shared.count.unsigned_abs();
    finding.first_seen = shared.first_seen;
    finding.last_seen = shared.last_seen;
    finding.state = State::ALL.into_iter().find(|state| state.as_str() == shared.state)?;
    Some(finding)
}
