//! Tells what becomes of a turn's answer (G18 to G26).

use super::builders::{
    again, call, call_with, child, complete, end, fail, failure, later, now, order, send, signal, timer,
    unlock,
};
use super::fixture::Hub;
use super::worker::kinds;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "G18",
            "An activity, then a timer, then a child make exactly these twelve events",
            an_activity_then_a_timer_then_a_child_make_exactly_these_twelve_events,
        ),
        case(
            "G21",
            "An activity scheduled again under its id is run again",
            an_activity_scheduled_again_under_its_id_is_run_again,
        ),
        case(
            "G21",
            "Three tries of a child with three tries of an activity make nine runs under one child id",
            three_tries_of_a_child_with_three_tries_of_an_activity_make_nine_runs_under_one_child_id,
        ),
        case(
            "G22",
            "A child that fails or is terminated always gives its parent failure details",
            a_child_that_fails_or_is_terminated_always_gives_its_parent_failure_details,
        ),
        case("G23", "Actions behind a completion take effect", actions_behind_a_completion_take_effect),
        case(
            "G24",
            "A termination in the same turn wins over completion",
            a_termination_in_the_same_turn_wins_over_completion,
        ),
        case(
            "G24",
            "A termination in the same turn wins over continue-as-new",
            a_termination_in_the_same_turn_wins_over_continue_as_new,
        ),
        case("G25", "A timer in the past fires at once", a_timer_in_the_past_fires_at_once),
        case(
            "G25",
            "The turn of a timer is told a time at or after the timer's",
            the_turn_of_a_timer_is_told_a_time_at_or_after_the_timers,
        ),
        case(
            "G25",
            "The turn of a timer is later than the timer in whole milliseconds too",
            the_turn_of_a_timer_is_later_than_the_timer_in_whole_milliseconds_too,
        ),
        case("G26", "An answer in three chunks is applied once", an_answer_in_three_chunks_is_applied_once),
        case("G26", "An activity is told what its action said", an_activity_is_told_what_its_action_said),
    ]
}

async fn an_activity_then_a_timer_then_a_child_make_exactly_these_twelve_events(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    worker.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    worker.activity().await.finish("one").await;
    let second = worker.turn_of(&id).await;
    let at = later(now(), 50);
    second.act([timer(2, at)]).await;
    worker.turn_of(&id).await.act([child(3, &born, "Child")]).await;
    worker.turn_of(&born).await.finish("three").await;
    worker.turn_of(&id).await.act([complete(4, "done")]).await;
    hub.ended(&id).await;

    let history = hub.history(&id).await;
    assert_eq!(
        kinds(&history),
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled",
            "OrchestratorStarted",
            "TaskCompleted",
            "TimerCreated",
            "OrchestratorStarted",
            "TimerFired",
            "SubOrchestrationInstanceCreated",
            "OrchestratorStarted",
            "SubOrchestrationInstanceCompleted",
            "ExecutionCompleted"
        ]
    );
    assert!(history.iter().all(|event| event.timestamp.is_some_and(|time| time.seconds > 0)));
    let ids: Vec<i32> = history.iter().map(|event| event.event_id).filter(|id| *id > 0).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    let facts: Vec<_> = history.iter().filter_map(|event| event.event_type.as_ref()).collect();
    assert!(matches!(facts[4], EventType::TaskCompleted(done) if done.task_scheduled_id == 1));
    assert!(
        matches!(facts[7], EventType::TimerFired(fired) if fired.timer_id == 2 && fired.fire_at == Some(at))
    );
    let child_done = |done: &wire::SubOrchestrationInstanceCompletedEvent| done.task_scheduled_id == 3;
    assert!(matches!(facts[10], EventType::SubOrchestrationInstanceCompleted(done) if child_done(done)));
    let EventType::ExecutionCompleted(last) = facts[11] else { unreachable!("checked above") };
    assert_eq!((last.orchestration_status(), last.result.as_deref()), (Is::Completed, Some("done")));
}

async fn an_activity_scheduled_again_under_its_id_is_run_again(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    for attempt in 1..=3 {
        worker.turn().await.act([call(1, "Work", "1")]).await;
        let activity = worker.activity().await;
        assert_eq!(activity.request.task_id, 1);
        if attempt < 3 {
            activity.fail(failure("not yet")).await;
        } else {
            activity.finish("at last").await;
        }
    }
    worker.turn().await.finish("done").await;
    hub.ended(&id).await;
    let history = kinds(&hub.history(&id).await);
    let count = |wanted| history.iter().filter(|kind| **kind == wanted).count();
    assert_eq!((count("TaskScheduled"), count("TaskFailed"), count("TaskCompleted")), (3, 2, 1));
}

async fn three_tries_of_a_child_with_three_tries_of_an_activity_make_nine_runs_under_one_child_id(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    let mut executions = Vec::new();
    let mut activities = 0;
    for _ in 0..3 {
        worker.turn_of(&id).await.act([child(1, &born, "Child")]).await;
        let first = worker.turn_of(&born).await;
        executions.push(first.execution());
        first.act([call(1, "Work", "1")]).await;
        for attempt in 1..=3 {
            let activity = worker.activity().await;
            activities += 1;
            activity.fail(failure("never")).await;
            let turn = worker.turn_of(&born).await;
            let action = if attempt < 3 { call(1, "Work", "1") } else { fail(2, failure("never")) };
            turn.act([action]).await;
        }
    }
    let last = worker.turn_of(&id).await;
    assert_eq!(last.kinds(), ["OrchestratorStarted", "SubOrchestrationInstanceFailed"]);
    last.act([fail(2, failure("Sub-orchestration task #1 failed: never"))]).await;
    hub.ended(&id).await;
    executions.dedup();
    assert_eq!((activities, executions.len()), (9, 3));
}

async fn a_child_that_fails_or_is_terminated_always_gives_its_parent_failure_details(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let (failing, bare, ended) = (hub.id("failing"), hub.id("bare"), hub.id("ended"));
    let children = [child(1, &failing, "Child"), child(2, &bare, "Child"), child(3, &ended, "Child")];
    worker.turn_of(&id).await.act(children).await;
    worker.turn_of(&failing).await.act([fail(1, failure("broken"))]).await;
    let told = worker.turn_of(&id).await;
    assert_eq!(child_failure(&told.news()), (1, failure("broken")));
    told.act([]).await;
    worker.turn_of(&bare).await.act([end(1, Is::Failed, None)]).await;
    let told = worker.turn_of(&id).await;
    assert_eq!(child_failure(&told.news()).0, 2);
    told.act([]).await;
    worker.turn_of(&ended).await.act([]).await;
    hub.terminate(&ended, "stopped").await;
    worker.turn_of(&ended).await.act([]).await;
    let told = worker.turn_of(&id).await;
    let (task, details) = child_failure(&told.news());
    assert_eq!(task, 3);
    assert!(!details.error_type.is_empty() && !details.error_message.is_empty(), "{details:?}");
    told.finish("done").await;
    hub.ended(&id).await;
}

async fn actions_behind_a_completion_take_effect(hub: Hub) {
    let mut worker = hub.worker().await;
    let target = hub.start("target", "Any").await;
    worker.turn_of(&target).await.act([]).await;
    let (id, entity) = (hub.start("a", "Any").await, hub.entity("counter", "a"));
    worker
        .turn_of(&id)
        .await
        .act([
            complete(1, "done"),
            send(2, &target, "e", "1"),
            signal(3, &entity, "add", "1"),
            unlock(1, "section", &id, &entity),
        ])
        .await;
    assert_eq!(worker.batch().await.operations(), ["add"]);
    let told = worker.turn_of(&target).await;
    assert_eq!(inputs(&told.news()), ["1"]);
    told.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_termination_in_the_same_turn_wins_over_completion(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.terminate(&id, "stopped").await;
    let turn = worker.turn().await;
    assert!(turn.kinds().contains(&"ExecutionTerminated"));
    turn.finish("done").await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stopped".into())));
}

async fn a_termination_in_the_same_turn_wins_over_continue_as_new(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.terminate(&id, "stopped").await;
    worker.turn().await.act([again(1, "next", vec![])]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stopped".into())));

    let other = hub.start("b", "Any").await;
    worker.turn().await.act([]).await;
    hub.raise(&other, "e", "1").await;
    let turn = worker.turn().await;
    hub.terminate(&other, "while it ran").await;
    turn.act([again(1, "next", vec![])]).await;
    let mut state = hub.state(&other).await.expect("it is there");
    while state.orchestration_status() != Is::Terminated {
        worker.turn().await.act([]).await;
        state = hub.state(&other).await.expect("it is there");
    }
    assert_eq!(state.output, Some("while it ran".into()));
}

async fn a_timer_in_the_past_fires_at_once(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let past = later(now(), -60_000);
    worker.turn().await.act([timer(1, past)]).await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "TimerFired"]);
    turn.finish("done").await;
}

async fn the_turn_of_a_timer_is_told_a_time_at_or_after_the_timers(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    // Finer than a microsecond, as the Java SDK sends it.
    let mut at = later(now(), 100);
    at.nanos = at.nanos / 1_000 * 1_000 + 1;
    worker.turn().await.act([timer(1, at)]).await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "TimerFired"]);
    assert!(order(&turn.time()) >= order(&at), "{:?} is before {at:?}", turn.time());
    turn.finish("done").await;
}

async fn the_turn_of_a_timer_is_later_than_the_timer_in_whole_milliseconds_too(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let mut turn = worker.turn().await;
    // The Java SDK reads no more of a moment, and sets a timer once more that it finds too early.
    let milliseconds = |at: prost_types::Timestamp| (at.seconds, at.nanos / 1_000_000);
    for id in 1..=20 {
        let mut at = later(turn.time(), 1);
        at.nanos = at.nanos / 1_000_000 * 1_000_000;
        turn.act([timer(id, at)]).await;
        turn = worker.turn().await;
        assert!(milliseconds(turn.time()) > milliseconds(at), "{:?} is not after {at:?}", turn.time());
    }
    turn.finish("done").await;
}

#[expect(deprecated, reason = "chunked answers are deprecated, and some SDKs still send them")]
async fn an_answer_in_three_chunks_is_applied_once(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let chunk = |index: i32, partial| wire::OrchestratorResponse {
        is_partial: partial,
        chunk_index: Some(index),
        num_events_processed: (index > 0).then_some(0),
        ..turn.answer(vec![call(index + 1, "Work", "1")])
    };
    turn.send(chunk(0, true)).await.expect("the first chunk is taken");
    turn.send(chunk(1, true)).await.expect("the second chunk is taken");
    turn.send(chunk(1, true)).await.expect("it is said again where its answer was not heard");
    assert_eq!(hub.status(&id).await, Is::Pending, "nothing is applied yet");
    assert!(worker.is_idle().await);
    turn.send(chunk(2, false)).await.expect("the last chunk is taken");
    for task in 1..=3 {
        assert_eq!(worker.activity().await.request.task_id, task);
    }
    assert_eq!(
        kinds(&hub.history(&id).await),
        ["OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "TaskScheduled", "TaskScheduled"]
    );
    assert!(worker.is_idle().await);
}

async fn an_activity_is_told_what_its_action_said(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let trace = wire::TraceContext { trace_parent: "00-trace-01".into(), ..Default::default() };
    let task = wire::ScheduleTaskAction {
        name: "Work".into(),
        version: Some("2".into()),
        input: Some(String::new()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        parent_trace_context: Some(trace.clone()),
    };
    worker.turn().await.act([call_with(5, task)]).await;
    let request = worker.activity().await.request;
    assert_eq!((request.task_id, request.name.as_str()), (5, "Work"));
    assert_eq!((request.version, request.input), (Some("2".into()), Some(String::new())));
    assert_eq!(request.tags.get("k").map(String::as_str), Some("v"));
    assert_eq!(request.parent_trace_context, Some(trace));
    assert_eq!(request.orchestration_instance.map(|instance| instance.instance_id), Some(id));
}

/// The data of raised events, in order.
pub(super) fn inputs(events: &[EventType]) -> Vec<String> {
    let raised = events.iter().filter_map(|event| match event {
        EventType::EventRaised(raised) => raised.input.clone(),
        _ => None,
    });
    raised.collect()
}

fn child_failure(events: &[EventType]) -> (i32, wire::TaskFailureDetails) {
    let failed = events.iter().find_map(|event| match event {
        EventType::SubOrchestrationInstanceFailed(failed) => {
            Some((failed.task_scheduled_id, failed.failure_details.clone()))
        }
        _ => None,
    });
    let (task, details) = failed.expect("the parent is told of a failed child");
    (task, details.expect("with details"))
}
