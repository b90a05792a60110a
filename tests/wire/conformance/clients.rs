//! Tells what clients may ask for and how they are answered (G7 to G16).

use super::builders::{call, child, complete, later, now, order};
use super::fixture::{Hub, PATIENCE, QUIET, code, refusal};
use super::worker::kinds;
use super::{Case, case};
use std::time::Duration;
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::{Code, Request, Status};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("G07", "Starting a running id again is refused with ALREADY_EXISTS", starting_a_running_id_again_is_refused_with_already_exists),
        case("G07", "An empty list of replaceable statuses replaces nothing", an_empty_list_of_replaceable_statuses_replaces_nothing),
        case("G07", "Replaceable RUNNING without TERMINATED is an invalid argument, and the message says so", replaceable_running_without_terminated_is_an_invalid_argument_and_the_message_says_so),
        case("G07", "A running instance that may be replaced is replaced, and its late results are dropped", a_running_instance_that_may_be_replaced_is_replaced_and_its_late_results_are_dropped),
        case("G08", "An id of 101 characters is an invalid argument", an_id_of_101_characters_is_an_invalid_argument),
        case("G09", "A start at the epoch runs now", a_start_at_the_epoch_runs_now),
        case("G09", "A start in the future is pending until then, and takes events and a termination meanwhile", a_start_in_the_future_is_pending_until_then_and_takes_events_and_a_termination_meanwhile),
        case("G10", "A missing instance does not exist and cannot be waited for", a_missing_instance_does_not_exist_and_cannot_be_waited_for).differs("some in-process backends wait until it is created; the service is reported to answer NOT_FOUND"),
        case("G10", "A wait ends at its deadline and never before its time", a_wait_ends_at_its_deadline_and_never_before_its_time),
        case("G11", "Events raised before any worker connects are delivered in order", events_raised_before_any_worker_connects_are_delivered_in_order),
        case("G12", "An instance that no worker takes stays pending and can be terminated without a worker", an_instance_that_no_worker_takes_stays_pending_and_can_be_terminated_without_a_worker).differs("seen with the service for instances no worker takes; ours ends every instance so that has had no turn"),
        case("G13", "A suspended instance commits events and goes on with them when resumed", a_suspended_instance_commits_events_and_goes_on_with_them_when_resumed),
        case("G13", "A suspended instance can be terminated", a_suspended_instance_can_be_terminated),
        case("G14", "Pages of any size add up to the whole, and the last page has no token", pages_of_any_size_add_up_to_the_whole_and_the_last_page_has_no_token),
        case("G14", "An empty prefix and an empty key mean none", an_empty_prefix_and_an_empty_key_mean_none),
        case("G15", "A purge counts the instances it deletes, and none of them exists afterwards", a_purge_counts_the_instances_it_deletes_and_none_of_them_exists_afterwards),
        case("G16", "A running instance cannot be restarted under its own id", a_running_instance_cannot_be_restarted_under_its_own_id),
        case("G16", "A restart keeps input, name and tags and gets an execution id of its own", a_restart_keeps_input_name_and_tags_and_gets_an_execution_id_of_its_own),
    ]
}

/// Starts that id once more, with these statuses replaceable, or without any policy.
pub(crate) async fn start_again(hub: &Hub, id: &str, replaceable: Option<&[Is]>) -> Result<String, Status> {
    let policy = replaceable.map(|statuses| wire::OrchestrationIdReusePolicy {
        replaceable_status: statuses.iter().map(|status| i32::from(*status)).collect(),
    });
    hub.start_with(wire::CreateInstanceRequest {
        instance_id: id.into(),
        name: "Again".into(),
        orchestration_id_reuse_policy: policy,
        ..Default::default()
    })
    .await
}

async fn starting_a_running_id_again_is_refused_with_already_exists(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    assert_eq!(code(start_again(&hub, &id, None).await), Code::AlreadyExists, "while pending");
    worker.turn().await.act([]).await;
    assert_eq!(code(start_again(&hub, &id, None).await), Code::AlreadyExists, "while running");
    assert_eq!(hub.state(&id).await.map(|state| state.name), Some("Any".into()), "it is untouched");
}

async fn an_empty_list_of_replaceable_statuses_replaces_nothing(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.finish("first").await;
    hub.ended(&id).await;
    assert_eq!(code(start_again(&hub, &id, Some(&[])).await), Code::AlreadyExists);
    assert_eq!(hub.state(&id).await.and_then(|state| state.output), Some("first".into()));
}

async fn replaceable_running_without_terminated_is_an_invalid_argument_and_the_message_says_so(hub: Hub) {
    for status in [Is::Running, Is::Pending, Is::Suspended] {
        let refused = refusal(start_again(&hub, &hub.id("a"), Some(&[status, Is::Completed])).await);
        assert_eq!(refused.code(), Code::InvalidArgument);
        let text = "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances";
        assert!(refused.message().contains(text), "{}", refused.message());
    }
    assert!(hub.state(&hub.id("a")).await.is_none());
}

async fn a_running_instance_that_may_be_replaced_is_replaced_and_its_late_results_are_dropped(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let first = worker.turn().await;
    first.act([call(1, "Work", "1")]).await;
    let activity = worker.activity().await;
    start_again(&hub, &id, Some(&[Is::Running, Is::Terminated])).await.expect("the old run is replaced");
    assert_eq!(hub.status(&id).await, Is::Pending);
    let second = worker.turn().await;
    assert_ne!(second.execution(), first.execution());
    // Late, and for a run that is gone: whatever the answer, nothing comes of it.
    let _ = activity.try_finish("late").await;
    second.act([]).await;
    assert!(worker.is_idle().await, "a result of the old run reached the new one");
    hub.terminate(&id, "end").await;
}

async fn an_id_of_101_characters_is_an_invalid_argument(hub: Hub) {
    let start = |instance_id| {
        let name = "Any".into();
        hub.start_with(wire::CreateInstanceRequest { instance_id, name, ..Default::default() })
    };
    assert_eq!(code(start("x".repeat(101)).await), Code::InvalidArgument);
    let whole = format!("{:x<100}", hub.id(""));
    start(whole).await.expect("100 characters are allowed");
    let signal = wire::SignalEntityRequest {
        instance_id: format!("@counter@{}", "k".repeat(92)),
        name: "add".into(),
        ..Default::default()
    };
    assert_eq!(code(hub.client().signal_entity(signal).await), Code::InvalidArgument);
}

async fn a_start_at_the_epoch_runs_now(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.id("a");
    hub.start_with(wire::CreateInstanceRequest {
        instance_id: id.clone(),
        name: "Any".into(),
        scheduled_start_timestamp: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
        ..Default::default()
    })
    .await
    .expect("the instance starts");
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_start_in_the_future_is_pending_until_then_and_takes_events_and_a_termination_meanwhile(hub: Hub) {
    let mut worker = hub.worker().await;
    let at = later(now(), 2_500);
    let ahead = |stem: &str| wire::CreateInstanceRequest {
        instance_id: hub.id(stem),
        name: "Any".into(),
        scheduled_start_timestamp: Some(at),
        ..Default::default()
    };
    let (taken, ended) = (ahead("taken"), ahead("ended"));
    let id = hub.start_with(taken).await.expect("the instance is scheduled");
    let other = hub.start_with(ended).await.expect("the instance is scheduled");
    let state = hub.state(&id).await.expect("it is there before its time");
    assert_eq!(state.orchestration_status(), Is::Pending);
    assert_eq!(state.scheduled_start_timestamp, Some(at));
    hub.raise(&id, "early", "1").await;
    hub.terminate(&other, "never").await;
    assert_eq!(hub.ended(&other).await.orchestration_status(), Is::Terminated);
    assert!(worker.is_idle().await, "a turn came ahead of its time");
    let turn = worker.turn_of(&id).await;
    assert!(order(&turn.time()) >= order(&at), "the turn is told a time before its start");
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted", "EventRaised"]);
    turn.finish("done").await;
    hub.ended(&id).await;
}

async fn a_missing_instance_does_not_exist_and_cannot_be_waited_for(hub: Hub) {
    assert!(hub.state(&hub.id("nobody")).await.is_none());
    let request = || wire::GetInstanceRequest { instance_id: hub.id("nobody"), ..Default::default() };
    let mut client = hub.client();
    let wait = tokio::time::timeout(PATIENCE, client.wait_for_instance_completion(request())).await;
    assert_eq!(code(wait.expect("the wait is answered at once")), Code::NotFound);
    let wait = tokio::time::timeout(PATIENCE, client.wait_for_instance_start(request())).await;
    assert_eq!(code(wait.expect("the wait is answered at once")), Code::NotFound);
}

async fn a_wait_ends_at_its_deadline_and_never_before_its_time(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    let request = |patience| {
        let message = wire::GetInstanceRequest { instance_id: id.clone(), get_inputs_and_outputs: true };
        let mut request = Request::new(message);
        // No more than a header: this client has no timer that could be faster than the hub's.
        request.set_timeout(patience);
        request
    };
    let long = tokio::spawn({
        let (mut client, request) = (hub.patient_client().await, request(Duration::from_secs(3_600)));
        async move { client.wait_for_instance_completion(request).await }
    });
    let mut client = hub.patient_client().await;
    for _ in 0..2 {
        let short = client.wait_for_instance_completion(request(QUIET));
        let answer = tokio::time::timeout(PATIENCE, short).await.expect("the deadline is kept");
        assert_eq!(code(answer), Code::DeadlineExceeded);
    }
    // The wait with an hour is still open, and is told of the end.
    hub.raise(&id, "end", "1").await;
    worker.turn().await.finish("done").await;
    let told = tokio::time::timeout(PATIENCE, long).await.expect("the end is told").expect("no panic");
    let state = told.expect("an hour has not passed").into_inner().orchestration_state;
    assert_eq!(state.and_then(|state| state.output), Some("done".into()));
}

async fn events_raised_before_any_worker_connects_are_delivered_in_order(hub: Hub) {
    let id = hub.start("a", "Any").await;
    for number in ["1", "2", "3"] {
        hub.raise(&id, "number", number).await;
    }
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    let inputs: Vec<_> = turn
        .news()
        .into_iter()
        .filter_map(|event| match event {
            EventType::EventRaised(raised) => raised.input,
            _ => None,
        })
        .collect();
    assert_eq!(turn.kinds()[1], "ExecutionStarted");
    assert_eq!(inputs, ["1", "2", "3"]);
    turn.finish("done").await;
    hub.ended(&id).await;
}

async fn an_instance_that_no_worker_takes_stays_pending_and_can_be_terminated_without_a_worker(hub: Hub) {
    let filter = wire::OrchestrationFilter { name: "Other".into(), versions: vec![] };
    let filters = wire::WorkItemFilters { orchestrations: vec![filter], ..Default::default() };
    let request = wire::GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let mut worker = hub.worker_with(request).await;
    let id = hub.start("a", "Any").await;
    assert!(worker.is_idle().await, "a worker got what it does not take");
    assert_eq!(hub.status(&id).await, Is::Pending);
    hub.terminate(&id, "\"given\"").await;
    let state = hub.ended(&id).await;
    assert_eq!(state.orchestration_status(), Is::Terminated);
    assert_eq!(state.output, Some("\"given\"".into()));
}

async fn a_suspended_instance_commits_events_and_goes_on_with_them_when_resumed(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.suspend(&id).await;
    let paused = worker.turn().await;
    assert_eq!(paused.kinds(), ["OrchestratorStarted", "ExecutionSuspended"]);
    paused.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    hub.raise(&id, "go", "1").await;
    worker.turn().await.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Suspended);
    assert!(kinds(&hub.history(&id).await).contains(&"EventRaised"));
    hub.resume(&id).await;
    let resumed = worker.turn().await;
    assert_eq!(resumed.kinds(), ["OrchestratorStarted", "ExecutionResumed"]);
    assert!(kinds(&resumed.request.past_events).contains(&"EventRaised"));
    resumed.act([]).await;
    assert_eq!(hub.status(&id).await, Is::Running);
    hub.raise(&id, "end", "1").await;
    worker.turn().await.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_suspended_instance_can_be_terminated(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.suspend(&id).await;
    worker.turn().await.act([]).await;
    hub.terminate(&id, "stopped").await;
    worker.turn().await.act([]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, Some("stopped".into())));
}

async fn pages_of_any_size_add_up_to_the_whole_and_the_last_page_has_no_token(hub: Hub) {
    for number in 0..7 {
        hub.start(&format!("p{number}"), "Any").await;
    }
    let mut wholes = Vec::new();
    for size in [1, 2, 4, 100] {
        let mut ids = Vec::new();
        let mut token = None;
        loop {
            let query = wire::InstanceQuery {
                max_instance_count: size,
                continuation_token: token,
                instance_id_prefix: Some(hub.id("p")),
                ..Default::default()
            };
            let request = wire::QueryInstancesRequest { query: Some(query) };
            let page = hub.client().query_instances(request).await.expect("a page").into_inner();
            assert!(page.orchestration_state.len() <= usize::try_from(size).expect("positive"));
            ids.extend(page.orchestration_state.into_iter().map(|state| state.instance_id));
            token = page.continuation_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        wholes.push(ids);
    }
    assert_eq!(wholes[3].len(), 7);
    assert!(wholes.iter().all(|ids| *ids == wholes[3]), "{wholes:?}");
}

async fn an_empty_prefix_and_an_empty_key_mean_none(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.finish("done").await;
    hub.ended(&id).await;
    let query = wire::InstanceQuery { instance_id_prefix: Some(String::new()), ..Default::default() };
    let request = wire::QueryInstancesRequest { query: Some(query) };
    let page = hub.client().query_instances(request).await.expect("a page").into_inner();
    assert!(page.orchestration_state.iter().any(|state| state.instance_id == id));
    let request =
        wire::ListInstanceIdsRequest { last_instance_key: Some(String::new()), ..Default::default() };
    let page = hub.client().list_instance_ids(request).await.expect("a page").into_inner();
    assert!(page.instance_ids.contains(&id));
}

async fn a_purge_counts_the_instances_it_deletes_and_none_of_them_exists_afterwards(hub: Hub) {
    let mut worker = hub.worker().await;
    assert_eq!(hub.purge(&hub.id("nobody"), false).await, 0);
    let alone = hub.start("alone", "Any").await;
    worker.turn().await.finish("done").await;
    hub.ended(&alone).await;
    assert_eq!(hub.purge(&alone, false).await, 1);
    assert!(hub.state(&alone).await.is_none());

    let (parent, born) = (hub.start("parent", "Any").await, hub.id("born"));
    worker.turn_of(&parent).await.act([child(1, &born, "Child")]).await;
    worker.turn_of(&born).await.finish("small").await;
    worker.turn_of(&parent).await.finish("big").await;
    hub.ended(&parent).await;
    assert_eq!(hub.purge(&parent, true).await, 2);
    assert!(hub.state(&parent).await.is_none() && hub.state(&born).await.is_none());
    assert!(hub.history(&parent).await.is_empty());
}

async fn a_running_instance_cannot_be_restarted_under_its_own_id(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    assert_eq!(code(hub.restart(&id, false).await), Code::FailedPrecondition);
    assert_eq!(hub.status(&id).await, Is::Running);
}

async fn a_restart_keeps_input_name_and_tags_and_gets_an_execution_id_of_its_own(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.id("a");
    let request = wire::CreateInstanceRequest {
        instance_id: id.clone(),
        name: "Any".into(),
        input: Some("[1]".into()),
        tags: [("team".to_owned(), "blue".to_owned())].into(),
        ..Default::default()
    };
    hub.start_with(request).await.expect("the instance starts");
    let first = worker.turn().await;
    first.finish("one").await;
    hub.ended(&id).await;

    assert_eq!(hub.restart(&id, false).await.expect("an ended instance restarts"), id);
    let second = worker.turn().await;
    assert_ne!(second.execution(), first.execution());
    let (was, is) = (first.beginning(), second.beginning());
    assert_eq!((&is.name, &is.input, &is.tags), (&was.name, &was.input, &was.tags));
    second.act([complete(1, "two")]).await;
    assert_eq!(hub.ended(&id).await.output, Some("two".into()));

    let other = hub.restart(&id, true).await.expect("an instance restarts under a new id");
    assert_ne!(other, id);
    let third = worker.turn_of(&other).await;
    assert_eq!(third.beginning().input, was.input);
    third.finish("three").await;
    assert_eq!(hub.ended(&other).await.orchestration_status(), Is::Completed);
    assert_eq!(
        hub.state(&id).await.and_then(|state| state.output),
        Some("two".into()),
        "the old is untouched"
    );
}
