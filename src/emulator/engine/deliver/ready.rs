//! Readies work for the worklist, and knows where each piece of it is.

use super::worklist::{WaitingWork, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::WorkKind;
use crate::emulator::engine::volatile::{ClassId, Stage};
use crate::model::{InstanceId, Timestamp};
use crate::wire;
use prost::Message as _;

impl Engine {
    /// Puts an instance into the worklist if a turn of it could be handed out and none is under way.
    pub(crate) fn ready_turn(&mut self, id: &InstanceId, now: Timestamp) {
        let Some((instance, volatile)) = self.decider.state.slot_mut(id) else { return };
        if volatile.turn.stage == Stage::Idle && instance.wants_turn(now) {
            let waiting =
                WaitingWork { work: Work::Turn(id.clone()), class: volatile.turn.class, avoid: None };
            let gathered = volatile.pace.is_gathering();
            match instance.not_before().filter(|at| *at > now) {
                None => {
                    volatile.turn.stage = Stage::Ready;
                    self.work.push(waiting);
                }
                Some(at) => {
                    volatile.turn.stage = Stage::Resting;
                    self.work.put_off(at, waiting);
                }
            }
            if gathered {
                self.end_gathering(id);
            }
        }
    }

    /// Offers the batch of an entity.
    pub(crate) fn ready_batch(&mut self, id: &InstanceId) {
        let class = self.batch_class(id);
        let waiting = WaitingWork { work: Work::Batch(id.clone()), class, avoid: None };
        if self.suspects.are_with(&waiting.work) {
            self.suspects.waiting.push_back(waiting);
        } else {
            self.work.push(waiting);
        }
    }

    /// Offers work before what was not out yet, or alone where it is under suspicion.
    pub(crate) fn offer_first(&mut self, waiting: WaitingWork) {
        if self.suspects.are_with(&waiting.work) {
            self.suspects.waiting.push_back(waiting);
        } else {
            self.work.push_front(waiting);
        }
    }

    /// After a rebuild: all that is scheduled and not done is ready again.
    pub(crate) fn make_ready(&mut self, now: Timestamp) {
        for id in self.decider.state.ids() {
            self.classify(&id);
            self.ready_turn(&id, now);
            self.await_worker_again(&id, now);
            let Some(instance) = self.decider.state.instance(&id) else { continue };
            let orchestration = instance.started().version.clone();
            let scheduled = instance.activities().map(|(task, activity)| (task, activity.request().clone()));
            let scheduled: Vec<_> = scheduled.collect();
            for (task, request) in scheduled {
                // What the engine encoded can be decoded.
                let request = wire::ActivityRequest::decode(request).unwrap_or_default();
                let version = request.version.as_ref().or(orchestration.as_ref());
                if let Some(place) = self.decider.state.activity_mut(&id, task) {
                    self.work.ready_activity(&id, task, place, &request.name, version.map(String::as_str));
                }
            }
        }
        for id in self.decider.state.wake_entities() {
            self.ready_batch(&id);
        }
    }

    /// Finds the class of an instance's turns, which depends on what its execution began with.
    pub(crate) fn classify(&mut self, id: &InstanceId) {
        let Some((instance, volatile)) = self.decider.state.slot_mut(id) else { return };
        let started = instance.started();
        let class = self.work.class(WorkKind::Turn, &started.name, started.version.as_deref());
        let before = volatile.turn.class;
        if class != before {
            volatile.turn.class = class;
            self.work.retain(class);
            self.work.release(before, volatile.turn.stage);
        }
    }

    pub(crate) fn batch_class(&mut self, id: &InstanceId) -> ClassId {
        let name = id.entity_name().unwrap_or_default().to_ascii_lowercase();
        self.work.class(WorkKind::Batch, &name, None)
    }

    /// The class of work as it is now.
    pub(crate) fn class_of(&mut self, work: &Work) -> Option<ClassId> {
        match work {
            Work::Turn(id) => self.decider.state.slot(id).map(|(_, volatile)| volatile.turn.class),
            Work::Activity(id, task) => {
                self.decider.state.instance(id)?.activity(*task).map(|activity| activity.place().class)
            }
            Work::Batch(id) => Some(self.batch_class(id)),
        }
    }

    /// Whether an entry of the worklist still stands: its instance may be gone, its activity done.
    pub(crate) fn is_ready(&self, work: &Work, class: ClassId) -> bool {
        match work {
            Work::Turn(id) => {
                let turn = self.decider.state.slot(id).map(|(_, volatile)| &volatile.turn);
                turn.is_some_and(|turn| turn.stage == Stage::Ready && turn.class == class)
            }
            Work::Activity(id, task) => {
                let instance = self.decider.state.instance(id);
                let activity = instance
                    .and_then(|i| i.activity(*task))
                    .map(super::super::state::instance::PendingActivity::place);
                activity.is_some_and(|a| a.stage == Stage::Ready && a.class == class)
            }
            Work::Batch(id) => self.decider.state.entities().is_ready(id),
        }
    }

    /// Moves work from one stage to another; whether it was in that stage.
    pub(crate) fn set_stage(&mut self, work: &Work, from: Stage, to: Stage) -> bool {
        let state = &mut self.decider.state;
        let place = match work {
            Work::Turn(id) => state.volatile_mut(id).map(|volatile| &mut volatile.turn),
            Work::Activity(id, task) => state.activity_mut(id, *task),
            Work::Batch(id) => return state.entities().is_ready(id),
        };
        match place {
            Some(place) if place.stage == from => {
                place.stage = to;
                true
            }
            Some(_) | None => false,
        }
    }
}
