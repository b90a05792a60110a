//! Finds the tasks in a history: what was scheduled, how it ended, and which attempts belong together.

use super::text::{failed, moment, one_line, short};
use crate::model::extension::{ATTEMPT_TAG, CALL_TAG};
use crate::model::{Kind, Status, Timestamp};
use crate::wire::{HistoryEvent, TaskFailureDetails, history_event::EventType};
use std::collections::BTreeMap;

/// How much of a payload is shown.
const PREVIEW: usize = 40;

/// The instance that a history is of, as far as it says.
#[derive(Debug, Default)]
pub struct InstanceView {
    /// The name of its orchestration.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its status; `None` where the history does not begin with its start.
    pub status: Option<Status>,
    /// What it ended with, on one line.
    pub outcome: String,
    /// The moment of the first event.
    pub began: Timestamp,
    /// The moment of the latest event.
    pub last: Timestamp,
    /// Its tasks, in the order in which they began.
    pub tasks: Vec<Task>,
}

impl InstanceView {
    /// Reads a history.
    pub fn of(history: &[HistoryEvent]) -> Self {
        let mut reader = Reader::default();
        let began = history.first().map(moment).unwrap_or_default();
        reader.instance.began = began;
        reader.instance.last = began;
        for event in history {
            let at = moment(event);
            reader.instance.last = reader.instance.last.max(at);
            if let Some(body) = &event.event_type {
                reader.read(event.event_id, at, body);
            }
        }
        reader.instance.tasks.retain(|task| !task.attempts.is_empty());
        reader.instance
    }

    /// The tasks that have begun and not ended, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.to().is_none())
    }
}

/// One logical task: an activity, a child, a timer, a call of an entity, or something that happened at one moment.
#[derive(Debug)]
pub struct Task {
    /// What kind of task it is.
    pub kind: TaskKind,
    /// The name of the activity, orchestration or operation, or of what happened.
    pub name: String,
    /// The id of the first action; -1 for what arrived.
    pub id: i32,
    /// Its attempts, the pauses between them left out.
    pub attempts: Vec<Attempt>,
    /// What it came to, or what it carried.
    pub outcome: String,
}

/// What kind of task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// An activity.
    Activity,
    /// A child orchestration.
    Child,
    /// A timer.
    Timer,
    /// A call of an entity.
    Entity,
    /// A request for the locks of a critical section.
    Lock,
    /// An event that arrived, or something else that happened at one moment.
    Moment,
}

/// From when to when one attempt lasted, and how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// When it was scheduled.
    pub from: Timestamp,
    /// When it ended; `None` while it is open.
    pub to: Option<Timestamp>,
    /// Whether it ended in failure.
    pub failed: bool,
}

impl Task {
    /// When it was first scheduled.
    pub fn from(&self) -> Timestamp {
        self.attempts.first().map_or(Timestamp::EPOCH, |attempt| attempt.from)
    }

    /// When it ended; `None` while it is open.
    pub fn to(&self) -> Option<Timestamp> {
        self.attempts.last().and_then(|attempt| attempt.to)
    }

    /// Whether its last attempt failed.
    pub fn failed(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.failed)
    }

    /// Its name, with its id where it has one.
    pub fn title(&self) -> String {
        let name = one_line(&self.name);
        match (self.kind, self.id) {
            (TaskKind::Moment, _) => name,
            (TaskKind::Timer, id) => format!("timer #{id}"),
            (TaskKind::Child, id) => format!("{name} (child) #{id}"),
            (_, id) => format!("{name} #{id}"),
        }
    }
}

#[derive(Debug, Default)]
struct Reader {
    instance: InstanceView,
    /// Where the task of an action is.
    actions: BTreeMap<i32, usize>,
    /// Where the task of an entity's request or of a critical section is.
    requests: BTreeMap<String, usize>,
    /// The timers that have fired in this turn: one of them may be the pause before an attempt.
    fired: Vec<i32>,
}

impl Reader {
    fn read(&mut self, id: i32, at: Timestamp, body: &EventType) {
        match body {
            EventType::OrchestratorStarted(_) => self.fired.clear(),
            EventType::ExecutionStarted(started) => {
                let instance = started.orchestration_instance.as_ref();
                self.instance.id = instance.map(|it| it.instance_id.clone()).unwrap_or_default();
                self.instance.name.clone_from(&started.name);
                self.instance.status = Some(Status::Running);
            }
            EventType::ExecutionCompleted(ended) => {
                self.instance.status = Status::from_wire(ended.orchestration_status());
                self.instance.outcome = outcome(ended.result.as_deref(), ended.failure_details.as_ref());
            }
            EventType::TaskScheduled(task) => {
                match task.tags.get(CALL_TAG).and_then(|first| first.parse().ok()) {
                    Some(first) if task.tags.contains_key(ATTEMPT_TAG) => self.again(id, first, at),
                    _ => self.begin(TaskKind::Activity, id, &task.name, at),
                }
            }
            EventType::SubOrchestrationInstanceCreated(child) => {
                match child.tags.get(CALL_TAG).and_then(|first| first.parse().ok()) {
                    Some(first) if child.tags.contains_key(ATTEMPT_TAG) => self.again(id, first, at),
                    _ => self.begin(TaskKind::Child, id, &child.name, at),
                }
            }
            EventType::TimerCreated(_) => self.begin(TaskKind::Timer, id, "timer", at),
            EventType::TaskCompleted(ended) => {
                self.end(ended.task_scheduled_id, at, false, outcome(ended.result.as_deref(), None));
            }
            EventType::TaskFailed(ended) => {
                self.end(ended.task_scheduled_id, at, true, outcome(None, ended.failure_details.as_ref()));
            }
            EventType::SubOrchestrationInstanceCompleted(ended) => {
                self.end(ended.task_scheduled_id, at, false, outcome(ended.result.as_deref(), None));
            }
            EventType::SubOrchestrationInstanceFailed(ended) => {
                self.end(ended.task_scheduled_id, at, true, outcome(None, ended.failure_details.as_ref()));
            }
            EventType::TimerFired(fired) => {
                self.end(fired.timer_id, at, false, String::new());
                self.fired.push(fired.timer_id);
            }
            EventType::EntityOperationCalled(call) => {
                self.begin(TaskKind::Entity, id, &call.operation, at);
                self.request(&call.request_id);
            }
            EventType::EntityLockRequested(lock) => {
                self.begin(TaskKind::Lock, id, "lock", at);
                self.request(&lock.critical_section_id);
            }
            EventType::EntityOperationCompleted(ended) => {
                self.answer(&ended.request_id, at, false, outcome(ended.output.as_deref(), None));
            }
            EventType::EntityOperationFailed(ended) => {
                self.answer(&ended.request_id, at, true, outcome(None, ended.failure_details.as_ref()));
            }
            EventType::EntityLockGranted(granted) => {
                self.answer(&granted.critical_section_id, at, false, String::new());
            }
            EventType::EventRaised(event) => self.happened(&format!("event {}", event.name), at),
            EventType::EventSent(event) => {
                self.happened(&format!("sent {} to {}", event.name, event.instance_id), at);
            }
            EventType::EntityOperationSignaled(signal) => {
                self.happened(&format!("signal {}", signal.operation), at);
            }
            EventType::ExecutionTerminated(_)
            | EventType::ExecutionSuspended(_)
            | EventType::ExecutionResumed(_)
            | EventType::ExecutionRewound(_)
            | EventType::ContinueAsNew(_) => self.happened(Kind::of(body).as_str(), at),
            EventType::OrchestratorCompleted(_)
            | EventType::EntityUnlockSent(_)
            | EventType::GenericEvent(_)
            | EventType::HistoryState(_) => {}
        }
    }

    fn begin(&mut self, kind: TaskKind, id: i32, name: &str, at: Timestamp) {
        self.actions.insert(id, self.instance.tasks.len());
        let attempts = vec![Attempt { from: at, to: None, failed: false }];
        self.instance.tasks.push(Task { kind, name: name.to_owned(), id, attempts, outcome: String::new() });
    }

    fn request(&mut self, id: &str) {
        self.requests.insert(id.to_owned(), self.instance.tasks.len() - 1);
    }

    /// Another attempt of the task that action `first` began. The timer that has just fired was the pause before it.
    fn again(&mut self, id: i32, first: i32, at: Timestamp) {
        let Some(&task) = self.actions.get(&first) else { return };
        self.actions.insert(id, task);
        self.instance.tasks[task].attempts.push(Attempt { from: at, to: None, failed: false });
        if !self.fired.is_empty() {
            let pause = self.fired.remove(0);
            if let Some(row) = self.actions.remove(&pause) {
                // Emptied, not removed: the others keep their places.
                self.instance.tasks[row].attempts.clear();
            }
        }
    }

    fn end(&mut self, id: i32, at: Timestamp, failed: bool, outcome: String) {
        if let Some(&task) = self.actions.get(&id) {
            self.close(task, at, failed, outcome);
        }
    }

    fn answer(&mut self, id: &str, at: Timestamp, failed: bool, outcome: String) {
        if let Some(&task) = self.requests.get(id) {
            self.close(task, at, failed, outcome);
        }
    }

    fn close(&mut self, task: usize, at: Timestamp, failed: bool, outcome: String) {
        self.instance.tasks[task].outcome = outcome;
        if let Some(attempt) = self.instance.tasks[task].attempts.last_mut() {
            attempt.to = Some(at);
            attempt.failed = failed;
        }
    }

    fn happened(&mut self, what: &str, at: Timestamp) {
        let attempts = vec![Attempt { from: at, to: Some(at), failed: false }];
        self.instance.tasks.push(Task {
            kind: TaskKind::Moment,
            name: what.to_owned(),
            id: -1,
            attempts,
            outcome: String::new(),
        });
    }
}

/// How something ended, on one line.
fn outcome(result: Option<&str>, failure: Option<&TaskFailureDetails>) -> String {
    match (failure, result) {
        (Some(_), _) => failed(failure),
        (None, Some(result)) => short(result, PREVIEW),
        (None, None) => String::new(),
    }
}
