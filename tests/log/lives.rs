//! What is said of workers, instances and work that come and go as they should.

use super::{Watched, Work, call, complete, next};
use pretty_assertions::assert_eq;
use taskhub::wire;
use tracing::Level;

#[tokio::test]
async fn a_worker_that_comes_is_logged_with_what_it_takes_and_one_that_goes_with_what_it_held() {
    let watched = Watched::start("lives-workers").await;
    let mut items = watched.worker_of(&[("Order", &["2.0"]), ("Ship", &[])]).await;
    let came = watched.lines.saying(Level::INFO, "a worker came");
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].field("worker"), "w1");
    assert_eq!(came[0].field("takes"), "orchestrations Order (2.0), Ship");

    watched.start_instance("a", "Ship", None).await;
    next(&mut items).await;
    drop(items);
    watched.until(|stats| stats.workers.is_empty()).await;
    let left = watched.lines.saying(Level::INFO, "a worker left");
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].field("worker"), left[0].field("held")), ("w1", "1"));
}

#[tokio::test]
async fn an_instance_that_starts_ends_or_fails_is_logged_with_its_name() {
    let watched = Watched::start("lives-instances").await;
    let mut items = watched.worker().await;
    watched.start_instance("good", "Order", Some("2.0")).await;
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![complete(None)]).await;
    watched.start_instance("bad", "Ship", None).await;
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![complete(Some("no stamps"))]).await;

    let told: Vec<_> = watched.lines.saying(Level::INFO, "an instance");
    let told: Vec<_> = told
        .iter()
        .map(|line| ["message", "instance", "name", "version", "failure"].map(|name| line.field(name)))
        .collect();
    assert_eq!(
        told,
        [
            ["an instance starts", "good", "Order", "2.0", ""],
            ["an instance ended", "good", "Order", "", ""],
            ["an instance starts", "bad", "Ship", "", ""],
            ["an instance failed", "bad", "Ship", "", "Broken: no stamps"],
        ]
    );
}

#[tokio::test]
async fn at_debug_each_piece_of_work_is_logged_when_it_goes_out_and_when_its_answer_comes() {
    let watched = Watched::start("lives-work").await;
    let mut items = watched.worker().await;
    watched.start_instance("a", "Order", None).await;
    let (_, token) = next(&mut items).await;
    watched.answer(token, vec![call(0, "square")]).await;
    let (Work::ActivityRequest(_), completion_token) = next(&mut items).await else {
        panic!("the turn called an activity");
    };
    let abandoned = wire::AbandonActivityTaskRequest { completion_token };
    watched.client.clone().abandon_task_activity_work_item(abandoned).await.unwrap();
    let request = wire::SignalEntityRequest {
        instance_id: "@counter@a".into(),
        name: "add".into(),
        ..Default::default()
    };
    watched.client.clone().signal_entity(request).await.unwrap();
    let (batch, completion_token) = next(&mut items).await;
    assert!(matches!(batch, Work::EntityRequestV2(_)), "{batch:?}");
    let answer = wire::EntityBatchResult {
        completion_token,
        results: vec![wire::OperationResult {
            result_type: Some(wire::operation_result::ResultType::Success(
                wire::OperationResultSuccess::default(),
            )),
        }],
        ..Default::default()
    };
    watched.client.clone().complete_entity_task(answer).await.unwrap();

    let told = watched.lines.all();
    let told: Vec<_> = told.iter().filter(|line| line.level == Level::DEBUG).collect();
    assert!(
        told.iter().all(|line| line.field("worker") == "w1" && !line.field("stream").is_empty()),
        "{told:#?}"
    );
    let told: Vec<_> = told
        .iter()
        .map(|line| ["message", "kind", "instance", "name", "task"].map(|name| line.field(name)))
        .collect();
    assert_eq!(
        told,
        [
            ["work is handed out", "orchestration", "a", "Order", ""],
            ["work is answered", "orchestration", "a", "Order", ""],
            ["work is handed out", "activity", "a", "square", "0"],
            ["work is given back", "activity", "a", "square", "0"],
            ["work is handed out", "entity", "@counter@a", "counter", ""],
            ["work is answered", "entity", "@counter@a", "counter", ""],
        ]
    );
}
