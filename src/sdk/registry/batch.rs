//! Answers a batch of operations of one entity: each succeeds or leaves nothing behind.

use super::activity::panicked;
use super::entity::Dispatcher;
use super::{Registry, not_found};
use crate::sdk::replay::{EntityContext, EntityId, FailureDetails};
use crate::wire::{
    self, EntityBatchResult, EntityRequest, history_event::EventType, operation_result::ResultType,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One operation, as it came.
struct Asked {
    operation: String,
    request_id: String,
    input: Option<String>,
    caller: Option<wire::OrchestrationInstance>,
}

/// Runs a batch. The result's completion token is left empty.
///
/// A failed operation is rolled back, in the state and in what it wanted to send; the others stand.
pub fn run_entity_batch(registry: &Registry, request: EntityRequest) -> EntityBatchResult {
    let id = match request.instance_id.parse::<EntityId>() {
        Ok(id) => id,
        Err(why) => return refused(FailureDetails::permanent("InvalidEntityId", why.to_string())),
    };
    let asked: Vec<Asked> = request.operation_requests.into_iter().filter_map(asked).collect();
    let infos = asked.iter().map(|asked| wire::OperationInfo {
        request_id: asked.request_id.clone(),
        response_destination: asked.caller.clone(),
    });
    let mut batch = EntityBatchResult {
        operation_infos: infos.collect(),
        entity_state: request.entity_state,
        ..EntityBatchResult::default()
    };
    match registry.entities.get(id.name()) {
        None => {
            let failure = not_found("EntityTaskNotFound", "entity", id.name());
            batch.results = asked.iter().map(|_| failure_of(failure.clone())).collect();
        }
        Some(dispatcher) => run(registry, dispatcher, &id, asked, &mut batch),
    }
    batch
}

fn run(
    registry: &Registry,
    dispatcher: &Dispatcher,
    id: &EntityId,
    asked: Vec<Asked>,
    batch: &mut EntityBatchResult,
) {
    let mut live = None;
    for Asked { operation, request_id, input, .. } in asked {
        let mut attempt = || {
            // Read once, and once more after a failure: that is the roll-back.
            let state = match live.take() {
                Some(state) => state,
                None => dispatcher.open(batch.entity_state.as_deref())?,
            };
            let state = live.insert(state);
            let mut context = EntityContext::new(id.clone(), &operation, &request_id, registry.names.clone());
            let output = state.perform(&mut context, input.as_deref())?;
            let (actions, deleted) =
                context.finish().map_err(|why| FailureDetails::permanent("Refused", why.to_string()))?;
            let saved = if deleted { None } else { Some(state.save()?) };
            if deleted {
                state.reset();
            }
            Ok((output, actions, saved))
        };
        // The decoder and the encoder are the user's too.
        let attempted = catch_unwind(AssertUnwindSafe(&mut attempt))
            .unwrap_or_else(|panic| Err(panicked("operation", &*panic)));
        match attempted {
            Ok((result, actions, saved)) => {
                batch.entity_state = saved;
                for action in actions {
                    let id = i32::try_from(batch.actions.len()).unwrap_or(i32::MAX);
                    batch.actions.push(wire::OperationAction { id, operation_action_type: Some(action) });
                }
                batch.results.push(success_of(result));
            }
            Err(failure) => {
                live = None;
                batch.results.push(failure_of(failure));
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a batch holds calls and signals; anything else is not for us"
)]
fn asked(event: wire::HistoryEvent) -> Option<Asked> {
    match event.event_type? {
        EventType::EntityOperationSignaled(signal) => Some(Asked {
            operation: signal.operation,
            request_id: signal.request_id,
            input: signal.input,
            caller: None,
        }),
        EventType::EntityOperationCalled(call) => Some(Asked {
            operation: call.operation,
            request_id: call.request_id,
            input: call.input,
            caller: call.parent_instance_id.map(|instance_id| wire::OrchestrationInstance {
                instance_id,
                execution_id: call.parent_execution_id,
            }),
        }),
        _ => None,
    }
}

fn refused(failure: FailureDetails) -> EntityBatchResult {
    EntityBatchResult { failure_details: Some(failure.into_wire()), ..EntityBatchResult::default() }
}

fn success_of(result: Option<String>) -> wire::OperationResult {
    let success = wire::OperationResultSuccess { result, ..wire::OperationResultSuccess::default() };
    wire::OperationResult { result_type: Some(ResultType::Success(success)) }
}

fn failure_of(failure: FailureDetails) -> wire::OperationResult {
    let failure = wire::OperationResultFailure {
        failure_details: Some(failure.into_wire()),
        ..wire::OperationResultFailure::default()
    };
    wire::OperationResult { result_type: Some(ResultType::Failure(failure)) }
}
