//! Applies what was decided about an entity: once when it is decided, and again when the hub is rebuilt.

use super::{BatchStage, Entity, Lock, LockRequest, Operation, QueuedMessage};
use crate::model::{InstanceId, Timestamp};
use std::collections::VecDeque;

/// A change, with where and when: what is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Which entity.
    pub entity: InstanceId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: Change,
}

/// Everything durable that can happen to an entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An operation arrived and waits for its turn.
    Sent(Operation),
    /// An operation arrived that is to be delivered later.
    Kept {
        /// When it is due.
        due: Timestamp,
        /// The operation.
        operation: Operation,
    },
    /// What was kept until then is delivered.
    Due {
        /// The moment, inclusive.
        until: Timestamp,
    },
    /// A lock request joined the queue.
    Asked(LockRequest),
    /// The lock request at the head of the queue is granted.
    Granted,
    /// The lock is given up.
    Unlocked,
    /// An orchestration does not want the lock any more: its requests leave the queue.
    Withdrawn {
        /// Whose.
        holder: InstanceId,
        /// Of which critical section; `None` for all.
        section: Option<String>,
    },
    /// The first operations of a batch have run.
    Done {
        /// How many.
        operations: usize,
        /// The state they left; `None` deletes it.
        state: Option<String>,
    },
    /// Calls among the first operations are given up: no worker could run them. Signals stay where they are.
    GivenUp {
        /// How many operations the batch had.
        operations: usize,
        /// Calls sent after this moment stay, too.
        until: Timestamp,
    },
    /// The entity was purged: state, operations and lock are gone. Lock requests stay, orchestrations wait for them.
    Purged,
}

impl Entity {
    /// Makes the change. Total: what was decided can be applied.
    pub(super) fn apply(&mut self, at: Timestamp, change: &Change) {
        match change {
            Change::Sent(operation) => {
                self.bytes += operation.bytes();
                self.deliver(operation.clone());
            }
            Change::Kept { due, operation } => {
                self.bytes += operation.bytes();
                self.delayed.insert((*due, self.sent), operation.clone());
                self.sent += 1;
            }
            Change::Due { until } => {
                let later = self.delayed.split_off(&(*until, u64::MAX));
                for operation in std::mem::replace(&mut self.delayed, later).into_values() {
                    self.deliver(operation);
                }
            }
            Change::Asked(request) => self.queue.push_back(QueuedMessage::Lock(request.clone())),
            Change::Granted => self.grant(),
            Change::Unlocked => self.unlock(),
            Change::Withdrawn { holder, section } => self.queue.retain(|message| match message {
                QueuedMessage::Operation(_) => true,
                QueuedMessage::Lock(request) => !request.is_of(holder, section.as_deref()),
            }),
            Change::Done { operations, state } => {
                self.remove_first(*operations);
                self.bytes -= self.state.as_ref().map_or(0, String::len);
                self.state.clone_from(state);
                self.bytes += self.state.as_ref().map_or(0, String::len);
                self.modified = at;
            }
            Change::GivenUp { operations, until } => self.give_up_calls(*operations, *until),
            Change::Purged => {
                self.state = None;
                self.lock = None;
                self.delayed.clear();
                self.queue.retain(|message| matches!(message, QueuedMessage::Lock(_)));
                self.bytes = 0;
                self.stage = BatchStage::Idle;
            }
        }
    }

    fn deliver(&mut self, operation: Operation) {
        match &mut self.lock {
            Some(lock) if operation.sent_by(&lock.holder.instance) => lock.lane.push_back(operation),
            Some(_) | None => self.queue.push_back(QueuedMessage::Operation(operation)),
        }
    }

    /// The request at the head becomes the lock. What its holder has sent in the meantime moves to the lane.
    fn grant(&mut self) {
        match self.queue.pop_front() {
            Some(QueuedMessage::Lock(request)) => {
                let LockRequest { caller: holder, section, .. } = request;
                let lane = self.take_sent_by(&holder.instance);
                self.lock = Some(Lock { holder, section, lane });
            }
            // Only a request at the head is ever granted.
            Some(message @ QueuedMessage::Operation(_)) => self.queue.push_front(message),
            None => {}
        }
    }

    fn take_sent_by(&mut self, holder: &InstanceId) -> VecDeque<Operation> {
        let mut taken = VecDeque::new();
        let is_theirs = |message: &QueuedMessage| match message {
            QueuedMessage::Operation(operation) => operation.sent_by(holder),
            QueuedMessage::Lock(_) => false,
        };
        // Most have sent nothing ahead; a queue of thousands is then only looked at, not moved.
        if self.queue.iter().any(is_theirs) {
            for message in std::mem::take(&mut self.queue) {
                match message {
                    QueuedMessage::Operation(operation) if operation.sent_by(holder) => {
                        taken.push_back(operation);
                    }
                    QueuedMessage::Operation(_) | QueuedMessage::Lock(_) => self.queue.push_back(message),
                }
            }
        }
        taken
    }

    fn unlock(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        for operation in lock.lane.into_iter().rev() {
            self.queue.push_front(QueuedMessage::Operation(operation));
        }
    }

    /// Takes away the calls among the first operations of those that can be run.
    fn give_up_calls(&mut self, operations: usize, until: Timestamp) {
        let (mut first, mut removed) = (operations, 0);
        let mut stays = |operation: &Operation| {
            let in_batch = first > 0;
            first = first.saturating_sub(1);
            let goes = in_batch && operation.is_given_up(until);
            removed += if goes { operation.bytes() } else { 0 };
            !goes
        };
        match &mut self.lock {
            Some(lock) => lock.lane.retain(|operation| stays(operation)),
            None => self.queue.retain(|message| match message {
                QueuedMessage::Operation(operation) => stays(operation),
                QueuedMessage::Lock(_) => true,
            }),
        }
        self.bytes -= removed;
        self.stage = BatchStage::Idle;
    }

    /// Takes away the first operations of those that can be run: a batch is always the first of them, whether the lock
    /// was given up meanwhile or not.
    fn remove_first(&mut self, operations: usize) {
        let removed: usize = if let Some(lock) = &mut self.lock {
            lock.lane.drain(..operations.min(lock.lane.len())).map(|o| o.bytes()).sum()
        } else {
            let removed = self.queue.drain(..operations.min(self.queue.len()));
            removed.map(|message| if let QueuedMessage::Operation(o) = message { o.bytes() } else { 0 }).sum()
        };
        self.bytes -= removed;
        self.stage = BatchStage::Idle;
    }
}

impl LockRequest {
    pub(super) fn is_of(&self, holder: &InstanceId, section: Option<&str>) -> bool {
        self.caller.instance == *holder && section.is_none_or(|section| section == self.section)
    }
}

impl Operation {
    /// Whether a batch that cannot be run, and is given up for what was asked until then, takes this one with it.
    pub(super) fn is_given_up(&self, until: Timestamp) -> bool {
        self.awaited().is_some() && self.asked_at() <= until
    }
}
