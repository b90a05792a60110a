//! Gives an orchestrator its durable futures: tasks, timers and waits for events.

use super::codec;
use super::core::Core;
use super::failure::{DecodeError, DurableError, FailureDetails, InvalidCall, TaskError};
use super::key::EventKey;
use super::slot::{Raised, Slot, SlotPoll, WaitOutcome};
use futures_util::future::FusedFuture;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A durable future whose outcomes have an order, which is that of history.
///
/// Implemented by what an [`OrchestrationContext`](super::OrchestrationContext) gives out, by `&mut` of those, and by
/// [`race`](super::race()) of those.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a durable future",
    note = "`race` compares places in history, which only tasks, timers, waits for events and races have",
    note = "an async block can be raced with `futures::future::select`, where the first argument wins a tie"
)]
pub trait Durable: Future + Unpin {
    /// When its outcome came, in the order of history; `None` while there is none.
    #[doc(hidden)]
    fn settled(&self) -> Option<u64>;
}

impl<F: Durable + ?Sized> Durable for &mut F {
    fn settled(&self) -> Option<u64> {
        (**self).settled()
    }
}

/// What waits in a slot: the parts that tasks, timers and events share.
#[derive(Debug)]
pub(super) struct SlotWait {
    pub(super) core: Rc<Core>,
    pub(super) slot: Rc<Slot>,
}

impl SlotWait {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        match self.core.look(&self.slot, cx.waker()) {
            SlotPoll::Waiting { .. } => Poll::Pending,
            SlotPoll::Ready(outcome) => Poll::Ready(outcome),
            SlotPoll::Gone => panic!("a durable future was awaited again after it had given its result"),
        }
    }

    /// Gives the wait up, unless the whole orchestrator is being put away.
    fn give_up(&self) -> Option<WaitOutcome> {
        if self.core.evicted.get() { None } else { self.core.give_up(&self.slot) }
    }
}

/// An activity, a child or an entity operation that was called. It runs whether or not it is awaited.
///
/// Dropping it abandons the result. A retry policy then ends too; [`detach`](Self::detach) lets it go on.
///
/// # Panics
///
/// Awaited again after it has given its result.
#[must_use = "the call is on its way, but its result is lost; await it, or say so with .detach()"]
pub struct Task<T, E> {
    wait: SlotWait,
    what: Rc<str>,
    result: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Task<T, E> {
    pub(super) fn new(core: Rc<Core>, slot: Rc<Slot>, what: Rc<str>) -> Self {
        Self { wait: SlotWait { core, slot }, what, result: PhantomData }
    }

    /// A task that was never scheduled.
    pub(super) fn refused(core: Rc<Core>, why: InvalidCall) -> Self {
        let slot = Rc::new(Slot::settled(core.next_order(), WaitOutcome::InvalidCall(why)));
        Self::new(core, slot, Rc::default())
    }

    /// Lets the task run to its end, with its retries, without being awaited.
    pub fn detach(self) {
        self.wait.slot.detach();
    }
}

impl<T: DeserializeOwned, E: DurableError> Future for Task<T, E> {
    type Output = Result<T, TaskError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.wait.poll(cx).map(|outcome| match outcome {
            WaitOutcome::Value(text) | WaitOutcome::Event(Raised { input: text, .. }) => {
                codec::decode(text.as_deref(), &self.what).map_err(TaskError::Undecodable)
            }
            WaitOutcome::Failure(details) => {
                Err(TaskError::from_details(FailureDetails::from_wire(*details)))
            }
            WaitOutcome::InvalidCall(why) => Err(TaskError::InvalidCall(why)),
        })
    }
}

impl<T: DeserializeOwned, E: DurableError> FusedFuture for Task<T, E> {
    fn is_terminated(&self) -> bool {
        self.wait.slot.is_taken()
    }
}

impl<T: DeserializeOwned, E: DurableError> Durable for Task<T, E> {
    fn settled(&self) -> Option<u64> {
        self.wait.slot.order()
    }
}

impl<T, E> Drop for Task<T, E> {
    fn drop(&mut self) {
        self.wait.give_up();
    }
}

impl<T, E> fmt::Debug for Task<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("what", &self.what).field("slot", &self.wait.slot).finish()
    }
}

/// A durable timer. Dropping it cancels it.
///
/// # Panics
///
/// Awaited again after it has given its result.
#[derive(Debug)]
#[must_use = "a timer that is dropped is cancelled; await it"]
pub struct Timer {
    wait: SlotWait,
    id: i32,
}

impl Timer {
    pub(super) fn new(core: Rc<Core>, slot: Rc<Slot>, id: i32) -> Self {
        Self { wait: SlotWait { core, slot }, id }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.wait.poll(cx).map(|_| ())
    }
}

impl FusedFuture for Timer {
    fn is_terminated(&self) -> bool {
        self.wait.slot.is_taken()
    }
}

impl Durable for Timer {
    fn settled(&self) -> Option<u64> {
        self.wait.slot.order()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let open = self.wait.slot.is_open();
        self.wait.give_up();
        if open && !self.wait.core.evicted.get() {
            self.wait.core.withdraw_timer(self.id);
        }
    }
}

/// A wait for an external event. Waits of one name are served in the order they were made; a wait that is dropped
/// gives its place, or the event it was given, to the next.
///
/// # Panics
///
/// Awaited again after it has given its result.
#[must_use = "a wait that is dropped gives its place back; await it"]
pub struct EventWait<T> {
    wait: SlotWait,
    key: EventKey<T>,
}

impl<T> EventWait<T> {
    pub(super) fn new(core: Rc<Core>, slot: Rc<Slot>, key: EventKey<T>) -> Self {
        Self { wait: SlotWait { core, slot }, key }
    }
}

impl<T: DeserializeOwned> Future for EventWait<T> {
    type Output = Result<T, DecodeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.wait.poll(cx).map(|outcome| match outcome {
            WaitOutcome::Event(Raised { input: text, .. }) | WaitOutcome::Value(text) => {
                codec::decode(text.as_deref(), &format!("the event {:?}", self.key.name()))
            }
            WaitOutcome::Failure(_) | WaitOutcome::InvalidCall(_) => unreachable!("an event does not fail"),
        })
    }
}

impl<T: DeserializeOwned> FusedFuture for EventWait<T> {
    fn is_terminated(&self) -> bool {
        self.wait.slot.is_taken()
    }
}

impl<T: DeserializeOwned> Durable for EventWait<T> {
    fn settled(&self) -> Option<u64> {
        self.wait.slot.order()
    }
}

impl<T> Drop for EventWait<T> {
    fn drop(&mut self) {
        if let Some(WaitOutcome::Event(raised)) = self.wait.give_up() {
            let taker = self.wait.core.ledger.borrow_mut().events.place(raised);
            if let Some((slot, raised)) = taker {
                self.wait.core.settle(&slot, WaitOutcome::Event(raised));
            }
        }
    }
}

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").field("key", &self.key).field("slot", &self.wait.slot).finish()
    }
}
