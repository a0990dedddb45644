//! Asking both sides again for a request that differed, for nobody but the comparison.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::comparator::compare_apart;
use super::{Plan, Shadow};
use crate::backend::{Backend, Head, LOOP_MARK};
use crate::compare::{Comparison, Rules};
use crate::ledger::outcome::Reason;
use crate::proxy::tee::Kept;
use crate::side::{Pair, Side};

/// Both sides' answers, compared again.
#[derive(Debug)]
pub struct Rechecked {
    /// How they differ now.
    pub comparison: Comparison,
    /// What they answered.
    pub statuses: Pair<StatusCode>,
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
        let _slot = self.slot().ok_or(NotRechecked::Busy)?;
        let ask = async |side: Side| {
            let plan = Plan {
                route: 0,
                rules: Arc::clone(rules),
                primary: side.other(),
                head: Arc::clone(head),
                primary_is_whole: AtomicBool::new(false),
            };
            let asked = tokio::time::timeout(self.deadline, self.fetch(&**backends.get(side), &plan)).await;
            match asked {
                Ok(Ok(leg)) if matches!(leg.kept(), Kept::NoRoom) => Err(NotRechecked::Busy),
                Ok(Ok(leg)) => Ok(leg),
                Ok(Err((_, reason))) => Err(NotRechecked::Failed(side, reason)),
                Err(_) => Err(NotRechecked::Failed(side, Reason::Timeout)),
            }
        };
        let (from, to) = tokio::try_join!(ask(Side::From), ask(Side::To))?;
        let statuses = Pair { from: from.status, to: to.status };
        let comparison = compare_apart(Pair { from, to }, Arc::clone(rules)).await;
        Ok(Rechecked { comparison: comparison.ok_or(NotRechecked::Lost)?, statuses })
    }
}

/// The request of a sample, to be asked again. None if its target or a header can no longer be read.
#[must_use]
pub fn head(target: &str, kept: &[(String, String)]) -> Option<Arc<Head>> {
    let mut headers = HeaderMap::new();
    for (name, value) in kept {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    headers.insert(LOOP_MARK, HeaderValue::from_static("1"));
    let uri = Uri::try_from(target).ok()?;
    Some(Arc::new(Head { method: Method::GET, uri, headers, repeatable: true }))
}
