//! Carries work items from a hub to the stream that a worker reads.

use super::item_queue::{ItemQueue, ItemSender, lock};
use super::on_drop::OnDrop;
use crate::emulator::engine::command::Refusal;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Makes the two ends of a stream.
pub(super) fn items(on_drop: OnDrop) -> (ItemSender, Items) {
    let shared = Arc::new(Mutex::new(ItemQueue::default()));
    (ItemSender(shared.clone()), Items { shared, on_drop })
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
