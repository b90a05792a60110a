//! Says what a turn thread is made of, and what it needs to know of its jobs.

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::sdk::worker::handoff::Handoff;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a turn thread does while there is no job.
#[derive(Clone)]
pub(in crate::sdk::worker) enum WaitMode {
    /// It sleeps.
    Asleep,
    /// It drives the worker's runtime.
    Driving(Arc<Handoff>),
}

/// The function that runs a job; made on the turn thread, so that it may hold values that are not `Send`.
pub(in crate::sdk::worker) type JobFunction<J> = Box<dyn FnMut(J, Timestamp) -> <J as Job>::Result>;

/// What a turn thread is made of.
pub(in crate::sdk::worker) struct TurnThreadPlan<J: Job> {
    /// Called once on every thread that takes the place of the turn thread. The function gets the time at which the job began.
    pub(in crate::sdk::worker) work: Box<dyn Fn() -> JobFunction<J> + Send + Sync>,
    /// Gets the result of every job that was not given up.
    pub(in crate::sdk::worker) deliver: Box<dyn Fn(J::Result, J::Handle) + Send + Sync>,
    /// Whether the connection alone keeps a thread busy.
    pub(in crate::sdk::worker) is_swamped: Box<dyn Fn() -> bool + Send + Sync>,
    pub(in crate::sdk::worker) clock: Arc<dyn Clock>,
    pub(in crate::sdk::worker) spare: SpareThreads,
}

/// How many threads turns that do not yield may keep aside, over all turn threads of a worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::sdk::worker) struct SpareThreads {
    pub(super) most: usize,
    pub(super) aside: Arc<AtomicUsize>,
}

impl SpareThreads {
    pub(in crate::sdk::worker) fn new(most: usize) -> Self {
        Self { most, aside: Arc::default() }
    }

    /// How many threads are aside.
    pub(super) fn aside(&self) -> usize {
        self.aside.load(Ordering::Acquire)
    }
}

/// A job of a turn thread, with a handle by which it can be failed while it runs.
pub(in crate::sdk::worker) trait Job: Send + 'static {
    /// What names it while it runs, and completes it.
    type Handle: JobHandle;
    /// What it returns.
    type Result;

    /// Takes the handle out of it.
    fn handle(&mut self) -> Self::Handle;

    /// Whether it is likely to take longer than it takes to wake a thread.
    fn is_long(&self) -> bool;

    /// Whether a thread of the pool may run it.
    fn may_leave(&self) -> bool;
}

/// Names a job while it runs, and completes it.
pub(in crate::sdk::worker) trait JobHandle: Send + 'static {
    /// Names a job.
    type Subject;

    /// The job's name; `None` for an activity, which the list of activities names.
    fn subject(&self) -> Option<Self::Subject>;

    /// Whether the job must yield soon, as a turn must. An activity may take long, but not on a turn thread.
    fn must_yield(&self) -> bool;
}

/// How long a turn may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::sdk::worker) struct TurnLimits {
    /// Before the watchdog warns of it, and lets the jobs behind it go on.
    pub(in crate::sdk::worker) slow: Option<Duration>,
    /// Before the watchdog fails it.
    pub(in crate::sdk::worker) stuck: Option<Duration>,
}
