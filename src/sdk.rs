//! What orchestrations are written with, and the worker and client that run them.
//!
//! `use taskhub::sdk::*;` brings everything in.
//!
//! ```
//! use futures_util::future::join_all;
//! use std::time::Duration;
//! use taskhub::sdk::*;
//!
//! // An activity is an ordinary or an async function: call it in a test like any other.
//! async fn price(item: u32) -> Result<u64, Failure> {
//!     Ok(u64::from(item) * 100)
//! }
//!
//! const APPROVED: EventKey<bool> = EventKey::new("Approved");
//!
//! async fn quote(ctx: OrchestrationContext, items: Vec<u32>) -> Result<Option<u64>, Failure> {
//!     // Calls are on their way when they are made; awaiting only waits.
//!     let retry = RetryPolicy::attempts(3).first_interval(Duration::from_secs(2)).backoff(2.0);
//!     let calls: Vec<_> = items.into_iter().map(|i| ctx.activity(price).retry(retry.clone()).call(i)).collect();
//!     let mut total = 0;
//!     for price in join_all(calls).await {
//!         total += price?;
//!     }
//!     // Whichever comes first in history wins; the other is cancelled.
//!     match race(ctx.event(APPROVED), ctx.sleep(Duration::from_secs(3 * 86_400))).await {
//!         Either::First(approved) => Ok(approved?.then_some(total)),
//!         Either::Second(()) => Ok(None),
//!     }
//! }
//!
//! let registry = Registry::new().orchestration(quote).activity(price);
//! # registry.check().unwrap();
//! ```
//!
//! # What an orchestrator must not do
//!
//! An orchestrator runs again from the start whenever its future is not kept, and must then decide alike. It reads
//! time, ids and results from its context alone, and leaves everything else to activities. What breaks this is told
//! by name: [`NONDETERMINISM`] with the line of source that differs, [`FOREIGN_AWAIT`] in the turn
//! that awaits something else than the context gave, [`NEVER_YIELDS`] for a loop that waits for nothing.
//!
//! Ordinary combinators are fine: `join!`, `join_all`, `FuturesUnordered`, `buffer_unordered`, and `select!` in its
//! biased form. `tokio::select!` without `biased;` is not: it draws lots.
//!
//! Panics are caught, which needs `panic = "unwind"`, the default.
//!
//! In a crate that holds orchestrations only, clippy finds most of the rest with this `clippy.toml`:
//!
//! ```toml
//! disallowed-methods = [
//!     { path = "std::time::SystemTime::now", reason = "use ctx.now()" },
//!     { path = "std::time::Instant::now", reason = "use ctx.now()" },
//!     { path = "std::thread::sleep", reason = "use ctx.sleep(..)" },
//!     { path = "std::thread::spawn", reason = "call an activity" },
//!     { path = "std::env::var", reason = "pass it as input" },
//!     { path = "tokio::spawn", reason = "call an activity, or join futures" },
//!     { path = "tokio::time::sleep", reason = "use ctx.sleep(..)" },
//!     { path = "tokio::time::timeout", reason = "use race(.., ctx.sleep(..))" },
//!     { path = "rand::random", reason = "call an activity, or derive it from ctx.uuid()" },
//!     { path = "uuid::Uuid::new_v4", reason = "use ctx.uuid()" },
//! ]
//! disallowed-types = [
//!     { path = "std::collections::HashMap", reason = "its order differs from run to run; use BTreeMap" },
//!     { path = "std::collections::HashSet", reason = "its order differs from run to run; use BTreeSet" },
//! ]
//! ```

pub(crate) mod registry;
pub(crate) mod replay;

pub use crate::model::{Event, EventFailure, History, InvalidId, Kind, Status, Timestamp};
pub use registry::{ActivityRunner, EntityDef, EntityState, InvalidRegistry, Registry, RegistryProblem};
pub use replay::{
    Activity, ActivityCall, ActivityContext, Cancellation, Cancelled, ChildCall, ContinueAsNew, DecodeError,
    Durable, DurableError, Either, Entity, EntityContext, EntityId, EventKey, EventWait, FOREIGN_AWAIT,
    Failure, FailureDetails, InvalidCall, LockGuard, LockWait, Mismatch, NEVER_YIELDS, NONDETERMINISM,
    NotAnEntityId, ORCHESTRATOR_PANICKED, Operation, OrchestrationContext, Orchestrator, Parent, Payload,
    Race, RetryPolicy, SentSignal, Signal, Task, TaskError, Timer, Versioning, name_of, race,
};

/// What a worker does with a work item, without the worker: for tests of the protocol, and no promise.
#[doc(hidden)]
pub use registry::{Cached, TurnOutcome, run_entity_batch, run_turn};
#[doc(hidden)]
pub use replay::split_response;

#[cfg(feature = "sdk")]
pub mod auth;
#[cfg(feature = "sdk")]
pub mod client;
#[cfg(feature = "sdk")]
pub mod connect;
#[cfg(feature = "sdk")]
pub mod worker;

#[cfg(feature = "sdk")]
pub use client::{
    Client, EntityQuery, EntitySnapshot, Error as ClientError, Handle, ListIds, Purge, Purged, Query, Reuse,
    Snapshot, Start,
};
#[cfg(feature = "sdk")]
pub use connect::{InvalidTarget, Target};
#[cfg(feature = "sdk")]
pub use worker::{Error as WorkerError, RunningWorker, Stopped, Worker};
