//! Names every durable change of a hub, and makes it.
//!
//! Whoever decides makes a record, and the record makes the change: once now, and again when a hub is rebuilt from
//! its store. Nothing durable changes in any other way.

mod decode;
mod encode;
mod read;
#[cfg(test)]
mod tests;
mod write;

use super::Engine;
use super::command::WorkKind;
use super::entity::Changed;
use super::state::history::{self, History};
use super::state::instance::{
    Activity, Arrived, Child, End, GENERATION, Instance, Rewinding, Stage, execution_of,
};
use super::state::size::ENTRY;
use super::state::timers::TimerKey;
use crate::model::{ExecutionId, InstanceId, Kind, Status, Timestamp, event};
use crate::wire;
use bytes::Bytes;

/// One durable change.
#[expect(
    clippy::large_enum_variant,
    reason = "the large ones are the frequent ones, and a batch is short-lived"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An instance is created, in place of another one of its id if there was one.
    Created {
        /// Its id.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// What it begins with.
        started: Box<wire::ExecutionStartedEvent>,
        /// When its first turn may be handed out; `None` for at once.
        start_at: Option<Timestamp>,
    },
    /// An event arrives in an inbox.
    Arrived {
        /// Whose.
        id: InstanceId,
        /// What is no longer pending because of it.
        settles: Settles,
        /// The event's kind.
        kind: Kind,
        /// The event, encoded.
        event: Bytes,
    },
    /// A turn is committed.
    Committed {
        /// Whose.
        id: InstanceId,
        /// What it came to.
        commit: Box<Commit>,
    },
    /// A turn is committed that begins the next execution (continue-as-new).
    Continued {
        /// Whose.
        id: InstanceId,
        /// What the next execution begins with.
        next: Box<Continued>,
    },
    /// An instance is suspended, or runs again, though no worker was told yet.
    Paused {
        /// Which.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// Whether it is suspended now.
        suspended: bool,
    },
    /// A rewind begins: the instance has left FAILED.
    RewindBegan {
        /// Whose.
        id: InstanceId,
        /// When.
        at: Timestamp,
        /// The `ExecutionRewound`, encoded.
        event: Bytes,
    },
    /// The worker has written the history anew.
    Rewound {
        /// Whose.
        id: InstanceId,
        /// What it came to.
        rewound: Box<Rewound>,
    },
    /// The worker has refused to rewind: the old end stands again.
    RewindRefused {
        /// Whose.
        id: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// An entity answers an execution that has failed: it will be wanted if that is rewound.
    Late {
        /// Whose.
        id: InstanceId,
        /// The event's kind.
        kind: Kind,
        /// The event, encoded.
        event: Bytes,
    },
    /// An instance is deleted.
    Removed {
        /// Which.
        id: InstanceId,
    },
    /// An entity changes.
    Entity(Changed),
}

/// Why bytes are not a record that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another version of the format.
    #[error("the record is of version {found}, and this taskhub reads version {}", Record::VERSION)]
    Version {
        /// The version that it is of.
        found: u64,
    },
    /// A field that this version does not have.
    #[error("{of} has the field {field}, which this taskhub does not know")]
    Unknown {
        /// What has it.
        of: &'static str,
        /// Its number.
        field: u32,
    },
    /// A field that this version needs.
    #[error("{of} lacks the field {field}, or has it in another type")]
    Missing {
        /// What lacks it.
        of: &'static str,
        /// Its number.
        field: u32,
    },
    /// Bytes that are not in the format, or a value that no field can have.
    #[error("{of} is broken")]
    Broken {
        /// What is.
        of: &'static str,
    },
}

/// What an arriving event answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settles {
    /// Nothing that is kept as pending.
    Nothing,
    /// The activity scheduled as this.
    Activity(i32),
    /// The timer set as this.
    Timer(i32),
    /// The child created as this.
    Child(i32),
}

/// What a committed turn came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    pub(crate) at: Timestamp,
    /// The moment of its `OrchestratorStarted`.
    pub(crate) turn_at: Timestamp,
    /// How many of the inbox it consumed.
    pub(crate) consumed: usize,
    /// The events of its actions, encoded, in order.
    pub(crate) events: Vec<Bytes>,
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) custom_status: Option<String>,
    pub(crate) trace: Option<wire::OrchestrationTraceContext>,
    pub(crate) suspended: bool,
    pub(crate) end: Option<End>,
}

/// What a turn has scheduled.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheduled {
    /// An activity.
    Activity {
        /// The action's id.
        task: i32,
        /// Its name, for filters.
        name: String,
        /// Its version for filters: its own, or its orchestration's (R47).
        version: Option<String>,
        /// The encoded `wire::ActivityRequest`.
        request: Bytes,
    },
    /// A timer.
    Timer {
        /// The action's id.
        timer: i32,
        /// When it is due, as the worker gave it.
        fire_at: prost_types::Timestamp,
    },
    /// A child.
    Child {
        /// The action's id.
        task: i32,
        /// The child's id, as resolved.
        id: InstanceId,
        /// The execution that answers.
        execution: ExecutionId,
    },
}

/// What the next execution of an instance begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Continued {
    pub(crate) at: Timestamp,
    pub(crate) started: Box<wire::ExecutionStartedEvent>,
    /// The inbox after `ExecutionStarted`.
    pub(crate) inbox: Vec<Arrived>,
    pub(crate) custom_status: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) turn_at: Timestamp,
}

/// What a rewound execution goes on with.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewound {
    pub(crate) at: Timestamp,
    pub(crate) turn_at: Timestamp,
    /// The new history, each event encoded.
    pub(crate) history: Vec<Bytes>,
    pub(crate) started: Box<wire::ExecutionStartedEvent>,
    /// What is still to come according to the new history.
    pub(crate) scheduled: Vec<Scheduled>,
    /// Every child the new history has.
    pub(crate) offspring: Vec<InstanceId>,
    /// Whether a turn is to be handed out though nothing has arrived.
    pub(crate) nudged: bool,
}

impl Engine {
    /// Makes a change and keeps its record for the store.
    pub(crate) fn put(&mut self, record: Record) {
        self.apply(&record);
        self.note_life(&record);
        self.records.push(record);
    }

    /// Makes a change. Total: what was decided can be applied.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Created { id, at, started, start_at } => self.apply_created(id, *at, started, *start_at),
            Record::Arrived { id, settles, kind, event } => self.apply_arrived(id, *settles, *kind, event),
            Record::Committed { id, commit } => self.apply_committed(id, commit),
            Record::Continued { id, next } => self.apply_continued(id, next),
            Record::Paused { id, at, suspended } => {
                let Some(instance) = self.instances.get_mut(id) else { return };
                instance.suspended = *suspended;
                instance.updated = *at;
                self.reindex(id);
            }
            Record::RewindBegan { id, at, event } => {
                let Some(instance) = self.instances.get_mut(id) else { return };
                if let Some(undone) = instance.end.take() {
                    instance.rewinding = Some(Rewinding { undone, event: event.clone() });
                    instance.updated = *at;
                }
                self.reindex(id);
            }
            Record::Rewound { id, rewound } => self.apply_rewound(id, rewound),
            Record::RewindRefused { id, at } => {
                let Some(instance) = self.instances.get_mut(id) else { return };
                if let Some(rewinding) = instance.rewinding.take() {
                    instance.end = Some(rewinding.undone);
                    instance.drop_inbox();
                    instance.updated = *at;
                }
                self.recount(id);
                self.reindex(id);
            }
            Record::Late { id, kind, event } => {
                let Some(instance) = self.instances.get_mut(id) else { return };
                let arrived = Arrived { kind: *kind, event: event.clone() };
                instance.bytes += arrived.bytes();
                self.bytes += arrived.bytes();
                instance.late.push(arrived);
            }
            Record::Removed { id } => {
                self.forget_timers(id);
                if let Some(removed) = self.instances.remove(id) {
                    self.bytes -= removed.bytes;
                    self.release(removed);
                }
                self.shrink();
                self.reindex(id);
            }
            Record::Entity(changed) => self.entities.apply(changed),
        }
    }

    fn apply_created(
        &mut self,
        id: &InstanceId,
        at: Timestamp,
        started: &wire::ExecutionStartedEvent,
        start_at: Option<Timestamp>,
    ) {
        self.forget_timers(id);
        let event = history::encode(&event::execution_started(at, started.clone()));
        let class = self.turn_class(started);
        let mut instance = Instance::created(Box::new(started.clone()), event, class, start_at, at);
        if let Some(before) = self.instances.get(id) {
            // Its GUIDs are made of its id and its clock, and are to be no others'.
            instance.clock = at.max(before.clock.plus(GENERATION));
        }
        if let Some(at) = start_at {
            self.timers.set(at, TimerKey::Start { id: id.clone(), execution: instance.execution.clone() });
        }
        self.work.retain(class);
        if let Some(replaced) = self.instances.insert(id.clone(), instance) {
            self.bytes -= replaced.bytes;
            self.release(replaced);
        }
        self.recount(id);
        self.reindex(id);
    }

    fn apply_arrived(&mut self, id: &InstanceId, settles: Settles, kind: Kind, event: &Bytes) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        match settles {
            Settles::Nothing => {}
            Settles::Activity(task) => {
                if let Some(done) = instance.activities.remove(&task) {
                    instance.bytes -= done.bytes();
                    self.bytes -= done.bytes();
                    self.work.release(done.class, done.stage);
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

    fn apply_committed(&mut self, id: &InstanceId, commit: &Commit) {
        let Some(instance) = self.instances.get_mut(id) else { return };
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
        instance.begun = true;
        instance.nudged = false;
        instance.suspended = commit.suspended;
        instance.custom_status.clone_from(&commit.custom_status);
        instance.trace.clone_from(&commit.trace);
        self.apply_scheduled(id, &commit.scheduled);
        if let Some(end) = &commit.end {
            self.forget_timers(id);
            let Some(instance) = self.instances.get_mut(id) else { return };
            instance.end = Some(end.clone());
            instance.rewinding = None;
            instance.drop_inbox();
            self.work.release_all(&mut instance.activities);
            instance.children.clear();
            instance.history.shrink();
            let stage = std::mem::replace(&mut instance.stage, Stage::Idle);
            self.work.leave(instance.class, stage);
            self.recount(id);
        }
        self.reindex(id);
    }

    fn apply_scheduled(&mut self, id: &InstanceId, scheduled: &[Scheduled]) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        for scheduled in scheduled {
            match scheduled {
                Scheduled::Activity { task, name, version, request } => {
                    let class = self.work.class(WorkKind::Activity, name, version.as_deref());
                    let activity =
                        Activity { request: request.clone(), class, stage: Stage::Idle, given_back: 0 };
                    self.work.retain(class);
                    instance.bytes += activity.bytes();
                    self.bytes += activity.bytes();
                    // A worker may use the id of an activity that is not done: the later one counts.
                    if let Some(earlier) = instance.activities.insert(*task, activity) {
                        instance.bytes -= earlier.bytes();
                        self.bytes -= earlier.bytes();
                        self.work.release(earlier.class, earlier.stage);
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

    fn apply_continued(&mut self, id: &InstanceId, next: &Continued) {
        self.forget_timers(id);
        let class = self.turn_class(&next.started);
        let Some(instance) = self.instances.get_mut(id) else { return };
        let started = history::encode(&event::execution_started(next.at, (*next.started).clone()));
        instance.execution = execution_of(&next.started);
        instance.started.clone_from(&next.started);
        self.work.change_class(&mut instance.class, class, instance.stage);
        instance.history = History::default();
        instance.inbox = std::iter::once(Arrived { kind: Kind::ExecutionStarted, event: started })
            .chain(next.inbox.iter().cloned())
            .collect();
        self.work.release_all(&mut instance.activities);
        instance.children.clear();
        instance.offspring.clear();
        instance.rewound_from.clear();
        instance.late.clear();
        instance.trace = None;
        instance.begun = true;
        instance.suspended = next.suspended;
        instance.custom_status.clone_from(&next.custom_status);
        instance.start_at = None;
        instance.clock = next.turn_at.plus(GENERATION);
        instance.updated = next.at;
        instance.kept_by = None;
        self.tie_to_parent(id);
        self.recount(id);
        self.reindex(id);
    }

    fn apply_rewound(&mut self, id: &InstanceId, rewound: &Rewound) {
        self.forget_timers(id);
        let class = self.turn_class(&rewound.started);
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.history = History::default();
        for event in &rewound.history {
            instance.history.push(event);
        }
        let earlier = std::mem::replace(&mut instance.execution, execution_of(&rewound.started));
        instance.rewound_from.push(earlier);
        instance.inbox.extend(std::mem::take(&mut instance.late));
        instance.started.clone_from(&rewound.started);
        // Its parent stays the one that it is tied to: that one may have been rewound since the history began.
        self.work.change_class(&mut instance.class, class, instance.stage);
        instance.rewinding = None;
        self.work.release_all(&mut instance.activities);
        instance.children.clear();
        instance.offspring.clone_from(&rewound.offspring);
        instance.clock = rewound.turn_at;
        instance.updated = rewound.at;
        instance.custom_status = None;
        instance.kept_by = None;
        instance.nudged = rewound.nudged;
        self.apply_scheduled(id, &rewound.scheduled);
        self.tie(id, rewound);
        self.recount(id);
        self.reindex(id);
    }

    /// Takes away every timer of an instance: its execution is over.
    fn forget_timers(&mut self, id: &InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        for (timer, fire_at) in std::mem::take(&mut instance.timers) {
            self.timers.clear(&fire_at, id, &instance.execution, timer);
        }
        if let Some(at) = instance.start_at {
            self.timers.clear_start(at, id, &instance.execution);
        }
    }

    /// An instance is gone, and with it what needed its classes of work.
    fn release(&mut self, mut gone: Instance) {
        self.work.release_all(&mut gone.activities);
        self.work.release(gone.class, gone.stage);
    }

    /// The status of an instance, if it exists.
    pub(crate) fn status_of(&self, id: &InstanceId) -> Option<Status> {
        self.instances.get(id).map(Instance::status)
    }
}
