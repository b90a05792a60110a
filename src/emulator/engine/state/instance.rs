//! Keeps one orchestration: what its history says, what has arrived since, and what it waits for.

use super::history::History;
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::deliver::gather::Pace;
use crate::emulator::engine::deliver::lease::LeaseId;
use crate::emulator::engine::deliver::worklist::ClassId;
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
pub(crate) struct Activity {
    /// The encoded `wire::ActivityRequest`.
    pub(crate) request: Bytes,
    pub(crate) class: ClassId,
    pub(crate) stage: Stage,
    /// How often it was given back by a worker.
    pub(crate) given_back: u32,
}

/// A child that is created and whose end has not arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Child {
    pub(crate) id: InstanceId,
    pub(crate) execution: ExecutionId,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) output: Option<String>,
    pub(crate) failure: Option<Box<wire::TaskFailureDetails>>,
    pub(crate) at: Timestamp,
}

/// Where a piece of work is. Gone with the process: what was out is ready again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is nothing to hand out.
    Idle,
    /// In the worklist.
    Ready,
    /// Given back by a worker; it returns to the worklist after a delay.
    Resting,
    /// With a worker.
    Out(LeaseId),
}

/// What a rewind has to give back when the worker refuses it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rewinding {
    /// The end that is being undone.
    pub(crate) undone: End,
    /// The encoded `ExecutionRewound`.
    pub(crate) event: Bytes,
}

/// One orchestration.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Name, version, input, tags and parent: what the current execution began with.
    pub(crate) started: Box<wire::ExecutionStartedEvent>,
    pub(crate) execution: ExecutionId,
    pub(crate) parent: Option<Parent>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// When the first turn may be handed out, where that was later than the creation.
    pub(crate) start_at: Option<Timestamp>,
    /// Whether a turn of any execution is committed: PENDING or not.
    pub(crate) begun: bool,
    pub(crate) suspended: bool,
    pub(crate) end: Option<End>,
    pub(crate) custom_status: Option<String>,
    pub(crate) trace: Option<wire::OrchestrationTraceContext>,
    pub(crate) history: History,
    pub(crate) inbox: VecDeque<Arrived>,
    /// The moment of the last committed turn: the orchestrator's clock never runs back.
    pub(crate) clock: Timestamp,
    pub(crate) activities: BTreeMap<i32, Activity>,
    /// Timers that are set, with the moment as the worker gave it.
    pub(crate) timers: BTreeMap<i32, prost_types::Timestamp>,
    pub(crate) children: BTreeMap<i32, Child>,
    /// Every child this execution has created, for recursive commands.
    pub(crate) offspring: Vec<InstanceId>,
    pub(crate) rewinding: Option<Rewinding>,
    /// The executions that this one goes on with since it was rewound: answers to what they asked are still wanted.
    pub(crate) rewound_from: Vec<ExecutionId>,
    /// Answers of entities that came too late for an execution that failed: a rewind hands them on, nobody else would
    /// answer its calls.
    pub(crate) late: Vec<Arrived>,
    /// Whether a turn is to be handed out though nothing has arrived: the history was written anew.
    pub(crate) nudged: bool,
    pub(crate) class: ClassId,
    /// About how many bytes it takes (`size`).
    pub(crate) bytes: usize,
    // Gone with the process, from here on.
    pub(crate) stage: Stage,
    /// The stream that ran the last committed turn of this execution, and may have kept the orchestrator.
    pub(crate) kept_by: Option<StreamId>,
    pub(crate) given_back: u32,
    pub(crate) pace: Pace,
    /// The time of the event that arrived last: the next one is later.
    pub(crate) last_arrival: Timestamp,
}

/// The parent of a child, as `ExecutionStarted` names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parent {
    pub(crate) id: InstanceId,
    pub(crate) execution: ExecutionId,
    /// The action that created the child.
    pub(crate) task: i32,
}

impl Parent {
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
    pub(crate) fn created(
        started: Box<wire::ExecutionStartedEvent>,
        event: Bytes,
        class: ClassId,
        start_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            execution: execution_of(&started),
            parent: Parent::of(&started),
            started,
            created: now,
            updated: now,
            start_at,
            begun: false,
            suspended: false,
            end: None,
            custom_status: None,
            trace: None,
            history: History::default(),
            inbox: VecDeque::from([Arrived { kind: Kind::ExecutionStarted, event }]),
            clock: now,
            activities: BTreeMap::new(),
            timers: BTreeMap::new(),
            children: BTreeMap::new(),
            offspring: Vec::new(),
            rewinding: None,
            rewound_from: Vec::new(),
            late: Vec::new(),
            bytes: 0,
            nudged: false,
            class,
            stage: Stage::Idle,
            kept_by: None,
            given_back: 0,
            pace: Pace::default(),
            last_arrival: now,
        }
    }

    /// The status as clients see it.
    pub(crate) fn status(&self) -> Status {
        match &self.end {
            Some(end) => end.status,
            None if !self.begun => Status::Pending,
            None if self.suspended => Status::Suspended,
            None => Status::Running,
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

    /// Drops what has arrived and nobody will consume, save what a rewind would want.
    pub(crate) fn drop_inbox(&mut self) {
        let dropped = std::mem::take(&mut self.inbox);
        let wanted: Vec<_> = dropped.into_iter().filter(|arrived| self.keeps_late(arrived.kind)).collect();
        self.late.extend(wanted);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// When the next turn may be handed out at the earliest. Only the first turn of an execution has to wait: its clock
    /// runs ahead of the hub's by what keeps executions apart, and must not run away.
    pub(crate) fn not_before(&self) -> Option<Timestamp> {
        (self.history.len() == 0).then(|| Timestamp::from_micros(self.clock.as_micros() - GENERATION_MICROS))
    }

    /// Whether a turn could be handed out at `now`: something has arrived, or it is to be rewound.
    pub(crate) fn wants_turn(&self, now: Timestamp) -> bool {
        !self.has_ended()
            && (self.rewinding.is_some() || self.nudged || !self.inbox.is_empty())
            && self.start_at.is_none_or(|at| at <= now)
    }

    /// The state as `GetInstance` shows it (protocol/instances.md#state).
    pub(crate) fn state(&self, id: &InstanceId, payloads: bool) -> wire::OrchestrationState {
        let payload = |text: &Option<String>| if payloads { text.clone() } else { None };
        let end = self.end.as_ref();
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
