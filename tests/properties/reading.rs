//! Reads a history the way a worker would, and holds it to the rules of histories while doing so.

use std::collections::BTreeMap;
use taskhub::wire::{self, HistoryEvent, history_event::EventType};

/// What a history says is still to come, and what it says about the instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Activities scheduled and not done.
    pub(crate) activities: BTreeMap<i32, String>,
    /// Activities that ended in a failure, whose id may be used again.
    pub(crate) failed: Vec<i32>,
    /// Timers set and not fired.
    pub(crate) timers: BTreeMap<i32, prost_types::Timestamp>,
    /// Children created and not ended.
    pub(crate) children: BTreeMap<i32, String>,
    /// Entity calls without an answer, by request id.
    pub(crate) calls: BTreeMap<String, String>,
    /// Critical sections asked for and not granted.
    pub(crate) asked: BTreeMap<String, Vec<String>>,
    /// Critical sections granted, with what of their set is not unlocked.
    pub(crate) held: BTreeMap<String, Vec<String>>,
    pub(crate) suspended: bool,
    /// What the last termination gives as output.
    #[expect(clippy::option_option, reason = "terminated or not, and if so with an output or without")]
    pub(crate) terminated: Option<Option<String>>,
    pub(crate) completed: bool,
    /// The highest id of an action so far, and how many ids were used again.
    pub(crate) highest: i32,
    /// The moment of the last turn.
    pub(crate) clock: Option<prost_types::Timestamp>,
}

impl Reading {
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a HistoryEvent>) -> Self {
        let mut reading = Self { highest: -1, ..Self::default() };
        for (at, event) in events.into_iter().enumerate() {
            reading.read(at, event);
        }
        reading
    }

    /// The id that a lawful worker gives to its next action.
    pub(crate) fn next_id(&self) -> i32 {
        self.highest + 1
    }

    fn read(&mut self, at: usize, event: &HistoryEvent) {
        let id = event.event_id;
        assert!(event.timestamp.is_some(), "every event has a moment: {event:?}");
        let body = event.event_type.as_ref().expect("every event has a body");
        // An end by decree has no action.
        let completes = matches!(body, EventType::ExecutionCompleted(_));
        // A beginning has the id 0, whatever number a worker begins its actions with.
        let begins = matches!(body, EventType::ExecutionStarted(_)) && id == 0;
        assert!(completes || begins || (id < 0) == arrives(body), "ids are of actions alone: {event:?}");
        if !begins {
            self.highest = self.highest.max(id);
        }
        match body {
            EventType::OrchestratorStarted(_) => {
                let (before, now) = (self.clock.take(), event.timestamp);
                assert!(key(before) <= key(now), "the orchestrator's clock never runs back");
                self.clock = now;
            }
            EventType::ExecutionStarted(_) => {
                assert_eq!(at, 1, "an execution begins once, in its first turn");
            }
            EventType::TaskScheduled(task) => {
                self.failed.retain(|failed| *failed != id);
                let again = self.activities.insert(id, task.name.clone());
                assert_eq!(again, None, "{id} was scheduled once");
            }
            EventType::TaskCompleted(done) => {
                let task = self.activities.remove(&done.task_scheduled_id);
                assert!(task.is_some(), "completed, not scheduled: {event:?}");
            }
            EventType::TaskFailed(failed) => {
                let task = self.activities.remove(&failed.task_scheduled_id);
                assert!(task.is_some(), "failed, not scheduled: {event:?}");
                self.failed.push(failed.task_scheduled_id);
            }
            EventType::TimerCreated(timer) => drop(self.timers.insert(id, timer.fire_at.expect("set"))),
            EventType::TimerFired(fired) => {
                let timer = self.timers.remove(&fired.timer_id);
                assert!(timer.is_some() && timer == fired.fire_at, "fired, not set: {event:?}");
                assert!(key(fired.fire_at) <= key(self.clock), "fired early: {event:?}");
            }
            EventType::SubOrchestrationInstanceCreated(child) => {
                assert!(!child.instance_id.is_empty());
                self.children.insert(id, child.instance_id.clone());
            }
            EventType::SubOrchestrationInstanceCompleted(done) => {
                let child = self.children.remove(&done.task_scheduled_id);
                assert!(child.is_some(), "a child that was not created ended: {event:?}");
            }
            EventType::SubOrchestrationInstanceFailed(failed) => {
                let child = self.children.remove(&failed.task_scheduled_id);
                assert!(child.is_some(), "a child that was not created failed: {event:?}");
                assert!(
                    failed.failure_details.is_some(),
                    "the details of a child's failure are never absent"
                );
            }
            EventType::EntityOperationCalled(call) => {
                assert_eq!((&call.parent_instance_id, &call.parent_execution_id), (&None, &None));
                let target = call.target_instance_id.clone().expect("history names the target");
                self.calls.insert(call.request_id.clone(), target);
            }
            EventType::EntityOperationCompleted(wire::EntityOperationCompletedEvent {
                request_id, ..
            })
            | EventType::EntityOperationFailed(wire::EntityOperationFailedEvent { request_id, .. }) => {
                assert!(self.calls.remove(request_id).is_some(), "answered, not called: {event:?}");
            }
            EventType::EntityLockRequested(lock) => {
                self.asked.insert(lock.critical_section_id.clone(), lock.lock_set.clone());
            }
            EventType::EntityLockGranted(granted) => {
                let set = self.asked.remove(&granted.critical_section_id);
                let set = set.unwrap_or_else(|| panic!("granted, not asked: {event:?}"));
                self.held.insert(granted.critical_section_id.clone(), set);
            }
            EventType::EntityUnlockSent(unlock) => {
                // Given back before the grant was consumed, it is not held afterwards either.
                let section = &unlock.critical_section_id;
                for set in [self.held.get_mut(section), self.asked.get_mut(section)].into_iter().flatten() {
                    set.retain(|entity| Some(entity) != unlock.target_instance_id.as_ref());
                }
            }
            EventType::ExecutionSuspended(_) => self.suspended = true,
            EventType::ExecutionResumed(_) => self.suspended = false,
            EventType::ExecutionTerminated(terminated) => self.terminated = Some(terminated.input.clone()),
            EventType::ExecutionCompleted(_) => self.completed = true,
            EventType::EventSent(_)
            | EventType::EventRaised(_)
            | EventType::EntityOperationSignaled(_)
            | EventType::ExecutionRewound(_) => {}
            EventType::OrchestratorCompleted(_)
            | EventType::GenericEvent(_)
            | EventType::HistoryState(_)
            | EventType::ContinueAsNew(_) => panic!("{event:?} is never written"),
        }
    }
}

/// Whether an event arrives, rather than records an action.
fn arrives(body: &EventType) -> bool {
    match body {
        EventType::TaskScheduled(_)
        | EventType::TimerCreated(_)
        | EventType::SubOrchestrationInstanceCreated(_)
        | EventType::EventSent(_)
        | EventType::EntityOperationSignaled(_)
        | EventType::EntityOperationCalled(_)
        | EventType::EntityLockRequested(_)
        | EventType::EntityUnlockSent(_)
        | EventType::ExecutionCompleted(_) => false,
        EventType::ExecutionStarted(_)
        | EventType::ExecutionTerminated(_)
        | EventType::TaskCompleted(_)
        | EventType::TaskFailed(_)
        | EventType::SubOrchestrationInstanceCompleted(_)
        | EventType::SubOrchestrationInstanceFailed(_)
        | EventType::TimerFired(_)
        | EventType::OrchestratorStarted(_)
        | EventType::OrchestratorCompleted(_)
        | EventType::EventRaised(_)
        | EventType::GenericEvent(_)
        | EventType::HistoryState(_)
        | EventType::ContinueAsNew(_)
        | EventType::ExecutionSuspended(_)
        | EventType::ExecutionResumed(_)
        | EventType::EntityOperationCompleted(_)
        | EventType::EntityOperationFailed(_)
        | EventType::EntityLockGranted(_)
        | EventType::ExecutionRewound(_) => true,
    }
}

fn key(moment: Option<prost_types::Timestamp>) -> Option<(i64, i32)> {
    moment.map(|moment| (moment.seconds, moment.nanos))
}

/// The events of the given names raised in these events: what was sent as input, in order.
pub(crate) fn raised(events: &[HistoryEvent]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(|event| match &event.event_type {
        Some(EventType::EventRaised(raised)) => raised.input.as_deref(),
        _ => None,
    })
}
