//! Tells what the official suites ask of entities (R50 to R59).

use super::builders::{REQUEST, ask, complete, failure, later, lock, now, order, unlock};
use super::clients;
use super::fixture::{Hub, code, refusal};
use super::worker::RawWorker;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::operation_action::OperationActionType;
use taskhub::wire::operation_result::ResultType;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R50",
            "An entity has one batch at a time, and its operations keep their order",
            an_entity_has_one_batch_at_a_time_and_its_operations_keep_their_order,
        ),
        case(
            "R50",
            "A failed operation does not stop the later ones",
            a_failed_operation_does_not_stop_the_later_ones,
        ),
        case(
            "R51",
            "Keys keep their case, and two types with one key are two entities",
            keys_keep_their_case_and_two_types_with_one_key_are_two_entities,
        ),
        case(
            "R51",
            "Entities are listed by prefix and time, in exact pages, with their state where it is wanted",
            entities_are_listed_by_prefix_and_time_in_exact_pages_with_their_state_where_it_is_wanted,
        ),
        case(
            "R52",
            "A deleted entity is not listed, and a later signal creates it again",
            a_deleted_entity_is_not_listed_and_a_later_signal_creates_it_again,
        ),
        case(
            "R52",
            "A falsy state is a state, and an entity can be purged",
            a_falsy_state_is_a_state_and_an_entity_can_be_purged,
        ),
        case(
            "R53",
            "A signal for later neither creates nor runs the entity before it is due",
            a_signal_for_later_neither_creates_nor_runs_the_entity_before_it_is_due,
        ),
        case(
            "R54",
            "The field lockedBy names the orchestration that holds the lock, and is absent afterwards",
            the_field_lockedby_names_the_orchestration_that_holds_the_lock_and_is_absent_afterwards,
        ),
        case(
            "R55",
            "An id that is too long is an invalid argument, and the message speaks of its length",
            an_id_that_is_too_long_is_an_invalid_argument_and_the_message_speaks_of_its_length,
        ),
        case(
            "R56",
            "Three orchestrations that read and write under a lock lose nothing",
            three_orchestrations_that_read_and_write_under_a_lock_lose_nothing,
        ),
        case(
            "R57",
            "An entity signals others and itself, and starts orchestrations",
            an_entity_signals_others_and_itself_and_starts_orchestrations,
        ),
        case(
            "R58",
            "A failed operation gives its caller the whole failure",
            a_failed_operation_gives_its_caller_the_whole_failure,
        ),
        case(
            "R59",
            "Declared capabilities change nothing, and payload tokens are opaque",
            declared_capabilities_change_nothing_and_payload_tokens_are_opaque,
        ),
        case(
            "R59",
            "An entity that starts a live instance again changes nothing",
            an_entity_that_starts_a_live_instance_again_changes_nothing,
        ),
    ]
}

async fn query(hub: &Hub, query: wire::EntityQuery) -> wire::QueryEntitiesResponse {
    let request = wire::QueryEntitiesRequest { query: Some(query) };
    hub.client().query_entities(request).await.expect("a page").into_inner()
}

/// Gives an entity a state.
async fn set(hub: &Hub, worker: &mut RawWorker, id: &str, state: &str) {
    hub.signal(id, "set", state).await;
    worker.batch_of(id).await.finish(Some(state)).await;
}

fn side_effect(action: OperationActionType) -> wire::OperationAction {
    wire::OperationAction { id: 0, operation_action_type: Some(action) }
}

async fn an_entity_has_one_batch_at_a_time_and_its_operations_keep_their_order(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("list", "a");
    hub.signal(&entity, "op0", "0").await;
    let first = worker.batch().await;
    for number in 1..=20 {
        hub.signal(&entity, &format!("op{number}"), "1").await;
    }
    assert!(worker.is_idle().await, "a second batch came while the first ran");
    first.finish(Some("0")).await;
    let mut operations = Vec::new();
    while operations.len() < 20 {
        let batch = worker.batch().await;
        operations.extend(batch.operations());
        batch.finish(Some("1")).await;
    }
    assert_eq!(operations, (1..=20).map(|number| format!("op{number}")).collect::<Vec<_>>());
}

async fn a_failed_operation_does_not_stop_the_later_ones(hub: Hub) {
    let entity = hub.entity("list", "a");
    hub.signal(&entity, "bad", "0").await;
    hub.signal(&entity, "good", "0").await;
    let mut worker = hub.worker().await;
    let batch = worker.batch().await;
    assert_eq!(batch.operations(), ["bad", "good"]);
    let mut answer = batch.answer(Some("good"));
    answer.results[0].result_type = Some(ResultType::Failure(wire::OperationResultFailure {
        failure_details: Some(failure("broken")),
        ..Default::default()
    }));
    batch.send(answer).await.expect("the answer is taken");
    assert_eq!(hub.entity_state(&entity).await.and_then(|it| it.serialized_state), Some("good".into()));
    assert!(worker.is_idle().await);
}

async fn keys_keep_their_case_and_two_types_with_one_key_are_two_entities(hub: Hub) {
    let mut worker = hub.worker().await;
    let ids = [hub.entity("one", "Key"), hub.entity("one", "key"), hub.entity("two", "Key")];
    for (number, id) in ids.iter().enumerate() {
        set(&hub, &mut worker, id, &number.to_string()).await;
    }
    for (number, id) in ids.iter().enumerate() {
        let entity = hub.entity_state(id).await.expect("it exists");
        assert_eq!((&entity.instance_id, entity.serialized_state), (id, Some(number.to_string())));
    }
}

async fn entities_are_listed_by_prefix_and_time_in_exact_pages_with_their_state_where_it_is_wanted(hub: Hub) {
    let mut worker = hub.worker().await;
    let ids: Vec<_> = (0..5).map(|number| hub.entity("listed", &format!("k{number}"))).collect();
    for id in &ids {
        set(&hub, &mut worker, id, "1").await;
    }
    set(&hub, &mut worker, &hub.entity("other", "k"), "1").await;
    let prefix = Some(hub.entity("listed", "k"));
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let page = query(
            &hub,
            wire::EntityQuery {
                instance_id_starts_with: prefix.clone(),
                page_size: Some(2),
                continuation_token: token,
                ..Default::default()
            },
        )
        .await;
        assert!(page.entities.len() <= 2);
        assert!(page.entities.iter().all(|entity| entity.serialized_state.is_none()), "no state is wanted");
        seen.extend(page.entities.into_iter().map(|entity| entity.instance_id));
        token = page.continuation_token.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let third = hub.entity_state(&ids[2]).await.and_then(|entity| entity.last_modified_time);
    let ranged = wire::EntityQuery {
        instance_id_starts_with: prefix,
        last_modified_from: third,
        include_state: true,
        ..Default::default()
    };
    let page = query(&hub, ranged).await;
    assert_eq!(page.entities.len(), 3);
    assert!(page.entities.iter().all(|entity| entity.serialized_state.as_deref() == Some("1")));
}

async fn a_deleted_entity_is_not_listed_and_a_later_signal_creates_it_again(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    set(&hub, &mut worker, &entity, "1").await;
    hub.signal(&entity, "delete", "").await;
    worker.batch().await.finish(None).await;
    assert!(hub.entity_state(&entity).await.is_none());
    let named = wire::EntityQuery { instance_id_starts_with: Some(entity.clone()), ..Default::default() };
    assert!(query(&hub, named).await.entities.is_empty());
    hub.signal(&entity, "add", "2").await;
    let batch = worker.batch().await;
    assert_eq!(batch.request.entity_state, None);
    batch.finish(Some("2")).await;
    assert_eq!(hub.entity_state(&entity).await.and_then(|it| it.serialized_state), Some("2".into()));
}

async fn a_falsy_state_is_a_state_and_an_entity_can_be_purged(hub: Hub) {
    let mut worker = hub.worker().await;
    for (number, state) in ["0", "false", "\"\"", "null"].into_iter().enumerate() {
        let entity = hub.entity("falsy", &number.to_string());
        set(&hub, &mut worker, &entity, state).await;
        assert_eq!(
            hub.entity_state(&entity).await.and_then(|it| it.serialized_state).as_deref(),
            Some(state)
        );
        assert_eq!(hub.purge(&entity, false).await, 1);
        assert!(hub.entity_state(&entity).await.is_none());
        assert_eq!(hub.purge(&entity, false).await, 0);
    }
}

async fn a_signal_for_later_neither_creates_nor_runs_the_entity_before_it_is_due(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, at) = (hub.entity("counter", "a"), later(now(), 2_000));
    hub.signal_at(&entity, "late", "1", Some(at)).await;
    assert!(hub.entity_state(&entity).await.is_none());
    assert!(worker.is_idle().await);
    let batch = worker.batch().await;
    assert_eq!(batch.operations(), ["late"]);
    assert!(order(&now()) >= order(&at));
    batch.finish(Some("1")).await;
}

async fn the_field_lockedby_names_the_orchestration_that_holds_the_lock_and_is_absent_afterwards(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("lockable", "a");
    set(&hub, &mut worker, &entity, "1").await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([lock(1, "s", &id, &[&entity])]).await;
    let granted = worker.turn().await;
    let held = hub.entity_state(&entity).await.expect("it exists");
    assert_eq!(held.locked_by, Some(id.clone()));
    assert!(order(&held.last_modified_time.expect("always set")) <= order(&now()));
    granted.act([unlock(2, "s", &id, &entity), complete(3, "done")]).await;
    assert_eq!(hub.entity_state(&entity).await.and_then(|entity| entity.locked_by), None);
}

async fn an_id_that_is_too_long_is_an_invalid_argument_and_the_message_speaks_of_its_length(hub: Hub) {
    let start = wire::CreateInstanceRequest {
        instance_id: "i".repeat(101),
        name: "Any".into(),
        ..Default::default()
    };
    let signal = wire::SignalEntityRequest {
        instance_id: format!("@counter@{}", "k".repeat(100)),
        name: "add".into(),
        ..Default::default()
    };
    for refused in
        [refusal(hub.start_with(start).await), refusal(hub.client().signal_entity(signal).await.map(|_| ()))]
    {
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("length"), "{}", refused.message());
    }
    for id in ["counter", "@counter", "@@key", ""] {
        let signal =
            wire::SignalEntityRequest { instance_id: id.into(), name: "add".into(), ..Default::default() };
        assert_eq!(code(hub.client().signal_entity(signal).await), Code::InvalidArgument, "{id:?}");
    }
}

async fn three_orchestrations_that_read_and_write_under_a_lock_lose_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("account", "a");
    set(&hub, &mut worker, &entity, "0").await;
    let ids = [hub.start("a", "Any").await, hub.start("b", "Any").await, hub.start("c", "Any").await];
    for id in &ids {
        worker.turn_of(id).await.act([lock(1, "s", id, &[&entity])]).await;
    }
    for _ in &ids {
        let granted = worker.turn().await;
        assert!(granted.kinds().contains(&"EntityLockGranted"));
        let id = granted.id().to_owned();
        granted.act([ask(2, &entity, "get", REQUEST)]).await;
        let read = worker.batch().await;
        let balance: i32 = read.request.entity_state.as_ref().expect("a state").parse().expect("a number");
        read.finish(read.request.entity_state.as_deref()).await;
        worker.turn_of(&id).await.act([ask(3, &entity, "set", REQUEST)]).await;
        worker.batch().await.finish(Some(&(balance + 20).to_string())).await;
        worker.turn_of(&id).await.act([unlock(4, "s", &id, &entity), complete(5, "done")]).await;
        assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Completed);
    }
    assert_eq!(hub.entity_state(&entity).await.and_then(|it| it.serialized_state), Some("60".into()));
}

async fn an_entity_signals_others_and_itself_and_starts_orchestrations(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, other, id) = (hub.entity("starter", "a"), hub.entity("other", "b"), hub.id("born"));
    hub.signal(&entity, "go", "1").await;
    let batch = worker.batch().await;
    let signal = |target: &str, name: &str, scheduled_time| {
        side_effect(OperationActionType::SendSignal(wire::SendSignalAction {
            instance_id: target.into(),
            name: name.into(),
            scheduled_time,
            ..Default::default()
        }))
    };
    let start = wire::StartNewOrchestrationAction {
        instance_id: id.clone(),
        name: "Born".into(),
        ..Default::default()
    };
    let actions = vec![
        signal(&other, "hello", None),
        signal(&entity, "myself", None),
        signal(&entity, "later", Some(later(now(), 300))),
        side_effect(OperationActionType::StartNewOrchestration(start)),
    ];
    let answer = wire::EntityBatchResult { actions, ..batch.answer(Some("1")) };
    batch.send(answer).await.expect("the answer is taken");
    assert_eq!(worker.turn().await.id(), id);
    let told = worker.batch_of(&other).await;
    assert_eq!(told.operations(), ["hello"]);
    let Some(EventType::EntityOperationSignaled(event)) = &told.request.operation_requests[0].event_type
    else {
        panic!("a signal: {:?}", told.request)
    };
    assert!(uuid::Uuid::parse_str(&event.request_id).is_ok(), "{}", event.request_id);
    let own = worker.batch_of(&entity).await;
    assert_eq!(own.operations(), ["myself"]);
    own.finish(Some("2")).await;
    let delayed = worker.batch_of(&entity).await;
    assert_eq!(delayed.operations(), ["later"]);
    delayed.finish(Some("3")).await;
}

async fn a_failed_operation_gives_its_caller_the_whole_failure(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("failing", "a");
    hub.start("a", "Any").await;
    worker.turn().await.act([ask(1, &entity, "fail", REQUEST)]).await;
    let batch = worker.batch().await;
    let mut answer = batch.answer(None);
    answer.results[0].result_type = Some(ResultType::Failure(wire::OperationResultFailure {
        failure_details: Some(failure("Something went wrong!")),
        ..Default::default()
    }));
    answer.operation_infos =
        vec![wire::OperationInfo { request_id: REQUEST.into(), response_destination: None }];
    batch.send(answer).await.expect("the answer is taken");
    let news = worker.turn().await.news();
    let EventType::EntityOperationFailed(failed) = &news[1] else { panic!("failed: {news:?}") };
    assert_eq!(failed.request_id, REQUEST);
    assert_eq!(failed.failure_details, Some(failure("Something went wrong!")));
    assert!(hub.entity_state(&entity).await.is_none());
}

async fn declared_capabilities_change_nothing_and_payload_tokens_are_opaque(hub: Hub) {
    let capabilities = vec![
        wire::WorkerCapability::ScheduledTasks.into(),
        wire::WorkerCapability::LargePayloads.into(),
        4_711,
    ];
    let request = wire::GetWorkItemsRequest { capabilities, ..Default::default() };
    let mut worker = hub.worker_with(request).await;
    let (id, token) = (hub.id("a"), "blob:v1:durabletask-payloads:0123");
    hub.start_with(wire::CreateInstanceRequest {
        instance_id: id.clone(),
        name: "Any".into(),
        input: Some(token.into()),
        ..Default::default()
    })
    .await
    .expect("started");
    let turn = worker.turn().await;
    assert_eq!(turn.beginning().input.as_deref(), Some(token));
    turn.finish(token).await;
    assert_eq!(hub.ended(&id).await.output.as_deref(), Some(token));
}

async fn an_entity_that_starts_a_live_instance_again_changes_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    turn.act([]).await;
    let entity = hub.entity("starter", "a");
    hub.signal(&entity, "go", "1").await;
    let batch = worker.batch().await;
    let start = wire::StartNewOrchestrationAction {
        instance_id: id.clone(),
        name: "Other".into(),
        ..Default::default()
    };
    let actions = vec![side_effect(OperationActionType::StartNewOrchestration(start))];
    let answer = wire::EntityBatchResult { actions, ..batch.answer(Some("1")) };
    batch.send(answer).await.expect("the answer is taken");
    let state = hub.state(&id).await.expect("the instance is there");
    assert_eq!((state.name.as_str(), state.execution_id), ("Any", Some(turn.execution())));
    assert_eq!(code(clients::start_again(&hub, &id, None).await), Code::AlreadyExists);
}
