//! Watches the activities that run: warns of long ones, and has threads started in place of those that activities block.

use super::activities::Activities;
use super::activity::RunningActivity;
use super::pool::Pool;
use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
        let now = activities.clock().now();
        let mut before = std::mem::take(&mut self.0);
        for activity in activities.running() {
            let seen = before.remove(&activity.key()).filter(|(seen, _)| Arc::ptr_eq(seen, &activity));
            let mut seen = seen.map_or_else(
                || ActivityWatch { since: now, poll: None, told_long: false, told_blocked: false },
                |(_, seen)| seen,
            );
            seen.look(&activity, activities.pool(), now, long, blocked);
            self.0.insert(activity.key(), (activity, seen));
        }
        activities.pool().catch_up();
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
