//! Tells how a worker behaves towards a scheduler that is not always well.

use crate::scheduler::Scheduler;
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::connect::Target;
use taskhub::sdk::{
    ActivityContext, Client, Failure, OrchestrationContext, Registry, RunningWorker, Versioning, Worker,
    worker,
};
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::{self, WorkItem, work_item::Request};
use tokio::sync::Notify;
use tonic::{Code, Status};

async fn square(i: u32) -> Result<u32, Failure> {
    Ok(i * i)
}

async fn explode(why: String) -> Result<(), Failure> {
    panic!("{why}")
}

async fn sum(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    Ok(ctx.call(square, n).await? + ctx.call(square, n + 1).await?)
}

pub fn registry() -> Registry {
    Registry::new().activity(square).activity(explode).orchestration(sum)
}

pub fn activity(name: &str, task_id: i32, input: &str) -> WorkItem {
    let instance = wire::OrchestrationInstance { instance_id: "a".into(), execution_id: Some("e".into()) };
    let request = wire::ActivityRequest {
        name: name.into(),
        input: Some(input.into()),
        orchestration_instance: Some(instance),
        task_id,
        ..Default::default()
    };
    let completion_token = format!("token-{task_id}");
    WorkItem { request: Some(Request::ActivityRequest(request)), completion_token }
}

pub fn target(scheduler: &Scheduler) -> Target {
    Target::new(&format!("http://{}", scheduler.address)).unwrap()
}

pub async fn at_work(worker: Worker) -> RunningWorker {
    let running = worker.start().unwrap();
    running.connected().await;
    running
}

/// Turns the clock until something has happened.
///
/// Between two turns a call goes to the scheduler and back, so that a caller that waits for an answer gets it long before
/// his patience ends by this clock.
pub async fn turning<T>(scheduler: &Scheduler, clock: &ManualClock, happens: impl Future<Output = T>) -> T {
    let client = Client::connect_lazy(target(scheduler)).unwrap();
    let mut happens = pin!(happens);
    loop {
        match select(&mut happens, pin!(client.ping())).await {
            Either::Left((outcome, _)) => return outcome,
            Either::Right(_) => clock.advance(Duration::from_millis(250)),
        }
    }
}

#[tokio::test]
async fn an_activity_that_panics_fails_alone() {
    let scheduler = Scheduler::plain();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry())).await;
    scheduler.hand_out(activity("explode", 1, "\"boom\""));
    scheduler.activities(1).await;
    scheduler.hand_out(activity("square", 2, "7"));
    scheduler.hand_out(activity("nobody", 3, "7"));
    let mut answers = scheduler.activities(3).await;
    answers.sort_by_key(|answer| answer.task_id);
    let failure = answers[0].failure_details.as_ref().unwrap();
    assert!(failure.error_message.contains("boom"), "{failure:?}");
    assert_eq!(answers[1].result.as_deref(), Some("49"));
    assert_eq!((answers[1].completion_token.as_str(), answers[1].task_id), ("token-2", 2));
    let failure = answers[2].failure_details.as_ref().unwrap();
    assert_eq!((failure.error_type.as_str(), failure.is_non_retriable), ("ActivityTaskNotFound", true));
}

#[tokio::test]
async fn a_completion_that_was_not_acknowledged_is_sent_again_and_one_for_lost_work_is_not() {
    let scheduler = Scheduler::plain();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry());
    let worker = at_work(worker.silence(Duration::MAX)).await;
    scheduler.refuse_next(Code::Unavailable);
    scheduler.refuse_next(Code::Internal);
    scheduler.refuse_next(Code::NotFound);
    scheduler.hand_out(activity("square", 1, "3"));
    let answers = turning(&scheduler, &clock, scheduler.activities(3)).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    scheduler.hand_out(activity("square", 2, "4"));
    let answers = scheduler.activities(4).await;
    assert_eq!(answers[3].task_id, 2, "nothing more was said about the first");
    drop(worker);
}

#[tokio::test]
async fn a_result_that_the_scheduler_refuses_becomes_a_failure_that_says_why() {
    let scheduler = Scheduler::plain();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry())).await;
    scheduler.refuse_next(Code::ResourceExhausted);
    scheduler.hand_out(activity("square", 1, "3"));
    let answers = scheduler.activities(2).await;
    let failure = answers[1].failure_details.as_ref().unwrap();
    assert_eq!((failure.error_type.as_str(), answers[1].result.as_deref()), ("AnswerRefused", None));
    assert!(failure.error_message.contains("told to refuse"), "{failure:?}");
}

#[tokio::test]
async fn a_stream_that_is_silent_for_two_minutes_is_taken_for_dead() {
    let scheduler = Scheduler::plain();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker = at_work(Worker::for_target(target(&scheduler).clock(clock.clone()), registry())).await;
    clock.advance(Duration::from_secs(119));
    scheduler.hand_out(WorkItem {
        request: Some(Request::HealthPing(wire::HealthPing {})),
        completion_token: String::new(),
    });
    scheduler.hand_out(activity("square", 1, "3"));
    scheduler.activities(1).await;
    clock.advance(Duration::from_secs(119));
    scheduler.hand_out(activity("square", 2, "3"));
    scheduler.activities(2).await;
    assert_eq!(scheduler.calls("get_work_items", 1).await.len(), 1, "it was heard in time");
    turning(&scheduler, &clock, worker.connections_made(2)).await;
    scheduler.hand_out(activity("square", 3, "3"));
    turning(&scheduler, &clock, scheduler.activities(3)).await;
}

#[tokio::test]
async fn a_stream_that_ends_however_it_ends_is_opened_again() {
    let scheduler = Scheduler::plain();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker =
        Worker::for_target(target(&scheduler).clock(clock.clone()), registry()).silence(Duration::MAX);
    let worker = at_work(worker).await;
    for (times, how) in
        [Ok(()), Err(Status::unavailable("restart")), Err(Status::cancelled("no"))].into_iter().enumerate()
    {
        scheduler.end_stream(how);
        turning(&scheduler, &clock, worker.connections_made(times as u64 + 2)).await;
    }
}

#[tokio::test]
async fn a_long_history_is_fetched_before_its_turn_is_run() {
    let scheduler = Scheduler::plain();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry())).await;
    let now = Timestamp::from_micros(1_000_000);
    let started =
        wire::ExecutionStartedEvent { name: "sum".into(), input: Some("3".into()), ..Default::default() };
    let task =
        wire::ScheduleTaskAction { name: "square".into(), input: Some("3".into()), ..Default::default() };
    scheduler.set_history(vec![
        event::orchestrator_started(now),
        event::execution_started(now, started),
        event::task_scheduled(1, now, task),
    ]);
    let request = wire::OrchestratorRequest {
        instance_id: "a".into(),
        execution_id: Some("e".into()),
        new_events: vec![event::orchestrator_started(now), event::task_completed(now, 1, Some("9".into()))],
        requires_history_streaming: true,
        ..Default::default()
    };
    scheduler.hand_out(WorkItem {
        request: Some(Request::OrchestratorRequest(request)),
        completion_token: "t".into(),
    });
    let turns = scheduler.turns(1).await;
    assert_eq!(turns[0].completion_token, "t");
    let [action] = turns[0].actions.as_slice() else { panic!("{turns:?}") };
    let Some(Action::ScheduleTask(task)) = &action.orchestrator_action_type else { panic!("{action:?}") };
    assert_eq!((action.id, task.input.as_deref()), (2, Some("4")));
}

static LET_GO: AtomicBool = AtomicBool::new(false);

async fn spins(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
    while !LET_GO.load(Ordering::Acquire) {
        std::hint::spin_loop();
        std::thread::yield_now();
    }
    Ok(())
}

#[tokio::test]
async fn an_orchestrator_that_never_yields_fails_by_name_and_others_go_on() {
    let scheduler = Scheduler::plain();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry().orchestration(spins))
        .silence(Duration::MAX)
        .orchestrator_threads(1);
    let _worker = at_work(worker).await;
    let turn = |name: &str, input: &str| {
        let now = Timestamp::from_micros(1_000_000);
        let started = wire::ExecutionStartedEvent {
            name: name.into(),
            input: Some(input.into()),
            ..Default::default()
        };
        let request = wire::OrchestratorRequest {
            instance_id: name.into(),
            new_events: vec![event::orchestrator_started(now), event::execution_started(now, started)],
            ..Default::default()
        };
        WorkItem { request: Some(Request::OrchestratorRequest(request)), completion_token: name.into() }
    };
    scheduler.hand_out(turn("spins", "null"));
    scheduler.hand_out(turn("sum", "3"));
    let turns = turning(&scheduler, &clock, scheduler.turns(2)).await;
    LET_GO.store(true, Ordering::Release);
    let stuck = turns.iter().find(|turn| turn.completion_token == "spins").unwrap();
    let Some(Action::CompleteOrchestration(complete)) = &stuck.actions[0].orchestrator_action_type else {
        panic!("{stuck:?}")
    };
    assert_eq!(complete.failure_details.as_ref().unwrap().error_type, "OrchestratorStuck");
    let other = turns.iter().find(|turn| turn.completion_token == "sum").unwrap();
    assert!(matches!(other.actions[0].orchestrator_action_type, Some(Action::ScheduleTask(_))));
}

/// Says that a turn may go on; the turn waits for it, which it must not.
static MAY_GO: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

async fn blocks(_: OrchestrationContext, _: u32) -> Result<(), Failure> {
    drop(MAY_GO.1.wait_while(MAY_GO.0.lock().unwrap(), |go| !*go).unwrap());
    Ok(())
}

async fn lets_go((): ()) -> Result<(), Failure> {
    *MAY_GO.0.lock().unwrap() = true;
    MAY_GO.1.notify_all();
    Ok(())
}

#[tokio::test]
async fn a_turn_that_blocks_keeps_neither_the_connection_nor_an_activity_waiting() {
    let scheduler = Scheduler::plain();
    let registry = Registry::new().orchestration(blocks).activity(lets_go);
    let worker = Worker::for_target(target(&scheduler), registry).watchdog(None, None);
    let _worker = at_work(worker).await;
    scheduler.hand_out(turn(first_turn("blocks", None)));
    scheduler.hand_out(activity("lets_go", 1, "null"));
    assert_eq!(scheduler.activities(1).await.len(), 1);
    assert_eq!(scheduler.turns(1).await.len(), 1);
}

/// An activity that ends when it is let go, or when it is cancelled.
struct Gate {
    began: Notify,
    go: Notify,
}

async fn waits(gate: Arc<Gate>, ctx: ActivityContext, (): ()) -> Result<String, Failure> {
    gate.began.notify_one();
    tokio::select! {
        () = gate.go.notified() => Ok("done".into()),
        () = ctx.cancelled() => Ok("cancelled".into()),
    }
}

#[tokio::test]
async fn stopping_waits_for_what_has_begun_and_begins_nothing_more() {
    let scheduler = Scheduler::plain();
    let gate = Arc::new(Gate { began: Notify::new(), go: Notify::new() });
    let registry = registry().activity_on(gate.clone(), waits);
    let worker = at_work(Worker::for_target(target(&scheduler), registry)).await;
    scheduler.hand_out(activity("waits", 1, "null"));
    gate.began.notified().await;
    let mut stopping = pin!(worker.stop());
    assert!(futures::poll!(&mut stopping).is_pending());
    scheduler.hand_out(activity("square", 2, "2"));
    gate.go.notify_one();
    stopping.await;
    let answers = scheduler.activities(1).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].result.as_deref(), Some("\"done\""));
}

#[tokio::test]
async fn a_killed_worker_sends_no_completion() {
    let scheduler = Scheduler::plain();
    let gate = Arc::new(Gate { began: Notify::new(), go: Notify::new() });
    let registry = registry().activity_on(gate.clone(), waits);
    let worker = at_work(Worker::for_target(target(&scheduler), registry)).await;
    scheduler.hand_out(activity("waits", 1, "null"));
    gate.began.notified().await;
    worker.kill().await;
    assert!(!scheduler.all_calls().iter().any(|call| call.rpc == "complete_activity_task"));
}

#[tokio::test]
async fn a_function_that_is_registered_twice_keeps_the_worker_from_starting() {
    let twice = registry().activity(square);
    let error = Worker::for_target(Target::new("http://localhost:1").unwrap(), twice).start().unwrap_err();
    assert!(matches!(error, worker::Error::Registry(_)), "{error:?}");
    assert!(error.to_string().contains("\"square\" is registered twice"), "{error}");
}

#[tokio::test]
async fn a_worker_says_who_it_is() {
    let scheduler = Scheduler::plain();
    let worker = at_work(Worker::for_target(target(&scheduler).hub("orders"), registry()).id("w-1")).await;
    let calls = scheduler.calls("get_work_items", 1).await;
    for call in scheduler.calls("hello", 1).await.iter().chain(&calls) {
        assert_eq!((call.header("workerid"), call.header("taskhub")), ("w-1", "orders"));
        assert!(call.header("x-user-agent").contains("Worker"));
    }
    assert_eq!(calls[0].header("x-taskhub-sticky"), "1");
    assert_eq!(worker.id(), "w-1");
}

/// The first turn of an instance.
fn first_turn(name: &str, version: Option<&str>) -> wire::OrchestratorRequest {
    let now = Timestamp::from_micros(1_000_000);
    let started = wire::ExecutionStartedEvent {
        name: name.into(),
        version: version.map(str::to_owned),
        input: Some("3".into()),
        ..Default::default()
    };
    wire::OrchestratorRequest {
        instance_id: "a".into(),
        execution_id: Some("e".into()),
        new_events: vec![event::orchestrator_started(now), event::execution_started(now, started)],
        ..Default::default()
    }
}

pub fn turn(request: wire::OrchestratorRequest) -> WorkItem {
    WorkItem { request: Some(Request::OrchestratorRequest(request)), completion_token: "t".into() }
}

#[tokio::test]
async fn an_orchestration_of_a_version_that_is_not_run_here_is_given_back() {
    let scheduler = Scheduler::plain();
    let registry = registry().versioning(Versioning::strict("2"));
    let _worker = at_work(Worker::for_target(target(&scheduler), registry)).await;
    scheduler.hand_out(turn(first_turn("sum", Some("1"))));
    scheduler.calls("abandon_task_orchestrator_work_item", 1).await;
    scheduler.hand_out(turn(first_turn("sum", Some("2"))));
    assert_eq!(scheduler.turns(1).await.len(), 1);
}

#[tokio::test]
async fn a_history_that_was_left_out_and_is_not_cached_is_asked_for() {
    let scheduler = Scheduler::plain();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry())).await;
    let count = prost_types::value::Kind::NumberValue(3.0);
    let now = Timestamp::from_micros(2_000_000);
    let mut request = first_turn("sum", None);
    request.new_events =
        vec![event::orchestrator_started(now), event::task_completed(now, 1, Some("9".into()))];
    request.properties.insert("taskhub.past".into(), prost_types::Value { kind: Some(count) });
    scheduler.hand_out(turn(request));
    let turns = scheduler.turns(1).await;
    assert!(turns[0].requires_history && turns[0].actions.is_empty(), "{:?}", turns[0]);
}
