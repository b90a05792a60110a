//! Names what the protocol talks about: ids, moments, statuses, failures and events.
//!
//! Everything here is a value: nothing reads a clock, draws a number or waits.

#[doc(hidden)]
pub mod event;
pub(crate) mod extension;
#[doc(hidden)]
pub mod failure;
mod history;
mod id;
mod kind;
mod status;
mod time;

pub use history::{Event, EventFailure, History};
pub use id::{ExecutionId, HubName, InstanceId, InvalidId};
pub use kind::Kind;
pub use status::{Status, Statuses};
pub use time::Timestamp;
