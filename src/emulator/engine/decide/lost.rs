//! Fails what its workers died of so often that it seems to kill them.

use super::Decider;
use crate::emulator::engine::command::WorkKind;
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::state::phase::End;
use crate::model::{InstanceId, Status, Timestamp, failure};
use crate::wire::TaskFailureDetails;

/// How a task is said to have failed whose workers die of it.
const WORKER_LOST: &str = "WorkerLost";

impl Decider {
    /// Fails the instance of a turn; a rewind is refused instead.
    pub(crate) fn turn_kills_workers(&mut self, id: &InstanceId, name: &str, times: u32, now: Timestamp) {
        let failed =
            self.kills_workers(WorkKind::Turn, id, times, &format!("a turn of the orchestrator '{name}'"));
        if self.state.instance(id).is_some_and(|instance| instance.rewinding().is_some()) {
            self.refuse_rewind(id, now);
        } else {
            let failure = Some(Box::new(failed));
            let end = End { status: Status::Failed, output: None, failure, at: now };
            self.end_by_decree(id, &end, false, now);
        }
    }

    pub(crate) fn activity_kills_workers(
        &mut self,
        id: &InstanceId,
        task: i32,
        name: &str,
        times: u32,
        now: Timestamp,
    ) {
        let failed = self.kills_workers(WorkKind::Activity, id, times, &format!("the activity '{name}'"));
        self.fail_activity(id, task, failed, now);
    }

    /// Fails the calls among an entity's operations. Signals have no caller to tell, and are never dropped. Whether any
    /// operation is left.
    pub(crate) fn batch_kills_workers(
        &mut self,
        id: &InstanceId,
        name: &str,
        times: u32,
        now: Timestamp,
    ) -> bool {
        let failed =
            self.kills_workers(WorkKind::Batch, id, times, &format!("an operation of the entity '{name}'"));
        self.fail_calls(id, &failed, now)
    }

    fn kills_workers(
        &mut self,
        kind: WorkKind,
        id: &InstanceId,
        times: u32,
        what: &str,
    ) -> TaskFailureDetails {
        self.notices.warn(|| Warning::KillsWorkers { kind, id: id.clone(), times });
        failure::not_retriable(
            WORKER_LOST,
            format!(
                "{times} workers lost their connection soon after they were handed {what}, and no other work: it \
                 seems to end their process (an abort, a stack overflow, no memory); mend it and start again, or \
                 allow more losses (--max-worker-losses)"
            ),
        )
    }
}
