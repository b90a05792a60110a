//! Talks to an emulator over real sockets, as any client and worker do.
#![cfg(all(feature = "emulator", feature = "sdk"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

#[path = "server/door.rs"]
mod door;
#[path = "server/doors.rs"]
mod doors;
#[path = "server/loopback.rs"]
mod loopback;

use pretty_assertions::assert_eq;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::{Emulator, MissingHub};
use taskhub::model::Timestamp;
use taskhub::wire::{
    self, orchestrator_action::OrchestratorActionType as Action,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Client, work_item::Request as Work,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic::transport::Channel;

async fn connect(emulator: &Emulator) -> Client<Channel> {
    let channel = Channel::from_shared(emulator.endpoint()).unwrap().connect().await.unwrap();
    Client::new(channel)
}

fn named<T>(hub: &'static str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("taskhub", hub.parse().unwrap());
    request
}

fn start(id: &str, name: &str) -> wire::CreateInstanceRequest {
    wire::CreateInstanceRequest { instance_id: id.into(), name: name.into(), ..Default::default() }
}

fn get(id: &str) -> wire::GetInstanceRequest {
    wire::GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true }
}

fn complete(result: String) -> wire::OrchestratorAction {
    let done = wire::CompleteOrchestrationAction {
        orchestration_status: wire::OrchestrationStatus::Completed.into(),
        result: Some(result),
        ..Default::default()
    };
    wire::OrchestratorAction {
        id: 100_000,
        orchestrator_action_type: Some(Action::CompleteOrchestration(done)),
    }
}

/// Answers work: the first turn of an instance fans out to `width` activities, the turn that has them all completes.
async fn work(mut client: Client<Channel>, width: usize) {
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    while let Ok(Some(item)) = items.message().await {
        let completion_token = item.completion_token;
        match item.request.unwrap() {
            Work::OrchestratorRequest(turn) => {
                let seen = turn.past_events.iter().chain(&turn.new_events);
                let done = seen
                    .filter(|event| {
                        matches!(event.event_type, Some(wire::history_event::EventType::TaskCompleted(_)))
                    })
                    .count();
                let actions = if turn.past_events.is_empty() {
                    let call = |id| wire::OrchestratorAction {
                        id,
                        orchestrator_action_type: Some(Action::ScheduleTask(wire::ScheduleTaskAction {
                            name: "square".into(),
                            ..Default::default()
                        })),
                    };
                    (0..i32::try_from(width).unwrap()).map(call).collect()
                } else if done == width {
                    vec![complete(done.to_string())]
                } else {
                    vec![]
                };
                let answer = wire::OrchestratorResponse { completion_token, actions, ..Default::default() };
                client.complete_orchestrator_task(answer).await.unwrap();
            }
            Work::ActivityRequest(_) => {
                let answer = wire::ActivityResponse {
                    completion_token,
                    result: Some("1".into()),
                    ..Default::default()
                };
                client.complete_activity_task(answer).await.unwrap();
            }
            other @ (Work::EntityRequest(_) | Work::EntityRequestV2(_) | Work::HealthPing(_)) => {
                panic!("the test sends no {other:?}")
            }
        }
    }
}

#[tokio::test]
async fn a_thousand_activities_go_out_and_come_back_over_a_socket() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    tokio::spawn(work(client.clone(), 1_000));
    client.start_instance(start("a", "fan")).await.unwrap();
    let state = client.wait_for_instance_completion(get("a")).await.unwrap().into_inner();
    assert_eq!(state.orchestration_state.unwrap().output.as_deref(), Some("1000"));
    let mut history = client
        .stream_instance_history(wire::StreamInstanceHistoryRequest {
            instance_id: "a".into(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let mut events = 0;
    while let Some(chunk) = history.message().await.unwrap() {
        events += chunk.events.len();
    }
    assert!(events > 2_000, "{events} events");
    emulator.stop().await;
}

#[tokio::test]
async fn an_unknown_hub_is_named_and_a_dynamic_one_comes_into_being() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let refused = client.hello(named("nowhere", ())).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "Task hub not found: nowhere"));
    let refused =
        client.get_work_items(named("nowhere", wire::GetWorkItemsRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    client.hello(named("DEFAULT", ())).await.unwrap();
    let dynamic = Emulator::builder().dynamic_hubs(true).start().await.unwrap();
    connect(&dynamic).await.hello(named("nowhere", ())).await.unwrap();
    assert!(dynamic.hub("nowhere").is_some());
}

#[tokio::test]
async fn a_wait_ends_with_its_deadline_and_one_for_an_instance_that_does_not_exist_after_a_second() {
    const ALMOST: Duration = Duration::from_millis(3_599_999);
    const REST: Duration = Duration::from_millis(1);
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "never")).await.unwrap();
    let sleepers = clock.sleepers();
    let nobody = tokio::spawn({
        let mut client = client.clone();
        async move { client.wait_for_instance_completion(get("nobody")).await }
    });
    while clock.sleepers() == sleepers {
        tokio::task::yield_now().await;
    }
    assert!(!nobody.is_finished(), "a parent may be about to start it");
    clock.advance(Duration::from_secs(1));
    assert_eq!(nobody.await.unwrap().unwrap_err().code(), Code::NotFound);
    // tonic's client keeps the deadline too, by a clock that stands still: an hour of it does not pass here.
    let mut request = tonic::Request::new(get("a"));
    request.set_timeout(ALMOST + REST);
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.wait_for_instance_completion(request).await }
    });
    while emulator.hub("default").unwrap().stats().await.unwrap().waiters == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(ALMOST);
    // A whole round trip later it would have been answered.
    client.hello(()).await.unwrap();
    assert_eq!(
        emulator.hub("default").unwrap().stats().await.unwrap().waiters,
        1,
        "it ended before its time"
    );
    assert!(!waiting.is_finished());
    clock.advance(REST);
    let passed = waiting.await.unwrap().unwrap_err();
    assert_eq!(passed.code(), Code::DeadlineExceeded, "{passed:?}");
    while emulator.hub("default").unwrap().stats().await.unwrap().waiters > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_silent_stream_is_pinged() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let emulator = Emulator::builder().clock(clock.clone()).start().await.unwrap();
    let mut client = connect(&emulator).await;
    // Not at the hub's beginning: what counts is how long this stream has been silent.
    clock.advance(Duration::from_secs(9));
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    while emulator.hub("default").unwrap().stats().await.unwrap().workers.is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(10));
    let item = items.message().await.unwrap().unwrap();
    assert!(matches!(item.request, Some(Work::HealthPing(_))));
    assert_eq!(item.completion_token, "");
}

#[tokio::test]
async fn a_stop_ends_a_thousand_streams_with_unavailable_and_answers_every_wait() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let stream = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap();
        streams.push(stream.into_inner());
    }
    client.start_instance(start("a", "x")).await.unwrap();
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.wait_for_instance_completion(get("a")).await }
    });
    while emulator.hub("default").unwrap().stats().await.unwrap().waiters == 0 {
        tokio::task::yield_now().await;
    }
    emulator.stop().await;
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Unavailable);
    for mut stream in streams {
        let end = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => break Code::Ok,
                Err(status) => break status.code(),
            }
        };
        assert_eq!(end, Code::Unavailable);
    }
}

#[tokio::test]
async fn plain_http_on_the_grpc_port_is_told_what_speaks_there() {
    // Everywhere, to see that an address is named at which one finds it.
    let everywhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    let emulator = Emulator::builder().host(everywhere).health_port(0).start().await.unwrap();
    let loopback = |address: SocketAddr| SocketAddr::from(([127, 0, 0, 1], address.port()));
    let answer = asked(loopback(emulator.address()), "/", b"").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let health = loopback(emulator.health_address().unwrap());
    let named = format!("http://localhost:{}/healthz", health.port());
    assert!(answer.contains("gRPC") && answer.contains(&named), "{answer}");
    for (path, status) in [("/", "200"), ("/healthz", "204"), ("/v1/taskhubs/ping", "200")] {
        let answer = asked(health, path, b"").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}

/// What a server answers to one plain request with a further header.
async fn asked(address: SocketAddr, path: &str, header: &[u8]) -> String {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    socket.write_all(&[request.as_bytes(), header, b"\r\n"].concat()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_ping_of_a_hub_is_answered_as_grpc_would_find_it() {
    let (dynamic, lenient, strict) = (true, MissingHub::Default, MissingHub::Reject);
    for (dynamic, missing, header, status) in [
        (false, lenient, "", "200"),
        (false, lenient, "x-taskhub: orders\r\n", "200"),
        (false, lenient, "x-taskhub: default\r\n", "404"),
        (dynamic, lenient, "x-taskhub: new\r\n", "200"),
        (dynamic, lenient, "x-taskhub: \u{ff}\r\n", "400"),
        (false, strict, "", "400"),
    ] {
        let builder = Emulator::builder().hubs(["orders", "billing"]).health_port(0);
        let emulator = builder.dynamic_hubs(dynamic).missing_hub(missing).start().await.unwrap();
        assert_eq!(emulator.connection_string(), emulator.connection_string_for("orders"));
        let answer = asked(emulator.health_address().unwrap(), "/v1/taskhubs/ping", header.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{dynamic}, {missing:?}, {header:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn garbage_on_the_port_closes_that_connection_and_no_other() {
    let emulator = Emulator::start().await.unwrap();
    let mut client = connect(&emulator).await;
    let mut socket = tokio::net::TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(&[0xff; 4_096]).await.unwrap();
    let mut rest = Vec::new();
    // It is closed, with or without a word.
    let _ = socket.read_to_end(&mut rest).await;
    client.hello(()).await.unwrap();
}

#[tokio::test]
async fn two_hundred_emulators_live_side_by_side_and_their_hubs_are_their_own() {
    let mut emulators = Vec::new();
    for _ in 0..200 {
        emulators.push(Emulator::builder().hubs(["one", "two"]).start().await.unwrap());
    }
    let mut first = connect(&emulators[0]).await;
    first.start_instance(named("one", start("a", "x"))).await.unwrap();
    for (emulator, hub, there) in [(0, "one", true), (0, "two", false), (199, "one", false)] {
        let mut client = connect(&emulators[emulator]).await;
        let found = client.get_instance(named(hub, get("a"))).await.unwrap().into_inner();
        assert_eq!(found.exists, there, "emulator {emulator}, hub {hub}");
    }
    for emulator in emulators {
        emulator.stop().await;
    }
}
