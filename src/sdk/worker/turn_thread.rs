//! Runs turns, entity batches and short activities on a turn thread, in the order they arrive.
//!
//! A job runs without a tokio context: an orchestrator that calls tokio directly fails at once and by name. An
//! instance always runs on the same turn thread, where its future is kept between turns. Where a job keeps the thread for long,
//! a new thread takes its place, and the old one, moved aside, ends when its job does.

mod job;
mod queue;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use job::{Job, JobFunction, JobHandle, SpareThreads, TurnLimits, TurnThreadPlan, WaitMode};
pub(super) use queue::BATCH;
pub(super) use watch::JobReport;

use queue::{JobQueue, NextStep};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;
use watch::RunningJob;

/// From how many queued jobs on the standby thread drives the runtime. Quick activities are jobs too, and a worker takes
/// hundreds of them at a time: a smaller number would wake a third thread for every fan-out.
const LONG_QUEUE: usize = 1_024;

/// After how many turns in a row that ended with much else to do the turn thread leaves the runtime to the standby thread, until
/// there is less. Where two threads keep two processors busy, a third waits milliseconds for a processor: a long load
/// amortises that, a short one does not.
const PATIENCE: u32 = 64;

/// How long an activity may keep a turn thread before the thread is moved aside.
const SHORT: Duration = Duration::from_millis(100);

/// How long a turn may keep others waiting at the least, however many turns keep threads already.
const SHORTEST_HOLD: Duration = Duration::from_millis(50);

/// A thread that runs jobs, and the queue of its jobs.
pub(super) struct TurnThread<J: Job> {
    shared: Arc<TurnThreadShared<J>>,
    name: String,
    plan: Arc<TurnThreadPlan<J>>,
    wait_mode: WaitMode,
}

struct TurnThreadShared<J: Job> {
    state: Mutex<TurnThreadInner<J>>,
    /// Wakes a turn thread that sleeps.
    waiting: Condvar,
    /// Wakes a turn thread that drives the runtime.
    arrived: Notify,
}

struct TurnThreadInner<J: Job> {
    jobs: JobQueue<J>,
    thread: ThreadState<J::Handle>,
    /// The number of the thread that owns the queue; an earlier thread finds itself replaced when its job ends.
    owner: u64,
    /// The replaced threads that their jobs still keep.
    aside: Vec<(u64, RunningJob<J::Handle>)>,
    closed: bool,
}

/// What the thread that owns the queue does.
enum ThreadState<S> {
    /// It drives a runtime, or is about to look for a job.
    Driving,
    Asleep,
    Running(RunningJob<S>),
}

impl<J: Job> TurnThreadShared<J> {
    fn lock(&self) -> MutexGuard<'_, TurnThreadInner<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, TurnThreadInner<J>>,
    ) -> MutexGuard<'a, TurnThreadInner<J>> {
        state.thread = ThreadState::Asleep;
        let mut state = self.waiting.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.thread = ThreadState::Driving;
        state
    }
}

impl<J: Job> TurnThread<J> {
    /// Starts a turn thread.
    pub(super) fn start(
        name: String,
        plan: Arc<TurnThreadPlan<J>>,
        wait_mode: WaitMode,
    ) -> std::io::Result<Self> {
        let state = TurnThreadInner {
            jobs: JobQueue::new(),
            thread: ThreadState::Driving,
            owner: 0,
            aside: Vec::new(),
            closed: false,
        };
        let shared = Arc::new(TurnThreadShared {
            state: Mutex::new(state),
            waiting: Condvar::new(),
            arrived: Notify::new(),
        });
        let turn_thread = Self { shared, name, plan, wait_mode };
        turn_thread.spawn(0)?;
        Ok(turn_thread)
    }

    fn spawn(&self, owner: u64) -> std::io::Result<()> {
        let (shared, plan, wait_mode) = (self.shared.clone(), self.plan.clone(), self.wait_mode.clone());
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || run(&shared, &plan, &wait_mode, owner))
            .map(drop)
    }

    /// Puts jobs at the end of the queue.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        jobs.into_iter().for_each(|job| state.jobs.push(job));
        let wake: fn(&TurnThreadShared<J>) = match state.thread {
            ThreadState::Asleep => |shared| shared.waiting.notify_one(),
            ThreadState::Driving => |shared| shared.arrived.notify_one(),
            ThreadState::Running(_) => |_| {},
        };
        drop(state);
        wake(&self.shared);
    }

    /// Checks the running jobs, and moves a thread aside whose job keeps other jobs waiting for long.
    pub(super) fn look(&self, limits: &TurnLimits) -> Vec<JobReport<J::Handle>> {
        let now = self.plan.clock.now();
        let mut found = Vec::new();
        let mut state = self.shared.lock();
        for (_, running) in &mut state.aside {
            running.look(limits, now, &mut found);
        }
        // Where some turns spin already, a further one is suspected sooner: a row of them must not add up.
        let others = u32::try_from(state.aside.len()).unwrap_or(u32::MAX);
        let hold = limits.slow.map(|slow| {
            slow.checked_div(2_u32.saturating_pow(others)).unwrap_or_default().max(SHORTEST_HOLD).min(slow)
        });
        let others_wait = state.jobs.len() > 0;
        let ThreadState::Running(running) = &mut state.thread else { return found };
        running.look(limits, now, &mut found);
        let over = if running.must_yield {
            running.handle.is_none() || (others_wait && running.is_over(hold, now))
        } else {
            running.is_over(Some(SHORT), now)
        };
        if !over {
            return found;
        }
        if running.must_yield && self.plan.spare.aside() >= self.plan.spare.most {
            if !running.told_full {
                running.told_full = true;
                found.push(JobReport::Full(self.plan.spare.aside()));
            }
            return found;
        }
        self.move_aside(&mut state);
        found
    }

    /// Takes the jobs out of the queue that the pool may run, where a job keeps the thread for long.
    pub(super) fn take_held_up(&self) -> Vec<J> {
        let now = self.plan.clock.now();
        let mut state = self.shared.lock();
        match &state.thread {
            ThreadState::Running(running) if running.is_over(Some(SHORT), now) => {}
            ThreadState::Running(_) | ThreadState::Driving | ThreadState::Asleep => return Vec::new(),
        }
        Vec::from(std::mem::take(&mut state.jobs.activities))
    }

    fn move_aside(&self, state: &mut TurnThreadInner<J>) {
        // The new thread waits for the lock that is held here before it looks which thread owns the queue.
        if let Err(error) = self.spawn(state.owner + 1) {
            tracing::error!(%error, "no new turn thread could be started; its jobs wait for the old one");
            return;
        }
        if let ThreadState::Running(running) = std::mem::replace(&mut state.thread, ThreadState::Driving) {
            if running.must_yield {
                self.plan.spare.aside.fetch_add(1, Ordering::AcqRel);
            }
            let owner = state.owner;
            state.aside.push((owner, running));
        }
        state.owner += 1;
    }

    /// Names the turns that run.
    pub(super) fn subjects(&self) -> Vec<<J::Handle as JobHandle>::Subject> {
        let state = self.shared.lock();
        let running = match &state.thread {
            ThreadState::Running(running) => Some(running),
            ThreadState::Driving | ThreadState::Asleep => None,
        };
        let running = state.aside.iter().map(|(_, running)| running).chain(running);
        running.filter_map(|running| running.handle.as_ref()).filter_map(JobHandle::subject).collect()
    }

    /// Ends each thread after the job that it runs; jobs that wait are dropped.
    pub(super) fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let jobs = std::mem::replace(&mut state.jobs, JobQueue::new());
        drop(state);
        drop(jobs);
        self.shared.waiting.notify_all();
        self.shared.arrived.notify_one();
    }
}

impl<J: Job> Drop for TurnThread<J> {
    fn drop(&mut self) {
        self.close();
    }
}

fn run<J: Job>(shared: &TurnThreadShared<J>, plan: &TurnThreadPlan<J>, wait_mode: &WaitMode, owner: u64) {
    let mut work = (plan.work)();
    let mut streak = 0;
    loop {
        let mut state = shared.lock();
        let mut job = loop {
            if state.closed || state.owner != owner {
                return;
            }
            let is_empty = match state.jobs.next() {
                NextStep::Run(job) => break job,
                NextStep::Send => false,
                NextStep::Wait => true,
            };
            state = match (wait_mode, is_empty) {
                (WaitMode::Asleep, true) => shared.sleep(state),
                (WaitMode::Driving(handoff), true) if streak >= PATIENCE => {
                    handoff.request_standby();
                    shared.sleep(state)
                }
                (WaitMode::Driving(handoff), true) => {
                    drop(state);
                    if !handoff.drive(shared.arrived.notified()) {
                        return;
                    }
                    shared.lock()
                }
                // Another thread drives the runtime.
                (WaitMode::Asleep, false) => state,
                (WaitMode::Driving(_), false) if streak >= PATIENCE => state,
                (WaitMode::Driving(handoff), false) => {
                    drop(state);
                    if !handoff.drive(tokio::task::yield_now()) {
                        return;
                    }
                    shared.lock()
                }
            };
        };
        if let WaitMode::Driving(handoff) = wait_mode
            && (job.is_long() || state.jobs.len() >= LONG_QUEUE)
        {
            handoff.request_standby();
        }
        let (since, handle) = (plan.clock.now(), job.handle());
        let is_turn = handle.must_yield();
        state.thread = ThreadState::Running(RunningJob {
            since,
            must_yield: is_turn,
            handle: Some(handle),
            warned: false,
            overdue: false,
            told_full: false,
        });
        drop(state);
        let result = work(job, since);
        let mut state = shared.lock();
        let is_owner = state.owner == owner;
        let handle = if is_owner {
            match std::mem::replace(&mut state.thread, ThreadState::Driving) {
                ThreadState::Running(running) => running.handle,
                ThreadState::Driving | ThreadState::Asleep => None,
            }
        } else {
            came_back(&mut state, owner, &plan.spare)
        };
        drop(state);
        if let Some(handle) = handle {
            (plan.deliver)(result, handle);
        }
        if !is_owner {
            return;
        }
        if is_turn {
            streak = if (plan.is_swamped)() { streak.saturating_add(1) } else { 0 };
        }
    }
}

/// A thread that was moved aside has ended its job.
fn came_back<J: Job>(state: &mut TurnThreadInner<J>, owner: u64, spare: &SpareThreads) -> Option<J::Handle> {
    let at = state.aside.iter().position(|(thread, _)| *thread == owner)?;
    let (_, running) = state.aside.swap_remove(at);
    if running.must_yield {
        spare.aside.fetch_sub(1, Ordering::AcqRel);
    }
    running.handle
}
