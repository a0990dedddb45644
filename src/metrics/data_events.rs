//! What happens to stores that no write through flipgate explains.

use prometheus::{IntCounterVec, Opts, Registry};

use super::{Metrics, registered};
use crate::side::{Pair, Side};

/// Something that is written beside flipgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataEvent {
    /// A store's file is another one.
    Replaced,
    /// Records got fewer or older.
    Backwards,
    /// Deleted records are back.
    Resurrected,
}

/// The series.
#[derive(Debug)]
pub(super) struct DataEvents(IntCounterVec);

// === impl DataEvent ===

impl DataEvent {
    const ALL: [DataEvent; 3] = [DataEvent::Replaced, DataEvent::Backwards, DataEvent::Resurrected];

    fn label(self) -> &'static str {
        match self {
            DataEvent::Replaced => "replaced",
            DataEvent::Backwards => "backwards",
            DataEvent::Resurrected => "resurrected",
        }
    }
}

// === impl DataEvents ===

impl DataEvents {
    pub(super) fn new(registry: &Registry, names: &Pair<String>) -> prometheus::Result<Self> {
        let events = Opts::new(
            "flipgate_data_events_total",
            "Changes of a backend's data that no write through flipgate explains, by what happened.",
        );
        let events = registered(registry, IntCounterVec::new(events, &["backend", "event"])?)?;
        for name in [&names.from, &names.to] {
            for event in DataEvent::ALL {
                events.with_label_values(&[name.as_str(), event.label()]).inc_by(0);
            }
        }
        Ok(DataEvents(events))
    }
}

// === impl Metrics ===

impl Metrics {
    /// Counts what happened to a backend's data.
    pub fn data_event(&self, side: Side, event: DataEvent) {
        self.data_events.0.with_label_values(&[self.name(side), event.label()]).inc();
    }

    /// A backend's name.
    #[must_use]
    pub fn name(&self, side: Side) -> &str {
        self.names.get(side)
    }
}
