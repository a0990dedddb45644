//! The one integration-test binary, so that one PostgreSQL cluster serves all tests.
//!
//! Black box: the real binary, real sockets, real stores. Nothing is waited for by time, only by condition.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod access;
mod adversity;
mod both_stores;
mod browser;
mod browser_rig;
mod cli_operate;
mod client;
mod command;
mod dashboard;
mod dashboards;
mod data_events;
mod demo;
mod dial;
mod diff;
mod disk;
mod doors;
mod findings;
mod flip;
mod gate;
mod harness;
mod hostile_evidence;
mod image;
mod inprocess_deletes;
mod inprocess_random;
mod inprocess_refusals;
mod inprocess_writes;
mod journal;
mod journal_doubts;
mod journeys;
mod killed;
mod lag_and_noise;
mod metrics;
mod migration;
mod mishaps;
mod nasty;
mod outcomes;
mod page;
mod perils;
mod proxy;
mod recorded;
mod replicas;
mod replicas_adversity;
mod replicas_evidence;
mod rig;
mod round_trip;
mod serial;
mod serial_dashboard;
mod serve;
mod snapshot;
mod snapshot_desk;
mod snapshot_restore;
mod stores;
mod streaming;
mod tombstones;
mod upstream;
mod verify;
mod watch;
mod who_wins;
mod wire;
mod write_disaster;
mod write_model;
mod write_order;
mod write_reads;
mod write_rig;
mod written;
