//! What is said of mistakes, once for each.

use super::{A_WHILE, Action, Watched, Work, action, complete, next};
use pretty_assertions::assert_eq;
use std::time::Duration;
use taskhub::wire;
use tonic::Code;

#[tokio::test]
async fn a_name_that_no_connected_worker_takes_is_logged_once_with_the_one_that_differs_in_case() {
    let watched = Watched::start("warn-case").await;
    let _items = watched.worker_of(&[("sayHello", &[]), ("Other", &[])]).await;
    for id in ["a", "b", "c"] {
        watched.start_instance(id, "SayHello", None).await;
    }
    for _ in 0..10 {
        watched.pass(A_WHILE).await;
    }
    let line = watched.lines.the_warning();
    assert!(line.says("no connected worker takes what waits"), "{line:?}");
    assert_eq!((line.field("kind"), line.field("name")), ("orchestration", "SayHello"));
    assert_eq!(line.field("waits"), "3");
    let hint = line.field("hint");
    assert!(hint.contains("\"sayHello\"") && hint.contains("upper and lower case"), "{hint}");
}

#[tokio::test]
async fn a_version_that_a_worker_writes_otherwise_is_logged_with_that_writing() {
    let watched = Watched::start("warn-version").await;
    let _items = watched.worker_of(&[("Order", &["2.0.0", "1.0.0"])]).await;
    watched.start_instance("a", "Order", Some("1.0")).await;
    watched.pass(A_WHILE).await;
    let line = watched.lines.the_warning();
    assert_eq!((line.field("name"), line.field("version")), ("Order", "1.0"));
    let hint = line.field("hint");
    assert!(hint.contains("\"1.0.0\"") && hint.contains("written otherwise"), "{hint}");
}

#[tokio::test]
async fn a_version_that_no_worker_has_is_logged_with_those_that_are_taken() {
    let watched = Watched::start("warn-versions").await;
    let _items = watched.worker_of(&[("Order", &["2.0", "3.0"])]).await;
    watched.start_instance("a", "Order", None).await;
    watched.pass(A_WHILE).await;
    let hint = watched.lines.the_warning().field("hint").to_owned();
    assert!(hint.contains("2.0, 3.0"), "{hint}");
}

#[tokio::test]
async fn work_without_any_connected_worker_is_logged_as_that() {
    let watched = Watched::start("warn-nobody").await;
    watched.start_instance("a", "Order", None).await;
    watched.pass(A_WHILE).await;
    let line = watched.lines.the_warning();
    assert!(line.field("hint").contains("no worker is connected"), "{line:?}");
}

#[tokio::test]
async fn a_worker_that_connects_in_time_is_not_warned_of() {
    let watched = Watched::start("warn-in-time").await;
    watched.start_instance("a", "Order", None).await;
    watched.pass(Duration::from_secs(1)).await;
    let mut items = watched.worker().await;
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![complete(None)]).await;
    watched.pass(A_WHILE).await;
    watched.pass(A_WHILE).await;
    assert!(watched.lines.saying(tracing::Level::WARN, "").is_empty(), "{:#?}", watched.lines.all());
}

#[tokio::test]
async fn an_unknown_task_hub_is_logged_once_by_name_with_those_that_there_are() {
    // The line is about the hub that was asked for.
    let lines = super::Lines::of("warn-no-such-hub");
    let watched = Watched::start("warn-hub").await;
    for _ in 0..5 {
        let mut request = tonic::Request::new(());
        request.metadata_mut().insert("taskhub", "warn-no-such-hub".parse().unwrap());
        let refused = watched.client.clone().hello(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
    let line = lines.the_warning();
    assert!(line.says("there is no such task hub"), "{line:?}");
    assert_eq!(line.field("hubs"), "warn-hub");
}

#[tokio::test]
async fn work_that_is_given_back_again_and_again_is_logged_once_with_how_often() {
    let watched = Watched::start("warn-abandoned").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    for _ in 0..6 {
        let (_, completion_token) = next(&mut items).await;
        let abandoned = wire::AbandonOrchestrationTaskRequest { completion_token };
        watched.client.clone().abandon_task_orchestrator_work_item(abandoned).await.unwrap();
        watched.clock.advance(A_WHILE);
    }
    let line = watched.lines.the_warning();
    assert!(line.says("again and again"), "{line:?}");
    assert_eq!((line.field("kind"), line.field("instance")), ("orchestration", "a"));
    assert_eq!((line.field("name"), line.field("times")), ("Order", "3"));
}

#[tokio::test]
async fn a_stream_that_breaks_right_after_an_item_is_logged_with_the_item_and_its_length() {
    let watched = Watched::start("warn-broken").await;
    watched.start_instance(&"a".repeat(90), "Order", None).await;
    for _ in 0..3 {
        let mut items = watched.worker().await;
        next(&mut items).await;
        drop(items);
        watched.until(|stats| stats.workers.is_empty()).await;
    }
    let line = watched.lines.the_warning();
    assert!(line.says("right after"), "{line:?}");
    assert_eq!(
        (line.field("kind"), line.field("name"), line.field("worker")),
        ("orchestration", "Order", "w1")
    );
    assert_eq!(line.field("instance"), "a".repeat(90));
    let bytes: usize = line.field("bytes").parse().unwrap();
    assert!((90..2_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_stream_that_ends_long_after_its_last_item_is_no_broken_one() {
    let watched = Watched::start("warn-not-broken").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    next(&mut items).await;
    watched.clock.advance(A_WHILE);
    drop(items);
    watched.until(|stats| stats.workers.is_empty()).await;
    assert!(watched.lines.saying(tracing::Level::WARN, "").is_empty(), "{:#?}", watched.lines.all());
}

#[tokio::test]
async fn a_rewind_that_the_worker_answers_without_rewinding_is_logged() {
    let watched = Watched::start("warn-rewind").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![complete(Some("no stamps"))]).await;
    let request = wire::RewindInstanceRequest { instance_id: "a".into(), ..Default::default() };
    watched.client.clone().rewind_instance(request).await.unwrap();
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![complete(Some("no stamps"))]).await;
    let line = watched.lines.the_warning();
    assert!(line.says("without rewinding"), "{line:?}");
    assert_eq!((line.field("instance"), line.field("name"), line.field("worker")), ("a", "Order", "w1"));
}

#[tokio::test]
async fn an_event_for_an_entity_is_logged_whether_a_client_or_an_orchestration_sends_it() {
    let watched = Watched::start("warn-entity-client").await;
    for _ in 0..3 {
        let request = wire::RaiseEventRequest {
            instance_id: "@counter@a".into(),
            name: "op".into(),
            ..Default::default()
        };
        let refused = watched.client.clone().raise_event(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let line = watched.lines.the_warning();
    assert!(line.says("an event for an entity"), "{line:?}");
    assert_eq!((line.field("entity"), line.field("event")), ("@counter@a", "op"));
    assert!(line.field("hint").contains("UseGrpc"), "{line:?}");

    let watched = Watched::start("warn-entity-turn").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    let (Work::OrchestratorRequest(_), token) = next(&mut items).await else { panic!("a turn") };
    let send = Action::SendEvent(wire::SendEventAction {
        instance: Some(wire::OrchestrationInstance {
            instance_id: "@counter@a".into(),
            ..Default::default()
        }),
        name: "op".into(),
        ..Default::default()
    });
    watched.answer(token, vec![action(0, send)]).await;
    let line = watched.lines.the_warning();
    assert_eq!((line.field("entity"), line.field("event")), ("@counter@a", "op"));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_told() {
    let watched = Watched::start("warn-nonsense").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    let (_, token) = next(&mut items).await;
    let answer = wire::OrchestratorResponse {
        instance_id: "a".into(),
        completion_token: token,
        actions: vec![wire::OrchestratorAction { id: 1, orchestrator_action_type: None }],
        ..Default::default()
    };
    watched.client.clone().complete_orchestrator_task(answer).await.unwrap();
    let line = watched.lines.the_warning();
    assert!(line.says("an answer makes no sense"), "{line:?}");
    assert_eq!((line.field("kind"), line.field("id")), ("orchestration", "a"));
}

#[tokio::test]
async fn a_turn_that_is_held_for_too_long_is_told_with_its_stream() {
    let watched = Watched::start("warn-held").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    next(&mut items).await;
    watched.pass(Duration::from_secs(301)).await;
    let line = watched.lines.the_warning();
    assert!(line.says("a work item was not answered in time"), "{line:?}");
    assert_eq!((line.field("kind"), line.field("instance")), ("orchestration", "a"));
    assert!(!line.field("stream").is_empty(), "{line:?}");
}

#[tokio::test]
async fn a_stream_that_is_given_up_because_it_is_not_read_is_told_with_its_worker() {
    let watched = Watched::start("warn-unread").await;
    let _unread = watched.worker().await;
    for number in 0..40 {
        let request = wire::CreateInstanceRequest {
            instance_id: format!("i{number}"),
            name: "Order".into(),
            input: Some("x".repeat(900 << 10)),
            ..Default::default()
        };
        watched.client.clone().start_instance(request).await.unwrap();
    }
    watched.pass(Duration::from_secs(31)).await;
    watched.until(|stats| stats.workers.is_empty()).await;
    let told = watched.lines.saying(tracing::Level::WARN, "a worker's stream was given up");
    assert_eq!(told.len(), 1, "{:#?}", watched.lines.all());
    assert_eq!(told[0].field("worker"), "w1");
}

#[tokio::test]
async fn a_part_of_an_entitys_answer_that_is_left_out_is_told() {
    let watched = Watched::start("warn-skipped").await;
    let mut items = watched.worker().await;
    let request = wire::SignalEntityRequest {
        instance_id: "@counter@a".into(),
        name: "add".into(),
        ..Default::default()
    };
    watched.client.clone().signal_entity(request).await.unwrap();
    let (_, completion_token) = next(&mut items).await;
    let nameless = wire::StartNewOrchestrationAction::default();
    let success = wire::operation_result::ResultType::Success(wire::OperationResultSuccess::default());
    let answer = wire::EntityBatchResult {
        completion_token,
        results: vec![wire::OperationResult { result_type: Some(success) }],
        actions: vec![wire::OperationAction {
            id: 1,
            operation_action_type: Some(wire::operation_action::OperationActionType::StartNewOrchestration(
                nameless,
            )),
        }],
        ..Default::default()
    };
    watched.client.clone().complete_entity_task(answer).await.unwrap();
    let line = watched.lines.the_warning();
    assert!(line.says("a part of an answer was left out"), "{line:?}");
    assert_eq!(line.field("id"), "@counter@a");
}
