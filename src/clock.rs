//! Reads the time; nothing else does.

use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A future that is done at a moment.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from. One may stand still until a test turns it.
pub trait Clock: Send + Sync + 'static {
    /// The moment it is.
    fn now(&self) -> Timestamp;

    /// Done at `at` or soon after, never before; at once where `at` has passed.
    fn sleep_until(&self, at: Timestamp) -> Sleep;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(std::time::SystemTime::now())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let clock = *self;
        Box::pin(async move {
            // The timer may wake a little early, by its own clock: the task must not see a moment before `at`.
            loop {
                let now = clock.now();
                if now >= at {
                    return;
                }
                // Far moments are waited for in pieces: the system may have slept, or been set, meanwhile.
                tokio::time::sleep(at.since(now).min(Duration::from_secs(3600))).await;
            }
        })
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct ManualClock(Mutex<Hands>);

#[derive(Debug)]
struct Hands {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    slept: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Hands { now, sleepers: BTreeMap::new(), slept: 0 }))
    }

    /// Turns it forward and wakes the tasks that slept until then.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands();
        hands.now = hands.now.plus(by);
        let now = hands.now;
        let later = hands.sleepers.split_off(&(now, u64::MAX));
        let awake = std::mem::replace(&mut hands.sleepers, later);
        drop(hands);
        for sleeper in awake.into_values() {
            // A task that gave up sleeping has dropped its receiver.
            let _ = sleeper.send(());
        }
    }

    /// How many sleep on it.
    pub fn sleepers(&self) -> usize {
        self.hands().sleepers.values().filter(|sleeper| !sleeper.is_closed()).count()
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands().now
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        let mut hands = self.hands();
        if at <= hands.now {
            return Box::pin(std::future::ready(()));
        }
        let (wake, awake) = oneshot::channel();
        hands.slept += 1;
        let key = (at, hands.slept);
        hands.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        hands.sleepers.insert(key, wake);
        Box::pin(async move {
            // A clock that is gone is never turned again: the task sleeps for ever.
            if awake.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_clock_that_is_turned_wakes_those_whose_moment_has_come() {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let mut soon = clock.sleep_until(Timestamp::from_micros(10));
        let mut late = clock.sleep_until(Timestamp::from_micros(20));
        clock.advance(Duration::from_micros(9));
        assert!((&mut soon).now_or_never().is_none());
        clock.advance(Duration::from_micros(1));
        assert!((&mut soon).now_or_never().is_some());
        assert!((&mut late).now_or_never().is_none());
        assert_eq!(clock.now(), Timestamp::from_micros(10));
    }
}
