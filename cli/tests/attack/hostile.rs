//! A scheduler that does to our worker what none should.

use super::actors::worker;
use super::scheduler::Scheduler;
use super::stage::within;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskhub::clock::{Clock as _, WallClock};
use taskhub::sdk::{Failure, Registry, Target, Worker};
use taskhub::wire::{self, work_item::Request};

/// How many activities come at once, and how many the worker has said it takes at a time.
const HANDED_OUT: usize = 5_000;
const LIMIT: usize = 50;

/// How many activities run, and the most that ever did.
#[derive(Default)]
struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
}

async fn counted(running: Arc<Running>, number: i64) -> Result<i64, Failure> {
    let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
    running.most.fetch_max(now, Ordering::SeqCst);
    // Lets every other activity that has begun have its turn.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    running.now.fetch_sub(1, Ordering::SeqCst);
    Ok(number)
}

#[tokio::test]
async fn a_scheduler_that_ignores_the_workers_limit_does_not_make_it_do_more_at_a_time() {
    let scheduler = Scheduler::plain();
    let running = Arc::new(Running::default());
    let registry = Registry::new().activity_on(Arc::clone(&running), counted);
    let target = Target::new(&format!("http://{}", scheduler.address)).unwrap();
    let worker = Worker::for_target(target, registry).max_activities(LIMIT).start().unwrap();
    worker.connected().await;
    within("the stream", scheduler.calls("get_work_items", 1)).await;
    for number in 0..HANDED_OUT {
        scheduler.hand_out(wire::WorkItem {
            completion_token: number.to_string(),
            request: Some(Request::ActivityRequest(wire::ActivityRequest {
                name: "counted".into(),
                input: Some(number.to_string()),
                orchestration_instance: Some(wire::OrchestrationInstance {
                    instance_id: "hostile".into(),
                    ..Default::default()
                }),
                task_id: i32::try_from(number).unwrap(),
                ..Default::default()
            })),
        });
    }
    // What the worker does not begin it gives back.
    let rpcs = ["complete_activity_task", "abandon_task_activity_work_item"];
    within("an answer for every activity", async {
        while scheduler.all_calls().iter().filter(|call| rpcs.contains(&call.rpc)).count() < HANDED_OUT {
            WallClock.sleep_until(WallClock.now().plus(Duration::from_millis(20))).await;
        }
    })
    .await;
    assert!(scheduler.activities(LIMIT).await.len() >= LIMIT, "as many as it takes at a time are performed");
    let most = running.most.load(Ordering::SeqCst);
    assert!(most <= LIMIT, "{most} activities ran at a time, and the worker takes {LIMIT}");
    worker.kill().await;
}

/// The most a worker may have in use when a history never ends, in MiB.
const HISTORY_MAY_TAKE: u64 = 512;

#[tokio::test]
async fn a_history_that_never_ends_is_given_up_before_it_fills_the_memory() {
    let scheduler = Scheduler::plain();
    scheduler.send_history_for_ever();
    let process = worker("healthy", &format!("http://{}", scheduler.address)).await;
    within("the stream", scheduler.calls("get_work_items", 1)).await;
    scheduler.hand_out(wire::WorkItem {
        completion_token: "endless".into(),
        request: Some(Request::OrchestratorRequest(wire::OrchestratorRequest {
            instance_id: "endless".into(),
            requires_history_streaming: true,
            ..Default::default()
        })),
    });
    // The memory is read meanwhile too, so that a worker without a bound ends the story and not the machine.
    let bounded = async {
        loop {
            let peak = process.peak();
            assert!(peak < Some(HISTORY_MAY_TAKE), "the worker has taken {peak:?} MiB and goes on");
            WallClock.sleep_until(WallClock.now().plus(Duration::from_millis(50))).await;
        }
    };
    tokio::select! {
        () = within("the end of the history's stream", scheduler.history_ended()) => {}
        () = bounded => {}
    }
    let peak = process.peak();
    assert!(peak < Some(HISTORY_MAY_TAKE), "the worker took {peak:?} MiB");
}
