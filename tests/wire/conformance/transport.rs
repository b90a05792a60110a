//! Tells how workers are served: streams, leases, redelivery and the end of them (G1 to G6).

use super::builders::{call, complete};
use super::fixture::{Hub, code, refusal};
use super::worker::kinds;
use super::{Case, Need, case};
use taskhub::wire::{self, OrchestrationStatus};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("G01", "Hello to an unknown hub is refused with NOT_FOUND and the hub's name", hello_to_an_unknown_hub_is_refused_with_not_found_and_the_hubs_name),
        case("G01", "Hello to an unknown hub creates it where hubs are dynamic", hello_to_an_unknown_hub_creates_it_where_hubs_are_dynamic).needs(&[Need::DynamicHubs]),
        case("G02", "A stream answers at once and is pinged within ten seconds", a_stream_answers_at_once_and_is_pinged_within_ten_seconds).differs("the service's own cadence is not published; SDKs give up after 120 s of silence"),
        case("G02", "Two streams share the work", two_streams_share_the_work),
        case("G02", "A limit of one never gets a second uncompleted item", a_limit_of_one_never_gets_a_second_uncompleted_item),
        case("G02", "A limit of zero means the hub's own limit, which is large", a_limit_of_zero_means_the_hubs_own_limit_which_is_large).differs("JavaScript and Java send 0; what the service makes of it is not documented, ours is 1,000 of a kind and a switch"),
        case("G04", "A token that was never given out is refused with NOT_FOUND and changes nothing", a_token_that_was_never_given_out_is_refused_with_not_found_and_changes_nothing),
        case("G03", "A killed stream's turn, activity and batch go to the other stream once", a_killed_streams_turn_activity_and_batch_go_to_the_other_stream_once),
        case("G04", "A completion sent twice takes effect once and fails nothing", a_completion_sent_twice_takes_effect_once_and_fails_nothing).differs("the service is believed to answer NOT_FOUND to the second; every SDK bears with both"),
        case("G05", "An abandoned first turn comes again unchanged, and the instance stays pending", an_abandoned_first_turn_comes_again_unchanged_and_the_instance_stays_pending),
        case("G06", "A shutdown ends streams with UNAVAILABLE or OK and never with CANCELLED", a_shutdown_ends_streams_with_unavailable_or_ok_and_never_with_cancelled).needs(&[Need::Stop]),
    ]
}

async fn hello_to_an_unknown_hub_is_refused_with_not_found_and_the_hubs_name(hub: Hub) {
    hub.client().hello(()).await.expect("the test's own hub is known");
    let refused = refusal(hub.client_for(Some("nowhere")).hello(()).await);
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "Task hub not found: nowhere");
    let start = wire::CreateInstanceRequest { name: "Any".into(), ..Default::default() };
    assert_eq!(code(hub.client_for(Some("nowhere")).start_instance(start).await), Code::NotFound);
    let work = hub.client_for(Some("nowhere")).get_work_items(wire::GetWorkItemsRequest::default()).await;
    assert_eq!(work.err().map(|refused| refused.code()), Some(Code::NotFound));
}

async fn hello_to_an_unknown_hub_creates_it_where_hubs_are_dynamic(hub: Hub) {
    let mut elsewhere = hub.client_for(Some("elsewhere"));
    elsewhere.hello(()).await.expect("the hub is made");
    let start =
        wire::CreateInstanceRequest { instance_id: "a".into(), name: "Any".into(), ..Default::default() };
    elsewhere.start_instance(start).await.expect("the new hub takes instances");
    assert!(hub.state("a").await.is_none(), "hubs are apart");
}

async fn a_stream_answers_at_once_and_is_pinged_within_ten_seconds(hub: Hub) {
    let mut worker = hub.worker().await;
    assert_eq!(worker.ping().await.completion_token, "");
}

async fn two_streams_share_the_work(hub: Hub) {
    let one_turn =
        wire::GetWorkItemsRequest { max_concurrent_orchestration_work_items: 1, ..Default::default() };
    let mut first = hub.worker_with(one_turn.clone()).await;
    let mut second = hub.worker_with(one_turn).await;
    hub.start("a", "Any").await;
    hub.start("b", "Any").await;
    let (one, other) = (first.turn().await, second.turn().await);
    assert_ne!(one.id(), other.id());
}

async fn a_limit_of_one_never_gets_a_second_uncompleted_item(hub: Hub) {
    let mut worker = hub
        .worker_with(wire::GetWorkItemsRequest {
            max_concurrent_orchestration_work_items: 1,
            max_concurrent_activity_work_items: 1,
            ..Default::default()
        })
        .await;
    hub.start("a", "Any").await;
    hub.start("b", "Any").await;
    let turn = worker.turn().await;
    assert!(worker.is_idle().await, "a second turn came before the first was answered");
    turn.act([call(1, "Work", "1"), call(2, "Work", "2")]).await;
    worker.turn().await.finish("done").await;
    let activity = worker.activity().await;
    assert!(worker.is_idle().await, "a second activity came before the first was answered");
    activity.finish("1").await;
    assert_eq!(worker.activity().await.request.task_id, 2);
}

async fn a_limit_of_zero_means_the_hubs_own_limit_which_is_large(hub: Hub) {
    let mut worker = hub.worker().await;
    for number in 0..50 {
        hub.start(&format!("i{number}"), "Any").await;
    }
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(worker.turn().await);
    }
    assert_eq!(held.len(), 50);
}

async fn a_token_that_was_never_given_out_is_refused_with_not_found_and_changes_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let (entity, mut client) = (hub.entity("counter", "a"), hub.client());
    hub.signal(&entity, "add", "1").await;
    let batch = worker.batch().await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    let activity = worker.activity().await;
    hub.raise(&id, "e", "1").await;
    let turn = worker.turn().await;
    let (before, seen) = (hub.history(&id).await, hub.state(&id).await);
    // One token that no item has, and one that is almost an item's.
    for token in ["6f2d".to_owned(), uuid::Uuid::nil().to_string(), format!("{}0", turn.token)] {
        let invented = wire::OrchestratorResponse {
            completion_token: token.clone(),
            ..turn.answer(vec![complete(2, "invented")])
        };
        assert_eq!(code(client.complete_orchestrator_task(invented).await), Code::NotFound);
        let invented = wire::ActivityResponse {
            instance_id: id.clone(),
            task_id: 1,
            result: Some("invented".into()),
            completion_token: token.clone(),
            ..Default::default()
        };
        assert_eq!(code(client.complete_activity_task(invented).await), Code::NotFound);
        let invented =
            wire::EntityBatchResult { completion_token: token.clone(), ..batch.answer(Some("invented")) };
        assert_eq!(code(client.complete_entity_task(invented).await), Code::NotFound);
        let request = wire::AbandonOrchestrationTaskRequest { completion_token: token.clone() };
        assert_eq!(code(client.abandon_task_orchestrator_work_item(request).await), Code::NotFound);
        let request = wire::AbandonActivityTaskRequest { completion_token: token.clone() };
        assert_eq!(code(client.abandon_task_activity_work_item(request).await), Code::NotFound);
        let request = wire::AbandonEntityTaskRequest { completion_token: token };
        assert_eq!(code(client.abandon_task_entity_work_item(request).await), Code::NotFound);
    }
    assert_eq!((hub.history(&id).await, hub.state(&id).await), (before, seen));
    assert!(hub.entity_state(&entity).await.is_none());
    assert!(worker.is_idle().await, "what is out was handed out again");
    // All three are still out, under their own tokens.
    batch.finish(Some("1")).await;
    activity.finish("1").await;
    turn.act([]).await;
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_killed_streams_turn_activity_and_batch_go_to_the_other_stream_once(hub: Hub) {
    let mut lost = hub.worker().await;
    let busy = hub.start("busy", "Any").await;
    lost.turn_of(&busy).await.act([call(1, "Work", "1")]).await;
    let activity = lost.activity().await;
    let entity = hub.entity("counter", "a");
    hub.signal(&entity, "add", "1").await;
    let batch = lost.batch().await;
    let waiting = hub.start("waiting", "Any").await;
    let turn = lost.turn_of(&waiting).await;

    let mut heir = hub.worker().await;
    drop(lost);
    let inherited = (heir.turn().await, heir.activity().await, heir.batch().await);
    assert_eq!(inherited.0.execution(), turn.execution());
    assert_eq!(inherited.0.kinds(), turn.kinds());
    assert_eq!(inherited.1.request, activity.request);
    assert_eq!(inherited.2.operations(), batch.operations());

    assert_eq!(code(turn.send(turn.answer(vec![complete(1, "late")])).await), Code::NotFound);
    assert_eq!(code(activity.try_finish("late").await), Code::NotFound);
    assert_eq!(code(batch.send(batch.answer(Some("late"))).await), Code::NotFound);

    inherited.0.finish("done").await;
    inherited.1.finish("in time").await;
    inherited.2.finish(Some("1")).await;
    heir.turn_of(&busy).await.finish("done").await;
    hub.ended(&busy).await;
    assert_eq!(hub.state(&waiting).await.and_then(|state| state.output), Some("done".into()));
    assert_eq!(
        kinds(&hub.history(&busy).await),
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled",
            "OrchestratorStarted",
            "TaskCompleted",
            "ExecutionCompleted"
        ]
    );
    assert_eq!(hub.entity_state(&entity).await.and_then(|entity| entity.serialized_state), Some("1".into()));
}

async fn a_completion_sent_twice_takes_effect_once_and_fails_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let answer = turn.answer(vec![call(1, "Work", "1")]);
    turn.send(answer.clone()).await.expect("the answer is taken");
    turn.send(answer).await.expect("and taken again");
    let activity = worker.activity().await;
    activity.finish("1").await;
    activity.finish("1").await;
    let last = worker.turn().await;
    assert_eq!(last.kinds(), ["OrchestratorStarted", "TaskCompleted"]);
    last.finish("done").await;
    last.finish("done").await;
    hub.ended(&id).await;
    let history = hub.history(&id).await;
    let count = |wanted| kinds(&history).iter().filter(|kind| **kind == wanted).count();
    assert_eq!(
        (count("TaskScheduled"), count("TaskCompleted"), count("ExecutionCompleted")),
        (1, 1, 1),
        "no event is doubled"
    );
    assert!(worker.is_idle().await);
}

async fn an_abandoned_first_turn_comes_again_unchanged_and_the_instance_stays_pending(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let first = worker.turn().await;
    first.abandon().await;
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Pending);
    let again = worker.turn().await;
    assert_ne!(again.token, first.token);
    assert_eq!(again.execution(), first.execution());
    assert_eq!(again.beginning(), first.beginning());
    assert_eq!(again.kinds(), first.kinds());
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Pending);
    again.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_shutdown_ends_streams_with_unavailable_or_ok_and_never_with_cancelled(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let _held = worker.turn().await;
    let waiting = {
        let hub = hub.clone();
        tokio::spawn(async move {
            let request = wire::GetInstanceRequest { instance_id: id, get_inputs_and_outputs: false };
            hub.client().wait_for_instance_completion(request).await
        })
    };
    hub.stop().await;
    match worker.message().await {
        Ok(end) => assert_eq!(end, None, "the stream ends"),
        Err(status) => assert_eq!(status.code(), Code::Unavailable),
    }
    let answer = waiting.await.expect("the wait does not panic");
    assert_eq!(answer.err().map(|status| status.code()), Some(Code::Unavailable));
}
