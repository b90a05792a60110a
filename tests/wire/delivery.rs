//! Tells what becomes of work that does not come back: unread streams, silent connections, held items, poison, and instances without a worker (G35 to G41).

use crate::builders::{call, complete};
use crate::fixture::{Hub, PATIENCE, code, eventually};
use crate::proxy::Proxy;
use crate::worker::kinds;
use std::sync::Arc;
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::{Emulator, EmulatorBuilder};
use taskhub::model::Timestamp;
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus};
use tonic::Code;

/// A hub of an emulator of its own; another endpoint cannot be told how long to wait.
async fn hub(builder: EmulatorBuilder) -> Hub {
    Hub::on(builder.start().await.expect("the emulator starts"))
}

/// A clock that stands still, and a hub that goes by it.
async fn at_rest(change: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Hub, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let builder = Emulator::builder().clock(clock.clone());
    (hub(change(builder)).await, clock)
}

/// Starts forty instances whose turns have most of a mebibyte each.
async fn start_forty(hub: &Hub) {
    for number in 0..40 {
        let request = wire::CreateInstanceRequest {
            instance_id: hub.id(&format!("i{number}")),
            name: "Any".into(),
            input: Some("x".repeat(900 << 10)),
            ..Default::default()
        };
        hub.start_with(request).await.expect("the instance starts");
    }
}

#[tokio::test]
async fn g35_a_stream_that_is_not_read_gets_a_few_mebibytes_and_a_healthy_one_the_rest() {
    let (hub, _clock) = at_rest(|builder| builder).await;
    let unread = hub.worker().await;
    let mut healthy = hub.worker().await;
    start_forty(&hub).await;
    for _ in 0..30 {
        healthy.turn().await.finish("done").await;
    }
    drop(unread);
    for _ in 30..40 {
        healthy.turn().await.finish("done").await;
    }
}

#[tokio::test]
async fn g35_a_stream_that_stays_unread_is_given_up_with_unavailable_and_its_work_handed_out_again() {
    let (hub, clock) = at_rest(|builder| builder).await;
    let mut unread = hub.worker().await;
    start_forty(&hub).await;
    let held = hub.stats().await.workers[0].active[0];
    assert!((1..20).contains(&held), "it holds {held} of forty");
    clock.advance(Duration::from_secs(31));
    eventually("the stream is given up", || async { hub.stats().await.workers.is_empty().then_some(()) })
        .await;
    let mut heir = hub.worker().await;
    for _ in 0..40 {
        heir.turn().await.finish("done").await;
    }
    loop {
        match unread.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end without a word"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn g36_a_worker_behind_a_connection_that_went_silent_loses_its_work_to_another() {
    let hub = hub(Emulator::builder().worker_timeout(Duration::from_secs(3))).await;
    let proxy = Proxy::to(&hub.endpoint).await;
    let mut lost = hub.at_address(&proxy.endpoint()).worker().await;
    let id = hub.start("a", "Any").await;
    lost.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    let activity = lost.activity().await;
    hub.raise(&id, "e", "1").await;
    let turn = lost.turn_of(&id).await;
    proxy.fall_silent();
    let mut heir = hub.worker().await;
    let inherited = (heir.turn_of(&id).await, heir.activity().await);
    assert_eq!(inherited.0.execution(), turn.execution());
    assert_eq!(inherited.1.request, activity.request);
    inherited.1.finish("1").await;
    inherited.0.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

#[tokio::test]
async fn g37_a_worker_that_states_no_limit_gets_no_more_than_the_hubs_own() {
    let hub = hub(Emulator::builder().unstated_limit(5)).await;
    let mut hoarder = hub.worker().await;
    let id = hub.start("a", "Any").await;
    hoarder.turn_of(&id).await.act((1..=12).map(|task| call(task, "Work", "1"))).await;
    for _ in 0..5 {
        hoarder.activity().await;
    }
    assert!(hoarder.is_idle().await, "a sixth came");
    let mut other = hub.worker().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(other.activity().await);
    }
    held.remove(0).finish("1").await;
    other.activity().await;
}

#[tokio::test]
async fn g38_a_turn_that_is_held_for_too_long_goes_to_another_stream_first() {
    let (hub, clock) = at_rest(|builder| builder.turn_lease(Duration::from_secs(60))).await;
    let mut holder = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let held = holder.turn_of(&id).await;
    let mut heir = hub.worker().await;
    clock.advance(Duration::from_secs(61));
    let turn = heir.turn_of(&id).await;
    assert_eq!((turn.execution(), turn.kinds()), (held.execution(), held.kinds()));
    let late = held.send(held.answer(vec![complete(1, "late")])).await;
    assert_eq!(code(late), Code::NotFound);
    turn.finish("in time").await;
    assert_eq!(hub.ended(&id).await.output, Some("in time".into()));
}

#[tokio::test]
async fn g38_an_activity_may_be_held_for_days_unless_the_hub_says_otherwise() {
    for (lease, comes_again) in [(None, false), (Some(Duration::from_secs(60)), true)] {
        let (hub, clock) = at_rest(|builder| builder.activity_lease(lease).worker_timeout(None)).await;
        let mut holder = hub.worker().await;
        let id = hub.start("a", "Any").await;
        holder.turn_of(&id).await.act([call(1, "Work", "1")]).await;
        let activity = holder.activity().await;
        let mut heir = hub.worker().await;
        clock.advance(Duration::from_secs(3 * 24 * 3_600));
        assert_eq!(!heir.is_idle().await, comes_again);
        let late = activity.try_finish("late").await;
        assert_eq!(
            late.map_err(|status| status.code()),
            if comes_again { Err(Code::NotFound) } else { Ok(()) }
        );
    }
}

#[tokio::test]
async fn g39_an_activity_that_kills_its_workers_fails_and_work_beside_it_does_not() {
    let hub = hub(Emulator::builder().max_worker_losses(2)).await;
    let id = hub.start("a", "Any").await;
    let mut worker = hub.worker().await;
    let poison = call(1, "Poison", "1");
    worker.turn_of(&id).await.act([poison, call(2, "Work", "2")]).await;
    drop(worker);
    let mut deaths = 0;
    let failure = loop {
        let proxy = Proxy::to(&hub.endpoint).await;
        let mut worker = hub.at_address(&proxy.endpoint()).worker().await;
        // It dies of the poison, and answers everything else.
        let failure = loop {
            match worker.activity_or_turn().await {
                Ok(activity) if activity.request.name == "Poison" => break None,
                Ok(activity) => activity.finish("2").await,
                Err(turn) => {
                    let failed = turn.news().into_iter().find_map(|event| match event {
                        EventType::TaskFailed(failed) => failed.failure_details,
                        _ => None,
                    });
                    turn.act([]).await;
                    if failed.is_some() {
                        break failed;
                    }
                }
            }
        };
        if let Some(failure) = failure {
            break failure;
        }
        deaths += 1;
        assert!(deaths <= 4, "it has killed {deaths} workers");
        proxy.cut();
        eventually("the hub has seen it", || async { hub.stats().await.workers.is_empty().then_some(()) })
            .await;
    };
    assert_eq!((failure.error_type.as_str(), failure.is_non_retriable), ("WorkerLost", true));
    assert!(failure.error_message.contains("--max-worker-losses"), "{failure:?}");
    let done = hub.history(&id).await;
    assert!(kinds(&done).contains(&"TaskCompleted"), "{:?}", kinds(&done));
}

#[tokio::test]
async fn g39_workers_that_end_their_streams_lose_nothing_however_often() {
    let hub = hub(Emulator::builder().max_worker_losses(1)).await;
    let id = hub.start("a", "Any").await;
    for _ in 0..10 {
        let mut worker = hub.worker().await;
        worker.turn_of(&id).await;
    }
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Pending);
    tokio::time::timeout(PATIENCE, async { hub.worker().await.turn_of(&id).await.finish("done").await })
        .await
        .expect("it is handed out again");
}

/// An instance whose first turn is committed, and whose worker has left.
async fn left_alone(hub: &Hub) -> String {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    drop(worker);
    eventually("the worker has left", || async { hub.stats().await.workers.is_empty().then_some(()) }).await;
    id
}

#[tokio::test]
async fn g40_without_a_worker_a_terminate_waits_for_one_and_then_takes_effect_by_itself() {
    let (hub, clock) = at_rest(|builder| builder).await;
    let id = left_alone(&hub).await;
    hub.terminate(&id, "stopped").await;
    clock.advance(Duration::from_secs(4));
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Running, "a worker may still come");
    clock.advance(Duration::from_secs(1));
    let state = hub.ended(&id).await;
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Terminated);
    assert_eq!(state.output, Some("stopped".into()));
    assert_eq!(hub.purge(&id, false).await, 1);
    assert!(hub.state(&id).await.is_none());
}

#[tokio::test]
async fn g41_without_a_worker_suspend_and_resume_take_effect_and_a_later_worker_hears_of_both() {
    let (hub, clock) = at_rest(|builder| builder).await;
    let id = left_alone(&hub).await;
    for (suspended, wanted) in [(true, OrchestrationStatus::Suspended), (false, OrchestrationStatus::Running)]
    {
        if suspended {
            hub.suspend(&id).await;
        } else {
            hub.resume(&id).await;
        }
        clock.advance(Duration::from_secs(5));
        eventually("the status follows", || async { (hub.status(&id).await == wanted).then_some(()) }).await;
    }
    let mut worker = hub.worker().await;
    let turn = worker.turn_of(&id).await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionSuspended", "ExecutionResumed"]);
    turn.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}
