//! Lets two durable futures race; history decides, not the order of the arguments.

use super::task::Durable;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Which of two came first, and what it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first argument.
    First(A),
    /// The second argument.
    Second(B),
}

/// Waits for whichever of two durable futures comes first in history. The other one is dropped, and thereby
/// cancelled; pass `&mut` of it to keep it.
///
/// ```
/// # use taskhub::sdk::*;
/// # use std::time::Duration;
/// const APPROVED: EventKey<bool> = EventKey::new("Approved");
///
/// async fn approval(ctx: OrchestrationContext, _: ()) -> Result<bool, Failure> {
///     match race(ctx.event(APPROVED), ctx.sleep(Duration::from_secs(3600))).await {
///         Either::First(answer) => Ok(answer?),
///         Either::Second(()) => Ok(false),
///     }
/// }
/// ```
pub fn race<A: Durable, B: Durable>(a: A, b: B) -> Race<A, B> {
    Race { a, b }
}

/// The future that [`race`] returns. It can be raced itself.
#[derive(Debug)]
#[must_use = "a race that is dropped drops both futures; await it"]
pub struct Race<A, B> {
    a: A,
    b: B,
}

impl<A: Durable, B: Durable> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let b_first = match (self.a.settled(), self.b.settled()) {
            (Some(a), Some(b)) => b < a,
            (None, Some(_)) => true,
            (Some(_) | None, None) => false,
        };
        if b_first && let Poll::Ready(b) = Pin::new(&mut self.b).poll(cx) {
            return Poll::Ready(Either::Second(b));
        }
        if let Poll::Ready(a) = Pin::new(&mut self.a).poll(cx) {
            return Poll::Ready(Either::First(a));
        }
        Pin::new(&mut self.b).poll(cx).map(Either::Second)
    }
}

impl<A: Durable, B: Durable> Durable for Race<A, B> {
    fn settled(&self) -> Option<u64> {
        match (self.a.settled(), self.b.settled()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
