//! Tells an orchestration turn by turn: events in, actions out, without a scheduler.

use std::time::Duration;
use taskhub::model::{InstanceId, Timestamp, event};
use taskhub::sdk::{Cached, Registry, TurnOutcome, run_turn};
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::send_entity_message_action::EntityMessageType as Message;
use taskhub::wire::{
    self, ExecutionStartedEvent, HistoryEvent, OrchestrationStatus, OrchestratorRequest,
    history_event::EventType,
};

pub(crate) const EXECUTION: &str = "0123456789abcdef0123456789abcdef";

/// An orchestration and its history.
///
/// Every turn is run three times: from the execution that is kept, from it with the past left out, and by replaying
/// all of history. The three must want the same.
pub(crate) struct Story {
    registry: Registry,
    pub(crate) history: Vec<HistoryEvent>,
    kept: [Option<Cached>; 2],
    pub(crate) now: Timestamp,
    pub(crate) actions: Vec<(i32, Action)>,
    pub(crate) status: Option<String>,
    pub(crate) applied: usize,
}

impl Story {
    /// The instance `id` is created, and has its first turn.
    pub(crate) fn begins(registry: Registry, name: &str, input: &str) -> Self {
        Self::begins_with(registry, started(name, input), vec![])
    }

    /// The same with a start of its own, and with events that arrived before the first turn.
    pub(crate) fn begins_with(
        registry: Registry,
        started: ExecutionStartedEvent,
        more: Vec<EventType>,
    ) -> Self {
        registry.check().unwrap();
        let mut story = Self {
            registry,
            history: vec![],
            kept: [None, None],
            now: Timestamp::from_micros(1_767_323_045_000_000),
            actions: vec![],
            status: None,
            applied: 0,
        };
        let mut events = vec![EventType::ExecutionStarted(Box::new(started))];
        events.extend(more);
        story.turn(events);
        story
    }

    /// Time passes before the next turn.
    pub(crate) fn later(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self
    }

    /// One turn with these events.
    #[track_caller]
    pub(crate) fn turn(&mut self, events: Vec<EventType>) -> &mut Self {
        let mut new = vec![event::orchestrator_started(self.now)];
        new.extend(events.into_iter().map(|body| event::new(event::ARRIVED, self.now, body)));
        let [full, brief] = std::mem::take(&mut self.kept);
        let (had_one, past) = (full.is_some(), self.history.len());
        let sticky = run_turn(&self.registry, request(self.history.clone(), new.clone(), 0), full);
        let replayed = run_turn(&self.registry, request(self.history.clone(), new.clone(), 0), None);
        let omitted = run_turn(&self.registry, request(vec![], new.clone(), past), brief);
        assert_eq!(sticky.response, replayed.response, "a kept execution wants what a replayed one wants");
        assert_eq!(omitted.response, replayed.response, "an omitted past changes nothing");
        if had_one {
            assert_eq!(sticky.applied, new.len(), "a kept execution sees new events only");
        }
        self.commit(new, replayed);
        self.kept = [sticky.cached, omitted.cached];
        self
    }

    fn commit(&mut self, new: Vec<HistoryEvent>, outcome: TurnOutcome) {
        self.history.extend(new);
        self.applied = outcome.applied;
        self.status = outcome.response.custom_status;
        let actions = outcome.response.actions.into_iter();
        self.actions = actions.map(|action| (action.id, action.orchestrator_action_type.unwrap())).collect();
        for (id, action) in self.actions.clone() {
            self.history.extend(recorded(id, self.now, action));
        }
    }

    /// What the last turn wanted, a word for each.
    pub(crate) fn wants(&self) -> Vec<String> {
        self.actions.iter().map(|(id, action)| format!("{id} {}", word(action))).collect()
    }

    /// The completion the last turn wanted.
    #[track_caller]
    pub(crate) fn end(&self) -> &wire::CompleteOrchestrationAction {
        match self.actions.last() {
            Some((_, Action::CompleteOrchestration(end))) => end,
            other => panic!("the orchestration has not ended; the last action is {other:?}"),
        }
    }

    /// The result of a completed orchestration.
    #[track_caller]
    pub(crate) fn result(&self) -> &str {
        let end = self.end();
        assert_eq!(end.orchestration_status(), OrchestrationStatus::Completed, "{end:?}");
        end.result.as_deref().unwrap()
    }

    /// The failure of a failed orchestration.
    #[track_caller]
    pub(crate) fn failure(&self) -> &wire::TaskFailureDetails {
        let end = self.end();
        assert_eq!(end.orchestration_status(), OrchestrationStatus::Failed, "{end:?}");
        end.failure_details.as_ref().unwrap()
    }
}

pub(crate) fn started(name: &str, input: &str) -> ExecutionStartedEvent {
    ExecutionStartedEvent {
        name: name.into(),
        input: Some(input.into()),
        orchestration_instance: Some(wire::OrchestrationInstance {
            instance_id: "i".into(),
            execution_id: Some(EXECUTION.into()),
        }),
        ..ExecutionStartedEvent::default()
    }
}

pub(crate) fn request(
    past: Vec<HistoryEvent>,
    new: Vec<HistoryEvent>,
    omitted: usize,
) -> OrchestratorRequest {
    let omitted = u32::try_from(omitted).unwrap();
    let past_property = || {
        let kind = Some(prost_types::value::Kind::NumberValue(f64::from(omitted)));
        ("taskhub.past".to_owned(), prost_types::Value { kind })
    };
    OrchestratorRequest {
        instance_id: "i".into(),
        execution_id: Some(EXECUTION.into()),
        past_events: past,
        new_events: new,
        properties: (omitted > 0).then(past_property).into_iter().collect(),
        ..OrchestratorRequest::default()
    }
}

/// The event that a scheduler makes of an action.
pub(crate) fn recorded(id: i32, at: Timestamp, action: Action) -> Option<HistoryEvent> {
    Some(match action {
        Action::ScheduleTask(task) => event::task_scheduled(id, at, task),
        Action::CreateTimer(timer) => event::timer_created(id, at, timer.fire_at.unwrap()),
        Action::CreateSubOrchestration(child) => {
            let child_id = InstanceId::unchecked(child.instance_id.as_str());
            event::child_created(id, at, &child_id, child)
        }
        Action::SendEvent(sent) => {
            let target = InstanceId::unchecked(sent.instance.unwrap().instance_id);
            event::event_sent(id, at, &target, sent.name, sent.data)
        }
        Action::SendEntityMessage(message) => {
            let body = match message.entity_message_type.unwrap() {
                Message::EntityOperationCalled(call) => EventType::EntityOperationCalled(call),
                Message::EntityOperationSignaled(signal) => EventType::EntityOperationSignaled(signal),
                Message::EntityLockRequested(lock) => EventType::EntityLockRequested(lock),
                Message::EntityUnlockSent(unlock) => EventType::EntityUnlockSent(unlock),
            };
            event::new(id, at, body)
        }
        Action::CompleteOrchestration(end) => {
            let status = taskhub::model::Status::from_wire(end.orchestration_status())?;
            event::execution_completed(id, at, status, end.result, end.failure_details)
        }
        Action::TerminateOrchestration(_) | Action::RewindOrchestration(_) => return None,
    })
}

fn word(action: &Action) -> String {
    match action {
        Action::ScheduleTask(task) => format!("{}({})", task.name, task.input.as_deref().unwrap_or_default()),
        Action::CreateTimer(_) => "timer".into(),
        Action::CreateSubOrchestration(child) => format!("child {} {}", child.name, child.instance_id),
        Action::SendEvent(event) => format!("event {}", event.name),
        Action::SendEntityMessage(message) => match message.entity_message_type.as_ref().unwrap() {
            Message::EntityOperationCalled(call) => format!("call {}", call.operation),
            Message::EntityOperationSignaled(signal) => format!("signal {}", signal.operation),
            Message::EntityLockRequested(lock) => format!("lock {}", lock.lock_set.join(" ")),
            Message::EntityUnlockSent(unlock) => {
                format!("unlock {}", unlock.target_instance_id.as_deref().unwrap_or_default())
            }
        },
        Action::CompleteOrchestration(end) => {
            end.orchestration_status().as_str_name()["ORCHESTRATION_STATUS_".len()..].into()
        }
        Action::TerminateOrchestration(_) => "terminate".into(),
        Action::RewindOrchestration(_) => "rewind".into(),
    }
}

pub(crate) fn completed(task: i32, result: &str) -> EventType {
    EventType::TaskCompleted(wire::TaskCompletedEvent {
        task_scheduled_id: task,
        result: Some(result.into()),
    })
}

pub(crate) fn failed(task: i32, details: wire::TaskFailureDetails) -> EventType {
    EventType::TaskFailed(wire::TaskFailedEvent { task_scheduled_id: task, failure_details: Some(details) })
}

pub(crate) fn fired(timer: i32) -> EventType {
    EventType::TimerFired(wire::TimerFiredEvent { fire_at: None, timer_id: timer })
}

pub(crate) fn raised(name: &str, input: &str) -> EventType {
    EventType::EventRaised(wire::EventRaisedEvent { name: name.into(), input: Some(input.into()) })
}

pub(crate) fn suspended() -> EventType {
    EventType::ExecutionSuspended(wire::ExecutionSuspendedEvent { input: None })
}

pub(crate) fn resumed() -> EventType {
    EventType::ExecutionResumed(wire::ExecutionResumedEvent { input: None })
}

pub(crate) fn terminated(output: &str) -> EventType {
    EventType::ExecutionTerminated(wire::ExecutionTerminatedEvent {
        input: Some(output.into()),
        recurse: false,
    })
}

pub(crate) fn broke(message: &str) -> wire::TaskFailureDetails {
    taskhub::model::failure::details("Broke", message)
}
