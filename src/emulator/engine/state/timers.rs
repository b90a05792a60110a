//! Keeps what is due at a moment, the earliest first.

use crate::model::{ExecutionId, InstanceId, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is due. Equal moments keep the order of instance and timer id (protocol/turns.md#timers: by `fireAt`, then id).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    /// The first turn of an instance that was scheduled for later.
    Start { id: InstanceId, execution: ExecutionId },
    /// A timer of an orchestration.
    Timer { id: InstanceId, execution: ExecutionId, timer: i32 },
}

/// Every moment of a hub's orchestrations at which something is due.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Timers(BTreeSet<(Timestamp, TimerKey)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, key: TimerKey) {
        self.0.insert((at, key));
    }

    pub(crate) fn clear(
        &mut self,
        fire_at: &prost_types::Timestamp,
        id: &InstanceId,
        execution: &ExecutionId,
        timer: i32,
    ) {
        let key = TimerKey::Timer { id: id.clone(), execution: execution.clone(), timer };
        self.0.remove(&(Timestamp::from_wire(fire_at), key));
    }

    pub(crate) fn clear_start(&mut self, at: Timestamp, id: &InstanceId, execution: &ExecutionId) {
        self.0.remove(&(at, TimerKey::Start { id: id.clone(), execution: execution.clone() }));
    }

    /// When the earliest is due: `lag` after its moment.
    pub(crate) fn next_due(&self, lag: Duration) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| at.plus(lag))
    }

    /// Takes the earliest that is due at `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp, lag: Duration) -> Option<TimerKey> {
        if self.next_due(lag)? > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
