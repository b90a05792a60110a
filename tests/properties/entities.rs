//! Plays clients of entities and the worker that runs their operations.

use super::step::Batch;
use super::worker::guid;
use super::world::{Held, World};
use std::time::Duration;
use taskhub::emulator::engine::command::{Command, EntityQuery, PurgeTarget, Refusal, Reply};
use taskhub::model::{InstanceId, Timestamp};
use taskhub::wire::{
    self, HistoryEvent, history_event::EventType, operation_action::OperationActionType,
    operation_result::ResultType,
};

pub(crate) fn entity(which: u8) -> InstanceId {
    InstanceId::unchecked(format!("@e@{}", which % 3))
}

impl World {
    /// Every entity there is anything of, with its state.
    pub(crate) fn entities(&mut self) -> Vec<wire::EntityMetadata> {
        let query = EntityQuery { transient: true, state: true, page_size: 1_000, ..Default::default() };
        match self.engine.handle(Command::QueryEntities(query), self.now) {
            Ok(Reply::Entities { entities, next: None }) => entities,
            told => panic!("{told:?}"),
        }
    }

    fn look(&mut self, id: &InstanceId) -> Option<wire::EntityMetadata> {
        self.entities().into_iter().find(|entity| entity.instance_id == id.as_str())
    }

    pub(crate) fn signal(&mut self, which: u8, later: Option<u16>) {
        let (id, text) = (entity(which), self.mail.write("client"));
        let later = later.map(|millis| self.now.plus(Duration::from_millis(millis.into())));
        let command = Command::SignalEntity {
            id: id.clone(),
            operation: "op".into(),
            input: Some(text.clone()),
            request_id: if which.is_multiple_of(2) { String::new() } else { guid(self.mail.number()) },
            at: later.map(Timestamp::to_wire),
        };
        assert_eq!(self.ask(command), Ok(Reply::Done));
        self.mail.ordered(&text, &id, later.filter(|later| *later > self.now));
    }

    pub(crate) fn purge_entity(&mut self, which: u8) {
        let id = entity(which);
        let there = self.look(&id).is_some();
        let told = self.ask(Command::Purge { target: PurgeTarget::One(id.clone()), recursive: false });
        assert_eq!(told, Ok(Reply::Purged { deleted: usize::from(there), more: false }));
        self.mail.purged(&id);
        self.book.purged(&id);
    }

    /// Looks at a batch that is handed out.
    pub(crate) fn check_batch(&mut self, batch: &wire::EntityRequest) {
        let id = InstanceId::unchecked(batch.instance_id.as_str());
        let entity = self.look(&id).expect("it exists");
        assert_eq!(batch.entity_state, entity.serialized_state);
        assert_eq!(batch.execution_id.len(), 32);
        assert!(!batch.operation_requests.is_empty());
        let others = self.batches.extract_if(.., |held| held.work.instance_id == batch.instance_id);
        for other in others.collect::<Vec<_>>() {
            let purged = self.book.purged_since.contains(&other.token);
            assert!(other.lost || purged, "two batches at a time: {other:?}");
            let late = wire::EntityBatchResult { completion_token: other.token, ..Default::default() };
            if other.lost {
                self.spend(Command::CompleteBatch(Box::new(late)));
            }
        }
        for event in &batch.operation_requests {
            assert_eq!(event.event_id, -1);
            let (text, sender) = operation(event);
            self.mail.offered(text, &id, self.now);
            if let Some(holder) = &entity.locked_by {
                let sender = sender.or_else(|| text.split_once('#').map(|(sender, _)| sender));
                assert_eq!(sender, Some(holder.as_str()), "only the holder is served");
            }
        }
    }

    /// Answers a batch that is in a worker's hands.
    pub(crate) fn answer_batch(&mut self, at: usize, how: Batch) {
        let held = self.batches.remove(at);
        let id = InstanceId::unchecked(held.work.instance_id.as_str());
        let texts: Vec<String> =
            held.work.operation_requests.iter().map(|event| operation(event).0.to_owned()).collect();
        let mut answer =
            wire::EntityBatchResult { completion_token: held.token.clone(), ..Default::default() };
        let mut spread_to = None;
        match how {
            Batch::Run { at_most, keep, spread } => {
                let count = texts.len().min(at_most.into());
                answer.results = texts.iter().take(count).map(|text| result(text)).collect();
                answer.entity_state = keep.then(|| self.mail.number().to_string());
                if let Some(which) = spread {
                    let (to, text) = (entity(which), self.mail.write(id.as_str()));
                    answer.actions = effects(which, &to, &text);
                    spread_to = Some((to, text));
                }
            }
            Batch::Nothing => {}
            Batch::Crash { for_good } => {
                let failed = taskhub::model::failure::details("Crash", "by lot");
                answer.failure_details =
                    Some(wire::TaskFailureDetails { is_non_retriable: for_good, ..failed });
            }
            Batch::Malformed => answer.results = vec![wire::OperationResult::default()],
        }
        let backlog = self.look(&id).map_or(0, |entity| entity.backlog_queue_size);
        let stale = self.book.purged_since.remove(&held.token);
        let records = self.log.len();
        let command = Command::CompleteBatch(Box::new(answer.clone()));
        let told = self.ask(command.clone());
        self.spend(command);
        match told {
            Ok(Reply::Done) => {}
            Err(Refusal::NoSuchWorkItem { .. }) if held.lost => return,
            told => panic!("{told:?}"),
        }
        if stale {
            assert_eq!(self.log.len(), records, "an answer to what was purged changes nothing");
            return;
        }
        match how {
            Batch::Run { .. } => {
                for text in texts.iter().take(answer.results.len()) {
                    self.mail.done(text);
                }
                if let Some((to, text)) = spread_to {
                    self.mail.ordered(&text, &to, None);
                }
            }
            Batch::Nothing => {
                assert_eq!(self.log.len(), records, "an answer that says nothing changes nothing");
                self.resting = true;
            }
            Batch::Crash { for_good } => {
                let left = self.look(&id).map_or(0, |entity| entity.backlog_queue_size);
                // Calls are given up, at once or after two minutes of failures; signals never are.
                let old = self.now.as_micros() - 120_000_000;
                let given_up: Vec<String> = held
                    .work
                    .operation_requests
                    .iter()
                    .filter(|event| operation(event).1.is_some())
                    .filter(|event| {
                        for_good
                            || event.timestamp.is_some_and(|at| Timestamp::from_wire(&at).as_micros() <= old)
                    })
                    .map(|event| operation(event).0.to_owned())
                    .collect();
                if left < backlog {
                    assert_eq!(
                        usize::try_from(backlog - left),
                        Ok(given_up.len()),
                        "calls alone are given up"
                    );
                    self.mail.given_up(&given_up);
                } else {
                    assert!(!for_good || given_up.is_empty(), "it said that it never will");
                }
                self.resting = true;
            }
            // What makes no sense counts as the failure of its operation.
            Batch::Malformed => self.mail.done(&texts[0]),
        }
    }
}

/// The input of an operation, and who called it.
fn operation(event: &HistoryEvent) -> (&str, Option<&str>) {
    match event.event_type.as_ref().expect("a body") {
        EventType::EntityOperationSignaled(signal) => {
            assert_eq!(signal.target_instance_id, None);
            assert_eq!(signal.request_id.len(), 36, "a GUID: {signal:?}");
            (signal.input.as_deref().expect("set"), None)
        }
        EventType::EntityOperationCalled(call) => {
            assert!(call.target_instance_id.is_none() && call.parent_execution_id.is_some());
            (call.input.as_deref().expect("set"), call.parent_instance_id.as_deref())
        }
        other => panic!("{other:?} is nothing for an entity"),
    }
}

fn result(text: &str) -> wire::OperationResult {
    let result_type = if text.len().is_multiple_of(5) {
        let failure_details = Some(taskhub::model::failure::details("Failed", text));
        ResultType::Failure(wire::OperationResultFailure { failure_details, ..Default::default() })
    } else {
        ResultType::Success(wire::OperationResultSuccess {
            result: Some(text.to_owned()),
            ..Default::default()
        })
    };
    wire::OperationResult { result_type: Some(result_type) }
}

fn effects(which: u8, to: &InstanceId, text: &str) -> Vec<wire::OperationAction> {
    let signal = wire::SendSignalAction {
        instance_id: to.to_string(),
        name: "op".into(),
        input: Some(text.to_owned()),
        ..Default::default()
    };
    let start = wire::StartNewOrchestrationAction {
        instance_id: super::world::instance(which).to_string(),
        name: "A".into(),
        ..Default::default()
    };
    [OperationActionType::SendSignal(signal), OperationActionType::StartNewOrchestration(start)]
        .map(|body| wire::OperationAction { id: 0, operation_action_type: Some(body) })
        .to_vec()
}

pub(crate) fn activity_answer(held: &Held<wire::ActivityRequest>, ok: bool) -> wire::ActivityResponse {
    let instance = held.work.orchestration_instance.as_ref().expect("set");
    wire::ActivityResponse {
        instance_id: instance.instance_id.clone(),
        task_id: held.work.task_id,
        result: ok.then(|| "\"done\"".to_owned()),
        failure_details: (!ok).then(|| taskhub::model::failure::details("Broken", "by lot")),
        completion_token: held.token.clone(),
    }
}
