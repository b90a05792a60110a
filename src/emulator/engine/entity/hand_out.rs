//! Keeps where the batches of entities are: handed out, given back, lost with their workers, failed.

use super::{BatchStage, Completion, Entities, Failing, Operation, Step};
use crate::model::{InstanceId, Timestamp};
use crate::wire;
use prost::Message as _;
use std::time::Duration;

/// A batch that is handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Names this handing out; the answer must come with it.
    pub number: u64,
    /// What the worker gets (`entityRequestV2`).
    pub request: wire::EntityRequest,
}

/// How many bytes of operations a batch may have: a work item must stay well below 4 MiB.
const MOST_BYTES: usize = 3 * 1024 * 1024;

impl Entities {
    /// Hands out the next batch of an entity that is ready; `None` where it is not (any more).
    pub fn hand_out(&mut self, id: &InstanceId, at_most: usize) -> Option<Batch> {
        let entity = self.all.get_mut(id).filter(|entity| entity.is_ready())?;
        let mut room = MOST_BYTES.saturating_sub(entity.state.as_ref().map_or(0, String::len));
        let mut operation_requests = Vec::new();
        for operation in entity.eligible().take(entity.at_most.unwrap_or(at_most).min(at_most).max(1)) {
            let size = operation.request().encoded_len();
            if size > room && !operation_requests.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            operation_requests.push(operation.request().clone());
        }
        self.handed += 1;
        let number = self.handed;
        entity.stage = BatchStage::Out { number, operations: operation_requests.len() };
        let request = wire::EntityRequest {
            instance_id: id.as_str().to_owned(),
            execution_id: entity.execution().as_str().to_owned(),
            entity_state: entity.state.clone(),
            operation_requests,
        };
        Some(Batch { number, request })
    }

    /// Takes a batch back unrun: its worker gave it up. Whether the entity is to be offered again; it is ready from now
    /// on, and when it is handed out is the caller's.
    pub fn give_back(&mut self, id: &InstanceId, number: u64) -> bool {
        match self.all.get_mut(id) {
            Some(entity) if entity.is_out(number) => {
                entity.stage = BatchStage::Ready;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes a batch back because its worker is gone. Whether the entity is to be offered again. Until it is handed out,
    /// an answer that still comes counts.
    pub fn lose(&mut self, id: &InstanceId, number: u64) -> bool {
        match self.all.get_mut(id) {
            Some(entity) => match entity.stage {
                BatchStage::Out { number: out, operations } if out == number => {
                    entity.stage = BatchStage::Lost { number, operations };
                    true
                }
                BatchStage::Idle | BatchStage::Ready | BatchStage::Out { .. } | BatchStage::Lost { .. } => {
                    false
                }
            },
            None => false,
        }
    }

    /// After a rebuild: every entity with something to run, each to be handed out once.
    pub fn wake(&mut self) -> Vec<InstanceId> {
        let mut ready = Vec::new();
        for (id, entity) in &mut self.all {
            if matches!(entity.next_step(), Step::Offer) {
                entity.stage = BatchStage::Ready;
                ready.push(id.clone());
            }
        }
        ready
    }

    /// The operations that are out under this number.
    pub(super) fn out(&self, id: &InstanceId, number: u64) -> Option<Vec<Operation>> {
        let entity = self.all.get(id)?;
        match entity.stage {
            BatchStage::Out { number: out, operations } | BatchStage::Lost { number: out, operations }
                if out == number =>
            {
                Some(entity.eligible().take(operations).cloned().collect())
            }
            BatchStage::Idle | BatchStage::Ready | BatchStage::Out { .. } | BatchStage::Lost { .. } => None,
        }
    }

    /// Counts one more failure of the batch as a whole.
    pub(super) fn failed(&mut self, id: &InstanceId, now: Timestamp) -> Failing {
        let first = Failing { since: now, times: 1 };
        self.all.get_mut(id).map_or(first, |entity| {
            let again = |before: Failing| Failing { times: before.times.saturating_add(1), ..before };
            let failing = entity.failed.map_or(first, again);
            entity.failed = Some(failing);
            failing
        })
    }

    /// Readies what is left of a batch whose calls were given up. Whether anything is.
    pub(super) fn offer(&mut self, id: &InstanceId) -> bool {
        let Some(entity) = self.all.get_mut(id) else { return false };
        match entity.next_step() {
            Step::Offer => {
                entity.stage = BatchStage::Ready;
                true
            }
            Step::Grant | Step::Rest => false,
        }
    }

    pub(super) fn retry(&mut self, id: &InstanceId, number: u64, after: Duration) -> Completion {
        if self.give_back(id, number) { Completion::Retry(after) } else { Completion::Stale }
    }
}
