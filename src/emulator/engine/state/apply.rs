//! Makes the change that a record names: the only writer of what is durable.

use super::instance::{Arrived, Child, GENERATION, Instance, PendingActivity, execution_of};
use super::phase::PhaseInput;
use super::size::ENTRY;
use super::timers::TimerKey;
use super::{HubState, InstanceSlot};
use super::{history, history::EncodedHistory};
use crate::emulator::engine::record::{Commit, Continued, Record, Rewound, Scheduled, Settles};
use crate::emulator::engine::volatile::{Placement, Volatile};
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire;
use bytes::Bytes;

impl HubState {
    /// Makes a change. Total: what was decided can be applied.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Created { id, at, started, start_at } => self.created(id, *at, started, *start_at),
            Record::Arrived { id, settles, kind, event } => self.arrived(id, *settles, *kind, event),
            Record::Committed { id, commit } => self.committed(id, commit),
            Record::Continued { id, next } => self.continued(id, next),
            Record::Paused { id, at, suspended } => {
                let Some(instance) = self.instance_mut(id) else { return };
                instance.enter(PhaseInput::Paused { suspended: *suspended });
                instance.updated = *at;
                self.reindex(id);
            }
            Record::RewindBegan { id, at, event } => {
                let Some(instance) = self.instance_mut(id) else { return };
                if instance.has_ended() {
                    instance.enter(PhaseInput::RewindBegan { event: event.clone() });
                    instance.updated = *at;
                }
                self.reindex(id);
            }
            Record::Rewound { id, rewound } => self.rewound(id, rewound),
            Record::RewindRefused { id, at } => {
                let Some(instance) = self.instance_mut(id) else { return };
                if instance.rewinding().is_some() {
                    instance.enter(PhaseInput::RewindRefused);
                    instance.drop_inbox();
                    instance.updated = *at;
                }
                self.recount(id);
                self.reindex(id);
            }
            Record::Late { id, kind, event } => {
                let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
                let arrived = Arrived { kind: *kind, event: event.clone() };
                instance.bytes += arrived.bytes();
                self.bytes += arrived.bytes();
                instance.late.push(arrived);
            }
            Record::Removed { id } => {
                self.forget_timers(id);
                if let Some(removed) = self.instances.remove(id) {
                    self.drop_slot(removed);
                }
                self.shrink();
                self.reindex(id);
            }
            Record::Entity(changed) => self.entities.apply(changed),
        }
    }

    fn instance_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        self.instances.get_mut(id).map(|slot| &mut slot.instance)
    }

    fn created(
        &mut self,
        id: &InstanceId,
        at: Timestamp,
        started: &wire::ExecutionStartedEvent,
        start_at: Option<Timestamp>,
    ) {
        self.forget_timers(id);
        let event = history::encode(&event::execution_started(at, started.clone()));
        let mut instance = Instance::created(Box::new(started.clone()), event, start_at, at);
        if let Some(before) = self.instance(id) {
            // Its GUIDs are made of its id and its clock, and are to be no others'.
            instance.clock = at.max(before.clock.plus(GENERATION));
        }
        if let Some(at) = start_at {
            self.timers.set(at, TimerKey::Start { id: id.clone(), execution: instance.execution.clone() });
        }
        if let Some(replaced) =
            self.instances.insert(id.clone(), InstanceSlot { instance, volatile: Volatile::new(at) })
        {
            self.drop_slot(replaced);
        }
        self.recount(id);
        self.reindex(id);
    }

    fn arrived(&mut self, id: &InstanceId, settles: Settles, kind: Kind, event: &Bytes) {
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        match settles {
            Settles::Nothing => {}
            Settles::Activity(task) => {
                if let Some(done) = instance.activities.remove(&task) {
                    instance.bytes -= done.bytes();
                    self.bytes -= done.bytes();
                    self.dropped.push(done.place);
                }
            }
            Settles::Timer(timer) => {
                if let Some(fire_at) = instance.timers.remove(&timer) {
                    self.timers.clear(&fire_at, id, &instance.execution, timer);
                }
            }
            Settles::Child(task) => drop(instance.children.remove(&task)),
        }
        let arrived = Arrived { kind, event: event.clone() };
        instance.bytes += arrived.bytes();
        self.bytes += arrived.bytes();
        instance.inbox.push_back(arrived);
    }

    fn committed(&mut self, id: &InstanceId, commit: &Commit) {
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        instance.history.push(&history::encode(&event::orchestrator_started(commit.turn_at)));
        for arrived in instance.inbox.drain(..commit.consumed.min(instance.inbox.len())) {
            instance.history.push(&arrived.event);
        }
        // What was consumed has been counted in the inbox, and takes no more in the history.
        let mut more = ENTRY;
        for event in &commit.events {
            more += event.len() + ENTRY;
            instance.history.push(event);
        }
        instance.bytes += more;
        self.bytes += more;
        instance.clock = commit.turn_at;
        instance.updated = commit.at;
        instance.custom_status.clone_from(&commit.custom_status);
        instance.trace.clone_from(&commit.trace);
        let suspended = commit.suspended;
        if commit.end.is_none() {
            instance.enter(PhaseInput::Committed { suspended });
        }
        self.schedule(id, &commit.scheduled);
        if let Some(end) = &commit.end {
            self.forget_timers(id);
            let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
            instance.enter(PhaseInput::Ended { end: end.clone(), suspended });
            instance.drop_inbox();
            drop_activities(instance, &mut self.dropped);
            instance.children.clear();
            instance.history.shrink();
            self.recount(id);
        }
        self.reindex(id);
    }

    fn schedule(&mut self, id: &InstanceId, scheduled: &[Scheduled]) {
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        for scheduled in scheduled {
            match scheduled {
                // Its name and version are in the request, too: delivery finds its class from them.
                Scheduled::Activity { task, request, .. } => {
                    let activity = PendingActivity { request: request.clone(), place: Placement::default() };
                    instance.bytes += activity.bytes();
                    self.bytes += activity.bytes();
                    // A worker may use the id of an activity that is not done: the later one counts.
                    if let Some(earlier) = instance.activities.insert(*task, activity) {
                        instance.bytes -= earlier.bytes();
                        self.bytes -= earlier.bytes();
                        self.dropped.push(earlier.place);
                    }
                }
                Scheduled::Timer { timer, fire_at } => {
                    // A worker may use the id of a timer that is still set: the later one counts.
                    if let Some(earlier) = instance.timers.insert(*timer, *fire_at) {
                        self.timers.clear(&earlier, id, &instance.execution, *timer);
                    }
                    self.timers.set(
                        Timestamp::from_wire(fire_at),
                        TimerKey::Timer {
                            id: id.clone(),
                            execution: instance.execution.clone(),
                            timer: *timer,
                        },
                    );
                }
                Scheduled::Child { task, id, execution } => {
                    let child = Child { id: id.clone(), execution: execution.clone() };
                    instance.children.insert(*task, child);
                    if instance.offspring.last() != Some(id) {
                        instance.offspring.push(id.clone());
                    }
                }
            }
        }
    }

    fn continued(&mut self, id: &InstanceId, next: &Continued) {
        self.forget_timers(id);
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        let started = history::encode(&event::execution_started(next.at, (*next.started).clone()));
        instance.execution = execution_of(&next.started);
        instance.started.clone_from(&next.started);
        instance.history = EncodedHistory::default();
        instance.inbox = std::iter::once(Arrived { kind: Kind::ExecutionStarted, event: started })
            .chain(next.inbox.iter().cloned())
            .collect();
        drop_activities(instance, &mut self.dropped);
        instance.children.clear();
        instance.offspring.clear();
        instance.rewound_from.clear();
        instance.late.clear();
        instance.trace = None;
        instance.enter(PhaseInput::Continued { suspended: next.suspended });
        instance.custom_status.clone_from(&next.custom_status);
        instance.start_at = None;
        instance.clock = next.turn_at.plus(GENERATION);
        instance.updated = next.at;
        self.tie_to_parent(id);
        self.recount(id);
        self.reindex(id);
    }

    fn rewound(&mut self, id: &InstanceId, rewound: &Rewound) {
        self.forget_timers(id);
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        instance.history = EncodedHistory::default();
        for event in &rewound.history {
            instance.history.push(event);
        }
        let earlier = std::mem::replace(&mut instance.execution, execution_of(&rewound.started));
        instance.rewound_from.push(earlier);
        instance.inbox.extend(std::mem::take(&mut instance.late));
        instance.started.clone_from(&rewound.started);
        // Its parent stays the one that it is tied to: that one may have been rewound since the history began.
        instance.enter(PhaseInput::Rewound { rewritten: rewound.nudged });
        drop_activities(instance, &mut self.dropped);
        instance.children.clear();
        instance.offspring.clone_from(&rewound.offspring);
        instance.clock = rewound.turn_at;
        instance.updated = rewound.at;
        instance.custom_status = None;
        self.schedule(id, &rewound.scheduled);
        self.tie_to_children(id, &rewound.scheduled);
        self.tie_to_parent(id);
        self.recount(id);
        self.reindex(id);
    }

    /// Children that still run, and that a rewound parent waits for, are of the execution that it has now.
    fn tie_to_children(&mut self, id: &InstanceId, scheduled: &[Scheduled]) {
        let Some(execution) = self.instance(id).map(|instance| instance.execution.clone()) else { return };
        for scheduled in scheduled {
            let Scheduled::Child { task, id: child, .. } = scheduled else { continue };
            let Some(child) = self.instance_mut(child) else { continue };
            if let Some(of) = child.parent.as_mut().filter(|of| of.id == *id && of.task == *task) {
                of.execution = execution.clone();
            }
        }
    }

    /// A child has begun another execution, by a rewind or by continue-as-new: its parent waits for that one's end.
    fn tie_to_parent(&mut self, id: &InstanceId) {
        let Some(instance) = self.instance(id) else { return };
        let (execution, parent) = (instance.execution.clone(), instance.parent.clone());
        let Some(parent) = parent else { return };
        let waiting = self.instance_mut(&parent.id).filter(|p| p.execution == parent.execution);
        let known = waiting.and_then(|waiting| waiting.children.get_mut(&parent.task));
        if let Some(known) = known.filter(|known| known.id == *id) {
            known.execution = execution;
        }
    }

    /// Takes away every timer of an instance: its execution is over.
    fn forget_timers(&mut self, id: &InstanceId) {
        let Some(InstanceSlot { instance, .. }) = self.instances.get_mut(id) else { return };
        for (timer, fire_at) in std::mem::take(&mut instance.timers) {
            self.timers.clear(&fire_at, id, &instance.execution, timer);
        }
        if let Some(at) = instance.start_at {
            self.timers.clear_start(at, id, &instance.execution);
        }
    }

    /// An instance is gone, and with it its places in delivery.
    fn drop_slot(&mut self, mut gone: InstanceSlot) {
        self.bytes -= gone.instance.bytes;
        drop_activities(&mut gone.instance, &mut self.dropped);
        self.dropped.push(gone.volatile.turn);
    }

    /// Puts an instance where it belongs now in the lists.
    fn reindex(&mut self, id: &InstanceId) {
        match self.instances.get(id) {
            Some(InstanceSlot { instance, .. }) => {
                let ended = instance.end().map(|end| end.at);
                let entry =
                    super::index::Entry { status: instance.status(), created: instance.created, ended };
                self.index.upsert(id, entry);
            }
            None => {
                self.index.remove(id);
            }
        }
    }
}

impl Instance {
    fn enter(&mut self, input: PhaseInput) {
        self.phase = std::mem::take(&mut self.phase).after(input);
    }
}

fn drop_activities(of: &mut Instance, dropped: &mut Vec<Placement>) {
    dropped.extend(std::mem::take(&mut of.activities).into_values().map(|activity| activity.place));
}
