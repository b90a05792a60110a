//! Accepts activities, starts as many as the worker's limit allows, and watches those that run.
//!
//! An async activity whose runs have been short is polled first on a lane's thread, in the queue of its turns: to hand it to
//! another thread would cost more than to perform it. All others run on threads of their own ([`pool`](super::pool)), or
//! on the runtime that the worker's user named.

use super::activity::{OnUserRuntime, ResultTarget, RunningActivity};
use super::completion::WorkResult;
use super::in_flight::InFlightGuard;
use super::pool::Pool;
use super::stopped::Left;
use super::turns::ResultSender;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::sdk::registry::{ActivityRunner, Registry};
use crate::sdk::replay::Cancellation;
use crate::wire;
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// The activities of one worker.
pub(super) struct Activities {
    registry: Arc<Registry>,
    /// How many run at a time, and how many more wait at the most.
    most: usize,
    /// Whether a lane polls those that are quick.
    lane: bool,
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
    /// It has begun, and a lane is to poll it.
    ByLane(Arc<RunningActivity>),
    /// As many run and wait as may: this is its completion token.
    Full(String),
}

/// What the activities of a worker are made with.
pub(super) struct ActivitiesConfig {
    pub(super) registry: Arc<Registry>,
    pub(super) most: usize,
    pub(super) lane: bool,
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
        let ActivitiesConfig { registry, most, lane, elsewhere, stopping, done, clock } = config;
        let most = most.max(1);
        let pool = Arc::new(Pool::new(most, Arc::clone(&clock))?);
        Ok(Self { registry, most, lane, elsewhere, pool, stopping, done, clock, table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, ActivityTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopping(&self) -> &Cancellation {
        &self.stopping
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn pool(&self) -> &Pool {
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
        let activity = RunningActivity::new(self, place.key(), runner, elsewhere, request, answer);
        place.insert(Arc::clone(&activity));
        activity
    }

    /// Gives an activity to a thread, or names the one that a lane is to poll.
    fn begin(&self, activity: Arc<RunningActivity>) -> Accepted {
        if let Some(runtime) = self.elsewhere.as_ref().filter(|_| activity.is_elsewhere()) {
            runtime.spawn(OnUserRuntime(activity));
            return Accepted::Yes;
        }
        if self.lane && !activity.blocks() && activity.runner().pace().is_quick() {
            return Accepted::ByLane(activity);
        }
        self.pool.push(activity);
        Accepted::Yes
    }

    /// Polls a quick activity on this thread, which is a lane's.
    pub(super) fn poll_here(&self, activity: &Arc<RunningActivity>, since: Timestamp) {
        self.pool.poll_here(activity, since);
    }

    /// Has a thread of the pool poll an activity that was woken.
    pub(super) fn queue(&self, activity: Arc<RunningActivity>) {
        self.pool.push(activity);
    }

    /// An activity has ended; one that waited may begin.
    pub(super) fn ended(
        self: &Arc<Self>,
        key: usize,
        response: wire::ActivityResponse,
        mut guard: InFlightGuard,
    ) {
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
            && let Accepted::ByLane(quick) = self.begin(next)
        {
            self.pool.push(quick);
        }
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

/// What the watchdog remembers of an activity.
struct ActivityWatch {
    /// When it was first seen.
    since: Timestamp,
    /// The poll that was under way at the last look, and since when it is.
    poll: Option<(u32, Timestamp)>,
    told_long: bool,
    told_blocked: bool,
}

/// What the watchdog remembers of the activities that run.
#[derive(Default)]
pub(super) struct ActivityWatches(BTreeMap<usize, (Arc<RunningActivity>, ActivityWatch)>);

impl ActivityWatches {
    /// Looks after the activities: warns of those that run for `long` and of async ones that keep their thread for
    /// `blocked`, and has threads started in place of those that are blocked.
    pub(super) fn look(
        &mut self,
        activities: &Activities,
        long: Option<Duration>,
        blocked: Option<Duration>,
    ) {
        let now = activities.clock.now();
        let mut before = std::mem::take(&mut self.0);
        for activity in activities.running() {
            let seen = before.remove(&activity.key()).filter(|(seen, _)| Arc::ptr_eq(seen, &activity));
            let mut seen = seen.map_or_else(
                || ActivityWatch { since: now, poll: None, told_long: false, told_blocked: false },
                |(_, seen)| seen,
            );
            seen.look(&activity, &activities.pool, now, long, blocked);
            self.0.insert(activity.key(), (activity, seen));
        }
        activities.pool.catch_up();
    }
}

impl ActivityWatch {
    fn look(
        &mut self,
        activity: &RunningActivity,
        pool: &Pool,
        now: Timestamp,
        long: Option<Duration>,
        blocked: Option<Duration>,
    ) {
        let (name, instance) = (activity.context().name(), activity.context().instance_id());
        let task = activity.context().task_id();
        if !self.told_long && long.is_some_and(|long| now.since(self.since) >= long) {
            self.told_long = true;
            tracing::warn!(activity = name, instance, task, limit = ?long, "an activity runs long; it goes on");
        }
        let under_way = activity.poll_under_way();
        let since = match (self.poll, under_way) {
            (Some((before, since)), Some(current)) if before == current => since,
            _ => {
                self.poll = under_way.map(|current| (current, now));
                return;
            }
        };
        if activity.runner().is_blocking() || activity.is_elsewhere() {
            return;
        }
        // Seen twice in one poll: it keeps its thread.
        if let Some(current) = under_way {
            activity.runner().pace().blocked();
            pool.blocked(activity, current);
        }
        if !self.told_blocked && blocked.is_some_and(|limit| now.since(since) >= limit) {
            self.told_blocked = true;
            tracing::warn!(
                activity = name,
                instance,
                task,
                limit = ?blocked,
                "an async activity blocks its thread; it has one of its own from now on. Register it with \
                 `blocking_activity`, or await instead of blocking"
            );
        }
    }
}
