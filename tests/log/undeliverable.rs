//! What is said of work that no worker can receive, or that kills the workers that receive it.

use super::{Channel, Client, Watched, next};
use pretty_assertions::assert_eq;
use std::time::Duration;
use taskhub::wire;
use tracing::Level;

#[tokio::test]
async fn a_turn_that_is_too_large_for_its_worker_is_logged_with_its_instance_and_what_to_do() {
    let watched = Watched::start("warn-too-large").await;
    watched.start_instance("a", "Order", None).await;
    for number in 0..6 {
        let request = wire::RaiseEventRequest {
            instance_id: "a".into(),
            name: number.to_string(),
            input: Some("x".repeat(900 << 10)),
        };
        watched.client.clone().raise_event(request).await.unwrap();
    }
    let mut items = watched.worker().await;
    // Four events fit into 4 MiB. Once they are in the past, the fifth has no room beside them.
    while !has_failed(&watched).await {
        let (_, token) = next(&mut items).await;
        watched.answer(token, Vec::new()).await;
    }
    let line = watched.lines.the_warning();
    assert!(line.says("work is too large to be handed out"), "{line:?}");
    assert_eq!((line.field("kind"), line.field("id")), ("orchestration", "a"));
    assert!(line.field("what").contains("continue-as-new"), "{line:?}");
}

/// Whether the instance has failed.
async fn has_failed(watched: &Watched) -> bool {
    let request = wire::GetInstanceRequest { instance_id: "a".into(), ..Default::default() };
    let found = watched.client.clone().get_instance(request).await.unwrap().into_inner();
    found.orchestration_state.unwrap().orchestration_status() == wire::OrchestrationStatus::Failed
}

/// Connects a worker, waits until it has work, and ends it as a process that dies: its socket closes without a word.
async fn a_worker_dies_of_its_work(watched: &Watched) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let channel = Channel::from_shared(watched.emulator.endpoint()).unwrap();
    let worker = runtime.spawn(async move {
        let mut client = Client::new(channel.connect().await.unwrap());
        let mut items =
            client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
        next(&mut items).await;
        (client, items)
    });
    let held = worker.await.unwrap();
    runtime.shutdown_background();
    watched.until(|stats| stats.workers.is_empty()).await;
    drop(held);
}

#[tokio::test]
async fn work_that_kills_its_workers_is_logged_when_it_fails_with_how_many_died() {
    let watched = Watched::start("warn-kills").await;
    watched.start_instance("a", "Order", None).await;
    for _ in 0..2 {
        assert!(watched.lines.saying(Level::WARN, "workers die").is_empty(), "{:#?}", watched.lines.all());
        a_worker_dies_of_its_work(&watched).await;
        // It rests before it is handed out again.
        watched.pass(Duration::from_secs(60)).await;
    }
    let told = watched.lines.saying(Level::WARN, "workers die of a work item; it has failed");
    assert_eq!(told.len(), 1, "{:#?}", watched.lines.all());
    assert_eq!((told[0].field("kind"), told[0].field("instance")), ("orchestration", "a"));
    assert_eq!(told[0].field("times"), "2");
}
