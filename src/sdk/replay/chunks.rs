//! Splits an answer that is too large for one message.

use super::execution::answer::failed;
use super::failure::FailureDetails;
use crate::wire::{OrchestratorAction, OrchestratorResponse, orchestrator_action::OrchestratorActionType};
use prost::Message;

/// What the tag and the length of an action take at most.
const FRAME: usize = 8;

/// Splits a response so that no part is longer than `max_bytes`, as far as its actions allow.
///
/// The parts are sent in order; all but the last are marked partial. A single action that does not fit fails the
/// orchestration, for no number of parts would help it.
#[expect(
    deprecated,
    reason = "the scheduler still takes answers in parts, and has no other way to take large ones"
)]
pub fn split_response(response: OrchestratorResponse, max_bytes: usize) -> Vec<OrchestratorResponse> {
    if response.encoded_len() <= max_bytes {
        return vec![response];
    }
    let OrchestratorResponse { actions, .. } = response;
    let envelope = OrchestratorResponse { actions: Vec::new(), ..response };
    let room = max_bytes.saturating_sub(envelope.encoded_len() + 4 * FRAME);
    if let Some(large) = actions.iter().find(|action| action.encoded_len() + FRAME > room) {
        return vec![too_large(envelope, large, max_bytes)];
    }
    let mut parts = vec![envelope.clone()];
    let mut left = room;
    for action in actions {
        let size = action.encoded_len() + FRAME;
        if size > left {
            left = room;
            parts.push(OrchestratorResponse {
                num_events_processed: Some(0),
                orchestration_trace_context: None,
                custom_status: None,
                ..envelope.clone()
            });
        }
        left -= size;
        if let Some(part) = parts.last_mut() {
            part.actions.push(action);
        }
    }
    let last = parts.len() - 1;
    for (index, part) in parts.iter_mut().enumerate() {
        part.is_partial = index < last;
        part.chunk_index = i32::try_from(index).ok();
    }
    if let Some(part) = parts.last_mut() {
        part.custom_status.clone_from(&envelope.custom_status);
    }
    parts
}

fn too_large(
    envelope: OrchestratorResponse,
    action: &OrchestratorAction,
    max_bytes: usize,
) -> OrchestratorResponse {
    let message = format!(
        "action #{} has {} bytes, and an answer may have {max_bytes}; keep large values elsewhere and pass their place",
        action.id,
        action.encoded_len(),
    );
    let completion = failed(FailureDetails::permanent("OrchestratorResponseTooLarge", message));
    let action = OrchestratorAction {
        id: action.id,
        orchestrator_action_type: Some(OrchestratorActionType::CompleteOrchestration(completion)),
    };
    OrchestratorResponse { actions: vec![action], ..envelope }
}
