//! What orchestrations are written with, and the worker and client that run them.

pub mod registry;
pub mod replay;

pub use registry::{
    ActivityRunner, Cached, EntityDef, Invalid, InvalidRegistry, Registry, TurnOutcome, run_entity_batch,
    run_turn,
};
pub use replay::{
    Activity, ActivityContext, Cancellation, DecodeError, Durable, DurableError, Either, Entity,
    EntityContext, EntityId, EventKey, EventWait, Failure, FailureDetails, LockGuard, Mismatch,
    OrchestrationContext, Orchestrator, Refused, RetryPolicy, Task, TaskError, Timer, Versioning, name_of,
    race, split_response,
};

#[cfg(feature = "sdk")]
pub mod auth;
#[cfg(feature = "sdk")]
pub mod client;
#[cfg(feature = "sdk")]
pub mod connect;
#[cfg(feature = "sdk")]
pub mod worker;

#[cfg(feature = "sdk")]
pub use client::{Client, Error as ClientError, Handle, ListIds, Purge, Query, Reuse, Snapshot};
#[cfg(feature = "sdk")]
pub use connect::Target;
#[cfg(feature = "sdk")]
pub use worker::{RunningWorker, Worker};
