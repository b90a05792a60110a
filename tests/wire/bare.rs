//! Speaks HTTP/2 with nothing in between, so that a deadline is kept by who is asked or by nobody.

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;

/// One connection. A channel of tonic's would read `grpc-timeout` too, and give up before it is answered.
#[derive(Clone)]
pub(crate) struct Bare(SendRequest<Body>);

impl Bare {
    pub(crate) async fn connect(to: &http::Uri) -> Self {
        let authority = to.authority().expect("an endpoint says where it is");
        let socket = tokio::net::TcpStream::connect(authority.as_str()).await.expect("somebody listens");
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
