//! How a request ended: exactly one outcome, with a reason from a closed list.

/// The outcomes of the contract, section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Structurally equal.
    Match,
    /// All that differs is covered by a rule or an accepted finding.
    Accepted,
    /// Differed, and agreed when asked again; or a write is on its way that may be why.
    Transient,
    /// Differed only where the primary also differs from itself.
    Noise,
    /// Differs, confirmed unless the reason says otherwise.
    Mismatch,
    /// No complete answer from the shadow, or 429/503 from it alone.
    ShadowFailed,
    /// No complete answer from the primary, or 5xx from both.
    PrimaryFailed,
    /// Not shadowed or not compared, because a load limit was reached.
    Shed,
    /// Outside what is compared.
    Skipped,
    /// The client left before the body ended.
    Incomplete,
}

/// Why it ended so. Nothing from the request itself ever becomes a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The outcome says it all.
    None,
    /// Skipped: not GET.
    Method,
    /// Skipped: no route names the path.
    Route,
    /// Skipped: HEAD of a named route.
    Head,
    /// Skipped: conditional request.
    Conditional,
    /// Skipped: Range request.
    Range,
    /// Skipped: the answer is an event stream.
    Stream,
    /// Skipped: protocol upgrade.
    Upgrade,
    /// Skipped: a GET with a body.
    Body,
    /// Skipped: it came round in a loop.
    Loop,
    /// Skipped: no backend takes it and no dashboard is configured.
    NoDashboard,
    /// Skipped: a write that goes to both stores.
    Write,
    /// Skipped: the request itself was refused (bad URL, CONNECT, …).
    Refused,
    /// Failed: no connection.
    Connect,
    /// Failed: the connection broke before the answer's head.
    Reset,
    /// Failed: out of time.
    Timeout,
    /// Failed: the body broke off.
    Cut,
    /// Failed: the store behind an in-process backend.
    Store,
    /// Failed: 429 or 503 from the shadow alone, 5xx from both.
    Status,
    /// Failed: 502 to 504 from the primary, and the other backend answered instead.
    Failover,
    /// Shed: shadow requests in flight.
    Inflight,
    /// Shed: connections to the shadow.
    Connections,
    /// Shed: bytes kept for comparison.
    Memory,
    /// Shed: comparisons waiting.
    Queue,
    /// Shed: load on the client's side.
    Load,
    /// Shed: the shadow failed again and again, and is asked only now and then.
    Breaker,
    /// Mismatch: of a cause that was confirmed less than a minute ago.
    Known,
    /// Mismatch: could not be asked again.
    Unconfirmed,
    /// Transient: no write and no change of data is known that explains it.
    Unexplained,
    /// Transient: a write that touches it is on its way to both stores, or came there less than two seconds ago.
    WritePending,
    /// Mismatch: a limit of the comparison was reached before it was done.
    Limit,
    /// Incomplete: the client left.
    ClientGone,
    /// Incomplete: flipgate itself dropped the request (stopping, or a bug).
    Dropped,
}

impl Outcome {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Match => "match",
            Outcome::Accepted => "accepted",
            Outcome::Transient => "transient",
            Outcome::Noise => "noise",
            Outcome::Mismatch => "mismatch",
            Outcome::ShadowFailed => "shadow_failed",
            Outcome::PrimaryFailed => "primary_failed",
            Outcome::Shed => "shed",
            Outcome::Skipped => "skipped",
            Outcome::Incomplete => "incomplete",
        }
    }
}

impl Reason {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Reason::None => "",
            Reason::Method => "method",
            Reason::Route => "route",
            Reason::Head => "head",
            Reason::Conditional => "conditional",
            Reason::Range => "range",
            Reason::Stream => "stream",
            Reason::Upgrade => "upgrade",
            Reason::Body => "body",
            Reason::Loop => "loop",
            Reason::NoDashboard => "no_dashboard",
            Reason::Write => "write",
            Reason::Refused => "refused",
            Reason::Connect => "connect",
            Reason::Reset => "reset",
            Reason::Timeout => "timeout",
            Reason::Cut => "cut",
            Reason::Store => "store",
            Reason::Status => "status",
            Reason::Failover => "failover",
            Reason::Inflight => "inflight",
            Reason::Connections => "connections",
            Reason::Memory => "memory",
            Reason::Queue => "queue",
            Reason::Load => "load",
            Reason::Breaker => "breaker",
            Reason::Known => "known",
            Reason::Unconfirmed => "unconfirmed",
            Reason::Unexplained => "unexplained",
            Reason::WritePending => "write_pending",
            Reason::Limit => "limit",
            Reason::ClientGone => "client_gone",
            Reason::Dropped => "dropped",
        }
    }
}
