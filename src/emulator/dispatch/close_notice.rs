//! Tells a hub how the streams of a connection end: in good order, cancelled, or with their worker's process.

use super::message::{Close, HubMessage};
use crate::emulator::engine::command::StreamId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::UnboundedSender;

/// What a client has sent about the end of its connection. One that closes sends `GOAWAY` or cancels its calls; the
/// system closes the socket of a process that died, and sends neither.
#[derive(Debug, Default)]
pub struct CloseNotice {
    goaway: AtomicBool,
    reset: AtomicBool,
    cancelled: Mutex<CancelledStreams>,
}

/// Streams whose workers may still complete what they hold.
#[derive(Debug, Default)]
struct CancelledStreams {
    streams: Vec<(StreamId, UnboundedSender<HubMessage>)>,
    connection_ended: bool,
}

impl CloseNotice {
    /// The client has sent `GOAWAY`.
    pub fn goaway(&self) {
        self.goaway.store(true, Ordering::Relaxed);
    }

    /// Bytes of the client were read, with a `RST_STREAM` among them or without.
    pub fn last_read(&self, reset: bool) {
        self.reset.store(reset, Ordering::Relaxed);
    }

    /// The connection has ended: nothing more comes over it.
    pub fn connection_ended(&self) {
        let mut cancelled = self.cancelled();
        cancelled.connection_ended = true;
        for (stream, hub) in cancelled.streams.drain(..) {
            // A hub that has stopped needs no message.
            let _ = hub.send(HubMessage::Close { stream, how: Close::Ended });
        }
    }

    /// Tells the hub that a stream has ended. The library above drops a cancelled stream before it reads again, so the
    /// last read says whether it was cancelled.
    pub(super) fn close(&self, stream: StreamId, hub: &UnboundedSender<HubMessage>) {
        // Held until the message is sent: the end of the connection must come to the hub after it.
        let mut cancelled = self.cancelled();
        let how = if self.goaway.load(Ordering::Relaxed) {
            Close::Ended
        } else if !self.reset.load(Ordering::Relaxed) {
            Close::Lost
        } else if cancelled.connection_ended {
            Close::Ended
        } else {
            cancelled.streams.push((stream, hub.clone()));
            Close::Cancelled
        };
        let _ = hub.send(HubMessage::Close { stream, how });
    }

    fn cancelled(&self) -> MutexGuard<'_, CancelledStreams> {
        // No code that could panic runs under this lock.
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
