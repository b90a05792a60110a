//! Names everything that a hub refuses: the caller's mistakes.

use crate::model::{InstanceId, InvalidId, Status};

/// Why a command was turned down: the caller's doing, never ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such instance in this hub.
    #[error("no orchestration with instance id '{id}' exists")]
    NoSuchInstance {
        /// The id asked for.
        id: InstanceId,
    },
    /// The id is taken, and the reuse policy does not allow to replace its holder.
    #[error("an orchestration instance already exists with id '{id}' and status '{status}'")]
    AlreadyExists {
        /// The id.
        id: InstanceId,
        /// The status of its holder.
        status: Status,
    },
    /// The reuse policy would replace running instances but not terminated ones (protocol/instances.md#reuse).
    #[error(
        "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"
    )]
    ReusePolicy,
    /// An id is not one.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A request, or a worker's answer, is not a legal one.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what to do.
        what: String,
    },
    /// The instance's status forbids it.
    #[error("orchestration '{id}' is {status}: {action} is not allowed; {hint}")]
    WrongStatus {
        /// The instance.
        id: InstanceId,
        /// Its status.
        status: Status,
        /// What was asked for, e.g. `rewind`.
        action: &'static str,
        /// What is possible instead.
        hint: &'static str,
    },
    /// The completion token names no work item that is out.
    #[error(
        "Work item '{token}' not found: it was completed before, given back, or handed to another worker"
    )]
    NoSuchWorkItem {
        /// The token.
        token: String,
    },
    /// The instance was purged while a call waited for it.
    #[error("orchestration '{id}' was purged while it was waited for")]
    Purged {
        /// The instance.
        id: InstanceId,
    },
    /// The stream was not read for too long.
    #[error("the worker did not read its stream of work items for too long; connect again, and read it")]
    NotRead,
    /// The history that a client reads was replaced meanwhile: the instance began anew, was rewound or purged.
    #[error("the history of '{id}' was replaced while it was read; read it again")]
    HistoryReplaced {
        /// The instance.
        id: InstanceId,
    },
    /// The hubs hold as much as they may.
    #[error(
        "the emulator holds {held} bytes of instances and entities, and may hold {most}; purge what has ended, or allow it more (--max-state)"
    )]
    Full {
        /// How many bytes they hold.
        held: usize,
        /// How many they may.
        most: usize,
    },
    /// The hub has stopped because its store failed.
    #[error("the task hub has stopped, and what was asked may not be done: {why}; start the emulator again")]
    StoreFailed {
        /// What the store says.
        why: String,
    },
    /// The hub is shutting down.
    #[error("the task hub is shutting down")]
    ShuttingDown,
}
