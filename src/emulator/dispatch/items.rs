//! Carries work items from a hub to the stream that a worker reads.
//!
//! A queue of our own instead of a channel: the hub must know what is not taken yet, and must be able to let go of it
//! when it gives a stream up whose reader is stuck.

use super::handle::OnDrop;
use crate::emulator::engine::command::Refusal;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Makes the two ends of a stream.
pub(super) fn items(on_drop: OnDrop) -> (ItemSender, Items) {
    let shared = Arc::new(Mutex::new(ItemQueue::default()));
    (ItemSender(shared.clone()), Items { shared, on_drop })
}

#[derive(Debug, Default)]
struct ItemQueue {
    items: VecDeque<Bytes>,
    /// How many bytes the reader has taken since the hub last asked.
    taken: usize,
    /// Whether the hub waits for a report.
    report: bool,
    /// Why the stream has ended, if it has.
    end: Option<Refusal>,
    reader: Option<Waker>,
}

/// The hub's end of a stream. Dropping it ends the stream.
#[derive(Debug)]
pub(super) struct ItemSender(Arc<Mutex<ItemQueue>>);

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

fn lock(queue: &Mutex<ItemQueue>) -> MutexGuard<'_, ItemQueue> {
    // No code that could panic runs under this lock.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of encoded work items; it ends when the hub does, or when the hub gives it up.
#[derive(Debug)]
pub struct Items {
    shared: Arc<Mutex<ItemQueue>>,
    on_drop: OnDrop,
}

impl Items {
    /// The next work item.
    ///
    /// # Errors
    ///
    /// Why the stream has ended: [`Refusal::ShuttingDown`] where the hub has stopped, [`Refusal::StoreFailed`] where its
    /// store made it stop, [`Refusal::NotRead`] where the stream was not read for too long.
    pub async fn next(&mut self) -> Result<Bytes, Refusal> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next work item, with the same errors.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Refusal>> {
        let mut queue = lock(&self.shared);
        if let Some(item) = queue.items.pop_front() {
            queue.taken += item.len();
            let report = std::mem::take(&mut queue.report);
            drop(queue);
            if report {
                self.on_drop.tell_drained();
            }
            return Poll::Ready(Ok(item));
        }
        if let Some(end) = &queue.end {
            return Poll::Ready(Err(end.clone()));
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}
