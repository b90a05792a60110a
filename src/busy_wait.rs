//! Busy-waits before a runtime thread parks: a thread that has just done something probably gets more to do at once.
//!
//! To wake a sleeping thread takes the system longer than a whole call over loopback does (docs/performance.md), and
//! an orchestration that goes step by step wakes two for every step.

use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

/// How often a thread polls before it parks. A poll asks the system once what has arrived, which takes about half a
/// microsecond: together they take about as long as waking would.
const POLLS: u32 = 250;

/// Up to how many items in flight a thread busy-waits: with more, what arrives while it is parked is read together.
const FEW: usize = 4;

/// Whether there is more than one processor. Asked once: the answer takes a tenth as long as an emulator's start.
static SEVERAL: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// Keeps the thread of a current-thread runtime from parking for about a tenth of a millisecond after the last `extend`. Cheap
/// to clone.
#[derive(Debug, Clone)]
pub(crate) struct BusyWait(Arc<BusyWaitState>);

#[derive(Debug)]
struct BusyWaitState {
    /// How many polls are left.
    left: AtomicU32,
    /// How many polls follow an `extend`.
    polls: u32,
    parked: AtomicWaker,
}

impl Default for BusyWait {
    /// Busy-waits where there is more than one processor: on a single one it would keep other threads from running.
    fn default() -> Self {
        Self::with(if *SEVERAL { POLLS } else { 0 })
    }
}

impl BusyWait {
    /// Parks at once.
    #[cfg(feature = "sdk")]
    pub(crate) fn never() -> Self {
        Self::with(0)
    }

    fn with(polls: u32) -> Self {
        Self(Arc::new(BusyWaitState { left: AtomicU32::new(0), polls, parked: AtomicWaker::new() }))
    }

    /// Begins the busy-wait again, because something has arrived, unless many items are in flight. With many, no peer waits for
    /// a single answer, and what arrives while the thread is parked is read and answered together, which is cheaper.
    pub(crate) fn extend_if_few(&self, under_way: usize) {
        if under_way <= FEW {
            self.extend();
        }
    }

    fn extend(&self) {
        if self.0.polls > 0 && self.0.left.swap(self.0.polls, Ordering::AcqRel) == 0 {
            self.0.parked.wake();
        }
    }

    /// Has the runtime poll again and again while a busy-wait lasts. Never ends; costs nothing between busy-waits.
    pub(crate) async fn run(self) {
        if self.0.polls == 0 {
            return std::future::pending().await;
        }
        loop {
            poll_fn(|cx| self.0.poll_once(cx)).await;
            // Another thread that waits for this processor has work to do; this one only polls.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    }
}

impl BusyWaitState {
    fn poll_once(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.take_one() {
            return Poll::Ready(());
        }
        self.parked.register(cx.waker());
        // Again: `extend` may have run between the first try and the registration.
        if self.take_one() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take_one(&self) -> bool {
        let took = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        took.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::{noop_waker, noop_waker_ref};

    #[test]
    fn it_polls_as_often_as_it_says_after_the_last_extension_and_then_parks() {
        let busy_wait = BusyWait::with(3);
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        let mut polls =
            || std::iter::from_fn(|| busy_wait.0.poll_once(&mut cx).is_ready().then_some(())).count();
        assert_eq!(polls(), 0);
        busy_wait.extend();
        assert_eq!(polls(), 3);
        busy_wait.extend();
        busy_wait.extend();
        assert_eq!(polls(), 3);
    }

    #[test]
    fn it_polls_while_few_items_are_in_flight_and_not_while_many_are() {
        let busy_wait = BusyWait::with(1);
        let mut cx = Context::from_waker(noop_waker_ref());
        busy_wait.extend_if_few(FEW + 1);
        assert!(busy_wait.0.poll_once(&mut cx).is_pending());
        busy_wait.extend_if_few(FEW);
        assert!(busy_wait.0.poll_once(&mut cx).is_ready());
    }

    #[tokio::test]
    async fn an_extension_from_another_thread_wakes_it() {
        let busy_wait = BusyWait::with(2);
        let looking = tokio::spawn(busy_wait.clone().run());
        let said = busy_wait.clone();
        std::thread::spawn(move || said.extend()).join().unwrap();
        while busy_wait.0.left.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
        looking.abort();
    }
}
