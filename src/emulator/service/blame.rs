//! Says whose mistake it is where a message could not be read.

use http::{HeaderMap, HeaderValue, Response};
use tonic::body::Body;
use tonic::{Code, Status};

/// Gives the codes of a scheduler to messages that never became a request.
///
/// The gRPC library calls a message that is too long `OUT_OF_RANGE` and one that is no message `INTERNAL`. Clients
/// read the first as nothing they know and the second as our fault, and some ask again for ever.
pub(super) fn sender(mut response: Response<Body>) -> Response<Body> {
    // Only a refusal that came before any answer is in the headers.
    if let Some((code, why)) = reason(response.headers()) {
        let status = Status::new(code, why);
        // What was said before is said over; nothing else of the response is.
        if status.add_header(response.headers_mut()).is_err() {
            response.headers_mut().insert(Status::GRPC_STATUS, HeaderValue::from(code as i32));
        }
    }
    response
}

fn reason(headers: &HeaderMap) -> Option<(Code, String)> {
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
