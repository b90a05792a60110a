//! Tells how an activity hears that its result is no longer wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::Emulator;
use taskhub::model::{Status, Timestamp};
use taskhub::sdk::{ActivityContext, Client, Failure, OrchestrationContext, Registry, Target, Worker};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Says what happens to an activity.
struct Diary(UnboundedSender<&'static str>);

async fn waits(diary: Arc<Diary>, ctx: ActivityContext, (): ()) -> Result<(), Failure> {
    diary.0.send("began").unwrap();
    ctx.cancelled().await;
    diary.0.send("cancelled").unwrap();
    Ok(())
}

async fn asks(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
    Ok(ctx.call(waits, ()).await?)
}

fn diary() -> (Arc<Diary>, UnboundedReceiver<&'static str>) {
    let (said, heard) = unbounded_channel();
    (Arc::new(Diary(said)), heard)
}

#[tokio::test]
async fn an_activity_that_asks_hears_that_its_caller_has_ended() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let (diary, mut heard) = diary();
    let registry = Registry::new().activity_on(diary, waits).orchestration(asks);
    let target = Target::new(&emulator.endpoint()).unwrap().clock(clock.clone());
    let worker = Worker::for_target(target, registry).silence(Duration::MAX).start().unwrap();

    let run = client.start(asks, ()).await.unwrap();
    assert_eq!(heard.recv().await, Some("began"));
    clock.advance(Duration::from_secs(10));
    client.ping().await.unwrap();
    assert!(heard.try_recv().is_err(), "its caller waits for it");

    run.terminate(()).await.unwrap();
    assert!(run.result().await.is_err());
    assert_eq!(run.snapshot().await.unwrap().status(), Status::Terminated);
    let cancelled = loop {
        if let Ok(said) = heard.try_recv() {
            break said;
        }
        clock.advance(Duration::from_secs(1));
        client.ping().await.unwrap();
    };
    assert_eq!(cancelled, "cancelled");
    worker.stop().await;
}

/// Blocks its thread until it is told that its caller has ended.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "an activity is called with values and answers with a result"
)]
fn blocks(ctx: ActivityContext, (): ()) -> Result<(), Failure> {
    STARTED.store(true, Ordering::Release);
    while !ctx.is_cancelled() {
        std::thread::yield_now();
    }
    ENDED.store(true, Ordering::Release);
    Ok(())
}

static STARTED: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);

async fn asks_blocking(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
    Ok(ctx.call(blocks, ()).await?)
}

#[tokio::test]
async fn an_activity_that_blocks_hears_that_its_worker_has_stopped_without_it() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let registry = Registry::new().blocking_activity(blocks).orchestration(asks_blocking);
    let worker = Worker::new(&client, registry).grace(Duration::ZERO).start().unwrap();
    client.start(asks_blocking, ()).await.unwrap();
    while !STARTED.load(Ordering::Acquire) {
        tokio::task::yield_now().await;
    }
    worker.stop().await;
    while !ENDED.load(Ordering::Acquire) {
        tokio::task::yield_now().await;
    }
}
