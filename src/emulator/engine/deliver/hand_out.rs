//! Hands ready work to streams.

use super::lease::Held;
use super::turn::{activity_item, batch_item};
use super::worklist::{Class, WaitingWork, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Effect, StreamId, WorkKind};
use crate::emulator::engine::decide::too_large::Excess;
use crate::emulator::engine::volatile::{ClassId, LeaseId, Stage};
use crate::model::{InstanceId, Timestamp};
use bytes::Bytes;

impl Engine {
    /// Hands out what is ready, one piece of each class in turn, until no stream takes more.
    pub(crate) fn hand_out(&mut self, now: Timestamp) {
        self.match_up();
        while let Some(class) = self.streams.matching.next_class() {
            let named = self.work.named(class).clone();
            if !self.hand_one(class, &named, now) {
                break;
            }
            if !self.work.has(class) {
                self.streams.matching.delist(class, &named);
            }
        }
    }

    /// Hands out one piece of a class, or drops one that is out of date. `false` where no stream takes it: then it should
    /// not have been next.
    fn hand_one(&mut self, class: ClassId, named: &Class, now: Timestamp) -> bool {
        let Some(first) = self.work.first(class) else { return true };
        if !self.is_ready(&first.work, class) {
            if let Some(stale) = self.work.take(class) {
                self.suspects.clear(&stale.work);
            }
            return true;
        }
        let keeper = match &first.work {
            Work::Turn(id) => self.decider.state.slot(id).and_then(|(_, volatile)| volatile.kept_by),
            Work::Activity(..) | Work::Batch(_) => None,
        };
        if let Work::Turn(id) = &first.work
            && self.is_long(id)
        {
            let id = id.clone();
            return self.hand_long(class, &id, keeper, now);
        }
        let avoid = first.avoid;
        let Some(stream) = self.streams.pick(class, named, keeper, avoid) else { return false };
        let Some(WaitingWork { work, .. }) = self.work.take(class) else { return false };
        self.hand(stream, &work, named.kind, now);
        true
    }

    /// Hands a piece of work to a stream; its lease, if it was still there to be handed out.
    pub(crate) fn hand(
        &mut self,
        stream: StreamId,
        work: &Work,
        kind: WorkKind,
        now: Timestamp,
    ) -> Option<LeaseId> {
        if let Some(orphan) = self.orphans.remove(work) {
            self.leases.supersede(orphan);
        }
        let (lease, item) = match work {
            Work::Turn(id) => self.turn_for(stream, id, now),
            Work::Activity(id, task) => self.activity_for(stream, id, *task, now),
            Work::Batch(id) => self.batch_for(stream, id, now),
        }?;
        self.set_stage(work, Stage::Ready, Stage::Out(lease));
        if self.streams.hand(stream, kind, lease, item.len()) {
            self.fell_behind(stream, now);
        }
        self.note_handed_out(stream, lease, item.len(), now);
        self.effects.push(Effect::Deliver { stream, item });
        Some(lease)
    }

    fn activity_for(
        &mut self,
        stream: StreamId,
        id: &InstanceId,
        task: i32,
        now: Timestamp,
    ) -> Option<(LeaseId, Bytes)> {
        let (number, token) = self.leases.next();
        let instance = self.decider.state.instance(id)?;
        let item = activity_item(instance.activity(task)?.request(), &token);
        if item.len() > self.config.item_bytes {
            let excess = self.excess(item.len());
            self.suspects.clear(&Work::Activity(id.clone(), task));
            self.decider.activity_too_large(id, task, excess, now);
            self.follow(now);
            return None;
        }
        let execution = instance.execution().clone();
        self.leases.give(stream, Held::Activity { id: id.clone(), execution, task }, now);
        Some((number, item))
    }

    fn batch_for(&mut self, stream: StreamId, id: &InstanceId, now: Timestamp) -> Option<(LeaseId, Bytes)> {
        let (lease, token) = self.leases.next();
        // One operation at a time of an entity under suspicion: so the one is found that kills its workers.
        let alone = !self.suspects.are_none() && self.suspects.are_with(&Work::Batch(id.clone()));
        let batch = self.decider.state.hand_out_batch(id, if alone { 1 } else { self.config.batch })?;
        let item = batch_item(&batch.request, &token);
        if item.len() > self.config.item_bytes {
            let excess = self.excess(item.len());
            let completion = self.decider.batch_too_large(id, batch.number, excess, now);
            self.after_batch(id, completion, None, now);
            return None;
        }
        self.leases.give(stream, Held::Batch { id: id.clone(), number: batch.number }, now);
        Some((lease, item))
    }

    fn excess(&self, bytes: usize) -> Excess {
        Excess { bytes, limit: self.config.item_bytes }
    }
}
