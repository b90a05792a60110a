//! Reads the actions of a turn, in their order: what becomes history, what is scheduled, what goes out.

use super::complete::Ending;
use super::outbox::Outgoing;
use crate::emulator::engine::Engine;
use crate::emulator::engine::deliver::lease::Turn;
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
pub(crate) struct Answer {
    pub(crate) events: Vec<Bytes>,
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) end: Option<Ending>,
}

/// What of a turn's actions still has a meaning when it ends with continue-as-new: nobody is left to wait for
/// children and locks (protocol/turns.md#continue-as-new).
pub(crate) fn outlives_execution(outgoing: &Outgoing) -> bool {
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

impl Engine {
    /// Reads the actions of a turn. Nothing is changed yet but that ids are minted.
    pub(crate) fn read_actions(
        &mut self,
        turn: &Turn,
        actions: Vec<wire::OrchestratorAction>,
        now: Timestamp,
    ) -> Answer {
        let mut answer = Answer::default();
        answer.events.reserve(actions.len());
        answer.scheduled.reserve(actions.len());
        for wire::OrchestratorAction { id, orchestrator_action_type } in actions {
            let Some(action) = orchestrator_action_type else { continue };
            match action {
                Action::ScheduleTask(task) => self.schedule(turn, id, task, now, &mut answer),
                Action::CreateSubOrchestration(child) => self.plan_child(turn, id, child, now, &mut answer),
                Action::CreateTimer(timer) => {
                    let Some(fire_at) = timer.fire_at else { continue };
                    answer.events.push(encode(&event::timer_created(id, now, fire_at)));
                    answer.scheduled.push(Scheduled::Timer { timer: id, fire_at });
                }
                Action::SendEvent(send) => {
                    // A target that is missing or has ended drops it (protocol/turns.md#sent-events).
                    let Some(target) = send.instance else { continue };
                    let to = InstanceId::unchecked(target.instance_id);
                    let record = event::event_sent(id, now, &to, send.name.clone(), send.data.clone());
                    answer.events.push(encode(&record));
                    answer.outgoing.push(Outgoing::Event { to, name: send.name, input: send.data });
                }
                Action::CompleteOrchestration(end) => answer.end(id, end),
                Action::TerminateOrchestration(terminate) => answer.outgoing.push(Outgoing::Terminate {
                    id: InstanceId::unchecked(terminate.instance_id),
                    output: terminate.reason,
                    recursive: terminate.recurse,
                }),
                Action::SendEntityMessage(message) => entity_message(turn, id, message, now, &mut answer),
                // Only the answer to a rewind has it, and that is read elsewhere; here it means nothing.
                Action::RewindOrchestration(_) => {}
            }
        }
        answer
    }

    fn schedule(
        &self,
        turn: &Turn,
        id: i32,
        task: wire::ScheduleTaskAction,
        now: Timestamp,
        answer: &mut Answer,
    ) {
        let scheduled = event::task_scheduled(id, now, task);
        answer.events.push(encode(&scheduled));
        let Some(EventType::TaskScheduled(task)) = scheduled.event_type else { return };
        // For filters, an activity without a version has that of its orchestration; one whose version is said to be ""
        // has none (R47, R64).
        let orchestration = self.instances.get(&turn.id);
        let version =
            task.version.clone().or_else(|| orchestration.and_then(|of| of.started.version.clone()));
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
        answer.scheduled.push(Scheduled::Activity {
            task: id,
            name: request.name,
            version,
            request: encoded,
        });
    }
}

impl Answer {
    /// Takes an ending. Of two the one that terminates counts, otherwise the one of the lowest id: Go's actions come in
    /// no order (protocol/turns.md#completions; R90).
    fn end(&mut self, action: i32, end: wire::CompleteOrchestrationAction) {
        let ending = match Status::from_wire(end.orchestration_status()) {
            None => Ending::Continue { action, next: Box::new(end) },
            Some(status) => Ending::End { action, status, output: end.result, failure: end.failure_details },
        };
        let rank = |ending: &Ending| match ending {
            Ending::End { status: Status::Terminated, .. } => (false, action),
            Ending::End { action, .. } | Ending::Continue { action, .. } => (true, *action),
        };
        if self.end.as_ref().is_none_or(|earlier| rank(&ending) < rank(earlier)) {
            self.end = Some(ending);
        }
    }
}

/// Reads a message to entities (protocol/entities.md#messages): history has it with its target and without its sender.
fn entity_message(
    turn: &Turn,
    id: i32,
    message: wire::SendEntityMessageAction,
    now: Timestamp,
    answer: &mut Answer,
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
    answer.events.push(encode(&event::new(id, now, body)));
    answer.outgoing.extend(outgoing);
}
