//! Builds what a worker answers, one line each.

use taskhub::clock::{Clock, WallClock};
use taskhub::wire::history_event::EventType;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::send_entity_message_action::EntityMessageType as Message;
use taskhub::wire::{self, OrchestrationStatus, OrchestratorAction};

/// A request id, as every SDK sends it.
pub(crate) const REQUEST: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
/// Another one.
pub(crate) const OTHER_REQUEST: &str = "7F9619FF-8B86-D011-B42D-00C04FC964F0";

/// The moment it is.
pub(crate) fn now() -> prost_types::Timestamp {
    WallClock.now().to_wire()
}

/// A moment so many milliseconds later than another.
pub(crate) fn later(than: prost_types::Timestamp, milliseconds: i64) -> prost_types::Timestamp {
    let nanos = i64::from(than.nanos) + milliseconds * 1_000_000;
    let (seconds, nanos) = (than.seconds + nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(nanos).expect("less than a second") }
}

/// Moments in an order that can be compared.
pub(crate) fn order(moment: &prost_types::Timestamp) -> (i64, i32) {
    (moment.seconds, moment.nanos)
}

fn action(id: i32, action: Action) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

/// Schedules an activity.
pub(crate) fn call(id: i32, name: &str, input: &str) -> OrchestratorAction {
    let task =
        wire::ScheduleTaskAction { name: name.into(), input: Some(input.into()), ..Default::default() };
    action(id, Action::ScheduleTask(task))
}

/// Schedules an activity in every detail.
pub(crate) fn call_with(id: i32, task: wire::ScheduleTaskAction) -> OrchestratorAction {
    action(id, Action::ScheduleTask(task))
}

/// Sets a timer.
pub(crate) fn timer(id: i32, fire_at: prost_types::Timestamp) -> OrchestratorAction {
    action(id, Action::CreateTimer(wire::CreateTimerAction { fire_at: Some(fire_at) }))
}

/// Creates a child.
pub(crate) fn child(id: i32, instance_id: &str, name: &str) -> OrchestratorAction {
    let (instance_id, name) = (instance_id.into(), name.into());
    child_with(id, wire::CreateSubOrchestrationAction { instance_id, name, ..Default::default() })
}

/// Creates a child in every detail.
pub(crate) fn child_with(id: i32, child: wire::CreateSubOrchestrationAction) -> OrchestratorAction {
    action(id, Action::CreateSubOrchestration(child))
}

/// Sends an event.
pub(crate) fn send(id: i32, target: &str, name: &str, data: &str) -> OrchestratorAction {
    let instance = Some(wire::OrchestrationInstance { instance_id: target.into(), execution_id: None });
    action(
        id,
        Action::SendEvent(wire::SendEventAction { instance, name: name.into(), data: Some(data.into()) }),
    )
}

/// Terminates another instance.
pub(crate) fn terminate(id: i32, target: &str, reason: &str, recurse: bool) -> OrchestratorAction {
    let (instance_id, reason) = (target.into(), Some(reason.into()));
    action(
        id,
        Action::TerminateOrchestration(wire::TerminateOrchestrationAction { instance_id, reason, recurse }),
    )
}

/// Ends the orchestration in some way.
pub(crate) fn end(id: i32, status: OrchestrationStatus, result: Option<&str>) -> OrchestratorAction {
    end_with(
        id,
        wire::CompleteOrchestrationAction {
            orchestration_status: status.into(),
            result: result.map(Into::into),
            ..Default::default()
        },
    )
}

/// Ends the orchestration in every detail.
pub(crate) fn end_with(id: i32, end: wire::CompleteOrchestrationAction) -> OrchestratorAction {
    action(id, Action::CompleteOrchestration(end))
}

/// Completes the orchestration.
pub(crate) fn complete(id: i32, result: &str) -> OrchestratorAction {
    end(id, OrchestrationStatus::Completed, Some(result))
}

/// Fails the orchestration.
pub(crate) fn fail(id: i32, failure: wire::TaskFailureDetails) -> OrchestratorAction {
    end_with(
        id,
        wire::CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Failed.into(),
            failure_details: Some(failure),
            ..Default::default()
        },
    )
}

/// Continues as new, with events carried over.
pub(crate) fn again(id: i32, input: &str, carryover_events: Vec<wire::HistoryEvent>) -> OrchestratorAction {
    end_with(
        id,
        wire::CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::ContinuedAsNew.into(),
            result: Some(input.into()),
            carryover_events,
            ..Default::default()
        },
    )
}

/// Answers a rewind with the history to go on from.
pub(crate) fn rewound(new_history: Vec<wire::HistoryEvent>) -> OrchestratorAction {
    action(-1, Action::RewindOrchestration(wire::RewindOrchestrationAction { new_history }))
}

fn message(id: i32, message: Message) -> OrchestratorAction {
    let message = wire::SendEntityMessageAction { entity_message_type: Some(message) };
    action(id, Action::SendEntityMessage(message))
}

/// Signals an entity.
pub(crate) fn signal(id: i32, entity: &str, operation: &str, input: &str) -> OrchestratorAction {
    message(
        id,
        Message::EntityOperationSignaled(wire::EntityOperationSignaledEvent {
            request_id: REQUEST.into(),
            operation: operation.into(),
            input: Some(input.into()),
            target_instance_id: Some(entity.into()),
            scheduled_time: None,
        }),
    )
}

/// Calls an entity.
pub(crate) fn ask(id: i32, entity: &str, operation: &str, request_id: &str) -> OrchestratorAction {
    message(
        id,
        Message::EntityOperationCalled(wire::EntityOperationCalledEvent {
            request_id: request_id.into(),
            operation: operation.into(),
            target_instance_id: Some(entity.into()),
            ..Default::default()
        }),
    )
}

/// Locks entities, in this order.
pub(crate) fn lock(id: i32, section: &str, parent: &str, entities: &[&str]) -> OrchestratorAction {
    message(
        id,
        Message::EntityLockRequested(wire::EntityLockRequestedEvent {
            critical_section_id: section.into(),
            lock_set: entities.iter().map(ToString::to_string).collect(),
            position: 0,
            parent_instance_id: Some(parent.into()),
        }),
    )
}

/// Unlocks an entity.
pub(crate) fn unlock(id: i32, section: &str, parent: &str, entity: &str) -> OrchestratorAction {
    message(
        id,
        Message::EntityUnlockSent(wire::EntityUnlockSentEvent {
            critical_section_id: section.into(),
            parent_instance_id: Some(parent.into()),
            target_instance_id: Some(entity.into()),
        }),
    )
}

/// An event as a worker carries it over.
pub(crate) fn raised(name: &str, input: &str) -> wire::HistoryEvent {
    let event = wire::EventRaisedEvent { name: name.into(), input: Some(input.into()) };
    wire::HistoryEvent {
        event_id: -1,
        timestamp: Some(now()),
        event_type: Some(EventType::EventRaised(event)),
    }
}

/// A failure with everything an SDK may say about one.
pub(crate) fn failure(message: &str) -> wire::TaskFailureDetails {
    let cause = wire::TaskFailureDetails {
        error_type: "Cause".into(),
        error_message: "the cause".into(),
        ..Default::default()
    };
    let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(7.0)) };
    wire::TaskFailureDetails {
        error_type: "Broken".into(),
        error_message: message.into(),
        stack_trace: Some("at line 1".into()),
        inner_failure: Some(Box::new(cause)),
        is_non_retriable: true,
        properties: [("code".to_owned(), number)].into(),
    }
}

/// What a worker makes of a rewind: everything but the failures and what led to them, under a new execution.
pub(crate) fn rewound_history(
    request: &wire::OrchestratorRequest,
    execution: &str,
) -> Vec<wire::HistoryEvent> {
    let all: Vec<_> = request.past_events.iter().chain(&request.new_events).cloned().collect();
    let failed: Vec<i32> = all
        .iter()
        .filter_map(|event| match &event.event_type {
            Some(EventType::TaskFailed(failed)) => Some(failed.task_scheduled_id),
            _ => None,
        })
        .collect();
    let parent = all.iter().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionRewound(rewound)) => rewound.parent_execution_id.clone(),
        _ => None,
    });
    let keep = |event: &wire::HistoryEvent| match &event.event_type {
        Some(
            EventType::TaskFailed(_)
            | EventType::SubOrchestrationInstanceFailed(_)
            | EventType::ExecutionCompleted(_),
        ) => false,
        Some(EventType::TaskScheduled(_)) => !failed.contains(&event.event_id),
        _ => true,
    };
    let mut kept: Vec<_> = all.into_iter().filter(keep).collect();
    for event in &mut kept {
        if let Some(EventType::ExecutionStarted(started)) = &mut event.event_type {
            if let Some(instance) = &mut started.orchestration_instance {
                instance.execution_id = Some(execution.into());
            }
            if let (Some(parent), Some(info)) = (&parent, &mut started.parent_instance)
                && let Some(instance) = &mut info.orchestration_instance
            {
                instance.execution_id = Some(parent.clone());
            }
        }
    }
    kept
}
