//! Counts what has begun and not ended, so that stopping can wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// How much is under way. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Flight(Arc<Count>);

#[derive(Default)]
struct Count {
    under_way: AtomicUsize,
    changed: Notify,
}

/// Something that is under way until this is dropped.
pub(super) struct Ticket(Arc<Count>);

impl Flight {
    pub(super) fn begin(&self) -> Ticket {
        if self.0.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.changed.notify_waiters();
        }
        Ticket(Arc::clone(&self.0))
    }

    /// How much has begun and not ended.
    pub(super) fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::Acquire)
    }

    fn is_empty(&self) -> bool {
        self.under_way() == 0
    }

    /// Waits until nothing is under way.
    pub(super) async fn landed(&self) {
        self.until(true).await;
    }

    /// Waits until something is under way.
    pub(super) async fn busy(&self) {
        self.until(false).await;
    }

    async fn until(&self, empty: bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that nothing is missed between the look and the wait.
            changed.as_mut().enable();
            if self.is_empty() == empty {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_has_landed_when_the_last_ticket_is_gone() {
        let flight = Flight::default();
        flight.landed().await;
        let (first, second) = (flight.begin(), flight.begin());
        flight.busy().await;
        let mut landed = Box::pin(flight.landed());
        assert!(futures::poll!(&mut landed).is_pending());
        drop(first);
        assert!(futures::poll!(&mut landed).is_pending());
        drop(second);
        landed.await;
    }
}
