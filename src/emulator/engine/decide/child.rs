//! Creates children, and tells parents how they ended.

use super::Decider;
use super::actions::TurnPlan;
use super::open_turn::OpenTurn;
use super::outbox::Outgoing;
use crate::emulator::engine::record::{Record, Scheduled, Settles};
use crate::emulator::engine::state::history::encode;
use crate::emulator::engine::state::instance::{ParentRef, execution_of};
use crate::model::{ExecutionId, InstanceId, Kind, Timestamp, event, failure};
use crate::wire;

impl Decider {
    /// Reads the action that creates a child (protocol/turns.md#children).
    pub(super) fn plan_child(
        &mut self,
        turn: &OpenTurn,
        task: i32,
        action: wire::CreateSubOrchestrationAction,
        now: Timestamp,
        plan: &mut TurnPlan,
    ) {
        let id = child_id(&turn.id, task, &action.instance_id);
        let execution = self.ids.execution();
        let Some(parent) = self.state.instance(&turn.id) else { return };
        let info = wire::ParentInstanceInfo {
            task_scheduled_id: task,
            name: Some(parent.started().name.clone()),
            version: parent.started().version.clone(),
            orchestration_instance: Some(event::instance_ref(&turn.id, &turn.execution)),
        };
        let started = wire::ExecutionStartedEvent {
            name: action.name.clone(),
            version: action.version.clone(),
            input: action.input.clone(),
            orchestration_instance: Some(event::instance_ref(&id, &execution)),
            parent_instance: Some(info),
            scheduled_start_timestamp: None,
            parent_trace_context: action.parent_trace_context.clone(),
            orchestration_span_id: None,
            tags: action.tags.clone(),
        };
        plan.events.push(encode(&event::child_created(task, now, &id, action)));
        plan.scheduled.push(Scheduled::Child { task, id: id.clone(), execution });
        let parent = ParentRef { id: turn.id.clone(), execution: turn.execution.clone(), task };
        plan.outgoing.push(Outgoing::Child { id, parent, started: Box::new(started) });
    }

    /// Creates a child. One of that id that has ended is replaced: retries use the id again. One that lives is either
    /// this very child, created before, or another instance, and then the parent hears of a failure (unsure).
    pub(crate) fn create_child(
        &mut self,
        id: &InstanceId,
        parent: &ParentRef,
        started: Box<wire::ExecutionStartedEvent>,
        now: Timestamp,
    ) {
        if started.name.is_empty() {
            // No worker would ever take it: the parent hears so at once.
            let failed = failure::not_retriable(
                "OrchestrationNameMissing",
                format!("the sub-orchestration '{id}' has no name; say which orchestrator is to run"),
            );
            let execution = execution_of(&started);
            self.child_ended(parent, &execution, Err(Box::new(failed)), now);
            return;
        }
        if let Some(existing) = self.state.instance(id)
            && !existing.has_ended()
        {
            if existing.parent() == Some(parent) {
                return;
            }
            let status = existing.status();
            let execution = execution_of(&started);
            let failed = failure::details(
                "OrchestrationAlreadyExists",
                format!("an orchestration with instance id '{id}' and status '{status}' already exists"),
            );
            self.child_ended(parent, &execution, Err(Box::new(failed)), now);
            return;
        }
        self.put(Record::Created { id: id.clone(), at: now, started, start_at: None });
    }

    /// Tells a parent how its child ended, if it still waits for this very execution of it: the late end of an earlier
    /// attempt must not end a later one.
    pub(crate) fn child_ended(
        &mut self,
        parent: &ParentRef,
        child: &ExecutionId,
        outcome: Result<Option<String>, Box<wire::TaskFailureDetails>>,
        now: Timestamp,
    ) {
        let Some(waiting) = self.state.instance(&parent.id) else { return };
        let expected = waiting.child(parent.task).is_some_and(|known| known.execution == *child);
        if *waiting.execution() != parent.execution || !expected {
            return;
        }
        let (kind, event) = match outcome {
            Ok(result) => {
                (Kind::SubOrchestrationInstanceCompleted, event::child_completed(now, parent.task, result))
            }
            Err(failure) => {
                (Kind::SubOrchestrationInstanceFailed, event::child_failed(now, parent.task, *failure))
            }
        };
        self.arrive(&parent.id, Settles::Child(parent.task), kind, &event, now);
    }
}

/// The id of a child: the one the worker gave, or the parent's with the action's id in hex.
fn child_id(parent: &InstanceId, task: i32, given: &str) -> InstanceId {
    if given.is_empty() {
        InstanceId::unchecked(format!("{parent}:{task:04x}"))
    } else {
        InstanceId::unchecked(given)
    }
}
