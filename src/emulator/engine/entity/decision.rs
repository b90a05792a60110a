//! Collects what a step of the entities changes, and what it asks for outside of them.

use super::{Caller, Changed, Operation};
use crate::model::{InstanceId, Timestamp, event};
use crate::wire::{self, HistoryEvent};
use std::time::Duration;

/// What a step changed, which is to be recorded, and what it asks for outside the entities.
#[derive(Debug, Default)]
pub struct Decision {
    /// What has changed, and is applied already.
    pub changes: Vec<Changed>,
    /// Events for the inbox of an orchestration; dropped where that execution is over.
    pub answers: Vec<(Caller, HistoryEvent)>,
    /// Orchestrations to start, without a parent; one whose id a live instance has is not started.
    pub starts: Vec<EntityStart>,
    /// Entities that have become ready: each is to be handed out once.
    pub ready: Vec<InstanceId>,
    /// What of a worker's answer was left out.
    pub skipped: Vec<Skipped>,
}

/// An orchestration that an entity wants to start.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityStart {
    /// Its id; `None` to mint one.
    pub id: Option<InstanceId>,
    /// What to start, and when.
    pub action: wire::StartNewOrchestrationAction,
}

/// What a worker's answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It counts, in full or in part. What was not run is ready again by itself.
    Applied,
    /// The batch is not out under this number any more (purged since, or handed to another): nothing happened.
    Stale,
    /// Nothing was run, or only calls were given up: what is left is to be offered again after this while.
    Retry(Duration),
}

/// A part of an answer that could not be done and was left out: what it was, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(pub String);

impl Decision {
    /// Tells the caller of an operation what came of it; a signal has none.
    pub(super) fn answer_call(
        &mut self,
        operation: &Operation,
        result: Result<Option<String>, wire::TaskFailureDetails>,
        now: Timestamp,
    ) {
        let Some((caller, request)) = operation.awaited() else { return };
        let event = match result {
            Ok(output) => event::entity_completed(now, request.to_owned(), output),
            Err(failed) => event::entity_failed(now, request.to_owned(), failed),
        };
        self.answers.push((Caller::clone(caller), event));
    }
}
