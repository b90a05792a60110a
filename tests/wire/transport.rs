//! Tells how workers are served: streams, leases, redelivery and the end of them (G1 to G6).

use crate::builders::{call, complete};
use crate::fixture::{Hub, code, refusal};
use crate::worker::kinds;
use taskhub::emulator::Emulator;
use taskhub::wire::{self, OrchestrationStatus};
use tonic::Code;

#[tokio::test]
async fn g01_hello_to_an_unknown_hub_is_not_found_by_name() {
    let hub = Hub::fresh().await;
    hub.client().hello(()).await.expect("the test's own hub is known");
    let refused = refusal(hub.client_for(Some("nowhere")).hello(()).await);
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "Task hub not found: nowhere");
    let start = wire::CreateInstanceRequest { name: "Any".into(), ..Default::default() };
    assert_eq!(code(hub.client_for(Some("nowhere")).start_instance(start).await), Code::NotFound);
    let work = hub.client_for(Some("nowhere")).get_work_items(wire::GetWorkItemsRequest::default()).await;
    assert_eq!(work.err().map(|refused| refused.code()), Some(Code::NotFound));
}

#[tokio::test]
async fn g01_hello_to_an_unknown_hub_makes_it_where_hubs_are_dynamic() {
    let emulator = Emulator::builder().dynamic_hubs(true).start().await.expect("the emulator starts");
    let hub = Hub::on(emulator);
    let mut elsewhere = hub.client_for(Some("elsewhere"));
    elsewhere.hello(()).await.expect("the hub is made");
    let start =
        wire::CreateInstanceRequest { instance_id: "a".into(), name: "Any".into(), ..Default::default() };
    elsewhere.start_instance(start).await.expect("the new hub takes instances");
    assert!(hub.state("a").await.is_none(), "hubs are apart");
}

#[tokio::test]
async fn g02_a_stream_answers_at_once_and_is_pinged_within_ten_seconds() {
    let hub = Hub::fresh().await;
    let mut worker = hub.worker().await;
    assert_eq!(worker.ping().await.completion_token, "");
}

#[tokio::test]
async fn g02_two_streams_share_the_work() {
    let hub = Hub::fresh().await;
    let one_turn =
        wire::GetWorkItemsRequest { max_concurrent_orchestration_work_items: 1, ..Default::default() };
    let mut first = hub.worker_with(one_turn.clone()).await;
    let mut second = hub.worker_with(one_turn).await;
    hub.start("a", "Any").await;
    hub.start("b", "Any").await;
    let (one, other) = (first.turn().await, second.turn().await);
    assert_ne!(one.id(), other.id());
}

#[tokio::test]
async fn g02_a_limit_of_one_never_gets_a_second_uncompleted_item() {
    let hub = Hub::fresh().await;
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

#[tokio::test]
async fn g02_a_limit_of_zero_means_the_hubs_own_which_is_large() {
    let hub = Hub::fresh().await;
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

#[tokio::test]
async fn g04_a_token_that_was_never_given_out_is_not_found_and_changes_nothing() {
    let hub = Hub::fresh().await;
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
    // Nobody's, and one that is almost somebody's.
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

#[tokio::test]
async fn g03_a_killed_streams_turn_activity_and_batch_go_to_the_other_stream_once() {
    let hub = Hub::fresh().await;
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

#[tokio::test]
async fn g04_a_completion_sent_twice_is_felt_once_and_fails_nothing() {
    let hub = Hub::fresh().await;
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

#[tokio::test]
async fn g05_an_abandoned_first_turn_comes_again_as_it_was_and_the_instance_stays_pending() {
    let hub = Hub::fresh().await;
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

#[tokio::test]
async fn g06_a_shutdown_ends_streams_with_unavailable_or_ok_and_never_with_cancelled() {
    let hub = Hub::fresh().await;
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
    if hub.stop().await {
        match worker.message().await {
            Ok(end) => assert_eq!(end, None, "the stream ends"),
            Err(status) => assert_eq!(status.code(), Code::Unavailable),
        }
        let answer = waiting.await.expect("the wait does not panic");
        assert_eq!(answer.err().map(|status| status.code()), Some(Code::Unavailable));
    }
}
