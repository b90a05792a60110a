//! Tells what the official suites ask of the transport (R1 to R8), and what keeps every SDK safe (G33, G34).

use super::builders::{REQUEST, again, ask, call, child, complete, fail, failure, later, lock, now, timer};
use super::fixture::{Hub, PATIENCE, QUIET, code};
use super::worker::{Turn, kinds};
use super::{Case, case};
use prost::Message as _;
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::{Code, Request};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("G33", "A worker is told no event that the Java SDK does not know", a_worker_is_told_no_event_that_the_java_sdk_does_not_know),
        case("G33", "Every event has a timestamp and every turn a reorder window of zero", every_event_has_a_timestamp_and_every_turn_a_reorder_window_of_zero),
        case("G33", "Request ids that the hub makes are GUIDs", request_ids_that_the_hub_makes_are_guids),
        case("G34", "Hello, fan-out, timer, event, child and entity run in one hub", hello_fan_out_timer_event_child_and_entity_run_in_one_hub).partly("raw client only; `tests/interop` and `tests/interop/upstream.sh` run the Python, JavaScript, Java and Go SDKs; \
     .NET is no part of this repository's runs"),
        case("R01", "A worker says hello and then gets work over plain HTTP/2", a_worker_says_hello_and_then_gets_work_over_plain_http_2),
        case("R02", "A call that names no hub is for the default hub", a_call_that_names_no_hub_is_for_the_default_hub).differs("the service wants a name; the plain SDKs send none, so ours has a default and a switch to refuse"),
        case("R02", "Any token, user agent and worker id are accepted", any_token_user_agent_and_worker_id_are_accepted),
        case("R03", "A worker that gives an entity limit alone gets everything", a_worker_that_gives_an_entity_limit_alone_gets_everything),
        case("R03", "A worker that gives no entity limit gets entities", a_worker_that_gives_no_entity_limit_gets_entities),
        case("R04", "A wait without a deadline waits, and an abandoned wait costs nothing", a_wait_without_a_deadline_waits_and_an_abandoned_wait_costs_nothing),
        case("R04", "A wait with a deadline ends at the deadline", a_wait_with_a_deadline_ends_at_the_deadline),
        case("R05", "Workers that come and go leave nothing behind", workers_that_come_and_go_leave_nothing_behind),
        case("R06", "A late answer of an activity is accepted and dropped", a_late_answer_of_an_activity_is_accepted_and_dropped),
        case("R07", "A ping carries no token and comes well within two minutes", a_ping_carries_no_token_and_comes_well_within_two_minutes),
        case("R08", "Turns stay below four mebibytes for a worker that fetches histories", turns_stay_below_four_mebibytes_for_a_worker_that_fetches_histories),
        case("R08", "Chunks lost with their stream leave nothing behind", chunks_lost_with_their_stream_leave_nothing_behind),
    ]
}

async fn a_worker_is_told_no_event_that_the_java_sdk_does_not_know(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    hub.raise(&id, "e", "1").await;
    worker
        .turn_of(&id)
        .await
        .act([call(1, "Work", "1"), timer(2, later(now(), 10)), child(3, &born, "Child")])
        .await;
    worker.activity().await.fail(failure("broken")).await;
    worker.turn_of(&born).await.act([fail(1, failure("broken"))]).await;
    hub.suspend(&id).await;
    hub.resume(&id).await;
    let unknown = ["ExecutionCompleted", "ExecutionRewound", "GenericEvent", "HistoryState", "ContinueAsNew"];
    let mut seen = 0;
    while seen < 10 {
        let turn = worker.turn_of(&id).await;
        let events: Vec<_> =
            turn.request.past_events.iter().chain(&turn.request.new_events).cloned().collect();
        let kinds = kinds(&events);
        assert!(kinds.iter().all(|kind| !unknown.contains(kind)), "{kinds:?}");
        assert!(!kinds.contains(&"OrchestratorCompleted"), "{kinds:?}");
        seen = kinds.iter().filter(|kind| **kind != "OrchestratorStarted").count();
        turn.act([]).await;
    }
    hub.terminate(&id, "end").await;
}

async fn every_event_has_a_timestamp_and_every_turn_a_reorder_window_of_zero(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1"), timer(2, later(now(), 10))]).await;
    worker.activity().await.finish("1").await;
    let mut told = 0;
    while told < 2 {
        let turn = worker.turn().await;
        told += turn.kinds().len() - 1;
        let mut events = turn.request.past_events.iter().chain(&turn.request.new_events);
        assert!(events.all(|event| event.timestamp.is_some_and(|time| time.seconds > 0)));
        let window = turn.request.entity_parameters.and_then(|it| it.entity_message_reorder_window);
        assert_eq!(window, Some(prost_types::Duration { seconds: 0, nanos: 0 }));
        assert!(turn.request.properties.is_empty());
        turn.act([]).await;
    }
}

async fn request_ids_that_the_hub_makes_are_guids(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    hub.signal(&entity, "add", "1").await;
    let batch = worker.batch().await;
    let Some(EventType::EntityOperationSignaled(signal)) = &batch.request.operation_requests[0].event_type
    else {
        panic!("a signal was sent: {:?}", batch.request)
    };
    assert!(uuid::Uuid::parse_str(&signal.request_id).is_ok(), "{}", signal.request_id);
    assert!(batch.request.operation_requests[0].timestamp.is_some());
}

async fn hello_fan_out_timer_event_child_and_entity_run_in_one_hub(hub: Hub) {
    let mut worker = hub.worker().await;
    let hello = hub.start("hello", "Hello").await;
    worker.turn().await.finish("\"hello\"").await;
    assert_eq!(hub.ended(&hello).await.output, Some("\"hello\"".into()));

    let fan = hub.start("fan", "Fan").await;
    worker.turn().await.act((1..=100).map(|number| call(number, "Work", &number.to_string()))).await;
    for _ in 0..100 {
        let activity = worker.activity().await;
        activity.finish(&activity.request.input.clone().unwrap_or_default()).await;
    }
    let mut done = 0;
    while done < 100 {
        let turn = worker.turn_of(&fan).await;
        done += turn.kinds().iter().filter(|kind| **kind == "TaskCompleted").count();
        turn.act((done == 100).then(|| complete(101, "5050"))).await;
    }
    assert_eq!(hub.ended(&fan).await.output, Some("5050".into()));

    let (all, born, entity) = (hub.start("all", "All").await, hub.id("born"), hub.entity("counter", "a"));
    worker
        .turn_of(&all)
        .await
        .act([timer(1, later(now(), 20)), child(2, &born, "Child"), ask(3, &entity, "get", REQUEST)])
        .await;
    hub.raise(&all, "e", "1").await;
    worker.turn_of(&born).await.finish("child").await;
    worker.batch().await.finish(Some("1")).await;
    let mut told = 0;
    while told < 4 {
        let turn = worker.turn_of(&all).await;
        told += turn.kinds().len() - 1;
        turn.act((told == 4).then(|| complete(4, "all"))).await;
    }
    assert_eq!(hub.ended(&all).await.output, Some("all".into()));
}

async fn a_worker_says_hello_and_then_gets_work_over_plain_http_2(hub: Hub) {
    assert!(hub.endpoint.starts_with("http://"));
    hub.client().hello(()).await.expect("hello is answered");
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    worker.turn().await.finish("done").await;
}

async fn a_call_that_names_no_hub_is_for_the_default_hub(hub: Hub) {
    let mut bare = hub.client_for(None);
    bare.hello(()).await.expect("hello is answered");
    let id = hub.start("a", "Any").await;
    let request = wire::GetInstanceRequest { instance_id: id, get_inputs_and_outputs: false };
    let found = bare.get_instance(request).await.expect("the hub is found").into_inner();
    assert!(found.exists, "it is the hub that is called default");
}

async fn any_token_user_agent_and_worker_id_are_accepted(hub: Hub) {
    let mut request = Request::new(());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer anything".parse().expect("ascii"));
    metadata.insert("x-user-agent", "durabletask-test/1".parse().expect("ascii"));
    metadata.insert("workerid", "host,1,guid".parse().expect("ascii"));
    hub.client().hello(request).await.expect("hello is answered");
}

async fn a_worker_that_gives_an_entity_limit_alone_gets_everything(hub: Hub) {
    let request = wire::GetWorkItemsRequest { max_concurrent_entity_work_items: 1, ..Default::default() };
    let mut worker = hub.worker_with(request).await;
    hub.start("a", "Any").await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    worker.activity().await.finish("1").await;
    worker.batch().await.finish(Some("1")).await;
}

async fn a_worker_that_gives_no_entity_limit_gets_entities(hub: Hub) {
    let request = wire::GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: 2,
        max_concurrent_activity_work_items: 2,
        ..Default::default()
    };
    let mut worker = hub.worker_with(request).await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    worker.batch().await.finish(Some("1")).await;
}

async fn a_wait_without_a_deadline_waits_and_an_abandoned_wait_costs_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    for _ in 0..200 {
        let request = wire::GetInstanceRequest { instance_id: id.clone(), ..Default::default() };
        let mut client = hub.client();
        let call = tokio::spawn(async move { client.wait_for_instance_completion(request).await });
        tokio::task::yield_now().await;
        call.abort();
    }
    let waiting = {
        let (hub, id) = (hub.clone(), id.clone());
        tokio::spawn(async move { hub.ended(&id).await })
    };
    worker.turn().await.finish("done").await;
    assert_eq!(waiting.await.expect("the wait is answered").output, Some("done".into()));
}

async fn a_wait_with_a_deadline_ends_at_the_deadline(hub: Hub) {
    let id = hub.start("a", "Any").await;
    let mut request = Request::new(wire::GetInstanceRequest { instance_id: id, ..Default::default() });
    request.set_timeout(QUIET);
    let mut client = hub.patient_client().await;
    let answer = tokio::time::timeout(PATIENCE, client.wait_for_instance_start(request)).await;
    assert_eq!(code(answer.expect("the deadline is kept")), Code::DeadlineExceeded);
}

async fn workers_that_come_and_go_leave_nothing_behind(hub: Hub) {
    for number in 0..20 {
        let filter = wire::OrchestrationFilter { name: format!("N{number}"), versions: vec![] };
        let filters = wire::WorkItemFilters { orchestrations: vec![filter], ..Default::default() };
        let request = wire::GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
        let mut worker = hub.worker_with(request).await;
        let id = hub.start(&format!("i{number}"), &format!("N{number}")).await;
        let turn = worker.turn().await;
        drop(worker);
        let mut next = hub.worker().await;
        let again = next.turn().await;
        assert_eq!((again.id(), again.execution()), (id.as_str(), turn.execution()));
        again.finish("done").await;
        hub.ended(&id).await;
    }
}

async fn a_late_answer_of_an_activity_is_accepted_and_dropped(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    let activity = worker.activity().await;
    hub.raise(&id, "enough", "1").await;
    worker.turn().await.finish("without it").await;
    hub.ended(&id).await;
    let before = hub.history(&id).await;
    activity.finish("late").await;
    assert_eq!(hub.history(&id).await, before);
    assert_eq!(hub.status(&id).await, Is::Completed);
    assert!(worker.is_idle().await);
}

async fn a_ping_carries_no_token_and_comes_well_within_two_minutes(hub: Hub) {
    let mut worker = hub.worker().await;
    let ping = worker.ping().await;
    assert_eq!(ping.request, Some(wire::work_item::Request::HealthPing(wire::HealthPing {})));
    assert_eq!(ping.completion_token, "");
}

async fn turns_stay_below_four_mebibytes_for_a_worker_that_fetches_histories(hub: Hub) {
    // A worker that fetches histories is never sent a turn that a client with the usual limit would refuse.
    let request = wire::GetWorkItemsRequest {
        capabilities: vec![wire::WorkerCapability::HistoryStreaming.into()],
        ..Default::default()
    };
    let mut worker = hub.worker_with(request).await;
    let (id, part) = (hub.start("b", "Any").await, "x".repeat(700_000));
    let told = |turn: &Turn| {
        let size = turn.request.encoded_len();
        assert!(size < 4 << 20, "a turn of {size} bytes");
        let raised = turn.news().into_iter().filter_map(|event| match event {
            EventType::EventRaised(raised) => Some(raised.name),
            _ => None,
        });
        raised.collect::<Vec<_>>()
    };
    let mut first = worker.turn().await;
    let mut seen = told(&first);
    for round in 0..2 {
        // They wait while a turn is out: the second time with all of the first time in the past.
        for number in 0..8 {
            hub.raise(&id, &format!("{round}-{number}"), &part).await;
        }
        let all = (round + 1) * 8;
        first.act([]).await;
        while seen.len() < all {
            let turn = worker.turn().await;
            assert_eq!(turn.request.requires_history_streaming, turn.request.past_events.is_empty());
            seen.extend(told(&turn));
            if seen.len() == all {
                first = turn;
            } else {
                turn.act([]).await;
            }
        }
    }
    let sent: Vec<_> = (0..16).map(|number| format!("{}-{}", number / 8, number % 8)).collect();
    assert_eq!(seen, sent, "once each, and in order");
    first.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

#[expect(deprecated, reason = "chunked answers are deprecated, and some SDKs still send them")]
async fn chunks_lost_with_their_stream_leave_nothing_behind(hub: Hub) {
    let mut lost = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = lost.turn().await;
    let chunk = wire::OrchestratorResponse {
        is_partial: true,
        chunk_index: Some(0),
        ..turn.answer(vec![call(1, "Never", "1"), again(2, "never", vec![]), lock(3, "s", &id, &[])])
    };
    turn.send(chunk).await.expect("the chunk is taken");
    drop(lost);
    let mut heir = hub.worker().await;
    let again = heir.turn().await;
    assert_eq!(again.execution(), turn.execution());
    again.finish("done").await;
    hub.ended(&id).await;
    assert_eq!(
        kinds(&hub.history(&id).await),
        ["OrchestratorStarted", "ExecutionStarted", "ExecutionCompleted"]
    );
}
