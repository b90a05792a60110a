//! Says what kind of event an event is.

use crate::wire::history_event::EventType;
use std::fmt;

/// The kind of a history event, named as the protocol names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the protocol's own names; proto/history.proto says what each means")]
pub enum Kind {
    ExecutionStarted = 3,
    ExecutionCompleted = 4,
    ExecutionTerminated = 5,
    TaskScheduled = 6,
    TaskCompleted = 7,
    TaskFailed = 8,
    SubOrchestrationInstanceCreated = 9,
    SubOrchestrationInstanceCompleted = 10,
    SubOrchestrationInstanceFailed = 11,
    TimerCreated = 12,
    TimerFired = 13,
    OrchestratorStarted = 14,
    OrchestratorCompleted = 15,
    EventSent = 16,
    EventRaised = 17,
    GenericEvent = 18,
    HistoryState = 19,
    ContinueAsNew = 20,
    ExecutionSuspended = 21,
    ExecutionResumed = 22,
    EntityOperationSignaled = 23,
    EntityOperationCalled = 24,
    EntityOperationCompleted = 25,
    EntityOperationFailed = 26,
    EntityLockRequested = 27,
    EntityLockGranted = 28,
    EntityUnlockSent = 29,
    ExecutionRewound = 30,
}

impl Kind {
    /// Every kind, in the order of the protocol's numbers.
    pub const ALL: [Self; 28] = [
        Self::ExecutionStarted,
        Self::ExecutionCompleted,
        Self::ExecutionTerminated,
        Self::TaskScheduled,
        Self::TaskCompleted,
        Self::TaskFailed,
        Self::SubOrchestrationInstanceCreated,
        Self::SubOrchestrationInstanceCompleted,
        Self::SubOrchestrationInstanceFailed,
        Self::TimerCreated,
        Self::TimerFired,
        Self::OrchestratorStarted,
        Self::OrchestratorCompleted,
        Self::EventSent,
        Self::EventRaised,
        Self::GenericEvent,
        Self::HistoryState,
        Self::ContinueAsNew,
        Self::ExecutionSuspended,
        Self::ExecutionResumed,
        Self::EntityOperationSignaled,
        Self::EntityOperationCalled,
        Self::EntityOperationCompleted,
        Self::EntityOperationFailed,
        Self::EntityLockRequested,
        Self::EntityLockGranted,
        Self::EntityUnlockSent,
        Self::ExecutionRewound,
    ];

    /// The protocol's number of the kind: that of its field in `HistoryEvent`.
    pub const fn number(self) -> u32 {
        self as u32
    }

    #[doc(hidden)]
    /// The kind of an event's body.
    pub const fn of(body: &EventType) -> Self {
        match body {
            EventType::ExecutionStarted(_) => Self::ExecutionStarted,
            EventType::ExecutionCompleted(_) => Self::ExecutionCompleted,
            EventType::ExecutionTerminated(_) => Self::ExecutionTerminated,
            EventType::TaskScheduled(_) => Self::TaskScheduled,
            EventType::TaskCompleted(_) => Self::TaskCompleted,
            EventType::TaskFailed(_) => Self::TaskFailed,
            EventType::SubOrchestrationInstanceCreated(_) => Self::SubOrchestrationInstanceCreated,
            EventType::SubOrchestrationInstanceCompleted(_) => Self::SubOrchestrationInstanceCompleted,
            EventType::SubOrchestrationInstanceFailed(_) => Self::SubOrchestrationInstanceFailed,
            EventType::TimerCreated(_) => Self::TimerCreated,
            EventType::TimerFired(_) => Self::TimerFired,
            EventType::OrchestratorStarted(_) => Self::OrchestratorStarted,
            EventType::OrchestratorCompleted(_) => Self::OrchestratorCompleted,
            EventType::EventSent(_) => Self::EventSent,
            EventType::EventRaised(_) => Self::EventRaised,
            EventType::GenericEvent(_) => Self::GenericEvent,
            EventType::HistoryState(_) => Self::HistoryState,
            EventType::ContinueAsNew(_) => Self::ContinueAsNew,
            EventType::ExecutionSuspended(_) => Self::ExecutionSuspended,
            EventType::ExecutionResumed(_) => Self::ExecutionResumed,
            EventType::EntityOperationSignaled(_) => Self::EntityOperationSignaled,
            EventType::EntityOperationCalled(_) => Self::EntityOperationCalled,
            EventType::EntityOperationCompleted(_) => Self::EntityOperationCompleted,
            EventType::EntityOperationFailed(_) => Self::EntityOperationFailed,
            EventType::EntityLockRequested(_) => Self::EntityLockRequested,
            EventType::EntityLockGranted(_) => Self::EntityLockGranted,
            EventType::EntityUnlockSent(_) => Self::EntityUnlockSent,
            EventType::ExecutionRewound(_) => Self::ExecutionRewound,
        }
    }

    /// The protocol's name for it, e.g. `TaskScheduled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExecutionStarted => "ExecutionStarted",
            Self::ExecutionCompleted => "ExecutionCompleted",
            Self::ExecutionTerminated => "ExecutionTerminated",
            Self::TaskScheduled => "TaskScheduled",
            Self::TaskCompleted => "TaskCompleted",
            Self::TaskFailed => "TaskFailed",
            Self::SubOrchestrationInstanceCreated => "SubOrchestrationInstanceCreated",
            Self::SubOrchestrationInstanceCompleted => "SubOrchestrationInstanceCompleted",
            Self::SubOrchestrationInstanceFailed => "SubOrchestrationInstanceFailed",
            Self::TimerCreated => "TimerCreated",
            Self::TimerFired => "TimerFired",
            Self::OrchestratorStarted => "OrchestratorStarted",
            Self::OrchestratorCompleted => "OrchestratorCompleted",
            Self::EventSent => "EventSent",
            Self::EventRaised => "EventRaised",
            Self::GenericEvent => "GenericEvent",
            Self::HistoryState => "HistoryState",
            Self::ContinueAsNew => "ContinueAsNew",
            Self::ExecutionSuspended => "ExecutionSuspended",
            Self::ExecutionResumed => "ExecutionResumed",
            Self::EntityOperationSignaled => "EntityOperationSignaled",
            Self::EntityOperationCalled => "EntityOperationCalled",
            Self::EntityOperationCompleted => "EntityOperationCompleted",
            Self::EntityOperationFailed => "EntityOperationFailed",
            Self::EntityLockRequested => "EntityLockRequested",
            Self::EntityLockGranted => "EntityLockGranted",
            Self::EntityUnlockSent => "EntityUnlockSent",
            Self::ExecutionRewound => "ExecutionRewound",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
