//! A private throw-away PostgreSQL from the local binaries.
