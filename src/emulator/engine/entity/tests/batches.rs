//! Tests how operations are gathered into batches and answered.

use super::*;
use crate::wire::operation_action::OperationActionType;

#[test]
fn operations_run_in_the_order_they_came_one_batch_at_a_time() {
    let mut hub = hub();
    hub.signal("a", "one");
    hub.call("o", "a", "two");
    let (number, names) = hub.hand_out("a").unwrap();
    assert_eq!(names, ["one", "two"]);
    hub.signal("a", "three");
    assert_eq!(hub.hand_out("a"), None, "one batch at a time");
    hub.complete("a", number, answer(vec![success("1"), success("2")], Some("2")));
    assert_eq!(hub.answers(), ["o: id-of-two ok"]);
    assert_eq!(hub.run("a", Some("3")), ["three"]);
    assert_eq!(hub.entities.get(&entity("a"), true).unwrap().serialized_state.as_deref(), Some("3"));
    hub.assert_rebuilds();
}

#[test]
fn an_entity_is_offered_once_however_much_is_sent_to_it() {
    let mut hub = hub();
    for _ in 0..3 {
        hub.signal("a", "add");
    }
    assert_eq!(hub.heard.ready, [entity("a")]);
}

#[test]
fn a_call_carries_its_caller_and_no_target_and_its_request_id_unchanged() {
    let mut hub = hub();
    hub.call("o", "a", "get");
    let batch = hub.entities.hand_out(&entity("a"), 100).unwrap();
    assert_eq!(batch.request.entity_state, None);
    assert_eq!(batch.request.instance_id, "@counter@a");
    let event = &batch.request.operation_requests[0];
    assert_eq!((event.event_id, event.timestamp), (-1, Some(hub.now.to_wire())));
    let Some(EventType::EntityOperationCalled(called)) = &event.event_type else { panic!("{event:?}") };
    assert_eq!(called.parent_instance_id.as_deref(), Some("o"));
    assert_eq!(called.parent_execution_id.as_deref(), Some("o-1"));
    assert_eq!(called.target_instance_id, None);
    assert_eq!(called.request_id, "id-of-get");
}

#[test]
fn a_failed_operation_fails_its_call_alone() {
    let mut hub = hub();
    hub.call("o", "a", "bad");
    hub.call("o", "a", "good");
    let (number, _) = hub.hand_out("a").unwrap();
    hub.complete("a", number, answer(vec![failure("no"), success("1")], None));
    assert_eq!(hub.answers(), ["o: id-of-bad Oops", "o: id-of-good ok"]);
}

#[test]
fn a_partial_answer_leaves_the_rest_at_the_head() {
    let mut hub = hub();
    for name in ["one", "two", "three"] {
        hub.call("o", "a", name);
    }
    let (number, _) = hub.hand_out("a").unwrap();
    hub.signal("a", "four");
    hub.complete("a", number, answer(vec![success("1")], Some("1")));
    assert_eq!(hub.answers(), ["o: id-of-one ok"]);
    assert_eq!(hub.run("a", Some("4")), ["two", "three", "four"]);
    hub.assert_rebuilds();
}

fn whole(is_non_retriable: bool) -> wire::EntityBatchResult {
    let failed = crate::model::failure::details("Crash", "worker");
    wire::EntityBatchResult {
        failure_details: Some(wire::TaskFailureDetails { is_non_retriable, ..failed }),
        ..Default::default()
    }
}

#[test]
fn a_batch_that_fails_as_a_whole_comes_again_and_later_each_time_and_loses_nothing() {
    let mut hub = hub();
    hub.call("o", "a", "one");
    hub.signal("a", "two");
    let mut pauses = Vec::new();
    for _ in 0..20 {
        let (number, names) = hub.hand_out("a").unwrap();
        assert_eq!(names, ["one", "two"]);
        let Completion::Retry(after) = hub.complete("a", number, whole(false)) else {
            panic!("given up early")
        };
        pauses.push(after);
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[5], "{pauses:?}");
    assert_eq!(hub.answers(), Vec::<String>::new());
    assert_eq!(hub.run("a", Some("1")), ["one", "two"]);
}

#[test]
fn a_call_is_answered_once_its_batches_have_failed_for_long_and_a_signal_waits_on() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.call("o", "a", "old");
    let (number, _) = hub.hand_out("a").unwrap();
    assert!(matches!(hub.complete("a", number, whole(false)), Completion::Retry(_)));
    hub.now = hub.now.plus(batch::CALLS_WAIT);
    hub.call("o", "a", "new");
    let (number, names) = hub.hand_out("a").unwrap();
    assert_eq!(names, ["set", "old", "new"]);
    assert!(matches!(hub.complete("a", number, whole(false)), Completion::Retry(_)));
    assert_eq!(hub.answers(), ["o: id-of-old Crash"], "a call that has just come has a wait of its own");
    assert_eq!(hub.run("a", Some("7")), ["set", "new"]);
    hub.assert_rebuilds();
}

#[test]
fn a_batch_failure_that_says_not_to_retry_is_final_for_calls_alone_and_keeps_the_state() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.run("a", Some("7"));
    hub.call("o", "a", "one");
    let (number, _) = hub.hand_out("a").unwrap();
    hub.signal("a", "two");
    assert!(matches!(hub.complete("a", number, whole(true)), Completion::Retry(_)), "the signal has to wait");
    assert_eq!(hub.answers(), ["o: id-of-one Crash"]);
    assert_eq!(hub.entities.find(&entity("a")).unwrap().state(), Some("7"));
    let (number, _) = hub.hand_out("a").unwrap();
    assert!(matches!(hub.complete("a", number, whole(true)), Completion::Retry(_)));
    assert_eq!(hub.run("a", Some("8")), ["two"]);
    hub.call("o", "a", "last");
    let (number, _) = hub.hand_out("a").unwrap();
    assert_eq!(hub.complete("a", number, whole(true)), Completion::Applied, "nothing is left to wait");
    hub.assert_rebuilds();
}

#[test]
fn calls_that_are_given_up_make_way_for_a_lock_request_behind_them() {
    let mut hub = hub();
    hub.call("o", "a", "one");
    hub.lock("p", &["a"]);
    let (number, _) = hub.hand_out("a").unwrap();
    assert_eq!(hub.complete("a", number, whole(true)), Completion::Applied);
    assert_eq!(hub.entities.find(&entity("a")).unwrap().locked_by(), Some(&InstanceId::unchecked("p")));
    hub.assert_rebuilds();
}

#[test]
fn an_answer_without_results_touches_nothing_and_does_not_spin() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.run("a", Some("7"));
    hub.signal("a", "add");
    let (number, _) = hub.hand_out("a").unwrap();
    let Completion::Retry(after) = hub.complete("a", number, answer(Vec::new(), None)) else { panic!() };
    assert!(after > Duration::ZERO);
    assert_eq!(hub.entities.find(&entity("a")).unwrap().state(), Some("7"));
    assert_eq!(hub.run("a", Some("8")), ["add"]);
}

#[test]
fn what_makes_no_sense_in_an_answer_is_left_out_and_said() {
    let mut hub = hub();
    hub.signal("a", "add");
    let (number, _) = hub.hand_out("a").unwrap();
    let unknown = wire::OperationAction::default();
    let to_no_entity = wire::OperationAction {
        operation_action_type: Some(OperationActionType::SendSignal(wire::SendSignalAction {
            instance_id: "counter".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let answer = wire::EntityBatchResult {
        actions: vec![unknown, to_no_entity],
        ..answer(vec![success("1"), success("2")], Some("1"))
    };
    assert_eq!(hub.complete("a", number, answer), Completion::Applied);
    assert_eq!(hub.heard.skipped.len(), 3, "{:?}", hub.heard.skipped);
    assert_eq!(hub.entities.find(&entity("a")).unwrap().state(), Some("1"));
    assert_eq!(hub.hand_out("a"), None, "the operation ran once");
    hub.assert_rebuilds();
}

#[test]
fn a_lost_worker_costs_nothing_and_its_late_answer_counts_for_nothing() {
    let mut hub = hub();
    hub.call("o", "a", "add");
    let (lost, _) = hub.hand_out("a").unwrap();
    assert!(hub.entities.give_back(&entity("a"), lost));
    let (number, names) = hub.hand_out("a").unwrap();
    assert_eq!(names, ["add"]);
    assert_eq!(hub.complete("a", lost, answer(vec![success("1")], Some("1"))), Completion::Stale);
    assert!(!hub.entities.give_back(&entity("a"), lost));
    hub.complete("a", number, answer(vec![success("1")], Some("1")));
    assert_eq!(hub.answers(), ["o: id-of-add ok"]);
}

#[test]
fn the_answer_of_a_lost_worker_counts_until_somebody_else_has_the_batch() {
    let mut hub = hub();
    hub.call("o", "a", "add");
    let (lost, _) = hub.hand_out("a").unwrap();
    assert!(hub.entities.lose(&entity("a"), lost));
    hub.complete("a", lost, answer(vec![success("1")], Some("1")));
    assert_eq!(hub.answers(), ["o: id-of-add ok"]);
    assert_eq!(hub.hand_out("a"), None, "it has run");
}

#[test]
fn side_effects_follow_in_order_with_ids_of_their_own() {
    let mut hub = hub();
    hub.signal("a", "spread");
    let (number, _) = hub.hand_out("a").unwrap();
    let send = |key: &str| wire::SendSignalAction {
        instance_id: entity(key).to_string(),
        name: "ping".into(),
        ..Default::default()
    };
    let start = |id: &str| wire::StartNewOrchestrationAction {
        instance_id: id.into(),
        name: "Report".into(),
        ..Default::default()
    };
    let actions = [
        OperationActionType::SendSignal(send("b")),
        OperationActionType::StartNewOrchestration(start("report-1")),
        OperationActionType::SendSignal(send("a")),
        OperationActionType::StartNewOrchestration(start("")),
    ];
    let actions = actions.map(|body| wire::OperationAction { id: 0, operation_action_type: Some(body) });
    let done = wire::EntityBatchResult { actions: actions.to_vec(), ..answer(vec![success("")], Some("1")) };
    hub.complete("a", number, done);
    let starts: Vec<_> = hub.heard.starts.iter().map(|start| start.id.clone()).collect();
    assert_eq!(starts, [Some(InstanceId::unchecked("report-1")), None]);
    let batch = hub.entities.hand_out(&entity("b"), 100).unwrap();
    let Some(EventType::EntityOperationSignaled(ping)) = &batch.request.operation_requests[0].event_type
    else {
        panic!()
    };
    assert_eq!((ping.operation.as_str(), ping.request_id.as_str()), ("ping", "minted-1"));
    assert_eq!(hub.run("a", Some("2")), ["ping"], "to itself, too");
    hub.assert_rebuilds();
}

#[test]
fn a_batch_stays_below_the_size_of_a_message_and_takes_a_giant_alone() {
    let mut hub = hub();
    for _ in 0..3 {
        let giant = wire::EntityOperationSignaledEvent { input: Some("x".repeat(2 << 20)), ..signal("big") };
        hub.entities.send(&entity("a"), Operation::signal(hub.now, giant), hub.now, &mut hub.heard);
    }
    assert_eq!(hub.run("a", None).len(), 1);
    assert_eq!(hub.entities.hand_out(&entity("a"), 1).unwrap().request.operation_requests.len(), 1);
}
