//! Tells what the official suites ask of running instances (R17 to R27).

use super::builders::{again, call, child, end, failure, later, now, order, raised, send, terminate, timer};
use super::fixture::Hub;
use super::worker::kinds;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R17",
            "An instance is pending until its first turn is committed",
            an_instance_is_pending_until_its_first_turn_is_committed,
        ),
        case(
            "R17",
            "A later turn without a custom status clears it, and a JSON empty string is a status",
            a_later_turn_without_a_custom_status_clears_it_and_a_json_empty_string_is_a_status,
        ),
        case(
            "R18",
            "An instance has one turn at a time, and events wait for the next in order",
            an_instance_has_one_turn_at_a_time_and_events_wait_for_the_next_in_order,
        ),
        case(
            "R19",
            "Continue-as-new makes the result the input and forgets the history",
            continue_as_new_makes_the_result_the_input_and_forgets_the_history,
        ),
        case(
            "R19",
            "Results that an old execution waited for do not reach the new one",
            results_that_an_old_execution_waited_for_do_not_reach_the_new_one,
        ),
        case(
            "R20",
            "Failure details are copied whole to the orchestration that waits",
            failure_details_are_copied_whole_to_the_orchestration_that_waits,
        ),
        case(
            "R21",
            "A child is created over its ended predecessor, whose result is not taken for the child's",
            a_child_is_created_over_its_ended_predecessor_whose_result_is_not_taken_for_the_childs,
        ),
        case(
            "R22",
            "Timers of zero length each make a turn, and none fires early",
            timers_of_zero_length_each_make_a_turn_and_none_fires_early,
        ),
        case(
            "R22",
            "Timers that are due together fire in the order of their time and then of their id",
            timers_that_are_due_together_fire_in_the_order_of_their_time_and_then_of_their_id,
        ),
        case("R23", "A timer may be a century away", a_timer_may_be_a_century_away),
        case(
            "R24",
            "A sent event is recorded, and delivered or silently dropped",
            a_sent_event_is_recorded_and_delivered_or_silently_dropped,
        ),
        case(
            "R25",
            "An instance can be suspended right after its start",
            an_instance_can_be_suspended_right_after_its_start,
        ),
        case(
            "R26",
            "The output of a termination is kept as given",
            the_output_of_a_termination_is_kept_as_given,
        ),
        case(
            "R26",
            "A recursive termination terminates the children, and one that is not recursive leaves them",
            a_recursive_termination_terminates_the_children_and_one_that_is_not_recursive_leaves_them,
        ),
        case("R26", "An orchestration can terminate another", an_orchestration_can_terminate_another),
        case("R27", "An abandoned activity comes again", an_abandoned_activity_comes_again),
        case(
            "R27",
            "An abandoned batch comes again, and abandoning does not spin",
            an_abandoned_batch_comes_again_and_abandoning_does_not_spin,
        ),
    ]
}

async fn an_instance_is_pending_until_its_first_turn_is_committed(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    assert_eq!(hub.status(&id).await, Is::Pending, "a turn that runs is not committed");
    let answer = wire::OrchestratorResponse { custom_status: Some("\"busy\"".into()), ..turn.answer(vec![]) };
    let waiting = {
        let (hub, id) = (hub.clone(), id.clone());
        tokio::spawn(async move { hub.started(&id).await })
    };
    turn.send(answer).await.expect("the answer is taken");
    let state = waiting.await.expect("the wait is answered");
    assert_eq!(state.orchestration_status(), Is::Running);
    assert_eq!(state.custom_status, Some("\"busy\"".into()), "the first turn's status is seen at once");
}

async fn a_later_turn_without_a_custom_status_clears_it_and_a_json_empty_string_is_a_status(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    for (sent, kept) in
        [(Some("\"one\""), Some("\"one\"")), (None, None), (Some("\"\""), Some("\"\"")), (Some(""), None)]
    {
        let turn = worker.turn().await;
        let answer =
            wire::OrchestratorResponse { custom_status: sent.map(Into::into), ..turn.answer(vec![]) };
        turn.send(answer).await.expect("the answer is taken");
        assert_eq!(hub.state(&id).await.and_then(|state| state.custom_status).as_deref(), kept);
        hub.raise(&id, "next", "1").await;
    }
}

async fn an_instance_has_one_turn_at_a_time_and_events_wait_for_the_next_in_order(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    for number in 0..10 {
        hub.raise(&id, "e", &number.to_string()).await;
    }
    assert!(worker.is_idle().await, "a second turn came while the first ran");
    turn.act([]).await;
    let next = worker.turn().await;
    let inputs: Vec<_> = next
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::EventRaised(raised) => raised.input,
            _ => None,
        })
        .collect();
    assert_eq!(inputs, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(kinds(&next.request.past_events), ["OrchestratorStarted", "ExecutionStarted"]);
    next.finish("done").await;
}

async fn continue_as_new_makes_the_result_the_input_and_forgets_the_history(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    turn.act([again(1, "2", vec![raised("e", "kept")])]).await;
    hub.raise(&id, "e", "newer").await;
    let mut inputs = Vec::new();
    loop {
        let next = worker.turn().await;
        inputs.extend(next.news().into_iter().filter_map(|event| match event {
            EventType::EventRaised(raised) => raised.input,
            _ => None,
        }));
        if inputs.len() == 2 {
            next.finish("done").await;
            break;
        }
        next.act([]).await;
    }
    assert_eq!(inputs, ["kept", "newer"]);
    let state = hub.ended(&id).await;
    assert_eq!((state.input, state.output), (Some("2".into()), Some("done".into())));
    assert!(hub.history_of(&id, Some(turn.execution()), false).await.is_empty(), "the old is not to be read");
}

async fn results_that_an_old_execution_waited_for_do_not_reach_the_new_one(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1"), timer(2, later(now(), 400))]).await;
    let activity = worker.activity().await;
    hub.raise(&id, "go", "1").await;
    worker.turn().await.act([again(3, "2", vec![])]).await;
    worker.turn().await.act([]).await;
    activity.finish("late").await;
    let idle = worker.is_idle().await && worker.is_idle().await;
    assert!(idle, "the old timer and the old result are dropped");
    hub.terminate(&id, "end").await;
}

async fn failure_details_are_copied_whole_to_the_orchestration_that_waits(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    worker.turn_of(&id).await.act([call(1, "Work", "1"), child(2, &born, "Child")]).await;
    worker.activity().await.fail(failure("first")).await;
    let told = worker.turn_of(&id).await;
    assert!(told.news().iter().any(
        |event| matches!(event, EventType::TaskFailed(failed) if failed.failure_details == Some(failure("first")))
    ));
    told.act([]).await;
    worker.turn_of(&born).await.act([super::builders::fail(1, failure("second"))]).await;
    let told = worker.turn_of(&id).await;
    assert!(told.news().iter().any(|event| matches!(
        event,
        EventType::SubOrchestrationInstanceFailed(failed) if failed.failure_details == Some(failure("second"))
    )));
    told.act([super::builders::fail(3, failure("third"))]).await;
    assert_eq!(hub.ended(&id).await.failure_details, Some(failure("third")));
}

async fn a_child_is_created_over_its_ended_predecessor_whose_result_is_not_taken_for_the_childs(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    for attempt in 0..2 {
        worker.turn_of(&id).await.act([child(1, &born, "Child")]).await;
        let turn = worker.turn_of(&born).await;
        assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
        if attempt == 0 {
            turn.act([super::builders::fail(1, failure("not yet"))]).await;
        } else {
            turn.finish("well").await;
        }
    }
    let last = worker.turn_of(&id).await;
    assert_eq!(last.kinds(), ["OrchestratorStarted", "SubOrchestrationInstanceCompleted"]);
    last.finish("done").await;
}

async fn timers_of_zero_length_each_make_a_turn_and_none_fires_early(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    for id in 1..=3 {
        let turn = worker.turn().await;
        turn.act([timer(id, turn.time())]).await;
    }
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "TimerFired"]);
    let at = later(turn.time(), 200);
    turn.act([timer(4, at)]).await;
    let fired = worker.turn().await;
    assert!(order(&fired.time()) >= order(&at));
    // Retry timers of 100 to 300 ms are bounded above by the suites; so is this one, with room for a busy machine.
    assert!(order(&fired.time()) < order(&later(at, 5_000)), "{:?} for {at:?}", fired.time());
    fired.finish("done").await;
}

async fn timers_that_are_due_together_fire_in_the_order_of_their_time_and_then_of_their_id(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let at = turn.time();
    turn.act([timer(1, later(at, 60)), timer(2, later(at, 50)), timer(3, later(at, 50))]).await;
    let mut fired = Vec::new();
    while fired.len() < 3 {
        let turn = worker.turn().await;
        fired.extend(turn.news().into_iter().filter_map(|event| match event {
            EventType::TimerFired(fired) => Some(fired.timer_id),
            _ => None,
        }));
        turn.act([]).await;
    }
    assert_eq!(fired, [2, 3, 1]);
}

async fn a_timer_may_be_a_century_away(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let mut far = now();
    far.seconds += 100 * 365 * 86_400;
    let never = prost_types::Timestamp { seconds: 253_402_300_799, nanos: 999_999_900 };
    worker.turn().await.act([timer(1, far), timer(2, never)]).await;
    assert!(worker.is_idle().await);
    let created: Vec<_> = hub
        .history(&id)
        .await
        .into_iter()
        .filter_map(|event| match event.event_type {
            Some(EventType::TimerCreated(timer)) => timer.fire_at,
            _ => None,
        })
        .collect();
    assert_eq!(created, [far, never]);
    hub.raise(&id, "instead", "1").await;
    worker.turn().await.finish("done").await;
}

async fn a_sent_event_is_recorded_and_delivered_or_silently_dropped(hub: Hub) {
    let mut worker = hub.worker().await;
    let (target, ended) = (hub.start("target", "Any").await, hub.start("ended", "Any").await);
    worker.turn_of(&target).await.act([]).await;
    worker.turn_of(&ended).await.finish("done").await;
    let id = hub.start("a", "Any").await;
    let nobody = hub.id("nobody");
    worker
        .turn_of(&id)
        .await
        .act([send(1, &target, "e", "1"), send(2, &ended, "e", "2"), send(3, &nobody, "e", "3")])
        .await;
    let told = worker.turn_of(&target).await;
    let news = told.news();
    let EventType::EventRaised(raised) = &news[1] else { panic!("raised: {news:?}") };
    assert_eq!((raised.name.as_str(), raised.input.as_deref()), ("e", Some("1")));
    let sent: Vec<_> = hub
        .history(&id)
        .await
        .into_iter()
        .filter_map(|event| match event.event_type {
            Some(EventType::EventSent(sent)) => {
                Some((event.event_id, sent.instance_id, sent.name, sent.input))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        sent,
        [
            (1, target, "e".into(), Some("1".into())),
            (2, ended.clone(), "e".into(), Some("2".into())),
            (3, nobody.clone(), "e".into(), Some("3".into()))
        ]
    );
    assert!(hub.state(&nobody).await.is_none());
    assert_eq!(hub.status(&ended).await, Is::Completed);
    assert!(worker.is_idle().await);
}

async fn an_instance_can_be_suspended_right_after_its_start(hub: Hub) {
    let id = hub.start("a", "Any").await;
    hub.suspend(&id).await;
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
    turn.act([]).await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionSuspended"]);
    turn.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.suspend(&id).await;
    hub.resume(&id).await;
    worker.turn().await.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Running);
    hub.raise(&id, "end", "1").await;
    let mut turn = worker.turn().await;
    while !turn.kinds().contains(&"EventRaised") {
        turn.act([]).await;
        turn = worker.turn().await;
    }
    turn.finish("done").await;
    hub.ended(&id).await;
    hub.suspend(&id).await;
    hub.resume(&id).await;
    assert_eq!(hub.status(&id).await, Is::Completed, "an ended instance stays as it is");
}

async fn the_output_of_a_termination_is_kept_as_given(hub: Hub) {
    let id = hub.start("a", "Any").await;
    hub.terminate(&id, "not json {").await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("not json {".into())));
    assert!(state.failure_details.is_none());
    hub.terminate(&id, "again").await;
    assert_eq!(hub.state(&id).await.and_then(|state| state.output), Some("not json {".into()));
}

async fn a_recursive_termination_terminates_the_children_and_one_that_is_not_recursive_leaves_them(hub: Hub) {
    let mut worker = hub.worker().await;
    for recursive in [true, false] {
        let id = hub.start(if recursive { "all" } else { "one" }, "Any").await;
        let born = format!("{id}-child");
        worker.turn_of(&id).await.act([child(1, &born, "Child")]).await;
        worker.turn_of(&born).await.act([]).await;
        hub.terminate_with(&id, "stopped", recursive).await;
        worker.turn_of(&id).await.act([end(2, Is::Terminated, Some("stopped"))]).await;
        assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Terminated);
        if recursive {
            worker.turn_of(&born).await.act([]).await;
            let state = hub.ended(&born).await;
            assert_eq!(state.orchestration_status(), Is::Terminated);
            assert_eq!(state.output, Some("stopped".into()));
        } else {
            assert_eq!(hub.status(&born).await, Is::Running);
        }
    }
}

async fn an_orchestration_can_terminate_another(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, other) = (hub.start("a", "Any").await, hub.start("other", "Any").await);
    worker.turn_of(&other).await.act([]).await;
    worker.turn_of(&id).await.act([terminate(1, &other, "by a", true)]).await;
    let turn = worker.turn_of(&other).await;
    let news = turn.news();
    let EventType::ExecutionTerminated(event) = &news[1] else { panic!("terminated: {news:?}") };
    assert_eq!((event.input.as_deref(), event.recurse), (Some("by a"), true));
    turn.act([]).await;
    assert_eq!(hub.ended(&other).await.output, Some("by a".into()));
}

async fn an_abandoned_activity_comes_again(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    let activity = worker.activity().await;
    activity.abandon().await;
    let again = worker.activity().await;
    assert_eq!(again.request, activity.request);
    again.finish("1").await;
    worker.turn().await.finish("done").await;
}

async fn an_abandoned_batch_comes_again_and_abandoning_does_not_spin(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    let began = now();
    let mut batch = worker.batch().await;
    for _ in 0..3 {
        batch.abandon().await;
        batch = worker.batch().await;
        assert_eq!(batch.operations(), ["add"]);
    }
    assert!(order(&now()) >= order(&later(began, 200)), "each time it takes a little longer");
    batch.finish(Some("1")).await;
}
