//! Keeps one entity: its state, its lock, and the queue of what others want of it.
//!
//! The queue is strict: first come, first served, and at most one batch of operations is out at a time. A lock request
//! that reaches the head is granted; from then on only its holder is served, through a queue of its own, and all
//! others wait in the queue. Unlocking puts what is left in the lane before the queue, so that what was sent inside a
//! critical section runs before any other operation (protocol/entities.md#locks).
//!
//! An entity never touches anything but itself. [`Entities`] carries what it says to others.

mod batch;
mod change;
mod decision;
mod entities;
mod hand_out;
mod message;
mod query;

pub use change::{Change, Changed};
pub use decision::{Completion, Decision, EntityStart, Skipped};
pub use entities::Entities;
pub use hand_out::Batch;
pub(in crate::emulator::engine) use message::check_lock_set;
pub use message::{Caller, LockRequest, Operation};

use crate::model::{ExecutionId, InstanceId, Timestamp};
use crate::wire;
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// One entity. What [`Change`]s made is durable; where its batch is, is not.
#[derive(Debug, Clone)]
pub struct Entity {
    id: InstanceId,
    state: Option<String>,
    modified: Timestamp,
    lock: Option<Lock>,
    queue: VecDeque<QueuedMessage>,
    /// Signals for later: by moment, equal moments in the order they were sent.
    delayed: BTreeMap<(Timestamp, u64), Operation>,
    sent: u64,
    /// About how many bytes its state and its operations take.
    bytes: usize,
    stage: BatchStage,
    /// The batches as a whole that failed since one ran.
    failed: Option<Failing>,
    /// How many operations the next batch may have, where one with more made too much.
    at_most: Option<usize>,
}

/// A row of batches that failed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failing {
    since: Timestamp,
    times: u32,
}

/// Who holds the entity, and what that one has sent since.
#[derive(Debug, Clone, PartialEq)]
struct Lock {
    holder: Caller,
    section: String,
    lane: VecDeque<Operation>,
}

#[derive(Debug, Clone, PartialEq)]
enum QueuedMessage {
    Operation(Operation),
    Lock(LockRequest),
}

/// Where the entity's next batch is. Gone with the process: what was out is offered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchStage {
    /// Nothing can be run.
    Idle,
    /// Something can be run, and has been said to be.
    Ready,
    /// The first `operations` that can be run are with a worker.
    Out { number: u64, operations: usize },
    /// They were with a worker that is gone: they are ready, and until another worker has them its answer counts.
    Lost { number: u64, operations: usize },
}

/// What an entity does next by itself.
enum Step {
    Grant,
    Offer,
    Rest,
}

impl Entity {
    fn new(id: InstanceId, now: Timestamp) -> Self {
        Self {
            id,
            state: None,
            modified: now,
            lock: None,
            queue: VecDeque::new(),
            delayed: BTreeMap::new(),
            sent: 0,
            bytes: 0,
            stage: BatchStage::Idle,
            failed: None,
            at_most: None,
        }
    }

    /// The id it shows where the protocol wants an execution: one for its whole life, and the same after a restart.
    pub fn execution(&self) -> ExecutionId {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.id.as_str().as_bytes());
        ExecutionId::new(id.simple().to_string())
    }

    /// Its state; `None` where it has none (yet, or any more).
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The orchestration that holds its lock.
    pub fn locked_by(&self) -> Option<&InstanceId> {
        self.lock.as_ref().map(|lock| &lock.holder.instance)
    }

    /// How many operations wait, those that are out among them; signals for later are not.
    pub fn backlog(&self) -> usize {
        let queued = self.queue.iter().filter(|m| matches!(m, QueuedMessage::Operation(_))).count();
        queued + self.lock.as_ref().map_or(0, |lock| lock.lane.len())
    }

    /// Whether there is anything of it to be seen: a signal for later does not bring an entity into being.
    pub fn is_visible(&self) -> bool {
        self.state.is_some() || self.lock.is_some() || !self.queue.is_empty()
    }

    /// Whether nothing at all is left of it.
    fn is_nothing(&self) -> bool {
        !self.is_visible() && self.delayed.is_empty()
    }

    /// How it looks to a client.
    pub fn metadata(&self, with_state: bool) -> wire::EntityMetadata {
        wire::EntityMetadata {
            instance_id: self.id.as_str().to_owned(),
            last_modified_time: Some(self.modified.to_wire()),
            backlog_queue_size: i32::try_from(self.backlog()).unwrap_or(i32::MAX),
            locked_by: self.locked_by().map(|holder| holder.as_str().to_owned()),
            serialized_state: if with_state { self.state.clone() } else { None },
        }
    }

    /// Whether the two are the same as far as records tell.
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            id,
            state,
            modified,
            lock,
            queue,
            delayed,
            sent,
            bytes: _,
            stage: _,
            failed: _,
            at_most: _,
        } = self;
        (id, state, modified, lock, queue, delayed, sent)
            == (
                &other.id,
                &other.state,
                &other.modified,
                &other.lock,
                &other.queue,
                &other.delayed,
                &other.sent,
            )
    }

    /// Operations that can be run now, in order: the holder's alone while it is locked, otherwise all up to
    /// the next lock request.
    fn eligible(&self) -> impl Iterator<Item = &Operation> {
        let (lane, queue) = match &self.lock {
            Some(lock) => (Some(&lock.lane), None),
            None => (None, Some(&self.queue)),
        };
        let open = queue.into_iter().flatten().map_while(|message| match message {
            QueuedMessage::Operation(operation) => Some(operation),
            QueuedMessage::Lock(_) => None,
        });
        lane.into_iter().flatten().chain(open)
    }

    fn next_step(&self) -> Step {
        if self.lock.is_none() && matches!(self.queue.front(), Some(QueuedMessage::Lock(_))) {
            return Step::Grant;
        }
        match self.stage {
            BatchStage::Idle if self.eligible().next().is_some() => Step::Offer,
            BatchStage::Idle | BatchStage::Ready | BatchStage::Out { .. } | BatchStage::Lost { .. } => {
                Step::Rest
            }
        }
    }
}

#[cfg(test)]
mod tests;
