//! Renders a hub's replies as the protocol's responses.

use crate::emulator::engine::command::{Refusal, Reply};
use crate::wire;
use std::sync::Arc;
use tonic::{Response, Status};

type Rendered<T> = Result<Response<T>, Status>;

/// The message of the one internal error that a client can see.
pub(super) const UNEXPECTED: &str = "the emulator's hub sent a reply of the wrong kind; please report this";

/// The status for a reply that does not belong to the command. It is a bug of the emulator.
pub(super) fn unexpected() -> Status {
    Status::internal(UNEXPECTED)
}

/// Renders a reply without content.
pub(super) fn done<T>(reply: Result<Reply, Refusal>, response: T) -> Rendered<T> {
    let Reply::Done = reply? else { return Err(unexpected()) };
    Ok(Response::new(response))
}

pub(super) fn started(reply: Result<Reply, Refusal>) -> Result<String, Status> {
    let Reply::Started(id) = reply? else { return Err(unexpected()) };
    Ok(id.as_str().to_owned())
}

pub(super) fn state(reply: Result<Reply, Refusal>) -> Rendered<wire::GetInstanceResponse> {
    let Reply::State(state) = reply? else { return Err(unexpected()) };
    Ok(found(state))
}

pub(super) fn found(state: Option<Arc<wire::OrchestrationState>>) -> Response<wire::GetInstanceResponse> {
    let orchestration_state = state.map(Arc::unwrap_or_clone);
    Response::new(wire::GetInstanceResponse { exists: orchestration_state.is_some(), orchestration_state })
}

pub(super) fn states(reply: Result<Reply, Refusal>) -> Rendered<wire::QueryInstancesResponse> {
    let Reply::States { states, next } = reply? else { return Err(unexpected()) };
    Ok(Response::new(wire::QueryInstancesResponse { orchestration_state: states, continuation_token: next }))
}

pub(super) fn ids(reply: Result<Reply, Refusal>) -> Rendered<wire::ListInstanceIdsResponse> {
    let Reply::Ids { ids, next } = reply? else { return Err(unexpected()) };
    Ok(Response::new(wire::ListInstanceIdsResponse { instance_ids: ids, last_instance_key: next }))
}

pub(super) fn entity(reply: Result<Reply, Refusal>) -> Rendered<wire::GetEntityResponse> {
    let Reply::Entity(entity) = reply? else { return Err(unexpected()) };
    let entity = entity.map(|entity| *entity);
    Ok(Response::new(wire::GetEntityResponse { exists: entity.is_some(), entity }))
}

pub(super) fn entities(reply: Result<Reply, Refusal>) -> Rendered<wire::QueryEntitiesResponse> {
    let Reply::Entities { entities, next } = reply? else { return Err(unexpected()) };
    Ok(Response::new(wire::QueryEntitiesResponse { entities, continuation_token: next }))
}

pub(super) fn purged(deleted: usize, complete: bool) -> Response<wire::PurgeInstancesResponse> {
    Response::new(wire::PurgeInstancesResponse {
        deleted_instance_count: i32::try_from(deleted).unwrap_or(i32::MAX),
        is_complete: Some(complete),
    })
}
