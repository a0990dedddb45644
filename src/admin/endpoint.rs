//! Everything that answers under the admin listener, in one table. Router, guard, OpenAPI document and the test that
//! calls each path without a token are made from it, so that none can forget an endpoint.

use http::Method;

pub use super::access::Reach;

/// Who an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Programs.
    Api,
    /// People with a browser.
    Page,
    /// What pages load: our own style and script, nothing of anybody.
    Asset,
}

macro_rules! endpoints {
    ($($name:ident: $method:ident $path:literal, $kind:ident, $reach:ident, $summary:literal;)*) => {
        /// One method of one path.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Endpoint {
            $(#[doc = $summary] $name,)*
        }

        impl Endpoint {
            /// All there are.
            pub const ALL: &[Endpoint] = &[$(Endpoint::$name),*];

            /// Its method; HEAD goes with GET.
            #[must_use]
            pub fn method(self) -> Method {
                match self { $(Endpoint::$name => Method::$method,)* }
            }

            /// Its path, in axum's syntax.
            #[must_use]
            pub fn path(self) -> &'static str {
                match self { $(Endpoint::$name => $path,)* }
            }

            /// Who it is for.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Endpoint::$name => Kind::$kind,)* }
            }

            /// How far a caller's token must reach, where one is configured.
            #[must_use]
            pub fn reach(self) -> Reach {
                match self { $(Endpoint::$name => Reach::$reach,)* }
            }

            /// What it does, in a line.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Endpoint::$name => $summary,)* }
            }
        }
    };
}

endpoints! {
    Health: GET "/healthz", Api, Nothing, "200 while the process runs";
    Ready: GET "/readyz", Api, Nothing, "200 while the primary answers, else 503";
    Metrics: GET "/metrics", Api, Reading, "Prometheus text; open by option";
    Document: GET "/api/openapi.json", Api, Reading, "this API as an OpenAPI document";
    Status: GET "/api/status", Api, Reading, "primary, leader, dial, since, backends, routes, counts";
    Readiness: GET "/api/readiness", Api, Reading, "the gate, condition by condition";
    Primary: POST "/api/primary", Api, Everything, "flips";
    Dial: POST "/api/dial", Api, Everything, "splits reads by client";
    Rollback: POST "/api/rollback", Api, Everything, "back to the first backend, never gated";
    Epoch: POST "/api/epoch", Api, Everything, "begins another epoch of evidence";
    Latch: POST "/api/latch", Api, Everything, "releases the latch of an automatic rollback";
    Findings: GET "/api/findings", Api, Reading, "what differs, most severe and frequent first";
    Finding: GET "/api/findings/{id}", Api, Reading, "one finding with its samples";
    Judge: POST "/api/findings/{id}", Api, Everything, "accepts a finding within a scope, or opens it again";
    Sample: GET "/api/samples/{id}", Api, Reading, "both legs of one request that differed";
    Recheck: POST "/api/samples/{id}/recheck", Api, Everything, "asks both sides again now";
    Writes: GET "/api/writes", Api, Reading, "writes that are not in both stores, oldest first, at most 500";
    Write: POST "/api/writes/{id}", Api, Everything, "has one write delivered again, or gives it up";
    Audit: GET "/api/audit", Api, Reading, "every change of the primary, of a finding's state and of a write";
    Events: GET "/api/events", Api, Reading, "server-sent events: the status when it changes";
    Login: GET "/login", Page, Nothing, "asks for a token";
    LogIn: POST "/login", Page, Nothing, "trades a token for a session";
    LogOut: POST "/logout", Page, Nothing, "ends a session";
    OverviewPage: GET "/", Page, Reading, "where things stand";
    FindingsPage: GET "/findings", Page, Reading, "what differs";
    FindingPage: GET "/findings/{id}", Page, Reading, "one finding, both legs side by side";
    FlipPage: GET "/flip", Page, Reading, "the gate, the flip and the dial";
    WritesPage: GET "/writes", Page, Reading, "writes that are not in both stores";
    AuditPage: GET "/audit", Page, Reading, "what was changed, when and by whom";
    FlipForm: POST "/flip", Page, Everything, "flips";
    DialForm: POST "/dial", Page, Everything, "splits reads by client";
    RollbackForm: POST "/rollback", Page, Everything, "back to the first backend";
    LatchForm: POST "/latch", Page, Everything, "releases the latch";
    EpochForm: POST "/epoch", Page, Everything, "begins another epoch";
    FindingForm: POST "/findings/{id}", Page, Everything, "accepts a finding or opens it again";
    RecheckForm: POST "/samples/{id}/recheck", Page, Everything, "asks both sides again now";
    WriteForm: POST "/writes/{id}", Page, Everything, "has one write delivered again, or gives it up";
    Asset: GET "/assets/{name}", Asset, Nothing, "style and script of the pages";
}

// === impl Endpoint ===

impl Endpoint {
    /// The endpoint of a method and the path that the router matched.
    pub(super) fn find(method: &Method, path: &str) -> Option<Endpoint> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        Endpoint::ALL.iter().copied().find(|known| known.method() == *method && known.path() == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_needs_the_full_token() {
        for endpoint in Endpoint::ALL {
            let is_login = matches!(endpoint, Endpoint::LogIn | Endpoint::LogOut);
            let is_change = endpoint.method() == Method::POST && !is_login;
            assert_eq!(is_change, endpoint.reach() == Reach::Everything, "{endpoint:?}");
        }
    }

    #[test]
    fn each_method_of_a_path_is_listed_once() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::find(&endpoint.method(), endpoint.path()), Some(*endpoint));
        }
        assert_eq!(Endpoint::find(&Method::HEAD, "/api/status"), Some(Endpoint::Status));
        assert_eq!(Endpoint::find(&Method::DELETE, "/api/status"), None);
    }
}
