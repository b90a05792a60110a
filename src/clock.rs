//! Reads the time; nothing else does.

use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A future that resolves when a clock has reached a moment.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the time is taken from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Resolves when `at` is reached, never before.
    fn sleep_until(&self, at: Timestamp) -> Sleep;
}

/// The machine's clock. Its sleeps need a tokio runtime with time.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(std::time::SystemTime::now())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn sleep_until(&self, at: Timestamp) -> Sleep {
        Box::pin(async move {
            // The machine's clock may be set back while we sleep.
            loop {
                let left = at.since(Self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left).await;
            }
        })
    }
}

/// A clock that stands still until somebody turns it. Clones are the same clock.
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Default)]
struct Hands {
    now: Timestamp,
    /// Who sleeps, by the moment they wait for; the number tells apart those who wait for the same one.
    sleepers: BTreeMap<(Timestamp, u64), Option<Waker>>,
    slept: u64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { now, ..Hands::default() })))
    }

    /// Turns the clock on by `step`, and wakes whoever slept until then.
    pub fn advance(&self, step: Duration) {
        let mut hands = self.hands();
        hands.now = hands.now.plus(step);
        let now = hands.now;
        let due: Vec<Waker> =
            hands.sleepers.range_mut(..=(now, u64::MAX)).filter_map(|(_, waker)| waker.take()).collect();
        drop(hands);
        due.into_iter().for_each(Waker::wake);
    }

    /// The earliest moment that somebody sleeps until; `None` when nobody does.
    pub fn next_sleeper(&self) -> Option<Timestamp> {
        self.hands().sleepers.keys().next().map(|(at, _)| *at)
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands().now
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let mut hands = self.hands();
        hands.slept += 1;
        let key = (at, hands.slept);
        hands.sleepers.insert(key, None);
        Box::pin(Sleeper { hands: Arc::clone(&self.0), key })
    }
}

/// One who sleeps until a manual clock has reached a moment.
struct Sleeper {
    hands: Arc<Mutex<Hands>>,
    key: (Timestamp, u64),
}

impl Future for Sleeper {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        if hands.now >= self.key.0 {
            return Poll::Ready(());
        }
        hands.sleepers.insert(self.key, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_manual_clock_wakes_those_whose_moment_has_come_and_no_others() {
        let clock = ManualClock::at(Timestamp::from_micros(5));
        let mut early = clock.sleep_until(clock.now().plus(Duration::from_secs(1)));
        let mut late = clock.sleep_until(clock.now().plus(Duration::from_secs(2)));
        assert!((&mut early).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!((&mut early).now_or_never().is_some());
        assert!((&mut late).now_or_never().is_none());
        drop(early);
        assert_eq!(clock.next_sleeper(), Some(Timestamp::from_micros(2_000_005)));
        drop(late);
        assert_eq!(clock.next_sleeper(), None);
    }

    #[tokio::test]
    async fn the_wall_clock_never_wakes_early() {
        let until = WallClock.now().plus(Duration::from_millis(3));
        WallClock.sleep_until(until).await;
        assert!(WallClock.now() >= until);
    }
}
