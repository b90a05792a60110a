//! Keep-alive pings that do not read the clock for every frame.
//!
//! A stopped worker process and a network that drops every packet both leave the connection open. An HTTP/2 ping finds
//! them, because the peer's library answers it whatever the program does. hyper sends the pings, and reads the time for
//! every frame to know how long the connection was idle, which costs a tenth of a short turn. So hyper gets a timer whose
//! clock is read only when a sleep begins or ends. Its price: a busy connection looks idle and is pinged once in an
//! interval too.

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// After how long without a frame a ping is sent, and how long its acknowledgement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeepAliveTimes {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl KeepAliveTimes {
    /// Times by which a stopped worker is noticed within `limit`, and not before two thirds of it.
    pub(super) fn within(limit: Duration) -> Self {
        let interval = limit / 3;
        Self { interval, timeout: limit.saturating_sub(interval) }
    }
}

/// A timer whose `now` is the time at which one of its sleeps last began or ended.
#[derive(Debug, Clone)]
pub(super) struct LazyTimer(Arc<LazyClock>);

#[derive(Debug)]
struct LazyClock {
    began: Instant,
    /// Nanoseconds since then.
    passed: AtomicU64,
}

impl LazyTimer {
    pub(super) fn new() -> Self {
        Self(Arc::new(LazyClock { began: TokioTimer::new().now(), passed: AtomicU64::new(0) }))
    }
}

impl LazyClock {
    fn read(&self) {
        let passed = TokioTimer::new().now().saturating_duration_since(self.began);
        self.passed.store(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Timer for LazyTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.0.read();
        Box::pin(LazySleep { inner: TokioTimer::new().sleep(duration), clock: self.0.clone() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.read();
        Box::pin(LazySleep { inner: TokioTimer::new().sleep_until(deadline), clock: self.0.clone() })
    }

    fn now(&self) -> Instant {
        self.0.began + Duration::from_nanos(self.0.passed.load(Ordering::Relaxed))
    }
}

struct LazySleep {
    inner: Pin<Box<dyn Sleep>>,
    clock: Arc<LazyClock>,
}

impl Future for LazySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.inner.as_mut().poll(cx);
        if polled.is_ready() {
            self.clock.read();
        }
        polled
    }
}

impl Sleep for LazySleep {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_between_two_sleeps_and_is_right_after_one() {
        let timer = LazyTimer::new();
        let began = timer.now();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(timer.now(), began, "nothing was waited for");
        timer.sleep(Duration::from_secs(2)).await;
        assert_eq!(timer.now() - began, Duration::from_secs(5));
        timer.sleep_until(began + Duration::from_secs(7)).await;
        assert_eq!(timer.now() - began, Duration::from_secs(7));
    }
}
