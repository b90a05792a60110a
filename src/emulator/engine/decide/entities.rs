//! Brings entities and the rest of the hub together.

use super::Decider;
use crate::emulator::engine::command::Reply;
use crate::emulator::engine::entity::{
    Completion, Decision, Entities, EntityStart, LockRequest, Operation, Skipped,
};
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::history::encode;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire;

impl Decider {
    /// `SignalEntity`: the entity need not exist, and no call waits.
    pub(crate) fn signal_entity(
        &mut self,
        id: &InstanceId,
        operation: String,
        input: Option<String>,
        request_id: String,
        at: Option<prost_types::Timestamp>,
        now: Timestamp,
    ) -> Reply {
        // .NET and Go read the id of a request as a GUID, and would fall over any other again and again (R63).
        let request_id = match guid(&request_id) {
            Some(request) if !self.requests.is_first(request, id) => return Reply::Done,
            Some(_) => request_id,
            None => self.ids.uuid().to_string(),
        };
        let signal = wire::EntityOperationSignaledEvent {
            request_id,
            operation,
            scheduled_time: at,
            input,
            target_instance_id: None,
        };
        self.operate(id, Operation::signal(now, signal), now);
        Reply::Done
    }

    /// Sends an operation to an entity.
    pub(crate) fn operate(&mut self, to: &InstanceId, operation: Operation, now: Timestamp) {
        if to.entity_name().is_none() {
            // An orchestration that calls an entity that cannot be would wait for ever.
            if let Some((caller, request)) = operation.awaited() {
                let failure = crate::model::failure::not_retriable(
                    "InvalidEntityId",
                    format!("the entity id {:?} has not the form @name@key", to.as_str()),
                );
                let event = event::entity_failed(now, request.to_owned(), failure);
                let caller = caller.clone();
                self.answer(&caller.instance, &caller.execution, &event, now);
            }
            return;
        }
        self.entity_step(now, |entities, decision| entities.send(to, operation, now, decision));
    }

    pub(crate) fn lock(&mut self, request: LockRequest, now: Timestamp) {
        self.entity_step(now, |entities, decision| entities.ask(request, now, decision));
    }

    pub(crate) fn unlock(&mut self, entity: &InstanceId, holder: &InstanceId, section: &str, now: Timestamp) {
        self.entity_step(now, |entities, decision| entities.unlock(entity, holder, section, now, decision));
    }

    pub(crate) fn release_locks(&mut self, holder: &InstanceId, now: Timestamp) {
        self.entity_step(now, |entities, decision| entities.release(holder, now, decision));
    }

    pub(crate) fn fire_entities(&mut self, now: Timestamp) {
        if self.state.entities().next_due().is_some_and(|due| due <= now) {
            self.entity_step(now, |entities, decision| entities.fire(now, decision));
        }
    }

    pub(super) fn purge_entity(&mut self, id: &InstanceId, now: Timestamp) -> bool {
        if self.state.entities().is_ready(id) {
            self.unwanted.push_back(id.clone());
        }
        self.entity_step(now, |entities, decision| entities.purge(id, now, decision))
    }

    /// Takes what a worker's answer has come to, or fails what of a batch is too large.
    pub(crate) fn complete_batch(
        &mut self,
        id: &InstanceId,
        number: u64,
        answer: Result<wire::EntityBatchResult, wire::TaskFailureDetails>,
        now: Timestamp,
    ) -> Completion {
        let Self { state, ids, .. } = self;
        let mut mint = || ids.uuid().to_string();
        let (completion, mut decision) = state.step_entities(|entities, decision| match answer {
            Ok(answer) => entities.complete(id, number, answer, now, &mut mint, decision),
            Err(failed) => entities.too_large(id, number, &failed, now, decision),
        });
        for Skipped(what) in std::mem::take(&mut decision.skipped) {
            self.notices.warn(|| Warning::Skipped { id: id.clone(), what });
        }
        self.absorb(decision, now);
        completion
    }

    /// What of the answer to a batch is above the limits; what can be kept of it is cut.
    pub(crate) fn check_batch(
        &self,
        answer: &mut wire::EntityBatchResult,
    ) -> Option<wire::TaskFailureDetails> {
        self.limit.on_batch(answer)
    }

    /// Fails the calls among the operations that were out. Whether anything is left of the batch.
    pub(super) fn fail_calls(
        &mut self,
        id: &InstanceId,
        failed: &wire::TaskFailureDetails,
        now: Timestamp,
    ) -> bool {
        self.entity_step(now, |entities, decision| entities.fail_calls(id, failed, now, decision))
    }

    /// Lets the entities take a step, and does what it asks for.
    fn entity_step<T>(&mut self, now: Timestamp, step: impl FnOnce(&mut Entities, &mut Decision) -> T) -> T {
        let (result, decision) = self.state.step_entities(step);
        self.absorb(decision, now);
        result
    }

    fn absorb(&mut self, decision: Decision, now: Timestamp) {
        for (caller, event) in decision.answers {
            self.answer(&caller.instance, &caller.execution, &event, now);
        }
        for start in decision.starts {
            self.start_for_entity(start, now);
        }
        self.ready.extend(decision.ready);
    }

    /// Gives an answer to the execution that waits for it; another one of the same instance does not want it.
    fn answer(
        &mut self,
        to: &InstanceId,
        execution: &crate::model::ExecutionId,
        event: &wire::HistoryEvent,
        now: Timestamp,
    ) {
        let Some(instance) = self.state.instance(to).filter(|i| i.goes_on_with(execution)) else { return };
        let Some(kind) = event.event_type.as_ref().map(Kind::of) else { return };
        if instance.keeps_late(kind) {
            self.put(Record::Late { id: to.clone(), kind, event: encode(event) });
        } else {
            self.send_event(to, kind, event, now);
        }
    }

    /// An entity starts an orchestration; it has no parent. One of that id that lives stays (protocol/entities.md#batches).
    fn start_for_entity(&mut self, start: EntityStart, now: Timestamp) {
        let EntityStart { id, action } = start;
        let id = id.unwrap_or_else(|| self.ids.instance());
        if self.state.living(&id).is_some() {
            return;
        }
        let execution = self.ids.execution();
        let start_at = action.scheduled_time.as_ref().map(Timestamp::from_wire).filter(|at| *at > now);
        let started = wire::ExecutionStartedEvent {
            name: action.name,
            version: action.version,
            input: action.input,
            orchestration_instance: Some(event::instance_ref(&id, &execution)),
            scheduled_start_timestamp: action.scheduled_time,
            parent_trace_context: action.parent_trace_context,
            ..wire::ExecutionStartedEvent::default()
        };
        self.put(Record::Created { id, at: now, started: Box::new(started), start_at });
    }
}

/// A text as a GUID, in the two forms that every SDK reads: 32 digits, with hyphens or without.
fn guid(text: &str) -> Option<uuid::Uuid> {
    matches!(text.len(), 32 | 36).then(|| uuid::Uuid::try_parse(text).ok()).flatten()
}
