//! Says of an event what there is to say in a line: its name, what it refers to, its payload.

use crate::model::Status;
use crate::wire::history_event::EventType;
use crate::wire::{OrchestrationStatus, TaskFailureDetails};

/// An event in three short texts, empty where it has nothing to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whom or what it is about.
    pub(super) name: String,
    /// The id of the event that it is the end of.
    pub(super) of: Option<i32>,
    /// What it carries.
    pub(super) payload: String,
}

impl Facts {
    fn named(name: &str, payload: Option<&str>) -> Self {
        Self { name: name.to_owned(), of: None, payload: payload.unwrap_or_default().to_owned() }
    }

    fn end_of(task: i32, payload: String) -> Self {
        Self { name: String::new(), of: Some(task), payload }
    }

    fn reason(reason: Option<&str>) -> Self {
        Self::named("", reason)
    }
}

/// The facts of an event.
pub(super) fn facts(body: &EventType) -> Facts {
    match body {
        EventType::ExecutionStarted(event) => Facts::named(&event.name, event.input.as_deref()),
        EventType::ExecutionCompleted(event) => Facts::named(
            status(event.orchestration_status),
            Some(&outcome(event.result.as_deref(), event.failure_details.as_ref())),
        ),
        EventType::ExecutionTerminated(event) => Facts::reason(event.input.as_deref()),
        EventType::TaskScheduled(event) => Facts::named(&event.name, event.input.as_deref()),
        EventType::TaskCompleted(event) => {
            Facts::end_of(event.task_scheduled_id, outcome(event.result.as_deref(), None))
        }
        EventType::TaskFailed(event) => {
            Facts::end_of(event.task_scheduled_id, outcome(None, event.failure_details.as_ref()))
        }
        EventType::SubOrchestrationInstanceCreated(event) => {
            Facts::named(&format!("{} {}", event.name, event.instance_id), event.input.as_deref())
        }
        EventType::SubOrchestrationInstanceCompleted(event) => {
            Facts::end_of(event.task_scheduled_id, outcome(event.result.as_deref(), None))
        }
        EventType::SubOrchestrationInstanceFailed(event) => {
            Facts::end_of(event.task_scheduled_id, outcome(None, event.failure_details.as_ref()))
        }
        EventType::TimerCreated(event) => Facts::named("", Some(&moment(event.fire_at.as_ref()))),
        EventType::TimerFired(event) => Facts::end_of(event.timer_id, moment(event.fire_at.as_ref())),
        EventType::EventSent(event) => {
            Facts::named(&format!("{} to {}", event.name, event.instance_id), event.input.as_deref())
        }
        EventType::EventRaised(event) => Facts::named(&event.name, event.input.as_deref()),
        EventType::ContinueAsNew(event) => Facts::reason(event.input.as_deref()),
        EventType::ExecutionSuspended(event) => Facts::reason(event.input.as_deref()),
        EventType::ExecutionResumed(event) => Facts::reason(event.input.as_deref()),
        EventType::ExecutionRewound(event) => Facts::reason(event.reason.as_deref()),
        EventType::GenericEvent(event) => Facts::reason(event.data.as_deref()),
        EventType::EntityOperationSignaled(event) => {
            Facts::named(&at(&event.operation, event.target_instance_id.as_deref()), event.input.as_deref())
        }
        EventType::EntityOperationCalled(event) => {
            Facts::named(&at(&event.operation, event.target_instance_id.as_deref()), event.input.as_deref())
        }
        EventType::EntityOperationCompleted(event) => Facts::named("", event.output.as_deref()),
        EventType::EntityOperationFailed(event) => {
            Facts::named("", Some(&outcome(None, event.failure_details.as_ref())))
        }
        EventType::EntityLockRequested(event) => Facts::named(&event.lock_set.join(", "), None),
        EventType::EntityUnlockSent(event) => {
            Facts::named(event.target_instance_id.as_deref().unwrap_or_default(), None)
        }
        EventType::EntityLockGranted(_)
        | EventType::OrchestratorStarted(_)
        | EventType::OrchestratorCompleted(_)
        | EventType::HistoryState(_) => Facts::default(),
    }
}

/// A result, or a failure in a line.
pub(super) fn outcome(result: Option<&str>, failure: Option<&TaskFailureDetails>) -> String {
    match failure {
        Some(failure) => format!("{}: {}", failure.error_type, failure.error_message),
        None => result.unwrap_or_default().to_owned(),
    }
}

/// A wire status in capitals; what is not a status keeps its number.
pub(super) fn status(number: i32) -> &'static str {
    match OrchestrationStatus::try_from(number).map(Status::from_wire) {
        Ok(Some(status)) => status.as_str(),
        Ok(None) => "CONTINUED_AS_NEW",
        Err(_) => "UNKNOWN",
    }
}

fn at(operation: &str, entity: Option<&str>) -> String {
    entity.map_or_else(|| operation.to_owned(), |entity| format!("{operation} on {entity}"))
}

fn moment(at: Option<&prost_types::Timestamp>) -> String {
    at.map(|at| crate::model::Timestamp::from_wire(at).to_string()).unwrap_or_default()
}
