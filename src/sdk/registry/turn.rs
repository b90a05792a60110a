//! Answers one turn of an orchestration: from the execution that is kept, or by replaying history.

use super::{Registry, find, not_found};
use crate::model::extension::PAST_PROPERTY;
use crate::sdk::replay::execution::Execution;
use crate::sdk::replay::execution::answer::{FinishedTurn, failed};
use crate::sdk::replay::{FailureDetails, Mismatch, NONDETERMINISM, rewind};
use crate::wire::{
    ExecutionStartedEvent, HistoryEvent, OrchestratorAction, OrchestratorRequest, OrchestratorResponse,
    RewindOrchestrationAction, history_event::EventType, orchestrator_action::OrchestratorActionType,
};
use prost_types::value::Kind;
use std::panic::Location;

/// One orchestrator's future between turns. It stays on its thread.
#[derive(Debug)]
pub struct Cached(Execution);

impl Cached {
    /// What the orchestrator waits for, and where in the source each wait was made.
    pub fn waits(&self) -> Vec<(String, &'static Location<'static>)> {
        self.0.waits()
    }

    /// Whether something that is not durable has woken it since its last turn. The next turn then fails it.
    pub fn was_woken_from_outside(&self) -> bool {
        self.0.was_woken_from_outside()
    }

    /// How many events it has seen, a measure of what dropping it would cost.
    pub fn events(&self) -> usize {
        self.0.applied()
    }
}

/// What a turn comes to.
#[derive(Debug)]
pub struct TurnOutcome {
    /// The answer; its completion token is left empty.
    pub response: OrchestratorResponse,
    /// What to keep for the next turn. It must be dropped when the answer is not accepted.
    pub cached: Option<Cached>,
    /// The turn is to be given back instead of answered: another worker may take it.
    pub abandon: bool,
    /// Why the orchestration failed, when that was not its own wish: code and history differ, something that is not
    /// durable was awaited, a rule was broken.
    pub fault: Option<FailureDetails>,
    /// How many events were applied: few with a cache, all of them without.
    pub applied: usize,
}

/// Runs one turn.
///
/// `cached` is used when it has seen exactly the past that the request speaks of; otherwise history is replayed, or
/// asked for where the request leaves it out.
pub fn run_turn(registry: &Registry, request: OrchestratorRequest, cached: Option<Cached>) -> TurnOutcome {
    let OrchestratorRequest { instance_id, execution_id, past_events, new_events, properties, .. } = request;
    let mut turn = TurnRun {
        registry,
        instance_id,
        execution_id: execution_id.unwrap_or_default(),
        omitted: properties.get(PAST_PROPERTY).map_or(0, count),
        trace: request.orchestration_trace_context,
        applied: 0,
    };
    if rewind::is_asked(&past_events, &new_events) {
        return turn.rewind(past_events, new_events);
    }
    let kept = cached
        .map(|cached| cached.0)
        .filter(|execution| execution.continues(&turn.execution_id, &past_events, turn.omitted));
    if let Some(mut execution) = kept {
        execution.resume(past_events.len().max(turn.omitted));
        return turn.run(execution, Vec::new(), new_events);
    }
    if turn.omitted > 0 && past_events.is_empty() {
        return turn.needs_history();
    }
    match turn.begin(&past_events, &new_events) {
        Ok(execution) => turn.run(execution, past_events, new_events),
        Err(outcome) => *outcome,
    }
}

struct TurnRun<'a> {
    registry: &'a Registry,
    instance_id: String,
    execution_id: String,
    omitted: usize,
    trace: Option<crate::wire::OrchestrationTraceContext>,
    applied: usize,
}

impl TurnRun<'_> {
    /// The execution before its first event.
    fn begin(&mut self, past: &[HistoryEvent], new: &[HistoryEvent]) -> Result<Execution, Box<TurnOutcome>> {
        let Some(started) = past.iter().chain(new).find_map(started) else {
            let failure =
                FailureDetails::permanent("HistoryIncomplete", "history has no ExecutionStarted event");
            return Err(Box::new(self.fail(failure)));
        };
        let version = started.version.as_deref();
        if let Some(objection) = self.registry.versioning.objection(version) {
            return Err(Box::new(match self.registry.versioning.mismatch() {
                Mismatch::Reject => self.abandon(),
                Mismatch::Fail => self.fail(FailureDetails::permanent("VersionMismatch", objection)),
            }));
        }
        let Some(definition) = find(&self.registry.orchestrators, &started.name, version) else {
            let failure = not_found("OrchestratorTaskNotFound", "orchestrator", &started.name);
            return Err(Box::new(self.fail(failure)));
        };
        // Some schedulers leave the execution's id to the event.
        if self.execution_id.is_empty() {
            let id =
                started.orchestration_instance.as_ref().and_then(|instance| instance.execution_id.clone());
            self.execution_id = id.unwrap_or_default();
        }
        Ok(Execution::new(
            self.instance_id.clone(),
            self.execution_id.clone(),
            started,
            definition.clone(),
            self.registry.names.clone(),
            self.registry.versioning.of_children(),
        ))
    }

    fn run(
        mut self,
        mut execution: Execution,
        past: Vec<HistoryEvent>,
        new: Vec<HistoryEvent>,
    ) -> TurnOutcome {
        self.applied = past.len() + new.len();
        for event in past {
            execution.feed(event, true);
        }
        for event in new {
            execution.feed(event, false);
        }
        let FinishedTurn { actions, custom_status, execution, fault } = execution.finish();
        let mut outcome = self.answer(actions);
        outcome.response.custom_status = custom_status;
        outcome.cached = execution.map(Cached);
        outcome.fault = fault;
        outcome
    }

    /// Rewrites history, unless the code would then not follow it any more: it has handled a failure, or retried.
    fn rewind(mut self, past: Vec<HistoryEvent>, new: Vec<HistoryEvent>) -> TurnOutcome {
        let id = rewind::execution_id(&self.instance_id, &self.execution_id, past.len());
        let new_history = rewind::rewritten(past, new, &id);
        let mut trial = match self.begin(&new_history, &[]) {
            Ok(execution) => execution,
            Err(outcome) => return *outcome,
        };
        self.applied = new_history.len();
        for event in &new_history {
            trial.feed(event.clone(), true);
        }
        if let Some(differs) = trial.fault().filter(|fault| fault.error_type == NONDETERMINISM) {
            let message = format!(
                "the instance cannot be rewound, because it has gone on after a failure: {}",
                differs.message
            );
            return self.fail(FailureDetails::permanent("RewindRefused", message));
        }
        let action = OrchestratorActionType::RewindOrchestration(RewindOrchestrationAction { new_history });
        self.answer(vec![OrchestratorAction { id: -1, orchestrator_action_type: Some(action) }])
    }

    fn needs_history(&mut self) -> TurnOutcome {
        let mut outcome = self.answer(Vec::new());
        outcome.response.requires_history = true;
        outcome
    }

    fn abandon(&mut self) -> TurnOutcome {
        TurnOutcome { abandon: true, ..self.answer(Vec::new()) }
    }

    fn fail(&mut self, failure: FailureDetails) -> TurnOutcome {
        let action = OrchestratorActionType::CompleteOrchestration(failed(failure.clone()));
        let mut outcome =
            self.answer(vec![OrchestratorAction { id: -1, orchestrator_action_type: Some(action) }]);
        outcome.fault = Some(failure);
        outcome
    }

    fn answer(&mut self, actions: Vec<OrchestratorAction>) -> TurnOutcome {
        let response = OrchestratorResponse {
            instance_id: std::mem::take(&mut self.instance_id),
            actions,
            orchestration_trace_context: self.trace.take(),
            ..OrchestratorResponse::default()
        };
        TurnOutcome { response, cached: None, abandon: false, fault: None, applied: self.applied }
    }
}

fn started(event: &HistoryEvent) -> Option<&ExecutionStartedEvent> {
    match &event.event_type {
        Some(EventType::ExecutionStarted(started)) => Some(started),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count; nonsense counts as nothing"
)]
fn count(value: &prost_types::Value) -> usize {
    match value.kind {
        Some(Kind::NumberValue(number)) if number > 0.0 => number as usize,
        _ => 0,
    }
}
