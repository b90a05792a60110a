//! Threads for activities: for each that blocks one of its own, and a few for all others.
//!
//! They run no runtime. A runtime of the activities' own, with a thread of its own, serves the timers and sockets that
//! async activities wait for and the tasks that they spawn; where one of those blocks, no connection of the worker's does.
//! The threads are started when an activity needs them.

use super::activity::RunningActivity;
use crate::clock::Clock;
use crate::model::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;

/// How long a thread without work stays.
const PATIENCE: Duration = Duration::from_secs(10);

/// The threads of one worker's activities.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    work: Condvar,
    clock: Arc<dyn Clock>,
    /// How many threads there are for activities that do not block.
    few: usize,
    /// How many threads there are at the most.
    most: usize,
    driver: Driver,
}

#[derive(Default)]
struct PoolState {
    queue: VecDeque<Arc<RunningActivity>>,
    threads: usize,
    idle: usize,
    /// How many threads are in activities that block, or will be: such activities in the queue count.
    blocked: usize,
    closed: bool,
}

/// The runtime that serves what activities wait for, and the thread that drives it.
struct Driver {
    handle: Handle,
    is_driven: AtomicBool,
    /// Until a thread drives it.
    runtime: Mutex<Option<Runtime>>,
    over: Arc<Shutdown>,
}

#[derive(Default)]
struct Shutdown {
    told: Notify,
    /// Activities that are given up: their futures are dropped where no thread of the worker's waits for that.
    left: Mutex<Vec<Arc<RunningActivity>>>,
}

impl Pool {
    /// A pool without threads, for `activities` activities at a time.
    pub(super) fn new(activities: usize, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let few = thread::available_parallelism().map_or(2, |cpus| cpus.get().max(2));
        Ok(Self {
            state: Mutex::default(),
            work: Condvar::new(),
            clock,
            few,
            most: activities.saturating_add(few),
            driver: Driver::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls an activity on this thread, which is not one of the pool's.
    pub(super) fn poll_here(&self, activity: &Arc<RunningActivity>, since: Timestamp) {
        let _inside = self.driver.handle.enter();
        let ended = activity.poll(since);
        // What it waits for, or has spawned, needs a thread that drives the runtime.
        if !self.driver.is_driven.load(Ordering::Acquire)
            && (!ended || self.driver.handle.metrics().num_alive_tasks() > 0)
        {
            self.driver.drive();
        }
    }

    /// Puts an activity at the end of the queue.
    pub(super) fn push(self: &Arc<Self>, activity: Arc<RunningActivity>) {
        if !self.driver.is_driven.load(Ordering::Acquire) {
            self.driver.drive();
        }
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if activity.blocks() && !activity.count(true) {
            state.blocked += 1;
        }
        state.queue.push_back(activity);
        self.wake_or_start_thread(state);
    }

    /// Wakes a thread for what waits, or starts one.
    fn wake_or_start_thread(self: &Arc<Self>, mut state: MutexGuard<'_, PoolState>) {
        let wanted = self.few.saturating_add(state.blocked).min(self.most);
        let start = state.queue.len() > state.idle && state.threads < wanted;
        if start {
            state.threads += 1;
        }
        drop(state);
        if !start {
            return self.work.notify_one();
        }
        let pool = Arc::clone(self);
        let started = thread::Builder::new().name("taskhub-activity".into()).spawn(move || pool.run());
        if let Err(error) = started {
            self.lock().threads -= 1;
            tracing::error!(%error, "a thread for activities could not be started; they wait for those that there are");
        }
    }

    fn run(&self) {
        let _inside = self.driver.handle.enter();
        while let Some(activity) = self.next() {
            activity.poll(self.clock.now());
        }
    }

    /// Waits for an activity; nothing when this thread is to end.
    fn next(&self) -> Option<Arc<RunningActivity>> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(activity) = state.queue.pop_front() {
                return Some(activity);
            }
            if state.closed || waited {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (next, timeout) =
                self.work.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            waited = timeout.timed_out();
        }
    }

    /// An activity was found to block the thread that polls it, in the poll with this number: another thread may be
    /// started in its place.
    pub(super) fn blocked(&self, activity: &RunningActivity, poll: u32) {
        let mut state = self.lock();
        if !activity.count(true) {
            state.blocked += 1;
        }
        // Counted before the look: of this thread and the one that ends the poll exactly one takes the count back.
        if activity.poll_under_way() != Some(poll) && activity.count(false) {
            state.blocked -= 1;
        }
    }

    /// An activity that was counted as blocking has given its thread back.
    pub(super) fn returned(&self) {
        self.lock().blocked -= 1;
    }

    /// Starts threads for what waits, where others were found to be blocked.
    pub(super) fn catch_up(self: &Arc<Self>) {
        loop {
            let mut guard = self.lock();
            let state = &mut *guard;
            for activity in state.queue.iter().filter(|activity| activity.blocks()) {
                if !activity.count(true) {
                    state.blocked += 1;
                }
            }
            let wanted = self.few.saturating_add(state.blocked).min(self.most);
            if state.closed || state.queue.len() <= state.idle || state.threads >= wanted {
                return;
            }
            self.wake_or_start_thread(guard);
        }
    }

    /// Ends each thread after the poll it is in, and gives up these activities.
    pub(super) fn close(&self, left: Vec<Arc<RunningActivity>>) {
        let mut state = self.lock();
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.work.notify_all();
        drop(queue);
        self.driver.close(left);
    }
}

impl Driver {
    fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("taskhub-activity-blocking")
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self {
            handle,
            is_driven: AtomicBool::new(false),
            runtime: Mutex::new(Some(runtime)),
            over: Arc::default(),
        })
    }

    /// Starts the thread that drives the runtime, unless there is one.
    fn drive(&self) {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(driven) = runtime.take() else { return };
        let (give, given) = std::sync::mpsc::channel::<Runtime>();
        let over = Arc::clone(&self.over);
        let started = thread::Builder::new().name("taskhub-activities".into()).spawn(move || {
            let Ok(runtime) = given.recv() else { return };
            runtime.block_on(over.told.notified());
            let left = std::mem::take(&mut *over.left.lock().unwrap_or_else(PoisonError::into_inner));
            for activity in &left {
                activity.give_up();
            }
            // Tasks that do not end would otherwise keep this thread.
            runtime.shutdown_background();
        });
        match started {
            Ok(_) => {
                self.is_driven.store(true, Ordering::Release);
                // The thread waits for it.
                drop(give.send(driven));
            }
            Err(error) => {
                tracing::error!(%error, "no thread could be started for what activities wait for; the next one tries again");
                *runtime = Some(driven);
            }
        }
    }

    /// Has these activities given up and the runtime taken apart.
    fn close(&self, left: Vec<Arc<RunningActivity>>) {
        let undriven = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = undriven {
            // No activity waits for anything, and those that wait for a thread have not begun.
            runtime.shutdown_background();
        }
        self.over.left.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
        self.over.told.notify_one();
    }
}
