//! Brings entities and the rest of the hub together.

use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::deliver::lease::{Found, Held};
use crate::emulator::engine::deliver::worklist::{ClassId, Waiting, Work};
use crate::emulator::engine::entity::{Completion, Decision, LockRequest, Operation, Skipped, Start};
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::instance::Stage;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire;

impl Engine {
    /// `SignalEntity`: the entity need not exist, and nobody waits.
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
            // Whoever waits for an entity that cannot be would wait for ever.
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
        if self.entities.next_due().is_some_and(|due| due <= now) {
            self.entity_step(now, |entities, decision| entities.fire(now, decision));
        }
    }

    pub(crate) fn purge_entity(&mut self, id: &InstanceId, now: Timestamp) -> bool {
        let waited = self.entities.is_ready(id);
        let existed = self.entity_step(now, |entities, decision| entities.purge(id, now, decision));
        self.batch_left(id, waited);
        existed
    }

    /// A batch that waited to be handed out is not wanted any more: an entry for it is out of date.
    fn batch_left(&mut self, id: &InstanceId, waited: bool) {
        if waited {
            let class = self.batch_class(id);
            self.work.leave(class, Stage::Ready);
        }
    }

    /// Lets the entities take a step, keeps its records, and does what it asks for.
    fn entity_step<T>(
        &mut self,
        now: Timestamp,
        step: impl FnOnce(&mut crate::emulator::engine::Entities, &mut Decision) -> T,
    ) -> T {
        let mut decision = Decision::default();
        let result = step(&mut self.entities, &mut decision);
        self.absorb(decision, now);
        result
    }

    pub(crate) fn absorb(&mut self, decision: Decision, now: Timestamp) {
        // The entities have applied their changes already; here they are kept.
        self.records.extend(decision.changes.into_iter().map(Record::Entity));
        for (caller, event) in decision.answers {
            self.answer(&caller.instance, &caller.execution, &event, now);
        }
        for start in decision.starts {
            self.start_for_entity(start, now);
        }
        for id in decision.ready {
            self.ready_batch(&id);
        }
    }

    /// Gives an answer to the execution that waits for it; another one of the same instance does not want it.
    fn answer(
        &mut self,
        to: &InstanceId,
        execution: &crate::model::ExecutionId,
        event: &wire::HistoryEvent,
        now: Timestamp,
    ) {
        let Some(instance) = self.instances.get(to).filter(|i| i.goes_on_with(execution)) else { return };
        let Some(kind) = event.event_type.as_ref().map(Kind::of) else { return };
        if instance.keeps_late(kind) {
            self.put(Record::Late {
                id: to.clone(),
                kind,
                event: crate::emulator::engine::state::history::encode(event),
            });
        } else {
            self.deliver(to, kind, event, now);
        }
    }

    /// An entity starts an orchestration; it has no parent. One of that id that lives stays (protocol/entities.md#batches).
    fn start_for_entity(&mut self, start: Start, now: Timestamp) {
        let Start { id, action } = start;
        let id = id.unwrap_or_else(|| self.ids.instance());
        if self.instances.get(&id).is_some_and(|instance| !instance.has_ended()) {
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
        self.put(Record::Created { id: id.clone(), at: now, started: Box::new(started), start_at });
        self.ready_turn(&id, now);
    }

    pub(crate) fn batch_class(&mut self, id: &InstanceId) -> ClassId {
        let name = id.entity_name().unwrap_or_default().to_ascii_lowercase();
        self.work.class(WorkKind::Batch, &name, None)
    }

    pub(crate) fn ready_batch(&mut self, id: &InstanceId) {
        let class = self.batch_class(id);
        let waiting = Waiting { work: Work::Batch(id.clone()), class, avoid: None };
        if self.suspects.are_with(&waiting.work) {
            self.suspects.waiting.push_back(waiting);
        } else {
            self.work.push(waiting);
        }
    }

    /// Takes the answer to an entity's batch (protocol/entities.md#batches). Its token is the only thing that names it.
    pub(crate) fn complete_batch(
        &mut self,
        mut answer: wire::EntityBatchResult,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let token = std::mem::take(&mut answer.completion_token);
        let too_large = self.limit().on_batch(&mut answer);
        self.end_batch(token, too_large.map_or(Ok(answer), Err), now)
    }

    /// Ends a batch with its answer, or because of the size of what it says.
    pub(crate) fn end_batch(
        &mut self,
        token: String,
        answer: Result<wire::EntityBatchResult, wire::TaskFailureDetails>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let lease = match self.leases.find(&token) {
            Found::Live(lease) => lease,
            Found::JustConsumed => return Ok(Reply::Done),
            Found::Unknown => return Err(Refusal::NoSuchWorkItem { token }),
        };
        let Some(Held::Batch { id, number }) = self.leases.get_mut(lease).map(|lease| &lease.held) else {
            return Err(Refusal::NoSuchWorkItem { token });
        };
        let (id, number) = (id.clone(), *number);
        let mut decision = Decision::default();
        let ids = &mut self.ids;
        let mut mint = || ids.uuid().to_string();
        // The stream of a batch that waits again has ended: its answer comes late, and still counts.
        let waited = self.entities.is_ready(&id);
        let completion = match answer {
            Ok(answer) => self.entities.complete(&id, number, answer, now, &mut mint, &mut decision),
            Err(failed) => self.entities.too_large(&id, number, &failed, now, &mut decision),
        };
        self.note_answered(lease);
        let stream = self.consume(lease).flatten();
        match completion {
            Completion::Applied | Completion::Stale => self.batch_left(&id, waited),
            Completion::Retry(_) => {}
        }
        self.after_batch(id, completion, decision, stream, now);
        Ok(Reply::Done)
    }

    /// Does what follows from the end of a batch; `avoid` gets it again only where no other stream does.
    pub(crate) fn after_batch(
        &mut self,
        id: InstanceId,
        completion: Completion,
        mut decision: Decision,
        avoid: Option<StreamId>,
        now: Timestamp,
    ) {
        for Skipped(what) in std::mem::take(&mut decision.skipped) {
            self.warn(|| Warning::Skipped { id: id.clone(), what });
        }
        self.absorb(decision, now);
        match completion {
            Completion::Applied | Completion::Stale => drop(self.batches_given_back.remove(&id)),
            Completion::Retry(after) => {
                let class = self.batch_class(&id);
                let waiting = Waiting { work: Work::Batch(id), class, avoid };
                self.work.put_off(now.plus(after), waiting);
            }
        }
    }
}

/// A text as a GUID, in the two forms that every SDK reads: 32 digits, with hyphens or without.
fn guid(text: &str) -> Option<uuid::Uuid> {
    matches!(text.len(), 32 | 36).then(|| uuid::Uuid::try_parse(text).ok()).flatten()
}
