//! Tells what client, worker and emulator do together, when all is well and when things are killed.

use futures::StreamExt;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use taskhub::emulator::Emulator;
use taskhub::model::{Event, History, Kind, Status};
use taskhub::sdk::{
    ActivityContext, Client, ClientError, DurableError, EventKey, Failure, OrchestrationContext, Purge,
    Query, Registry, Reuse, RunningWorker, TaskError, Worker,
};
use tokio::sync::Notify;

/// Long enough for a busy machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, thiserror::Error)]
enum Wrong {
    #[error("{0} is odd")]
    Odd(u32),
}
impl DurableError for Wrong {}

async fn square(i: u32) -> Result<u32, Failure> {
    Ok(i * i)
}

async fn half(i: u32) -> Result<u32, Wrong> {
    if i.is_multiple_of(2) { Ok(i / 2) } else { Err(Wrong::Odd(i)) }
}

async fn fan(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let tasks: Vec<_> = (1..=n).map(|i| ctx.call(square, i)).collect();
    join_all(tasks).await.into_iter().try_fold(0, |sum, result| Ok(sum + result?))
}

async fn halve(ctx: OrchestrationContext, i: u32) -> Result<u32, Wrong> {
    let halved = ctx.call(half, i).await;
    halved.map_err(|error| if let TaskError::App(wrong) = error { wrong } else { Wrong::Odd(0) })
}

const GO: EventKey<u32> = EventKey::new("Go");

async fn waits_for_go(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    Ok(ctx.event(GO).await?)
}

fn registry() -> Registry {
    Registry::new()
        .activity(square)
        .activity(half)
        .orchestration(fan)
        .orchestration(halve)
        .orchestration(waits_for_go)
}

async fn together() -> (Emulator, Client, RunningWorker) {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let worker = Worker::new(&client, registry()).start().unwrap();
    (emulator, client, worker)
}

fn sum_of_squares(n: u32) -> u32 {
    (1..=n).map(|i| i * i).sum()
}

fn kinds(history: &History) -> Vec<Kind> {
    history.iter().filter_map(Event::kind).collect()
}

/// Every activity is scheduled once and completed once, by its own id.
#[track_caller]
fn is_without_duplicates(history: &History, activities: usize) {
    let (mut scheduled, mut completed) = (Vec::new(), Vec::new());
    for event in history.iter() {
        match event.kind() {
            Some(Kind::TaskScheduled) => scheduled.push(event.id()),
            Some(Kind::TaskCompleted) => completed.extend(event.answers()),
            _ => {}
        }
    }
    completed.sort_unstable();
    scheduled.sort_unstable();
    assert_eq!(scheduled.len(), activities);
    assert_eq!(scheduled, completed, "every activity ends once, and no other does");
    scheduled.dedup();
    assert_eq!(scheduled.len(), activities, "no activity is scheduled twice");
}

#[tokio::test]
async fn a_fan_of_a_hundred_comes_back_whole() {
    let (_emulator, client, worker) = together().await;
    let run = client.start(fan, 100).id("f").tag("team", "a").await.unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap(), sum_of_squares(100));
    let history = run.history().await.unwrap();
    is_without_duplicates(&history, 100);
    assert_eq!(kinds(&history).last(), Some(&Kind::ExecutionCompleted));
    let snapshot = run.snapshot().await.unwrap();
    assert_eq!((snapshot.name(), snapshot.status()), ("fan", Status::Completed));
    assert_eq!(snapshot.input::<u32>().unwrap(), Some(100));
    assert_eq!(snapshot.tags().get("team").map(String::as_str), Some("a"));
    worker.stop().await;
}

#[tokio::test]
async fn the_result_is_the_same_with_and_without_cached_orchestrators() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    for (cache, id) in [(0, "full"), (1, "small"), (1_000, "sticky")] {
        let worker = Worker::new(&client, registry()).sticky_cache(cache).start().unwrap();
        let runs =
            join_all((0..5).map(|i| client.start(fan, 20).id(format!("{id}-{i}")).into_future())).await;
        for run in runs {
            assert_eq!(run.unwrap().result_within(PATIENCE).await.unwrap(), sum_of_squares(20));
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_typed_error_arrives_as_what_it_was() {
    let (_emulator, client, _worker) = together().await;
    let even = client.start(halve, 8).await.unwrap();
    assert_eq!(even.outcome().await.unwrap(), Ok(4));
    let odd = client.start(halve, 9).await.unwrap();
    assert_eq!(odd.outcome().await.unwrap(), Err(Wrong::Odd(9)));
    let error = odd.result().await.unwrap_err();
    assert!(matches!(&error, ClientError::Failed { .. }), "{error:?}");
    assert_eq!(error.failure_as::<Wrong>(), Some(Wrong::Odd(9)));
}

#[tokio::test]
async fn events_suspension_and_termination_reach_an_instance() {
    let (_emulator, client, _worker) = together().await;
    let run = client.start(waits_for_go, ()).await.unwrap();
    run.started_within(PATIENCE).await.unwrap();
    run.raise(GO, 7).await.unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap(), 7);

    let run = client.start(waits_for_go, ()).await.unwrap();
    run.suspend("wait").await.unwrap();
    run.raise(GO, 8).await.unwrap();
    run.resume("go on").await.unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap(), 8);

    let run = client.start(waits_for_go, ()).await.unwrap();
    run.terminate("enough").await.unwrap();
    let error = run.result_within(PATIENCE).await.unwrap_err();
    assert!(matches!(&error, ClientError::Terminated { output: Some(output), .. } if output == "\"enough\""));
}

#[tokio::test]
async fn an_id_is_taken_until_its_holder_has_ended_or_may_be_replaced() {
    let (_emulator, client, _worker) = together().await;
    let first = client.start(waits_for_go, ()).id("one").await.unwrap();
    let again = client.start(waits_for_go, ()).id("one").await.unwrap_err();
    assert!(matches!(&again, ClientError::AlreadyExists { id, .. } if id == "one"), "{again:?}");
    let second = client.start(fan, 3).id("one").reuse(Reuse::always()).await.unwrap();
    assert_eq!(second.result_within(PATIENCE).await.unwrap(), 14);
    assert_eq!(first.snapshot().await.unwrap().name(), "fan");
    let never = client.start(fan, 3).id("one").reuse(Reuse::never()).await.unwrap_err();
    assert!(matches!(never, ClientError::AlreadyExists { .. }));
}

#[tokio::test]
async fn instances_are_listed_over_pages_and_purged() {
    let (_emulator, client, _worker) = together().await;
    for i in 0..25 {
        let run =
            client.start(fan, 1).id(format!("page-{i:02}")).tag("odd", (i % 2).to_string()).await.unwrap();
        run.ended_within(PATIENCE).await.unwrap();
    }
    let query = Query::all().id_prefix("page-").status(Status::Completed).page_size(4);
    let mut ids: Vec<_> =
        client.query(query.clone()).map(|found| found.unwrap().id().to_owned()).collect().await;
    ids.sort();
    assert_eq!(ids, (0..25).map(|i| format!("page-{i:02}")).collect::<Vec<_>>());
    assert_eq!(client.query(query.tag("odd", "1")).count().await, 12);
    assert_eq!(client.list_ids(taskhub::sdk::ListIds::ended().page_size(7)).count().await, 25);
    assert_eq!(client.handle::<(), ()>("page-00").purge().await.unwrap().deleted, 1);
    assert_eq!(client.get("page-00").await.unwrap(), None);
    assert_eq!(client.purge(Purge::ended()).await.unwrap().deleted, 24);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_waiting_has_an_end() {
    let (_emulator, client, _worker) = together().await;
    let nobody = client.handle::<u32, Failure>("nobody");
    assert!(matches!(nobody.result().await, Err(ClientError::NotFound { .. })));
    assert!(matches!(nobody.raise(GO, 1).await, Err(ClientError::NotFound { .. })));
    let waiting = client.start(waits_for_go, ()).await.unwrap();
    let over = waiting.result_within(Duration::from_millis(1)).await;
    assert!(matches!(over, Err(ClientError::DeadlineExceeded { .. })), "{over:?}");
    let other = taskhub::sdk::Target::new(&client.target().endpoint().to_string()).unwrap().hub("elsewhere");
    let error = Client::connect_to(other).await.unwrap_err();
    assert!(matches!(&error, ClientError::HubNotFound { hub, .. } if hub == "elsewhere"), "{error:?}");
}

#[tokio::test]
async fn a_client_may_come_before_the_worker() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let run = client.start(fan, 10).await.unwrap();
    assert_eq!(run.snapshot().await.unwrap().status(), Status::Pending);
    let _worker = Worker::new(&client, registry()).start().unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap(), 385);
}

/// Blocks in the first worker, and ends in the second.
struct Stage {
    in_first: Notify,
    runs: AtomicU32,
}

async fn staged(stage: Arc<Stage>, _: ActivityContext, i: u32) -> Result<u32, Failure> {
    if stage.runs.fetch_add(1, Ordering::SeqCst) == 0 {
        stage.in_first.notify_one();
        std::future::pending::<()>().await;
    }
    Ok(i + 1)
}

async fn calls_staged(ctx: OrchestrationContext, i: u32) -> Result<u32, Failure> {
    Ok(ctx.activity(staged).call(i).await?)
}

#[tokio::test]
async fn another_worker_finishes_what_a_killed_worker_had_begun() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let stage = Arc::new(Stage { in_first: Notify::new(), runs: AtomicU32::new(0) });
    let registry = Registry::new().orchestration(calls_staged).activity_on(stage.clone(), staged);
    let first = Worker::new(&client, registry.clone()).start().unwrap();
    let run = client.start(calls_staged, 1).await.unwrap();
    stage.in_first.notified().await;
    first.kill().await;
    let _second = Worker::new(&client, registry).start().unwrap();
    assert_eq!(run.result_within(PATIENCE).await.unwrap(), 2);
    is_without_duplicates(&run.history().await.unwrap(), 1);
}

#[tokio::test]
async fn a_worker_comes_back_to_an_emulator_that_comes_back() {
    // Between the two no process has the port. Other tests ask for ports on 127.0.0.1, so this one has an address of its
    // own, where there is more than one.
    let home = if cfg!(target_os = "linux") { [127, 83, 7, 1] } else { [127, 0, 0, 1] };
    let emulator = Emulator::builder().host(home.into()).start().await.unwrap();
    let port = emulator.address().port();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let worker = Worker::new(&client, registry()).start().unwrap();
    assert_eq!(client.start(fan, 5).await.unwrap().result_within(PATIENCE).await.unwrap(), 55);
    emulator.stop().await;
    let emulator = Emulator::builder().host(home.into()).port(port).start().await.unwrap();
    worker.connections_made(2).await;
    assert_eq!(client.start(fan, 5).await.unwrap().result_within(PATIENCE).await.unwrap(), 55);
    drop(emulator);
}

/// Numbers from a seed, so that a run that went wrong can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn two_fans(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let first: Vec<_> = (1..=n).map(|i| ctx.call(counted, i)).collect();
    let first: u32 = join_all(first).await.into_iter().try_fold(0, |sum, i| i.map(|i| sum + i))?;
    let second: Vec<_> = (1..=n).map(|i| ctx.call(counted, i)).collect();
    join_all(second).await.into_iter().try_fold(first, |sum, i| Ok(sum + i?))
}

/// How many activities have run in this process; what the kills are timed by.
static RUNS: AtomicU32 = AtomicU32::new(0);

async fn counted(i: u32) -> Result<u32, Failure> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    tokio::task::yield_now().await;
    square(i).await
}

#[tokio::test]
async fn killing_workers_under_load_loses_nothing_and_doubles_nothing() {
    let seed = std::env::var("TASKHUB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    println!("TASKHUB_SEED={seed}");
    let mut dice = Dice(seed);
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let registry = Registry::new().activity(counted).orchestration(two_fans);
    let start = |cache: usize| Worker::new(&client, registry.clone()).sticky_cache(cache).start().unwrap();
    let mut workers = [start(1_000), start(0)];
    let runs = join_all((0..40).map(|i| client.start(two_fans, 1 + i % 12).into_future())).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    let mut ended = std::pin::pin!(join_all(runs.iter().map(|run| run.ended_within(PATIENCE))));
    // Kills a worker after a number of activities, as long as anything is left to be done.
    for _ in 0..25 {
        let until = RUNS.load(Ordering::SeqCst) + u32::try_from(dice.roll(30)).unwrap();
        let ran = async {
            while RUNS.load(Ordering::SeqCst) < until {
                client.ping().await.unwrap();
            }
        };
        tokio::select! {
            biased;
            _ = &mut ended => break,
            () = ran => {}
        }
        let victim = usize::try_from(dice.roll(workers.len() as u64)).unwrap();
        let cache = [0, 2, 1_000][usize::try_from(dice.roll(3)).unwrap()];
        let killed = std::mem::replace(&mut workers[victim], start(cache));
        match dice.roll(3) {
            0 => drop(killed),
            1 => drop(killed.kill().await),
            _ => drop(killed.stop().await),
        }
    }
    for (run, i) in runs.iter().zip(0..) {
        let n = 1 + i % 12;
        assert_eq!(run.result_within(PATIENCE).await.unwrap(), 2 * sum_of_squares(n), "seed {seed}, run {i}");
        is_without_duplicates(&run.history().await.unwrap(), 2 * n as usize);
    }
}
