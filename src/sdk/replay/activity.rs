//! Tells an activity where it is called from, and whether it is still wanted.

use crate::model::extension::{ATTEMPT_TAG, CALL_TAG};
use crate::wire;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What an activity may know of the call it serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ActivityContext(Arc<CallFacts>);

#[derive(Debug)]
struct CallFacts {
    instance_id: String,
    execution_id: String,
    task_id: i32,
    name: String,
    version: Option<String>,
    tags: BTreeMap<String, String>,
    cancellation: Cancellation,
}

impl ActivityContext {
    #[doc(hidden)]
    /// The context of a call, and its input.
    pub fn of(request: wire::ActivityRequest, cancellation: Cancellation) -> (Self, Option<String>) {
        let instance = request.orchestration_instance.unwrap_or_default();
        let call = CallFacts {
            instance_id: instance.instance_id,
            execution_id: instance.execution_id.unwrap_or_default(),
            task_id: request.task_id,
            name: request.name,
            version: request.version,
            tags: request.tags,
            cancellation,
        };
        (Self(Arc::new(call)), request.input)
    }

    /// The instance that called.
    pub fn instance_id(&self) -> &str {
        &self.0.instance_id
    }

    /// The execution of it that called.
    pub fn execution_id(&self) -> &str {
        &self.0.execution_id
    }

    /// The action that scheduled this attempt.
    pub fn task_id(&self) -> i32 {
        self.0.task_id
    }

    /// The name the activity was called by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version that was asked for.
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The tags of the call.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.0.tags
    }

    /// Which attempt of the call's retry policy this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.tags.get(ATTEMPT_TAG).and_then(|attempt| attempt.parse().ok()).unwrap_or(1)
    }

    /// The same for every attempt and every delivery of this call, and for no other call.
    pub fn idempotency_key(&self) -> String {
        let call = &*self.0;
        match call.tags.get(CALL_TAG) {
            Some(first) => format!("{}:{}:{first}", call.instance_id, call.execution_id),
            None => format!("{}:{}:{}", call.instance_id, call.execution_id, call.task_id),
        }
    }

    /// Whether the result is no longer wanted: the caller has ended, or the worker has stopped without waiting longer.
    ///
    /// The protocol does not tell a worker that a caller has ended, so the worker looks every few seconds, from the first
    /// time on that an activity asks.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancellation.ask();
        self.0.cancellation.is_cancelled()
    }

    /// Waits until the result is no longer wanted, as [`ActivityContext::is_cancelled`] says.
    pub fn cancelled(&self) -> Cancelled {
        self.0.cancellation.ask();
        Cancelled(self.0.cancellation.clone())
    }
}

/// A request to stop, shared by the code that makes it and the code that heeds it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<CancellationNode>);

#[derive(Debug, Default)]
struct CancellationNode {
    state: Mutex<CancellationState>,
    /// A cancellation of this one includes its child.
    above: Option<Cancellation>,
}

#[derive(Debug, Default)]
struct CancellationState {
    cancelled: bool,
    asked: bool,
    waiting: Vec<Waker>,
}

impl Cancellation {
    /// A cancellation that is not requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cancellation that can be requested by itself, and is requested with this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(CancellationNode { state: Mutex::default(), above: Some(self.clone()) }))
    }

    fn state(&self) -> MutexGuard<'_, CancellationState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests it. It stays requested.
    pub fn cancel(&self) {
        let waiting = {
            let mut state = self.state();
            state.cancelled = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it is requested.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled || self.0.above.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Whether the activity has asked. The worker looks at the caller only then.
    pub fn is_asked_for(&self) -> bool {
        self.state().asked
    }

    fn ask(&self) {
        self.state().asked = true;
    }
}

/// Resolves when the call is cancelled.
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct Cancelled(Cancellation);

impl Future for Cancelled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut next = Some(&self.0);
        while let Some(cancellation) = next {
            let mut state = cancellation.state();
            if state.cancelled {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            next = cancellation.0.above.as_ref();
        }
        Poll::Pending
    }
}
