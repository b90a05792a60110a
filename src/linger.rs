//! Keeps a thread looking for a moment before it sleeps: what has just done something probably gets more to do at once.
//!
//! To wake a sleeping thread takes the system longer than a whole call over loopback does (docs/performance.md), and
//! an orchestration that goes step by step wakes two for every step.

use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

/// How often a thread looks before it sleeps. A look asks the system once what has come, which takes about half a
/// microsecond: together they take about as long as waking would.
const LOOKS: u32 = 250;

/// How many things under way are so few that each is waited for.
const FEW: usize = 4;

/// Whether there is more than one processor. Asked once: the answer takes a tenth as long as an emulator's start.
static SEVERAL: LazyLock<bool> =
    LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// Keeps the thread of a current-thread runtime awake for a moment after it was last said to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Linger(Arc<State>);

#[derive(Debug)]
struct State {
    /// How many looks are left.
    left: AtomicU32,
    /// How many there are after something has come.
    looks: u32,
    asleep: AtomicWaker,
}

impl Default for Linger {
    /// Lingers where there are processors enough: where there is one, whoever looks keeps others from working.
    fn default() -> Self {
        Self::with(if *SEVERAL { LOOKS } else { 0 })
    }
}

impl Linger {
    /// Sleeps at once.
    pub fn never() -> Self {
        Self::with(0)
    }

    fn with(looks: u32) -> Self {
        Self(Arc::new(State { left: AtomicU32::new(0), looks, asleep: AtomicWaker::new() }))
    }

    /// Says that something has come, and how much is under way with it. Where that is much nobody waits for a single
    /// answer, and what comes while the thread sleeps is read and answered together, which is cheaper.
    pub fn stay_among(&self, under_way: usize) {
        if under_way <= FEW {
            self.stay();
        }
    }

    fn stay(&self) {
        if self.0.looks > 0 && self.0.left.swap(self.0.looks, Ordering::AcqRel) == 0 {
            self.0.asleep.wake();
        }
    }

    /// Has the runtime look again and again; never ends, and costs nothing while nothing comes.
    pub async fn keep_looking(self) {
        if self.0.looks == 0 {
            return std::future::pending().await;
        }
        loop {
            poll_fn(|cx| self.0.poll_look(cx)).await;
            // Whoever waits for this processor has something to do; we only look.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    }
}

impl State {
    fn poll_look(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.take_one() {
            return Poll::Ready(());
        }
        self.asleep.register(cx.waker());
        // Once more: somebody may have said so between the look and the registration.
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
    fn it_looks_as_often_as_it_says_after_the_last_word_and_then_sleeps() {
        let linger = Linger::with(3);
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        let mut looks =
            || std::iter::from_fn(|| linger.0.poll_look(&mut cx).is_ready().then_some(())).count();
        assert_eq!(looks(), 0);
        linger.stay();
        assert_eq!(looks(), 3);
        linger.stay();
        linger.stay();
        assert_eq!(looks(), 3);
    }

    #[test]
    fn it_looks_while_little_is_under_way_and_not_while_much_is() {
        let linger = Linger::with(1);
        let mut cx = Context::from_waker(noop_waker_ref());
        linger.stay_among(FEW + 1);
        assert!(linger.0.poll_look(&mut cx).is_pending());
        linger.stay_among(FEW);
        assert!(linger.0.poll_look(&mut cx).is_ready());
    }

    #[tokio::test]
    async fn a_word_wakes_it_wherever_it_comes_from() {
        let linger = Linger::with(2);
        let looking = tokio::spawn(linger.clone().keep_looking());
        let said = linger.clone();
        std::thread::spawn(move || said.stay()).join().unwrap();
        while linger.0.left.load(Ordering::Acquire) > 0 {
            tokio::task::yield_now().await;
        }
        looking.abort();
    }
}
