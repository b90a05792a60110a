//! A hub's state together with the records that made it: the one place where a change of the state and its record meet.
//!
//! The state can be read from here, and what is not durable in it can be written. A durable change that is not recorded does
//! not compile: the state itself is private to this file, and [`HubState::apply`] is called here alone.

use crate::emulator::engine::entity::{Batch, Decision, Entities};
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::HubState;
use crate::emulator::engine::state::instance::{Instance, Placements};
use crate::emulator::engine::state::timers::TimerKey;
use crate::emulator::engine::volatile::{Placement, Volatile};
use crate::model::{InstanceId, Timestamp};
use std::ops::Deref;
use std::time::Duration;

/// The state of a hub, and the records that its store has not got yet.
#[derive(Debug, Default)]
pub(crate) struct RecordedState {
    state: HubState,
    records: Vec<Record>,
}

impl Deref for RecordedState {
    type Target = HubState;

    fn deref(&self) -> &HubState {
        &self.state
    }
}

impl RecordedState {
    /// Makes a change, and keeps its record.
    pub(super) fn put(&mut self, record: Record) {
        self.state.apply(&record);
        self.records.push(record);
    }

    /// Makes a change again that was recorded in another life of the hub.
    pub(super) fn replay(&mut self, record: &Record) {
        self.state.apply(record);
    }

    /// Lets the entities take a step, and keeps the records of what they changed. The decision is what else came of it.
    pub(super) fn step_entities<T>(
        &mut self,
        step: impl FnOnce(&mut Entities, &mut Decision) -> T,
    ) -> (T, Decision) {
        let (result, mut decision) = self.state.entity_step(step);
        self.records.extend(std::mem::take(&mut decision.changes).into_iter().map(Record::Entity));
        (result, decision)
    }

    /// The records that were made and not taken yet.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Puts back what [`RecordedState::take_records`] took, before what was recorded since.
    pub(super) fn put_back(&mut self, records: Vec<Record>) {
        let since = std::mem::replace(&mut self.records, records);
        self.records.extend(since);
    }
}

/// What is not durable in the state: delivery notes it, and a hub that loads its records begins without it.
impl RecordedState {
    pub(crate) fn slot_mut(&mut self, id: &InstanceId) -> Option<(&Instance, &mut Volatile)> {
        self.state.slot_mut(id)
    }

    pub(crate) fn volatile_mut(&mut self, id: &InstanceId) -> Option<&mut Volatile> {
        self.state.volatile_mut(id)
    }

    pub(crate) fn activity_mut(&mut self, id: &InstanceId, task: i32) -> Option<&mut Placement> {
        self.state.activity_mut(id, task)
    }

    pub(crate) fn activities_mut(&mut self, id: &InstanceId) -> Option<Placements<'_>> {
        self.state.activities_mut(id)
    }

    pub(crate) fn take_dropped(&mut self) -> Option<Placement> {
        self.state.take_dropped()
    }

    pub(crate) fn hand_out_batch(&mut self, id: &InstanceId, at_most: usize) -> Option<Batch> {
        self.state.hand_out_batch(id, at_most)
    }

    pub(crate) fn give_back_batch(&mut self, id: &InstanceId, number: u64) -> bool {
        self.state.give_back_batch(id, number)
    }

    pub(crate) fn lose_batch(&mut self, id: &InstanceId, number: u64) -> bool {
        self.state.lose_batch(id, number)
    }

    pub(crate) fn wake_entities(&mut self) -> Vec<InstanceId> {
        self.state.wake_entities()
    }

    pub(crate) fn take_due(&mut self, now: Timestamp, lag: Duration) -> Option<TimerKey> {
        self.state.take_due(now, lag)
    }
}
