//! flipgate: a reverse proxy that makes moving a web application from one store to another safe.
//!
//! The map of the modules and the way of one request through them are in `ARCHITECTURE.md`.

pub mod cluster;
pub mod compare;
pub mod dashboard;
pub mod demo;
pub mod library;
pub mod migrate;
mod pg;
