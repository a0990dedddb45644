//! flipgate: a reverse proxy that makes moving a web application from one store to another safe.
//!
//! The map of the modules and the way of one request through them are in `ARCHITECTURE.md`.

pub mod admin;
pub mod app;
pub mod backend;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod config;
pub mod cutover;
pub mod dashboard;
pub mod demo;
pub mod diff;
pub mod journal;
pub mod ledger;
pub mod library;
pub mod metrics;
pub mod migrate;
mod pg;
pub mod proxy;
pub mod route;
pub mod shadow;
pub mod side;
mod snapshot;
pub mod state;
pub mod stats;
pub mod telemetry;
pub mod verify;
pub mod view;
