//! Watches the job that a thread runs: whether it is slow, or stuck.

use super::job::{JobHandle, TurnLimits};
use crate::model::Timestamp;
use std::time::Duration;

#[expect(clippy::struct_excessive_bools, reason = "four facts about a job, each true or not by itself")]
pub(super) struct RunningJob<S> {
    pub(super) since: Timestamp,
    /// `None` once the watchdog has failed the job.
    pub(super) handle: Option<S>,
    pub(super) must_yield: bool,
    pub(super) warned: bool,
    /// It was over its time at the last look. A process that was stopped, or a machine that slept, makes every turn look
    /// long once; a turn that really is long is so at the next look too.
    pub(super) overdue: bool,
    pub(super) told_full: bool,
}

impl<S: JobHandle> RunningJob<S> {
    pub(super) fn is_over(&self, limit: Option<Duration>, now: Timestamp) -> bool {
        limit.is_some_and(|limit| now.since(self.since) >= limit)
    }

    /// What is to be said of a turn, wherever its thread is.
    pub(super) fn look(&mut self, limits: &TurnLimits, now: Timestamp, found: &mut Vec<JobReport<S>>) {
        if !self.must_yield {
            return;
        }
        let Some(handle) = &self.handle else { return };
        if !self.warned && self.is_over(limits.slow, now) {
            self.warned = true;
            found.extend(handle.subject().map(JobReport::Slow));
        }
        let overdue = self.is_over(limits.stuck, now);
        if overdue && self.overdue {
            found.extend(self.handle.take().map(JobReport::Stuck));
        }
        self.overdue = overdue;
    }
}

/// What the watchdog finds on a turn thread.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sdk::worker) enum JobReport<S: JobHandle> {
    /// The turn has run long; said once per turn.
    Slow(S::Subject),
    /// The turn has run too long: the watchdog fails it.
    Stuck(S),
    /// Jobs wait for a turn that does not yield, and this many threads are aside, which is as many as may be.
    Full(usize),
}
