//! Decides what a worker's answer to a batch means.

use super::{BatchStage, Completion, Decision, Entities, EntityStart, Operation, Skipped};
use crate::model::failure::{self, INVALID_RESPONSE};
use crate::model::{InstanceId, InvalidId, Timestamp};
use crate::wire::{self, operation_action::OperationActionType, operation_result::ResultType};
use std::time::Duration;

/// For how long batches may fail as a whole before the calls in them are answered with the failure: much longer than
/// a worker takes to restart. Signals are never given up.
pub(super) const CALLS_WAIT: Duration = Duration::from_micros(MICROS_OF_WAIT.unsigned_abs());
const MICROS_OF_WAIT: i64 = 120_000_000;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How long to wait after the given number of failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}

/// A worker's answer, checked.
pub(super) enum BatchAnswer {
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
    Start(EntityStart),
}

/// Reads an answer to a batch of so many operations. Nothing in it is a reason to refuse it: an answer that is refused
/// comes again without end, and its operations run again with it. What makes no sense is left out.
pub(super) fn parse(
    operations: usize,
    answer: wire::EntityBatchResult,
    skipped: &mut Vec<Skipped>,
) -> BatchAnswer {
    if let Some(failed) = answer.failure_details {
        return BatchAnswer::Failed(failed);
    }
    if answer.requires_state {
        return BatchAnswer::WantsState;
    }
    if answer.results.is_empty() {
        return BatchAnswer::Nothing;
    }
    if answer.results.len() > operations {
        skipped.push(Skipped(format!(
            "the batch has {operations} operations and the answer {} results: answer each once, in order",
            answer.results.len()
        )));
    }
    let results = answer.results.into_iter().take(operations).map(result).collect();
    let effects = answer.actions.into_iter().filter_map(|action| match effect(action) {
        Ok(effect) => Some(effect),
        Err(why) => {
            skipped.push(why);
            None
        }
    });
    let effects = effects.collect();
    BatchAnswer::Ran(Ran { results, state: answer.entity_state, effects })
}

fn result(result: wire::OperationResult) -> Result<Option<String>, wire::TaskFailureDetails> {
    match result.result_type {
        Some(ResultType::Success(success)) => Ok(success.result),
        Some(ResultType::Failure(failed)) => Err(failed.failure_details.unwrap_or_else(|| {
            failure::details("EntityOperationFailed", "the operation failed, and the worker did not say why")
        })),
        None => Err(failure::not_retriable(
            INVALID_RESPONSE,
            "the worker's answer makes no sense: an operation's result is neither success nor failure",
        )),
    }
}

/// Reads a side effect. Ids that a worker makes may have any length: the limit is for those of clients.
fn effect(action: wire::OperationAction) -> Result<SideEffect, Skipped> {
    match action.operation_action_type {
        Some(OperationActionType::SendSignal(signal)) => {
            let to = InstanceId::unchecked(signal.instance_id.as_str());
            if to.entity_name().is_none() {
                let to = to.as_str();
                return Err(Skipped(format!(
                    "a signal '{}' to {to:?}, which is not of the form @name@key",
                    signal.name
                )));
            }
            Ok(SideEffect::Signal { to, at: signal.scheduled_time, signal })
        }
        Some(OperationActionType::StartNewOrchestration(action)) => {
            if action.name.is_empty() {
                return Err(Skipped("the start of an orchestration that has no name".to_owned()));
            }
            let id = match action.instance_id.as_str() {
                "" => None,
                id => match InstanceId::parse(id) {
                    Ok(id) => Some(id),
                    Err(InvalidId::TooLong { .. }) => Some(InstanceId::unchecked(id)),
                    Err(why) => {
                        return Err(Skipped(format!(
                            "the start of the orchestration '{}': {why}",
                            action.name
                        )));
                    }
                },
            };
            Ok(SideEffect::Start(EntityStart { id, action }))
        }
        None => Err(Skipped(format!("the action {} of the batch, which is of no known type", action.id))),
    }
}

impl Entities {
    /// Fails the calls among what was out, and keeps the signals. Whether anything is left; it is ready from now on, and
    /// when it is handed out is the caller's.
    pub fn fail_calls(
        &mut self,
        id: &InstanceId,
        failed: &wire::TaskFailureDetails,
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let Some(entity) = self.all.get(id) else { return false };
        let (BatchStage::Out { operations, .. } | BatchStage::Lost { operations, .. }) = entity.stage else {
            return false;
        };
        let calls: Vec<Operation> =
            entity.eligible().take(operations).filter(|o| o.awaited().is_some()).cloned().collect();
        for call in &calls {
            decision.answer_call(call, Err(failed.clone()), now);
        }
        self.give_up(id, operations, Timestamp::from_micros(i64::MAX), now, decision);
        self.offer(id)
    }

    /// Takes a worker's answer to a batch. What of it could not be done is in the decision's `skipped`.
    pub fn complete(
        &mut self,
        id: &InstanceId,
        number: u64,
        answer: wire::EntityBatchResult,
        now: Timestamp,
        mint: &mut dyn FnMut() -> String,
        decision: &mut Decision,
    ) -> Completion {
        let Some(operations) = self.out(id, number) else { return Completion::Stale };
        match parse(operations.len(), answer, &mut decision.skipped) {
            BatchAnswer::WantsState => self.retry(id, number, Duration::ZERO),
            // A batch that is handed back untouched counts as failed: it must not spin.
            BatchAnswer::Nothing => {
                let failing = self.failed(id, now);
                self.retry(id, number, pause(failing.times))
            }
            BatchAnswer::Failed(failed) => {
                let failing = self.failed(id, now);
                let pause = pause(failing.times);
                // A call that came late in a long row of failures has a wait of its own.
                let until = if failed.is_non_retriable {
                    Timestamp::from_micros(i64::MAX)
                } else if now.since(failing.since) >= CALLS_WAIT {
                    Timestamp::from_micros(now.as_micros().saturating_sub(MICROS_OF_WAIT))
                } else {
                    return self.retry(id, number, pause);
                };
                let calls = || operations.iter().filter(|operation| operation.is_given_up(until));
                for call in calls() {
                    decision.answer_call(call, Err(failed.clone()), now);
                }
                if calls().next().is_none() {
                    return self.retry(id, number, pause);
                }
                self.give_up(id, operations.len(), until, now, decision);
                if self.offer(id) { Completion::Retry(pause) } else { Completion::Applied }
            }
            BatchAnswer::Ran(Ran { results, state, effects }) => {
                let count = results.len();
                for (operation, result) in operations.iter().zip(results) {
                    decision.answer_call(operation, result, now);
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
                Completion::Applied
            }
        }
    }
}

impl Entities {
    /// A batch is too large to be handed out, or what it has left is too large to be kept. Which of its operations it is
    /// that makes too much shows when fewer are handed out at a time; one that is alone in its batch fails, or is left out
    /// where it is a signal. The state stays as it was.
    pub fn too_large(
        &mut self,
        id: &InstanceId,
        number: u64,
        failed: &wire::TaskFailureDetails,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Completion {
        let Some(operations) = self.out(id, number) else { return Completion::Stale };
        let Some(entity) = self.all.get_mut(id) else { return Completion::Stale };
        if let [only] = &operations[..] {
            let state = entity.state.clone();
            if only.awaited().is_none() {
                decision.skipped.push(Skipped(format!("a signal: {}", failed.error_message)));
            }
            decision.answer_call(only, Err(failed.clone()), now);
            self.done(id, 1, state, now, decision);
            Completion::Applied
        } else {
            entity.at_most = Some(operations.len() / 2);
            self.retry(id, number, Duration::ZERO)
        }
    }
}
