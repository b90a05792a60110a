//! Says which gRPC code an error is: a hub's refusal, a hub that is not there, a message that cannot be read.

use crate::emulator::dispatch::HubError;
use crate::emulator::engine::command::Refusal;
use http::{HeaderMap, HeaderValue, Response};
use tonic::body::Body;
use tonic::{Code, Status};

/// Every refusal and the code that a client sees for it (protocol/transport.md#refusals).
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoSuchInstance { .. } | Refusal::NoSuchWorkItem { .. } | Refusal::Purged { .. } => {
                Self::not_found(message)
            }
            Refusal::AlreadyExists { .. } => Self::already_exists(message),
            Refusal::ReusePolicy | Refusal::Id(_) | Refusal::Invalid { .. } => {
                Self::invalid_argument(message)
            }
            Refusal::WrongStatus { .. } => Self::failed_precondition(message),
            Refusal::Full { .. } => Self::resource_exhausted(message),
            Refusal::HistoryReplaced { .. } => Self::aborted(message),
            Refusal::ShuttingDown | Refusal::StoreFailed { .. } | Refusal::NotRead => {
                Self::unavailable(message)
            }
        }
    }
}

/// Every error of the task hubs and the code that a client sees for it (protocol/transport.md#hubs).
impl From<HubError> for Status {
    fn from(error: HubError) -> Self {
        let and = |hint: &str| format!("{error}; {hint}");
        match error {
            HubError::NotFound { .. } => Self::not_found(error.to_string()),
            HubError::Unnamed => Self::invalid_argument(and("send the metadata 'taskhub'")),
            HubError::AlreadyExists { .. } => Self::already_exists(and("set recreateIfExists to replace it")),
            HubError::ServesTheUnnamed { .. } => {
                Self::failed_precondition(and("CreateTaskHub with recreateIfExists empties it"))
            }
        }
    }
}

/// Gives the codes of a scheduler to messages that never became a request.
///
/// The gRPC library calls a message that is too long `OUT_OF_RANGE` and one that is no message `INTERNAL`. Clients
/// read the first as nothing they know and the second as our fault, and some ask again for ever.
pub(super) fn correct_unread(mut response: Response<Body>) -> Response<Body> {
    // Only a refusal that came before any answer is in the headers.
    if let Some((code, why)) = unread(response.headers()) {
        let status = Status::new(code, why);
        // Only the code and the message are replaced; the rest of the response stays.
        if status.add_header(response.headers_mut()).is_err() {
            response.headers_mut().insert(Status::GRPC_STATUS, HeaderValue::from(code as i32));
        }
    }
    response
}

/// Why the library could not read a request, with the code that a scheduler gives for it.
fn unread(headers: &HeaderMap) -> Option<(Code, String)> {
    if !headers.contains_key(Status::GRPC_STATUS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let what = status.message();
    if status.code() == Code::OutOfRange {
        Some((Code::ResourceExhausted, format!("the message is too long: {what}")))
    } else if status.code() == Code::Internal && what != super::render::UNEXPECTED {
        Some((Code::InvalidArgument, format!("the message cannot be read: {what}")))
    } else {
        None
    }
}
