//! Tells how a failed orchestration is rewound (G17).

use super::builders::{call, child, complete, fail, failure, rewound, rewound_history};
use super::fixture::{Hub, code};
use super::worker::{RawWorker, Turn, kinds};
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("G17", "Only a failed instance can be rewound", only_a_failed_instance_can_be_rewound),
        case(
            "G17",
            "A rewind runs the failed activity again and no other",
            a_rewind_runs_the_failed_activity_again_and_no_other,
        ),
        case("G17", "A rewind can be done twice in a row", a_rewind_can_be_done_twice_in_a_row),
        case(
            "G17",
            "A rewind reaches failed children and leaves those that succeeded",
            a_rewind_reaches_failed_children_and_leaves_those_that_succeeded,
        ),
        case("G17", "A rewind creates a purged child again", a_rewind_creates_a_purged_child_again),
        case(
            "G17",
            "A wait right after a rewind does not return the old failure",
            a_wait_right_after_a_rewind_does_not_return_the_old_failure,
        ),
        case(
            "G17",
            "A worker that refuses a rewind leaves the instance failed as it was",
            a_worker_that_refuses_a_rewind_leaves_the_instance_failed_as_it_was,
        ),
    ]
}

const NEW: &str = "0123456789abcdef0123456789abcdef";
const NEWER: &str = "fedcba9876543210fedcba9876543210";

/// Runs an orchestration that calls `good` and `bad`, lets `bad` fail, and fails of it.
async fn failed(hub: &Hub, worker: &mut RawWorker) -> (String, String) {
    let id = hub.start("a", "Any").await;
    let first = worker.turn().await;
    first.act([call(1, "good", "1"), call(2, "bad", "2")]).await;
    let good = worker.activity().await;
    let bad = worker.activity().await;
    good.finish("ok").await;
    worker.turn().await.act([]).await;
    bad.fail(failure("broken")).await;
    worker.turn().await.act([fail(3, failure("broken"))]).await;
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Failed);
    (id, first.execution())
}

/// Answers the rewind that comes next as every SDK does, and returns the turn that follows.
async fn rewrite(worker: &mut RawWorker, id: &str, execution: &str) {
    let turn = worker.turn_of(id).await;
    expect_rewind(&turn);
    turn.act([rewound(rewound_history(&turn.request, execution))]).await;
}

fn expect_rewind(turn: &Turn) {
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionRewound"], "exactly these two");
    assert!(kinds(&turn.request.past_events).contains(&"ExecutionCompleted"));
}

async fn only_a_failed_instance_can_be_rewound(hub: Hub) {
    let mut worker = hub.worker().await;
    assert_eq!(code(hub.rewind(&hub.id("nobody")).await), Code::NotFound);
    let id = hub.start("a", "Any").await;
    assert_eq!(code(hub.rewind(&id).await), Code::FailedPrecondition, "pending");
    worker.turn().await.act([]).await;
    assert_eq!(code(hub.rewind(&id).await), Code::FailedPrecondition, "running");
    hub.suspend(&id).await;
    worker.turn().await.act([]).await;
    assert_eq!(code(hub.rewind(&id).await), Code::FailedPrecondition, "suspended");
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.resume(&id).await;
    worker.turn().await.finish("done").await;
    hub.ended(&id).await;
    assert_eq!(code(hub.rewind(&id).await), Code::FailedPrecondition, "completed");
    let other = hub.start("b", "Any").await;
    worker.turn().await.act([]).await;
    hub.terminate(&other, "stop").await;
    worker.turn().await.act([]).await;
    hub.ended(&other).await;
    assert_eq!(code(hub.rewind(&other).await), Code::FailedPrecondition, "terminated");
    assert_eq!(hub.status(&other).await, Is::Terminated);
}

async fn a_rewind_runs_the_failed_activity_again_and_no_other(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, execution) = failed(&hub, &mut worker).await;
    hub.rewind(&id).await.expect("a failed instance is rewound");
    let state = hub.state(&id).await.expect("it is there");
    assert_ne!(
        state.orchestration_status(),
        Is::Failed,
        "the status has left FAILED before the call returns"
    );
    assert!(state.failure_details.is_none() && state.completed_timestamp.is_none());
    rewrite(&mut worker, &id, NEW).await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted"]);
    assert_eq!(turn.execution(), NEW);
    assert_ne!(turn.execution(), execution);
    let past = kinds(&turn.request.past_events);
    assert!(past.contains(&"TaskCompleted") && !past.contains(&"TaskFailed"), "{past:?}");
    turn.act([call(2, "bad", "2")]).await;
    let retried = worker.activity().await;
    assert_eq!((retried.request.name.as_str(), retried.request.task_id), ("bad", 2));
    retried.finish("better").await;
    let last = worker.turn().await;
    assert_eq!(last.kinds(), ["OrchestratorStarted", "TaskCompleted"]);
    last.finish("all well").await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Completed, Some("all well".into())));
    assert!(worker.is_idle().await, "nothing else is run again");
}

async fn a_rewind_can_be_done_twice_in_a_row(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, _) = failed(&hub, &mut worker).await;
    hub.rewind(&id).await.expect("a failed instance is rewound");
    rewrite(&mut worker, &id, NEW).await;
    worker.turn().await.act([call(2, "bad", "2")]).await;
    worker.activity().await.fail(failure("still broken")).await;
    worker.turn().await.act([fail(3, failure("still broken"))]).await;
    let state = hub.ended(&id).await;
    assert_eq!(state.failure_details.map(|failure| failure.error_message), Some("still broken".into()));
    hub.rewind(&id).await.expect("and rewound again");
    rewrite(&mut worker, &id, NEWER).await;
    let turn = worker.turn().await;
    assert_eq!(turn.execution(), NEWER);
    turn.act([call(2, "bad", "2")]).await;
    worker.activity().await.finish("well").await;
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_rewind_reaches_failed_children_and_leaves_those_that_succeeded(hub: Hub) {
    let mut worker = hub.worker().await;
    let (parent, good, bad) = (hub.start("parent", "Any").await, hub.id("good"), hub.id("bad"));
    worker.turn_of(&parent).await.act([child(1, &good, "Good"), child(2, &bad, "Bad")]).await;
    worker.turn_of(&good).await.finish("fine").await;
    worker.turn_of(&parent).await.act([]).await;
    worker.turn_of(&bad).await.act([fail(1, failure("broken"))]).await;
    worker.turn_of(&parent).await.act([fail(3, failure("of it"))]).await;
    hub.ended(&parent).await;

    hub.rewind(&parent).await.expect("a failed instance is rewound");
    rewrite(&mut worker, &parent, NEW).await;
    let turn = worker.turn_of(&bad).await;
    expect_rewind(&turn);
    let told = turn.news().into_iter().find_map(|event| match event {
        EventType::ExecutionRewound(rewound) => rewound.parent_execution_id.clone(),
        _ => None,
    });
    assert_eq!(told, Some(NEW.into()), "the child is told its parent's new execution");
    turn.act([rewound(rewound_history(&turn.request, NEWER))]).await;
    worker.turn_of(&bad).await.finish("mended").await;
    let last = worker.turn_of(&parent).await;
    let results: Vec<_> = last
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::SubOrchestrationInstanceCompleted(done) => Some((done.task_scheduled_id, done.result)),
            _ => None,
        })
        .collect();
    assert_eq!(results, [(2, Some("mended".to_owned()))]);
    last.finish("done").await;
    assert_eq!(hub.ended(&parent).await.output, Some("done".into()));
    assert!(worker.is_idle().await, "the child that had succeeded is not run again");
}

async fn a_rewind_creates_a_purged_child_again(hub: Hub) {
    let mut worker = hub.worker().await;
    let (parent, bad) = (hub.start("parent", "Any").await, hub.id("bad"));
    worker.turn_of(&parent).await.act([child(1, &bad, "Bad")]).await;
    worker.turn_of(&bad).await.act([fail(1, failure("broken"))]).await;
    worker.turn_of(&parent).await.act([fail(2, failure("of it"))]).await;
    hub.ended(&parent).await;
    assert_eq!(hub.purge(&bad, false).await, 1);

    hub.rewind(&parent).await.expect("a failed instance is rewound");
    rewrite(&mut worker, &parent, NEW).await;
    let turn = worker.turn_of(&bad).await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
    let begins = turn.beginning();
    assert_eq!(begins.name, "Bad");
    let info = begins.parent_instance.expect("the child knows its parent");
    assert_eq!(info.task_scheduled_id, 1);
    let execution = info.orchestration_instance.and_then(|instance| instance.execution_id);
    assert_eq!(execution, Some(NEW.into()));
    turn.finish("mended").await;
    worker.turn_of(&parent).await.finish("done").await;
    assert_eq!(hub.ended(&parent).await.output, Some("done".into()));
}

async fn a_wait_right_after_a_rewind_does_not_return_the_old_failure(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, _) = failed(&hub, &mut worker).await;
    hub.rewind(&id).await.expect("a failed instance is rewound");
    let waiting = {
        let (hub, id) = (hub.clone(), id.clone());
        tokio::spawn(async move { hub.ended(&id).await })
    };
    rewrite(&mut worker, &id, NEW).await;
    worker.turn().await.act([complete(5, "well")]).await;
    assert_eq!(waiting.await.expect("the wait is answered").output, Some("well".into()));
}

async fn a_worker_that_refuses_a_rewind_leaves_the_instance_failed_as_it_was(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, execution) = failed(&hub, &mut worker).await;
    let before = kinds(&hub.history(&id).await);
    hub.rewind(&id).await.expect("a failed instance is rewound");
    let turn = worker.turn_of(&id).await;
    turn.act([fail(4, failure("no rewinding here"))]).await;
    let state = hub.ended(&id).await;
    assert_eq!(state.orchestration_status(), Is::Failed);
    assert_eq!(state.execution_id, Some(execution));
    let details: wire::TaskFailureDetails = state.failure_details.expect("the old failure is kept");
    assert_eq!(details.error_message, "broken");
    assert_eq!(kinds(&hub.history(&id).await), before);
}
