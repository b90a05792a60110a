//! Counts the work items that this worker has: how many of each kind, how many in all, and how many bytes.
//!
//! Stopping waits until there are none; the stream of work items is not read while there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;

/// The kinds of work item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Turn,
    Batch,
    Activity,
}

/// How much of what one worker may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Work items, those included whose answer is on its way.
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// The work items under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Flight(Arc<Count>);

struct Count {
    under_way: AtomicUsize,
    bytes: AtomicUsize,
    /// Those that are not answered yet, by kind.
    unanswered: [AtomicUsize; 3],
    most: Most,
    changed: Notify,
    /// The stream's reader waits for room.
    crowded: AtomicBool,
    room: Notify,
}

/// A work item that is under way until this is dropped.
pub(super) struct Ticket {
    count: Arc<Count>,
    bytes: usize,
    unanswered: Option<Kind>,
}

impl Flight {
    pub(super) fn new(most: Most) -> Self {
        Self(Arc::new(Count {
            under_way: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            unanswered: Default::default(),
            most,
            changed: Notify::new(),
            crowded: AtomicBool::new(false),
            room: Notify::new(),
        }))
    }

    /// Counts a work item whose message has this many bytes.
    pub(super) fn begin(&self, kind: Kind, bytes: usize) -> Ticket {
        self.0.unanswered[kind as usize].fetch_add(1, SeqCst);
        self.enter(bytes, Some(kind))
    }

    /// Counts something that only stopping has to wait for: a call under way.
    pub(super) fn begin_call(&self) -> Ticket {
        self.enter(0, None)
    }

    fn enter(&self, bytes: usize, unanswered: Option<Kind>) -> Ticket {
        self.0.bytes.fetch_add(bytes, SeqCst);
        if self.0.under_way.fetch_add(1, SeqCst) == 0 {
            self.0.changed.notify_waiters();
        }
        Ticket { count: Arc::clone(&self.0), bytes, unanswered }
    }

    /// How much has begun and not ended.
    pub(super) fn under_way(&self) -> usize {
        self.0.under_way.load(SeqCst)
    }

    /// How many work items of a kind are not answered yet.
    pub(super) fn unanswered(&self, kind: Kind) -> usize {
        self.0.unanswered[kind as usize].load(SeqCst)
    }

    /// Whether there is room for one more work item.
    pub(super) fn has_room(&self) -> bool {
        self.under_way() < self.0.most.items && self.0.bytes.load(SeqCst) < self.0.most.bytes
    }

    /// Waits until there is room for one more work item.
    pub(super) async fn room(&self) {
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            // Set before the look: a ticket that is dropped after the look sees it and wakes this task.
            self.0.crowded.store(true, SeqCst);
            if self.has_room() {
                self.0.crowded.store(false, SeqCst);
                return;
            }
            room.await;
        }
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
            if (self.under_way() == 0) == empty {
                return;
            }
            changed.await;
        }
    }
}

impl Ticket {
    /// The work is done: only its answer is under way from now on.
    ///
    /// A scheduler that keeps to the worker's limits sends the next work item as soon as it has that answer, which is
    /// before the worker hears that the answer has arrived.
    pub(super) fn answered(&mut self) {
        if let Some(kind) = self.unanswered.take() {
            self.count.unanswered[kind as usize].fetch_sub(1, SeqCst);
        }
    }

    /// Counts more bytes for this work item.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.count.bytes.fetch_add(bytes, SeqCst);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answered();
        self.count.bytes.fetch_sub(self.bytes, SeqCst);
        if self.count.under_way.fetch_sub(1, SeqCst) == 1 {
            self.count.changed.notify_waiters();
        }
        if self.count.crowded.load(SeqCst) {
            self.count.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { items: 2, bytes: 100 };

    #[tokio::test]
    async fn it_has_landed_when_the_last_ticket_is_gone() {
        let flight = Flight::new(MOST);
        flight.landed().await;
        let (first, second) = (flight.begin(Kind::Turn, 1), flight.begin_call());
        flight.busy().await;
        let mut landed = Box::pin(flight.landed());
        assert!(futures::poll!(&mut landed).is_pending());
        drop(first);
        assert!(futures::poll!(&mut landed).is_pending());
        drop(second);
        landed.await;
    }

    #[tokio::test]
    async fn there_is_room_again_when_a_work_item_or_its_bytes_are_gone() {
        let flight = Flight::new(MOST);
        let small = flight.begin(Kind::Activity, 1);
        assert!(flight.has_room());
        let other = flight.begin(Kind::Activity, 1);
        let mut room = Box::pin(flight.room());
        assert!(futures::poll!(&mut room).is_pending());
        drop(other);
        room.await;
        let mut large = flight.begin(Kind::Turn, 0);
        drop(small);
        large.grow(100);
        assert!(!flight.has_room());
        drop(large);
        flight.room().await;
    }

    #[test]
    fn what_is_answered_counts_until_its_answer_has_arrived_but_not_as_work() {
        let flight = Flight::new(MOST);
        let mut ticket = flight.begin(Kind::Batch, 1);
        assert_eq!((flight.unanswered(Kind::Batch), flight.under_way()), (1, 1));
        ticket.answered();
        assert_eq!((flight.unanswered(Kind::Batch), flight.under_way()), (0, 1));
        drop(ticket);
        assert_eq!((flight.unanswered(Kind::Batch), flight.under_way()), (0, 0));
    }
}
