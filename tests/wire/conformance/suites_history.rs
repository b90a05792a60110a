//! Tells what the official suites ask of histories (R39 to R42), filters and versions (R45 to R48).

use super::builders::{call, call_with, complete, timer};
use super::fixture::Hub;
use super::worker::kinds;
use super::{Case, case};
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R39",
            "The history of an unknown instance is an empty stream",
            the_history_of_an_unknown_instance_is_an_empty_stream,
        ),
        case(
            "R40",
            "A history of one activity has exactly six events and no OrchestratorCompleted",
            a_history_of_one_activity_has_exactly_six_events_and_no_orchestratorcompleted,
        ),
        case(
            "R41",
            "Event ids are the action's ids, whatever number the SDK begins with",
            event_ids_are_the_actions_ids_whatever_number_the_sdk_begins_with,
        ),
        case("R42", "Completions refer to what was scheduled", completions_refer_to_what_was_scheduled),
        case(
            "R42",
            "A long history is streamed to a worker that can fetch it, event for event",
            a_long_history_is_streamed_to_a_worker_that_can_fetch_it_event_for_event,
        ),
        case(
            "R42",
            "A worker that asks for history gets the same turn with all of its history",
            a_worker_that_asks_for_history_gets_the_same_turn_with_all_of_its_history,
        ),
        case(
            "R45",
            "A worker with filters gets the names and versions it lists, and the rest stays pending",
            a_worker_with_filters_gets_the_names_and_versions_it_lists_and_the_rest_stays_pending,
        ),
        case(
            "R46",
            "An entity filter compares with the lower-cased name",
            an_entity_filter_compares_with_the_lower_cased_name,
        ),
        case(
            "R47",
            "An activity without a version matches by the version of its orchestration",
            an_activity_without_a_version_matches_by_the_version_of_its_orchestration,
        )
        .differs("inferred from two suites that nobody runs against the service"),
        case(
            "R48",
            "Filters of three empty lists let everything through",
            filters_of_three_empty_lists_let_everything_through,
        ),
        case(
            "R48",
            "An empty category beside filled ones takes nothing of its kind",
            an_empty_category_beside_filled_ones_takes_nothing_of_its_kind,
        )
        .differs("not documented, and tested by no suite"),
    ]
}

/// What only takes these orchestrations, activities and entities: each a name and the versions of it.
pub(crate) fn only(
    orchestrations: &[(&str, &[&str])],
    activities: &[(&str, &[&str])],
    entities: &[&str],
) -> wire::GetWorkItemsRequest {
    let own = |versions: &[&str]| versions.iter().map(ToString::to_string).collect();
    let filters = wire::WorkItemFilters {
        orchestrations: orchestrations
            .iter()
            .map(|(name, versions)| wire::OrchestrationFilter {
                name: (*name).into(),
                versions: own(versions),
            })
            .collect(),
        activities: activities
            .iter()
            .map(|(name, versions)| wire::ActivityFilter { name: (*name).into(), versions: own(versions) })
            .collect(),
        entities: entities.iter().map(|name| wire::EntityFilter { name: (*name).into() }).collect(),
    };
    wire::GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() }
}

async fn versioned(hub: &Hub, stem: &str, name: &str, version: Option<&str>) -> String {
    hub.start_with(wire::CreateInstanceRequest {
        instance_id: hub.id(stem),
        name: name.into(),
        version: version.map(Into::into),
        ..Default::default()
    })
    .await
    .expect("the instance starts")
}

async fn the_history_of_an_unknown_instance_is_an_empty_stream(hub: Hub) {
    assert!(hub.history(&hub.id("nobody")).await.is_empty());
    assert!(hub.history(&hub.entity("counter", "a")).await.is_empty());
}

async fn a_history_of_one_activity_has_exactly_six_events_and_no_orchestratorcompleted(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    worker.activity().await.finish("one").await;
    worker.turn().await.act([complete(2, "done")]).await;
    hub.ended(&id).await;
    assert_eq!(
        kinds(&hub.history(&id).await),
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled",
            "OrchestratorStarted",
            "TaskCompleted",
            "ExecutionCompleted"
        ]
    );
}

async fn event_ids_are_the_actions_ids_whatever_number_the_sdk_begins_with(hub: Hub) {
    let mut worker = hub.worker().await;
    for first in [0, 1] {
        let id = hub.start(&format!("a{first}"), "Any").await;
        let turn = worker.turn().await;
        turn.act([call(first, "Work", "1"), timer(first + 1, turn.time())]).await;
        worker.activity().await.finish("one").await;
        let mut told = 0;
        while told < 2 {
            let turn = worker.turn().await;
            told += turn.kinds().len() - 1;
            turn.act((told == 2).then(|| complete(first + 2, "done"))).await;
        }
        hub.ended(&id).await;
        let history = hub.history(&id).await;
        let ids = |wanted: fn(&EventType) -> bool| -> Vec<i32> {
            let mut events = history.iter();
            events
                .by_ref()
                .filter(|e| e.event_type.as_ref().is_some_and(wanted))
                .map(|e| e.event_id)
                .collect()
        };
        assert_eq!(ids(|event| matches!(event, EventType::ExecutionStarted(_))), [0]);
        assert_eq!(ids(|event| matches!(event, EventType::TaskScheduled(_))), [first]);
        assert_eq!(ids(|event| matches!(event, EventType::TimerCreated(_))), [first + 1]);
        assert_eq!(ids(|event| matches!(event, EventType::ExecutionCompleted(_))), [first + 2]);
        assert_eq!(ids(|event| matches!(event, EventType::TaskCompleted(_))), [-1]);
        assert_eq!(ids(|event| matches!(event, EventType::TimerFired(_))), [-1]);
        assert!(ids(|event| matches!(event, EventType::OrchestratorStarted(_))).iter().all(|id| *id == -1));
        assert!(history.iter().all(|event| event.timestamp.is_some_and(|time| time.seconds > 0)));
    }
}

async fn completions_refer_to_what_was_scheduled(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    let at = turn.time();
    turn.act([call(7, "Work", "1")]).await;
    worker.activity().await.finish("one").await;
    worker.turn().await.act([timer(8, at)]).await;
    worker.turn().await.finish("done").await;
    hub.ended(&id).await;
    for event in hub.history(&id).await {
        match event.event_type {
            Some(EventType::TaskCompleted(done)) => {
                assert_eq!((done.task_scheduled_id, done.result.as_deref()), (7, Some("one")));
            }
            Some(EventType::TimerFired(fired)) => {
                assert_eq!((fired.timer_id, fired.fire_at), (8, Some(at)));
            }
            Some(EventType::ExecutionCompleted(last)) => {
                assert_eq!(last.orchestration_status(), Is::Completed);
                assert_eq!(last.result.as_deref(), Some("done"));
            }
            _ => {}
        }
    }
}

async fn a_long_history_is_streamed_to_a_worker_that_can_fetch_it_event_for_event(hub: Hub) {
    let request = wire::GetWorkItemsRequest {
        capabilities: vec![wire::WorkerCapability::HistoryStreaming.into()],
        ..Default::default()
    };
    let mut worker = hub.worker_with(request).await;
    let id = hub.start("a", "Any").await;
    let large = "x".repeat(400_000);
    let mut past = 0;
    for round in 0..14 {
        let turn = worker.turn().await;
        if turn.request.requires_history_streaming {
            assert!(turn.request.past_events.is_empty());
            let events = hub.history_of(&id, Some(turn.execution()), true).await;
            assert_eq!(events.len(), past, "the past, and not the news");
        } else {
            assert_eq!(turn.request.past_events.len(), past);
        }
        past += turn.request.new_events.len();
        turn.act([]).await;
        if round < 13 {
            hub.raise(&id, "e", &large).await;
        }
    }
    hub.terminate(&id, "end").await;
}

async fn a_worker_that_asks_for_history_gets_the_same_turn_with_all_of_its_history(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    hub.raise(&id, "e", "1").await;
    let turn = worker.turn().await;
    let answer =
        wire::OrchestratorResponse { requires_history: true, ..turn.answer(vec![complete(1, "never")]) };
    turn.send(answer).await.expect("the answer is taken");
    let again = worker.turn().await;
    assert_eq!(again.kinds(), turn.kinds());
    assert_eq!(kinds(&again.request.past_events), ["OrchestratorStarted", "ExecutionStarted"]);
    again.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_worker_with_filters_gets_the_names_and_versions_it_lists_and_the_rest_stays_pending(hub: Hub) {
    let mut worker =
        hub.worker_with(only(&[("Any", &[]), ("Strict", &["2.0"])], &[("Work", &[])], &[])).await;
    let free = versioned(&hub, "free", "Any", Some("1.0")).await;
    let strict = versioned(&hub, "strict", "Strict", Some("2.0")).await;
    let unversioned = versioned(&hub, "unversioned", "Strict", None).await;
    let old = versioned(&hub, "old", "Strict", Some("1.0")).await;
    let other = versioned(&hub, "other", "Other", None).await;
    worker.turn_of(&free).await.act([call(1, "Work", "1"), call(2, "Unlisted", "1")]).await;
    worker.turn_of(&strict).await.finish("done").await;
    assert_eq!(worker.activity().await.request.name, "Work");
    assert!(worker.is_idle().await, "a worker got what it does not list");
    for id in [&unversioned, &old, &other] {
        assert_eq!(hub.status(id).await, Is::Pending);
    }
    let mut rest = hub.worker_with(only(&[("Strict", &["", "1.0"])], &[], &[])).await;
    rest.turn_of(&unversioned).await.finish("done").await;
    rest.turn_of(&old).await.finish("done").await;
    assert_eq!(hub.status(&other).await, Is::Pending);
    let mut anything = hub.worker().await;
    anything.turn_of(&other).await.finish("done").await;
    assert_eq!(anything.activity().await.request.name, "Unlisted");
}

async fn an_entity_filter_compares_with_the_lower_cased_name(hub: Hub) {
    let mut worker = hub.worker_with(only(&[], &[], &["Allowed"])).await;
    hub.signal(&hub.entity("blocked", "a"), "add", "1").await;
    hub.signal(&hub.entity("allowed", "A"), "add", "1").await;
    let batch = worker.batch().await;
    assert_eq!(batch.request.instance_id, hub.entity("allowed", "A"));
    batch.finish(Some("1")).await;
    assert!(worker.is_idle().await);
}

async fn an_activity_without_a_version_matches_by_the_version_of_its_orchestration(hub: Hub) {
    let mut worker = hub.worker_with(only(&[("Any", &["3.0.0"])], &[("Work", &["3.0.0"])], &[])).await;
    versioned(&hub, "a", "Any", Some("3.0.0")).await;
    let other =
        wire::ScheduleTaskAction { name: "Work".into(), version: Some("1.0".into()), ..Default::default() };
    worker.turn().await.act([call(1, "Work", "1"), call_with(2, other)]).await;
    assert_eq!(worker.activity().await.request.task_id, 1);
    assert!(worker.is_idle().await, "a version of its own counts first");
}

async fn filters_of_three_empty_lists_let_everything_through(hub: Hub) {
    let mut worker = hub.worker_with(only(&[], &[], &[])).await;
    hub.start("a", "Any").await;
    worker.turn().await.act([call(1, "Work", "1")]).await;
    worker.activity().await.finish("1").await;
    worker.turn().await.finish("done").await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    worker.batch().await.finish(Some("1")).await;
}

async fn an_empty_category_beside_filled_ones_takes_nothing_of_its_kind(hub: Hub) {
    let mut worker = hub.worker_with(only(&[], &[("Work", &[])], &[])).await;
    let id = hub.start("a", "Any").await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    assert!(worker.is_idle().await);
    assert_eq!(hub.status(&id).await, Is::Pending);
}
