//! Reads from a connection's bytes whether its other end says goodbye: a process that dies does not.
//!
//! HTTP/2 libraries tell a server that a stream has ended, and not why. What tells is two kinds of frames: `GOAWAY`
//! before a connection is closed, and `RST_STREAM` when a call is cancelled. So the nine bytes that begin each frame are
//! looked at on their way in, and the rest is counted past.

use super::dispatch::Partings;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client's HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// A connection that is looked at while it is read.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    frames: Frames,
    partings: Arc<Partings>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, partings: Arc<Partings>) -> Self {
        Self { inner, frames: Frames::default(), partings }
    }
}

/// Where in the bytes of a connection the reader is.
#[derive(Debug)]
enum Frames {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// In a frame's header, of which so many bytes have come.
    Header([u8; HEADER], usize),
    /// So many bytes of a frame's body are still to come.
    Body(usize),
    /// It does not speak HTTP/2.
    Other,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Preface(0)
    }
}

/// What some bytes have said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    goodbye: bool,
    cancelled: bool,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) -> Said {
        let mut said = Said::default();
        while !bytes.is_empty() {
            match self {
                Self::Other => break,
                Self::Preface(have) => {
                    let wanted = &PREFACE[*have..];
                    let some = wanted.len().min(bytes.len());
                    if bytes[..some] != wanted[..some] {
                        *self = Self::Other;
                        break;
                    }
                    *have += some;
                    if *have == PREFACE.len() {
                        *self = Self::Header([0; HEADER], 0);
                    }
                    bytes = &bytes[some..];
                }
                Self::Header(header, have) => {
                    let some = (HEADER - *have).min(bytes.len());
                    header[*have..*have + some].copy_from_slice(&bytes[..some]);
                    *have += some;
                    bytes = &bytes[some..];
                    if *have == HEADER {
                        let [a, b, c, kind, ..] = *header;
                        said.goodbye |= kind == GOAWAY;
                        said.cancelled |= kind == RST_STREAM;
                        let body = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                        *self = if body == 0 { Self::Header([0; HEADER], 0) } else { Self::Body(body) };
                    }
                }
                Self::Body(left) => {
                    let some = (*left).min(bytes.len());
                    *left -= some;
                    bytes = &bytes[some..];
                    if *left == 0 {
                        *self = Self::Header([0; HEADER], 0);
                    }
                }
            }
        }
        said
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let new = &buffer.filled()[before..];
        // At the end of the connection the last bytes still count: they came with it.
        if !new.is_empty() {
            let said = self.frames.read(new);
            if said.goodbye {
                self.partings.of_connection();
            }
            self.partings.of_call(said.cancelled);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: usize) -> Vec<u8> {
        let mut frame = vec![0; HEADER + body];
        frame[1] = u8::try_from(body >> 8).unwrap();
        frame[2] = u8::try_from(body & 0xff).unwrap();
        frame[3] = kind;
        frame
    }

    #[test]
    fn a_goodbye_is_heard_wherever_the_bytes_are_cut() {
        let all =
            [PREFACE.to_vec(), frame(4, 0), frame(0, 300), frame(RST_STREAM, 4), frame(GOAWAY, 8)].concat();
        for cut in 0..all.len() {
            let mut frames = Frames::default();
            let (one, other) = (frames.read(&all[..cut]), frames.read(&all[cut..]));
            assert!(one.goodbye ^ other.goodbye, "cut at {cut}");
            assert!(one.cancelled ^ other.cancelled, "cut at {cut}");
        }
    }

    #[test]
    fn neither_data_nor_another_protocol_says_goodbye() {
        let mut frames = Frames::default();
        let mut all = [PREFACE.to_vec(), frame(0, 20)].concat();
        all.extend([GOAWAY; 0]);
        assert_eq!(frames.read(&all), Said::default());
        let text =
            b"GET / HTTP/1.1\r\n\r\n\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07";
        assert_eq!(Frames::default().read(text), Said::default());
    }
}
