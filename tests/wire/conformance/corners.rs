//! Tells what becomes of the rarer mixtures that the rules allow.

use super::builders::{again, call, child, complete, end, fail, failure, later, now, raised, signal, timer};
use super::fixture::{Hub, code};
use super::worker::kinds;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "G22",
            "A child under the id of another live instance fails to its parent",
            a_child_under_the_id_of_another_live_instance_fails_to_its_parent,
        )
        .differs("other backends drop the child and let its parent wait for ever"),
        case(
            "G22",
            "A child's result does not reach a parent that has continued as new",
            a_childs_result_does_not_reach_a_parent_that_has_continued_as_new,
        ),
        case(
            "G19",
            "A custom status and a suspension outlive continue-as-new",
            a_custom_status_and_a_suspension_outlive_continue_as_new,
        )
        .differs("backends differ on the custom status, and none is documented"),
        case(
            "G19",
            "What is scheduled beside continue-as-new is dropped, but signals are sent",
            what_is_scheduled_beside_continue_as_new_is_dropped_but_signals_are_sent,
        ),
        case(
            "G16",
            "A pending instance cannot be restarted under its own id",
            a_pending_instance_cannot_be_restarted_under_its_own_id,
        ),
        case(
            "G20",
            "Events that a turn leaves unprocessed stay ahead of those that came meanwhile",
            events_that_a_turn_leaves_unprocessed_stay_ahead_of_those_that_came_meanwhile,
        ),
        case(
            "G24",
            "Of two completions in one answer a termination wins, and otherwise the first",
            of_two_completions_in_one_answer_a_termination_wins_and_otherwise_the_first,
        ),
        case(
            "R20",
            "A failed instance keeps its failure details for later readers",
            a_failed_instance_keeps_its_failure_details_for_later_readers,
        ),
        case(
            "R19",
            "Events carried over come before those that a partial turn leaves unprocessed",
            events_carried_over_come_before_those_that_a_partial_turn_leaves_unprocessed,
        ),
    ]
}

async fn a_child_under_the_id_of_another_live_instance_fails_to_its_parent(hub: Hub) {
    let mut worker = hub.worker().await;
    let stranger = hub.start("stranger", "Any").await;
    worker.turn_of(&stranger).await.act([]).await;
    let id = hub.start("a", "Any").await;
    worker.turn_of(&id).await.act([child(1, &stranger, "Child")]).await;
    let told = worker.turn_of(&id).await;
    let news = told.news();
    let EventType::SubOrchestrationInstanceFailed(failed) = &news[1] else { panic!("failed: {news:?}") };
    assert_eq!(failed.task_scheduled_id, 1);
    assert!(failed.failure_details.as_ref().is_some_and(|details| !details.error_message.is_empty()));
    told.finish("done").await;
    let state = hub.state(&stranger).await.expect("it is there");
    assert_eq!((state.name.as_str(), state.orchestration_status()), ("Any", Is::Running));
}

async fn a_childs_result_does_not_reach_a_parent_that_has_continued_as_new(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    worker.turn_of(&id).await.act([child(1, &born, "Child")]).await;
    let small = worker.turn_of(&born).await;
    hub.raise(&id, "go", "1").await;
    worker.turn_of(&id).await.act([again(2, "next", vec![])]).await;
    worker.turn_of(&id).await.act([]).await;
    small.finish("late").await;
    assert_eq!(hub.ended(&born).await.output, Some("late".into()));
    assert!(worker.is_idle().await);
    hub.terminate(&id, "end").await;
}

async fn a_custom_status_and_a_suspension_outlive_continue_as_new(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let answer = wire::OrchestratorResponse {
        custom_status: Some("\"one\"".into()),
        ..turn.answer(vec![again(1, "next", vec![])])
    };
    hub.suspend(&id).await;
    turn.send(answer).await.expect("the answer is taken");
    let next = worker.turn().await;
    assert_eq!(next.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
    let answer = wire::OrchestratorResponse { custom_status: Some("\"one\"".into()), ..next.answer(vec![]) };
    next.send(answer).await.expect("the answer is taken");
    let next = worker.turn().await;
    assert_eq!(next.kinds(), ["OrchestratorStarted", "ExecutionSuspended"]);
    assert_eq!(hub.state(&id).await.and_then(|state| state.custom_status), Some("\"one\"".into()));
    next.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.terminate(&id, "end").await;
}

async fn what_is_scheduled_beside_continue_as_new_is_dropped_but_signals_are_sent(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, entity) = (hub.start("a", "Any").await, hub.entity("counter", "a"));
    let actions = [
        call(1, "Work", "1"),
        timer(2, later(now(), 10)),
        signal(3, &entity, "add", "1"),
        again(4, "next", vec![]),
    ];
    worker.turn().await.act(actions).await;
    assert_eq!(worker.batch().await.operations(), ["add"]);
    worker.turn().await.act([]).await;
    assert!(worker.is_idle().await, "the new execution gets nothing of the old");
    hub.terminate(&id, "end").await;
}

async fn a_pending_instance_cannot_be_restarted_under_its_own_id(hub: Hub) {
    let id = hub.start("a", "Any").await;
    assert_eq!(code(hub.restart(&id, false).await), Code::FailedPrecondition);
    assert_eq!(hub.status(&id).await, Is::Pending);
}

async fn events_that_a_turn_leaves_unprocessed_stay_ahead_of_those_that_came_meanwhile(hub: Hub) {
    let id = hub.start("a", "Any").await;
    hub.raise(&id, "e", "1").await;
    hub.raise(&id, "e", "2").await;
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    hub.raise(&id, "e", "3").await;
    // ExecutionStarted and the first event are consumed.
    let answer = wire::OrchestratorResponse { num_events_processed: Some(2), ..turn.answer(vec![]) };
    turn.send(answer).await.expect("the answer is taken");
    let next = worker.turn().await;
    let inputs: Vec<_> = next
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::EventRaised(raised) => raised.input,
            _ => None,
        })
        .collect();
    assert_eq!(inputs, ["2", "3"]);
    assert_eq!(kinds(&next.request.past_events), ["OrchestratorStarted", "ExecutionStarted", "EventRaised"]);
    next.finish("done").await;
}

async fn of_two_completions_in_one_answer_a_termination_wins_and_otherwise_the_first(hub: Hub) {
    let mut worker = hub.worker().await;
    let first = hub.start("first", "Any").await;
    worker.turn().await.act([complete(1, "one"), complete(2, "two")]).await;
    assert_eq!(hub.ended(&first).await.output, Some("one".into()));
    let second = hub.start("second", "Any").await;
    worker.turn().await.act([complete(1, "one"), end(2, Is::Terminated, Some("stopped"))]).await;
    let state = hub.ended(&second).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stopped".into())));
}

async fn a_failed_instance_keeps_its_failure_details_for_later_readers(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([fail(1, failure("broken"))]).await;
    hub.ended(&id).await;
    hub.raise(&id, "late", "1").await;
    let state = hub.state(&id).await.expect("it is there");
    assert_eq!(state.failure_details, Some(failure("broken")));
    assert_eq!(state.output, None);
    assert!(worker.is_idle().await, "an event to an ended instance is dropped");
}

async fn events_carried_over_come_before_those_that_a_partial_turn_leaves_unprocessed(hub: Hub) {
    let id = hub.start("a", "Any").await;
    for input in ["1", "2"] {
        hub.raise(&id, "e", input).await;
    }
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    let answer = wire::OrchestratorResponse {
        num_events_processed: Some(2),
        ..turn.answer(vec![again(1, "next", vec![raised("e", "1")])])
    };
    turn.send(answer).await.expect("the answer is taken");
    let next = worker.turn().await;
    let inputs: Vec<_> = next
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::EventRaised(raised) => raised.input,
            _ => None,
        })
        .collect();
    assert_eq!(inputs, ["1", "2"]);
    next.finish("done").await;
}
