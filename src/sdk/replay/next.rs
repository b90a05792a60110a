//! Ends an execution and begins the next one of the same instance.

use super::core::{Core, NextExecution};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Ends this execution and begins the next, as soon as it is awaited. It never resolves, so it fits wherever a value
/// is expected:
///
/// ```
/// # use taskhub::sdk::*;
/// # use std::time::Duration;
/// async fn every_hour(ctx: OrchestrationContext, round: u64) -> Result<(), Failure> {
///     ctx.sleep(Duration::from_secs(3600)).await;
///     ctx.continue_as_new(round + 1).await
/// }
/// ```
#[must_use = "nothing happens until it is awaited: `return ctx.continue_as_new(input).await`"]
pub struct ContinueAsNew<T> {
    core: Rc<Core>,
    next: Option<NextExecution>,
    never: PhantomData<fn() -> T>,
}

impl<T> ContinueAsNew<T> {
    pub(super) fn new(core: Rc<Core>, input: String) -> Self {
        let next = NextExecution { input, version: None, keep_events: true };
        Self { core, next: Some(next), never: PhantomData }
    }

    /// The version of the next execution; without this it is the same.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        if let Some(next) = &mut self.next {
            next.version = Some(version.into());
        }
        self
    }

    /// Lets events go that have arrived and were not taken; without this the next execution gets them.
    pub fn drop_events(mut self) -> Self {
        if let Some(next) = &mut self.next {
            next.keep_events = false;
        }
        self
    }
}

impl<T> Future for ContinueAsNew<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        if let Some(next) = self.next.take() {
            // The first one that is reached wins, should two branches ask.
            self.core.next.borrow_mut().get_or_insert(next);
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for ContinueAsNew<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContinueAsNew").field("next", &self.next).finish_non_exhaustive()
    }
}
