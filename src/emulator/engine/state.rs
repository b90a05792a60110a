//! Keeps what is durable of a hub, and reads it for others.
//!
//! Every field below is private to this module, and only `apply` writes them: a file of another room that writes one
//! does not compile. The entities are a machine of their own, in which [`HubState::entity_step`] lets a decision take its
//! steps: each applies its changes with the function that a rebuild uses, and lists them.
//!
//! What is not durable is in each slot beside its instance (`volatile`), and is delivery's to write.

mod apply;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod instance;
pub(crate) mod phase;
mod size;
pub(crate) mod timers;

use crate::emulator::engine::entity::{Batch, Decision, Entities};
use crate::emulator::engine::volatile::{Placement, Volatile};
use crate::model::{InstanceId, Status, Timestamp};
use index::Index;
use instance::{Instance, Placements};
use std::time::Duration;
use timers::{TimerKey, Timers};

/// What is durable of a hub. It is what its records made of it.
#[derive(Debug, Default)]
pub(crate) struct HubState {
    instances: Instances,
    entities: Entities,
    /// When timers and late starts are due: read off the instances.
    timers: Timers,
    index: Index,
    /// About how many bytes the instances take (`size`).
    bytes: usize,
    /// The places of work that is gone, until delivery takes them.
    dropped: Vec<Placement>,
}

#[derive(Debug)]
struct InstanceSlot {
    instance: Instance,
    volatile: Volatile,
}

#[expect(clippy::disallowed_types, reason = "looked up by id; whatever lists instances asks the index")]
type Instances = std::collections::HashMap<InstanceId, InstanceSlot>;

impl HubState {
    pub(crate) fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id).map(|slot| &slot.instance)
    }

    /// An instance that has not ended.
    pub(crate) fn living(&self, id: &InstanceId) -> Option<&Instance> {
        self.instance(id).filter(|instance| !instance.has_ended())
    }

    /// An instance, and what delivery notes of it.
    pub(crate) fn slot(&self, id: &InstanceId) -> Option<(&Instance, &Volatile)> {
        self.instances.get(id).map(|slot| (&slot.instance, &slot.volatile))
    }

    /// The same, for delivery to write what it notes.
    pub(crate) fn slot_mut(&mut self, id: &InstanceId) -> Option<(&Instance, &mut Volatile)> {
        self.instances.get_mut(id).map(|slot| (&slot.instance, &mut slot.volatile))
    }

    pub(crate) fn volatile_mut(&mut self, id: &InstanceId) -> Option<&mut Volatile> {
        self.slot_mut(id).map(|(_, volatile)| volatile)
    }

    /// The place of an activity that is scheduled and not done.
    pub(crate) fn activity_mut(&mut self, id: &InstanceId, task: i32) -> Option<&mut Placement> {
        self.instances.get_mut(id)?.instance.place_mut(task)
    }

    /// The places of all those activities, for one look-up of their instance.
    pub(crate) fn activities_mut(&mut self, id: &InstanceId) -> Option<Placements<'_>> {
        self.instances.get_mut(id).map(|slot| slot.instance.places_mut())
    }

    /// Whether places of work that is gone are to be taken.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// A place of work that is gone.
    pub(crate) fn take_dropped(&mut self) -> Option<Placement> {
        self.dropped.pop()
    }

    /// The id of every instance, in their order.
    pub(crate) fn ids(&self) -> Vec<InstanceId> {
        let mut ids: Vec<_> = self.instances.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// The status of an instance, if it exists.
    pub(crate) fn status_of(&self, id: &InstanceId) -> Option<Status> {
        self.instance(id).map(Instance::status)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// Lets the entities take a step. Whatever is durable of it is among the decision's changes, applied already.
    pub(crate) fn entity_step<T>(
        &mut self,
        step: impl FnOnce(&mut Entities, &mut Decision) -> T,
    ) -> (T, Decision) {
        let mut decision = Decision::default();
        let result = step(&mut self.entities, &mut decision);
        (result, decision)
    }

    /// Hands out the next batch of an entity that is ready.
    pub(crate) fn hand_out_batch(&mut self, id: &InstanceId, at_most: usize) -> Option<Batch> {
        self.entities.hand_out(id, at_most)
    }

    /// Takes a batch back unrun. Whether the entity is to be offered again.
    pub(crate) fn give_back_batch(&mut self, id: &InstanceId, number: u64) -> bool {
        self.entities.give_back(id, number)
    }

    /// Takes a batch back whose worker is gone. Whether the entity is to be offered again.
    pub(crate) fn lose_batch(&mut self, id: &InstanceId, number: u64) -> bool {
        self.entities.lose(id, number)
    }

    /// After a rebuild: every entity with something to run, each to be handed out once.
    pub(crate) fn wake_entities(&mut self) -> Vec<InstanceId> {
        self.entities.wake()
    }

    pub(crate) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// When the earliest timer is due: `lag` after its moment.
    pub(crate) fn next_timer(&self, lag: Duration) -> Option<Timestamp> {
        self.timers.next_due(lag)
    }

    /// Takes the earliest timer that is due at `now` off the schedule. It stays with its instance until a record says
    /// that it has fired.
    pub(crate) fn take_due(&mut self, now: Timestamp, lag: Duration) -> Option<TimerKey> {
        self.timers.take_due(now, lag)
    }
}
