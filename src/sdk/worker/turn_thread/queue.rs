//! Orders the jobs of a turn thread: activities first, and a turn after each batch of them.

use super::job::Job;
use std::collections::VecDeque;

/// How many activities go to a turn thread at a time, and how many run before their results are sent: small enough that worker and
/// scheduler work at the same time, large enough that few system calls are made.
pub(in crate::sdk::worker) const BATCH: usize = 16;

/// The jobs that wait: activities apart from turns and batches, each in the order they arrived.
///
/// Activities go first, and their results are sent before the next turn runs, so that the scheduler works on them meanwhile. A turn
/// is next after each batch of activities, so that a large fan-out does not keep other instances waiting.
pub(super) struct JobQueue<J> {
    pub(super) activities: VecDeque<J>,
    turns: VecDeque<J>,
    /// How many activities have run since the runtime was last driven.
    pub(super) unsent: usize,
    pub(super) turn_is_due: bool,
}

/// What the turn thread does next.
pub(super) enum NextStep<J> {
    Run(J),
    /// It drives the runtime once, so that results are sent and new work items are read.
    Send,
    Wait,
}

impl<J: Job> JobQueue<J> {
    pub(super) const fn new() -> Self {
        Self { activities: VecDeque::new(), turns: VecDeque::new(), unsent: 0, turn_is_due: false }
    }

    pub(super) fn len(&self) -> usize {
        self.activities.len() + self.turns.len()
    }

    pub(super) fn push(&mut self, job: J) {
        if job.may_leave() { self.activities.push_back(job) } else { self.turns.push_back(job) }
    }

    pub(super) fn next(&mut self) -> NextStep<J> {
        if !self.turn_is_due
            && self.unsent < BATCH
            && let Some(activity) = self.activities.pop_front()
        {
            self.unsent += 1;
            return NextStep::Run(activity);
        }
        if self.len() == 0 {
            (self.unsent, self.turn_is_due) = (0, false);
            return NextStep::Wait;
        }
        if self.unsent > 0 {
            (self.unsent, self.turn_is_due) = (0, true);
            return NextStep::Send;
        }
        self.turn_is_due = false;
        match self.turns.pop_front() {
            Some(turn) => NextStep::Run(turn),
            None => self.next(),
        }
    }
}
