//! Renders what a hub says as the protocol's responses.

use crate::emulator::engine::command::{Refusal, Reply};
use crate::wire;
use tonic::{Response, Status};

type Rendered<T> = Result<Response<T>, Status>;

/// A reply that does not belong to the command: a mistake of ours, which the caller can only report.
pub(super) fn unexpected() -> Status {
    Status::internal("the emulator answered something that was not asked; please report this")
}

/// Renders a reply that says nothing.
pub(super) fn done<T>(reply: Result<Reply, Refusal>, response: T) -> Rendered<T> {
    match reply? {
        Reply::Done => Ok(Response::new(response)),
        _ => Err(unexpected()),
    }
}

pub(super) fn started(reply: Result<Reply, Refusal>) -> Result<String, Status> {
    match reply? {
        Reply::Started(id) => Ok(id.as_str().to_owned()),
        _ => Err(unexpected()),
    }
}

pub(super) fn state(reply: Result<Reply, Refusal>) -> Rendered<wire::GetInstanceResponse> {
    match reply? {
        Reply::State(state) => Ok(found(state)),
        _ => Err(unexpected()),
    }
}

pub(super) fn found(state: Option<Box<wire::OrchestrationState>>) -> Response<wire::GetInstanceResponse> {
    let orchestration_state = state.map(|state| *state);
    Response::new(wire::GetInstanceResponse { exists: orchestration_state.is_some(), orchestration_state })
}

pub(super) fn states(reply: Result<Reply, Refusal>) -> Rendered<wire::QueryInstancesResponse> {
    match reply? {
        Reply::States { states, next } => Ok(Response::new(wire::QueryInstancesResponse {
            orchestration_state: states,
            continuation_token: next,
        })),
        _ => Err(unexpected()),
    }
}

pub(super) fn ids(reply: Result<Reply, Refusal>) -> Rendered<wire::ListInstanceIdsResponse> {
    match reply? {
        Reply::Ids { ids, next } => {
            Ok(Response::new(wire::ListInstanceIdsResponse { instance_ids: ids, last_instance_key: next }))
        }
        _ => Err(unexpected()),
    }
}

pub(super) fn entity(reply: Result<Reply, Refusal>) -> Rendered<wire::GetEntityResponse> {
    match reply? {
        Reply::Entity(entity) => Ok(Response::new(wire::GetEntityResponse {
            exists: entity.is_some(),
            entity: entity.map(|entity| *entity),
        })),
        _ => Err(unexpected()),
    }
}

pub(super) fn entities(reply: Result<Reply, Refusal>) -> Rendered<wire::QueryEntitiesResponse> {
    match reply? {
        Reply::Entities { entities, next } => {
            Ok(Response::new(wire::QueryEntitiesResponse { entities, continuation_token: next }))
        }
        _ => Err(unexpected()),
    }
}

pub(super) fn purged(deleted: usize, complete: bool) -> Response<wire::PurgeInstancesResponse> {
    Response::new(wire::PurgeInstancesResponse {
        deleted_instance_count: i32::try_from(deleted).unwrap_or(i32::MAX),
        is_complete: Some(complete),
    })
}
