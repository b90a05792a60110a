//! Runs today's code against the histories of yesterday's: what would break instances that are still running fails here.

use futures_util::future::join_all;
use pretty_assertions::{assert_eq, assert_str_eq};
use std::path::Path;
use std::time::Duration;
use taskhub::model::History;
use taskhub::orchestration::{fan_out_fan_in, registry as sample};
use taskhub::report;
use taskhub::sdk::*;
use taskhub::testing::{Diverged, Replayer, TestHub};
use taskhub::wire::HistoryEvent;

const PAID: EventKey<u32> = EventKey::new("Paid");
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Stock {
    left: i64,
}

impl Entity for Stock {
    const NAME: &'static str = "Stock";
}

#[expect(clippy::unnecessary_wraps, reason = "an operation may fail, even if this one does not")]
fn take(stock: &mut Stock, pieces: i64) -> Result<i64, Failure> {
    stock.left -= pieces;
    Ok(stock.left)
}

/// Fails the first time, and every time for an order without pieces.
async fn reserve(ctx: ActivityContext, pieces: u32) -> Result<u32, Failure> {
    if ctx.attempt() == 1 || pieces == 0 {
        return Err(Failure::new("the warehouse is busy"));
    }
    Ok(pieces)
}

async fn ship((): ()) -> Result<String, Failure> {
    Ok("shipped".to_owned())
}

async fn packed(ctx: OrchestrationContext, pieces: u32) -> Result<u32, Failure> {
    let boxes: Vec<_> = (0..pieces).map(|_| ctx.call(ship, ())).collect();
    Ok(u32::try_from(join_all(boxes).await.len())?)
}

/// A little of everything: retries, a race, an event, a lock, a child, a custom status.
async fn order(ctx: OrchestrationContext, pieces: u32) -> Result<String, Failure> {
    ctx.set_custom_status("reserving");
    let retry = RetryPolicy::attempts(3).first_interval(Duration::from_secs(5)).backoff(2.0);
    let reserved = ctx.activity(reserve).retry(retry).call(pieces).await?;
    ctx.set_custom_status("waiting for the money");
    let paid = match race(ctx.event(PAID), ctx.sleep(3 * DAY)).await {
        Either::First(amount) => amount?,
        Either::Second(()) => return Ok("not paid".to_owned()),
    };
    let stock = EntityId::new("Stock", "lamps");
    let left = {
        let _lock = ctx.lock([&stock]).await?;
        ctx.call_entity(&stock, take, i64::from(reserved)).await?
    };
    let boxes = ctx.orchestration(packed).id(format!("{}-boxes", ctx.instance_id())).call(reserved).await?;
    Ok(format!("{paid} for {boxes} boxes, {left} left"))
}

fn registry() -> Registry {
    sample()
        .orchestration(order)
        .orchestration(packed)
        .activity(reserve)
        .activity(ship)
        .entity(EntityDef::<Stock>::new().op(take))
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/histories"))
}

/// Compares with the stored history of this name, and has today's code follow that one. `GOLDEN=write` stores a
/// history that is not stored yet; none is ever rewritten, because instances in the world do not change either.
#[track_caller]
fn is_as_stored(name: &str, history: &History) {
    let file = folder().join(name);
    if std::env::var("GOLDEN").as_deref() == Ok("write") && !file.exists() {
        std::fs::write(&file, report::json(history) + "\n").expect("the fixture can be written");
    }
    let text = std::fs::read_to_string(&file).expect("it is stored; GOLDEN=write stores it");
    let stored = report::from_json(&text).expect("what is stored is a history");
    assert_str_eq!(report::normal(history), report::normal(&stored));
    Replayer::new(registry()).replay_file(&file).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_sample_makes_the_history_that_is_stored() {
    let outcome = TestHub::new(registry()).run(fan_out_fan_in, vec![3, i64::MAX, 8]).unwrap();
    assert_eq!(outcome.output.unwrap().results, [9, 64]);
    is_as_stored("fan_out_fan_in_with_a_failure.json", &outcome.history);
}

#[test]
fn an_order_with_a_little_of_everything_makes_the_history_that_is_stored() {
    let outcome = TestHub::new(registry()).raise_at(DAY, PAID, 70).run(order, 2).unwrap();
    assert_eq!(outcome.output.unwrap(), "70 for 2 boxes, -2 left");
    is_as_stored("order_paid.json", &outcome.history);
}

#[test]
fn an_order_that_nobody_pays_makes_the_history_that_is_stored() {
    let outcome = TestHub::new(registry()).run(order, 1).unwrap();
    assert_eq!(outcome.output.unwrap(), "not paid");
    is_as_stored("order_not_paid.json", &outcome.history);
}

#[test]
fn an_order_that_fails_makes_the_history_that_is_stored() {
    let outcome = TestHub::new(registry()).run(order, 0).unwrap();
    assert!(outcome.output.is_err());
    assert_eq!(outcome.elapsed, Duration::from_secs(5 + 10));
    is_as_stored("order_failed.json", &outcome.history);
}

#[test]
fn every_history_that_is_stored_is_followed_in_whole_and_in_part() {
    let replayer = Replayer::new(registry());
    assert!(replayer.replay_folder(folder()).unwrap() >= 4);
    for entry in std::fs::read_dir(folder()).unwrap() {
        let history = report::from_json(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        let history: Vec<HistoryEvent> = history.into();
        // An instance that is under way stands at the end of some turn.
        let turns = (1..history.len()).filter(|&at| begins_a_turn(&history[at]));
        for end in turns {
            replayer
                .replay(&history[..end].to_vec().into())
                .unwrap_or_else(|why| panic!("after {end} events: {why}"));
        }
    }
}

fn begins_a_turn(event: &HistoryEvent) -> bool {
    event
        .event_type
        .as_ref()
        .is_some_and(|body| taskhub::model::Kind::of(body) == taskhub::model::Kind::OrchestratorStarted)
}

#[test]
fn a_change_that_would_break_a_running_instance_is_found_with_its_line() {
    /// Tomorrow's version of the order: it looks at the stock first.
    async fn order(ctx: OrchestrationContext, pieces: u32) -> Result<String, Failure> {
        let stock = EntityId::new("Stock", "lamps");
        let left = ctx.call_entity(&stock, take, i64::from(pieces)).await?;
        let reserved = ctx.call(reserve, pieces).await?;
        Ok(format!("{reserved}, {left} left"))
    }
    let changed = Registry::new().orchestration(order).activity(reserve);
    let why = Replayer::new(changed).replay_file(folder().join("order_paid.json")).unwrap_err();
    let Diverged::In { why, .. } = why else { panic!("it names the file: {why}") };
    let why = why.to_string();
    assert!(why.contains("activity 'reserve' was scheduled as #1"), "{why}");
    assert!(why.contains("tests/histories.rs:"), "{why}");
}
