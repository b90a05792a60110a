//! Tells what the official suites ask of management (R30 to R38).

use super::builders::{child, end, fail, failure, later, order, rewound, rewound_history};
use super::fixture::{Hub, code, refusal};
use super::worker::RawWorker;
use super::{Case, case};
use taskhub::wire::purge_instances_request::Request as Target;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R30",
            "An unknown or purged instance does not exist, and asking for it is no error",
            an_unknown_or_purged_instance_does_not_exist_and_asking_for_it_is_no_error,
        ),
        case(
            "R31",
            "A purge without recursion deletes exactly one instance and never one that runs",
            a_purge_without_recursion_deletes_exactly_one_instance_and_never_one_that_runs,
        )
        .differs(
            "some backends answer a count of zero for what runs; the service is reported to refuse as here",
        ),
        case(
            "R31",
            "A purge of a batch skips instances that run or do not exist",
            a_purge_of_a_batch_skips_instances_that_run_or_do_not_exist,
        ),
        case(
            "R32",
            "A purge by filter deletes exactly the ended instances of the range and status",
            a_purge_by_filter_deletes_exactly_the_ended_instances_of_the_range_and_status,
        ),
        case(
            "R33",
            "A restart has left the old status when it returns",
            a_restart_has_left_the_old_status_when_it_returns,
        ),
        case(
            "R34",
            "A refused rewind says why, and an accepted one has left FAILED when it returns",
            a_refused_rewind_says_why_and_an_accepted_one_has_left_failed_when_it_returns,
        ),
        case(
            "R35",
            "Events raised during a rewind come after it",
            events_raised_during_a_rewind_come_after_it,
        ),
        case(
            "R36",
            "A query filters by status, time and prefix and lists no entities",
            a_query_filters_by_status_time_and_prefix_and_lists_no_entities,
        ),
        case(
            "R36",
            "A continuation token that the hub did not make is an invalid argument",
            a_continuation_token_that_the_hub_did_not_make_is_an_invalid_argument,
        ),
        case(
            "R37",
            "Ids of ended instances are listed in disjoint pages by completion",
            ids_of_ended_instances_are_listed_in_disjoint_pages_by_completion,
        ),
        case(
            "R37",
            "A first key that is present and empty gives every filled page a key, and an empty page is the last",
            a_first_key_that_is_present_and_empty_gives_every_filled_page_a_key_and_an_empty_page_is_the_last,
        ),
        case(
            "R38",
            "Cleaning entity storage counts nothing and has no next page",
            cleaning_entity_storage_counts_nothing_and_has_no_next_page,
        ),
        case(
            "R38",
            "Skipping graceful terminations is unimplemented as in the official emulator",
            skipping_graceful_terminations_is_unimplemented_as_in_the_official_emulator,
        ),
        case(
            "R36",
            "The times of a state are in order, and an ended instance has the time of its end",
            the_times_of_a_state_are_in_order_and_an_ended_instance_has_the_time_of_its_end,
        ),
    ]
}

/// Starts an orchestration and ends it so.
async fn ended(hub: &Hub, worker: &mut RawWorker, stem: &str, status: Is) -> wire::OrchestrationState {
    let id = hub.start(stem, "Any").await;
    worker.turn_of(&id).await.act([end(1, status, Some("1"))]).await;
    hub.ended(&id).await
}

async fn purge_by(hub: &Hub, filter: wire::PurgeInstanceFilter) -> i32 {
    let request = wire::PurgeInstancesRequest {
        request: Some(Target::PurgeInstanceFilter(filter)),
        recursive: true,
        is_orchestration: false,
    };
    let purged = hub.client().purge_instances(request).await.expect("the purge is done").into_inner();
    assert_eq!(purged.is_complete, Some(true));
    purged.deleted_instance_count
}

async fn an_unknown_or_purged_instance_does_not_exist_and_asking_for_it_is_no_error(hub: Hub) {
    let mut worker = hub.worker().await;
    assert!(hub.state(&hub.id("nobody")).await.is_none());
    let state = ended(&hub, &mut worker, "a", Is::Completed).await;
    assert_eq!(hub.purge(&state.instance_id, false).await, 1);
    assert!(hub.state(&state.instance_id).await.is_none());
}

async fn a_purge_without_recursion_deletes_exactly_one_instance_and_never_one_that_runs(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Any").await, hub.id("born"));
    worker.turn_of(&id).await.act([child(1, &born, "Child")]).await;
    let request = wire::PurgeInstancesRequest {
        request: Some(Target::InstanceId(id.clone())),
        recursive: false,
        is_orchestration: false,
    };
    assert_eq!(code(hub.client().purge_instances(request).await), Code::FailedPrecondition, "it runs");
    worker.turn_of(&born).await.finish("small").await;
    worker.turn_of(&id).await.finish("big").await;
    hub.ended(&id).await;
    assert_eq!(hub.purge(&id, false).await, 1);
    assert!(hub.state(&id).await.is_none());
    assert!(hub.state(&born).await.is_some());
}

async fn a_purge_of_a_batch_skips_instances_that_run_or_do_not_exist(hub: Hub) {
    let mut worker = hub.worker().await;
    let done = ended(&hub, &mut worker, "done", Is::Completed).await.instance_id;
    let runs = hub.start("runs", "Any").await;
    let batch = |instance_ids| wire::PurgeInstancesRequest {
        request: Some(Target::InstanceBatch(wire::InstanceBatch { instance_ids })),
        recursive: false,
        is_orchestration: false,
    };
    let request = batch(vec![done.clone(), runs.clone(), hub.id("nobody")]);
    let purged = hub.client().purge_instances(request).await.expect("the purge is done").into_inner();
    assert_eq!((purged.deleted_instance_count, purged.is_complete), (1, Some(true)));
    assert!(hub.state(&done).await.is_none() && hub.state(&runs).await.is_some());
    let request = batch((0..501).map(|number| hub.id(&number.to_string())).collect());
    assert_eq!(code(hub.client().purge_instances(request).await), Code::InvalidArgument);
}

async fn a_purge_by_filter_deletes_exactly_the_ended_instances_of_the_range_and_status(hub: Hub) {
    let mut worker = hub.worker().await;
    let first = ended(&hub, &mut worker, "p1", Is::Completed).await;
    let second = ended(&hub, &mut worker, "p2", Is::Failed).await;
    let third = ended(&hub, &mut worker, "p3", Is::Completed).await;
    let runs = hub.start("p4", "Any").await;
    let (from, to) = (first.created_timestamp, third.created_timestamp);
    let filter = |from, to, statuses: &[Is]| wire::PurgeInstanceFilter {
        created_time_from: from,
        created_time_to: to,
        runtime_status: statuses.iter().map(|status| i32::from(*status)).collect(),
        timeout: None,
    };
    let just_before = first.created_timestamp.map(|created| later(created, -1));
    assert_eq!(purge_by(&hub, filter(just_before, from, &[Is::Terminated])).await, 0);
    assert_eq!(purge_by(&hub, filter(from, to, &[Is::Completed])).await, 1, "the end is exclusive");
    assert!(hub.state(&first.instance_id).await.is_none());
    let never = filter(from, None, &[Is::ContinuedAsNew, Is::Running]);
    assert_eq!(purge_by(&hub, never).await, 0, "no ended instance has such a status");
    let nonsense = wire::PurgeInstanceFilter { runtime_status: vec![99], ..filter(from, None, &[]) };
    assert_eq!(purge_by(&hub, nonsense).await, 0, "what is no status is not every status");
    assert_eq!(purge_by(&hub, filter(from, None, &[Is::Running, Is::Failed])).await, 1);
    assert!(hub.state(&second.instance_id).await.is_none());
    assert_eq!(purge_by(&hub, filter(from, None, &[])).await, 1, "no status means every end");
    assert!(hub.state(&third.instance_id).await.is_none());
    assert!(hub.state(&runs).await.is_some(), "what runs is never purged by filter");
}

async fn a_restart_has_left_the_old_status_when_it_returns(hub: Hub) {
    let mut worker = hub.worker().await;
    assert_eq!(code(hub.restart(&hub.id("nobody"), false).await), Code::NotFound);
    let id = ended(&hub, &mut worker, "a", Is::Completed).await.instance_id;
    hub.restart(&id, false).await.expect("an ended instance restarts");
    let state = hub.state(&id).await.expect("it is there");
    assert_eq!((state.orchestration_status(), state.output), (Is::Pending, None));
    assert!(state.completed_timestamp.is_none());
    worker.turn().await.act([]).await;
    hub.suspend(&id).await;
    worker.turn().await.act([]).await;
    assert_eq!(code(hub.restart(&id, false).await), Code::FailedPrecondition, "suspended");
    let other = hub.restart(&id, true).await.expect("a new id may be had at any time");
    assert_eq!(other.len(), 32, "{other}");
    assert_eq!(hub.status(&id).await, Is::Suspended);
}

async fn a_refused_rewind_says_why_and_an_accepted_one_has_left_failed_when_it_returns(hub: Hub) {
    let mut worker = hub.worker().await;
    assert_eq!(code(hub.rewind(&hub.id("nobody")).await), Code::NotFound);
    let done = ended(&hub, &mut worker, "done", Is::Completed).await.instance_id;
    let refused = refusal(hub.rewind(&done).await);
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let text = refused.message().to_lowercase();
    assert!(
        text.contains("not allow") || text.contains("precondition") || text.contains("running"),
        "{text}"
    );
    let failed = ended(&hub, &mut worker, "failed", Is::Failed).await.instance_id;
    hub.rewind(&failed).await.expect("a failed instance is rewound");
    assert_ne!(hub.status(&failed).await, Is::Failed);
}

async fn events_raised_during_a_rewind_come_after_it(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([fail(1, failure("broken"))]).await;
    hub.ended(&id).await;
    hub.rewind(&id).await.expect("a failed instance is rewound");
    hub.raise(&id, "e", "1").await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionRewound"]);
    turn.act([rewound(rewound_history(&turn.request, "0123456789abcdef0123456789abcdef"))]).await;
    let mut kinds = worker.turn().await.kinds();
    kinds.retain(|kind| *kind != "OrchestratorStarted");
    assert_eq!(kinds, ["EventRaised"]);
}

async fn a_query_filters_by_status_time_and_prefix_and_lists_no_entities(hub: Hub) {
    let mut worker = hub.worker().await;
    let first = ended(&hub, &mut worker, "q1", Is::Completed).await;
    let second = ended(&hub, &mut worker, "q2", Is::Failed).await;
    hub.start("q3", "Any").await;
    hub.start("other", "Any").await;
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    worker.batch().await.finish(Some("1")).await;
    let query = |statuses: &[Is]| wire::InstanceQuery {
        runtime_status: statuses.iter().map(|status| i32::from(*status)).collect(),
        instance_id_prefix: Some(hub.id("q")),
        ..Default::default()
    };
    let ask = async |query| {
        let request = wire::QueryInstancesRequest { query: Some(query) };
        let page = hub.client().query_instances(request).await.expect("a page").into_inner();
        assert_eq!(page.continuation_token.unwrap_or_default(), "");
        page.orchestration_state
    };
    let ids = |states: &[wire::OrchestrationState]| {
        states.iter().map(|state| state.instance_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&ask(query(&[])).await), [hub.id("q1"), hub.id("q2"), hub.id("q3")]);
    assert_eq!(ids(&ask(query(&[Is::Completed, Is::Failed])).await), [hub.id("q1"), hub.id("q2")]);
    let range = wire::InstanceQuery {
        created_time_from: first.created_timestamp,
        created_time_to: second.created_timestamp,
        ..query(&[])
    };
    assert_eq!(ids(&ask(range).await), [hub.id("q1")], "the end is exclusive");
    let bare = ask(query(&[Is::Completed])).await;
    assert_eq!((bare[0].output.as_ref(), bare[0].input.as_ref()), (None, None));
    let full = ask(wire::InstanceQuery { fetch_inputs_and_outputs: true, ..query(&[Is::Completed]) }).await;
    assert_eq!(full[0].output.as_deref(), Some("1"));
    let all = ask(wire::InstanceQuery { instance_id_prefix: Some("@".into()), ..query(&[]) }).await;
    assert!(all.is_empty(), "entities are not listed");
}

async fn a_continuation_token_that_the_hub_did_not_make_is_an_invalid_argument(hub: Hub) {
    let query = wire::InstanceQuery { continuation_token: Some("nonsense".into()), ..Default::default() };
    let request = wire::QueryInstancesRequest { query: Some(query) };
    assert_eq!(code(hub.client().query_instances(request).await), Code::InvalidArgument);
}

async fn ids_of_ended_instances_are_listed_in_disjoint_pages_by_completion(hub: Hub) {
    let mut worker = hub.worker().await;
    let mut states = Vec::new();
    for stem in ["c", "b", "a"] {
        states.push(ended(&hub, &mut worker, stem, Is::Completed).await);
    }
    hub.start("runs", "Any").await;
    let mut ids = Vec::new();
    let mut key = None;
    loop {
        let request = wire::ListInstanceIdsRequest {
            page_size: 2,
            completed_time_from: states[0].completed_timestamp,
            last_instance_key: key,
            ..Default::default()
        };
        let page = hub.client().list_instance_ids(request).await.expect("a page").into_inner();
        assert!(page.instance_ids.len() <= 2);
        ids.extend(page.instance_ids);
        key = page.last_instance_key.filter(|key| !key.is_empty());
        let Some(key) = &key else { break };
        let last = ids.last().expect("a page before a key has ids");
        assert!(key.contains(last.as_str()), "the key {key} names the last id {last}");
    }
    assert_eq!(ids, [hub.id("c"), hub.id("b"), hub.id("a")], "in the order of their end");
    let request = wire::ListInstanceIdsRequest {
        runtime_status: vec![Is::Failed.into()],
        completed_time_from: states[0].completed_timestamp,
        ..Default::default()
    };
    let page = hub.client().list_instance_ids(request).await.expect("a page").into_inner();
    assert!(page.instance_ids.is_empty());
}

async fn a_first_key_that_is_present_and_empty_gives_every_filled_page_a_key_and_an_empty_page_is_the_last(
    hub: Hub,
) {
    let mut worker = hub.worker().await;
    let mut states = Vec::new();
    for stem in ["a", "b", "c", "d"] {
        states.push(ended(&hub, &mut worker, stem, Is::Completed).await);
    }
    let mut ids = Vec::new();
    let mut key = Some(String::new());
    for _ in 0..3 {
        let request = wire::ListInstanceIdsRequest {
            page_size: 2,
            completed_time_from: states[0].completed_timestamp,
            last_instance_key: key,
            ..Default::default()
        };
        let page = hub.client().list_instance_ids(request).await.expect("a page").into_inner();
        key = page.last_instance_key;
        if page.instance_ids.is_empty() {
            break;
        }
        ids.extend(page.instance_ids);
        assert!(key.as_ref().is_some_and(|key| !key.is_empty()), "a filled page has a key: {ids:?}");
    }
    assert_eq!(key, None, "an empty page has none");
    assert_eq!(ids, ["a", "b", "c", "d"].map(|stem| hub.id(stem)));
}

async fn cleaning_entity_storage_counts_nothing_and_has_no_next_page(hub: Hub) {
    let mut worker = hub.worker().await;
    let entity = hub.entity("counter", "a");
    hub.signal(&entity, "add", "1").await;
    worker.batch().await.finish(None).await;
    let request = wire::CleanEntityStorageRequest {
        remove_empty_entities: true,
        release_orphaned_locks: true,
        continuation_token: None,
    };
    let cleaned = hub.client().clean_entity_storage(request).await.expect("it is done").into_inner();
    assert_eq!((cleaned.empty_entities_removed, cleaned.orphaned_locks_released), (0, 0));
    assert_eq!(cleaned.continuation_token.unwrap_or_default(), "");
}

async fn skipping_graceful_terminations_is_unimplemented_as_in_the_official_emulator(hub: Hub) {
    let request = wire::SkipGracefulOrchestrationTerminationsRequest::default();
    let answer = hub.client().skip_graceful_orchestration_terminations(request).await;
    assert_eq!(code(answer), Code::Unimplemented);
}

async fn the_times_of_a_state_are_in_order_and_an_ended_instance_has_the_time_of_its_end(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    assert!(hub.state(&id).await.is_some_and(|state| state.completed_timestamp.is_none()));
    worker.turn().await.finish("done").await;
    let state = hub.ended(&id).await;
    let created = state.created_timestamp.expect("always set");
    let updated = state.last_updated_timestamp.expect("always set");
    let completed = state.completed_timestamp.expect("set at the end");
    assert!(order(&created) <= order(&completed) && order(&completed) <= order(&updated));
    assert!(state.scheduled_start_timestamp.is_none());
}
