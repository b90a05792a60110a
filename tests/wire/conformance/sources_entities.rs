//! Tells what the sources of the five SDKs ask of entities where none of their suites does (R61 to R63).

use super::builders::{REQUEST, ask};
use super::fixture::Hub;
use super::worker::Batch;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::operation_action::OperationActionType;
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R61", "A side effect that cannot be done is skipped, and the rest of the batch is kept", a_side_effect_that_cannot_be_done_is_skipped_and_the_rest_of_the_batch_is_kept),
        case("R61", "An answer to a batch that makes no sense is accepted for the part that makes sense", an_answer_to_a_batch_that_makes_no_sense_is_accepted_for_the_part_that_makes_sense),
        case("R62", "Signals of a batch that fails for good wait and are never dropped", signals_of_a_batch_that_fails_for_good_wait_and_are_never_dropped).differs("other backends give up a batch after some tries; how long calls wait (two minutes of failures) is ours"),
        case("R62", "A batch that fails for good fails its calls and keeps its signals in order", a_batch_that_fails_for_good_fails_its_calls_and_keeps_its_signals_in_order),
        case("R63", "A signal whose request id is not a GUID is given one", a_signal_whose_request_id_is_not_a_guid_is_given_one),
    ]
}

fn start(instance_id: &str, name: &str) -> OperationActionType {
    OperationActionType::StartNewOrchestration(wire::StartNewOrchestrationAction {
        instance_id: instance_id.into(),
        name: name.into(),
        ..Default::default()
    })
}

fn signal(instance_id: &str, name: &str) -> OperationActionType {
    OperationActionType::SendSignal(wire::SendSignalAction {
        instance_id: instance_id.into(),
        name: name.into(),
        ..Default::default()
    })
}

fn acting(batch: &Batch, state: &str, actions: Vec<OperationActionType>) -> wire::EntityBatchResult {
    let actions = actions
        .into_iter()
        .map(|action| wire::OperationAction { id: 0, operation_action_type: Some(action) });
    wire::EntityBatchResult { actions: actions.collect(), ..batch.answer(Some(state)) }
}

/// The answer that the batch as a whole did not run.
fn broken(batch: &Batch, is_non_retriable: bool) -> wire::EntityBatchResult {
    let failure = wire::TaskFailureDetails {
        error_type: "Broken".into(),
        error_message: "the constructor throws".into(),
        is_non_retriable,
        ..Default::default()
    };
    wire::EntityBatchResult {
        failure_details: Some(failure),
        completion_token: batch.token.clone(),
        ..Default::default()
    }
}

async fn a_side_effect_that_cannot_be_done_is_skipped_and_the_rest_of_the_batch_is_kept(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, other) = (hub.entity("counter", "a"), hub.entity("counter", "b"));
    hub.signal(&entity, "add", "1").await;
    let batch = worker.batch().await;
    let long = hub.id(&"x".repeat(150));
    let mut answer = acting(
        &batch,
        "7",
        vec![
            start(&hub.id("unnamed"), ""),
            start("caf\u{e9}", "Any"),
            start("@counter@c", "Any"),
            signal("counter", "ping"),
            start(&long, "Any"),
            signal(&other, "ping"),
        ],
    );
    answer.actions.push(wire::OperationAction { id: 1, operation_action_type: None });
    batch.send(answer).await.expect("the answer is taken");
    assert_eq!(worker.batch_of(&other).await.operations(), ["ping"], "what can be done is done");
    let turn = worker.turn_of(&long).await;
    turn.finish("done").await;
    let state = hub.entity_state(&entity).await.expect("its state is kept");
    assert_eq!(state.serialized_state, Some("7".into()));
    assert!(worker.is_idle().await, "the batch does not come again");
    assert!(hub.state(&hub.id("unnamed")).await.is_none());
}

async fn an_answer_to_a_batch_that_makes_no_sense_is_accepted_for_the_part_that_makes_sense(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([ask(1, &entity, "add", REQUEST)]).await;
    let batch = worker.batch().await;
    let mut answer = batch.answer(Some("1"));
    answer.results[0] = wire::OperationResult { result_type: None };
    let surplus = batch.answer(Some("1")).results;
    answer.results.extend(surplus);
    batch.send(answer).await.expect("the answer is taken");
    let told = worker.turn_of(&id).await;
    let failed = told.news().into_iter().find_map(|event| match event {
        EventType::EntityOperationFailed(failed) => failed.failure_details,
        _ => None,
    });
    assert_eq!(failed.expect("the caller is told").error_type, "InvalidWorkerResponse");
    told.finish("done").await;
    assert!(worker.is_idle().await, "the batch does not come again");
}

async fn signals_of_a_batch_that_fails_for_good_wait_and_are_never_dropped(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    for input in ["1", "2", "3"] {
        hub.signal(&entity, "add", input).await;
    }
    let mut batch = worker.batch().await;
    for _ in 0..3 {
        batch.send(broken(&batch, true)).await.expect("the failure is taken");
        batch = worker.batch().await;
    }
    let left = hub.entity_state(&entity).await;
    assert!(left.is_none(), "no state yet");
    let mut ran = batch.operations().len();
    batch.finish(Some("1")).await;
    while ran < 3 {
        let batch = worker.batch().await;
        ran += batch.operations().len();
        batch.finish(Some("1")).await;
    }
    assert_eq!(ran, 3, "each signal runs once");
}

async fn a_batch_that_fails_for_good_fails_its_calls_and_keeps_its_signals_in_order(hub: Hub) {
    let entity = hub.entity("counter", "a");
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    hub.signal(&entity, "first", "1").await;
    turn.act([ask(1, &entity, "second", REQUEST)]).await;
    hub.signal(&entity, "third", "3").await;
    let mut told = None;
    let mut ran = Vec::new();
    let mut batch = worker.batch().await;
    // How many operations are gathered into the first batch is the hub's affair: fail batches until the call is answered.
    while told.is_none() {
        batch.send(broken(&batch, batch.operations().contains(&"second".to_owned()))).await.expect("taken");
        if batch.operations().contains(&"second".to_owned()) {
            told = Some(worker.turn_of(&id).await);
        }
        batch = worker.batch().await;
    }
    let told = told.expect("the caller is told");
    let failed = told.news().into_iter().find_map(|event| match event {
        EventType::EntityOperationFailed(failed) => failed.failure_details,
        _ => None,
    });
    assert_eq!(failed.expect("the call has failed").error_type, "Broken");
    told.finish("done").await;
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Completed);
    loop {
        ran.extend(batch.operations());
        batch.finish(Some("1")).await;
        if ran.len() >= 2 {
            break;
        }
        batch = worker.batch().await;
    }
    assert_eq!(ran, ["first", "third"]);
}

async fn a_signal_whose_request_id_is_not_a_guid_is_given_one(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    for request_id in ["not-a-guid", "", REQUEST] {
        let request = wire::SignalEntityRequest {
            instance_id: entity.clone(),
            name: "add".into(),
            request_id: request_id.into(),
            ..Default::default()
        };
        hub.client().signal_entity(request).await.expect("the signal is taken");
        let batch = worker.batch().await;
        let Some(EventType::EntityOperationSignaled(told)) = &batch.request.operation_requests[0].event_type
        else {
            panic!("a signal: {batch:?}")
        };
        let id = told.request_id.clone();
        let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
        assert!(id.len() == 36 && digits == 32, "{request_id:?} became {id:?}");
        assert!(request_id != REQUEST || id == REQUEST, "a GUID stays as it is: {id}");
        batch.finish(Some("1")).await;
    }
}
