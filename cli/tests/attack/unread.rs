//! Clients and workers that ask and never read what comes.

use super::actors::{healthy, length};
use super::stage::{Running, channel, connect, within};
use taskhub::sdk::Worker;
use taskhub::sdk::client::Client;
use taskhub::wire;
use tonic::codegen::http::uri::PathAndQuery;

/// How many instances, each with an input of this many bytes, and how much memory all of that may take, in MiB: four
/// times what the inputs are.
const INSTANCES: usize = 300;
const INPUT: usize = 300_000;
const INPUTS_MAY_TAKE: u64 = 360;

#[tokio::test]
async fn a_healthy_worker_gets_the_work_that_a_stream_without_a_limit_does_not_read() {
    let emulator = Running::start(&[]).await;
    let mut hoarder = connect(&emulator.endpoint()).await;
    // Zero for every limit, as some SDKs send; then never polled.
    let _unread = hoarder.get_work_items(wire::GetWorkItemsRequest::default()).await.unwrap();
    let before = emulator.process.resident();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let text = "x".repeat(INPUT);
    let mut handles = Vec::new();
    for _ in 0..INSTANCES {
        handles.push(client.start(length, text.clone()).await.unwrap());
    }
    let worker = Worker::new(&client, healthy()).start().unwrap();
    for (done, handle) in handles.iter().enumerate() {
        let length = within(&format!("{done} of {INSTANCES} are done"), handle.result()).await;
        assert_eq!(length.unwrap(), INPUT);
    }
    if let (Some(before), Some(after)) = (before, emulator.process.resident()) {
        assert!(after < before + INPUTS_MAY_TAKE, "{before} MiB before, {after} MiB after");
    }
    worker.kill().await;
}

/// How many ask for a large reply and do not read it, how large it is, and what all of them may take, in MiB: a quarter
/// of what they ask for.
const READERS: usize = 60;
const REPLY: usize = 20 << 20;
const REPLIES_MAY_TAKE: u64 = 300;
/// Larger payloads than the service takes.
const UNLIMITED: &[&str] = &["--service-limits", "off"];

#[tokio::test]
async fn large_replies_that_are_not_read_take_bounded_memory_and_others_are_served() {
    let emulator = Running::start(UNLIMITED).await;
    let mut client = connect(&emulator.endpoint()).await.max_encoding_message_size(usize::MAX);
    let start = wire::CreateInstanceRequest {
        instance_id: "large".into(),
        name: "nobody takes it".into(),
        input: Some("x".repeat(REPLY)),
        ..Default::default()
    };
    within("the start", client.start_instance(start)).await.unwrap();
    let before = emulator.process.resident();
    let mut unread = Vec::new();
    let mut refused = 0;
    for _ in 0..READERS {
        let mut grpc = tonic::client::Grpc::new(channel(&emulator.endpoint()).await);
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/TaskHubSidecarService/GetInstance");
        let codec = tonic_prost::ProstCodec::<wire::GetInstanceRequest, wire::GetInstanceResponse>::default();
        let request = wire::GetInstanceRequest { instance_id: "large".into(), get_inputs_and_outputs: true };
        // As a stream of one reply, so that it is here with its headers, and its body is never asked for.
        let reply = grpc.server_streaming(tonic::Request::new(request), path, codec);
        match tokio::time::timeout(std::time::Duration::from_secs(10), reply).await {
            Ok(Ok(reply)) => unread.push((grpc, reply)),
            Ok(Err(status)) => {
                assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
                refused += 1;
            }
            // It waits until there is room, which is a bound as well.
            Err(_) => refused += 1,
        }
        if refused > 0 {
            break;
        }
    }
    if let (Some(before), Some(after)) = (before, emulator.process.resident()) {
        let readers = unread.len();
        assert!(after < before + REPLIES_MAY_TAKE, "{before} MiB before, {after} MiB with {readers} readers");
    }
    let mut other = connect(&emulator.endpoint()).await;
    within("an answer for another client", other.hello(())).await.unwrap();
}
