//! Reads the actions of a turn, in their order: what becomes history, what is scheduled, what goes out.

use super::Decider;
use super::open_turn::OpenTurn;
use super::outbox::Outgoing;
use super::terminate::Ending;
use crate::emulator::engine::entity::{Caller, LockRequest, Operation};
use crate::emulator::engine::record::Scheduled;
use crate::emulator::engine::state::history::encode;
use crate::model::{InstanceId, Status, Timestamp, event};
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::send_entity_message_action::EntityMessageType;
use crate::wire::{self, history_event::EventType};
use bytes::Bytes;
use prost::Message as _;

/// What the actions of a turn come to.
#[derive(Debug, Default)]
pub(super) struct TurnPlan {
    pub(super) events: Vec<Bytes>,
    pub(super) scheduled: Vec<Scheduled>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) end: Option<Ending>,
}

/// What of a turn's actions still has a meaning when it ends with continue-as-new: no execution is left to wait for
/// children and locks (protocol/turns.md#continue-as-new).
pub(super) fn outlives_execution(outgoing: &Outgoing) -> bool {
    match outgoing {
        Outgoing::Child { .. } | Outgoing::Lock(_) => false,
        Outgoing::ChildEnded { .. }
        | Outgoing::Event { .. }
        | Outgoing::Terminate { .. }
        | Outgoing::Force { .. }
        | Outgoing::Rewind { .. }
        | Outgoing::Operation { .. }
        | Outgoing::Unlock { .. }
        | Outgoing::Release { .. } => true,
    }
}

impl Decider {
    /// Reads the actions of a turn. Nothing is changed yet but that ids are minted.
    pub(super) fn read_actions(
        &mut self,
        turn: &OpenTurn,
        actions: Vec<wire::OrchestratorAction>,
        now: Timestamp,
    ) -> TurnPlan {
        let mut plan = TurnPlan::default();
        plan.events.reserve(actions.len());
        plan.scheduled.reserve(actions.len());
        for wire::OrchestratorAction { id, orchestrator_action_type } in actions {
            let Some(action) = orchestrator_action_type else { continue };
            match action {
                Action::ScheduleTask(task) => self.schedule(turn, id, task, now, &mut plan),
                Action::CreateSubOrchestration(child) => self.plan_child(turn, id, child, now, &mut plan),
                Action::CreateTimer(timer) => {
                    let Some(fire_at) = timer.fire_at else { continue };
                    plan.events.push(encode(&event::timer_created(id, now, fire_at)));
                    plan.scheduled.push(Scheduled::Timer { timer: id, fire_at });
                }
                Action::SendEvent(send) => {
                    let Some(target) = send.instance else { continue };
                    // A target that is missing or has ended drops it (protocol/turns.md#sent-events).
                    let to = InstanceId::unchecked(target.instance_id);
                    let record = event::event_sent(id, now, &to, send.name.clone(), send.data.clone());
                    plan.events.push(encode(&record));
                    plan.outgoing.push(Outgoing::Event { to, name: send.name, input: send.data });
                }
                Action::CompleteOrchestration(end) => plan.end(id, end),
                Action::TerminateOrchestration(terminate) => plan.outgoing.push(Outgoing::Terminate {
                    id: InstanceId::unchecked(terminate.instance_id),
                    output: terminate.reason,
                    recursive: terminate.recurse,
                }),
                Action::SendEntityMessage(message) => entity_message(turn, id, message, now, &mut plan),
                // Only the answer to a rewind has it, and that is read elsewhere; here it means nothing.
                Action::RewindOrchestration(_) => {}
            }
        }
        plan
    }

    fn schedule(
        &self,
        turn: &OpenTurn,
        id: i32,
        task: wire::ScheduleTaskAction,
        now: Timestamp,
        plan: &mut TurnPlan,
    ) {
        let scheduled = event::task_scheduled(id, now, task);
        plan.events.push(encode(&scheduled));
        let Some(EventType::TaskScheduled(task)) = scheduled.event_type else { return };
        // For filters, an activity without a version has that of its orchestration; one whose version is said to be ""
        // has none (R47, R64).
        let orchestration = self.state.instance(&turn.id);
        let version =
            task.version.clone().or_else(|| orchestration.and_then(|of| of.started().version.clone()));
        let request = wire::ActivityRequest {
            name: task.name,
            version: task.version,
            input: task.input,
            orchestration_instance: Some(event::instance_ref(&turn.id, &turn.execution)),
            task_id: id,
            parent_trace_context: task.parent_trace_context,
            tags: task.tags,
        };
        let encoded = request.encode_to_vec().into();
        plan.scheduled.push(Scheduled::Activity { task: id, name: request.name, version, request: encoded });
    }
}

impl TurnPlan {
    /// Takes an ending, in addition to one that may be there.
    fn end(&mut self, action: i32, end: wire::CompleteOrchestrationAction) {
        let ending = match Status::from_wire(end.orchestration_status()) {
            None => Ending::Continue { action, next: Box::new(end) },
            Some(status) => Ending::End { action, status, output: end.result, failure: end.failure_details },
        };
        self.end = Some(match self.end.take() {
            Some(earlier) => earlier.or(ending),
            None => ending,
        });
    }
}

/// Reads a message to entities (protocol/entities.md#messages): history has it with its target and without its sender.
fn entity_message(
    turn: &OpenTurn,
    id: i32,
    message: wire::SendEntityMessageAction,
    now: Timestamp,
    plan: &mut TurnPlan,
) {
    let caller = Caller { instance: turn.id.clone(), execution: turn.execution.clone() };
    let target = |id: &Option<String>| InstanceId::unchecked(id.as_deref().unwrap_or_default());
    let (body, outgoing) = match message.entity_message_type {
        None => return,
        Some(EntityMessageType::EntityOperationSignaled(signal)) => {
            let operation = Box::new(Operation::signal_from(caller, now, signal.clone()));
            let outgoing = Outgoing::Operation { to: target(&signal.target_instance_id), operation };
            (EventType::EntityOperationSignaled(signal), Some(outgoing))
        }
        Some(EntityMessageType::EntityOperationCalled(mut call)) => {
            let operation = Box::new(Operation::call(caller, now, call.clone()));
            let outgoing = Outgoing::Operation { to: target(&call.target_instance_id), operation };
            call.parent_instance_id = None;
            call.parent_execution_id = None;
            (EventType::EntityOperationCalled(call), Some(outgoing))
        }
        Some(EntityMessageType::EntityLockRequested(mut lock)) => {
            let outgoing = LockRequest::parse(caller, &lock).ok().map(Outgoing::Lock);
            lock.parent_instance_id = None;
            (EventType::EntityLockRequested(lock), outgoing)
        }
        Some(EntityMessageType::EntityUnlockSent(mut unlock)) => {
            let outgoing = Outgoing::Unlock {
                entity: target(&unlock.target_instance_id),
                holder: turn.id.clone(),
                section: unlock.critical_section_id.clone(),
            };
            unlock.parent_instance_id = None;
            (EventType::EntityUnlockSent(unlock), Some(outgoing))
        }
    };
    plan.events.push(encode(&event::new(id, now, body)));
    plan.outgoing.extend(outgoing);
}
