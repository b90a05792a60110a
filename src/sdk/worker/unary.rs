//! Makes a call whose answer says no more than whether it was taken.
//!
//! Every work item ends with such a call, so what one costs is most of what a worker costs. tonic's own way to make it
//! encodes a stream of one message and decodes another; here the message goes out as it stands, in one frame with the end of
//! the request, and of the answer only the status is read (docs/performance.md).

use crate::sdk::connect::Transport;
use bytes::{BufMut as _, Bytes};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{Method, Request, StatusCode, Uri, Version};
use http_body::{Body as _, Frame};
use prost::Message;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::{Code, Status};

/// What stands before a message: whether it is compressed, and its length.
const HEADER: usize = 5;

/// A message as it is sent. A message that must be sent twice is neither copied nor encoded twice: clones share it.
#[derive(Debug, Clone)]
pub(super) struct Framed(Bytes);

impl Framed {
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` for a message of more than 4 GiB, whose length cannot be said.
    pub(super) fn new(message: &impl Message) -> Result<Self, Status> {
        let long = |_| Status::resource_exhausted("a message of more than 4 GiB cannot be sent");
        let length = message.encoded_len();
        let mut framed = Vec::with_capacity(HEADER + length);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(length).map_err(long)?);
        message.encode(&mut framed).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Self(framed.into()))
    }
}

/// Sends a message to the method at `path` (`/Service/Method`) and waits until it is taken.
///
/// # Errors
///
/// The status that the call ended with, or what became of the connection as a status, as tonic gives it.
pub(super) async fn call(
    mut transport: Transport,
    path: &'static str,
    message: Framed,
) -> Result<(), Status> {
    let ready = poll_fn(|cx| transport.poll_ready(cx)).await;
    ready.map_err(|error| Status::unavailable(format!("the connection is gone: {error}")))?;
    let mut request = Request::new(Body::new(Once(Some(message.0))));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static(path);
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let response = transport.call(request).await.map_err(Status::from_error)?;
    // A server that refuses at once says so in the headers.
    if let Some(status) = Status::from_header_map(response.headers()) {
        return ended(status);
    }
    let code = response.status();
    let mut body = response.into_body();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Some(status) = frame?.trailers_ref().and_then(Status::from_header_map) {
            return ended(status);
        }
    }
    Err(unsaid(code))
}

fn ended(status: Status) -> Result<(), Status> {
    if status.code() == Code::Ok { Ok(()) } else { Err(status) }
}

/// What an answer without a gRPC status means: a proxy before the scheduler gave it
/// (gRPC's `http-grpc-status-mapping`).
fn unsaid(http: StatusCode) -> Status {
    let code = match http {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP {http} came without a gRPC status"))
}

/// A body of one frame, which is known to be the last when it is sent.
struct Once(Option<Bytes>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_message_stands_behind_its_length() {
        let message = wire::AbandonEntityTaskRequest { completion_token: "token".into() };
        let Framed(bytes) = Framed::new(&message).unwrap();
        assert_eq!(bytes[..HEADER], [0, 0, 0, 0, 7]);
        assert_eq!(wire::AbandonEntityTaskRequest::decode(&bytes[HEADER..]), Ok(message));
    }

    #[test]
    fn an_answer_without_a_status_may_be_worth_another_try_where_a_proxy_gave_it() {
        assert_eq!(unsaid(StatusCode::SERVICE_UNAVAILABLE).code(), Code::Unavailable);
        assert_eq!(unsaid(StatusCode::OK).code(), Code::Unknown);
        assert_eq!(unsaid(StatusCode::UNAUTHORIZED).code(), Code::Unauthenticated);
    }
}
