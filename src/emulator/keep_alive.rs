//! Asks silent connections whether their other end is still there, without reading the clock for every frame.
//!
//! A process that is stopped, and a network that swallows everything, look like a worker that is busy: the connection
//! stands. HTTP/2 has a question for it that the other end's library answers whatever the program does. hyper asks it,
//! and reads the time for every frame to know how long the connection was silent, which costs a tenth of a short turn.
//! So it gets a timer that only looks at the clock when a wait begins or ends: it then takes a busy connection for a silent
//! one and asks it too, once in an interval, which nobody feels.

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How a connection is asked: after which silence, and how long the answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub(super) interval: Duration,
    pub(super) answer: Duration,
}

impl KeepAlive {
    /// So that a worker that has stopped is noticed within that time, and not before two thirds of it.
    pub(super) fn within(timeout: Duration) -> Self {
        let interval = timeout / 3;
        Self { interval, answer: timeout.saturating_sub(interval) }
    }
}

/// A timer whose `now` is the moment at which one of its waits last began or ended.
#[derive(Debug, Clone)]
pub(super) struct Coarse(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    began: Instant,
    /// Nanoseconds since then.
    passed: AtomicU64,
}

impl Coarse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Seen { began: TokioTimer::new().now(), passed: AtomicU64::new(0) }))
    }
}

impl Seen {
    fn look(&self) {
        let passed = TokioTimer::new().now().saturating_duration_since(self.began);
        self.passed.store(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Timer for Coarse {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.0.look();
        Box::pin(Wait { inner: TokioTimer::new().sleep(duration), seen: self.0.clone() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.look();
        Box::pin(Wait { inner: TokioTimer::new().sleep_until(deadline), seen: self.0.clone() })
    }

    fn now(&self) -> Instant {
        self.0.began + Duration::from_nanos(self.0.passed.load(Ordering::Relaxed))
    }
}

struct Wait {
    inner: Pin<Box<dyn Sleep>>,
    seen: Arc<Seen>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.inner.as_mut().poll(cx);
        if polled.is_ready() {
            self.seen.look();
        }
        polled
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_stands_still_between_two_waits_and_is_right_after_one() {
        let timer = Coarse::new();
        let began = timer.now();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(timer.now(), began, "nothing was waited for");
        timer.sleep(Duration::from_secs(2)).await;
        assert_eq!(timer.now() - began, Duration::from_secs(5));
        timer.sleep_until(began + Duration::from_secs(7)).await;
        assert_eq!(timer.now() - began, Duration::from_secs(7));
    }
}
