//! Names a turn that is with a worker, and what one has come to.

use crate::model::{ExecutionId, InstanceId, Timestamp};
use std::time::Duration;

/// A turn that is out: what its answer is about.
#[derive(Debug, Clone)]
pub(crate) struct OpenTurn {
    pub(crate) id: InstanceId,
    pub(crate) execution: ExecutionId,
    /// The moment of its `OrchestratorStarted`.
    pub(crate) at: Timestamp,
    /// How many of the inbox it was given.
    pub(crate) taken: usize,
    /// Whether one of those terminates the execution: then all of them are consumed, whatever the worker says.
    pub(crate) terminates: bool,
}

/// What a turn has come to.
#[derive(Debug)]
pub(crate) enum TurnResult {
    /// The execution goes on, and the next turn may be handed out.
    GoesOn(TurnEnded),
    /// The execution is over, or its history was written anew.
    Over,
    /// The worker did not write the history anew, though it was asked to.
    NotRewound,
}

/// What a turn has come to, as far as it tells how the next one is to be handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnEnded {
    /// How long it was with its worker.
    pub(crate) took: Duration,
    /// Whether it was the first turn of its execution.
    pub(crate) first: bool,
    /// Whether it did anything that can be seen outside: an action, or another custom status.
    pub(crate) reacted: bool,
    /// Whether its worker consumed every event that it was told.
    pub(crate) took_all: bool,
}
