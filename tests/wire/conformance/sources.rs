//! Tells what the sources of the five SDKs ask of orchestrations where none of their suites does (R60 to R71).

use super::builders::{again, call, call_with, child, complete, end, fail, failure, raised, send};
use super::fixture::Hub;
use super::suites_history::only;
use super::worker::Turn;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::send_entity_message_action::EntityMessageType as Message;
use taskhub::wire::{self, OrchestrationStatus as Is, OrchestratorAction};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R60",
            "An answer to a turn that makes no sense is accepted and fails the instance by name",
            an_answer_to_a_turn_that_makes_no_sense_is_accepted_and_fails_the_instance_by_name,
        ),
        case(
            "R60",
            "A lock request without a set does not hang beside a completion",
            a_lock_request_without_a_set_does_not_hang_beside_a_completion,
        ),
        case(
            "R60",
            "An activity without a name is handed out for the worker to refuse",
            an_activity_without_a_name_is_handed_out_for_the_worker_to_refuse,
        ),
        case("R60", "A child without a name fails to its parent", a_child_without_a_name_fails_to_its_parent),
        case(
            "R60",
            "A termination wins over an answer that makes no sense",
            a_termination_wins_over_an_answer_that_makes_no_sense,
        ),
        case(
            "R64",
            "An activity that says it has no version goes to a worker that takes unversioned ones",
            an_activity_that_says_it_has_no_version_goes_to_a_worker_that_takes_unversioned_ones,
        ),
        case(
            "R65",
            "What a turn sends its own instance beside continue-as-new comes before what arrived meanwhile",
            what_a_turn_sends_its_own_instance_beside_continue_as_new_comes_before_what_arrived_meanwhile,
        ),
        case(
            "R65",
            "An event that a turn sends its own instance comes before newer ones that it carries over",
            an_event_that_a_turn_sends_its_own_instance_comes_before_newer_ones_that_it_carries_over,
        ),
        case(
            "R71",
            "Events carried over are put in the order of their times",
            events_carried_over_are_put_in_the_order_of_their_times,
        ),
        case(
            "R66",
            "The first turn of a generation is a millisecond later than the last of the one before",
            the_first_turn_of_a_generation_is_a_millisecond_later_than_the_last_of_the_one_before,
        ),
        case(
            "R67",
            "The events of an inbox have times that strictly increase",
            the_events_of_an_inbox_have_times_that_strictly_increase,
        ),
        case(
            "R68",
            "A completion without a token is for the current execution",
            a_completion_without_a_token_is_for_the_current_execution,
        ),
        case(
            "R69",
            "A turn whose answer says that it processed nothing is treated as abandoned",
            a_turn_whose_answer_says_that_it_processed_nothing_is_treated_as_abandoned,
        )
        .differs("not documented; taken at its word it would be asked again without end"),
        case(
            "R70",
            "Chunks are joined in the order of their index, whatever order they come in",
            chunks_are_joined_in_the_order_of_their_index_whatever_order_they_come_in,
        ),
    ]
}

fn act(id: i32, action: Action) -> OrchestratorAction {
    OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

fn lock_of(lock_set: &[&str]) -> OrchestratorAction {
    let lock = wire::EntityLockRequestedEvent {
        critical_section_id: "section".into(),
        lock_set: lock_set.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let message =
        wire::SendEntityMessageAction { entity_message_type: Some(Message::EntityLockRequested(lock)) };
    act(1, Action::SendEntityMessage(message))
}

/// The inputs of the raised events among a turn's news.
fn inputs(turn: &Turn) -> Vec<String> {
    let input = |event| match event {
        EventType::EventRaised(raised) => raised.input,
        _ => None,
    };
    turn.news().into_iter().filter_map(input).collect()
}

async fn an_answer_to_a_turn_that_makes_no_sense_is_accepted_and_fails_the_instance_by_name(hub: Hub) {
    let mut worker = hub.worker().await;
    let nobody = Action::SendEvent(wire::SendEventAction { name: "e".into(), ..Default::default() });
    let message = wire::SendEntityMessageAction { entity_message_type: None };
    let senseless = [
        ("unknown", OrchestratorAction { id: 1, orchestrator_action_type: None }),
        ("running", end(1, Is::Running, Some("1"))),
        ("pending", end(1, Is::Pending, Some("1"))),
        ("suspended", end(1, Is::Suspended, Some("1"))),
        ("nobody", act(1, nobody)),
        ("moment", act(1, Action::CreateTimer(wire::CreateTimerAction { fire_at: None }))),
        ("message", act(1, Action::SendEntityMessage(message))),
        ("no-set", lock_of(&[])),
        ("no-entity", lock_of(&["@counter@a", "counter"])),
    ];
    for (stem, action) in senseless {
        let id = hub.start(stem, "Any").await;
        let turn = worker.turn_of(&id).await;
        turn.send(turn.answer(vec![call(2, "Work", "1"), action])).await.expect("the answer is taken");
        let state = hub.ended(&id).await;
        assert_eq!(state.orchestration_status(), Is::Failed, "{stem}");
        let failed = state.failure_details.expect("a failure has details");
        assert_eq!(failed.error_type, "InvalidWorkerResponse", "{stem}");
        assert!(failed.is_non_retriable && failed.error_message.contains("action 1"), "{stem}: {failed:?}");
    }
    assert!(worker.is_idle().await, "nothing of such an answer is done, and no turn comes again");
}

async fn a_lock_request_without_a_set_does_not_hang_beside_a_completion(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    turn.send(turn.answer(vec![lock_of(&[])])).await.expect("the answer is taken");
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Failed);
    // Its id is free for a new run.
    let again = hub.start("a", "Any").await;
    worker.turn_of(&again).await.finish("done").await;
}

async fn an_activity_without_a_name_is_handed_out_for_the_worker_to_refuse(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "", "1")]).await;
    let activity = worker.activity().await;
    assert_eq!(activity.request.name, "");
    activity.fail(failure("no such activity")).await;
    worker.turn().await.act([fail(2, failure("no such activity"))]).await;
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Failed);
}

async fn a_child_without_a_name_fails_to_its_parent(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([child(1, &hub.id("born"), "")]).await;
    let told = worker.turn_of(&id).await;
    let details = told.news().into_iter().find_map(|event| match event {
        EventType::SubOrchestrationInstanceFailed(failed) => failed.failure_details,
        _ => None,
    });
    assert_eq!(details.expect("the parent is told").error_type, "OrchestrationNameMissing");
    assert!(hub.state(&hub.id("born")).await.is_none(), "no such child is made");
    told.finish("done").await;
}

async fn a_termination_wins_over_an_answer_that_makes_no_sense(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.terminate(&id, "stop").await;
    let turn = worker.turn().await;
    let unknown = OrchestratorAction { id: 1, orchestrator_action_type: None };
    turn.send(turn.answer(vec![unknown])).await.expect("the answer is taken");
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stop".into())));
}

async fn an_activity_that_says_it_has_no_version_goes_to_a_worker_that_takes_unversioned_ones(hub: Hub) {
    let mut orchestrator = hub.worker_with(only(&[("Any", &[])], &[], &[])).await;
    let mut versioned = hub.worker_with(only(&[], &[("Work", &["2.0"])], &[])).await;
    let mut unversioned = hub.worker_with(only(&[], &[("Work", &[""])], &[])).await;
    let id = hub
        .start_with(wire::CreateInstanceRequest {
            instance_id: hub.id("a"),
            name: "Any".into(),
            version: Some("2.0".into()),
            ..Default::default()
        })
        .await
        .expect("the instance starts");
    let work = |id, version: Option<&str>| {
        call_with(
            id,
            wire::ScheduleTaskAction {
                name: "Work".into(),
                version: version.map(Into::into),
                ..Default::default()
            },
        )
    };
    orchestrator.turn_of(&id).await.act([work(1, Some("")), work(2, None)]).await;
    let of_none = unversioned.activity().await;
    assert_eq!((of_none.request.task_id, of_none.request.version.as_deref()), (1, Some("")));
    let of_its_orchestration = versioned.activity().await;
    assert_eq!(of_its_orchestration.request.task_id, 2, "absent means that of the orchestration");
    of_none.finish("1").await;
    of_its_orchestration.finish("2").await;
}

async fn what_a_turn_sends_its_own_instance_beside_continue_as_new_comes_before_what_arrived_meanwhile(
    hub: Hub,
) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    for newer in ["3", "4"] {
        hub.raise(&id, "e", newer).await;
    }
    turn.act([send(1, &id, "e", "1"), send(2, &id, "e", "2"), again(3, "next", vec![raised("e", "0")])])
        .await;
    let next = worker.turn().await;
    assert_eq!(inputs(&next), ["0", "1", "2", "3", "4"], "carried over, then sent to itself, then newer");
    next.finish("done").await;
}

async fn an_event_that_a_turn_sends_its_own_instance_comes_before_newer_ones_that_it_carries_over(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.raise(&id, "e", "1").await;
    let first = worker.turn().await;
    hub.raise(&id, "e", "2").await;
    first.act([]).await;
    // .NET sends itself what it had buffered before this turn, and carries over what came with it.
    worker.turn().await.act([send(1, &id, "e", "1"), again(2, "next", vec![raised("e", "2")])]).await;
    let next = worker.turn().await;
    assert_eq!(inputs(&next), ["1", "2"]);
    next.finish("done").await;
}

async fn events_carried_over_are_put_in_the_order_of_their_times(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let at = |seconds, input| wire::HistoryEvent {
        timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        ..raised("e", input)
    };
    // Java carries them over out of a set.
    let carried = vec![at(9, "9"), at(7, "7"), at(0, "a"), at(8, "8"), at(0, "b")];
    worker.turn().await.act([again(1, "next", carried)]).await;
    let next = worker.turn().await;
    assert_eq!(inputs(&next), ["a", "b", "7", "8", "9"], "equal times keep their order");
    next.finish("done").await;
}

async fn the_first_turn_of_a_generation_is_a_millisecond_later_than_the_last_of_the_one_before(hub: Hub) {
    let mut worker = hub.worker().await;
    hub.start("a", "Any").await;
    let mut before: Option<i64> = None;
    for generation in 0..50 {
        let turn = worker.turn().await;
        let at = turn.time();
        let millisecond = at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000;
        if let Some(before) = before {
            assert!(
                millisecond > before,
                "generation {generation} begins in the millisecond of the last turn"
            );
        }
        before = Some(millisecond);
        if generation == 49 {
            turn.finish("done").await;
        } else {
            turn.act([again(1, "next", vec![])]).await;
        }
    }
}

async fn the_events_of_an_inbox_have_times_that_strictly_increase(hub: Hub) {
    let id = hub.start("a", "Any").await;
    // Sent at once, so that many are taken in one moment.
    let raising: Vec<_> = (0..400)
        .map(|_| {
            let (hub, id) = (hub.clone(), id.clone());
            tokio::spawn(async move { hub.raise(&id, "e", "same").await })
        })
        .collect();
    for raised in raising {
        raised.await.expect("the event is taken");
    }
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    let times: Vec<_> = turn.request.new_events[2..]
        .iter()
        .map(|event| event.timestamp.expect("every event has a time"))
        .map(|time| (time.seconds, time.nanos))
        .collect();
    assert_eq!(times.len(), 400);
    assert!(times.is_sorted_by(|one, next| one < next), "two events of one inbox have the same time");
    turn.finish("done").await;
}

async fn a_completion_without_a_token_is_for_the_current_execution(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "old")]).await;
    let old = worker.activity().await;
    hub.raise(&id, "go", "1").await;
    worker.turn().await.act([again(2, "next", vec![])]).await;
    worker.turn().await.act([call(1, "Work", "new")]).await;
    let new = worker.activity().await;
    assert_eq!(new.request.input.as_deref(), Some("new"));
    let without_token = |result: &str| wire::ActivityResponse {
        instance_id: id.clone(),
        task_id: 1,
        result: Some(result.into()),
        ..Default::default()
    };
    hub.client().complete_activity_task(without_token("new's")).await.expect("the answer is taken");
    let turn = worker.turn().await;
    let results: Vec<_> = turn
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::TaskCompleted(done) => done.result,
            _ => None,
        })
        .collect();
    assert_eq!(results, ["new's"]);
    hub.client().complete_activity_task(without_token("old's")).await.expect("the late answer is taken");
    turn.finish("done").await;
    drop(old);
}

async fn a_turn_whose_answer_says_that_it_processed_nothing_is_treated_as_abandoned(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let answer = wire::OrchestratorResponse {
        num_events_processed: Some(0),
        ..turn.answer(vec![call(1, "Work", "1")])
    };
    turn.send(answer).await.expect("the answer is taken");
    let again = worker.turn().await;
    assert_eq!(again.kinds(), turn.kinds(), "the same turn comes again");
    assert_eq!(hub.status(&id).await, Is::Pending, "nothing of it is committed");
    again.finish("done").await;
    assert!(worker.is_idle().await, "its activity was not scheduled");
}

#[expect(deprecated, reason = "chunked answers are deprecated, and some SDKs still send them")]
async fn chunks_are_joined_in_the_order_of_their_index_whatever_order_they_come_in(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let chunk = |index: i32, last: bool, action| wire::OrchestratorResponse {
        is_partial: !last,
        chunk_index: Some(index),
        num_events_processed: (index > 0).then_some(0),
        ..turn.answer(vec![action])
    };
    turn.send(chunk(0, false, call(1, "Work", "1"))).await.expect("the chunk is taken");
    turn.send(chunk(2, true, complete(3, "done"))).await.expect("the last chunk is taken");
    assert_eq!(hub.status(&id).await, Is::Pending, "one is still missing");
    turn.send(chunk(1, false, send(2, &id, "e", "1"))).await.expect("the missing chunk is taken");
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
    let kinds = super::worker::kinds(&hub.history(&id).await);
    let due = ["OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "EventSent", "ExecutionCompleted"];
    assert_eq!(kinds, due);
}
