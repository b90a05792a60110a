//! Rewinds failed instances: the worker writes the history anew, the engine goes on from there (protocol/turns.md#rewind).

use super::Decider;
use super::end::outcome;
use super::open_turn::{OpenTurn, TurnResult};
use super::outbox::Outgoing;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::entity::{Caller, LockRequest};
use crate::emulator::engine::record::{Record, Rewound, Scheduled};
use crate::emulator::engine::state::history::{decode, encode};
use crate::emulator::engine::state::instance::{ParentRef, execution_of};
use crate::model::{ExecutionId, InstanceId, Status, Timestamp, event};
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::{self, HistoryEvent, history_event::EventType};
use prost::Message as _;
use std::collections::BTreeMap;

impl Decider {
    /// `RewindInstance`: the instance has left FAILED when this returns, and a worker is asked to write its history
    /// anew.
    pub(crate) fn rewind(
        &mut self,
        id: &InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let instance = self.state.instance(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        let status = instance.status();
        if status != Status::Failed {
            return Err(Refusal::WrongStatus {
                id: id.clone(),
                status,
                action: "rewind",
                hint: "only a FAILED orchestration can be rewound",
            });
        }
        let rewound = wire::ExecutionRewoundEvent { reason, ..wire::ExecutionRewoundEvent::default() };
        self.begin_rewind(id, rewound, now);
        Ok(Reply::Done)
    }

    /// Rewinds a child with its parent; one that has not failed has nothing to rewind.
    pub(crate) fn rewind_child(
        &mut self,
        id: &InstanceId,
        rewound: wire::ExecutionRewoundEvent,
        now: Timestamp,
    ) {
        if self.state.status_of(id) == Some(Status::Failed) {
            self.begin_rewind(id, rewound, now);
        }
    }

    fn begin_rewind(&mut self, id: &InstanceId, rewound: wire::ExecutionRewoundEvent, now: Timestamp) {
        let event = encode(&event::execution_rewound(now, rewound));
        self.put(Record::RewindBegan { id: id.clone(), at: now, event });
    }

    /// Takes the answer to the turn of a rewind. Without a new history the worker has refused, and the instance has
    /// failed as before.
    pub(super) fn complete_rewind(
        &mut self,
        turn: &OpenTurn,
        answer: wire::OrchestratorResponse,
        now: Timestamp,
    ) -> TurnResult {
        let id = &turn.id;
        let rewritten = answer.actions.into_iter().find_map(|action| match action.orchestrator_action_type {
            Some(Action::RewindOrchestration(rewind)) => {
                started_of(&rewind.new_history).map(|started| (started, rewind.new_history))
            }
            _ => None,
        });
        let Some((started, history)) = rewritten else {
            self.refuse_rewind(id, now);
            return TurnResult::NotRewound;
        };
        let execution = execution_of(&started);
        let open = Unfinished::read(&history);
        let mut scheduled = open.activities(id, &execution, &started);
        scheduled.extend(
            open.timers.iter().map(|(timer, fire_at)| Scheduled::Timer { timer: *timer, fire_at: *fire_at }),
        );
        let mut outgoing = open.lock_requests(id, &execution);
        for (task, child) in &open.children {
            let parent = ParentRef { id: id.clone(), execution: execution.clone(), task: *task };
            let (waiting, sent) = self.child_after_rewind(parent, child, &started, turn);
            scheduled.push(waiting);
            outgoing.extend(sent);
        }
        let rewound = Rewound {
            at: now,
            turn_at: turn.at,
            history: history.iter().map(encode).collect(),
            started: Box::new(started),
            offspring: open.offspring,
            nudged: open.children.is_empty(),
            scheduled,
        };
        self.put(Record::Rewound { id: id.clone(), rewound: Box::new(rewound) });
        self.outbox.extend(outgoing);
        TurnResult::Over
    }

    /// The end that was to be undone stands again.
    pub(super) fn refuse_rewind(&mut self, id: &InstanceId, now: Timestamp) {
        self.put(Record::RewindRefused { id: id.clone(), at: now });
        // A parent that was rewound with it waits for it again.
        if let Some(end) = self.state.instance(id).and_then(|instance| instance.end().cloned()) {
            self.after_end(id, &end, false);
        }
    }

    /// What becomes of a child whose end the new history does not have: a failed one is rewound, a purged one is made
    /// again, one that has ended says so again, one that runs is waited for.
    fn child_after_rewind(
        &mut self,
        parent: ParentRef,
        created: &wire::SubOrchestrationInstanceCreatedEvent,
        started: &wire::ExecutionStartedEvent,
        turn: &OpenTurn,
    ) -> (Scheduled, Option<Outgoing>) {
        let id = InstanceId::unchecked(created.instance_id.as_str());
        let task = parent.task;
        // An instance of that id that is no child of this one does not count: the child is created again, and that may fail.
        let ours = |of: &ParentRef| of.id == parent.id && of.task == task;
        let child = self.state.instance(&id).filter(|child| child.parent().is_some_and(ours));
        let Some(child) = child else {
            let execution = self.ids.execution();
            let again = wire::ExecutionStartedEvent {
                name: created.name.clone(),
                version: created.version.clone(),
                input: created.input.clone(),
                orchestration_instance: Some(event::instance_ref(&id, &execution)),
                parent_instance: Some(wire::ParentInstanceInfo {
                    task_scheduled_id: task,
                    name: Some(started.name.clone()),
                    version: started.version.clone(),
                    orchestration_instance: Some(event::instance_ref(&parent.id, &parent.execution)),
                }),
                scheduled_start_timestamp: None,
                parent_trace_context: created.parent_trace_context.clone(),
                orchestration_span_id: None,
                tags: created.tags.clone(),
            };
            let outgoing = Outgoing::Child { id: id.clone(), parent, started: Box::new(again) };
            return (Scheduled::Child { task, id, execution }, Some(outgoing));
        };
        let waiting = Scheduled::Child { task, id: id.clone(), execution: child.execution().clone() };
        let outgoing = match child.end() {
            None => None,
            Some(end) if end.status == Status::Failed => Some(Outgoing::Rewind {
                id,
                rewound: Box::new(wire::ExecutionRewoundEvent {
                    reason: self.reason_of(turn),
                    parent_execution_id: Some(parent.execution.as_str().to_owned()),
                    instance_id: Some(created.instance_id.clone()),
                    parent_trace_context: created.parent_trace_context.clone(),
                    ..wire::ExecutionRewoundEvent::default()
                }),
            }),
            Some(end) => {
                Some(Outgoing::ChildEnded { parent, child: child.execution().clone(), outcome: outcome(end) })
            }
        };
        (waiting, outgoing)
    }

    /// Why the rewind was asked for: its children hear the same.
    fn reason_of(&self, turn: &OpenTurn) -> Option<String> {
        let rewinding = self.state.instance(&turn.id)?.rewinding()?;
        let event = decode(rewinding)?.event_type?;
        if let EventType::ExecutionRewound(rewound) = event { rewound.reason } else { None }
    }
}

fn started_of(history: &[HistoryEvent]) -> Option<wire::ExecutionStartedEvent> {
    history.iter().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionStarted(started)) => Some((**started).clone()),
        _ => None,
    })
}

/// What a history has begun and not ended.
#[derive(Default)]
struct Unfinished {
    tasks: BTreeMap<i32, wire::TaskScheduledEvent>,
    timers: BTreeMap<i32, prost_types::Timestamp>,
    children: BTreeMap<i32, wire::SubOrchestrationInstanceCreatedEvent>,
    offspring: Vec<InstanceId>,
    /// Locks asked for, by critical section.
    locks: BTreeMap<String, wire::EntityLockRequestedEvent>,
}

impl Unfinished {
    fn read(history: &[HistoryEvent]) -> Self {
        let mut open = Self::default();
        for event in history {
            match event.event_type.as_ref() {
                Some(EventType::TaskScheduled(task)) => {
                    open.tasks.insert(event.event_id, task.clone());
                }
                Some(EventType::TaskCompleted(done)) => drop(open.tasks.remove(&done.task_scheduled_id)),
                Some(EventType::TaskFailed(done)) => drop(open.tasks.remove(&done.task_scheduled_id)),
                Some(EventType::TimerCreated(timer)) => {
                    open.timers.insert(event.event_id, timer.fire_at.unwrap_or_default());
                }
                Some(EventType::TimerFired(fired)) => drop(open.timers.remove(&fired.timer_id)),
                Some(EventType::SubOrchestrationInstanceCreated(child)) => {
                    open.offspring.push(InstanceId::unchecked(child.instance_id.as_str()));
                    open.children.insert(event.event_id, child.clone());
                }
                Some(EventType::SubOrchestrationInstanceCompleted(done)) => {
                    open.children.remove(&done.task_scheduled_id);
                }
                Some(EventType::SubOrchestrationInstanceFailed(done)) => {
                    open.children.remove(&done.task_scheduled_id);
                }
                Some(EventType::EntityLockRequested(lock)) => {
                    open.locks.insert(lock.critical_section_id.clone(), lock.clone());
                }
                Some(EventType::EntityLockGranted(granted)) => {
                    open.locks.remove(&granted.critical_section_id);
                }
                _ => {}
            }
        }
        open
    }

    /// Locks that were asked for and not granted: the requests were withdrawn when the instance failed, so they are made
    /// again. Operations are not: they are with their entities, and run once.
    fn lock_requests(&self, id: &InstanceId, execution: &ExecutionId) -> Vec<Outgoing> {
        let caller = || Caller { instance: id.clone(), execution: execution.clone() };
        let requests = self.locks.values().filter_map(|lock| LockRequest::parse(caller(), lock).ok());
        requests.map(Outgoing::Lock).collect()
    }

    /// Activities that were under way when the instance failed: their results were dropped then, so they run again.
    fn activities(
        &self,
        id: &InstanceId,
        execution: &ExecutionId,
        started: &wire::ExecutionStartedEvent,
    ) -> Vec<Scheduled> {
        let again = |(task_id, task): (&i32, &wire::TaskScheduledEvent)| {
            let request = wire::ActivityRequest {
                name: task.name.clone(),
                version: task.version.clone(),
                input: task.input.clone(),
                orchestration_instance: Some(event::instance_ref(id, execution)),
                task_id: *task_id,
                parent_trace_context: task.parent_trace_context.clone(),
                tags: task.tags.clone(),
            };
            Scheduled::Activity {
                task: *task_id,
                name: task.name.clone(),
                version: task.version.clone().or_else(|| started.version.clone()),
                request: request.encode_to_vec().into(),
            }
        };
        self.tasks.iter().map(again).collect()
    }
}
