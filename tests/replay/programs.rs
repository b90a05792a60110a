//! Runs programs that chance has written, and lets chance deliver: however a turn is run, it must want the same.

use super::story::{Story, broke, completed, failed, fired, raised, resumed, suspended};
use futures::future::{FutureExt, LocalBoxFuture, join_all};
use futures::stream::{self, StreamExt};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use taskhub::sdk::*;
use taskhub::wire::history_event::EventType;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;

/// A program, as the input of the orchestrator that runs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    Call(u32),
    Retried(u32),
    Sleep(u64),
    Event(u8),
    Status(u32),
    Dropped(u32),
    Sequence(Vec<Step>),
    Parallel(Vec<Step>),
    Bounded(Vec<u32>),
    Race(u8, u64),
    Keep(u8, u32),
}

async fn work(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

fn key(name: u8) -> EventKey<u32> {
    EventKey::dynamic(format!("E{}", name % 3))
}

fn run(ctx: OrchestrationContext, step: Step) -> LocalBoxFuture<'static, u64> {
    async move {
        let value = |result: Result<u32, TaskError<Failure>>| u64::from(result.unwrap_or(1_000));
        match step {
            Step::Call(i) => value(ctx.call(work, i).await),
            Step::Retried(i) => {
                let policy = RetryPolicy::attempts(3).first_interval(Duration::from_secs(5)).jitter(0.5);
                value(ctx.activity(work).retry(policy).call(i).await)
            }
            Step::Sleep(seconds) => {
                ctx.sleep(Duration::from_secs(seconds)).await;
                1
            }
            Step::Event(name) => u64::from(ctx.event(key(name)).await.unwrap_or(7)),
            Step::Status(status) => {
                ctx.set_custom_status((status, ctx.uuid()));
                0
            }
            Step::Dropped(i) => {
                drop(ctx.call(work, i));
                drop(ctx.sleep(Duration::from_secs(3)));
                drop(ctx.event(key(0)));
                0
            }
            Step::Sequence(steps) => {
                let mut sum = 0;
                for step in steps {
                    sum = sum * 31 % 1_000_007 + run(ctx.clone(), step).await;
                }
                sum
            }
            Step::Parallel(steps) => {
                let all = join_all(steps.into_iter().map(|step| run(ctx.clone(), step))).await;
                all.into_iter().fold(0, |sum, one| sum * 31 % 1_000_007 + one)
            }
            Step::Bounded(items) => {
                let calls = stream::iter(items).map(|i| ctx.call(work, i)).buffer_unordered(2);
                calls.fold(0, |sum, one| async move { sum * 31 % 1_000_007 + value(one) }).await
            }
            Step::Race(name, seconds) => {
                match race(ctx.event(key(name)), ctx.sleep(Duration::from_secs(seconds))).await {
                    Either::First(event) => u64::from(event.unwrap_or(3)),
                    Either::Second(()) => 5,
                }
            }
            Step::Keep(name, i) => {
                let mut task = ctx.call(work, i);
                match race(&mut task, ctx.event(key(name))).await {
                    Either::First(result) => value(result),
                    Either::Second(_) => 11 + value(task.await),
                }
            }
        }
    }
    .boxed_local()
}

async fn program(ctx: OrchestrationContext, step: Step) -> Result<u64, Failure> {
    Ok(run(ctx, step).await)
}

fn steps() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![
        any::<u32>().prop_map(|i| Step::Call(i % 100)),
        any::<u32>().prop_map(|i| Step::Retried(i % 100)),
        (1..9_u64).prop_map(Step::Sleep),
        any::<u8>().prop_map(Step::Event),
        (0..9_u32).prop_map(Step::Status),
        (0..9_u32).prop_map(Step::Dropped),
        prop::collection::vec(0..9_u32, 0..6).prop_map(Step::Bounded),
        (any::<u8>(), 1..9_u64).prop_map(|(name, seconds)| Step::Race(name, seconds)),
        (any::<u8>(), 0..9_u32).prop_map(|(name, i)| Step::Keep(name, i)),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Step::Sequence),
            prop::collection::vec(inner, 0..6).prop_map(Step::Parallel),
        ]
    })
}

/// What the scheduler still owes an instance.
#[derive(Debug, Clone, Copy)]
enum Owed {
    Activity,
    Timer,
}

/// Delivers what is owed, in an order and in batches that `chance` draws, until the program ends.
///
/// The story itself holds every turn against a replay of all of history.
fn play(step: &Step, mut chance: impl FnMut(usize) -> usize) -> u64 {
    let registry = Registry::new().orchestration(program).activity(work);
    let mut story = Story::begins(registry, "program", &serde_json::to_string(step).unwrap());
    let mut owed = BTreeMap::new();
    let mut is_suspended = false;
    for _ in 0..2_000 {
        for (id, action) in &story.actions {
            match action {
                Action::ScheduleTask(_) => drop(owed.insert(*id, Owed::Activity)),
                Action::CreateTimer(_) => drop(owed.insert(*id, Owed::Timer)),
                Action::CompleteOrchestration(end) => {
                    assert_eq!(end.failure_details, None);
                    return end.result.as_deref().unwrap().parse().unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        let mut batch: Vec<EventType> = vec![];
        for _ in 0..=chance(3) {
            let ids: Vec<i32> = owed.keys().copied().collect();
            match chance(8) {
                0 => batch.push(raised(&format!("e{}", chance(3)), "7")),
                1 if !is_suspended && chance(4) == 0 => {
                    is_suspended = true;
                    batch.push(suspended());
                }
                2 | 3 if is_suspended => {
                    is_suspended = false;
                    batch.push(resumed());
                }
                _ if ids.is_empty() => batch.push(raised(&format!("E{}", chance(3)), "8")),
                _ => {
                    let id = ids[chance(ids.len())];
                    batch.push(match owed.remove(&id).unwrap() {
                        Owed::Timer => fired(id),
                        Owed::Activity if chance(4) == 0 => failed(id, broke("chance")),
                        Owed::Activity => completed(id, &id.to_string()),
                    });
                }
            }
        }
        story.later(chance(5) as u64).turn(batch);
    }
    panic!("the program did not end: {step:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_cached_and_a_replayed_orchestrator_want_the_same_in_every_turn(
        step in steps(),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut at = 0;
        play(&step, |below| {
            at += 1;
            // Each draw differs from the one 64 before it.
            (seed[at % seed.len()].index(1 << 20) + at * (at / 64)) % below.max(1)
        });
    }
}
