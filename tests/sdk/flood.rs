//! Tells how a worker keeps to its own limits where the scheduler does not.

use crate::log::Log;
use crate::scheduler::Scheduler;
use crate::worker::{activity, at_work, target, turn, turning};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::{ActivityContext, Failure, OrchestrationContext, Registry, Worker};
use taskhub::wire::{self, WorkItem};
use tokio::sync::Semaphore;

/// Lets activities end, and counts how many run together.
struct Gate {
    go: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    fn closed() -> Arc<Self> {
        Arc::new(Self { go: Semaphore::new(0), running: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }
}

async fn waits(gate: Arc<Gate>, _: ActivityContext, text: String) -> Result<usize, Failure> {
    let running = gate.running.fetch_add(1, Ordering::SeqCst) + 1;
    gate.most.fetch_max(running, Ordering::SeqCst);
    gate.go.acquire().await.unwrap().forget();
    gate.running.fetch_sub(1, Ordering::SeqCst);
    Ok(text.len())
}

async fn nothing(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
    Ok(())
}

fn registry(gate: &Arc<Gate>) -> Registry {
    Registry::new().activity_on(gate.clone(), waits).orchestration(nothing)
}

#[tokio::test]
async fn a_flood_of_activities_is_performed_up_to_the_limit_and_the_rest_is_given_back() {
    let log = Log::listen();
    let scheduler = Scheduler::plain();
    let gate = Gate::closed();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry(&gate)).max_activities(3)).await;
    for task in 1..=1_000 {
        scheduler.hand_out(activity("waits", task, "\"\""));
    }
    // Three run and three wait; a turn that comes after all of them is not held up.
    scheduler.calls("abandon_task_activity_work_item", 994).await;
    scheduler.hand_out(first_turn("t"));
    scheduler.turns(1).await;
    log.warning(&["more activities", "Worker::max_activities"]).await;
    gate.go.add_permits(6);
    let answers = scheduler.activities(6).await;
    assert!(answers.iter().all(|answer| answer.result.is_some()), "{answers:?}");
    assert_eq!(gate.most.load(Ordering::SeqCst), 3);
    assert_eq!(scheduler.calls("abandon_task_activity_work_item", 994).await.len(), 994);
}

/// The first turn of an instance that is named as its token is.
fn first_turn(id: &str) -> WorkItem {
    let now = Timestamp::from_micros(1_000_000);
    let started = wire::ExecutionStartedEvent { name: "nothing".into(), ..Default::default() };
    let request = wire::OrchestratorRequest {
        instance_id: id.into(),
        new_events: vec![event::orchestrator_started(now), event::execution_started(now, started)],
        ..Default::default()
    };
    WorkItem { completion_token: id.into(), ..turn(request) }
}

#[tokio::test]
async fn a_flood_of_turns_is_held_up_to_twice_the_limit_and_the_rest_is_given_back() {
    let scheduler = Scheduler::plain();
    let gate = Gate::closed();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry(&gate)).max_turns(1)).await;
    // Their history never comes, so that none of them ends.
    scheduler.hold_histories();
    for id in ["t1", "t2", "t3", "t4", "t5"] {
        let mut item = first_turn(id);
        let Some(wire::work_item::Request::OrchestratorRequest(request)) = &mut item.request else {
            panic!("{item:?}")
        };
        request.requires_history_streaming = true;
        scheduler.hand_out(item);
    }
    scheduler.calls("abandon_task_orchestrator_work_item", 3).await;
    assert_eq!(scheduler.calls("stream_instance_history", 2).await.len(), 2);
}

#[tokio::test]
async fn work_items_beyond_a_number_of_bytes_are_left_in_the_stream() {
    let log = Log::listen();
    let scheduler = Scheduler::plain();
    let gate = Gate::closed();
    let worker = Worker::for_target(target(&scheduler), registry(&gate)).max_bytes(100_000);
    let _worker = at_work(worker).await;
    let large = format!("{:?}", "x".repeat(60_000));
    for task in 1..=5 {
        scheduler.hand_out(activity("waits", task, &large));
    }
    log.warning(&["under_way=2", "Worker::max_bytes"]).await;
    gate.go.add_permits(5);
    let answers = scheduler.activities(5).await;
    assert!(answers.iter().all(|answer| answer.result.as_deref() == Some("60000")), "{answers:?}");
    assert!(gate.most.load(Ordering::SeqCst) <= 2, "two are over the limit already");
}

#[tokio::test]
async fn a_history_without_end_is_not_fetched_to_its_end_and_the_turn_is_given_back() {
    for (events, bytes, said) in
        [(1_000, usize::MAX, "more than 1000 events"), (usize::MAX, 1_000_000, "more than 1000000 bytes")]
    {
        let log = Log::listen();
        let scheduler = Scheduler::plain();
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let gate = Gate::closed();
        let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry(&gate))
            .silence(Duration::MAX)
            .history_limit(events, bytes);
        let _worker = at_work(worker).await;
        scheduler.send_history_for_ever();
        let mut item = first_turn("endless");
        let Some(wire::work_item::Request::OrchestratorRequest(request)) = &mut item.request else {
            panic!("{item:?}")
        };
        request.requires_history_streaming = true;
        scheduler.hand_out(item);
        log.warning(&["endless", said, "Worker::history_limit"]).await;
        scheduler.history_ended().await;
        turning(&scheduler, &clock, scheduler.calls("abandon_task_orchestrator_work_item", 1)).await;
    }
}
