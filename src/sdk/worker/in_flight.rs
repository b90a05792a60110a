//! Counts the work items in flight of one worker: how many of each kind, how many in all, and how many bytes.
//!
//! Stopping waits until there are none; the stream of work items is not read while there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;

/// The kinds of work item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkItemKind {
    Turn,
    Batch,
    Activity,
}

/// How much one worker may have in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlightLimit {
    /// Work items, including those whose result is being sent.
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// The work items in flight. Cheap to clone.
#[derive(Clone)]
pub(super) struct InFlight(Arc<Counters>);

struct Counters {
    under_way: AtomicUsize,
    bytes: AtomicUsize,
    /// Those that are not answered yet, by kind.
    unanswered: [AtomicUsize; 3],
    most: InFlightLimit,
    changed: Notify,
    /// The stream's reader waits for room.
    reader_waits: AtomicBool,
    room: Notify,
}

/// A work item that is in flight until this is dropped.
pub(super) struct InFlightGuard {
    count: Arc<Counters>,
    bytes: usize,
    unanswered: Option<WorkItemKind>,
}

impl InFlight {
    pub(super) fn new(most: InFlightLimit) -> Self {
        Self(Arc::new(Counters {
            under_way: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            unanswered: Default::default(),
            most,
            changed: Notify::new(),
            reader_waits: AtomicBool::new(false),
            room: Notify::new(),
        }))
    }

    /// Counts a work item whose message has this many bytes.
    pub(super) fn begin(&self, kind: WorkItemKind, bytes: usize) -> InFlightGuard {
        self.0.unanswered[kind as usize].fetch_add(1, SeqCst);
        self.enter(bytes, Some(kind))
    }

    /// Counts a call that is no work item, and that a stopping worker waits for.
    pub(super) fn begin_call(&self) -> InFlightGuard {
        self.enter(0, None)
    }

    fn enter(&self, bytes: usize, unanswered: Option<WorkItemKind>) -> InFlightGuard {
        self.0.bytes.fetch_add(bytes, SeqCst);
        if self.0.under_way.fetch_add(1, SeqCst) == 0 {
            self.0.changed.notify_waiters();
        }
        InFlightGuard { count: Arc::clone(&self.0), bytes, unanswered }
    }

    /// How many work items and calls are in flight.
    pub(super) fn under_way(&self) -> usize {
        self.0.under_way.load(SeqCst)
    }

    /// How many work items of a kind are not answered yet.
    pub(super) fn unanswered(&self, kind: WorkItemKind) -> usize {
        self.0.unanswered[kind as usize].load(SeqCst)
    }

    /// Whether there is room for one more work item.
    pub(super) fn has_room(&self) -> bool {
        self.under_way() < self.0.most.items && self.0.bytes.load(SeqCst) < self.0.most.bytes
    }

    /// Waits until there is room for one more work item.
    pub(super) async fn until_room(&self) {
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            // Set before the look: a guard that is dropped after the look sees it and wakes this task.
            self.0.reader_waits.store(true, SeqCst);
            if self.has_room() {
                self.0.reader_waits.store(false, SeqCst);
                return;
            }
            room.await;
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn until_idle(&self) {
        self.until(true).await;
    }

    /// Waits until something is under way.
    pub(super) async fn until_busy(&self) {
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

impl InFlightGuard {
    /// The work is done: only its result is in flight from now on.
    ///
    /// A scheduler that keeps to the worker's limits sends the next work item as soon as it has that result, which is
    /// before the worker hears that the result has arrived.
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

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.answered();
        self.count.bytes.fetch_sub(self.bytes, SeqCst);
        if self.count.under_way.fetch_sub(1, SeqCst) == 1 {
            self.count.changed.notify_waiters();
        }
        if self.count.reader_waits.load(SeqCst) {
            self.count.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: InFlightLimit = InFlightLimit { items: 2, bytes: 100 };

    #[tokio::test]
    async fn it_is_idle_when_the_last_guard_is_gone() {
        let in_flight = InFlight::new(LIMIT);
        in_flight.until_idle().await;
        let (first, second) = (in_flight.begin(WorkItemKind::Turn, 1), in_flight.begin_call());
        in_flight.until_busy().await;
        let mut idle = Box::pin(in_flight.until_idle());
        assert!(futures::poll!(&mut idle).is_pending());
        drop(first);
        assert!(futures::poll!(&mut idle).is_pending());
        drop(second);
        idle.await;
    }

    #[tokio::test]
    async fn there_is_room_again_when_a_work_item_or_its_bytes_are_gone() {
        let in_flight = InFlight::new(LIMIT);
        let small = in_flight.begin(WorkItemKind::Activity, 1);
        assert!(in_flight.has_room());
        let other = in_flight.begin(WorkItemKind::Activity, 1);
        let mut room = Box::pin(in_flight.until_room());
        assert!(futures::poll!(&mut room).is_pending());
        drop(other);
        room.await;
        let mut large = in_flight.begin(WorkItemKind::Turn, 0);
        drop(small);
        large.grow(100);
        assert!(!in_flight.has_room());
        drop(large);
        in_flight.until_room().await;
    }

    #[test]
    fn a_work_item_with_a_result_counts_until_the_result_has_arrived_but_not_as_unanswered() {
        let in_flight = InFlight::new(LIMIT);
        let mut guard = in_flight.begin(WorkItemKind::Batch, 1);
        assert_eq!((in_flight.unanswered(WorkItemKind::Batch), in_flight.under_way()), (1, 1));
        guard.answered();
        assert_eq!((in_flight.unanswered(WorkItemKind::Batch), in_flight.under_way()), (0, 1));
        drop(guard);
        assert_eq!((in_flight.unanswered(WorkItemKind::Batch), in_flight.under_way()), (0, 0));
    }
}
