//! Shows what happened to an instance: a history, and its events one by one.

use super::{Kind, Timestamp};
use crate::wire::{self, HistoryEvent, history_event::EventType};

/// What happened in one execution of an instance, in order.
///
/// ```
/// # use taskhub::model::{History, Kind};
/// # fn look(history: &History) {
/// for event in history.iter().filter(|event| event.kind() == Some(Kind::TaskFailed)) {
///     println!("{}: task {:?} failed: {:?}", event.at(), event.answers(), event.failure());
/// }
/// # }
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct History(Vec<HistoryEvent>);

/// One event of a [`History`].
#[derive(Clone, Copy, PartialEq)]
pub struct Event<'a>(&'a HistoryEvent);

/// How a task or an execution failed, as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFailure<'a> {
    /// The error's type, as its author named it.
    pub error_type: &'a str,
    /// The error's message.
    pub message: &'a str,
}

impl History {
    /// How many events it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no events: no turn of the instance is committed yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Event<'_>> + ExactSizeIterator {
        self.0.iter().map(Event)
    }
}

impl<'a> Event<'a> {
    /// The id of the action that caused it; -1 where none did, 0 for the beginning.
    pub fn id(self) -> i32 {
        self.0.event_id
    }

    /// When it happened; the epoch where the scheduler does not say.
    pub fn at(self) -> Timestamp {
        self.0.timestamp.as_ref().map(Timestamp::from_wire).unwrap_or_default()
    }

    /// What kind of event it is; `None` for a kind that the protocol did not have when this was compiled.
    pub fn kind(self) -> Option<Kind> {
        self.body().map(Kind::of)
    }

    /// The name of what it is about: an orchestration, an activity, a child, an operation or an external event.
    pub fn name(self) -> Option<&'a str> {
        self.parts().name
    }

    /// Which action's event this one answers: the id of the activity, child or timer that has ended.
    pub fn answers(self) -> Option<i32> {
        self.parts().answers
    }

    /// When the timer that it sets, or that has fired, is due.
    pub fn due(self) -> Option<Timestamp> {
        self.parts().due.map(Timestamp::from_wire)
    }

    /// The other instance or the entity that it is about: a child that was created, or who is sent something.
    pub fn instance_id(self) -> Option<&'a str> {
        self.parts().instance
    }

    /// Its input, output, result or data, as JSON; for a suspension or resumption the reason.
    pub fn payload(self) -> Option<&'a str> {
        self.parts().payload
    }

    /// How the task or the execution failed, where this event says so.
    pub fn failure(self) -> Option<EventFailure<'a>> {
        let wire::TaskFailureDetails { error_type, error_message, .. } = self.parts().failure?;
        Some(EventFailure { error_type, message: error_message })
    }

    fn parts(self) -> EventParts<'a> {
        self.body().map_or_else(EventParts::default, EventParts::of)
    }

    fn body(self) -> Option<&'a EventType> {
        self.0.event_type.as_ref()
    }
}

/// What the accessors of an [`Event`] show of its body.
#[derive(Default)]
struct EventParts<'a> {
    name: Option<&'a str>,
    answers: Option<i32>,
    due: Option<&'a prost_types::Timestamp>,
    instance: Option<&'a str>,
    payload: Option<&'a str>,
    failure: Option<&'a wire::TaskFailureDetails>,
}

impl<'a> EventParts<'a> {
    /// Something with a name begins.
    fn begun(name: &'a str, payload: Option<&'a str>) -> Self {
        Self { name: Some(name), payload, ..Self::default() }
    }

    /// The task `answers` ends.
    fn ended(answers: i32) -> Self {
        Self { answers: Some(answers), ..Self::default() }
    }

    /// Nothing but a payload.
    fn with(payload: Option<&'a str>) -> Self {
        Self { payload, ..Self::default() }
    }

    fn of(body: &'a EventType) -> Self {
        match body {
            EventType::ExecutionStarted(it) => Self::begun(&it.name, it.input.as_deref()),
            EventType::TaskScheduled(it) => Self::begun(&it.name, it.input.as_deref()),
            EventType::EventRaised(it) => Self::begun(&it.name, it.input.as_deref()),
            EventType::SubOrchestrationInstanceCreated(it) => {
                Self { instance: Some(&it.instance_id), ..Self::begun(&it.name, it.input.as_deref()) }
            }
            EventType::EventSent(it) => {
                Self { instance: Some(&it.instance_id), ..Self::begun(&it.name, it.input.as_deref()) }
            }
            EventType::EntityOperationCalled(it) => Self {
                instance: it.target_instance_id.as_deref(),
                ..Self::begun(&it.operation, it.input.as_deref())
            },
            EventType::EntityOperationSignaled(it) => Self {
                instance: it.target_instance_id.as_deref(),
                ..Self::begun(&it.operation, it.input.as_deref())
            },
            EventType::TaskCompleted(it) => {
                Self { payload: it.result.as_deref(), ..Self::ended(it.task_scheduled_id) }
            }
            EventType::SubOrchestrationInstanceCompleted(it) => {
                Self { payload: it.result.as_deref(), ..Self::ended(it.task_scheduled_id) }
            }
            EventType::TaskFailed(it) => {
                Self { failure: it.failure_details.as_ref(), ..Self::ended(it.task_scheduled_id) }
            }
            EventType::SubOrchestrationInstanceFailed(it) => {
                Self { failure: it.failure_details.as_ref(), ..Self::ended(it.task_scheduled_id) }
            }
            EventType::TimerCreated(it) => Self { due: it.fire_at.as_ref(), ..Self::default() },
            EventType::TimerFired(it) => Self { due: it.fire_at.as_ref(), ..Self::ended(it.timer_id) },
            EventType::ExecutionCompleted(it) => {
                Self { failure: it.failure_details.as_ref(), ..Self::with(it.result.as_deref()) }
            }
            EventType::EntityOperationFailed(it) => {
                Self { failure: it.failure_details.as_ref(), ..Self::default() }
            }
            EventType::EntityOperationCompleted(it) => Self::with(it.output.as_deref()),
            EventType::ExecutionTerminated(it) => Self::with(it.input.as_deref()),
            EventType::ExecutionSuspended(it) => Self::with(it.input.as_deref()),
            EventType::ExecutionResumed(it) => Self::with(it.input.as_deref()),
            EventType::ContinueAsNew(it) => Self::with(it.input.as_deref()),
            EventType::GenericEvent(it) => Self::with(it.data.as_deref()),
            EventType::OrchestratorStarted(_)
            | EventType::OrchestratorCompleted(_)
            | EventType::HistoryState(_)
            | EventType::EntityLockRequested(_)
            | EventType::EntityLockGranted(_)
            | EventType::EntityUnlockSent(_)
            | EventType::ExecutionRewound(_) => Self::default(),
        }
    }
}

/// From the protocol's own events, which lose nothing by it.
impl From<Vec<HistoryEvent>> for History {
    fn from(events: Vec<HistoryEvent>) -> Self {
        Self(events)
    }
}

impl FromIterator<HistoryEvent> for History {
    fn from_iter<I: IntoIterator<Item = HistoryEvent>>(events: I) -> Self {
        Self(events.into_iter().collect())
    }
}

/// The protocol's own events, as they are.
impl AsRef<[HistoryEvent]> for History {
    fn as_ref(&self) -> &[HistoryEvent] {
        &self.0
    }
}

/// Back to the protocol's own events, as they were.
impl From<History> for Vec<HistoryEvent> {
    fn from(history: History) -> Self {
        history.0
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl std::fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event;

    #[test]
    fn an_event_tells_its_kind_its_ids_its_time_and_its_payload() {
        let at = Timestamp::from_micros(5);
        let task =
            wire::ScheduleTaskAction { name: "square".into(), input: Some("3".into()), ..Default::default() };
        let failure = crate::model::failure::details("Busy", "not now");
        let events = vec![
            event::task_scheduled(7, at, task),
            event::task_failed(at, 7, failure),
            HistoryEvent::default(),
        ];
        let history = History::from(events.clone());
        let told: Vec<Event<'_>> = history.iter().collect();
        assert_eq!((told[0].id(), told[0].at(), told[0].kind()), (7, at, Some(Kind::TaskScheduled)));
        assert_eq!((told[0].name(), told[0].payload(), told[0].failure()), (Some("square"), Some("3"), None));
        assert_eq!((told[1].id(), told[1].answers(), told[1].payload()), (-1, Some(7), None));
        assert_eq!(told[1].failure(), Some(EventFailure { error_type: "Busy", message: "not now" }));
        assert_eq!((told[2].kind(), told[2].name()), (None, None));
        assert_eq!(Vec::from(history), events);
    }
}
