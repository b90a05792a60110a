//! The Durable Task Scheduler in Rust: an emulator inside the test process, a typed worker and client,
//! and a test harness.
//!
//! [`orchestration`] and [`activities`] are not machinery: they are **the sample**, fan-out/fan-in as plain
//! functions that you copy into your project. Everything else is the house around them.
//!
//! # Layout
//!
//! - [`wire`]: the protocol's messages, generated.
//! - [`model`]: ids, moments, statuses and events, as values.
//! - [`emulator`]: the scheduler: a pure engine, a store, a dispatcher, a gRPC service.
//! - [`sdk`]: what orchestrations are written with, and the worker and client that run them.
//! - [`report`]: a history as something to read.
//! - [`testing`]: the same test with no sockets, against the emulator, a container or any endpoint.
//! - `clock` (with `emulator` or `sdk`): the only reader of time; tests bring their own.
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | (none) | the engine, the replay, [`testing::TestHub`], reports, the sample: no tokio, no tonic | |
//! | `emulator` | the gRPC service and `emulator::Emulator` | yes |
//! | `sdk` | `sdk::Worker` and `sdk::Client` | yes |
//! | `azure` | tokens from Microsoft Entra ID; brings `sdk` | no |
//!
//! The `taskhub` command is a package of its own, `taskhub-cli`.

pub mod activities;
pub mod orchestration;

pub mod emulator;
pub mod model;
pub mod report;
pub mod sdk;
pub mod testing;
// What the command shows; no promise is made about it.
#[doc(hidden)]
pub mod view;
pub mod wire;

#[cfg(any(feature = "emulator", feature = "sdk"))]
pub(crate) mod busy_wait;
#[cfg(any(feature = "emulator", feature = "sdk"))]
pub mod clock;
#[cfg(any(feature = "emulator", feature = "sdk"))]
mod codec;
#[cfg(any(feature = "emulator", feature = "sdk"))]
pub(crate) mod entropy;

/// The README's code, compiled and run with the documentation's.
#[cfg(all(doctest, feature = "emulator", feature = "sdk"))]
#[doc = include_str!("../README.md")]
struct Readme;
