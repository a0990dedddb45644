//! Asks again for what differed, so that lag is told from a defect, and asks the primary a second time now and then, so
//! that noise is told from both.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, mpsc};

use super::comparator::{Leg, apart, compare_apart, is_listed};
use super::near::{Course, NEAR, Reading, Standing, course, wrote_near};
use super::parking::{Parked, Parking};
use super::{Capacity, Shadow, is_overload};
use crate::backend::{Backend, Head};
use crate::compare::{Comparison, Rules};
use crate::journal::traffic::Traffic;
use crate::ledger::{Confirmation, Ledger, Ticket, Verdict};
use crate::side::{Pair, Side};

/// Requests that wait to be asked again; beyond, they are unconfirmed.
const WAITING: usize = 32;
/// Requests asked again at once.
const AT_ONCE: usize = 16;

/// When to ask again.
#[derive(Debug, Clone)]
pub struct RecheckRules {
    /// How long after the comparison each recheck comes. None: a mismatch counts at once.
    pub after: Vec<Duration>,
    /// The share of comparisons for which the primary is asked a second time.
    pub control_share: f64,
}

/// What is to be asked again.
#[derive(Debug)]
pub enum Again {
    /// Both sides.
    Recheck(Box<Differing>),
    /// The primary.
    Control(Box<Control>),
}

/// A request that was compared and waits for its outcome.
#[derive(Debug)]
pub struct Differing {
    /// The request's outcome.
    pub ticket: Ticket,
    /// How to compare.
    pub rules: Arc<Rules>,
    /// Who served the client.
    pub primary: Side,
    /// What was asked.
    pub head: Arc<Head>,
    /// What tells which writes touch it.
    pub reading: Reading,
    /// Both legs.
    pub legs: Pair<Leg>,
    /// How they differ.
    pub comparison: Comparison,
    /// When they were compared.
    pub at: Instant,
    /// What others that differ alike wait under, for the recheck of this one.
    pub key: Option<u64>,
}

/// One answer of the primary, to be compared with another one of its own.
#[derive(Debug)]
pub struct Control {
    ledger: Arc<Ledger>,
    route: usize,
    rules: Arc<Rules>,
    primary: Side,
    head: Arc<Head>,
    leg: Leg,
}

/// What became of a request that was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// It is as it was compared.
    Settled(Confirmation),
    /// It agreed when asked again.
    Agreed {
        /// How long after the comparison.
        after: Duration,
        /// Whether a write or a change of data is known that explains it.
        explained: bool,
    },
    /// It differs, and a write that touches it may be why.
    WritePending,
}

/// Where comparators hand in what they compared.
#[derive(Debug)]
pub struct Desk {
    rules: RecheckRules,
    capacity: Arc<Capacity>,
    parking: Arc<Parking>,
    traffic: Arc<Traffic>,
    queue: mpsc::Sender<Again>,
}

/// Asks again, from the clients' runtime.
#[derive(Debug, Clone)]
pub struct Rechecker {
    /// Slots, deadline, memory.
    pub shadow: Arc<Shadow>,
    /// Whom to ask.
    pub backends: Pair<Arc<dyn Backend>>,
    /// When.
    pub rules: RecheckRules,
}

// === impl RecheckRules ===

impl Default for RecheckRules {
    fn default() -> Self {
        RecheckRules { after: vec![Duration::from_millis(250), Duration::from_secs(2)], control_share: 0.02 }
    }
}

// === impl Desk ===

impl Desk {
    /// A desk, and what comes out of it.
    pub(super) fn new(
        rules: RecheckRules,
        capacity: Arc<Capacity>,
        parking: Arc<Parking>,
        traffic: Arc<Traffic>,
    ) -> (Self, mpsc::Receiver<Again>) {
        let (queue, waiting) = mpsc::channel(WAITING);
        (Desk { rules, capacity, parking, traffic, queue }, waiting)
    }

    /// Concludes a request, or has it asked again first.
    pub(super) fn take(&self, compared: Differing) {
        let ledger = Arc::clone(compared.ticket.ledger());
        let route = compared.ticket.route();
        ledger.note_compared(route, &compared.comparison);
        let verdict = ledger.verdict(route, &compared.comparison, compared.is_listed());
        let conclusion = match course(verdict, self.standing(&compared, verdict)) {
            Course::Conclude(conclusion) => conclusion,
            Course::AskAgain => return self.recheck(compared),
        };
        // Near a write the primary differs from itself for that reason.
        let is_quiet = conclusion != Conclusion::WritePending;
        let control = (is_quiet && self.wants_control()).then(|| Control::of(&compared));
        compared.conclude(conclusion);
        if let Some(control) = control {
            // One that finds no place is left out: there are others.
            let _ = self.queue.try_send(Again::Control(Box::new(control)));
        }
    }

    /// What is near matters only to what differs.
    fn standing(&self, compared: &Differing, verdict: Verdict) -> Standing {
        let differs = matches!(verdict, Verdict::Differs { .. });
        Standing {
            is_limited: compared.comparison.limited.is_some(),
            has_rechecks: !self.rules.after.is_empty(),
            is_touched: differs && compared.is_touched(&self.traffic, compared.reading.began),
            wrote_near: differs && wrote_near(compared.ticket.ledger(), Duration::ZERO),
        }
    }

    fn recheck(&self, differing: Differing) {
        let near = differing.is_touched(&self.traffic, differing.reading.began)
            || wrote_near(differing.ticket.ledger(), Duration::ZERO);
        let key = if near { differing.signature() } else { None };
        let differing = match key {
            None => differing,
            Some(key) => match self.parking.park(key, differing) {
                Parked::Waits => return,
                Parked::First(first) => Differing { key: Some(key), ..first },
                Parked::Alone(alone) => alone,
            },
        };
        // A place first: what finds none takes nothing from the allowance.
        match self.queue.try_reserve() {
            Ok(place) if self.capacity.may_ask() => place.send(Again::Recheck(Box::new(differing))),
            Ok(_) | Err(_) => {
                for waited in self.parking.with_those_that_wait(differing) {
                    let began = waited.reading.began;
                    waited.settle(&self.traffic, began, Confirmation::Unconfirmed);
                }
            }
        }
    }

    fn wants_control(&self) -> bool {
        fastrand::f64() < self.rules.control_share && self.capacity.may_ask()
    }
}

// === impl Control ===

impl Control {
    fn of(compared: &Differing) -> Self {
        Control {
            ledger: Arc::clone(compared.ticket.ledger()),
            route: compared.ticket.route(),
            rules: Arc::clone(&compared.rules),
            primary: compared.primary,
            head: Arc::clone(&compared.head),
            leg: compared.legs.get(compared.primary).clone(),
        }
    }
}

// === impl Rechecker ===

impl Rechecker {
    /// Asks again for all that comes out of the desk.
    pub async fn run(self, mut waiting: mpsc::Receiver<Again>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Some(again) = waiting.recv().await else { return };
            let rechecker = self.clone();
            tokio::spawn(async move {
                match again {
                    Again::Recheck(differing) => rechecker.recheck(*differing).await,
                    Again::Control(control) => rechecker.control(*control).await,
                }
                drop(place);
            });
        }
    }

    async fn recheck(&self, mut differing: Differing) {
        let mut last = None;
        let mut asked_at = differing.reading.began;
        for (number, after) in self.rules.after.iter().enumerate() {
            tokio::time::sleep_until((differing.at + *after).into()).await;
            // Only what differs at the last recheck is confirmed; the first was allowed when it was handed in.
            last = None;
            if number > 0 && !self.shadow.capacity.may_ask() {
                break;
            }
            asked_at = Instant::now();
            let asked = self.shadow.recheck(&self.backends, &differing.rules, &differing.head).await;
            let Ok(asked) = asked else { continue };
            if !is_comparable(&differing, &asked.legs) {
                continue;
            }
            let ledger = Arc::clone(differing.ticket.ledger());
            let route = differing.ticket.route();
            let listed = is_listed(&asked.comparison, &differing.rules);
            let verdict = ledger.verdict(route, &asked.comparison, listed);
            if number == 0 && !self.is_near_a_write(&differing) {
                note_control(&differing, asked.legs).await;
            }
            match verdict {
                Verdict::Match | Verdict::Noise | Verdict::Accepted => return self.agreed(differing).await,
                Verdict::Differs { .. } => last = Some(asked.comparison),
            }
        }
        let persisting = last.and_then(|again| differing.comparison.persisting(&again));
        let confirmation = match persisting {
            Some(persisting) => {
                differing.comparison = persisting;
                Confirmation::Confirmed
            }
            None => Confirmation::Unconfirmed,
        };
        let mut all = self.shadow.parking.with_those_that_wait(differing).into_iter();
        let traffic = Arc::clone(&self.shadow.traffic);
        let conclude = move || {
            // By the last recheck, not the request: what differs still once its write has long been in both stores is
            // no lag.
            if let Some(first) = all.next() {
                first.settle(&traffic, asked_at, confirmation);
            }
            // Those that waited were not asked again themselves.
            for waited in all {
                let began = waited.reading.began;
                waited.settle(&traffic, began, Confirmation::Unconfirmed);
            }
        };
        // A request that is lost here ends as `incomplete`.
        let _ = apart(conclude).await;
    }

    fn is_near_a_write(&self, differing: &Differing) -> bool {
        wrote_near(differing.ticket.ledger(), differing.at.elapsed())
            || differing.is_touched(&self.shadow.traffic, differing.reading.began)
    }

    async fn agreed(&self, differing: Differing) {
        let backends = self.backends.clone();
        let traffic = Arc::clone(&self.shadow.traffic);
        let all = self.shadow.parking.with_those_that_wait(differing);
        let conclude = move || {
            for differing in all {
                let after = differing.at.elapsed();
                let since = SystemTime::now().checked_sub(after + NEAR);
                let changed = |side| backends.get(side).changed_at().is_some_and(|at| Some(at) >= since);
                let explained = wrote_near(differing.ticket.ledger(), after)
                    || differing.is_touched(&traffic, differing.reading.began)
                    || Side::BOTH.into_iter().any(changed);
                differing.conclude(Conclusion::Agreed { after, explained });
            }
        };
        // A request that is lost here ends as `incomplete`.
        let _ = apart(conclude).await;
    }

    async fn control(&self, control: Control) {
        let Control { ledger, route, rules, primary, head, leg } = control;
        let Some(_slot) = self.shadow.capacity.slot() else { return };
        let backend = &**self.backends.get(primary);
        let Ok(other) = self.shadow.ask_again(primary, backend, &rules, &head).await else { return };
        if other.status != leg.status {
            return;
        }
        if let Some((comparison, _)) = compare_apart(Pair { from: leg, to: other }, rules).await {
            ledger.control(route, &comparison);
        }
    }
}

/// Whether a recheck says something of what differed. Not if the primary answers another thing now: that the sides agree
/// on it, or not, is no sign. Nor if either side is overloaded.
fn is_comparable(differing: &Differing, again: &Pair<Leg>) -> bool {
    let primary = differing.primary;
    let is_busy =
        |side: Side| is_overload(again.get(side).status) && !is_overload(differing.legs.get(side).status);
    again.get(primary).status == differing.legs.get(primary).status && !Side::BOTH.into_iter().any(is_busy)
}

/// A recheck is a control as well: the primary was asked a second time.
async fn note_control(differing: &Differing, again: Pair<Leg>) {
    let primary = differing.primary;
    let legs = Pair { from: differing.legs.get(primary).clone(), to: again.get(primary).clone() };
    if let Some((comparison, _)) = compare_apart(legs, Arc::clone(&differing.rules)).await {
        differing.ticket.ledger().control(differing.ticket.route(), &comparison);
    }
}
