//! Keeps the work items that a worker's stream has not taken yet.
//!
//! A queue of our own instead of a channel: the hub must know what is not taken yet, and must be able to let go of it
//! when it gives a stream up whose reader is stuck.

use crate::emulator::engine::command::Refusal;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Work items in order, between the hub and one reader.
#[derive(Debug, Default)]
pub(super) struct ItemQueue {
    pub(super) items: VecDeque<Bytes>,
    /// How many bytes the reader has taken since the hub last asked.
    pub(super) taken: usize,
    /// Whether the hub waits for a report.
    pub(super) report: bool,
    /// Why the stream has ended, if it has.
    pub(super) end: Option<Refusal>,
    pub(super) reader: Option<Waker>,
}

/// The hub's end of a stream. Dropping it ends the stream.
#[derive(Debug)]
pub(super) struct ItemSender(pub(super) Arc<Mutex<ItemQueue>>);

impl ItemSender {
    pub(super) fn send(&self, item: Bytes) {
        let mut queue = lock(&self.0);
        queue.items.push_back(item);
        wake(queue);
    }

    /// How many bytes the reader has taken since this was last asked. Where it has taken none, it says so with a message
    /// as soon as it does.
    pub(super) fn report(&self) -> Option<usize> {
        let mut queue = lock(&self.0);
        queue.report = queue.taken == 0;
        Some(std::mem::take(&mut queue.taken)).filter(|taken| *taken > 0)
    }

    /// Ends the stream and says why. A stream that is given up for not being read lets go of what was not taken.
    pub(super) fn end(self, why: Refusal) {
        let mut queue = lock(&self.0);
        if why == Refusal::NotRead {
            queue.items = VecDeque::new();
        }
        queue.end = Some(why);
        wake(queue);
    }
}

impl Drop for ItemSender {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.end.get_or_insert(Refusal::ShuttingDown);
        wake(queue);
    }
}

/// Wakes the reader outside of the lock, which it takes at once.
fn wake(mut queue: MutexGuard<'_, ItemQueue>) {
    let reader = queue.reader.take();
    drop(queue);
    if let Some(reader) = reader {
        reader.wake();
    }
}

pub(super) fn lock(queue: &Mutex<ItemQueue>) -> MutexGuard<'_, ItemQueue> {
    // No code that could panic runs under this lock.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
