//! Accepts activities, starts as many as the worker's limit allows, and watches those that run.
//!
//! An async activity whose runs have been short is polled first on a turn thread, in the queue of its turns: to hand it to
//! another thread would cost more than to perform it. All others run on threads of their own ([`pool`](super::pool)), or
//! on the runtime that the worker's user named.

use super::activity::{ActivityOwner, OnUserRuntime, ResultTarget, RunningActivity};
use super::completion::{ResultSender, WorkResult};
use super::in_flight::InFlightGuard;
use super::pool::Pool;
use super::stopped::Left;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::sdk::registry::{ActivityRunner, Registry};
use crate::sdk::replay::Cancellation;
use crate::wire;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// The activities of one worker.
pub(super) struct Activities {
    registry: Arc<Registry>,
    /// How many run at a time, and how many more wait at the most.
    most: usize,
    /// Whether the turn thread polls those that are quick.
    on_turn_thread: bool,
    /// Where async activities run, if not on the worker's own threads.
    elsewhere: Option<Handle>,
    pool: Arc<Pool>,
    /// Cancelled when the worker stops.
    stopping: Cancellation,
    done: ResultSender,
    clock: Arc<dyn Clock>,
    table: Mutex<ActivityTable>,
}

#[derive(Default)]
struct ActivityTable {
    running: Slab<Arc<RunningActivity>>,
    waiting: VecDeque<QueuedActivity>,
    closed: bool,
}

struct QueuedActivity {
    runner: ActivityRunner,
    request: wire::ActivityRequest,
    answer: ResultTarget,
}

/// What becomes of an activity that a scheduler handed out.
pub(super) enum Accepted {
    /// It has begun, or waits until another one has ended.
    Yes,
    /// It has begun, and the turn thread is to poll it.
    ForTurnThread(Arc<RunningActivity>),
    /// As many run and wait as may: this is its completion token.
    Full(String),
}

/// What the activities of a worker are made with.
pub(super) struct ActivitiesConfig {
    pub(super) registry: Arc<Registry>,
    pub(super) most: usize,
    pub(super) on_turn_thread: bool,
    pub(super) elsewhere: Option<Handle>,
    pub(super) stopping: Cancellation,
    pub(super) done: ResultSender,
    pub(super) clock: Arc<dyn Clock>,
}

impl Activities {
    /// # Errors
    ///
    /// The machine gives no runtime.
    pub(super) fn new(config: ActivitiesConfig) -> std::io::Result<Self> {
        let ActivitiesConfig { registry, most, on_turn_thread, elsewhere, stopping, done, clock } = config;
        let most = most.max(1);
        let pool = Arc::new(Pool::new(most, Arc::clone(&clock))?);
        Ok(Self {
            registry,
            most,
            on_turn_thread,
            elsewhere,
            pool,
            stopping,
            done,
            clock,
            table: Mutex::default(),
        })
    }

    fn table(&self) -> MutexGuard<'_, ActivityTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Takes an activity that a scheduler handed out.
    pub(super) fn take(
        self: &Arc<Self>,
        request: wire::ActivityRequest,
        token: String,
        guard: InFlightGuard,
    ) -> Accepted {
        let answer = ResultTarget { token, guard };
        let Some(runner) = self.registry.activity_runner(&request.name, request.version.as_deref()) else {
            let details = Registry::activity_not_found(&request.name);
            self.fail(request, answer, details);
            return Accepted::Yes;
        };
        let mut table = self.table();
        if table.closed {
            return Accepted::Yes;
        }
        if table.running.len() < self.most {
            let activity = self.insert(&mut table, runner, request, answer);
            drop(table);
            return self.begin(activity);
        }
        if table.waiting.len() >= self.most {
            return Accepted::Full(answer.token);
        }
        table.waiting.push_back(QueuedActivity { runner, request, answer });
        Accepted::Yes
    }

    fn insert(
        self: &Arc<Self>,
        table: &mut ActivityTable,
        runner: ActivityRunner,
        request: wire::ActivityRequest,
        answer: ResultTarget,
    ) -> Arc<RunningActivity> {
        let elsewhere = self.elsewhere.is_some() && !runner.is_blocking();
        let place = table.running.vacant_entry();
        let activity =
            RunningActivity::new(Arc::clone(self) as _, place.key(), runner, elsewhere, request, answer);
        place.insert(Arc::clone(&activity));
        activity
    }

    /// Gives an activity to a thread, or names the one that the turn thread is to poll.
    fn begin(&self, activity: Arc<RunningActivity>) -> Accepted {
        if let Some(runtime) = self.elsewhere.as_ref().filter(|_| activity.is_elsewhere()) {
            runtime.spawn(OnUserRuntime(activity));
            return Accepted::Yes;
        }
        if self.on_turn_thread && !activity.blocks() && activity.runner().pace().is_quick() {
            return Accepted::ForTurnThread(activity);
        }
        self.pool.push(activity);
        Accepted::Yes
    }

    /// Polls a quick activity on this thread, which is a turn thread.
    pub(super) fn poll_here(&self, activity: &Arc<RunningActivity>, since: Timestamp) {
        self.pool.poll_here(activity, since);
    }

    /// Has a thread of the pool poll an activity that was woken.
    pub(super) fn queue(&self, activity: Arc<RunningActivity>) {
        self.pool.push(activity);
    }

    fn fail(&self, request: wire::ActivityRequest, answer: ResultTarget, details: wire::TaskFailureDetails) {
        let ResultTarget { token, mut guard } = answer;
        guard.answered();
        let response = wire::ActivityResponse {
            instance_id: request.orchestration_instance.unwrap_or_default().instance_id,
            task_id: request.task_id,
            failure_details: Some(details),
            completion_token: token,
            ..Default::default()
        };
        drop(self.done.send((WorkResult::Activity(Box::new(response)), guard)));
    }

    /// The activities that run now.
    pub(super) fn running(&self) -> Vec<Arc<RunningActivity>> {
        self.table().running.iter().map(|(_, activity)| Arc::clone(activity)).collect()
    }

    /// Names the activities that run.
    pub(super) fn subjects(&self) -> Vec<Left> {
        self.running().iter().map(|activity| activity.subject()).collect()
    }

    /// Begins nothing more, and gives up what runs on the worker's own threads.
    pub(super) fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        let waiting = std::mem::take(&mut table.waiting);
        let running = std::mem::take(&mut table.running);
        drop(table);
        drop(waiting);
        let left = running.into_iter().map(|(_, activity)| activity);
        self.pool.close(left.filter(|activity| !activity.is_elsewhere()).collect());
    }
}

impl ActivityOwner for Activities {
    fn stopping(&self) -> &Cancellation {
        &self.stopping
    }

    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn queue(&self, activity: Arc<RunningActivity>) {
        self.pool.push(activity);
    }

    fn returned(&self) {
        self.pool.returned();
    }

    /// A waiting activity may begin in its place.
    fn ended(self: Arc<Self>, key: usize, response: wire::ActivityResponse, mut guard: InFlightGuard) {
        guard.answered();
        let mut table = self.table();
        let gone = table.running.try_remove(key);
        let next = match table.waiting.pop_front() {
            Some(QueuedActivity { runner, request, answer }) if !table.closed => {
                Some(self.insert(&mut table, runner, request, answer))
            }
            _ => None,
        };
        drop(table);
        drop(gone);
        // The receiver is gone once the worker has stopped: the result is dropped.
        drop(self.done.send((WorkResult::Activity(Box::new(response)), guard)));
        if let Some(next) = next
            && let Accepted::ForTurnThread(quick) = self.begin(next)
        {
            self.pool.push(quick);
        }
    }
}
