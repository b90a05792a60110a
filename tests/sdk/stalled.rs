//! Tells what code that blocks or never yields does to a worker: it keeps its own thread, and holds up nothing else.

use crate::log::Log;
use crate::scheduler::Scheduler;
use crate::worker::{activity, at_work, target, turn, turning};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::worker::Left;
use taskhub::sdk::{ActivityContext, Failure, OrchestrationContext, Registry, Worker};
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::{self, WorkItem};
use tokio::sync::watch;

/// Keeps threads until it is opened, which it is when a test ends, however it ends.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// How many threads it keeps.
    held: watch::Sender<usize>,
    ran: AtomicUsize,
}

impl Gate {
    /// Blocks this thread.
    fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
        self.held.send_modify(|held| *held -= 1);
    }

    /// Keeps this thread busy, as far as a worker can see.
    fn spin(&self) {
        self.held.send_modify(|held| *held += 1);
        while !*self.open.lock().unwrap() {
            std::thread::yield_now();
        }
        self.held.send_modify(|held| *held -= 1);
    }

    async fn holds(&self, count: usize) {
        self.held.subscribe().wait_for(|held| *held == count).await.unwrap();
    }
}

/// Opens a gate when it is dropped: no thread outlives its test for long.
struct Opens(Arc<Gate>);

impl Opens {
    fn gate() -> (Arc<Gate>, Self) {
        let gate = Arc::new(Gate::default());
        (gate.clone(), Self(gate))
    }
}

impl Drop for Opens {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap() = true;
        self.0.opened.notify_all();
    }
}

async fn square(i: u32) -> Result<u32, Failure> {
    Ok(i * i)
}

async fn sum(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    Ok(ctx.call(square, n).await? + ctx.call(square, n + 1).await?)
}

/// Async by its looks only.
async fn holds(gate: Arc<Gate>, _: ActivityContext, hold: bool) -> Result<(), Failure> {
    gate.ran.fetch_add(1, Ordering::SeqCst);
    if hold {
        gate.hold();
    }
    Ok(())
}

fn registry(gate: &Arc<Gate>) -> Registry {
    let spinning = gate.clone();
    Registry::new().activity(square).orchestration(sum).activity_on(gate.clone(), holds).orchestration_named(
        "spins",
        None,
        move |_: OrchestrationContext, _: u32| {
            let gate = spinning.clone();
            async move {
                gate.spin();
                Ok::<_, Failure>(())
            }
        },
    )
}

/// The first turn of an instance that is named as its token is.
fn first_turn(name: &str, id: &str) -> WorkItem {
    let now = Timestamp::from_micros(1_000_000);
    let started =
        wire::ExecutionStartedEvent { name: name.into(), input: Some("3".into()), ..Default::default() };
    let request = wire::OrchestratorRequest {
        instance_id: id.into(),
        new_events: vec![event::orchestrator_started(now), event::execution_started(now, started)],
        ..Default::default()
    };
    WorkItem { completion_token: id.into(), ..turn(request) }
}

#[tokio::test]
async fn an_async_activity_that_blocks_holds_up_neither_turns_nor_activities() {
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry(&gate))).await;
    scheduler.hand_out(activity("holds", 1, "true"));
    gate.holds(1).await;
    scheduler.hand_out(first_turn("sum", "a"));
    scheduler.turns(1).await;
    scheduler.hand_out(activity("square", 2, "7"));
    assert_eq!(scheduler.activities(1).await[0].result.as_deref(), Some("49"));
}

#[tokio::test]
async fn an_activity_that_was_quick_and_blocks_all_at_once_holds_up_nothing_for_long() {
    let scheduler = Scheduler::plain();
    let (gate, opens) = Opens::gate();
    let _worker = at_work(Worker::for_target(target(&scheduler), registry(&gate))).await;
    for task in 1..=20 {
        scheduler.hand_out(activity("holds", task, "false"));
        scheduler.hand_out(activity("square", 100 + task, "1"));
        scheduler.activities(2 * usize::try_from(task).unwrap()).await;
    }
    // Among others that came with it, and before a turn.
    scheduler.hand_out(activity("holds", 21, "true"));
    scheduler.hand_out(activity("square", 22, "7"));
    scheduler.hand_out(first_turn("sum", "a"));
    gate.holds(1).await;
    scheduler.turns(1).await;
    assert_eq!(scheduler.activities(41).await[40].result.as_deref(), Some("49"));
    // It goes on to its end, and its result counts.
    drop(opens);
    let answers = scheduler.activities(42).await;
    assert_eq!((answers[41].task_id, answers[41].failure_details.as_ref()), (21, None));
}

#[tokio::test]
async fn however_many_async_activities_block_another_one_still_runs() {
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let worker = Worker::for_target(target(&scheduler), registry(&gate)).max_activities(41);
    let _worker = at_work(worker).await;
    for task in 1..=40 {
        scheduler.hand_out(activity("holds", task, "true"));
    }
    scheduler.hand_out(activity("square", 41, "7"));
    assert_eq!(scheduler.activities(1).await[0].result.as_deref(), Some("49"));
    gate.holds(40).await;
}

#[tokio::test]
async fn turns_that_never_yield_do_not_wait_for_one_another_nor_let_others_wait() {
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    // None of them is ever failed: what waits for their end waits for ever.
    let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry(&gate))
        .silence(Duration::MAX)
        .watchdog(Some(Duration::from_secs(1)), None);
    let _worker = at_work(worker).await;
    for spinning in ["s1", "s2", "s3", "s4", "s5", "s6"] {
        scheduler.hand_out(first_turn("spins", spinning));
    }
    scheduler.hand_out(first_turn("sum", "a"));
    let turns = turning(&scheduler, &clock, scheduler.turns(1)).await;
    assert_eq!(turns[0].completion_token, "a");
    gate.holds(6).await;
}

#[tokio::test]
async fn every_turn_that_never_yields_fails_by_name_while_others_go_on() {
    let log = Log::listen();
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker =
        Worker::for_target(target(&scheduler).clock(clock.clone()), registry(&gate)).silence(Duration::MAX);
    let _worker = at_work(worker).await;
    for spinning in ["named-1", "named-2", "named-3"] {
        scheduler.hand_out(first_turn("spins", spinning));
    }
    scheduler.hand_out(first_turn("sum", "a"));
    let turns = turning(&scheduler, &clock, scheduler.turns(4)).await;
    for turn in turns.iter().filter(|turn| turn.completion_token != "a") {
        let Some(Action::CompleteOrchestration(end)) = &turn.actions[0].orchestrator_action_type else {
            panic!("{turn:?}")
        };
        assert_eq!(end.failure_details.as_ref().unwrap().error_type, "OrchestratorStuck");
        log.warning(&[&turn.completion_token, "does not yield"]).await;
    }
}

#[tokio::test]
async fn threads_that_spin_are_bounded_and_the_worker_says_so() {
    let log = Log::listen();
    let scheduler = Scheduler::plain();
    let (gate, opens) = Opens::gate();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry(&gate))
        .silence(Duration::MAX)
        .stuck_threads(2);
    let _worker = at_work(worker).await;
    for spinning in ["b1", "b2", "b3"] {
        scheduler.hand_out(first_turn("spins", spinning));
    }
    scheduler.hand_out(first_turn("sum", "a"));
    turning(&scheduler, &clock, log.warning(&["threads=2", "Worker::stuck_threads"])).await;
    gate.holds(3).await;
    // All three fail by name, but the turn behind them waits for a thread.
    let turns = turning(&scheduler, &clock, scheduler.turns(3)).await;
    assert!(turns.iter().all(|turn| turn.completion_token.starts_with('b')), "{turns:?}");
    drop(opens);
    let turns = turning(&scheduler, &clock, scheduler.turns(4)).await;
    assert_eq!(turns[3].completion_token, "a");
}

#[tokio::test]
async fn an_activity_that_runs_long_or_blocks_is_named_and_goes_on() {
    async fn runs_long(gate: Arc<Gate>, _: ActivityContext, (): ()) -> Result<(), Failure> {
        let mut held = gate.held.subscribe();
        drop(held.wait_for(|held| *held >= 50).await);
        Ok(())
    }
    let log = Log::listen();
    let scheduler = Scheduler::plain();
    let (gate, opens) = Opens::gate();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let registry = Registry::new()
        .activity_on_named("blocks_here", None, gate.clone(), holds)
        .activity_on_named("runs_long", None, gate.clone(), runs_long);
    let worker = Worker::for_target(target(&scheduler).clock(clock.clone()), registry)
        .silence(Duration::MAX)
        .activity_watchdog(Some(Duration::from_secs(60)));
    let _worker = at_work(worker).await;
    scheduler.hand_out(activity("blocks_here", 1, "true"));
    scheduler.hand_out(activity("runs_long", 2, "null"));
    gate.holds(1).await;
    turning(&scheduler, &clock, log.warning(&["blocks_here", "blocks its thread"])).await;
    turning(&scheduler, &clock, log.warning(&["runs_long", "runs long"])).await;
    assert_eq!(log.count(&["runs_long", "blocks its thread"]), 0, "it only waits");
    gate.held.send_replace(100);
    drop(opens);
    let answers = scheduler.activities(2).await;
    assert!(answers.iter().all(|answer| answer.failure_details.is_none()), "{answers:?}");
}

#[tokio::test]
async fn stopping_ends_after_the_grace_and_names_what_still_runs() {
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let held = gate.clone();
    let registry = registry(&gate).blocking_activity_named("blocking", None, move |(): ()| {
        held.hold();
        std::future::ready(Ok::<_, Failure>(()))
    });
    let worker = at_work(Worker::for_target(target(&scheduler), registry).grace(Duration::ZERO)).await;
    scheduler.hand_out(activity("holds", 1, "true"));
    scheduler.hand_out(activity("blocking", 2, "null"));
    scheduler.hand_out(first_turn("spins", "s"));
    gate.holds(3).await;
    let stopped = worker.stop().await;
    let performs =
        |name: &str, task_id| Left::Activity { name: name.into(), instance_id: "a".into(), task_id };
    assert_eq!(
        stopped.left,
        [Left::Turn { instance_id: "s".into() }, performs("blocking", 2), performs("holds", 1)]
    );
}

#[tokio::test]
async fn stopping_ends_after_the_grace_where_the_scheduler_answers_nothing() {
    let scheduler = Scheduler::plain();
    let (gate, _opens) = Opens::gate();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker =
        Worker::for_target(target(&scheduler).clock(clock.clone()), registry(&gate)).silence(Duration::MAX);
    let worker = at_work(worker).await;
    scheduler.fall_silent();
    scheduler.hand_out(activity("square", 1, "7"));
    scheduler.hand_out(first_turn("sum", "a"));
    scheduler.calls("complete_activity_task", 1).await;
    scheduler.calls("complete_orchestrator_task", 1).await;
    let stopped = turning(&scheduler, &clock, worker.stop()).await;
    assert_eq!(stopped.left, [], "it is done, and only not heard");
}
