//! Series of the admin side itself.

use prometheus::{IntCounterVec, Opts, Registry};

use super::{Metrics, registered};

/// What became of an attempt to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The token opened a session.
    Ok,
    /// The token was wrong.
    Refused,
    /// There had been too many wrong ones, so it was not looked at.
    Limited,
}

/// The series.
#[derive(Debug)]
pub(super) struct Admin {
    logins: IntCounterVec,
}

// === impl Login ===

impl Login {
    const ALL: [Login; 3] = [Login::Ok, Login::Refused, Login::Limited];

    fn label(self) -> &'static str {
        match self {
            Login::Ok => "ok",
            Login::Refused => "refused",
            Login::Limited => "limited",
        }
    }
}

// === impl Admin ===

impl Admin {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let logins = Opts::new(
            "flipgate_admin_logins_total",
            "Attempts to log in to the admin side's pages, by what became of them.",
        );
        let logins = registered(registry, IntCounterVec::new(logins, &["result"])?)?;
        for login in Login::ALL {
            logins.with_label_values(&[login.label()]).inc_by(0);
        }
        Ok(Admin { logins })
    }
}

// === impl Metrics ===

impl Metrics {
    /// Counts an attempt to log in to the admin side.
    pub fn login(&self, login: Login) {
        self.admin.logins.with_label_values(&[login.label()]).inc();
    }
}
