//! Keeps what is due at a moment, the earliest first.

use crate::model::{ExecutionId, InstanceId, Timestamp};
use std::collections::BTreeSet;

/// What is due. Equal moments keep the order of instance and timer id (wire-semantics C.5: by `fireAt`, then id).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// The first turn of an instance that was scheduled for later.
    Start { id: InstanceId, execution: ExecutionId },
    /// A timer of an orchestration.
    Timer { id: InstanceId, execution: ExecutionId, timer: i32 },
}

/// Every moment of a hub's orchestrations at which something is due.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Timers(BTreeSet<(Timestamp, TimerKey)>);

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, key: TimerKey) {
        self.0.insert((at, key));
    }

    pub(super) fn clear(
        &mut self,
        fire_at: &prost_types::Timestamp,
        id: &InstanceId,
        execution: &ExecutionId,
        timer: i32,
    ) {
        let key = TimerKey::Timer { id: id.clone(), execution: execution.clone(), timer };
        self.0.remove(&(Timestamp::from_wire(fire_at), key));
    }

    pub(super) fn clear_start(&mut self, at: Timestamp, id: &InstanceId, execution: &ExecutionId) {
        self.0.remove(&(at, TimerKey::Start { id: id.clone(), execution: execution.clone() }));
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the earliest that is due at `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<TimerKey> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
