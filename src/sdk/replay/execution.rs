//! Walks one execution through its history, an event at a time, and says after each turn what it wants.

use super::confirm::ScheduledAction;
use super::context::OrchestrationContext;
use super::core::{Core, Facts, NextExecution, Parent};
use super::failure::{DecodeError, FailureDetails};
use super::names::FunctionNames;
use super::poll::{self, OrchestratorResult, Root};
use super::slot::{CallSite, WaitOutcome};
use crate::model::{Kind, Timestamp};
use crate::wire::{self, HistoryEvent, history_event::EventType};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

pub(crate) mod answer;

pub(crate) use super::poll::ErasedFuture;

/// An orchestrator, its types hidden.
#[derive(Clone)]
pub(crate) struct Definition {
    /// Begins an execution from its encoded input.
    pub begin: Arc<dyn Fn(OrchestrationContext, Option<String>) -> ErasedFuture + Send + Sync>,
    /// Says what is wrong with an input for the next execution.
    pub check_input: fn(&str) -> Result<(), DecodeError>,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definition").finish_non_exhaustive()
    }
}

/// What of an event tells it from another one.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    id: i32,
    at: Option<prost_types::Timestamp>,
    kind: Option<Kind>,
}

impl Mark {
    fn of(event: &HistoryEvent) -> Self {
        let kind = event.event_type.as_ref().map(Kind::of);
        Self { id: event.event_id, at: event.timestamp, kind }
    }
}

/// A termination, and the output it asks for.
#[derive(Debug)]
struct Terminated(Option<String>);

/// How the code has ended.
#[derive(Debug)]
enum CodeEnd {
    Returned(OrchestratorResult),
    Next(NextExecution),
}

/// One execution of an orchestrator, kept between turns.
///
/// It stays on the thread that made it. Dropping it changes nothing: the next turn replays history.
pub(crate) struct Execution {
    core: Rc<Core>,
    root: Arc<Root>,
    definition: Definition,
    future: Option<ErasedFuture>,
    ended: Option<CodeEnd>,
    terminated: Option<Terminated>,
    fault: Option<FailureDetails>,
    suspended: bool,
    /// What has arrived since it was suspended.
    stash: VecDeque<HistoryEvent>,
    /// What a finished turn scheduled and history does not hold, unless a rewind explains it.
    suspect: Option<FailureDetails>,
    rewound: bool,
    applied: usize,
    last: Option<Mark>,
    /// The ids of the actions that the last answer held and history will.
    sent: Vec<i32>,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution")
            .field("instance_id", &self.core.facts.instance_id)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

impl Execution {
    /// An execution that has not begun: it has seen no event yet.
    pub(crate) fn new(
        instance_id: String,
        execution_id: String,
        started: &wire::ExecutionStartedEvent,
        definition: Definition,
        names: Arc<FunctionNames>,
        child_version: Option<Arc<str>>,
    ) -> Self {
        let parent = started.parent_instance.as_ref().map(|parent| Parent {
            instance_id: parent
                .orchestration_instance
                .as_ref()
                .map(|i| i.instance_id.clone())
                .unwrap_or_default(),
            name: parent.name.clone().unwrap_or_default(),
            version: parent.version.clone(),
            task_id: parent.task_scheduled_id,
        });
        let facts = Facts {
            instance_id,
            execution_id,
            name: started.name.clone(),
            version: started.version.clone(),
            parent,
            tags: started.tags.clone(),
            child_version,
        };
        Self {
            core: Rc::new(Core::new(facts, names)),
            root: Root::new(),
            definition,
            future: None,
            ended: None,
            terminated: None,
            fault: None,
            suspended: false,
            stash: VecDeque::new(),
            suspect: None,
            rewound: false,
            applied: 0,
            last: None,
            sent: Vec::new(),
        }
    }

    /// Whether what a turn says of the past is what this execution has seen, and nothing else.
    ///
    /// `omitted` counts events of the past that are not in `past`. Only what is new is looked at.
    pub(crate) fn continues(&self, execution_id: &str, past: &[HistoryEvent], omitted: usize) -> bool {
        if execution_id != self.core.facts.execution_id {
            return false;
        }
        if omitted > 0 {
            return past.is_empty() && omitted == self.applied + self.sent.len();
        }
        let Some(tail) = past.get(self.applied..) else { return false };
        if self.applied == 0 || past.get(self.applied - 1).map(Mark::of) != self.last {
            return false;
        }
        let is_note =
            |event: &&HistoryEvent| matches!(event.event_type, Some(EventType::OrchestratorCompleted(_)));
        let scheduled = tail.iter().filter(|event| !is_note(event));
        scheduled.map(|event| event.event_id).eq(self.sent.iter().copied())
    }

    /// Begins a further turn; `past` is how many events the past holds by now.
    pub(crate) fn resume(&mut self, past: usize) {
        self.applied = past;
        self.sent.clear();
    }

    /// How many events have been seen.
    pub(crate) fn applied(&self) -> usize {
        self.applied
    }

    /// What it waits for, and where in the source each wait was made.
    pub(crate) fn waits(&self) -> Vec<(String, CallSite)> {
        self.core.waits()
    }

    /// Whether something that is not durable has woken it. The next turn then fails it.
    pub(crate) fn was_woken_from_outside(&self) -> bool {
        self.root.was_woken_from_outside()
    }

    /// What went wrong, if something did.
    pub(crate) fn fault(&self) -> Option<&FailureDetails> {
        self.fault.as_ref()
    }

    /// Applies one event, and runs the code until it waits again.
    pub(crate) fn feed(&mut self, event: HistoryEvent, replaying: bool) {
        self.last = Some(Mark::of(&event));
        self.applied += 1;
        if !replaying {
            self.accuse();
        }
        if self.fault.is_some() {
            // A termination ends even what has failed.
            if let Some(EventType::ExecutionTerminated(terminated)) = event.event_type {
                self.terminated = Some(Terminated(terminated.input));
            }
            return;
        }
        self.core.replaying.set(replaying);
        self.root.open();
        // User code runs outside of polls too: conditions of retry policies, decoders, and destructors.
        let applied = catch_unwind(AssertUnwindSafe(|| self.control(event)))
            .unwrap_or_else(|panic| Err(poll::panicked(&*panic)));
        if let Err(fault) = applied {
            self.fault = Some(self.suspect.take().unwrap_or(fault));
        }
        self.root.close();
    }

    /// Applies events about the execution itself; everything else waits while it is suspended.
    fn control(&mut self, event: HistoryEvent) -> Result<(), FailureDetails> {
        match event.event_type {
            Some(EventType::OrchestratorStarted(_)) => {
                // A turn that ends suspended keeps its actions back.
                if !self.suspended && !self.rewound && self.suspect.is_none() {
                    self.suspect = self.core.unconfirmed();
                }
                if let Some(at) = &event.timestamp {
                    self.core.now.set(Timestamp::from_wire(at));
                }
            }
            Some(EventType::ExecutionTerminated(terminated)) => {
                self.terminated.get_or_insert(Terminated(terminated.input));
            }
            Some(EventType::ExecutionSuspended(_)) => self.suspended = true,
            Some(EventType::ExecutionResumed(_)) => {
                self.suspended = false;
                while let Some(event) = self.stash.pop_front() {
                    self.apply(event)?;
                    self.advance();
                }
            }
            Some(EventType::ExecutionRewound(_)) => {
                (self.rewound, self.suspect) = (true, None);
            }
            _ if self.suspended => self.stash.push_back(event),
            _ => {
                self.apply(event)?;
                self.advance();
            }
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest are notes that change nothing for the code")]
    fn apply(&mut self, event: HistoryEvent) -> Result<(), FailureDetails> {
        let Some(body) = event.event_type else { return Ok(()) };
        if let Some(scheduled) = ScheduledAction::in_history(&body) {
            return self.core.confirm(event.event_id, scheduled);
        }
        let failed = |details: Option<wire::TaskFailureDetails>| {
            WaitOutcome::Failure(Box::new(details.unwrap_or_else(|| wire::TaskFailureDetails {
                error_message: "the task failed, and does not say why".into(),
                ..wire::TaskFailureDetails::default()
            })))
        };
        let core = &self.core;
        match body {
            EventType::ExecutionStarted(started) if self.future.is_none() && self.ended.is_none() => {
                let context = OrchestrationContext(Rc::clone(core));
                self.future = Some((self.definition.begin)(context, started.input));
            }
            EventType::TaskCompleted(task) => {
                core.task_ended(task.task_scheduled_id, WaitOutcome::Value(task.result));
            }
            EventType::TaskFailed(task) => {
                core.task_ended(task.task_scheduled_id, failed(task.failure_details));
            }
            EventType::SubOrchestrationInstanceCompleted(child) => {
                core.task_ended(child.task_scheduled_id, WaitOutcome::Value(child.result));
            }
            EventType::SubOrchestrationInstanceFailed(child) => {
                core.task_ended(child.task_scheduled_id, failed(child.failure_details));
            }
            EventType::TimerFired(timer) => core.timer_fired(timer.timer_id),
            EventType::EventRaised(raised) => core.event_raised(raised.name, raised.input, event.timestamp),
            EventType::EntityOperationCompleted(done) => {
                core.answered(&done.request_id, WaitOutcome::Value(done.output));
            }
            EventType::EntityOperationFailed(done) => {
                core.answered(&done.request_id, failed(done.failure_details));
            }
            EventType::EntityLockGranted(lock) => {
                core.answered(&lock.critical_section_id, WaitOutcome::Value(None));
            }
            _ => {}
        }
        Ok(())
    }

    /// Runs the code until it waits, ends or breaks a rule.
    fn advance(&mut self) {
        let Some(future) = &mut self.future else { return };
        let core = Rc::clone(&self.core);
        let polled =
            self.root.advance(future, || core.next.borrow().is_some() || core.broken.borrow().is_some());
        let next = core.next.borrow_mut().take();
        if let Some(broken) = core.broken.borrow_mut().take() {
            self.fault = Some(broken);
        } else if let Some(next) = next {
            match (self.definition.check_input)(&next.input) {
                Ok(()) => self.ended = Some(CodeEnd::Next(next)),
                Err(why) => self.fault = Some(FailureDetails::permanent("DecodeError", why.to_string())),
            }
        } else if let Poll::Ready(end) = polled {
            self.ended = Some(CodeEnd::Returned(end));
        } else {
            return;
        }
        // What the code still holds gives back events, unlocks entities and withdraws timers.
        drop(self.future.take());
    }

    /// What a finished turn left unconfirmed differs from history, now that no rewind can explain it any more.
    fn accuse(&mut self) {
        if let Some(suspect) = self.suspect.take()
            && self.fault.is_none()
        {
            self.fault = Some(suspect);
        }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.core.evicted.set(true);
        let future = self.future.take();
        // What the orchestrator holds is dropped here, and may panic; there is no turn left to report it in.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}
