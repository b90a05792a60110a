//! Counts the calls of a connection, each until its response is written.

use super::connections::{ConnectionUsage, OpenCall};
use crate::emulator::service::ReplyReservation;
use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A service that counts its calls for a connection.
#[derive(Debug, Clone)]
pub(super) struct CountedService<S> {
    service: S,
    usage: Arc<ConnectionUsage>,
}

impl<S> CountedService<S> {
    pub(super) fn new(service: S, usage: Arc<ConnectionUsage>) -> Self {
        Self { service, usage }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for CountedService<S>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Future: Unpin>,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedCall<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        CountedCall { call: Some(self.usage.begin_call()), response: self.service.call(request) }
    }
}

/// A call without a response yet.
#[derive(Debug)]
pub(super) struct CountedCall<F> {
    call: Option<OpenCall>,
    response: F,
}

impl<F, B, E> Future for CountedCall<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(Pin::new(&mut self.response).poll(cx))?;
        let reserved = response.extensions_mut().remove::<ReplyReservation>();
        let call = self.call.take();
        // Every chunk of a large response shares its reservation and its call, so that the connection counts as used until
        // the last chunk is written.
        let (call, unwritten) = match reserved {
            None => (call, None),
            Some(reserved) => (None, Some(Arc::new((reserved, call)))),
        };
        Poll::Ready(Ok(response.map(|body| CountedBody { body, _call: call, unwritten })))
    }
}

/// Dropped when the last chunk of a large response is written.
type WriteGuard = Arc<(ReplyReservation, Option<OpenCall>)>;

/// The body of a response.
#[derive(Debug)]
pub(super) struct CountedBody<B> {
    body: B,
    _call: Option<OpenCall>,
    unwritten: Option<WriteGuard>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = CountedChunk;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<CountedChunk>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let chunk = |bytes| CountedChunk { bytes, _unwritten: self.unwritten.clone() };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A chunk of a response. hyper keeps it until it is written, which never happens if the client does not read.
#[derive(Debug)]
pub(super) struct CountedChunk {
    bytes: Bytes,
    _unwritten: Option<WriteGuard>,
}

impl Buf for CountedChunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.copy_to_bytes(count)
    }
}
