//! Builds history events; the only place that does.
//!
//! Shapes and ids follow protocol/turns.md#events: what an orchestrator schedules carries its action's id, the beginning
//! carries 0, everything else that arrives carries -1.

use super::{ExecutionId, InstanceId, Timestamp};
use crate::wire::{self, HistoryEvent, history_event::EventType};

/// The id of every event that no action scheduled, but the beginning.
pub const ARRIVED: i32 = -1;

/// The id of `ExecutionStarted`: the official suites find 0 there, whatever number an SDK begins its actions with.
pub const BEGINNING: i32 = 0;

/// Puts a body into an event.
pub fn new(id: i32, at: Timestamp, body: EventType) -> HistoryEvent {
    HistoryEvent { event_id: id, timestamp: Some(at.to_wire()), event_type: Some(body) }
}

/// A turn begins; its moment is the orchestrator's clock.
pub fn orchestrator_started(at: Timestamp) -> HistoryEvent {
    new(ARRIVED, at, EventType::OrchestratorStarted(wire::OrchestratorStartedEvent {}))
}

/// An execution begins.
pub fn execution_started(at: Timestamp, started: wire::ExecutionStartedEvent) -> HistoryEvent {
    new(BEGINNING, at, EventType::ExecutionStarted(Box::new(started)))
}

/// An execution ends; `id` is the id of the action that ended it.
pub fn execution_completed(
    id: i32,
    at: Timestamp,
    status: super::Status,
    result: Option<String>,
    failure: Option<wire::TaskFailureDetails>,
) -> HistoryEvent {
    new(
        id,
        at,
        EventType::ExecutionCompleted(wire::ExecutionCompletedEvent {
            orchestration_status: status.to_wire().into(),
            result,
            failure_details: failure,
        }),
    )
}

/// A client or a parent terminates the execution; `output` becomes its output.
pub fn execution_terminated(at: Timestamp, output: Option<String>, recurse: bool) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::ExecutionTerminated(wire::ExecutionTerminatedEvent { input: output, recurse }),
    )
}

/// A client suspends the execution.
pub fn execution_suspended(at: Timestamp, reason: Option<String>) -> HistoryEvent {
    new(ARRIVED, at, EventType::ExecutionSuspended(wire::ExecutionSuspendedEvent { input: reason }))
}

/// A client resumes the execution.
pub fn execution_resumed(at: Timestamp, reason: Option<String>) -> HistoryEvent {
    new(ARRIVED, at, EventType::ExecutionResumed(wire::ExecutionResumedEvent { input: reason }))
}

/// A client rewinds the execution.
pub fn execution_rewound(at: Timestamp, rewound: wire::ExecutionRewoundEvent) -> HistoryEvent {
    new(ARRIVED, at, EventType::ExecutionRewound(Box::new(rewound)))
}

/// An activity is scheduled by the action `id`.
pub fn task_scheduled(id: i32, at: Timestamp, task: wire::ScheduleTaskAction) -> HistoryEvent {
    let wire::ScheduleTaskAction { name, version, input, tags, parent_trace_context } = task;
    new(
        id,
        at,
        EventType::TaskScheduled(wire::TaskScheduledEvent {
            name,
            version,
            input,
            parent_trace_context,
            tags,
        }),
    )
}

/// The activity scheduled as `task` ended with a result.
pub fn task_completed(at: Timestamp, task: i32, result: Option<String>) -> HistoryEvent {
    new(ARRIVED, at, EventType::TaskCompleted(wire::TaskCompletedEvent { task_scheduled_id: task, result }))
}

/// The activity scheduled as `task` failed.
pub fn task_failed(at: Timestamp, task: i32, failure: wire::TaskFailureDetails) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::TaskFailed(wire::TaskFailedEvent {
            task_scheduled_id: task,
            failure_details: Some(failure),
        }),
    )
}

/// A timer is set by the action `id`. `fire_at` is kept as it came, whatever its precision.
pub fn timer_created(id: i32, at: Timestamp, fire_at: prost_types::Timestamp) -> HistoryEvent {
    new(id, at, EventType::TimerCreated(wire::TimerCreatedEvent { fire_at: Some(fire_at) }))
}

/// The timer set as `timer` is due.
pub fn timer_fired(at: Timestamp, timer: i32, fire_at: prost_types::Timestamp) -> HistoryEvent {
    new(ARRIVED, at, EventType::TimerFired(wire::TimerFiredEvent { fire_at: Some(fire_at), timer_id: timer }))
}

/// A child is created by the action `id`; `child` is its id as resolved.
pub fn child_created(
    id: i32,
    at: Timestamp,
    child: &InstanceId,
    action: wire::CreateSubOrchestrationAction,
) -> HistoryEvent {
    let wire::CreateSubOrchestrationAction {
        instance_id: _,
        name,
        version,
        input,
        parent_trace_context,
        tags,
    } = action;
    new(
        id,
        at,
        EventType::SubOrchestrationInstanceCreated(wire::SubOrchestrationInstanceCreatedEvent {
            instance_id: child.as_str().to_owned(),
            name,
            version,
            input,
            parent_trace_context,
            tags,
        }),
    )
}

/// The child created as `task` ended with a result.
pub fn child_completed(at: Timestamp, task: i32, result: Option<String>) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::SubOrchestrationInstanceCompleted(wire::SubOrchestrationInstanceCompletedEvent {
            task_scheduled_id: task,
            result,
        }),
    )
}

/// The child created as `task` failed or was terminated.
pub fn child_failed(at: Timestamp, task: i32, failure: wire::TaskFailureDetails) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::SubOrchestrationInstanceFailed(wire::SubOrchestrationInstanceFailedEvent {
            task_scheduled_id: task,
            failure_details: Some(failure),
        }),
    )
}

/// An event is sent to another instance by the action `id`.
pub fn event_sent(
    id: i32,
    at: Timestamp,
    target: &InstanceId,
    name: String,
    input: Option<String>,
) -> HistoryEvent {
    new(
        id,
        at,
        EventType::EventSent(wire::EventSentEvent { instance_id: target.as_str().to_owned(), name, input }),
    )
}

/// An event arrives.
pub fn event_raised(at: Timestamp, name: String, input: Option<String>) -> HistoryEvent {
    new(ARRIVED, at, EventType::EventRaised(wire::EventRaisedEvent { name, input }))
}

/// An entity operation that was called has ended with a result.
pub fn entity_completed(at: Timestamp, request_id: String, output: Option<String>) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::EntityOperationCompleted(wire::EntityOperationCompletedEvent { request_id, output }),
    )
}

/// An entity operation that was called has failed.
pub fn entity_failed(at: Timestamp, request_id: String, failure: wire::TaskFailureDetails) -> HistoryEvent {
    new(
        ARRIVED,
        at,
        EventType::EntityOperationFailed(wire::EntityOperationFailedEvent {
            request_id,
            failure_details: Some(failure),
        }),
    )
}

/// Every entity of a critical section is locked.
pub fn lock_granted(at: Timestamp, critical_section_id: String) -> HistoryEvent {
    new(ARRIVED, at, EventType::EntityLockGranted(wire::EntityLockGrantedEvent { critical_section_id }))
}

/// The start of a fresh execution as the engine stores it: `executionId` set, everything else as given.
pub fn started_body(
    instance: &InstanceId,
    execution: &ExecutionId,
    request: wire::CreateInstanceRequest,
) -> wire::ExecutionStartedEvent {
    wire::ExecutionStartedEvent {
        name: request.name,
        version: request.version,
        input: request.input,
        orchestration_instance: Some(instance_ref(instance, execution)),
        parent_instance: None,
        scheduled_start_timestamp: request.scheduled_start_timestamp,
        parent_trace_context: request.parent_trace_context,
        orchestration_span_id: None,
        tags: request.tags,
    }
}

/// An instance and its execution as the wire names the pair.
pub fn instance_ref(instance: &InstanceId, execution: &ExecutionId) -> wire::OrchestrationInstance {
    wire::OrchestrationInstance {
        instance_id: instance.as_str().to_owned(),
        execution_id: Some(execution.as_str().to_owned()),
    }
}
