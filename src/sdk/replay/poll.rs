//! Polls an orchestrator's future, and notices what it must not do.

use super::failure::FailureDetails;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

/// The type of the failure when an orchestrator awaits something that is not durable.
pub const FOREIGN_AWAIT: &str = "ForeignAwait";

/// The type of the failure when an orchestrator keeps waking itself and waits for nothing.
pub const NEVER_YIELDS: &str = "NeverYields";

/// The type of the failure when an orchestrator panics.
pub const ORCHESTRATOR_PANICKED: &str = "OrchestratorPanicked";

/// How often an orchestrator may wake itself after one event. A combinator does so a few times at most; a loop that
/// yields and waits for nothing does it for ever.
const MOST_POLLS: u32 = 100_000;

/// How an orchestrator ends: with an encoded value, or with a failure.
pub(super) type OrchestratorResult = Result<Option<String>, FailureDetails>;

/// The future of an orchestrator, its input and output hidden.
pub(crate) type ErasedFuture = Pin<Box<dyn Future<Output = Result<Option<String>, FailureDetails>>>>;

/// The waker that an orchestrator is polled with. It is the same one for the whole execution.
///
/// A wake that comes while the engine delivers or polls is the work of durable futures and of the combinators around
/// them. One that comes from elsewhere can only be from something that is not durable.
#[derive(Debug)]
pub(super) struct Root {
    woken: AtomicBool,
    open: AtomicBool,
    foreign: AtomicBool,
    home: ThreadId,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.open.load(Ordering::Relaxed) && thread::current().id() == self.home {
            self.woken.store(true, Ordering::Relaxed);
        } else {
            self.foreign.store(true, Ordering::Relaxed);
        }
    }
}

impl Root {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            woken: AtomicBool::new(true),
            open: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
            home: thread::current().id(),
        })
    }

    /// Between these two calls wakes are the engine's own.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Whether something that is not durable has woken the orchestrator.
    pub(super) fn was_woken_from_outside(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }

    /// Polls for as long as the future asks for it. `done` says, after each poll, that nothing more is wanted of it.
    pub(super) fn advance(
        self: &Arc<Self>,
        future: &mut ErasedFuture,
        done: impl Fn() -> bool,
    ) -> Poll<OrchestratorResult> {
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        let mut polls = 0;
        while self.woken.swap(false, Ordering::Relaxed) {
            polls += 1;
            if polls > MOST_POLLS {
                return Poll::Ready(Err(never_yields()));
            }
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
                Ok(Poll::Ready(end)) => return Poll::Ready(end),
                Ok(Poll::Pending) if done() => return Poll::Pending,
                Ok(Poll::Pending) => {}
                Err(panic) => return Poll::Ready(Err(panicked(&*panic))),
            }
        }
        Poll::Pending
    }
}

/// The failure of an orchestrator that waits, but for nothing durable.
pub(super) fn foreign_await() -> FailureDetails {
    FailureDetails::permanent(
        FOREIGN_AWAIT,
        "the orchestrator awaits something that is not durable, such as a channel, a lock or a socket; \
         do that in an activity and await the call of it",
    )
}

/// The failure of an orchestrator that was woken by something that is not durable.
pub(super) fn foreign_wake(instance: &str) -> FailureDetails {
    FailureDetails::permanent(
        FOREIGN_AWAIT,
        format!(
            "the orchestrator of {instance:?} was woken by something that is not durable, such as a channel, a lock or \
             a socket; do that in an activity and await the call of it"
        ),
    )
}

fn never_yields() -> FailureDetails {
    FailureDetails::permanent(
        NEVER_YIELDS,
        "the orchestrator wakes itself again and again and waits for nothing; await a task or a timer in its loop",
    )
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> FailureDetails {
    let message = panic_message(panic);
    if message.contains("Tokio") || message.contains("tokio") {
        return FailureDetails::permanent(
            FOREIGN_AWAIT,
            format!(
                "the orchestrator used a tokio API directly ({message}); use ctx.sleep for time, and activities for \
                 the rest"
            ),
        );
    }
    FailureDetails::new(ORCHESTRATOR_PANICKED, format!("the orchestrator panicked: {message}"))
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}
