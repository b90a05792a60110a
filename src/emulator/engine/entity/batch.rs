//! Decides what a worker's answer to a batch means.

use super::{Caller, Decision, Entities, Operation, Start};
use crate::emulator::engine::command::Refusal;
use crate::model::{InstanceId, Timestamp, event, failure};
use crate::wire::{self, operation_action::OperationActionType, operation_result::ResultType};
use std::time::Duration;

/// A batch that is handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names this handing out; the answer must come with it.
    pub number: u64,
    /// What the worker gets (`entityRequestV2`).
    pub request: wire::EntityRequest,
}

/// What a worker's answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It counts, in full or in part. What was not run is ready again by itself.
    Applied,
    /// The batch is not out under this number any more (purged since, or handed to another): nothing happened.
    Stale,
    /// Nothing was run: the same batch is to be offered again after this while.
    Retry(Duration),
}

/// How often a batch as a whole may fail before its operations are given up.
pub(super) const MOST_FAILURES: u32 = 5;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How long to wait after the given number of failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}

/// A worker's answer, checked.
pub(super) enum Answer {
    /// The batch as a whole did not run.
    Failed(wire::TaskFailureDetails),
    /// The worker wants the state that it had not been given.
    WantsState,
    /// It ran nothing, and says nothing.
    Nothing,
    /// It ran the first operations.
    Ran(Ran),
}

pub(super) struct Ran {
    pub(super) results: Vec<Result<Option<String>, wire::TaskFailureDetails>>,
    pub(super) state: Option<String>,
    pub(super) effects: Vec<SideEffect>,
}

pub(super) enum SideEffect {
    Signal { to: InstanceId, at: Option<prost_types::Timestamp>, signal: wire::SendSignalAction },
    Start(Start),
}

/// Reads an answer to a batch of so many operations.
pub(super) fn parse(operations: usize, answer: wire::EntityBatchResult) -> Result<Answer, Refusal> {
    if let Some(failed) = answer.failure_details {
        return Ok(Answer::Failed(failed));
    }
    if answer.requires_state {
        return Ok(Answer::WantsState);
    }
    if answer.results.is_empty() {
        return Ok(Answer::Nothing);
    }
    if answer.results.len() > operations {
        return Err(invalid(format!(
            "the batch has {operations} operations and the answer {} results: answer each once, in order",
            answer.results.len()
        )));
    }
    let results = answer.results.into_iter().map(result).collect::<Result<_, _>>()?;
    let effects = answer.actions.into_iter().map(effect).collect::<Result<_, _>>()?;
    Ok(Answer::Ran(Ran { results, state: answer.entity_state, effects }))
}

fn result(
    result: wire::OperationResult,
) -> Result<Result<Option<String>, wire::TaskFailureDetails>, Refusal> {
    match result.result_type {
        Some(ResultType::Success(success)) => Ok(Ok(success.result)),
        Some(ResultType::Failure(failed)) => Ok(Err(failed.failure_details.unwrap_or_else(|| {
            failure::details("EntityOperationFailed", "the operation failed, and the worker did not say why")
        }))),
        None => Err(invalid("an operation's result is neither success nor failure".to_owned())),
    }
}

fn effect(action: wire::OperationAction) -> Result<SideEffect, Refusal> {
    match action.operation_action_type {
        Some(OperationActionType::SendSignal(signal)) => Ok(SideEffect::Signal {
            to: InstanceId::parse_entity(&signal.instance_id)?,
            at: signal.scheduled_time,
            signal,
        }),
        Some(OperationActionType::StartNewOrchestration(action)) => {
            if action.name.is_empty() {
                return Err(invalid("an entity starts an orchestration without a name".to_owned()));
            }
            let id = match action.instance_id.as_str() {
                "" => None,
                id => Some(InstanceId::parse(id)?),
            };
            Ok(SideEffect::Start(Start { id, action }))
        }
        None => Err(invalid(format!("the action {} of the batch is of no known type", action.id))),
    }
}

fn invalid(what: String) -> Refusal {
    Refusal::Invalid { what }
}

impl Entities {
    /// Takes a worker's answer to a batch.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where the answer is not a legal one; then nothing has changed, and the batch is still out: give it
    /// back.
    pub fn complete(
        &mut self,
        id: &InstanceId,
        number: u64,
        answer: wire::EntityBatchResult,
        now: Timestamp,
        mint: &mut dyn FnMut() -> String,
        decision: &mut Decision,
    ) -> Result<Completion, Refusal> {
        let Some(operations) = self.out(id, number) else { return Ok(Completion::Stale) };
        match parse(operations.len(), answer)? {
            Answer::WantsState => Ok(self.retry(id, number, Duration::ZERO)),
            // A batch that is handed back untouched counts as failed: it must not spin.
            Answer::Nothing => {
                let failures = self.failed(id);
                Ok(self.retry(id, number, pause(failures)))
            }
            Answer::Failed(failed) => {
                let failures = self.failed(id);
                if !failed.is_non_retriable && failures < MOST_FAILURES {
                    return Ok(self.retry(id, number, pause(failures)));
                }
                let count = operations.len();
                for operation in &operations {
                    answer_call(operation, Err(failed.clone()), now, decision);
                }
                self.give_up(id, count, now, decision);
                Ok(Completion::Applied)
            }
            Answer::Ran(Ran { results, state, effects }) => {
                let count = results.len();
                for (operation, result) in operations.iter().zip(results) {
                    answer_call(operation, result, now, decision);
                }
                self.done(id, count, state, now, decision);
                for effect in effects {
                    match effect {
                        SideEffect::Signal { to, at, signal } => {
                            let signal = wire::EntityOperationSignaledEvent {
                                request_id: mint(),
                                operation: signal.name,
                                scheduled_time: at,
                                input: signal.input,
                                target_instance_id: None,
                            };
                            self.send(&to, Operation::signal(now, signal), now, decision);
                        }
                        SideEffect::Start(start) => decision.starts.push(start),
                    }
                }
                Ok(Completion::Applied)
            }
        }
    }
}

/// Tells the caller of an operation what came of it; a signal has none.
pub(super) fn answer_call(
    operation: &Operation,
    result: Result<Option<String>, wire::TaskFailureDetails>,
    now: Timestamp,
    decision: &mut Decision,
) {
    let Some((caller, request)) = operation.awaited() else { return };
    let event = match result {
        Ok(output) => event::entity_completed(now, request.to_owned(), output),
        Err(failed) => event::entity_failed(now, request.to_owned(), failed),
    };
    decision.answers.push((Caller::clone(caller), event));
}
