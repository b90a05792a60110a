//! Measures what turns cost. Run by hand: `cargo test --release --test replay cost -- --ignored --nocapture`.

use super::story::{request, started};
use futures::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::*;
use taskhub::wire::HistoryEvent;

static DECODED: AtomicUsize = AtomicUsize::new(0);

#[derive(serde::Serialize)]
struct Counted(u64);

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        u64::deserialize(deserializer).map(Self)
    }
}

async fn work(i: u64) -> Result<Counted, Failure> {
    Ok(Counted(i))
}

async fn fan(ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    let all = join_all((0..n).map(|i| ctx.call(work, i))).await;
    Ok(all.into_iter().map(|one| one.unwrap().0).sum())
}

async fn chain(ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    let mut sum = 0;
    for i in 0..n {
        sum += ctx.call(work, i).await?.0;
    }
    Ok(sum)
}

fn begin(name: &str, n: usize) -> Vec<HistoryEvent> {
    let now = Timestamp::EPOCH;
    vec![event::orchestrator_started(now), event::execution_started(now, started(name, &n.to_string()))]
}

fn turn(id: i32) -> Vec<HistoryEvent> {
    let now = Timestamp::EPOCH;
    vec![event::orchestrator_started(now), event::task_completed(now, id, Some("1".into()))]
}

fn scheduled(id: i32) -> HistoryEvent {
    let action = taskhub::wire::ScheduleTaskAction { name: "work".into(), ..Default::default() };
    event::task_scheduled(id, Timestamp::EPOCH, action)
}

fn registry() -> Registry {
    Registry::new().orchestration(fan).orchestration(chain).activity(work)
}

/// A fan-out of `n`, one completion a turn, from a kept execution.
fn sticky(n: usize) {
    let registry = registry();
    let mut outcome = run_turn(&registry, request(vec![], begin("fan", n), 0), None);
    let mut past = 2 + n;
    for id in 1..=n {
        let new = turn(i32::try_from(id).unwrap());
        outcome = run_turn(&registry, request(vec![], new, past), outcome.cached);
        assert_eq!(outcome.applied, 2);
        past += 2;
    }
    assert_eq!(outcome.response.actions.len(), 1);
}

/// All of a fan-out's history in one turn.
fn fan_history(n: usize) -> Vec<HistoryEvent> {
    let ids = 1..=i32::try_from(n).unwrap();
    begin("fan", n).into_iter().chain(ids.clone().map(scheduled)).chain(ids.flat_map(turn)).collect()
}

/// All of a chain's history in one turn.
fn chain_history(n: usize) -> Vec<HistoryEvent> {
    let ids = 1..=i32::try_from(n).unwrap();
    begin("chain", n).into_iter().chain(ids.flat_map(|id| [vec![scheduled(id)], turn(id)].concat())).collect()
}

#[test]
fn a_kept_execution_decodes_every_result_once() {
    DECODED.store(0, Ordering::Relaxed);
    sticky(200);
    assert_eq!(DECODED.load(Ordering::Relaxed), 200);
}

#[test]
#[ignore = "measures; its figures depend on the machine"]
#[expect(clippy::disallowed_methods, reason = "this measures the time of day, not the orchestration's")]
fn figures() {
    let measure = |what: &str, run: &dyn Fn()| {
        let best = (0..5).map(|_| {
            let began = std::time::Instant::now();
            run();
            began.elapsed()
        });
        println!("{what}: {:?}", best.min().unwrap_or(Duration::ZERO));
    };
    for n in [1_000, 10_000, 100_000] {
        measure(&format!("fan {n}, one completion a turn, kept"), &|| sticky(n));
    }
    for (name, history) in [("fan", fan_history(5_000)), ("chain", chain_history(3_333))] {
        let replay = || {
            let outcome = run_turn(&registry(), request(history.clone(), vec![], 0), None);
            assert_eq!(outcome.response.actions.len(), 1);
        };
        measure(&format!("{name}: copy a history of {}", history.len()), &|| drop(history.clone()));
        measure(&format!("{name}: copy and replay it"), &replay);
    }
}
