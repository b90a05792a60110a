//! Fails by name what no worker could receive (protocol/limits.md#messages).
//!
//! A work item above what a client receives breaks its stream, and would be offered again when the worker is back: for
//! ever, and without a word to anyone.

use super::Decider;
use super::limit::STORE;
use super::terminate::Control;
use crate::emulator::engine::command::WorkKind;
use crate::emulator::engine::entity::Completion;
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::state::phase::End;
use crate::model::{InstanceId, Status, Timestamp, failure};

/// How an instance is said to have failed whose history is too long for its workers.
const HISTORY: &str = "HistoryTooLarge";
/// The same of an activity or operation that cannot be handed out.
const ITEM: &str = "WorkItemTooLarge";

/// How many bytes a work item has, and how many workers receive at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excess {
    pub(crate) bytes: usize,
    pub(crate) limit: usize,
}

impl Decider {
    /// Ends an instance whose turn no worker can receive: as it was asked to end, or as failed.
    pub(crate) fn turn_too_large(&mut self, id: &InstanceId, excess: Excess, now: Timestamp) {
        let Some(instance) = self.state.instance(id) else { return };
        let Excess { bytes, limit } = excess;
        let past = instance.history().framed().len();
        let what = format!(
            "a turn of this orchestration has {bytes} bytes, {past} of them its history, and its workers receive \
             messages of at most {limit}: let it continue as new (continue-as-new) before its history is so long, or run \
             it on a worker that fetches histories (HISTORY_STREAMING)"
        );
        let terminated = Control::waiting(instance).terminated;
        let rewinds = instance.rewinding().is_some();
        self.notices.warn(|| Warning::TooLarge { kind: WorkKind::Turn, id: id.clone(), what: what.clone() });
        if rewinds {
            self.refuse_rewind(id, now);
            return;
        }
        let end = match &terminated {
            Some(termination) => termination.end(now),
            None => End {
                status: Status::Failed,
                output: None,
                failure: Some(Box::new(failure::not_retriable(HISTORY, what))),
                at: now,
            },
        };
        let recursive = terminated.is_some_and(|termination| termination.recursive);
        self.end_by_decree(id, &end, recursive, now);
    }

    /// Fails an activity that cannot be handed out.
    pub(crate) fn activity_too_large(&mut self, id: &InstanceId, task: i32, excess: Excess, now: Timestamp) {
        let what = self.too_large(WorkKind::Activity, id, "this activity's work item", excess);
        self.fail_activity(id, task, failure::not_retriable(ITEM, what), now);
    }

    /// Fails the operation for which a batch cannot be handed out.
    pub(crate) fn batch_too_large(
        &mut self,
        id: &InstanceId,
        number: u64,
        excess: Excess,
        now: Timestamp,
    ) -> Completion {
        let what = self.too_large(WorkKind::Batch, id, "the entity's state with this operation", excess);
        self.complete_batch(id, number, Err(failure::not_retriable(ITEM, what)), now)
    }

    fn too_large(&mut self, kind: WorkKind, id: &InstanceId, item: &str, excess: Excess) -> String {
        let Excess { bytes, limit } = excess;
        let what = format!("{item} has {bytes} bytes, and workers receive at most {limit}: {STORE}");
        self.notices.warn(|| Warning::TooLarge { kind, id: id.clone(), what: what.clone() });
        what
    }
}
