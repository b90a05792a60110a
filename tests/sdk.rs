//! Tells the stories of the client and the worker.
#![cfg(all(feature = "emulator", feature = "sdk", feature = "azure"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(unreachable_pub, reason = "the stories share what stands in for a scheduler")]

#[path = "sdk/cancelled.rs"]
mod cancelled;
#[path = "sdk/connection.rs"]
mod connection;
#[path = "sdk/flood.rs"]
mod flood;
#[path = "sdk/identity.rs"]
mod identity;
#[path = "sdk/limit.rs"]
mod limit;
#[path = "sdk/log.rs"]
mod log;
#[path = "sdk/scheduler.rs"]
mod scheduler;
#[path = "sdk/silent.rs"]
mod silent;
#[path = "sdk/stalled.rs"]
mod stalled;
#[path = "sdk/together.rs"]
mod together;
#[path = "sdk/worker.rs"]
mod worker;
