//! Counts the calls of a connection, each until its answer is written.

use super::connections::{Activity, Call};
use crate::emulator::service::Reserved;
use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A service whose calls count for a connection.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    service: S,
    activity: Arc<Activity>,
}

impl<S> Counted<S> {
    pub(super) fn new(service: S, activity: Arc<Activity>) -> Self {
        Self { service, activity }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Counted<S>
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Future: Unpin>,
{
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Answering { call: Some(self.activity.begin_call()), answer: self.service.call(request) }
    }
}

/// A call whose answer is being made.
#[derive(Debug)]
pub(super) struct Answering<F> {
    call: Option<Call>,
    answer: F,
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<Answer<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answered = ready!(Pin::new(&mut self.answer).poll(cx))?;
        let reserved = answered.extensions_mut().remove::<Reserved>();
        let call = self.call.take();
        // What is reserved is shared with every piece that is on its way, and so is the call then: while a large answer
        // is not written, its connection is in use.
        let (call, unwritten) = match reserved {
            None => (call, None),
            Some(reserved) => (None, Some(Arc::new((reserved, call)))),
        };
        Poll::Ready(Ok(answered.map(|body| Answer { body, _call: call, unwritten })))
    }
}

type Unwritten = Arc<(Reserved, Option<Call>)>;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer<B> {
    body: B,
    _call: Option<Call>,
    unwritten: Option<Unwritten>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let piece = |bytes| Piece { bytes, _unwritten: self.unwritten.clone() };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer. The connection keeps it until it is written, which for a client that does not read is never.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _unwritten: Option<Unwritten>,
}

impl Buf for Piece {
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
