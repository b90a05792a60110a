//! Tells how suspension, termination and filters must reach workers, as the sources of the SDKs have it (R72 to R78).

use super::builders::{REQUEST, again, call, complete};
use super::fixture::Hub;
use super::suites_history::only;
use super::worker::kinds;
use super::{Case, case};
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Request;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R72", "A suspension begins a turn of its own", a_suspension_begins_a_turn_of_its_own),
        case("R73", "A second suspension and a redundant resume reach no worker", a_second_suspension_and_a_redundant_resume_reach_no_worker),
        case("R74", "A termination is told alone, and the events before it are in history", a_termination_is_told_alone_and_the_events_before_it_are_in_history).differs("not documented; Java's worker stops for good where a termination stands beside what ends its code"),
        case("R74", "A termination during a first turn that is abandoned wins over the outcome of that turn", a_termination_during_a_first_turn_that_is_abandoned_wins_over_the_outcome_of_that_turn),
        case("R75", "A star in a filter matches any name", a_star_in_a_filter_matches_any_name).differs("Java's worker sends it where it has a function for every name; not documented"),
        case("R76", "A signal that is sent again under its request id counts once", a_signal_that_is_sent_again_under_its_request_id_counts_once).differs("not documented; three SDKs send a call again whose connection broke, and the id is all that tells"),
        case("R77", "JavaScript and Python exporters get a key with every filled page of ids", javascript_and_python_exporters_get_a_key_with_every_filled_page_of_ids),
        case("R78", "A suspended instance that continues as new is suspended again by an event of its own", a_suspended_instance_that_continues_as_new_is_suspended_again_by_an_event_of_its_own),
    ]
}

async fn a_suspension_begins_a_turn_of_its_own(hub: Hub) {
    let id = hub.start("a", "Any").await;
    hub.raise(&id, "e", "1").await;
    hub.suspend(&id).await;
    hub.raise(&id, "e", "2").await;
    let mut worker = hub.worker().await;
    let first = worker.turn().await;
    assert_eq!(first.kinds(), ["OrchestratorStarted", "ExecutionStarted", "EventRaised"]);
    first.act([call(1, "Work", "1")]).await;
    let second = worker.turn().await;
    assert_eq!(second.kinds(), ["OrchestratorStarted", "ExecutionSuspended", "EventRaised"]);
    // Workers put aside all that follows a suspension, what they have scheduled themselves too.
    let past = kinds(&second.request.past_events);
    assert_eq!(past.last(), Some(&"TaskScheduled"), "what came before is committed with its actions");
    second.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.terminate(&id, "end").await;
}

async fn a_second_suspension_and_a_redundant_resume_reach_no_worker(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.resume(&id).await;
    assert!(worker.is_idle().await, "a resume of what runs");
    hub.suspend(&id).await;
    hub.suspend(&id).await;
    worker.turn().await.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.suspend(&id).await;
    assert!(worker.is_idle().await, "a suspension of what is suspended");
    hub.resume(&id).await;
    hub.resume(&id).await;
    let resumed = worker.turn().await;
    assert_eq!(resumed.kinds(), ["OrchestratorStarted", "ExecutionResumed"]);
    resumed.finish("done").await;
    let told = kinds(&hub.history(&id).await);
    let control = |kind: &&&str| matches!(**kind, "ExecutionSuspended" | "ExecutionResumed");
    assert_eq!(told.iter().filter(control).count(), 2, "{told:?}");
}

async fn a_termination_is_told_alone_and_the_events_before_it_are_in_history(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    let held = {
        hub.raise(&id, "e", "0").await;
        worker.turn().await
    };
    hub.raise(&id, "e", "1").await;
    hub.terminate(&id, "stop").await;
    hub.raise(&id, "e", "2").await;
    held.act([]).await;
    let last = worker.turn().await;
    assert_eq!(last.kinds(), ["OrchestratorStarted", "ExecutionTerminated"]);
    last.act([]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stop".into())));
    let told = kinds(&hub.history(&id).await);
    assert_eq!(
        told[told.len() - 4..],
        ["OrchestratorStarted", "EventRaised", "ExecutionTerminated", "ExecutionCompleted"]
    );
}

async fn a_termination_during_a_first_turn_that_is_abandoned_wins_over_the_outcome_of_that_turn(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let first = worker.turn().await;
    hub.terminate(&id, "stop").await;
    first.abandon().await;
    let again = worker.turn().await;
    assert_eq!(again.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
    again.finish("done").await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stop".into())));
}

async fn a_star_in_a_filter_matches_any_name(hub: Hub) {
    let mut worker = hub.worker_with(only(&[("*", &[])], &[("*", &[])], &[])).await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    worker.activity().await.finish("1").await;
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_signal_that_is_sent_again_under_its_request_id_counts_once(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, other) = (hub.entity("counter", "a"), hub.entity("counter", "b"));
    let signal = |entity: &str| wire::SignalEntityRequest {
        instance_id: entity.into(),
        name: "add".into(),
        request_id: REQUEST.into(),
        ..Default::default()
    };
    // .NET, JavaScript and Go send a call again whose answer was lost with its connection.
    for _ in 0..2 {
        hub.client().signal_entity(signal(&entity)).await.expect("the signal is taken");
    }
    let batch = worker.batch().await;
    assert_eq!(batch.operations(), ["add"]);
    batch.finish(Some("1")).await;
    hub.client().signal_entity(signal(&entity)).await.expect("the signal is taken");
    assert!(worker.is_idle().await, "it has run");
    hub.client().signal_entity(signal(&other)).await.expect("another entity's is another signal");
    worker.batch_of(&other).await.finish(Some("1")).await;
}

async fn javascript_and_python_exporters_get_a_key_with_every_filled_page_of_ids(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([complete(1, "done")]).await;
    let from = hub.ended(&id).await.completed_timestamp;
    let list = |agent: &str, key: Option<String>| {
        let mut request = Request::new(wire::ListInstanceIdsRequest {
            completed_time_from: from,
            last_instance_key: key,
            ..Default::default()
        });
        request.metadata_mut().insert("x-user-agent", agent.parse().expect("it is ASCII"));
        request
    };
    // Their continuous exports begin anew after a filled page without a key, and rest after an empty one.
    for agent in ["durabletask-js/0.4.0 (DurableTaskClient)", "durabletask-python/1.12.0"] {
        let page = hub.client().list_instance_ids(list(agent, None)).await.expect("a page").into_inner();
        assert_eq!(page.instance_ids, std::slice::from_ref(&id));
        let key = page.last_instance_key.expect("a filled page has a key");
        let page = hub.client().list_instance_ids(list(agent, Some(key))).await.expect("a page").into_inner();
        assert!(page.instance_ids.is_empty());
        assert_eq!(page.last_instance_key, None);
    }
}

async fn a_suspended_instance_that_continues_as_new_is_suspended_again_by_an_event_of_its_own(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.suspend(&id).await;
    // A worker that does not put events aside while it is suspended may answer so.
    worker.turn().await.act([]).await;
    hub.raise(&id, "go", "1").await;
    worker.turn().await.act([again(1, "next", vec![])]).await;
    let first = worker.turn().await;
    assert_eq!(first.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
    first.act([]).await;
    let second = worker.turn().await;
    assert_eq!(second.kinds(), ["OrchestratorStarted", "ExecutionSuspended"]);
    second.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.resume(&id).await;
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Completed);
}
