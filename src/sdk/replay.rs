//! Runs orchestrators against history: events in, actions out, without a clock, a thread or a socket.
//!
//! # Layout
//!
//! - [`context`], `call`, `entity_call`, `lock`, `task`, `race`, `next`: what an orchestrator sees.
//! - [`definition`], [`failure`], [`key`], `codec`: functions as definitions, and values on the wire;
//!   [`names`] and `function_name` give functions their names.
//! - [`entity`], `entity_actions`: what an entity operation sees.
//! - `core`: what the futures and the engine share; `slot` is one wait, `events` the queues of external events, `section`
//!   the rules of a critical section.
//! - `confirm`, `arrive`, `retry`: what one event does; `poll` is what happens after it.
//! - [`execution`]: one execution, turn after turn; [`rewind`], [`version`], [`chunks`] are the special turns.

mod arrive;
mod call;
mod codec;
mod confirm;
mod core;
mod entity_actions;
mod entity_call;
mod events;
mod function_name;
mod lock;
mod next;
mod poll;
mod race;
mod section;
mod slot;
mod task;

pub(crate) mod activity;
pub(crate) mod chunks;
pub(crate) mod context;
pub(crate) mod definition;
pub(crate) mod entity;
pub(crate) mod execution;
pub(crate) mod failure;
pub(crate) mod key;
pub(crate) mod names;
pub(crate) mod retry;
pub(crate) mod rewind;
pub(crate) mod version;

pub use activity::{ActivityContext, Cancellation, Cancelled};
pub use call::{ActivityCall, ChildCall};
pub use chunks::split_response;
pub use codec::Payload;
pub use confirm::NONDETERMINISM;
pub use context::OrchestrationContext;
pub use core::Parent;
pub use definition::{Activity, Operation, Orchestrator};
pub use entity::{Entity, EntityContext, EntityId, NotAnEntityId};
pub use entity_actions::SentSignal;
pub use entity_call::Signal;
pub use failure::{DecodeError, DurableError, Failure, FailureDetails, InvalidCall, TaskError};
pub use function_name::name_of;
pub use key::EventKey;
pub use lock::{LockGuard, LockWait};
pub use next::ContinueAsNew;
pub use poll::{FOREIGN_AWAIT, NEVER_YIELDS, ORCHESTRATOR_PANICKED};
pub use race::{Either, Race, race};
pub use retry::RetryPolicy;
pub use task::{Durable, EventWait, Task, Timer};
pub use version::{Mismatch, Versioning};

pub(crate) use codec::{decode, encode};
pub(crate) use function_name::names_itself;
pub(crate) use poll::panic_message;
