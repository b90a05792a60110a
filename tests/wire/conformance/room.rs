//! Holds a scheduler to what it sends: nothing that a client with gRPC's usual limit would refuse (R86 to R89).

use super::builders::complete;
use super::fixture::Hub;
use super::worker::{RawWorker, Turn};
use super::{Case, Need, case};
use prost::Message as _;
use std::sync::Arc;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tokio::sync::Notify;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R86", "New events have room beside a long history", new_events_have_room_beside_a_long_history),
        case("R87", "A history that its worker cannot take fails the instance by name, and others go on", a_history_that_its_worker_cannot_take_fails_the_instance_by_name_and_others_go_on).differs("not documented for the service; the turn could never arrive, and would be sent again without end"),
        case("R87", "A termination ends an instance whose history no worker can take", a_termination_ends_an_instance_whose_history_no_worker_can_take),
        case("R88", "A history that is too long for one worker waits for a worker that streams histories", a_history_that_is_too_long_for_one_worker_waits_for_a_worker_that_streams_histories),
        case("R89", "Other calls are answered while a giant message is read", other_calls_are_answered_while_a_giant_message_is_read).needs(&[Need::NoServiceLimits]),
    ]
}

/// What gRPC clients take unless they are told otherwise, in bytes.
const MESSAGE: usize = 4 << 20;

fn streams() -> wire::GetWorkItemsRequest {
    let capabilities = vec![wire::WorkerCapability::HistoryStreaming.into()];
    wire::GetWorkItemsRequest { capabilities, ..Default::default() }
}

/// Gives an instance a past of so many events of 100,000 bytes; returns its last turn, which is still out.
async fn with_past(hub: &Hub, worker: &mut RawWorker, id: &str, events: usize) -> Turn {
    let part = "x".repeat(100_000);
    let mut turn = worker.turn_of(id).await;
    let mut seen = 0;
    for number in 0..events {
        hub.raise(id, &format!("{number}"), &part).await;
    }
    while seen < events {
        turn.act([]).await;
        turn = worker.turn_of(id).await;
        assert!(turn.request.encoded_len() < MESSAGE, "a turn of {} bytes", turn.request.encoded_len());
        seen += turn.kinds().iter().filter(|kind| **kind == "EventRaised").count();
    }
    turn
}

async fn new_events_have_room_beside_a_long_history(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = with_past(&hub, &mut worker, &id, 32).await;
    // 3.2 MB are behind it, and 500 small events come while it is out: one turn has room for all of them.
    for number in 0..500 {
        hub.raise(&id, &format!("late {number}"), "1").await;
    }
    turn.act([]).await;
    let turn = worker.turn_of(&id).await;
    assert_eq!(turn.kinds().iter().filter(|kind| **kind == "EventRaised").count(), 500);
    assert!(turn.request.encoded_len() < MESSAGE);
    turn.finish("done").await;
    assert_eq!(hub.ended(&id).await.output.as_deref(), Some("done"));
}

async fn a_history_that_its_worker_cannot_take_fails_the_instance_by_name_and_others_go_on(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = with_past(&hub, &mut worker, &id, 40).await;
    for number in 0..5 {
        hub.raise(&id, &format!("{number}"), &"x".repeat(100_000)).await;
    }
    turn.act([]).await;
    let ended = loop {
        // It gets what fits, and fails with what does not.
        match hub.state(&id).await {
            Some(state) if state.orchestration_status() == Is::Failed => break state,
            _ => {
                if let Some(turn) = worker.turn_within_quiet(&id).await {
                    assert!(turn.request.encoded_len() < MESSAGE);
                    turn.act([]).await;
                }
            }
        }
    };
    let failure = ended.failure_details.expect("a failure has details");
    assert_eq!(failure.error_type, "HistoryTooLarge", "{failure:?}");
    for part in ["continue-as-new", "HISTORY_STREAMING"] {
        assert!(failure.error_message.contains(part), "{failure:?}");
    }
    let other = hub.start("b", "Any").await;
    worker.turn_of(&other).await.finish("done").await;
    assert_eq!(hub.ended(&other).await.output.as_deref(), Some("done"));
}

async fn a_termination_ends_an_instance_whose_history_no_worker_can_take(hub: Hub) {
    let mut worker = hub.worker().await;
    let large = "x".repeat(100_000);
    // Where a worker is there, and cannot take the turn.
    let id = hub.start("a", "Any").await;
    let turn = with_past(&hub, &mut worker, &id, 41).await;
    hub.raise(&id, "late", &large).await;
    hub.terminate(&id, "enough").await;
    turn.act([]).await;
    let ended = hub.ended(&id).await;
    assert_eq!((ended.orchestration_status(), ended.output.as_deref()), (Is::Terminated, Some("enough")));
    // Where none is there at all.
    let id = hub.start("b", "Any").await;
    with_past(&hub, &mut worker, &id, 41).await.act([]).await;
    drop(worker);
    hub.raise(&id, "late", &large).await;
    hub.terminate(&id, "enough").await;
    let ended = hub.ended(&id).await;
    assert_eq!((ended.orchestration_status(), ended.output.as_deref()), (Is::Terminated, Some("enough")));
}

async fn a_history_that_is_too_long_for_one_worker_waits_for_a_worker_that_streams_histories(hub: Hub) {
    let one = wire::GetWorkItemsRequest { max_concurrent_orchestration_work_items: 1, ..streams() };
    let mut fetching = hub.worker_with(one).await;
    let id = hub.start("a", "Any").await;
    let turn = with_past(&hub, &mut fetching, &id, 60).await;
    assert!(turn.request.requires_history_streaming);
    turn.act([]).await;
    let other = hub.start("b", "Any").await;
    let busy = fetching.turn_of(&other).await;
    let mut plain = hub.worker().await;
    hub.raise(&id, "more", "1").await;
    // Others of its class do not wait for it.
    let third = hub.start("c", "Any").await;
    plain.turn_of(&third).await.finish("done").await;
    assert!(plain.is_idle().await, "it is for the worker that can take it");
    busy.finish("done").await;
    let turn = fetching.turn_of(&id).await;
    assert!(turn.request.requires_history_streaming);
    turn.act([complete(1, "done")]).await;
    assert_eq!(hub.ended(&id).await.output.as_deref(), Some("done"));
}

async fn other_calls_are_answered_while_a_giant_message_is_read(hub: Hub) {
    // Without limits, so that the giant is read at all: 600,000 tags, which are then too many.
    let giant = wire::CreateInstanceRequest {
        instance_id: "giant".into(),
        name: "Any".into(),
        tags: (0..600_000).map(|number| (format!("{number}"), "1".to_owned())).collect(),
        ..Default::default()
    };
    let mut message = vec![0];
    message.extend(u32::try_from(giant.encoded_len()).expect("it is no such giant").to_be_bytes());
    message.extend(giant.encode_to_vec());
    let (rest, sent) = (message.split_off(message.len() - 1), Arc::new(Notify::new()));
    // All of it is sent but the last byte; then that one, and from then on the emulator has it to read.
    let (answer, gate) =
        (super::bare::post(&hub.endpoint, "StartInstance", message, rest, sent.clone()), sent);
    let mut client = hub.client();
    let reading = async {
        client.hello(()).await.expect("the hub answers");
        gate.notify_one();
        for _ in 0..20 {
            client.hello(()).await.expect("the hub answers");
        }
    };
    tokio::select! {
        biased;
        code = answer => panic!("the giant was answered first: {code:?}"),
        () = reading => {}
    }
}
