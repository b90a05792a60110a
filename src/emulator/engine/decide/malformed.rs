//! Finds what makes no sense in a worker's answer to a turn, and fails the instance for it.
//!
//! A completion is refused only for its token: SDKs log any other refusal and keep the item, or ask for it again
//! without end. So an answer that cannot be carried out is taken, and what it is about fails by name
//! (protocol/turns.md#nonsense).

use crate::emulator::engine::entity::check_lock_set;
use crate::emulator::engine::state::history::{EncodedHistory, decode};
use crate::model::{Kind, event, failure};
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::send_entity_message_action::EntityMessageType;
use crate::wire::{self, OrchestratorResponse};
use std::collections::BTreeSet;

/// What makes no sense about an answer; `None` where all of it can be carried out.
pub(crate) fn what_is_wrong(answer: &OrchestratorResponse) -> Option<String> {
    answer.actions.iter().find_map(wrong_action)
}

fn wrong_action(action: &wire::OrchestratorAction) -> Option<String> {
    let id = action.id;
    match action.orchestrator_action_type.as_ref() {
        None => {
            Some(format!("action {id} is of no known type; build the worker against the newest protocol"))
        }
        Some(Action::CreateTimer(timer)) if timer.fire_at.is_none() => {
            Some(format!("action {id} sets a timer without saying when it fires"))
        }
        Some(Action::SendEvent(send)) if send.instance.is_none() => {
            Some(format!("action {id} sends an event and names no instance to send it to"))
        }
        Some(Action::CompleteOrchestration(end)) => match end.orchestration_status() {
            wire::OrchestrationStatus::Running
            | wire::OrchestrationStatus::Pending
            | wire::OrchestrationStatus::Suspended => Some(format!(
                "action {id} completes the orchestration as {}, which is no end",
                end.orchestration_status().as_str_name()
            )),
            wire::OrchestrationStatus::Completed
            | wire::OrchestrationStatus::Failed
            | wire::OrchestrationStatus::Terminated
            | wire::OrchestrationStatus::Canceled
            | wire::OrchestrationStatus::ContinuedAsNew => None,
        },
        Some(Action::SendEntityMessage(message)) => match &message.entity_message_type {
            None => Some(format!("action {id} sends an entity message of no known type")),
            Some(EntityMessageType::EntityLockRequested(lock)) => {
                check_lock_set(lock).err().map(|what| format!("action {id}: {what}"))
            }
            Some(
                EntityMessageType::EntityOperationSignaled(_)
                | EntityMessageType::EntityOperationCalled(_)
                | EntityMessageType::EntityUnlockSent(_),
            ) => None,
        },
        // An activity without a name is for the worker to refuse, a child without one for its parent to hear of.
        Some(
            Action::ScheduleTask(_)
            | Action::CreateSubOrchestration(_)
            | Action::CreateTimer(_)
            | Action::SendEvent(_)
            | Action::TerminateOrchestration(_)
            | Action::RewindOrchestration(_),
        ) => None,
    }
}

/// Drops from an answer that fails its instance what history says was done before.
///
/// A replay that takes another way than history ends in a failure, and the SDKs send with it all that the replay had not
/// met in history yet. Done again, an event would be sent twice and a child that has ended be created anew (R92).
pub(crate) fn drop_repeated(actions: &mut Vec<wire::OrchestratorAction>, history: &EncodedHistory) {
    let fails = |action: &wire::OrchestratorAction| match &action.orchestrator_action_type {
        Some(Action::CompleteOrchestration(end)) => {
            end.orchestration_status() == wire::OrchestrationStatus::Failed
        }
        _ => false,
    };
    if actions.len() < 2 || !actions.iter().any(fails) {
        return;
    }
    let done: BTreeSet<(i32, Kind)> = history
        .events()
        .filter_map(decode)
        .filter_map(|event| Some((event.event_id, Kind::of(event.event_type.as_ref()?))))
        .collect();
    actions.retain(|action| recorded_as(action).is_none_or(|kind| !done.contains(&(action.id, kind))));
}

/// The kind of event that history has of an action, for those that have an effect outside their instance.
fn recorded_as(action: &wire::OrchestratorAction) -> Option<Kind> {
    match action.orchestrator_action_type.as_ref()? {
        Action::SendEvent(_) => Some(Kind::EventSent),
        Action::CreateSubOrchestration(_) => Some(Kind::SubOrchestrationInstanceCreated),
        Action::SendEntityMessage(message) => match message.entity_message_type.as_ref()? {
            EntityMessageType::EntityOperationSignaled(_) => Some(Kind::EntityOperationSignaled),
            EntityMessageType::EntityOperationCalled(_) => Some(Kind::EntityOperationCalled),
            EntityMessageType::EntityLockRequested(_) => Some(Kind::EntityLockRequested),
            // An unlock that comes twice does nothing.
            EntityMessageType::EntityUnlockSent(_) => None,
        },
        Action::ScheduleTask(_)
        | Action::CreateTimer(_)
        | Action::CompleteOrchestration(_)
        | Action::TerminateOrchestration(_)
        | Action::RewindOrchestration(_) => None,
    }
}

/// Puts a failure of the instance in the place of everything that an answer asks for.
pub(crate) fn fail(answer: &mut OrchestratorResponse, failed: wire::TaskFailureDetails) {
    let completing = answer
        .actions
        .iter()
        .find(|action| matches!(action.orchestrator_action_type, Some(Action::CompleteOrchestration(_))));
    let id = completing.map_or(event::ARRIVED, |action| action.id);
    let complete = wire::CompleteOrchestrationAction {
        orchestration_status: wire::OrchestrationStatus::Failed.into(),
        failure_details: Some(failed),
        ..Default::default()
    };
    answer.actions = vec![wire::OrchestratorAction {
        id,
        orchestrator_action_type: Some(Action::CompleteOrchestration(complete)),
    }];
    answer.custom_status = None;
}

/// The failure of what a senseless answer was about.
pub(crate) fn failure_of(what: &str) -> wire::TaskFailureDetails {
    failure::not_retriable(failure::INVALID_RESPONSE, format!("the worker's answer makes no sense: {what}"))
}
