//! Holds what workers answer to the limit of a payload, where a hub has one.
//!
//! An answer that is refused comes again for ever, so one that holds too much counts as a failure of what it is about
//! (wire-semantics A.5; unsure). What clients send is refused before it gets here.

use super::Engine;
use crate::model::failure;
use crate::wire::{
    self, TaskFailureDetails, operation_action::OperationActionType, operation_result::ResultType,
    orchestrator_action::OrchestratorActionType as Action,
    send_entity_message_action::EntityMessageType as Message,
};

/// The failure that says so.
const TOO_LARGE: &str = "PayloadTooLarge";

/// The most bytes that a payload may have; `None` is any number.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Limit(pub(in crate::emulator) Option<usize>);

impl Engine {
    pub(super) fn limit(&self) -> Limit {
        Limit(self.config.max_payload)
    }
}

impl Limit {
    fn exceeded(self, what: &str, payload: Option<&String>) -> Option<TaskFailureDetails> {
        Some(failure::not_retriable(TOO_LARGE, self.why_not(what, payload)?))
    }

    /// What is wrong with a payload that is too much, and what to do; `None` where nothing is.
    pub(in crate::emulator) fn why_not(self, what: &str, payload: Option<&String>) -> Option<String> {
        let (limit, bytes) = (self.0?, payload?.len());
        (bytes > limit).then(|| {
            format!(
                "the {what} has {bytes} bytes; at most {limit} are allowed: keep it elsewhere and send where it is"
            )
        })
    }

    /// A turn that answers with too much fails its orchestration, and does nothing else.
    pub(super) fn on_turn(self, answer: &mut wire::OrchestratorResponse) {
        let status = self.exceeded("custom status", answer.custom_status.as_ref());
        let Some(failed) = status.or_else(|| answer.actions.iter().find_map(|action| self.on_action(action)))
        else {
            return;
        };
        super::malformed::fail(answer, failed);
    }

    fn on_action(self, action: &wire::OrchestratorAction) -> Option<TaskFailureDetails> {
        match action.orchestrator_action_type.as_ref()? {
            Action::ScheduleTask(task) => self.exceeded("activity's input", task.input.as_ref()),
            Action::CreateSubOrchestration(child) => {
                self.exceeded("sub-orchestration's input", child.input.as_ref())
            }
            Action::SendEvent(sent) => self.exceeded("event's data", sent.data.as_ref()),
            Action::CompleteOrchestration(complete) => self.exceeded("output", complete.result.as_ref()),
            Action::TerminateOrchestration(end) => self.exceeded("output", end.reason.as_ref()),
            Action::SendEntityMessage(sent) => {
                let input = match sent.entity_message_type.as_ref()? {
                    Message::EntityOperationSignaled(signal) => signal.input.as_ref(),
                    Message::EntityOperationCalled(call) => call.input.as_ref(),
                    Message::EntityLockRequested(_) | Message::EntityUnlockSent(_) => None,
                };
                self.exceeded("operation's input", input)
            }
            Action::CreateTimer(_) | Action::RewindOrchestration(_) => None,
        }
    }

    /// An activity whose result is too much has failed.
    pub(super) fn on_activity(self, answer: &mut wire::ActivityResponse) {
        if let Some(failed) = self.exceeded("activity's result", answer.result.as_ref()) {
            answer.result = None;
            answer.failure_details = Some(failed);
        }
    }

    /// An operation whose result is too much has failed, and what it did stands; a state or a side effect that is too
    /// much fails the batch, which leaves nothing behind.
    pub(super) fn on_batch(self, answer: &mut wire::EntityBatchResult) {
        let state = self.exceeded("entity's state", answer.entity_state.as_ref());
        let effect = || {
            answer.actions.iter().find_map(|action| match action.operation_action_type.as_ref()? {
                OperationActionType::SendSignal(signal) => {
                    self.exceeded("signal's input", signal.input.as_ref())
                }
                OperationActionType::StartNewOrchestration(start) => {
                    self.exceeded("orchestration's input", start.input.as_ref())
                }
            })
        };
        if let Some(failed) = state.or_else(effect) {
            answer.failure_details = Some(failed);
            return;
        }
        for result in &mut answer.results {
            let Some(ResultType::Success(success)) = &result.result_type else { continue };
            if let Some(failed) = self.exceeded("operation's result", success.result.as_ref()) {
                let (start_time_utc, end_time_utc) = (success.start_time_utc, success.end_time_utc);
                let failure = wire::OperationResultFailure {
                    failure_details: Some(failed),
                    start_time_utc,
                    end_time_utc,
                };
                result.result_type = Some(ResultType::Failure(failure));
            }
        }
    }
}
