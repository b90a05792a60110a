//! Knocks at the service's door with what it should not let in, and with what it should.

use super::{asked, connect, get, named, start};
use pretty_assertions::assert_eq;
use std::time::Duration;
use taskhub::emulator::engine::command::Command;
use taskhub::emulator::{Emulator, MissingHub};
use taskhub::model::InstanceId;
use taskhub::wire::{self, purge_instances_request::Request as Target};
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;

/// Sends a message to a method that expects another.
async fn mistake<T>(emulator: &Emulator, method: &'static str, message: T) -> tonic::Status
where
    T: prost::Message + Send + Sync + 'static,
{
    let channel =
        tonic::transport::Channel::from_shared(emulator.endpoint()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let codec = tonic_prost::ProstCodec::<T, ()>::default();
    grpc.unary(tonic::Request::new(message), path, codec).await.unwrap_err()
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_refused_and_changes_nothing() {
    let emulator = Emulator::start().await.unwrap();
    // A number stands where an id is expected.
    for method in [
        "/TaskHubSidecarService/StartInstance",
        "/TaskHubSidecarService/TerminateInstance",
        "/TaskHubSidecarService/CompleteOrchestratorTask",
        "/TaskHubSidecarService/CompleteActivityTask",
        "/TaskHubSidecarService/GetInstance",
        "/TaskHubSidecarService/StreamInstanceHistory",
    ] {
        let refused = mistake(&emulator, method, 7_i32).await;
        assert_eq!(refused.code(), Code::InvalidArgument, "{method}: {refused:?}");
    }
    let stats = emulator.hub("default").unwrap().stats().await.unwrap();
    assert_eq!(stats.instances, [0; 7]);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_resource_exhausted_and_one_below_is_not() {
    let emulator = Emulator::builder().max_message(10_000).start().await.unwrap();
    let mut client = connect(&emulator).await;
    let of_size =
        |id: &str, size| wire::CreateInstanceRequest { input: Some("x".repeat(size)), ..start(id, "x") };
    let refused = client.start_instance(of_size("a", 10_000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    client.start_instance(of_size("b", 9_000)).await.unwrap();
    assert!(!client.get_instance(get("a")).await.unwrap().into_inner().exists);
}

#[tokio::test]
async fn eight_mebibytes_go_in_and_come_back_where_the_limits_of_the_service_are_off() {
    let emulator = Emulator::builder().service_limits(false).start().await.unwrap();
    let mut client = connect(&emulator).await.max_decoding_message_size(64 << 20);
    let input = Some("x".repeat(8 << 20));
    let request = wire::CreateInstanceRequest { input: input.clone(), ..start("a", "x") };
    client.start_instance(request).await.unwrap();
    let state = client.get_instance(get("a")).await.unwrap().into_inner().orchestration_state.unwrap();
    assert!(state.input == input);
    // A worker gets them too, and a list of such instances has one on a page.
    let request = wire::CreateInstanceRequest { input: input.clone(), ..start("b", "x") };
    client.start_instance(request).await.unwrap();
    let work = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap();
    let turn = work.into_inner().message().await.unwrap().unwrap();
    assert!(prost::Message::encoded_len(&turn) > 8 << 20);
    let query = wire::InstanceQuery { fetch_inputs_and_outputs: true, ..Default::default() };
    let query = wire::QueryInstancesRequest { query: Some(query) };
    let page = client.query_instances(query).await.unwrap().into_inner();
    assert_eq!((page.orchestration_state.len(), page.continuation_token.is_some()), (1, true));
}

#[tokio::test]
async fn a_work_item_above_the_limit_of_messages_fails_what_it_is_of_though_payloads_may_have_any_size() {
    let emulator = Emulator::builder().service_limits(false).max_message(5 << 20).start().await.unwrap();
    let mut client = connect(&emulator).await.max_decoding_message_size(64 << 20);
    // Each is small enough to be sent; the turn that tells of both is not, as the past cannot be fetched.
    let input = Some("x".repeat(4 << 20));
    client
        .start_instance(wire::CreateInstanceRequest { input: input.clone(), ..start("a", "x") })
        .await
        .unwrap();
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let completion_token = items.message().await.unwrap().unwrap().completion_token;
    client
        .raise_event(wire::RaiseEventRequest { instance_id: "a".into(), name: "e".into(), input })
        .await
        .unwrap();
    let answer = wire::OrchestratorResponse { completion_token, ..Default::default() };
    client.complete_orchestrator_task(answer).await.unwrap();
    let ended = client.wait_for_instance_completion(get("a")).await.unwrap().into_inner();
    let failure = ended.orchestration_state.unwrap().failure_details.unwrap();
    assert_eq!(failure.error_type, "HistoryTooLarge");
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_by_name_and_changes_nothing() {
    let emulator = Emulator::builder().max_payload(10).start().await.unwrap();
    let mut client = connect(&emulator).await;
    let long = Some("x".repeat(11));
    let request = wire::CreateInstanceRequest { input: long.clone(), ..start("a", "x") };
    let refused = client.start_instance(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("input has 11 bytes"), "{refused:?}");
    client.start_instance(start("a", "x")).await.unwrap();
    let event = wire::RaiseEventRequest { instance_id: "a".into(), name: "e".into(), input: long.clone() };
    assert_eq!(client.raise_event(event).await.unwrap_err().code(), Code::InvalidArgument);
    let end = wire::TerminateRequest { instance_id: "a".into(), output: long, recursive: false };
    assert_eq!(client.terminate_instance(end).await.unwrap_err().code(), Code::InvalidArgument);
    let state = client.get_instance(get("a")).await.unwrap().into_inner().orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), wire::OrchestrationStatus::Pending);
}

#[tokio::test]
async fn a_request_that_names_no_hub_is_for_the_default_hub_or_refused_by_a_switch() {
    let lenient = Emulator::builder().hubs(["one", "two"]).start().await.unwrap();
    let mut client = connect(&lenient).await;
    client.start_instance(start("a", "x")).await.unwrap();
    assert!(client.get_instance(named("one", get("a"))).await.unwrap().into_inner().exists);
    let strict = Emulator::builder().missing_hub(MissingHub::Reject).start().await.unwrap();
    let refused = connect(&strict).await.hello(()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("taskhub"), "{refused:?}");
}

#[tokio::test]
async fn hubs_are_created_and_deleted_and_workers_of_a_deleted_hub_are_told() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let create = |replace| named("new", wire::CreateTaskHubRequest { recreate_if_exists: replace });
    client.create_task_hub(create(false)).await.unwrap();
    client.start_instance(named("new", start("a", "x"))).await.unwrap();
    assert_eq!(client.create_task_hub(create(false)).await.unwrap_err().code(), Code::AlreadyExists);
    assert!(client.get_instance(named("new", get("a"))).await.unwrap().into_inner().exists);
    let work = client.get_work_items(named("new", wire::GetWorkItemsRequest::default())).await.unwrap();
    let mut work = work.into_inner();
    assert!(work.message().await.unwrap().is_some());
    client.create_task_hub(create(true)).await.unwrap();
    assert_eq!(work.message().await.unwrap_err().code(), Code::Unavailable);
    assert!(!client.get_instance(named("new", get("a"))).await.unwrap().into_inner().exists);
    client.delete_task_hub(named("new", wire::DeleteTaskHubRequest {})).await.unwrap();
    let gone = client.hello(named("new", ())).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "Task hub not found: new"));
}

#[tokio::test]
async fn the_default_hub_cannot_be_deleted_so_that_its_health_stays_true() {
    let delete = |hub| named(hub, wire::DeleteTaskHubRequest {});
    let pinged = async |emulator: &Emulator| {
        asked(emulator.health_address().unwrap(), "/v1/taskhubs/ping", b"").await.starts_with("HTTP/1.1 200")
    };
    for (hubs, stays) in [(["default", "orders"], "default"), (["orders", "other"], "orders")] {
        let emulator = Emulator::builder().hubs(hubs).health_port(0).start().await.unwrap();
        let mut client = connect(&emulator).await;
        let refused = client.delete_task_hub(delete(stays)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("recreateIfExists"), "{refused}");
        client.hello(()).await.unwrap();
        for other in hubs.into_iter().filter(|hub| *hub != stays) {
            client.delete_task_hub(delete(other)).await.unwrap();
        }
        assert!(pinged(&emulator).await);
        // It is emptied all the same.
        client.start_instance(start("a", "x")).await.unwrap();
        client
            .create_task_hub(named(stays, wire::CreateTaskHubRequest { recreate_if_exists: true }))
            .await
            .unwrap();
        assert!(!client.get_instance(get("a")).await.unwrap().into_inner().exists);
    }
    // Where unknown hubs come into being by themselves, that one does so again.
    let emulator = Emulator::builder().dynamic_hubs(true).health_port(0).start().await.unwrap();
    connect(&emulator).await.delete_task_hub(delete("default")).await.unwrap();
    assert!(pinged(&emulator).await);
}

#[tokio::test]
async fn a_purge_by_filter_takes_thousands_in_slices_and_says_that_it_is_complete() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let hub = emulator.hub("default").unwrap();
    for n in 0..2_500 {
        let id = InstanceId::unchecked(format!("i{n}"));
        let request = Box::new(start(id.as_str(), "x"));
        hub.ask(Command::Start { id: Some(id.clone()), request }).await.unwrap();
        hub.ask(Command::Terminate { id, output: None, recursive: false }).await.unwrap();
    }
    let everything = wire::PurgeInstancesRequest {
        request: Some(Target::PurgeInstanceFilter(wire::PurgeInstanceFilter::default())),
        ..Default::default()
    };
    let purged = client.purge_instances(everything).await.unwrap().into_inner();
    assert_eq!((purged.deleted_instance_count, purged.is_complete), (2_500, Some(true)));
}

#[tokio::test]
async fn a_purge_that_means_an_orchestration_leaves_the_entity_of_that_id_alone() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let signal = wire::SignalEntityRequest {
        instance_id: "@counter@a".into(),
        name: "add".into(),
        ..Default::default()
    };
    client.signal_entity(signal).await.unwrap();
    let purge = |is_orchestration| wire::PurgeInstancesRequest {
        request: Some(Target::InstanceId("@counter@a".into())),
        recursive: false,
        is_orchestration,
    };
    for (means_an_orchestration, deleted) in [(true, 0), (false, 1)] {
        let purged = client.purge_instances(purge(means_an_orchestration)).await.unwrap().into_inner();
        assert_eq!(purged.deleted_instance_count, deleted);
    }
}

#[tokio::test]
async fn hundreds_of_waits_given_up_at_once_cost_the_connection_nothing() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "never")).await.unwrap();
    let mut waits = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let mut client = client.clone();
        waits.spawn(async move { client.wait_for_instance_completion(get("a")).await.map(drop) });
    }
    let hub = emulator.hub("default").unwrap();
    while hub.stats().await.unwrap().waiters < 500 {
        tokio::task::yield_now().await;
    }
    waits.shutdown().await;
    while hub.stats().await.unwrap().waiters > 0 {
        tokio::task::yield_now().await;
    }
    client.hello(()).await.unwrap();
}

#[tokio::test]
async fn a_deadline_beyond_all_time_is_a_long_wait_and_no_more() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "never")).await.unwrap();
    let mut request = tonic::Request::new(get("a"));
    request.metadata_mut().insert("grpc-timeout", "99999999H".parse().unwrap());
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.wait_for_instance_completion(request).await }
    });
    while emulator.hub("default").unwrap().stats().await.unwrap().waiters == 0 {
        tokio::task::yield_now().await;
    }
    let end = wire::TerminateRequest { instance_id: "a".into(), ..Default::default() };
    client.terminate_instance(end).await.unwrap();
    assert!(waiting.await.unwrap().unwrap().into_inner().exists);
}

#[tokio::test]
async fn the_standard_health_service_says_that_it_serves() {
    let emulator = Emulator::start().await.unwrap();
    let channel = tonic::transport::Channel::from_shared(emulator.endpoint()).unwrap();
    let channel = channel.timeout(Duration::from_secs(30)).connect().await.unwrap();
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    for service in ["", "TaskHubSidecarService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        let status = client.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving, "'{service}'");
    }
}

#[tokio::test]
async fn a_page_of_large_payloads_ends_early_and_the_next_one_goes_on() {
    let emulator = Emulator::start().await.unwrap();
    // As every client is unless told otherwise: it takes 4 MiB.
    let mut client = connect(&emulator).await;
    for n in 0..10 {
        let request =
            wire::CreateInstanceRequest { input: Some("x".repeat(1 << 20)), ..start(&format!("i{n}"), "x") };
        client.start_instance(request).await.unwrap();
    }
    let (mut ids, mut token) = (Vec::new(), None);
    loop {
        let query = wire::InstanceQuery {
            fetch_inputs_and_outputs: true,
            continuation_token: token,
            ..wire::InstanceQuery::default()
        };
        let request = wire::QueryInstancesRequest { query: Some(query) };
        let page = client.query_instances(request).await.unwrap().into_inner();
        assert!((1..4).contains(&page.orchestration_state.len()));
        ids.extend(page.orchestration_state.into_iter().map(|state| state.instance_id));
        token = page.continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(ids, (0..10).map(|n| format!("i{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wait_for_an_instance_that_is_about_to_start_is_not_refused() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let (mut early, wait) = (client.clone(), get("a"));
    let waiting = tokio::spawn(async move { early.wait_for_instance_completion(wait).await });
    client.start_instance(start("a", "x")).await.unwrap();
    let nobody = client.wait_for_instance_completion(get("nobody")).await;
    assert_eq!(nobody.unwrap_err().code(), Code::NotFound);
    let end = wire::TerminateRequest { instance_id: "a".into(), ..Default::default() };
    client.terminate_instance(end).await.unwrap();
    let state = waiting.await.unwrap().unwrap().into_inner().orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), wire::OrchestrationStatus::Terminated);
}

#[tokio::test]
async fn failure_details_are_left_out_unless_payloads_are_asked_for() {
    let emulator = Emulator::builder().max_payload(1).start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "x")).await.unwrap();
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let completion_token = items.message().await.unwrap().unwrap().completion_token;
    let actions = vec![super::complete("too long".into())];
    let answer = wire::OrchestratorResponse { completion_token, actions, ..Default::default() };
    client.complete_orchestrator_task(answer).await.unwrap();
    let shown = async |get_inputs_and_outputs| {
        let request = wire::GetInstanceRequest { instance_id: "a".into(), get_inputs_and_outputs };
        let state = client.clone().get_instance(request).await.unwrap().into_inner().orchestration_state;
        state.unwrap().failure_details.map(|details| details.error_type)
    };
    assert_eq!(shown(true).await.as_deref(), Some("PayloadTooLarge"));
    assert_eq!(shown(false).await, None);
}

#[tokio::test]
async fn the_process_that_holds_the_emulator_can_force_an_end_and_a_late_answer_is_accepted() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "x")).await.unwrap();
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let completion_token = items.message().await.unwrap().unwrap().completion_token;
    let ids = vec![InstanceId::unchecked("a"), InstanceId::unchecked("nobody")];
    let hub = emulator.hub("default").unwrap();
    let left = hub.force_terminate(ids, Some("\"now\"".into()), false).await.unwrap();
    assert_eq!(left, [InstanceId::unchecked("nobody")]);
    let state = client.get_instance(get("a")).await.unwrap().into_inner().orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), wire::OrchestrationStatus::Terminated, "it has ended by now");
    assert_eq!(state.output.as_deref(), Some("\"now\""));
    let actions = vec![super::complete("late".into())];
    let answer = wire::OrchestratorResponse { completion_token, actions, ..Default::default() };
    client.complete_orchestrator_task(answer).await.unwrap();
    let state = client.get_instance(get("a")).await.unwrap().into_inner().orchestration_state.unwrap();
    assert_eq!(state.output.as_deref(), Some("\"now\""));
}
