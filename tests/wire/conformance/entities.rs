//! Tells how entities are run, locked and kept (G27 to G32).

use super::builders::{
    OTHER_REQUEST, REQUEST, ask, complete, failure, later, lock, now, order, signal, unlock,
};
use super::fixture::{Hub, eventually};
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::operation_result::ResultType;
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "G27",
            "A signal to a new entity makes it once the worker sets its state",
            a_signal_to_a_new_entity_makes_it_once_the_worker_sets_its_state,
        ),
        case(
            "G27",
            "An entity whose state is deleted does not exist",
            an_entity_whose_state_is_deleted_does_not_exist,
        ),
        case("G27", "A scheduled signal waits for its time", a_scheduled_signal_waits_for_its_time),
        case(
            "G28",
            "A call says who called, and its request id comes back unchanged",
            a_call_says_who_called_and_its_request_id_comes_back_unchanged,
        ),
        case("G28", "A failed call comes back as a failure", a_failed_call_comes_back_as_a_failure),
        case(
            "G29",
            "Of two orchestrations that lock a and b, one holds both and the other waits at a",
            of_two_orchestrations_that_lock_a_and_b_one_holds_both_and_the_other_waits_at_a,
        ),
        case(
            "G29",
            "A lock on several entities is taken one after another",
            a_lock_on_several_entities_is_taken_one_after_another,
        ),
        case(
            "G30",
            "A lock is released by unlocking, completing, terminating and purging",
            a_lock_is_released_by_unlocking_completing_terminating_and_purging,
        ),
        case(
            "G31",
            "A batch that fails as a whole is delivered again and loses nothing",
            a_batch_that_fails_as_a_whole_is_delivered_again_and_loses_nothing,
        ),
        case(
            "G31",
            "Operations without a result are delivered again in order",
            operations_without_a_result_are_delivered_again_in_order,
        ),
        case(
            "G32",
            "An orchestration that an entity starts in the future is pending until then",
            an_orchestration_that_an_entity_starts_in_the_future_is_pending_until_then,
        ),
        case(
            "G30",
            "Only the holder's operations pass while an entity is locked",
            only_the_holders_operations_pass_while_an_entity_is_locked,
        ),
    ]
}

async fn a_signal_to_a_new_entity_makes_it_once_the_worker_sets_its_state(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    assert!(hub.entity_state(&entity).await.is_none());
    hub.signal(&entity, "add", "1").await;
    let batch = worker.batch().await;
    assert_eq!((batch.operations(), batch.request.entity_state.clone()), (vec!["add".to_owned()], None));
    assert!(hub.entity_state(&entity).await.is_none(), "an operation alone makes nothing");
    batch.finish(Some("1")).await;
    let state = hub.entity_state(&entity).await.expect("it exists now");
    assert_eq!(state.serialized_state, Some("1".into()));
    assert!(state.last_modified_time.is_some());
}

async fn an_entity_whose_state_is_deleted_does_not_exist(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    hub.signal(&entity, "add", "1").await;
    worker.batch().await.finish(Some("1")).await;
    hub.signal(&entity, "delete", "").await;
    let batch = worker.batch().await;
    assert_eq!(batch.request.entity_state, Some("1".into()));
    batch.finish(None).await;
    assert!(hub.entity_state(&entity).await.is_none());
}

async fn a_scheduled_signal_waits_for_its_time(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    let at = later(now(), 2_000);
    hub.signal_at(&entity, "late", "1", Some(at)).await;
    hub.signal(&entity, "early", "1").await;
    let early = worker.batch().await;
    assert_eq!(early.operations(), ["early"]);
    early.finish(Some("1")).await;
    assert!(worker.is_idle().await);
    let late = worker.batch().await;
    assert_eq!(late.operations(), ["late"]);
    assert!(order(&now()) >= order(&at), "it came before its time");
    late.finish(Some("2")).await;
}

async fn a_call_says_who_called_and_its_request_id_comes_back_unchanged(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, entity) = (hub.start("a", "Any").await, hub.entity("counter", "a"));
    let turn = worker.turn().await;
    turn.act([ask(1, &entity, "get", OTHER_REQUEST)]).await;
    let batch = worker.batch().await;
    let Some(EventType::EntityOperationCalled(call)) = &batch.request.operation_requests[0].event_type else {
        panic!("a call was made: {:?}", batch.request)
    };
    assert_eq!(call.request_id, OTHER_REQUEST);
    assert_eq!(call.parent_instance_id.as_deref(), Some(id.as_str()));
    assert_eq!(call.parent_execution_id, Some(turn.execution()));
    assert!(call.target_instance_id.is_none(), "the receiver is not named in what it receives");
    batch.finish(Some("41")).await;
    let told = worker.turn().await;
    let news = told.news();
    let EventType::EntityOperationCompleted(done) = &news[1] else { panic!("answered: {news:?}") };
    assert_eq!((done.request_id.as_str(), done.output.as_deref()), (OTHER_REQUEST, Some("41")));
    told.finish("done").await;
}

async fn a_failed_call_comes_back_as_a_failure(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let entity = hub.entity("counter", "a");
    worker.turn().await.act([ask(1, &entity, "get", REQUEST)]).await;
    let batch = worker.batch().await;
    let mut answer = batch.answer(None);
    answer.results[0].result_type = Some(ResultType::Failure(wire::OperationResultFailure {
        failure_details: Some(failure("broken")),
        ..Default::default()
    }));
    batch.send(answer).await.expect("the answer is taken");
    let told = worker.turn().await;
    let news = told.news();
    let EventType::EntityOperationFailed(failed) = &news[1] else { panic!("answered: {news:?}") };
    assert_eq!(failed.failure_details, Some(failure("broken")));
    assert_eq!(failed.request_id, REQUEST);
    told.finish("done").await;
}

async fn of_two_orchestrations_that_lock_a_and_b_one_holds_both_and_the_other_waits_at_a(hub: Hub) {
    let mut worker = hub.worker().await;
    let (a, b) = (hub.entity("lockable", "a"), hub.entity("lockable", "b"));
    let first = hub.start("first", "Any").await;
    worker.turn_of(&first).await.act([lock(1, "s1", &first, &[&a, &b])]).await;
    let granted = worker.turn_of(&first).await;
    assert!(
        matches!(&granted.news()[1], EventType::EntityLockGranted(lock) if lock.critical_section_id == "s1")
    );
    granted.act([]).await;
    let second = hub.start("second", "Any").await;
    worker.turn_of(&second).await.act([lock(1, "s2", &second, &[&a, &b])]).await;
    assert!(worker.is_idle().await, "the second is granted nothing, and locks are no worker's business");
    for entity in [&a, &b] {
        let held =
            hub.transient(entity).await.expect("a lock can be seen where transient entities are asked for");
        assert_eq!(held.locked_by.as_deref(), Some(first.as_str()));
        assert!(hub.entity_state(entity).await.is_none(), "without state it does not exist");
        let query = wire::EntityQuery { instance_id_starts_with: Some(entity.clone()), ..Default::default() };
        let request = wire::QueryEntitiesRequest { query: Some(query) };
        let page = hub.client().query_entities(request).await.expect("a page").into_inner();
        assert!(page.entities.is_empty(), "nor is it listed");
    }
    hub.raise(&first, "leave", "1").await;
    worker
        .turn_of(&first)
        .await
        .act([unlock(2, "s1", &first, &a), unlock(3, "s1", &first, &b), complete(4, "done")])
        .await;
    let granted = worker.turn_of(&second).await;
    assert!(granted.kinds().contains(&"EntityLockGranted"));
    granted.finish("done").await;
}

async fn a_lock_on_several_entities_is_taken_one_after_another(hub: Hub) {
    let mut worker = hub.worker().await;
    let (a, b) = (hub.entity("lockable", "a"), hub.entity("lockable", "b"));
    let holder = hub.start("holder", "Any").await;
    worker.turn_of(&holder).await.act([lock(1, "s1", &holder, &[&b])]).await;
    worker.turn_of(&holder).await.act([]).await;
    let second = hub.start("second", "Any").await;
    worker.turn_of(&second).await.act([lock(1, "s2", &second, &[&a, &b])]).await;
    let held = eventually("the first of the two is locked", || hub.transient(&a)).await;
    assert_eq!(held.locked_by, Some(second));
    let held = hub.transient(&b).await.expect("the other is locked too");
    assert_eq!(held.locked_by, Some(holder));
}

async fn a_lock_is_released_by_unlocking_completing_terminating_and_purging(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("lockable", "a");
    for way in ["unlock", "complete", "terminate", "restart", "purge"] {
        let id = hub.start(way, "Any").await;
        worker.turn_of(&id).await.act([lock(1, "s", &id, &[&entity])]).await;
        let granted = worker.turn_of(&id).await;
        let held = hub.transient(&entity).await.expect("it is locked");
        assert_eq!(held.locked_by.as_deref(), Some(id.as_str()));
        match way {
            "unlock" => granted.act([unlock(2, "s", &id, &entity)]).await,
            "complete" => granted.finish("done").await,
            "terminate" => {
                granted.act([]).await;
                hub.terminate(&id, "stopped").await;
                worker.turn_of(&id).await.act([]).await;
            }
            "purge" => {
                granted.act([]).await;
                // Only an entity can be purged while it is locked; an instance that runs cannot.
                hub.purge(&entity, false).await;
            }
            _ => {
                granted.act([]).await;
                let replaced =
                    super::clients::start_again(&hub, &id, Some(&[Is::Running, Is::Terminated])).await;
                replaced.expect("a running instance is replaced");
                worker.turn_of(&id).await.finish("done").await;
            }
        }
        let free = hub.transient(&entity).await.and_then(|entity| entity.locked_by);
        assert_eq!(free, None, "after {way}");
    }
    // Who was terminated and purged while it stood in line is passed over.
    let (holder, gone) = (hub.start("holder", "Any").await, hub.start("gone", "Any").await);
    worker.turn_of(&holder).await.act([lock(1, "s", &holder, &[&entity])]).await;
    let granted = worker.turn_of(&holder).await;
    worker.turn_of(&gone).await.act([lock(1, "s", &gone, &[&entity])]).await;
    hub.terminate(&gone, "stopped").await;
    worker.turn_of(&gone).await.act([]).await;
    hub.ended(&gone).await;
    assert_eq!(hub.purge(&gone, false).await, 1);
    granted.finish("done").await;
    let free = hub.transient(&entity).await.and_then(|entity| entity.locked_by);
    assert_eq!(free, None, "after a purge in line");
}

async fn a_batch_that_fails_as_a_whole_is_delivered_again_and_loses_nothing(hub: Hub) {
    let entity = hub.entity("counter", "a");
    for input in ["1", "2", "3"] {
        hub.signal(&entity, &format!("add{input}"), input).await;
    }
    let mut worker = hub.worker().await;
    let batch = worker.batch().await;
    assert_eq!(batch.operations(), ["add1", "add2", "add3"]);
    let whole = wire::EntityBatchResult {
        results: vec![],
        failure_details: Some(wire::TaskFailureDetails { error_type: "Host".into(), ..Default::default() }),
        ..batch.answer(Some("never"))
    };
    batch.send(whole).await.expect("the answer is taken");
    let again = worker.batch().await;
    assert_eq!(again.operations(), ["add1", "add2", "add3"]);
    assert_eq!(again.request.entity_state, None);
    again.finish(Some("6")).await;
    let state = hub.entity_state(&entity).await.expect("it exists");
    assert_eq!(state.serialized_state, Some("6".into()));
}

async fn operations_without_a_result_are_delivered_again_in_order(hub: Hub) {
    let entity = hub.entity("counter", "a");
    for input in ["1", "2", "3"] {
        hub.signal(&entity, &format!("add{input}"), input).await;
    }
    let mut worker = hub.worker().await;
    let batch = worker.batch().await;
    let mut part = batch.answer(Some("1"));
    part.results.truncate(1);
    batch.send(part).await.expect("the answer is taken");
    let rest = worker.batch().await;
    assert_eq!(rest.operations(), ["add2", "add3"]);
    assert_eq!(rest.request.entity_state, Some("1".into()));
    rest.finish(Some("6")).await;
    assert!(worker.is_idle().await);
}

async fn an_orchestration_that_an_entity_starts_in_the_future_is_pending_until_then(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, id, at) = (hub.entity("starter", "a"), hub.id("born"), later(now(), 2_000));
    hub.signal(&entity, "start", "1").await;
    let batch = worker.batch().await;
    let start = wire::StartNewOrchestrationAction {
        instance_id: id.clone(),
        name: "Born".into(),
        input: Some("5".into()),
        scheduled_time: Some(at),
        ..Default::default()
    };
    let actions = vec![wire::OperationAction {
        id: 0,
        operation_action_type: Some(wire::operation_action::OperationActionType::StartNewOrchestration(
            start,
        )),
    }];
    let answer = wire::EntityBatchResult { actions, ..batch.answer(Some("1")) };
    batch.send(answer).await.expect("the answer is taken");
    assert_eq!(hub.status(&id).await, Is::Pending);
    assert!(worker.is_idle().await, "it started ahead of its time");
    let turn = worker.turn_of(&id).await;
    assert!(order(&turn.time()) >= order(&at));
    let begins = turn.beginning();
    assert_eq!((begins.name.as_str(), begins.input.as_deref()), ("Born", Some("5")));
    assert!(begins.parent_instance.is_none(), "an entity is no parent");
    turn.finish("done").await;
}

async fn only_the_holders_operations_pass_while_an_entity_is_locked(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, entity) = (hub.start("a", "Any").await, hub.entity("lockable", "a"));
    worker.turn().await.act([lock(1, "s", &id, &[&entity])]).await;
    let granted = worker.turn().await;
    hub.signal(&entity, "foreign", "1").await;
    assert!(worker.is_idle().await, "a stranger's signal passed the lock");
    granted.act([ask(2, &entity, "mine", REQUEST), signal(3, &entity, "mine-too", "1")]).await;
    let batch = worker.batch().await;
    assert_eq!(batch.operations(), ["mine", "mine-too"]);
    batch.finish(Some("1")).await;
    worker.turn().await.act([unlock(4, "s", &id, &entity), complete(5, "done")]).await;
    assert_eq!(worker.batch().await.operations(), ["foreign"]);
}
