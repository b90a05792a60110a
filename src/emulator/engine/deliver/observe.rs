//! Makes notices of what happens, as far as they are listened to.

use super::lease::Held;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{StreamId, WorkKind};
use crate::emulator::engine::notice::{Item, Listening, Notice, Warning};
use crate::emulator::engine::volatile::LeaseId;
use crate::model::{InstanceId, Timestamp};
use std::time::Duration;

/// How soon after a work item a stream must end for the item to be suspected.
const RIGHT_AFTER: Duration = Duration::from_secs(1);

impl Engine {
    /// Says how much of what happens from now on is to be made into notices.
    pub fn listen(&mut self, listening: Listening) {
        self.decider.notices.listen(listening);
        if listening < Listening::Warnings {
            self.unclaimed.forget();
            self.last_sent.clear();
        }
    }

    /// What has happened since this was last asked.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.decider.notices.take()
    }

    /// Tells of a work item that goes out, and remembers it until its stream has outlived it a little.
    pub(crate) fn note_handed_out(&mut self, stream: StreamId, lease: LeaseId, bytes: usize, now: Timestamp) {
        if !self.decider.notices.are_for(Listening::Warnings) {
            return;
        }
        // Of several that went out together, the longest is the most likely to have broken the stream.
        let longer = self.last_sent.get(&stream).is_some_and(|last| {
            last.bytes > bytes && now.since(last.at) < RIGHT_AFTER && self.leases.is_live(last.lease)
        });
        if !longer {
            self.last_sent.insert(stream, Sent { lease, bytes, at: now });
        }
        if self.decider.notices.are_for(Listening::Work)
            && let Some(item) = self.item(lease)
        {
            self.decider.notices.note(Listening::Work, || Notice::HandedOut { item, bytes });
        }
    }

    /// Tells of a work item whose answer has come; before its lease is used up.
    pub(crate) fn note_answered(&mut self, lease: LeaseId) {
        if self.decider.notices.are_for(Listening::Work)
            && let Some(item) = self.item(lease)
        {
            self.decider.notices.note(Listening::Work, || Notice::Answered { item });
        }
    }

    /// The item of a lease that is about to be given back, where the log may be told of it.
    pub(crate) fn item_to_note(&self, lease: LeaseId) -> Option<Item> {
        if self.decider.notices.are_for(Listening::Warnings) { self.item(lease) } else { None }
    }

    /// Tells of a stream that ended soon after it was given something; before its work is offered to others.
    pub(crate) fn note_broken(&mut self, stream: StreamId, worker: Option<&str>, now: Timestamp) {
        let Some(sent) = self.last_sent.remove(&stream) else { return };
        let after = now.since(sent.at);
        if after < RIGHT_AFTER
            && let Some(mut item) = self.item(sent.lease)
        {
            // The stream is not among those that are connected any more.
            item.worker = worker.map(str::to_owned);
            self.decider.notices.warn(|| Warning::Broke { item, bytes: sent.bytes, after });
        }
    }

    /// Tells of a turn of a rewind whose answer has no new history. Its lease is used up by now; its stream is the one
    /// that keeps the orchestration.
    pub(crate) fn note_not_rewound(&mut self, id: &InstanceId) {
        if !self.decider.notices.are_for(Listening::Warnings) {
            return;
        }
        let Some((instance, volatile)) = self.decider.state.slot(id) else { return };
        let stream = volatile.kept_by;
        let item = Item {
            kind: WorkKind::Turn,
            id: id.clone(),
            name: instance.started().name.clone(),
            task: None,
            stream,
            worker: stream.and_then(|s| self.streams.get(s)).and_then(|s| s.offer.worker.clone()),
        };
        self.decider.notices.warn(|| Warning::NotRewound { item });
    }

    /// What a lease is about.
    fn item(&self, lease: LeaseId) -> Option<Item> {
        let lease = self.leases.get(lease)?;
        let (kind, id, task) = match &lease.held {
            Held::Turn(turn, _) => (WorkKind::Turn, &turn.id, None),
            Held::Activity { id, task, .. } => (WorkKind::Activity, id, Some(*task)),
            Held::Batch { id, .. } => (WorkKind::Batch, id, None),
        };
        let slot = self.decider.state.slot(id);
        let place = match task {
            None => slot.map(|(_, volatile)| &volatile.turn),
            Some(task) => slot
                .and_then(|(i, _)| i.activity(task))
                .map(super::super::state::instance::PendingActivity::place),
        };
        let name = match kind {
            WorkKind::Batch => id.entity_name().unwrap_or_default().to_owned(),
            WorkKind::Turn | WorkKind::Activity => {
                place.map(|place| self.work.named(place.class).name.to_string()).unwrap_or_default()
            }
        };
        let stream = lease.stream;
        let worker = stream.and_then(|stream| self.streams.get(stream)).and_then(|s| s.offer.worker.clone());
        Some(Item { kind, id: id.clone(), name, task, stream, worker })
    }
}

/// The work item that a stream was given last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    lease: LeaseId,
    bytes: usize,
    at: Timestamp,
}
