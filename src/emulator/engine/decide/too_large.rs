//! Fails by name what is too large (protocol/limits.md#messages): answers that cannot be read, and work that no worker
//! could receive.
//!
//! A work item above what a client receives breaks its stream, and would be offered again when the worker is back: for
//! ever, and with nothing said to anybody. A completion that is refused comes again in the same way.

use super::complete::Control;
use super::end::terminated;
use super::limit::STORE;
use super::malformed;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::deliver::chunks::Chunks;
use crate::emulator::engine::deliver::hand_out::FIRST_REST;
use crate::emulator::engine::deliver::lease::Held;
use crate::emulator::engine::deliver::streams::Place;
use crate::emulator::engine::deliver::turn::least_len;
use crate::emulator::engine::deliver::worklist::{ClassId, Work};
use crate::emulator::engine::entity::Decision;
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::Settles;
use crate::emulator::engine::state::instance::{End, Stage};
use crate::model::{InstanceId, Kind, Status, Timestamp, event, failure};
use crate::wire;

/// How what is about an answer above the limit of messages is said to have failed.
const MESSAGE: &str = "MessageTooLarge";
/// The same of an instance whose history is too long for its workers.
const HISTORY: &str = "HistoryTooLarge";
/// The same of an activity or operation that cannot be handed out.
const ITEM: &str = "WorkItemTooLarge";

impl Engine {
    /// Fails what an answer is about that could not be read.
    pub(crate) fn fail_work(
        &mut self,
        kind: WorkKind,
        token: String,
        instance_id: String,
        task_id: i32,
        why: String,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let failed = failure::not_retriable(MESSAGE, why);
        match kind {
            WorkKind::Turn => {
                let mut answer = wire::OrchestratorResponse {
                    instance_id,
                    completion_token: token,
                    ..wire::OrchestratorResponse::default()
                };
                let lease = self.turn_lease(&answer)?.and_then(|lease| self.leases.get_mut(lease));
                if let Some(Held::Turn(turn)) = lease.map(|lease| &mut lease.held) {
                    // What came of it in parts is of no use without the rest.
                    turn.chunks = Chunks::default();
                }
                malformed::fail(&mut answer, failed);
                self.complete_turn(answer, now)
            }
            WorkKind::Activity => {
                let answer = wire::ActivityResponse {
                    instance_id,
                    task_id,
                    completion_token: token,
                    failure_details: Some(failed),
                    ..wire::ActivityResponse::default()
                };
                self.complete_activity(answer, now)
            }
            WorkKind::Batch => self.end_batch(token, Err(failed), now),
        }
    }

    /// Whether a turn of an instance is too large for a worker that cannot fetch the past.
    pub(crate) fn is_long(&self, id: &InstanceId) -> bool {
        self.instances.get(id).is_some_and(|instance| least_len(instance) > self.config.item_bytes)
    }

    /// Whether no connected worker can be given a turn of an instance, because of its size, and none has one.
    pub(crate) fn reaches_no_worker(&mut self, id: &InstanceId) -> bool {
        let Some(instance) = self.instances.get(id) else { return false };
        if matches!(instance.stage, Stage::Out(_)) || !self.is_long(id) {
            return false;
        }
        let (class, keeper) = (instance.class, instance.kept_by);
        self.able(class, keeper).is_none_or(|able| able.is_empty())
    }

    /// The streams that can be given the turn of a long instance, and where each stands if it has room; `None` where no
    /// stream takes the class at all.
    fn able(&mut self, class: ClassId, keeper: Option<StreamId>) -> Option<Vec<Option<Place>>> {
        let named = self.work.named(class).clone();
        let takers = self.streams.takers(class, &named);
        if takers.is_empty() {
            return None;
        }
        let able = takers.into_iter().filter(|(id, stream, _)| {
            stream.offer.history_streaming || (stream.offer.sticky && keeper == Some(*id))
        });
        Some(able.map(|(.., place)| place).collect())
    }

    /// Hands out the turn of a long instance that is first in its class: to a worker that can fetch the past or has kept
    /// it. Whether the next of the class may be looked at.
    pub(crate) fn hand_long(
        &mut self,
        class: ClassId,
        id: &InstanceId,
        keeper: Option<StreamId>,
        now: Timestamp,
    ) -> bool {
        let Some(able) = self.able(class, keeper) else { return false };
        let Some(waiting) = self.work.take(class) else { return false };
        match able.iter().flatten().min() {
            Some((.., stream)) => drop(self.hand(*stream, &waiting.work, WorkKind::Turn, now)),
            None if able.is_empty() => {
                let bytes = self.instances.get(id).map_or(0, least_len);
                self.turn_too_large(id, bytes, now);
            }
            // The others of its class must not wait for it.
            None => {
                self.set_stage(&waiting.work, Stage::Ready, Stage::Resting);
                self.work.put_off(now.plus(FIRST_REST), waiting);
            }
        }
        true
    }

    /// Ends an instance whose turn no worker can receive: as it was asked to end, or as failed.
    pub(crate) fn turn_too_large(&mut self, id: &InstanceId, bytes: usize, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.stage = Stage::Idle;
        let (past, limit) = (instance.history.framed().len(), self.config.item_bytes);
        let what = format!(
            "a turn of this orchestration has {bytes} bytes, {past} of them its history, and its workers receive \
             messages of at most {limit}: let it continue as new (continue-as-new) before its history is so long, or run \
             it on a worker that fetches histories (HISTORY_STREAMING)"
        );
        let control = Control::read(instance, instance.inbox.len());
        let rewinds = instance.rewinding.is_some();
        self.suspects.clear(&Work::Turn(id.clone()));
        self.warn(|| Warning::TooLarge { kind: WorkKind::Turn, id: id.clone(), what: what.clone() });
        if rewinds {
            self.refuse_rewind(id, now);
            return;
        }
        let end = match control.terminated {
            Some(output) => terminated(output, now),
            None => End {
                status: Status::Failed,
                output: None,
                failure: Some(Box::new(failure::not_retriable(HISTORY, what))),
                at: now,
            },
        };
        self.end_by_decree(id, &end, control.recurse, now);
    }

    /// Fails an activity that cannot be handed out.
    pub(crate) fn activity_too_large(&mut self, id: &InstanceId, task: i32, bytes: usize, now: Timestamp) {
        let what = self.too_large(WorkKind::Activity, id, "this activity's work item", bytes);
        self.suspects.clear(&Work::Activity(id.clone(), task));
        let event = event::task_failed(now, task, failure::not_retriable(ITEM, what));
        self.arrive(id, Settles::Activity(task), Kind::TaskFailed, &event, now);
    }

    /// Fails the operation for which a batch cannot be handed out.
    pub(crate) fn batch_too_large(&mut self, id: &InstanceId, number: u64, bytes: usize, now: Timestamp) {
        let what = self.too_large(WorkKind::Batch, id, "the entity's state with this operation", bytes);
        let mut decision = Decision::default();
        let failed = failure::not_retriable(ITEM, what);
        let completion = self.entities.too_large(id, number, &failed, now, &mut decision);
        self.after_batch(id.clone(), completion, decision, None, now);
    }

    fn too_large(&mut self, kind: WorkKind, id: &InstanceId, item: &str, bytes: usize) -> String {
        let limit = self.config.item_bytes;
        let what = format!("{item} has {bytes} bytes, and workers receive at most {limit}: {STORE}");
        self.warn(|| Warning::TooLarge { kind, id: id.clone(), what: what.clone() });
        what
    }
}
