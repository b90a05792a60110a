//! Decides what a command means: reads the state, and says what is to be recorded and what is refused.
//!
//! A decision changes what is durable through [`Decider::put`] alone, and knows nothing of workers and waiters: what a
//! record means for them is found out from the record (`deliver/follow`).

mod actions;
mod activity;
mod child;
mod continue_as_new;
mod end;
mod entities;
mod ids;
pub(in crate::emulator) mod limit;
mod lost;
pub(crate) mod malformed;
pub(crate) mod open_turn;
mod outbox;
mod purge;
mod query;
mod recorded;
mod repeat;
mod restart;
mod rewind;
mod signal;
mod start;
pub(crate) mod terminate;
mod timers;
pub(crate) mod too_large;
mod turn;

use super::notice::Notices;
use super::record::Record;
use crate::model::InstanceId;
use ids::Ids;
use limit::Limit;
use outbox::Outgoing;
use recorded::RecordedState;
use repeat::Requests;
use std::collections::VecDeque;

/// The state of a hub, and what decisions about it have left to do.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) state: RecordedState,
    pub(crate) notices: Notices,
    ids: Ids,
    limit: Limit,
    requests: Requests,
    /// What instances send each other, to be carried.
    outbox: VecDeque<Outgoing>,
    /// Entities of which a batch can be run now.
    ready: VecDeque<InstanceId>,
    /// Entities whose batch waited to be handed out and is not wanted any more.
    unwanted: VecDeque<InstanceId>,
}

impl Decider {
    pub(crate) fn new(seed: u128, max_payload: Option<usize>) -> Self {
        Self {
            state: RecordedState::default(),
            notices: Notices::default(),
            ids: Ids::new(seed),
            limit: Limit(max_payload),
            requests: Requests::default(),
            outbox: VecDeque::new(),
            ready: VecDeque::new(),
            unwanted: VecDeque::new(),
        }
    }

    /// What tells this hub's completion tokens from those of another life of it.
    pub(crate) fn life(&self) -> String {
        self.ids.life()
    }

    /// Makes a change, and keeps its record.
    fn put(&mut self, record: Record) {
        self.state.put(record);
    }

    /// Makes changes again that were recorded in another life of the hub.
    pub(crate) fn replay(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.state.replay(&record);
            // Nothing has a place in delivery yet.
            while self.state.take_dropped().is_some() {}
        }
    }

    /// Whether delivery has followed everything that was decided, where it has followed so many records.
    pub(crate) fn is_followed(&self, records: usize) -> bool {
        self.state.records().len() == records
            && self.ready.is_empty()
            && self.unwanted.is_empty()
            && !self.state.has_dropped()
    }

    /// The records that were made and not taken yet.
    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        self.state.take_records()
    }

    /// Puts back what [`Decider::take_records`] took, before what was recorded since.
    pub(crate) fn put_back(&mut self, records: Vec<Record>) {
        self.state.put_back(records);
    }

    /// An entity of which a batch can be run now; it is to be handed out once.
    pub(crate) fn take_ready(&mut self) -> Option<InstanceId> {
        self.ready.pop_front()
    }

    /// An entity whose batch waited and is not wanted any more.
    pub(crate) fn take_unwanted(&mut self) -> Option<InstanceId> {
        self.unwanted.pop_front()
    }
}
