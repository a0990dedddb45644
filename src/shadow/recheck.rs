//! Asking both sides again for a request that differed, for nobody but the comparison.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::comparator::{Leg, compare_apart};
use super::near::Reading;
use super::{Plan, Shadow};
use crate::backend::{Backend, Head, LOOP_MARK};
use crate::compare::{Comparison, Rules};
use crate::ledger::outcome::Reason;
use crate::ledger::sample::Sample;
use crate::proxy::tee::Kept;
use crate::route::Routes;
use crate::side::{Pair, Side};

/// Both sides' answers, compared again.
#[derive(Debug)]
pub struct Rechecked {
    /// How they differ now.
    pub comparison: Comparison,
    /// What they answered.
    pub legs: Pair<Leg>,
}

/// Why a sample cannot be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unaskable {
    /// It carried credentials, which are never stored.
    Credentials,
    /// Its target or a header can no longer be read.
    Unreadable,
    /// No route names it any more.
    NoRoute,
}

/// What it takes to ask for a sample again.
#[derive(Debug, Clone)]
pub struct Question {
    /// Index of the route.
    pub route: usize,
    /// How it is compared now.
    pub rules: Arc<Rules>,
    /// The request.
    pub head: Arc<Head>,
}

/// The primary of a sample answers otherwise than it did, so it is another thing that would be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Its status now.
    pub now: StatusCode,
    /// Its status in the sample.
    pub before: u16,
}

/// Why they were not compared again.
#[derive(Debug)]
pub enum NotRechecked {
    /// All places for shadow requests are taken, or the memory for their bodies.
    Busy,
    /// A side gave no complete answer.
    Failed(Side, Reason),
    /// The comparison was given up.
    Lost,
}

impl Shadow {
    /// Asks both sides for `head` at the same moment, within the shadow's limits, and compares.
    ///
    /// # Errors
    /// [`NotRechecked`], if there are not two answers to compare.
    pub async fn recheck(
        &self,
        backends: &Pair<Arc<dyn Backend>>,
        rules: &Arc<Rules>,
        head: &Arc<Head>,
    ) -> Result<Rechecked, NotRechecked> {
        let _slot = self.capacity.slot().ok_or(NotRechecked::Busy)?;
        let ask = |side| self.ask_again(side, &**backends.get(side), rules, head);
        let (from, to) = tokio::try_join!(ask(Side::From), ask(Side::To))?;
        let compared = compare_apart(Pair { from, to }, Arc::clone(rules)).await;
        let (comparison, legs) = compared.ok_or(NotRechecked::Lost)?;
        Ok(Rechecked { comparison, legs })
    }

    /// Asks one side again, for nobody but the comparison.
    ///
    /// # Errors
    /// [`NotRechecked`], if it gave no answer.
    pub(super) async fn ask_again(
        &self,
        side: Side,
        backend: &dyn Backend,
        rules: &Arc<Rules>,
        head: &Arc<Head>,
    ) -> Result<Leg, NotRechecked> {
        let plan = Plan {
            route: 0,
            rules: Arc::clone(rules),
            primary: side.other(),
            head: Arc::clone(head),
            reading: Reading { began: Instant::now(), is_list: false },
            primary_is_whole: AtomicBool::new(false),
        };
        match tokio::time::timeout(self.deadline, self.fetch(backend, &plan)).await {
            Ok(Ok(leg)) if matches!(leg.kept(), Kept::NoRoom) => Err(NotRechecked::Busy),
            Ok(Ok(leg)) => Ok(leg),
            Ok(Err((_, reason))) => Err(NotRechecked::Failed(side, reason)),
            Err(_) => Err(NotRechecked::Failed(side, Reason::Timeout)),
        }
    }
}

/// What it takes to ask for `sample` again.
///
/// # Errors
/// Why it cannot be asked again.
pub fn question(sample: &Sample, routes: &Routes) -> Result<Question, Unaskable> {
    let kept = sample.request.as_ref().ok_or(Unaskable::Credentials)?;
    let head = head(&sample.target, kept).ok_or(Unaskable::Unreadable)?;
    let (route, found) = routes.find(head.uri.path()).ok_or(Unaskable::NoRoute)?;
    Ok(Question { route, rules: Arc::clone(&found.rules), head })
}

/// Why a recheck of `sample` does not count, if it does not.
#[must_use]
pub fn doubt(sample: &Sample, names: &Pair<String>, rechecked: &Rechecked) -> Option<Doubt> {
    let is_from = names.from == sample.primary;
    let (side, before) = if is_from { (Side::From, &sample.from) } else { (Side::To, &sample.to) };
    let (now, before) = (rechecked.legs.get(side).status, before.status);
    (now.as_u16() != before).then_some(Doubt { now, before })
}

/// The request of a sample. None if its target or a header can no longer be read.
fn head(target: &str, kept: &[(String, String)]) -> Option<Arc<Head>> {
    let mut headers = HeaderMap::new();
    for (name, value) in kept {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    headers.insert(LOOP_MARK, HeaderValue::from_static("1"));
    let uri = Uri::try_from(target).ok()?;
    Some(Arc::new(Head { method: Method::GET, uri, headers, repeatable: true }))
}
