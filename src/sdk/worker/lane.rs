//! Runs turns, entity batches and short activities on plain threads, one lane per thread, in the order they came.
//!
//! A job runs without a tokio context: an orchestrator that calls tokio directly fails at once and by name. An
//! instance always runs in the same lane, where its future is kept between turns. A thread that a job keeps for long is
//! moved aside: the lane goes on with a new thread, and the old one ends when its job does.

use super::handoff::Handoff;
use crate::clock::Clock;
use crate::model::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// From how many jobs in a line on the runtime is left to another thread. Quick activities are jobs too, and a worker takes
/// hundreds of them at a time: a shorter line would wake a third thread for every fan-out.
const LONG_LINE: usize = 1_024;

/// How many activities go to a lane at a time, and how many run before their answers are sent: small enough that worker and
/// scheduler work at the same time, large enough that few system calls are made.
pub(super) const BATCH: usize = 16;

/// After how many turns in a row that ended with much else to do a lane leaves the runtime to another thread, until there
/// is less. Where two threads keep two processors busy a third waits for milliseconds before it runs: that is nothing
/// to a load that lasts, and everything to one that does not.
const PATIENCE: u32 = 64;

/// How long an activity may keep a lane's thread before the thread is moved aside.
const SHORT: Duration = Duration::from_millis(100);

/// How long a turn may keep others waiting at the least, however many turns keep threads already.
const SHORTEST_HOLD: Duration = Duration::from_millis(50);

/// What a lane's thread does while there is no job.
#[derive(Clone)]
pub(super) enum Rest {
    /// It sleeps.
    Asleep,
    /// It drives the worker's runtime.
    Driving(Arc<Handoff>),
}

/// What a lane does with a job; made on the lane's own thread, so it may hold what cannot leave it.
pub(super) type Work<J> = Box<dyn FnMut(J, Timestamp) -> <J as Job>::Result>;

/// What a lane is made of.
pub(super) struct Plan<J: Job> {
    /// Called once on every thread of the lane. The work hears when the job began.
    pub(super) work: Box<dyn Fn() -> Work<J> + Send + Sync>,
    /// Gets the result of every job that is still the lane's to answer.
    pub(super) deliver: Box<dyn Fn(J::Result, J::Stub) + Send + Sync>,
    /// Whether there is much to do beside jobs.
    pub(super) is_swamped: Box<dyn Fn() -> bool + Send + Sync>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spare: Spare,
}

/// How many threads may be kept aside by turns that do not yield, over all lanes of a worker. Cheap to clone.
#[derive(Clone)]
pub(super) struct Spare {
    most: usize,
    aside: Arc<AtomicUsize>,
}

impl Spare {
    pub(super) fn new(most: usize) -> Self {
        Self { most, aside: Arc::default() }
    }

    /// How many threads are aside.
    fn aside(&self) -> usize {
        self.aside.load(Ordering::Acquire)
    }
}

/// A job that a lane can run, and that can be answered for when it never ends.
pub(super) trait Job: Send + 'static {
    /// What is known of it while it runs, and what answers for it.
    type Stub: Stub;
    /// What comes of it.
    type Result;

    /// Takes out of it what answers for it.
    fn stub(&mut self) -> Self::Stub;

    /// Whether it is likely to take longer than it takes to wake a thread.
    fn is_long(&self) -> bool;

    /// Whether another thread may do it.
    fn may_leave(&self) -> bool;
}

/// What stands for a job while it runs.
pub(super) trait Stub: Send + 'static {
    /// Names a job.
    type Subject;

    /// Nothing for what is named elsewhere.
    fn subject(&self) -> Option<Self::Subject>;

    /// Whether it must yield soon. What need not may take its time, but not on a lane's thread.
    fn must_yield(&self) -> bool;
}

/// How long a turn may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Before it is warned about, and no longer keeps others waiting.
    pub(super) slow: Option<Duration>,
    /// Before somebody answers for it.
    pub(super) stuck: Option<Duration>,
}

/// One thread and the jobs that wait for it.
pub(super) struct Lane<J: Job> {
    shared: Arc<Shared<J>>,
    name: String,
    plan: Arc<Plan<J>>,
    rest: Rest,
}

struct Shared<J: Job> {
    state: Mutex<State<J>>,
    /// Wakes a thread that sleeps, and
    waiting: Condvar,
    /// one that drives a runtime.
    arrived: Notify,
}

struct State<J: Job> {
    jobs: Jobs<J>,
    thread: Doing<J::Stub>,
    /// Which thread owns the lane; an earlier one finds itself replaced when its job ends.
    owner: u64,
    /// The threads that own the lane no more and are still kept by their jobs.
    aside: Vec<(u64, Running<J::Stub>)>,
    closed: bool,
}

/// The jobs that wait: activities apart from turns and batches, each in the order they came.
///
/// Activities go first, and their answers are sent before the next turn runs: the scheduler works on them meanwhile. A turn
/// is next after each batch of activities, so that a large fan-out does not keep other instances waiting.
struct Jobs<J> {
    activities: VecDeque<J>,
    turns: VecDeque<J>,
    /// How many activities have run since the runtime was last driven.
    unsent: usize,
    turn_is_due: bool,
}

/// What a lane's thread does next.
enum Next<J> {
    Run(J),
    /// Has the runtime driven once, so that answers leave and what has come is read.
    Send,
    Wait,
}

impl<J: Job> Jobs<J> {
    const fn new() -> Self {
        Self { activities: VecDeque::new(), turns: VecDeque::new(), unsent: 0, turn_is_due: false }
    }

    fn len(&self) -> usize {
        self.activities.len() + self.turns.len()
    }

    fn push(&mut self, job: J) {
        if job.may_leave() { self.activities.push_back(job) } else { self.turns.push_back(job) }
    }

    fn next(&mut self) -> Next<J> {
        if !self.turn_is_due
            && self.unsent < BATCH
            && let Some(activity) = self.activities.pop_front()
        {
            self.unsent += 1;
            return Next::Run(activity);
        }
        if self.len() == 0 {
            (self.unsent, self.turn_is_due) = (0, false);
            return Next::Wait;
        }
        if self.unsent > 0 {
            (self.unsent, self.turn_is_due) = (0, true);
            return Next::Send;
        }
        self.turn_is_due = false;
        match self.turns.pop_front() {
            Some(turn) => Next::Run(turn),
            None => self.next(),
        }
    }
}

/// What a lane's thread does.
enum Doing<S> {
    /// It drives a runtime, or is about to look for a job.
    Driving,
    Asleep,
    Running(Running<S>),
}

#[expect(clippy::struct_excessive_bools, reason = "four facts about a job, each true or not by itself")]
struct Running<S> {
    since: Timestamp,
    /// Nothing once the job has been answered for.
    stub: Option<S>,
    must_yield: bool,
    warned: bool,
    /// It was over its time at the last look. A process that was stopped, or a machine that slept, makes every turn look
    /// long once; a turn that really is long is so at the next look too.
    overdue: bool,
    told_full: bool,
}

impl<S: Stub> Running<S> {
    fn is_over(&self, limit: Option<Duration>, now: Timestamp) -> bool {
        limit.is_some_and(|limit| now.since(self.since) >= limit)
    }

    /// What is to be said of a turn, wherever its thread is.
    fn look(&mut self, limits: &Limits, now: Timestamp, found: &mut Vec<Look<S>>) {
        if !self.must_yield {
            return;
        }
        let Some(stub) = &self.stub else { return };
        if !self.warned && self.is_over(limits.slow, now) {
            self.warned = true;
            found.extend(stub.subject().map(Look::Slow));
        }
        let overdue = self.is_over(limits.stuck, now);
        if overdue && self.overdue {
            found.extend(self.stub.take().map(Look::Stuck));
        }
        self.overdue = overdue;
    }
}

/// What the watchdog finds in a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<S: Stub> {
    /// The turn has run long; said once per turn.
    Slow(S::Subject),
    /// The turn has run too long: somebody must answer for it.
    Stuck(S),
    /// Others wait for a turn that does not yield, and no more threads may be kept aside than this many already are.
    Full(usize),
}

impl<J: Job> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<J>>) -> MutexGuard<'a, State<J>> {
        state.thread = Doing::Asleep;
        let mut state = self.waiting.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.thread = Doing::Driving;
        state
    }
}

impl<J: Job> Lane<J> {
    /// Starts a lane, and with it its thread.
    pub(super) fn start(name: String, plan: Arc<Plan<J>>, rest: Rest) -> std::io::Result<Self> {
        let state =
            State { jobs: Jobs::new(), thread: Doing::Driving, owner: 0, aside: Vec::new(), closed: false };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), waiting: Condvar::new(), arrived: Notify::new() });
        let lane = Self { shared, name, plan, rest };
        lane.spawn(0)?;
        Ok(lane)
    }

    fn spawn(&self, owner: u64) -> std::io::Result<()> {
        let (shared, plan, rest) = (self.shared.clone(), self.plan.clone(), self.rest.clone());
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || run(&shared, &plan, &rest, owner))
            .map(drop)
    }

    /// Puts jobs at the end of the line.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        jobs.into_iter().for_each(|job| state.jobs.push(job));
        let wake: fn(&Shared<J>) = match state.thread {
            Doing::Asleep => |shared| shared.waiting.notify_one(),
            Doing::Driving => |shared| shared.arrived.notify_one(),
            Doing::Running(_) => |_| {},
        };
        drop(state);
        wake(&self.shared);
    }

    /// Looks after the jobs that run, and moves a thread aside whose job keeps others waiting for long.
    pub(super) fn look(&self, limits: &Limits) -> Vec<Look<J::Stub>> {
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
        let Doing::Running(running) = &mut state.thread else { return found };
        running.look(limits, now, &mut found);
        let over = if running.must_yield {
            running.stub.is_none() || (others_wait && running.is_over(hold, now))
        } else {
            running.is_over(Some(SHORT), now)
        };
        if !over {
            return found;
        }
        if running.must_yield && self.plan.spare.aside() >= self.plan.spare.most {
            if !running.told_full {
                running.told_full = true;
                found.push(Look::Full(self.plan.spare.aside()));
            }
            return found;
        }
        self.move_aside(&mut state);
        found
    }

    /// Takes the jobs out of the line that another thread may do, where the lane's thread is kept for long.
    pub(super) fn take_held_up(&self) -> Vec<J> {
        let now = self.plan.clock.now();
        let mut state = self.shared.lock();
        match &state.thread {
            Doing::Running(running) if running.is_over(Some(SHORT), now) => {}
            Doing::Running(_) | Doing::Driving | Doing::Asleep => return Vec::new(),
        }
        Vec::from(std::mem::take(&mut state.jobs.activities))
    }

    fn move_aside(&self, state: &mut State<J>) {
        // The new thread waits for the lock that is held here before it looks who owns the lane.
        if let Err(error) = self.spawn(state.owner + 1) {
            tracing::error!(%error, "no new thread for orchestrations could be started; the lane waits for its old one");
            return;
        }
        if let Doing::Running(running) = std::mem::replace(&mut state.thread, Doing::Driving) {
            if running.must_yield {
                self.plan.spare.aside.fetch_add(1, Ordering::AcqRel);
            }
            let owner = state.owner;
            state.aside.push((owner, running));
        }
        state.owner += 1;
    }

    /// Names the turns that run.
    pub(super) fn subjects(&self) -> Vec<<J::Stub as Stub>::Subject> {
        let state = self.shared.lock();
        let running = match &state.thread {
            Doing::Running(running) => Some(running),
            Doing::Driving | Doing::Asleep => None,
        };
        let running = state.aside.iter().map(|(_, running)| running).chain(running);
        running.filter_map(|running| running.stub.as_ref()).filter_map(Stub::subject).collect()
    }

    /// Ends each thread after the job that it runs; jobs that wait are dropped.
    pub(super) fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let jobs = std::mem::replace(&mut state.jobs, Jobs::new());
        drop(state);
        drop(jobs);
        self.shared.waiting.notify_all();
        self.shared.arrived.notify_one();
    }
}

impl<J: Job> Drop for Lane<J> {
    fn drop(&mut self) {
        self.close();
    }
}

fn run<J: Job>(shared: &Shared<J>, plan: &Plan<J>, rest: &Rest, owner: u64) {
    let mut work = (plan.work)();
    let mut streak = 0;
    loop {
        let mut state = shared.lock();
        let mut job = loop {
            if state.closed || state.owner != owner {
                return;
            }
            let is_empty = match state.jobs.next() {
                Next::Run(job) => break job,
                Next::Send => false,
                Next::Wait => true,
            };
            state = match (rest, is_empty) {
                (Rest::Asleep, true) => shared.sleep(state),
                (Rest::Driving(handoff), true) if streak >= PATIENCE => {
                    handoff.request_standby();
                    shared.sleep(state)
                }
                (Rest::Driving(handoff), true) => {
                    drop(state);
                    if !handoff.drive(shared.arrived.notified()) {
                        return;
                    }
                    shared.lock()
                }
                // Another thread drives the runtime.
                (Rest::Asleep, false) => state,
                (Rest::Driving(_), false) if streak >= PATIENCE => state,
                (Rest::Driving(handoff), false) => {
                    drop(state);
                    if !handoff.drive(tokio::task::yield_now()) {
                        return;
                    }
                    shared.lock()
                }
            };
        };
        if let Rest::Driving(handoff) = rest
            && (job.is_long() || state.jobs.len() >= LONG_LINE)
        {
            handoff.request_standby();
        }
        let (since, stub) = (plan.clock.now(), job.stub());
        let is_turn = stub.must_yield();
        state.thread = Doing::Running(Running {
            since,
            must_yield: is_turn,
            stub: Some(stub),
            warned: false,
            overdue: false,
            told_full: false,
        });
        drop(state);
        let result = work(job, since);
        let mut state = shared.lock();
        let is_owner = state.owner == owner;
        let stub = if is_owner {
            match std::mem::replace(&mut state.thread, Doing::Driving) {
                Doing::Running(running) => running.stub,
                Doing::Driving | Doing::Asleep => None,
            }
        } else {
            came_back(&mut state, owner, &plan.spare)
        };
        drop(state);
        if let Some(stub) = stub {
            (plan.deliver)(result, stub);
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
fn came_back<J: Job>(state: &mut State<J>, owner: u64, spare: &Spare) -> Option<J::Stub> {
    let at = state.aside.iter().position(|(thread, _)| *thread == owner)?;
    let (_, running) = state.aside.swap_remove(at);
    if running.must_yield {
        spare.aside.fetch_sub(1, Ordering::AcqRel);
    }
    running.stub
}

#[cfg(test)]
mod tests;
