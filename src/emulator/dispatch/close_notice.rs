//! Keeps whether the client of a connection closed in good order, or its process died.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a client has sent about the end of its connection. One that closes sends `GOAWAY` or cancels its calls; the
/// system closes the socket of a process that died, and sends neither.
#[derive(Debug, Default)]
pub struct CloseNotice {
    goaway: AtomicBool,
    reset: AtomicBool,
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

    /// Whether a stream that ends now was ended by its client: the library above drops a cancelled stream before it
    /// reads again.
    pub(super) fn was_given(&self) -> bool {
        self.goaway.load(Ordering::Relaxed) || self.reset.load(Ordering::Relaxed)
    }
}
