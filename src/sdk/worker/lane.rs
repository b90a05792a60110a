//! Runs turns and entity batches on plain threads, one lane per thread, in the order they came.
//!
//! A job runs without a tokio context: an orchestrator that calls tokio directly fails at once and by name. An
//! instance always runs in the same lane, where its future is kept between turns.

use super::baton::Baton;
use crate::clock::Clock;
use crate::model::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// From how many jobs in a line on the runtime is left to another thread.
const LONG_LINE: usize = 64;

/// After how many jobs in a row that ended with much else to do a lane leaves the runtime to another thread, until there
/// is less. Where two threads keep two processors busy a third waits for milliseconds before it runs: that is nothing
/// to a load that lasts, and everything to one that does not.
const PATIENCE: u32 = 64;

/// What a lane's thread does while there is no job.
#[derive(Clone)]
pub(super) enum Rest {
    /// It sleeps.
    Asleep,
    /// It drives the worker's runtime.
    Driving(Arc<Baton>),
}

/// What a lane does with a job; made on the lane's own thread, so it may hold what cannot leave it.
pub(super) type Work<J> = Box<dyn FnMut(J) -> <J as Job>::Result>;

/// What a lane is made of.
pub(super) struct Plan<J: Job> {
    /// Called once on every thread of the lane.
    pub(super) work: Box<dyn Fn() -> Work<J> + Send + Sync>,
    /// Gets the result of every job that is still the lane's to answer.
    pub(super) deliver: Box<dyn Fn(J::Result) + Send + Sync>,
    /// Whether there is much to do beside jobs.
    pub(super) is_swamped: Box<dyn Fn() -> bool + Send + Sync>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A job that a lane can run, and that can be answered for when it never ends.
pub(super) trait Job: Send + 'static {
    /// What is left of it for the watchdog while it runs.
    type Stub: Clone + Send + 'static;
    /// What comes of it.
    type Result;

    /// What the watchdog must know of it.
    fn stub(&self) -> Self::Stub;

    /// Whether it is likely to take longer than it takes to wake a thread.
    fn is_long(&self) -> bool;
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
    jobs: VecDeque<J>,
    thread: Doing<J::Stub>,
    /// Which thread owns the lane; an earlier one that is stuck finds itself replaced when it comes back.
    owner: u64,
    closed: bool,
}

/// What a lane's thread does.
enum Doing<S> {
    /// It drives a runtime, or is about to look for a job.
    Driving,
    Asleep,
    Running(Running<S>),
}

struct Running<S> {
    since: Timestamp,
    stub: S,
    warned: bool,
}

/// What the watchdog finds in a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<S> {
    /// Nothing to say.
    Fine,
    /// The job has run long; said once per job.
    Slow(S),
    /// The job has run too long: the lane has a new thread, and somebody must answer for the job.
    Stuck(S),
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
        let state = State { jobs: VecDeque::new(), thread: Doing::Driving, owner: 0, closed: false };
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

    /// Puts a job at the end of the line.
    pub(super) fn push(&self, job: J) {
        let mut state = self.shared.lock();
        state.jobs.push_back(job);
        let wake: fn(&Shared<J>) = match state.thread {
            Doing::Asleep => |shared| shared.waiting.notify_one(),
            Doing::Driving => |shared| shared.arrived.notify_one(),
            Doing::Running(_) => |_| {},
        };
        drop(state);
        wake(&self.shared);
    }

    /// Looks after the job that runs.
    pub(super) fn look(&self, slow: Option<Duration>, stuck: Option<Duration>) -> Look<J::Stub> {
        let now = self.plan.clock.now();
        let mut state = self.shared.lock();
        let Doing::Running(running) = &mut state.thread else { return Look::Fine };
        let ran = now.since(running.since);
        if stuck.is_some_and(|limit| ran >= limit) {
            let stub = running.stub.clone();
            state.thread = Doing::Driving;
            state.owner += 1;
            let owner = state.owner;
            drop(state);
            if let Err(error) = self.spawn(owner) {
                tracing::error!(%error, "no new thread for orchestrations could be started");
            }
            return Look::Stuck(stub);
        }
        if !running.warned && slow.is_some_and(|limit| ran >= limit) {
            running.warned = true;
            return Look::Slow(running.stub.clone());
        }
        Look::Fine
    }
}

/// Ends the thread after the job that it runs; jobs that wait are dropped.
impl<J: Job> Drop for Lane<J> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.shared.waiting.notify_all();
        self.shared.arrived.notify_one();
    }
}

fn run<J: Job>(shared: &Shared<J>, plan: &Plan<J>, rest: &Rest, owner: u64) {
    let mut work = (plan.work)();
    let mut streak = 0;
    loop {
        let mut state = shared.lock();
        let job = loop {
            if state.closed || state.owner != owner {
                return;
            }
            if let Some(job) = state.jobs.pop_front() {
                break job;
            }
            state = match rest {
                Rest::Asleep => shared.sleep(state),
                Rest::Driving(baton) if streak >= PATIENCE => {
                    baton.call();
                    shared.sleep(state)
                }
                Rest::Driving(baton) => {
                    drop(state);
                    if !baton.drive(shared.arrived.notified()) {
                        return;
                    }
                    shared.lock()
                }
            };
        };
        if let Rest::Driving(baton) = rest
            && (job.is_long() || state.jobs.len() >= LONG_LINE)
        {
            baton.call();
        }
        state.thread = Doing::Running(Running { since: plan.clock.now(), stub: job.stub(), warned: false });
        drop(state);
        let result = work(job);
        let mut state = shared.lock();
        if state.owner != owner {
            return;
        }
        state.thread = Doing::Driving;
        drop(state);
        (plan.deliver)(result);
        streak = if (plan.is_swamped)() { streak.saturating_add(1) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    /// Says its number, or waits until it is let go.
    enum Say {
        Number(u32),
        Stuck(u32, mpsc::Sender<()>, mpsc::Receiver<()>),
    }

    impl Job for Say {
        type Stub = u32;
        type Result = u32;
        fn stub(&self) -> u32 {
            match self {
                Self::Number(number) | Self::Stuck(number, ..) => *number,
            }
        }
        fn is_long(&self) -> bool {
            false
        }
    }

    fn lane() -> (Arc<ManualClock>, Lane<Say>, mpsc::Receiver<u32>) {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let (said, heard) = mpsc::channel();
        let work = || {
            Box::new(|job: Say| {
                let number = job.stub();
                if let Say::Stuck(_, began, go) = job {
                    began.send(()).unwrap();
                    go.recv().unwrap_or_default();
                }
                number
            }) as Work<Say>
        };
        let said = Mutex::new(said);
        let deliver = move |number| said.lock().unwrap().send(number).unwrap_or_default();
        let plan = Plan {
            work: Box::new(work),
            deliver: Box::new(deliver),
            is_swamped: Box::new(|| false),
            clock: clock.clone(),
        };
        (clock, Lane::start("lane".into(), Arc::new(plan), Rest::Asleep).unwrap(), heard)
    }

    #[test]
    fn jobs_run_in_the_order_they_came() {
        let (_, lane, heard) = lane();
        for number in 0..100 {
            lane.push(Say::Number(number));
        }
        assert_eq!(heard.iter().take(100).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_does_not_end_is_told_of_once_then_replaced_and_its_late_result_is_dropped() {
        let (clock, lane, heard) = lane();
        let (began, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        lane.push(Say::Stuck(1, began, goes));
        lane.push(Say::Number(2));
        begins.recv().unwrap();
        let limits = (Some(Duration::from_secs(1)), Some(Duration::from_secs(10)));
        assert_eq!(lane.look(limits.0, limits.1), Look::Fine);
        clock.advance(Duration::from_secs(1));
        assert_eq!(lane.look(limits.0, limits.1), Look::Slow(1));
        assert_eq!(lane.look(limits.0, limits.1), Look::Fine);
        clock.advance(Duration::from_secs(9));
        assert_eq!(lane.look(limits.0, limits.1), Look::Stuck(1));
        // The new thread goes on with what waited.
        assert_eq!(heard.recv(), Ok(2));
        go.send(()).unwrap();
        lane.push(Say::Number(3));
        assert_eq!(heard.recv(), Ok(3));
    }

    #[test]
    fn a_lane_that_is_swamped_for_long_leaves_the_runtime_to_the_second_thread_until_it_is_calm_again() {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
        let handle = runtime.handle().clone();
        let baton = Arc::new(Baton::new(&runtime));
        let standing = Arc::clone(&baton);
        let second = thread::spawn(move || standing.stand_by(runtime));
        let driver = || {
            let (said, heard) = mpsc::channel();
            handle.spawn(async move { said.send(thread::current().id()) });
            heard.recv().unwrap()
        };

        let swamped = Arc::new(AtomicBool::new(true));
        let is_swamped = Arc::clone(&swamped);
        let (said, heard) = mpsc::channel();
        let said = Mutex::new(said);
        let plan = Plan {
            work: Box::new(|| Box::new(|job: Say| job.stub())),
            deliver: Box::new(move |number| said.lock().unwrap().send(number).unwrap_or_default()),
            is_swamped: Box::new(move || is_swamped.load(Ordering::SeqCst)),
            clock: Arc::new(ManualClock::new(Timestamp::EPOCH)),
        };
        let rest = Rest::Driving(Arc::clone(&baton));
        let lane = Lane::start("lane".into(), Arc::new(plan), rest).unwrap();
        let run = |number| {
            lane.push(Say::Number(number));
            assert_eq!(heard.recv(), Ok(number));
        };

        (0..PATIENCE).for_each(run);
        while !matches!(lane.shared.lock().thread, Doing::Asleep) {
            thread::yield_now();
        }
        assert_eq!(driver(), second.thread().id());
        run(PATIENCE);
        assert_eq!(driver(), second.thread().id());

        swamped.store(false, Ordering::SeqCst);
        run(PATIENCE + 1);
        while driver() == second.thread().id() {
            thread::yield_now();
        }
        drop(super::super::baton::Over(baton));
        second.join().unwrap();
    }
}
