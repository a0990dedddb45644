//! The one integration-test binary, so that one PostgreSQL cluster serves all tests.

mod dashboard;
