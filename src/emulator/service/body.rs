//! Request bodies: one whose message length is read first, and one that is in memory.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The bytes before a gRPC message: whether it is compressed, and its length.
pub(super) const HEADER: usize = 5;

/// A request body of which the first bytes have been read.
#[derive(Debug)]
pub(super) struct PeekedBody<B: Body> {
    /// The bytes read, until they are given on.
    ahead: Option<Result<Bytes, B::Error>>,
    rest: B,
    length: Option<usize>,
}

impl<B: Body<Data = Bytes> + Unpin> PeekedBody<B> {
    /// Waits for the first bytes of a request.
    pub(super) async fn read(mut rest: B) -> Self {
        let mut begun = Bytes::new();
        while begun.len() < HEADER {
            match next(&mut rest).await {
                // Nearly always the whole message is in the first frame, which is kept without a copy.
                Some(Ok(data)) if begun.is_empty() => begun = data,
                Some(Ok(data)) => {
                    let mut joined = BytesMut::from(begun);
                    joined.extend_from_slice(&data);
                    begun = joined.freeze();
                }
                Some(Err(error)) => return Self { ahead: Some(Err(error)), rest, length: None },
                None => break,
            }
        }
        let length = match *begun {
            // A compressed message is refused later, whatever its length.
            [0, a, b, c, d, ..] => usize::try_from(u32::from_be_bytes([a, b, c, d])).ok(),
            _ => None,
        };
        Self { ahead: (!begun.is_empty()).then_some(Ok(begun)), rest, length }
    }

    /// The length of the message, if its header is complete and it is not compressed.
    pub(super) fn length(&self) -> Option<usize> {
        self.length
    }

    /// The next bytes, the header first; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, B::Error>> {
        match self.ahead.take() {
            Some(ahead) => Some(ahead),
            None => next(&mut self.rest).await,
        }
    }

    /// Whether the whole message has arrived, as far as its length is known.
    pub(super) fn is_whole(&self) -> bool {
        let here = match &self.ahead {
            Some(Ok(begun)) => begun.len(),
            Some(Err(_)) | None => 0,
        };
        self.length.is_none_or(|length| here >= HEADER + length)
    }

    /// Reads to the end of the request, and keeps its message.
    pub(super) async fn buffer(mut self) -> BufferedBody<B::Error> {
        let mut parts = VecDeque::new();
        let mut left = self.length.map_or(usize::MAX, |length| HEADER + length);
        while let Some(part) = self.next().await {
            match part {
                Ok(mut data) => {
                    data.truncate(left);
                    left -= data.len();
                    if data.has_remaining() {
                        parts.push_back(Ok(data));
                    }
                }
                Err(error) => {
                    parts.push_back(Err(error));
                    break;
                }
            }
        }
        BufferedBody(parts)
    }
}

/// The next bytes of a body. Trailers are skipped: a gRPC request has none that mean anything.
async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Bytes, B::Error>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data()
                    && data.has_remaining()
                {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PeekedBody<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.ahead.take() {
            Some(ahead) => Poll::Ready(Some(ahead.map(Frame::data))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.rest.is_end_stream()
    }
}

/// A request body in memory.
#[derive(Debug)]
pub(super) struct BufferedBody<E>(VecDeque<Result<Bytes, E>>);

impl<E> BufferedBody<E> {
    /// The body of one message.
    pub(super) fn of(message: &[u8]) -> Self {
        let mut framed = BytesMut::with_capacity(HEADER + message.len());
        framed.extend_from_slice(&[0]);
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        framed.extend_from_slice(message);
        Self(VecDeque::from([Ok(framed.freeze())]))
    }
}

#[cfg(test)]
impl<E> BufferedBody<E> {
    /// Leaves away what comes after that many bytes.
    pub(super) fn cut(&mut self, length: usize) {
        for part in self.0.iter_mut().flatten() {
            part.truncate(length);
        }
    }
}

impl<E: Unpin> Body for BufferedBody<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(self.0.pop_front().map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
