//! Speaks HTTP/2 with nothing in between, so that a deadline is kept by the scheduler or not at all.

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::{Code, Status};

/// One connection. A channel of tonic's would read `grpc-timeout` too, and give up before it is answered.
#[derive(Clone)]
pub(crate) struct Bare(SendRequest<Body>);

impl Bare {
    pub(crate) async fn connect(to: &http::Uri) -> Self {
        let authority = to.authority().expect("an endpoint says where it is");
        let socket = tokio::net::TcpStream::connect(authority.as_str()).await.expect("the scheduler listens");
        let connected = handshake(TokioExecutor::new(), TokioIo::new(socket)).await;
        let (requests, connection) = connected.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        Self(requests)
    }
}

impl tower_service::Service<http::Request<Body>> for Bare {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Makes a call whose message comes in two parts, the second once the gate is opened. The code it is answered with.
pub(crate) async fn post(
    endpoint: &str,
    method: &str,
    first: Vec<u8>,
    second: Vec<u8>,
    gate: Arc<Notify>,
) -> Option<Code> {
    let origin: http::Uri = endpoint.parse().expect("the endpoint is an address");
    let Bare(mut requests) = Bare::connect(&origin).await;
    let gate = Box::pin(async move { gate.notified().await });
    let parts = Parts { first: Some(first.into()), gate, second: Some(second.into()) };
    let request = http::Request::post(format!("{endpoint}/TaskHubSidecarService/{method}"))
        .version(http::Version::HTTP_2)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(Body::new(parts))
        .expect("a request");
    let response = requests.send_request(request).await.expect("it is answered");
    Status::from_header_map(response.headers()).map(|status| status.code())
}

/// A body in two parts, the second behind a gate.
struct Parts {
    first: Option<bytes::Bytes>,
    gate: Pin<Box<dyn Future<Output = ()> + Send>>,
    second: Option<bytes::Bytes>,
}

impl http_body::Body for Parts {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(first))));
        }
        if self.second.is_some() {
            std::task::ready!(self.gate.as_mut().poll(context));
        }
        Poll::Ready(self.second.take().map(|second| Ok(http_body::Frame::data(second))))
    }
}
