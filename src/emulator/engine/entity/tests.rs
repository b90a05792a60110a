//! Plays clients, orchestrations and a worker against the entities of a hub, without a hub.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects and fails on everything else"
)]

mod batches;
mod locks;
mod reading;

use super::*;
use crate::emulator::engine::command::Refusal;
use crate::wire::history_event::EventType;
use std::time::Duration;

/// Entities, a clock that is turned by hand, and everything they said.
struct Hub {
    entities: Entities,
    now: Timestamp,
    heard: Decision,
    minted: u32,
}

fn hub() -> Hub {
    Hub {
        entities: Entities::default(),
        now: Timestamp::from_micros(1_000),
        heard: Decision::default(),
        minted: 0,
    }
}

fn entity(key: &str) -> InstanceId {
    InstanceId::unchecked(format!("@counter@{key}"))
}

fn caller(name: &str) -> Caller {
    Caller { instance: InstanceId::unchecked(name), execution: ExecutionId::new(format!("{name}-1")) }
}

fn signal(operation: &str) -> wire::EntityOperationSignaledEvent {
    wire::EntityOperationSignaledEvent {
        request_id: format!("id-of-{operation}"),
        operation: operation.into(),
        target_instance_id: Some("@counter@a".into()),
        ..wire::EntityOperationSignaledEvent::default()
    }
}

fn call(operation: &str) -> wire::EntityOperationCalledEvent {
    wire::EntityOperationCalledEvent {
        request_id: format!("id-of-{operation}"),
        operation: operation.into(),
        target_instance_id: Some("@counter@a".into()),
        ..wire::EntityOperationCalledEvent::default()
    }
}

fn success(result: &str) -> wire::OperationResult {
    let success = wire::OperationResultSuccess { result: Some(result.into()), ..Default::default() };
    wire::OperationResult { result_type: Some(wire::operation_result::ResultType::Success(success)) }
}

fn failure(message: &str) -> wire::OperationResult {
    let failure_details = Some(crate::model::failure::details("Oops", message));
    let failure = wire::OperationResultFailure { failure_details, ..Default::default() };
    wire::OperationResult { result_type: Some(wire::operation_result::ResultType::Failure(failure)) }
}

fn answer(results: Vec<wire::OperationResult>, state: Option<&str>) -> wire::EntityBatchResult {
    wire::EntityBatchResult { results, entity_state: state.map(Into::into), ..Default::default() }
}

impl Hub {
    fn signal(&mut self, key: &str, operation: &str) {
        let operation = Operation::signal(self.now, signal(operation));
        self.entities.send(&entity(key), operation, self.now, &mut self.heard);
    }

    fn signal_at(&mut self, key: &str, operation: &str, due: Timestamp) {
        let signal =
            wire::EntityOperationSignaledEvent { scheduled_time: Some(due.to_wire()), ..signal(operation) };
        let operation = Operation::signal(self.now, signal);
        self.entities.send(&entity(key), operation, self.now, &mut self.heard);
    }

    fn signal_from(&mut self, sender: &str, key: &str, operation: &str) {
        let operation = Operation::signal_from(caller(sender), self.now, signal(operation));
        self.entities.send(&entity(key), operation, self.now, &mut self.heard);
    }

    fn call(&mut self, sender: &str, key: &str, operation: &str) {
        let operation = Operation::call(caller(sender), self.now, call(operation));
        self.entities.send(&entity(key), operation, self.now, &mut self.heard);
    }

    fn lock(&mut self, holder: &str, keys: &[&str]) {
        let wire = wire::EntityLockRequestedEvent {
            critical_section_id: format!("section-of-{holder}"),
            lock_set: keys.iter().map(|key| entity(key).to_string()).collect(),
            ..Default::default()
        };
        let request = LockRequest::parse(caller(holder), &wire).unwrap();
        self.entities.ask(request, self.now, &mut self.heard);
    }

    fn unlock(&mut self, holder: &str, key: &str) {
        let (id, section) = (entity(key), format!("section-of-{holder}"));
        self.entities.unlock(&id, &caller(holder).instance, &section, self.now, &mut self.heard);
    }

    fn release(&mut self, holder: &str) {
        self.entities.release(&caller(holder).instance, self.now, &mut self.heard);
    }

    fn turn_clock(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.entities.fire(self.now, &mut self.heard);
    }

    /// Hands out what is ready, and names the operations.
    fn hand_out(&mut self, key: &str) -> Option<(u64, Vec<String>)> {
        let batch = self.entities.hand_out(&entity(key), 100)?;
        let names =
            batch.request.operation_requests.iter().map(|event| match event.event_type.as_ref().unwrap() {
                EventType::EntityOperationSignaled(signal) => signal.operation.clone(),
                EventType::EntityOperationCalled(call) => call.operation.clone(),
                other => panic!("{other:?} is nothing for a worker"),
            });
        Some((batch.number, names.collect()))
    }

    fn complete(&mut self, key: &str, number: u64, answer: wire::EntityBatchResult) -> Completion {
        let minted = &mut self.minted;
        let mut mint = || {
            *minted += 1;
            format!("minted-{minted}")
        };
        self.entities.complete(&entity(key), number, answer, self.now, &mut mint, &mut self.heard)
    }

    /// Runs what is ready at an entity, leaving the state, and names what ran.
    fn run(&mut self, key: &str, state: Option<&str>) -> Vec<String> {
        let Some((number, names)) = self.hand_out(key) else { return Vec::new() };
        let results = names.iter().map(|name| success(name)).collect();
        assert_eq!(self.complete(key, number, answer(results, state)), Completion::Applied);
        names
    }

    fn locked_by(&self, key: &str) -> Option<String> {
        self.entities.find(&entity(key))?.locked_by().map(ToString::to_string)
    }

    /// What callers have heard since the last time, as `caller: what`.
    fn answers(&mut self) -> Vec<String> {
        let answers = std::mem::take(&mut self.heard.answers).into_iter();
        let told = answers.map(|(to, event)| match event.event_type.unwrap() {
            EventType::EntityOperationCompleted(done) => format!("{}: {} ok", to.instance, done.request_id),
            EventType::EntityOperationFailed(failed) => {
                format!(
                    "{}: {} {}",
                    to.instance,
                    failed.request_id,
                    failed.failure_details.unwrap().error_type
                )
            }
            EventType::EntityLockGranted(granted) => {
                format!("{}: {}", to.instance, granted.critical_section_id)
            }
            other => panic!("{other:?} is nothing to hear from an entity"),
        });
        told.collect()
    }

    /// Asserts that the recorded changes alone make the same entities again.
    fn assert_rebuilds(&self) {
        let mut again = Entities::default();
        for change in &self.heard.changes {
            again.apply(change);
        }
        assert!(again.is_same(&self.entities), "rebuilt: {again:#?}\nbefore: {:#?}", self.entities);
    }
}
