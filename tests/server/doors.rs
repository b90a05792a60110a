//! Crowds the doors: connections that say nothing, replies that no client reads, waits that never end.

use super::{complete, connect, get, start};
use pretty_assertions::assert_eq;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::Emulator;
use taskhub::emulator::engine::command::Command;
use taskhub::model::{InstanceId, Timestamp};
use taskhub::wire::{
    self, purge_instances_request::Request as Target,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Client, work_item::Request as Work,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::codegen::Service as _;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// After this time a test fails that would wait without end.
const PATIENCE: Duration = Duration::from_secs(60);

async fn silent(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// What comes on a connection until its other end closes it.
async fn until_closed(mut socket: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end too.
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "it stays open");
    all
}

async fn health(emulator: &Emulator) -> String {
    let mut socket = TcpStream::connect(emulator.health_address().unwrap()).await.unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    String::from_utf8(until_closed(socket).await).unwrap()
}

#[tokio::test]
async fn silent_connections_make_way_for_a_client_on_both_ports() {
    let emulator = Emulator::builder().max_connections(4).health_port(0).start().await.unwrap();
    let mut crowd = Vec::new();
    for n in 0..20 {
        let port = if n % 2 == 0 { emulator.address() } else { emulator.health_address().unwrap() };
        crowd.push(silent(port).await);
    }
    connect(&emulator).await.hello(()).await.unwrap();
    assert!(health(&emulator).await.starts_with("HTTP/1.1 204"));
    // All but those that there was room for were told to go.
    for socket in crowd.drain(..16) {
        assert_eq!(until_closed(socket).await, b"");
    }
}

#[tokio::test]
async fn a_client_that_works_outlives_any_number_of_silent_connections() {
    let emulator = Emulator::builder().max_connections(3).start().await.unwrap();
    let mut client = connect(&emulator).await;
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(silent(emulator.address()).await);
    }
    let last = crowd.pop().unwrap();
    for socket in crowd.drain(..40) {
        until_closed(socket).await;
    }
    client.start_instance(start("a", "x")).await.unwrap();
    let item = items.message().await.unwrap().unwrap();
    assert!(matches!(item.request, Some(Work::OrchestratorRequest(_))));
    drop(last);
}

#[tokio::test]
async fn a_client_is_refused_in_words_where_every_connection_has_a_call() {
    let emulator = Emulator::builder().max_connections(2).health_port(0).start().await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&emulator).await;
        workers.push(client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap());
    }
    let refused = until_closed(silent(emulator.address()).await).await;
    assert_eq!(refused[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0], "SETTINGS come first");
    assert_eq!((refused[12], refused[25]), (7, 11), "a GOAWAY that asks for calm");
    let words = String::from_utf8_lossy(&refused[26..]);
    assert!(words.starts_with("2 connections are open and each has a call under way"), "{words}");
    assert!(health(&emulator).await.starts_with("HTTP/1.1 503"));
    // A client that has sent its call before it reads may see the end of the connection alone.
    if let Ok(channel) = Channel::from_shared(emulator.endpoint()).unwrap().connect().await {
        let code = Client::new(channel).hello(()).await.unwrap_err().code();
        assert!(
            matches!(code, Code::ResourceExhausted | Code::Unavailable | Code::Unknown | Code::Cancelled),
            "{code:?}"
        );
    }
    drop(workers);
    // The workers' connections end in their own time, and then there is room.
    loop {
        let Ok(channel) = Channel::from_shared(emulator.endpoint()).unwrap().connect().await else {
            continue;
        };
        if Client::new(channel).hello(()).await.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn a_wait_above_the_limit_is_refused_and_an_abandoned_wait_makes_room() {
    let emulator = Emulator::builder().max_waits(3).start().await.unwrap();
    let mut client = connect(&emulator).await;
    client.start_instance(start("a", "never")).await.unwrap();
    let wait = |mut client: Client<Channel>| {
        tokio::spawn(async move { client.wait_for_instance_completion(get("a")).await })
    };
    let hub = emulator.hub("default").unwrap();
    let waits: Vec<_> = (0..3).map(|_| wait(client.clone())).collect();
    while hub.stats().await.unwrap().waiters < 3 {
        tokio::task::yield_now().await;
    }
    let refused = tokio::time::timeout(PATIENCE, client.wait_for_instance_start(get("a"))).await;
    let refused = refused.expect("it is not left to wait").unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().starts_with("3 waits for instances are open"), "{refused:?}");
    for wait in waits {
        wait.abort();
    }
    while hub.stats().await.unwrap().waiters > 0 {
        tokio::task::yield_now().await;
    }
    let again = wait(client.clone());
    while hub.stats().await.unwrap().waiters < 1 {
        assert!(!again.is_finished(), "{:?}", again.await);
        tokio::task::yield_now().await;
    }
}

/// An emulator whose clock stands still, and which has an instance with that many bytes of input.
async fn with_large_instance(
    max_unread: usize,
    bytes: usize,
) -> (Emulator, Arc<ManualClock>, Client<Channel>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let builder = Emulator::builder().service_limits(false).clock(clock.clone()).max_unread(max_unread);
    let emulator = builder.start().await.unwrap();
    let mut client = connect(&emulator).await;
    let input = Some("x".repeat(bytes));
    client.start_instance(wire::CreateInstanceRequest { input, ..start("a", "x") }).await.unwrap();
    let end = wire::TerminateRequest { instance_id: "a".into(), ..Default::default() };
    client.terminate_instance(end).await.unwrap();
    (emulator, clock, client)
}

fn history_of(id: &str) -> wire::StreamInstanceHistoryRequest {
    wire::StreamInstanceHistoryRequest { instance_id: id.into(), ..Default::default() }
}

/// The answer to a call while time passes.
async fn answered<T: Send + 'static>(
    clock: &ManualClock,
    call: impl Future<Output = Result<tonic::Response<T>, Status>> + Send + 'static,
) -> Result<T, Status> {
    let call = tokio::spawn(call);
    while !call.is_finished() {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    call.await.unwrap().map(tonic::Response::into_inner)
}

#[tokio::test]
async fn replies_that_no_client_reads_are_bounded_and_the_next_large_one_is_told_the_limit() {
    // A connection may have 2 MiB unread.
    let (emulator, clock, _) = with_large_instance(8 << 20, 700 << 10).await;
    let channel = Channel::from_shared(emulator.endpoint()).unwrap();
    // The client takes little of a reply that is not read, and always something of one that is.
    let channel = channel.initial_stream_window_size(64 << 10).initial_connection_window_size(64 << 20);
    let client = Client::new(channel.connect().await.unwrap());
    let mut unread = Vec::new();
    let refused = loop {
        let mut client = client.clone();
        let call = async move { client.stream_instance_history(history_of("a")).await };
        match answered(&clock, call).await {
            Ok(stream) => unread.push(stream),
            Err(status) => break status,
        }
        assert!(unread.len() < 10, "nothing is bounded");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let said = refused.message();
    assert!(said.contains("2097152 bytes on this connection") && said.contains("read replies"), "{said}");
    // Neither are small calls of that connection hindered nor large ones of another.
    client.clone().hello(()).await.unwrap();
    let mut other = connect(&emulator).await;
    assert!(other.get_instance(get("a")).await.unwrap().into_inner().exists);
    // What is read makes room.
    for mut stream in unread.drain(..) {
        while stream.message().await.unwrap().is_some() {}
    }
    assert!(client.clone().get_instance(get("a")).await.unwrap().into_inner().exists);
}

#[tokio::test]
async fn dozens_of_large_replies_pass_through_a_small_room_where_they_are_read() {
    let (emulator, _clock, client) = with_large_instance(4 << 20, 900 << 10).await;
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let mut client = client.clone();
            tokio::spawn(async move {
                if n % 2 == 0 {
                    client.get_instance(get("a")).await
                } else {
                    client.wait_for_instance_completion(get("a")).await
                }
            })
        })
        .collect();
    for call in calls {
        let state = call.await.unwrap().unwrap().into_inner().orchestration_state.unwrap();
        assert_eq!(state.input.unwrap().len(), 900 << 10);
    }
    emulator.stop().await;
}

#[tokio::test]
async fn a_reply_larger_than_the_room_for_all_passes_alone() {
    let (_emulator, clock, mut client) = with_large_instance(1 << 20, 3 << 20).await;
    // A reply that finds no room is refused once time has passed, so that this test fails and does not hang.
    let call = async move { client.get_instance(get("a")).await };
    let state = answered(&clock, call).await.unwrap().orchestration_state.unwrap();
    assert_eq!(state.input.unwrap().len(), 3 << 20);
}

/// Gives an instance a history of that many events of 100 KiB and terminates it.
async fn with_long_history(emulator: &Emulator, events: usize) {
    let hub = emulator.hub("default").unwrap();
    let id = InstanceId::unchecked("long");
    hub.ask(Command::Start { id: Some(id.clone()), request: Box::new(start("long", "x")) }).await.unwrap();
    for n in 0..events {
        let input = Some("x".repeat(100 << 10));
        hub.ask(Command::Raise { id: id.clone(), name: n.to_string(), input }).await.unwrap();
    }
    hub.ask(Command::Terminate { id, output: None, recursive: false }).await.unwrap();
}

#[tokio::test]
async fn a_long_history_comes_whole_and_in_order_in_parts() {
    let emulator = Emulator::start().await.unwrap();
    with_long_history(&emulator, 50).await;
    let mut client = connect(&emulator).await;
    let mut stream = client.stream_instance_history(history_of("long")).await.unwrap().into_inner();
    let (mut names, mut parts) = (Vec::new(), 0);
    while let Some(part) = stream.message().await.unwrap() {
        parts += 1;
        names.extend(part.events.into_iter().filter_map(|event| match event.event_type {
            Some(wire::history_event::EventType::EventRaised(raised)) => Some(raised.name),
            _ => None,
        }));
    }
    assert_eq!(names, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(parts >= 5, "{parts} parts");
}

#[tokio::test]
async fn a_reader_of_a_history_that_is_purged_meanwhile_gets_an_error_and_not_half_of_it() {
    let emulator = Emulator::start().await.unwrap();
    with_long_history(&emulator, 200).await;
    let mut client = connect(&emulator).await;
    let mut stream = client.stream_instance_history(history_of("long")).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let purge = wire::PurgeInstancesRequest {
        request: Some(Target::InstanceId("long".into())),
        ..Default::default()
    };
    client.purge_instances(purge).await.unwrap();
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if it were whole"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Aborted, "{end:?}");
}

#[tokio::test]
async fn a_full_hub_refuses_what_is_new_finishes_what_has_begun_and_takes_more_after_a_purge() {
    let emulator = Emulator::builder().max_state(1 << 20).start().await.unwrap();
    let mut client = connect(&emulator).await;
    let large = || Some("x".repeat(300 << 10));
    for _ in 0..3 {
        let request = wire::CreateInstanceRequest { input: large(), ..start("", "x") };
        // The second is taken as long as there is any room; its input is kept twice, as the instance's and as its event's.
        let _ = client.start_instance(request).await;
    }
    let refused = client.start_instance(start("", "x")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("may hold 1048576; purge what has ended"), "{refused:?}");
    let raise = wire::RaiseEventRequest { instance_id: "a".into(), name: "e".into(), input: None };
    assert_eq!(client.raise_event(raise).await.unwrap_err().code(), Code::ResourceExhausted);
    let signal = wire::SignalEntityRequest {
        instance_id: "@counter@a".into(),
        name: "add".into(),
        ..Default::default()
    };
    assert_eq!(client.signal_entity(signal).await.unwrap_err().code(), Code::ResourceExhausted);
    let mut items = client.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let item = items.message().await.unwrap().unwrap();
    let Some(Work::OrchestratorRequest(turn)) = item.request else { panic!("it should be a turn") };
    let answer = wire::OrchestratorResponse {
        completion_token: item.completion_token,
        actions: vec![complete("x".repeat(200 << 10))],
        ..Default::default()
    };
    client.complete_orchestrator_task(answer).await.unwrap();
    let purge = wire::PurgeInstancesRequest {
        request: Some(Target::InstanceId(turn.instance_id)),
        ..Default::default()
    };
    assert_eq!(client.purge_instances(purge).await.unwrap().into_inner().deleted_instance_count, 1);
    client.start_instance(start("b", "x")).await.unwrap();
}

#[tokio::test]
async fn a_connection_with_thousands_of_calls_does_not_keep_another_from_being_answered() {
    const FLOOD: usize = 6_400;
    let emulator = Emulator::start().await.unwrap();
    let mut greedy = connect(&emulator).await;
    greedy.start_instance(start("a", "x")).await.unwrap();
    let answered = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let flood: Vec<_> = (0..64)
        .map(|_| {
            let (mut client, answered) = (greedy.clone(), answered.clone());
            tokio::spawn(async move {
                let calls = (0..FLOOD / 64).map(|_| {
                    let (mut client, answered) = (client.clone(), answered.clone());
                    async move {
                        client.get_instance(get("a")).await.unwrap();
                        answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
                futures::future::join_all(calls).await;
                client.hello(()).await.unwrap();
            })
        })
        .collect();
    while answered.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut modest = connect(&emulator).await;
    modest.hello(()).await.unwrap();
    let before = answered.load(std::sync::atomic::Ordering::Relaxed);
    assert!(before < FLOOD, "it had to wait for the whole flood");
    for part in flood {
        part.await.unwrap();
    }
}

/// A request of which the header and a few bytes of the message are sent, and nothing more.
struct Half(Option<bytes::Bytes>);

impl http_body::Body for Half {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// Begins a call whose message says that it has so many bytes, and does not go on with it.
async fn half(mut channel: Channel, method: &str, announced: u32) -> Option<Status> {
    let [a, b, c, d] = announced.to_be_bytes();
    let bytes = bytes::Bytes::copy_from_slice(&[0, a, b, c, d, 10, 1, b'a']);
    let request = http::Request::post(format!("http://localhost/TaskHubSidecarService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Half(Some(bytes))))
        .unwrap();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    Status::from_header_map(response.headers())
}

#[tokio::test]
async fn requests_that_come_in_part_are_bounded_and_the_next_one_is_told_the_limit() {
    let emulator = Emulator::start().await.unwrap();
    let channel = Channel::from_shared(emulator.endpoint()).unwrap().connect().await.unwrap();
    let mut halves = tokio::task::JoinSet::new();
    // A connection may have 128 MiB under way: 32 requests of 4 MiB.
    for _ in 0..33 {
        let channel = channel.clone();
        halves.spawn(async move { half(channel, "StartInstance", 4 << 20).await });
    }
    let refused = tokio::time::timeout(PATIENCE, halves.join_next()).await.expect("one is refused");
    let refused = refused.unwrap().unwrap().expect("it says why");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("134217728 bytes on this connection"), "{refused:?}");
    // Neither small calls nor completions of that connection are hindered.
    let mut client = Client::new(channel.clone());
    client.hello(()).await.unwrap();
    let answer = wire::ActivityResponse {
        result: Some("x".repeat(1 << 20)),
        completion_token: "unknown".into(),
        ..Default::default()
    };
    assert_eq!(client.complete_activity_task(answer).await.unwrap_err().code(), Code::NotFound);
    // A call that is given up makes room.
    halves.shutdown().await;
    let large = || wire::CreateInstanceRequest { input: Some("x".repeat(1 << 20)), ..start("a", "x") };
    let taken = async { while client.start_instance(large()).await.is_err() {} };
    tokio::time::timeout(PATIENCE, taken).await.expect("there is room again");
}
