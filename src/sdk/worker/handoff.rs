//! Hands one runtime over between two threads, so that turns run on the thread that serves the connection and a long
//! turn does not keep the connection waiting.
//!
//! To give a turn to another thread and to take its answer back costs two wakes, which is most of what a short turn costs.
//! So the turn thread also drives the runtime, and leaves it for each turn. The standby thread drives while the turn thread
//! is away for long. `HandoffState` holds every decision; the rest waits and wakes. `tests/handoff.rs` runs this
//! file under loom, which tries the orders in which the two threads can proceed.

use super::sync::{Condvar, Mutex, MutexGuard, Notify, Runtime};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

/// How often the standby thread checks while the turn thread comes and goes. An absence that two checks in a row see counts
/// as long.
const CHECK_EVERY: Duration = Duration::from_millis(1);

/// One runtime and the two threads that may drive it.
pub(super) struct Handoff {
    runtime: Weak<Runtime>,
    /// After how many checks in a row without a departure of the turn thread the standby thread sleeps.
    checks: u32,
    state: Mutex<HandoffState>,
    /// Wakes the standby thread where it checks, sleeps, or waits for the runtime to be free.
    changed: Condvar,
    /// Tells the standby thread to stop driving.
    back: Notify,
    /// Tells the turn thread to stop driving, because the worker ends.
    ended: Notify,
}

struct HandoffState {
    turn_thread: TurnThreadState,
    /// How often the turn thread has left the runtime.
    departures: u64,
    standby: StandbyState,
    /// How many threads are inside the runtime beside the standby thread.
    inside: usize,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TurnThreadState {
    Driving,
    /// It runs a job, probably a short one.
    Away,
    /// It runs a job, or there is no such thread yet: the standby thread is to drive.
    AwayForLong,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StandbyState {
    Driving,
    /// It checks by itself whether it is needed.
    Checking,
    /// It has to be woken.
    Asleep,
}

/// What the standby thread remembers from one check to the next.
#[derive(Default)]
struct Checks {
    /// The number of departures that the last check saw.
    seen: Option<u64>,
    /// How many checks in a row saw no departure.
    unchanged: u32,
}

/// What the standby thread does next.
#[derive(Debug, PartialEq, Eq)]
enum StandbyStep {
    Drive,
    CheckAgain,
    Sleep,
    End,
}

impl HandoffState {
    /// The turn thread begins to drive. Says whether the standby thread drives and is to be told.
    fn enter(&mut self) -> bool {
        self.turn_thread = TurnThreadState::Driving;
        self.inside += 1;
        self.standby == StandbyState::Driving
    }

    /// The turn thread has left the runtime. Says whether the standby thread waits to be woken.
    fn leave(&mut self) -> bool {
        self.inside -= 1;
        self.turn_thread = TurnThreadState::Away;
        self.departures += 1;
        self.ended || self.standby == StandbyState::Asleep
    }

    /// Decides what the standby thread does.
    fn next_step(&mut self, checks: &mut Checks, most: u32) -> StandbyStep {
        if self.ended {
            return StandbyStep::End;
        }
        let unchanged = checks.seen == Some(self.departures);
        match self.turn_thread {
            TurnThreadState::AwayForLong => return self.drive(checks),
            TurnThreadState::Away if unchanged => return self.drive(checks),
            TurnThreadState::Away | TurnThreadState::Driving => {}
        }
        checks.seen = Some(self.departures);
        checks.unchanged = if unchanged { checks.unchanged + 1 } else { 0 };
        if checks.unchanged < most {
            return StandbyStep::CheckAgain;
        }
        checks.unchanged = 0;
        self.standby = StandbyState::Asleep;
        StandbyStep::Sleep
    }

    fn drive(&mut self, checks: &mut Checks) -> StandbyStep {
        *checks = Checks::default();
        self.standby = StandbyState::Driving;
        StandbyStep::Drive
    }
}

/// Ends the handoff when it is dropped, also where the task that owns it panics.
pub(super) struct EndOnDrop(pub(super) Arc<Handoff>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Handoff {
    /// A handoff without a turn thread: the standby thread drives until one comes.
    pub(super) fn new(runtime: &Arc<Runtime>, checks: u32) -> Self {
        let state = HandoffState {
            turn_thread: TurnThreadState::AwayForLong,
            departures: 0,
            standby: StandbyState::Checking,
            inside: 0,
            ended: false,
        };
        Self {
            runtime: Arc::downgrade(runtime),
            checks,
            state: Mutex::new(state),
            changed: Condvar::new(),
            back: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HandoffState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives the runtime on the turn thread until `done`, and counts the thread as away from then on. False once the worker
    /// ends.
    pub(super) fn drive(&self, done: impl Future<Output = ()>) -> bool {
        let mut state = self.lock();
        if state.ended {
            return false;
        }
        let Some(runtime) = self.runtime.upgrade() else { return false };
        if state.enter() {
            self.back.notify_one();
        }
        // Made under the lock, which `end` takes first: an end from now on reaches this future.
        let ended = self.ended.notified();
        drop(state);
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = done => {}
                () = ended => {}
            }
        });
        // Before `leave`: where no thread is inside, the standby thread holds the only reference.
        drop(runtime);
        let mut state = self.lock();
        if state.leave() {
            self.changed.notify_all();
        }
        !state.ended
    }

    /// Has the standby thread drive at once: the turn thread expects to be away for long.
    pub(super) fn request_standby(&self) {
        let mut state = self.lock();
        if state.turn_thread == TurnThreadState::Away {
            state.turn_thread = TurnThreadState::AwayForLong;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
        self.back.notify_one();
        self.ended.notify_waiters();
    }

    /// Stands by on this thread until the handoff ends, then shuts the runtime down.
    pub(super) fn run_standby(&self, mut runtime: Arc<Runtime>) {
        let mut checks = Checks::default();
        let mut state = self.lock();
        loop {
            match state.next_step(&mut checks, self.checks) {
                StandbyStep::End => break,
                StandbyStep::Drive => {
                    drop(state);
                    runtime.block_on(self.back.notified());
                    state = self.lock();
                }
                StandbyStep::CheckAgain => {
                    let waited = self.changed.wait_timeout(state, CHECK_EVERY);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                StandbyStep::Sleep => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            state.standby = StandbyState::Checking;
        }
        loop {
            while state.inside > 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            match Arc::try_unwrap(runtime) {
                // A blocking activity that does not end would otherwise keep this thread.
                Ok(runtime) => return runtime.shutdown_background(),
                Err(shared) => runtime = shared,
            }
        }
    }
}
