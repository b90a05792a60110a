//! One activity under way: a future that any thread may poll, and that says what thread it keeps.

use super::in_flight::InFlightGuard;
use super::stopped::Left;
use crate::clock::Clock;
use crate::model::{Timestamp, failure};
use crate::sdk::registry::{ActivityRun, ActivityRunner, activity::ActivityResult};
use crate::sdk::replay::{ActivityContext, Cancellation};
use crate::wire;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

/// It waits to be woken.
const IDLE: u8 = 0;
/// It waits for a thread.
const QUEUED: u8 = 1;
const POLLING: u8 = 2;
/// It was woken while it was polled.
const WOKEN: u8 = 3;
const ENDED: u8 = 4;

/// What a running activity belongs to: it is told where the activity is to be polled next, and when it has ended.
pub(super) trait ActivityOwner: Send + Sync {
    /// The cancellation of every activity of the worker.
    fn stopping(&self) -> &Cancellation;

    fn clock(&self) -> &dyn Clock;

    /// Has a thread of the pool poll an activity that was woken.
    fn queue(&self, activity: Arc<RunningActivity>);

    /// An activity that the pool counted as blocking has given its thread back.
    fn returned(&self);

    /// The activity with this key has ended.
    fn ended(self: Arc<Self>, key: usize, response: wire::ActivityResponse, guard: InFlightGuard);
}

/// An activity under way.
pub(super) struct RunningActivity {
    home: Arc<dyn ActivityOwner>,
    /// Its place among the activities that run.
    key: usize,
    context: ActivityContext,
    runner: ActivityRunner,
    unwanted: Cancellation,
    /// Whether the runtime that polls it belongs to the worker's user.
    elsewhere: bool,
    state: AtomicU8,
    /// Odd while it is polled, and another number each time.
    polls: AtomicU32,
    /// The pool counts the thread that polls it as blocked.
    counted: AtomicBool,
    body: Mutex<Option<Body>>,
}

/// What only the thread that polls it touches.
struct Body {
    run: ActivityRun,
    answer: ResultTarget,
}

/// What the message with its result needs beside the result.
pub(super) struct ResultTarget {
    pub(super) token: String,
    pub(super) guard: InFlightGuard,
}

impl RunningActivity {
    /// An activity that waits for a thread.
    pub(super) fn new(
        home: Arc<dyn ActivityOwner>,
        key: usize,
        runner: ActivityRunner,
        elsewhere: bool,
        request: wire::ActivityRequest,
        answer: ResultTarget,
    ) -> Arc<Self> {
        let unwanted = home.stopping().child();
        let (context, input) = ActivityContext::of(request, unwanted.clone());
        let run = runner.run(context.clone(), input);
        Arc::new(Self {
            home,
            key,
            context,
            runner,
            unwanted,
            elsewhere,
            state: AtomicU8::new(QUEUED),
            polls: AtomicU32::new(0),
            counted: AtomicBool::new(false),
            body: Mutex::new(Some(Body { run, answer })),
        })
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    pub(super) fn context(&self) -> &ActivityContext {
        &self.context
    }

    pub(super) fn unwanted(&self) -> &Cancellation {
        &self.unwanted
    }

    pub(super) fn runner(&self) -> &ActivityRunner {
        &self.runner
    }

    /// Whether it needs a thread of its own: it is an ordinary function, or was found to block.
    pub(super) fn blocks(&self) -> bool {
        self.runner.is_blocking() || self.runner.pace().blocks()
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// Which poll is under way, if one is.
    pub(super) fn poll_under_way(&self) -> Option<u32> {
        Some(self.polls.load(Ordering::SeqCst)).filter(|polls| polls % 2 == 1)
    }

    /// Says that the pool counts the thread that polls it as blocked; returns what was said before.
    pub(super) fn count(&self, counted: bool) -> bool {
        self.counted.swap(counted, Ordering::SeqCst)
    }

    pub(super) fn subject(&self) -> Left {
        Left::Activity {
            name: self.context.name().to_owned(),
            instance_id: self.context.instance_id().to_owned(),
            task_id: self.context.task_id(),
        }
    }

    /// Polls it on a thread of the worker's, which must be inside the activities' runtime; returns whether it has ended.
    pub(super) fn poll(self: &Arc<Self>, since: Timestamp) -> bool {
        self.state.store(POLLING, Ordering::Release);
        let waker = Waker::from(Arc::clone(self));
        let ended = self.poll_body(&mut Context::from_waker(&waker));
        self.runner.pace().ran(self.home.clock().now().since(since));
        if self.count(false) {
            self.home.returned();
        }
        if ended {
            self.state.store(ENDED, Ordering::Release);
            return true;
        }
        let still = self.state.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if still.is_err() {
            self.state.store(QUEUED, Ordering::Release);
            self.home.queue(Arc::clone(self));
        }
        false
    }

    /// Polls it as a task of another runtime, which wakes it.
    fn poll_elsewhere(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_body(cx) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns whether it has ended.
    fn poll_body(&self, cx: &mut Context<'_>) -> bool {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(under_way) = body.as_mut() else { return true };
        self.polls.fetch_add(1, Ordering::SeqCst);
        let polled = under_way.run.as_mut().poll(cx);
        self.polls.fetch_add(1, Ordering::SeqCst);
        let Poll::Ready(outcome) = polled else { return false };
        let ended = body.take();
        drop(body);
        if let Some(Body { run, answer }) = ended {
            drop(run);
            self.end(outcome, answer);
        }
        true
    }

    /// Ends it without having run.
    pub(super) fn fail(&self, details: wire::TaskFailureDetails) {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Body { run, answer }) = body {
            drop(run);
            self.end(Err(details), answer);
        }
    }

    fn end(&self, outcome: ActivityResult, answer: ResultTarget) {
        let mut response = wire::ActivityResponse {
            instance_id: self.context.instance_id().to_owned(),
            task_id: self.context.task_id(),
            completion_token: answer.token,
            ..Default::default()
        };
        match outcome {
            Ok(result) => response.result = result,
            Err(details) => response.failure_details = Some(details),
        }
        Arc::clone(&self.home).ended(self.key, response, answer.guard);
    }

    /// Drops what is left of it, unless a thread is in it.
    pub(super) fn give_up(&self) {
        let body = match self.body.try_lock() {
            Ok(mut body) => body.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        drop(body);
    }
}

impl Wake for RunningActivity {
    fn wake(self: Arc<Self>) {
        let next = |state| match state {
            IDLE => Some(QUEUED),
            POLLING => Some(WOKEN),
            _ => None,
        };
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE) {
            self.home.queue(Arc::clone(&self));
        }
    }
}

/// An activity as a task of a runtime that is not the worker's.
pub(super) struct OnUserRuntime(pub(super) Arc<RunningActivity>);

impl Future for OnUserRuntime {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_elsewhere(cx)
    }
}

/// A runtime that is shut down drops its tasks: the activity fails.
impl Drop for OnUserRuntime {
    fn drop(&mut self) {
        let why = "the runtime that performed the activity was shut down";
        self.0.fail(failure::details("ActivityCancelled", why));
    }
}
