//! Decides what an activity has come to.

use super::Decider;
use crate::emulator::engine::record::Settles;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire::{self, TaskFailureDetails};

impl Decider {
    /// Takes the answer of an activity that its instance waits for.
    pub(crate) fn complete_activity(
        &mut self,
        id: &InstanceId,
        task: i32,
        mut answer: wire::ActivityResponse,
        now: Timestamp,
    ) {
        self.limit.on_activity(&mut answer);
        if let Some(failure) = answer.failure_details {
            self.fail_activity(id, task, failure, now);
        } else {
            let event = event::task_completed(now, task, answer.result);
            self.arrive(id, Settles::Activity(task), Kind::TaskCompleted, &event, now);
        }
    }

    /// Fails an activity: as its worker says, or because it cannot be handed out.
    pub(crate) fn fail_activity(
        &mut self,
        id: &InstanceId,
        task: i32,
        failure: TaskFailureDetails,
        now: Timestamp,
    ) {
        let event = event::task_failed(now, task, failure);
        self.arrive(id, Settles::Activity(task), Kind::TaskFailed, &event, now);
    }
}
