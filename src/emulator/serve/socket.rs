//! Observes the bytes of a connection: whether its client has finished its opening, and how it closes.

use super::connections::ConnectionUsage;
use super::frames::Frames;
use crate::emulator::dispatch::CloseNotice;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes an HTTP/2 connection begins with before anything is asked: the preface and the header of a frame.
/// Every request of HTTP/1.1 that is shorter than that has been read as a call by then.
const OPENING: usize = 24 + 9;

/// A socket whose incoming bytes are observed.
#[derive(Debug)]
pub(super) struct Observed<T> {
    inner: T,
    /// How many bytes of the opening are missing.
    missing: usize,
    usage: Arc<ConnectionUsage>,
    /// Where it is kept how the client closes, on a port where that matters.
    closing: Option<(Frames, Arc<CloseNotice>)>,
}

impl<T> Observed<T> {
    pub(super) fn new(inner: T, usage: Arc<ConnectionUsage>, notice: Option<Arc<CloseNotice>>) -> Self {
        let closing = notice.map(|notice| (Frames::default(), notice));
        Self { inner, missing: OPENING, usage, closing }
    }

    fn observe(&mut self, new: &[u8]) {
        if self.missing > 0 {
            self.missing = self.missing.saturating_sub(new.len());
            if self.missing == 0 {
                self.usage.handshake_done();
            }
        }
        if let Some((frames, notice)) = &mut self.closing {
            let found = frames.read(new);
            if found.goaway {
                notice.goaway();
            }
            notice.last_read(found.reset);
        }
    }
}

impl<T> Drop for Observed<T> {
    fn drop(&mut self) {
        if let Some((_, notice)) = &self.closing {
            notice.connection_ended();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Observed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let new = &buffer.filled()[before..];
        // The end of the connection is a read of no bytes: a reset in the last bytes before it still counts.
        if !new.is_empty() {
            self.observe(new);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Observed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
