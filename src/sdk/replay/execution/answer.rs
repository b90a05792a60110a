//! Decides what an orchestrator's turn is answered with.

use super::{CodeEnd, Execution, Terminated};
use crate::model::event;
use crate::sdk::replay::core::{Core, NextExecution};
use crate::sdk::replay::failure::FailureDetails;
use crate::sdk::replay::poll;
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::send_entity_message_action::EntityMessageType as Message;
use crate::wire::{
    CompleteOrchestrationAction, EventRaisedEvent, HistoryEvent, OrchestrationStatus, OrchestratorAction,
    SendEntityMessageAction, history_event::EventType,
};

/// The answer to a turn.
#[derive(Debug)]
pub(crate) struct FinishedTurn {
    /// What the orchestrator wants.
    pub actions: Vec<OrchestratorAction>,
    /// Its custom status.
    pub custom_status: Option<String>,
    /// The execution, when it goes on.
    pub execution: Option<Execution>,
    /// Why it failed, when that was not the code's own wish.
    pub fault: Option<FailureDetails>,
}

impl Execution {
    /// Ends a turn.
    ///
    /// A termination comes before everything else, then what went wrong; a suspended execution says nothing.
    pub(crate) fn finish(mut self) -> FinishedTurn {
        self.accuse();
        if self.fault.is_none() && self.root.was_woken_from_outside() {
            self.fault = Some(poll::foreign_wake(&self.core.facts.instance_id));
        }
        if self.fault.is_none() && self.waits_for_nothing() {
            self.fault = Some(poll::foreign_await());
        }
        let custom_status = self.core.status.borrow().clone();
        let answer = |actions, execution, fault| FinishedTurn { actions, custom_status, execution, fault };
        if let Some(Terminated(output)) = self.terminated.take() {
            let completion = CompleteOrchestrationAction {
                result: output,
                ..with_status(OrchestrationStatus::Terminated)
            };
            return answer(vec![self.complete(completion)], None, None);
        }
        if let Some(fault) = self.fault.take() {
            let mut actions = take_actions(&self.core, is_unlock);
            actions.push(self.complete(failed(fault.clone())));
            return answer(actions, None, Some(fault));
        }
        if self.suspended {
            return answer(Vec::new(), Some(self), None);
        }
        match self.ended.take() {
            None => {
                let actions = take_actions(&self.core, |_| true);
                self.sent.extend(actions.iter().map(|action| action.id));
                answer(actions, Some(self), None)
            }
            Some(CodeEnd::Returned(end)) => {
                let mut actions = take_actions(&self.core, |_| true);
                let completion = match end {
                    Ok(result) => {
                        CompleteOrchestrationAction { result, ..with_status(OrchestrationStatus::Completed) }
                    }
                    Err(failure) => failed(failure),
                };
                actions.push(self.complete(completion));
                answer(actions, None, None)
            }
            Some(CodeEnd::Next(next)) => {
                let mut actions = take_actions(&self.core, outlives_the_execution);
                let completion = self.continued(next);
                actions.push(self.complete(completion));
                answer(actions, None, None)
            }
        }
    }

    /// Whether the code has not ended and yet awaits nothing that history could bring.
    fn waits_for_nothing(&self) -> bool {
        self.future.is_some() && self.core.parked() == 0
    }

    fn complete(&self, completion: CompleteOrchestrationAction) -> OrchestratorAction {
        let action = Action::CompleteOrchestration(completion);
        OrchestratorAction { id: self.core.next_id(), orchestrator_action_type: Some(action) }
    }

    fn continued(&mut self, next: NextExecution) -> CompleteOrchestrationAction {
        let kept =
            if next.keep_events { self.core.ledger.borrow_mut().events.take_kept() } else { Vec::new() };
        let carryover_events = kept.into_iter().map(|raised| HistoryEvent {
            event_id: event::ARRIVED,
            timestamp: raised.timestamp,
            event_type: Some(EventType::EventRaised(EventRaisedEvent {
                name: raised.name,
                input: raised.input,
            })),
        });
        CompleteOrchestrationAction {
            result: Some(next.input),
            new_version: next.version,
            carryover_events: carryover_events.collect(),
            ..with_status(OrchestrationStatus::ContinuedAsNew)
        }
    }
}

fn with_status(status: OrchestrationStatus) -> CompleteOrchestrationAction {
    CompleteOrchestrationAction {
        orchestration_status: status.into(),
        ..CompleteOrchestrationAction::default()
    }
}

/// A completion that fails the execution.
pub(crate) fn failed(failure: FailureDetails) -> CompleteOrchestrationAction {
    CompleteOrchestrationAction {
        failure_details: Some(failure.into_wire()),
        ..with_status(OrchestrationStatus::Failed)
    }
}

/// What is scheduled and not yet in history, in the order it was scheduled.
fn take_actions(core: &Core, wanted: fn(&Action) -> bool) -> Vec<OrchestratorAction> {
    let pending = std::mem::take(&mut core.ledger.borrow_mut().pending);
    let wanted = pending.into_iter().filter(|(_, pending)| wanted(&pending.action));
    wanted
        .map(|(id, pending)| OrchestratorAction { id, orchestrator_action_type: Some(pending.action) })
        .collect()
}

/// What still means something when the execution that asked for it has continued as new: no code would
/// wait for the result of an activity or for a timer.
fn outlives_the_execution(action: &Action) -> bool {
    !matches!(action, Action::ScheduleTask(_) | Action::CreateTimer(_))
}

fn is_unlock(action: &Action) -> bool {
    let unlock = |message: &Option<Message>| matches!(message, Some(Message::EntityUnlockSent(_)));
    matches!(action, Action::SendEntityMessage(SendEntityMessageAction { entity_message_type }) if unlock(entity_message_type))
}
