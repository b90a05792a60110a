//! Keeps one orchestration: what its history says, what has arrived since, and what it waits for.

use super::history::EncodedHistory;
use super::phase::{End, Phase};
use crate::emulator::engine::volatile::Placement;
use crate::model::{ExecutionId, InstanceId, Kind, Status, Timestamp};
use crate::wire;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How much later than the event before it an event arrives at the least: Java keeps the events that it carries over in
/// a set, where two that are equal are one (R67).
pub(crate) const TICK: Duration = Duration::from_micros(1);

/// How much later than the last turn of an execution the first turn of the next is: JavaScript and Java make ids from
/// the clock in milliseconds, and would make the same ones again (R66).
pub(crate) const GENERATION: Duration = Duration::from_micros(GENERATION_MICROS.unsigned_abs());
const GENERATION_MICROS: i64 = 1_000;

/// An event that has arrived and that no turn has consumed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrived {
    pub(crate) kind: Kind,
    /// The event, encoded.
    pub(crate) event: Bytes,
}

/// An activity that is scheduled and not done.
#[derive(Debug, Clone)]
pub(crate) struct PendingActivity {
    /// The encoded `wire::ActivityRequest`.
    pub(super) request: Bytes,
    pub(super) place: Placement,
}

impl PendingActivity {
    /// The encoded `wire::ActivityRequest`.
    pub(crate) fn request(&self) -> &Bytes {
        &self.request
    }

    pub(crate) fn place(&self) -> &Placement {
        &self.place
    }
}

/// The places of an instance's activities, for delivery to write.
pub(crate) struct Placements<'a>(&'a mut BTreeMap<i32, PendingActivity>);

impl Placements<'_> {
    pub(crate) fn get_mut(&mut self, task: i32) -> Option<&mut Placement> {
        self.0.get_mut(&task).map(|activity| &mut activity.place)
    }
}

/// A child that is created and whose end has not arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Child {
    pub(crate) id: InstanceId,
    pub(crate) execution: ExecutionId,
}

/// One orchestration.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(super) started: Box<wire::ExecutionStartedEvent>,
    pub(super) execution: ExecutionId,
    pub(super) parent: Option<ParentRef>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) start_at: Option<Timestamp>,
    pub(super) phase: Phase,
    pub(super) custom_status: Option<String>,
    pub(super) trace: Option<wire::OrchestrationTraceContext>,
    pub(super) history: EncodedHistory,
    pub(super) inbox: VecDeque<Arrived>,
    pub(super) clock: Timestamp,
    pub(super) activities: BTreeMap<i32, PendingActivity>,
    pub(super) timers: BTreeMap<i32, prost_types::Timestamp>,
    pub(super) children: BTreeMap<i32, Child>,
    pub(super) offspring: Vec<InstanceId>,
    /// The executions that this one goes on with since it was rewound: answers to what they asked are still wanted.
    pub(super) rewound_from: Vec<ExecutionId>,
    /// Answers of entities that came too late for an execution that failed: a rewind hands them on, as the entities would
    /// not answer those calls again.
    pub(super) late: Vec<Arrived>,
    /// About how many bytes it takes (`size`).
    pub(super) bytes: usize,
}

/// The parent of a child, as `ExecutionStarted` names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParentRef {
    pub(crate) id: InstanceId,
    pub(crate) execution: ExecutionId,
    /// The action that created the child.
    pub(crate) task: i32,
}

impl ParentRef {
    /// Reads the parent from what a child began with.
    pub(crate) fn of(started: &wire::ExecutionStartedEvent) -> Option<Self> {
        let parent = started.parent_instance.as_ref()?;
        let instance = parent.orchestration_instance.as_ref()?;
        Some(Self {
            id: InstanceId::unchecked(instance.instance_id.as_str()),
            execution: ExecutionId::new(instance.execution_id.as_deref().unwrap_or_default()),
            task: parent.task_scheduled_id,
        })
    }
}

impl Instance {
    /// An instance that has only been created: its `ExecutionStarted` waits in the inbox.
    pub(super) fn created(
        started: Box<wire::ExecutionStartedEvent>,
        event: Bytes,
        start_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            execution: execution_of(&started),
            parent: ParentRef::of(&started),
            started,
            created: now,
            updated: now,
            start_at,
            phase: Phase::default(),
            custom_status: None,
            trace: None,
            history: EncodedHistory::default(),
            inbox: VecDeque::from([Arrived { kind: Kind::ExecutionStarted, event }]),
            clock: now,
            activities: BTreeMap::new(),
            timers: BTreeMap::new(),
            children: BTreeMap::new(),
            offspring: Vec::new(),
            rewound_from: Vec::new(),
            late: Vec::new(),
            bytes: 0,
        }
    }

    /// Name, version, input, tags and parent: what the current execution began with.
    pub(crate) fn started(&self) -> &wire::ExecutionStartedEvent {
        &self.started
    }

    pub(crate) fn execution(&self) -> &ExecutionId {
        &self.execution
    }

    pub(crate) fn parent(&self) -> Option<&ParentRef> {
        self.parent.as_ref()
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn custom_status(&self) -> Option<&String> {
        self.custom_status.as_ref()
    }

    pub(crate) fn trace(&self) -> Option<&wire::OrchestrationTraceContext> {
        self.trace.as_ref()
    }

    pub(crate) fn history(&self) -> &EncodedHistory {
        &self.history
    }

    /// The events that have arrived and that no turn has consumed, in their order.
    pub(crate) fn inbox(&self) -> &VecDeque<Arrived> {
        &self.inbox
    }

    /// The moment of the last committed turn: the orchestrator's clock never runs back.
    pub(crate) fn clock(&self) -> Timestamp {
        self.clock
    }

    /// An activity that is scheduled and not done.
    pub(crate) fn activity(&self, task: i32) -> Option<&PendingActivity> {
        self.activities.get(&task)
    }

    /// Those activities, by the ids of their actions.
    pub(crate) fn activities(&self) -> impl ExactSizeIterator<Item = (i32, &PendingActivity)> {
        self.activities.iter().map(|(task, activity)| (*task, activity))
    }

    pub(super) fn place_mut(&mut self, task: i32) -> Option<&mut Placement> {
        self.activities.get_mut(&task).map(|activity| &mut activity.place)
    }

    pub(super) fn places_mut(&mut self) -> Placements<'_> {
        Placements(&mut self.activities)
    }

    /// When a timer that is set is due, as the worker gave it.
    pub(crate) fn timer(&self, timer: i32) -> Option<prost_types::Timestamp> {
        self.timers.get(&timer).copied()
    }

    /// A child whose end has not arrived.
    pub(crate) fn child(&self, task: i32) -> Option<&Child> {
        self.children.get(&task)
    }

    /// Every child that this execution has created, for recursive commands.
    pub(crate) fn offspring(&self) -> &[InstanceId] {
        &self.offspring
    }

    /// The status as clients see it.
    pub(crate) fn status(&self) -> Status {
        self.phase.status()
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended { end, .. } => Some(end),
            Phase::Pending { .. }
            | Phase::Running { .. }
            | Phase::Suspended { .. }
            | Phase::Rewinding { .. } => None,
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.end().is_some()
    }

    /// The encoded `ExecutionRewound`, while a worker is to write the history anew.
    pub(crate) fn rewinding(&self) -> Option<&Bytes> {
        match &self.phase {
            Phase::Rewinding { event, .. } => Some(event),
            Phase::Pending { .. } | Phase::Running { .. } | Phase::Suspended { .. } | Phase::Ended { .. } => {
                None
            }
        }
    }

    /// Whether an answer to what `execution` asked is wanted.
    pub(crate) fn goes_on_with(&self, execution: &ExecutionId) -> bool {
        self.execution == *execution || self.rewound_from.contains(execution)
    }

    /// Whether an entity's answer is to be kept for a rewind.
    pub(crate) fn keeps_late(&self, kind: Kind) -> bool {
        self.status() == Status::Failed
            && matches!(kind, Kind::EntityOperationCompleted | Kind::EntityOperationFailed)
    }

    /// Drops the events that have arrived and that no turn will consume, but for those that a rewind would want.
    pub(super) fn drop_inbox(&mut self) {
        let dropped = std::mem::take(&mut self.inbox);
        let wanted: Vec<_> = dropped.into_iter().filter(|arrived| self.keeps_late(arrived.kind)).collect();
        self.late.extend(wanted);
    }

    /// When the next turn may be handed out at the earliest. Only the first turn of an execution has to wait: its clock
    /// runs ahead of the hub's by what keeps executions apart, and must not run away.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        (self.history.len() == 0).then(|| Timestamp::from_micros(self.clock.as_micros() - GENERATION_MICROS))
    }

    /// Whether a turn could be handed out at `now`.
    pub(crate) fn wants_turn(&self, now: Timestamp) -> bool {
        self.phase.wants_turn(!self.inbox.is_empty()) && self.start_at.is_none_or(|at| at <= now)
    }

    /// The state as `GetInstance` shows it (protocol/instances.md#state).
    pub(crate) fn state(&self, id: &InstanceId, payloads: bool) -> wire::OrchestrationState {
        let payload = |text: &Option<String>| if payloads { text.clone() } else { None };
        let end = self.end();
        wire::OrchestrationState {
            instance_id: id.as_str().to_owned(),
            name: self.started.name.clone(),
            version: self.started.version.clone(),
            orchestration_status: self.status().to_wire().into(),
            scheduled_start_timestamp: self.start_at.map(Timestamp::to_wire),
            created_timestamp: Some(self.created.to_wire()),
            last_updated_timestamp: Some(self.updated.to_wire()),
            input: payload(&self.started.input),
            output: end.and_then(|end| payload(&end.output)),
            custom_status: payload(&self.custom_status),
            failure_details: end.filter(|_| payloads).and_then(|end| end.failure.as_deref().cloned()),
            execution_id: Some(self.execution.as_str().to_owned()),
            completed_timestamp: end.map(|end| end.at.to_wire()),
            parent_instance_id: self.parent.as_ref().map(|parent| parent.id.as_str().to_owned()),
            tags: self.started.tags.clone(),
        }
    }
}

/// The execution that a start names.
pub(crate) fn execution_of(started: &wire::ExecutionStartedEvent) -> ExecutionId {
    let instance = started.orchestration_instance.as_ref();
    ExecutionId::new(instance.and_then(|i| i.execution_id.as_deref()).unwrap_or_default())
}
