//! Names every durable change of a hub.
//!
//! A decision makes a record, and the record makes the change (`state/apply`): once now, and again when a hub is rebuilt
//! from its store. Nothing durable changes in any other way.

mod decode;
mod encode;
mod read;
#[cfg(test)]
mod tests;
mod write;

use super::entity::Changed;
use super::state::instance::Arrived;
use super::state::phase::End;
use crate::model::{ExecutionId, InstanceId, Kind, Timestamp};
use crate::wire;
use bytes::Bytes;

/// One durable change.
#[expect(
    clippy::large_enum_variant,
    reason = "the large ones are the frequent ones, and a batch is short-lived"
)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Record {
    #[doc(hidden)]
    /// An instance is created, in place of another one of its id if there was one.
    Created {
        /// Its id.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// What it begins with.
        started: Box<wire::ExecutionStartedEvent>,
        /// When its first turn may be handed out; `None` for at once.
        start_at: Option<Timestamp>,
    },
    #[doc(hidden)]
    /// An event arrives in an inbox.
    Arrived {
        /// Whose.
        id: InstanceId,
        /// What is no longer pending because of it.
        settles: Settles,
        /// The event's kind.
        kind: Kind,
        /// The event, encoded.
        event: Bytes,
    },
    #[doc(hidden)]
    /// A turn is committed.
    Committed {
        /// Whose.
        id: InstanceId,
        /// What it came to.
        commit: Box<Commit>,
    },
    #[doc(hidden)]
    /// A turn is committed that begins the next execution (continue-as-new).
    Continued {
        /// Whose.
        id: InstanceId,
        /// What the next execution begins with.
        next: Box<Continued>,
    },
    #[doc(hidden)]
    /// An instance is suspended, or runs again, though no worker was told yet.
    Paused {
        /// Which.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// Whether it is suspended now.
        suspended: bool,
    },
    #[doc(hidden)]
    /// A rewind begins: the instance has left FAILED.
    RewindBegan {
        /// Whose.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// The `ExecutionRewound`, encoded.
        event: Bytes,
    },
    #[doc(hidden)]
    /// The worker has written the history anew.
    Rewound {
        /// Whose.
        id: InstanceId,
        /// What it came to.
        rewound: Box<Rewound>,
    },
    #[doc(hidden)]
    /// The worker has refused to rewind: the old end stands again.
    RewindRefused {
        /// Whose.
        id: InstanceId,
        /// When.
        at: Timestamp,
    },
    #[doc(hidden)]
    /// An entity answers an execution that has failed: it will be wanted if that is rewound.
    Late {
        /// Whose.
        id: InstanceId,
        /// The event's kind.
        kind: Kind,
        /// The event, encoded.
        event: Bytes,
    },
    #[doc(hidden)]
    /// An instance is deleted.
    Removed {
        /// Which.
        id: InstanceId,
    },
    #[doc(hidden)]
    /// An entity changes.
    Entity(Changed),
}

/// Why bytes are not a record that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another version of the format.
    #[error("the record is of version {found}, and this taskhub reads version {}", Record::VERSION)]
    Version {
        /// The version that it is of.
        found: u64,
    },
    /// A field that this version does not have.
    #[error("{of} has the field {field}, which this taskhub does not know")]
    Unknown {
        /// What has it.
        of: &'static str,
        /// Its number.
        field: u32,
    },
    /// A field that this version needs.
    #[error("{of} lacks the field {field}, or has it in another type")]
    Missing {
        /// What lacks it.
        of: &'static str,
        /// Its number.
        field: u32,
    },
    /// Bytes that are not in the format, or a value that no field can have.
    #[error("{of} is broken")]
    Broken {
        /// What is.
        of: &'static str,
    },
}

/// What an arriving event answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settles {
    /// Nothing that is kept as pending.
    Nothing,
    /// The activity scheduled as this.
    Activity(i32),
    /// The timer set as this.
    Timer(i32),
    /// The child created as this.
    Child(i32),
}

/// What a committed turn came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    pub(crate) at: Timestamp,
    /// The moment of its `OrchestratorStarted`.
    pub(crate) turn_at: Timestamp,
    /// How many of the inbox it consumed.
    pub(crate) consumed: usize,
    /// The events of its actions, encoded, in order.
    pub(crate) events: Vec<Bytes>,
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) custom_status: Option<String>,
    pub(crate) trace: Option<wire::OrchestrationTraceContext>,
    pub(crate) suspended: bool,
    pub(crate) end: Option<End>,
}

/// What a turn has scheduled.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheduled {
    /// An activity.
    Activity {
        /// The action's id.
        task: i32,
        /// Its name, for filters.
        name: String,
        /// Its version for filters: its own, or its orchestration's (R47).
        version: Option<String>,
        /// The encoded `wire::ActivityRequest`.
        request: Bytes,
    },
    /// A timer.
    Timer {
        /// The action's id.
        timer: i32,
        /// When it is due, as the worker gave it.
        fire_at: prost_types::Timestamp,
    },
    /// A child.
    Child {
        /// The action's id.
        task: i32,
        /// The child's id, as resolved.
        id: InstanceId,
        /// The execution that answers.
        execution: ExecutionId,
    },
}

/// What the next execution of an instance begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Continued {
    pub(crate) at: Timestamp,
    pub(crate) started: Box<wire::ExecutionStartedEvent>,
    /// The inbox after `ExecutionStarted`.
    pub(crate) inbox: Vec<Arrived>,
    pub(crate) custom_status: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) turn_at: Timestamp,
}

/// What a rewound execution goes on with.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewound {
    pub(crate) at: Timestamp,
    pub(crate) turn_at: Timestamp,
    /// The new history, each event encoded.
    pub(crate) history: Vec<Bytes>,
    pub(crate) started: Box<wire::ExecutionStartedEvent>,
    /// What is still to come according to the new history.
    pub(crate) scheduled: Vec<Scheduled>,
    /// Every child the new history has.
    pub(crate) offspring: Vec<InstanceId>,
    /// Whether a turn is to be handed out though nothing has arrived.
    pub(crate) nudged: bool,
}
