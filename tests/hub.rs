//! Tells what a test hub does: time that jumps, faults, and what it finds.

use futures_util::future::join_all;
use pretty_assertions::assert_eq;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use taskhub::model::Status;
use taskhub::orchestration::{fan_out_fan_in, registry};
use taskhub::sdk::*;
use taskhub::testing::{RunError, TestHub};

const HOUR: Duration = Duration::from_secs(3_600);
const GO: EventKey<u32> = EventKey::new("Go");

#[expect(clippy::unnecessary_wraps, reason = "an activity may fail, even if this one does not")]
fn square(i: u32) -> Result<u32, Failure> {
    Ok(i * i)
}

async fn waits_for_go(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    Ok(ctx.event(GO).await?)
}

async fn sleepy(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let mut sum = 0;
    for i in 0..n {
        ctx.sleep(HOUR).await;
        sum += ctx.call(square, i).await?;
    }
    Ok(sum)
}

#[test]
fn the_sample_runs_without_a_server() {
    let outcome = TestHub::new(registry()).run(fan_out_fan_in, (1..=10).collect()).unwrap();
    let summary = outcome.output.unwrap();
    assert_eq!((summary.sum, summary.average), (385, Some(38.5)));
    assert_eq!((outcome.status, outcome.elapsed), (Status::Completed, Duration::ZERO));
}

#[test]
fn a_day_of_timers_passes_at_once() {
    let hub = TestHub::new(Registry::new().orchestration(sleepy).activity(square));
    let outcome = hub.run(sleepy, 24).unwrap();
    assert_eq!((outcome.output.unwrap(), outcome.elapsed), (4_324, 24 * HOUR));
}

#[test]
fn a_hub_or_worker_killed_after_any_turn_changes_no_result() {
    let hub = TestHub::new(Registry::new().orchestration(sleepy).activity(square));
    let all = hub.run(sleepy, 4).unwrap();
    for turn in 1..=all.turns {
        let outcome = hub.clone().crash_after_turn(turn).run(sleepy, 4).unwrap();
        assert_eq!(outcome.output.unwrap(), 14, "killed after turn {turn}");
        assert_eq!(outcome.history.len(), all.history.len(), "killed after turn {turn}");
    }
}

#[test]
fn answers_sent_twice_and_activities_run_twice_change_nothing() {
    let hub = TestHub::new(Registry::new().orchestration(sleepy).activity(square));
    let outcome = hub.answers_twice().activities_twice().run(sleepy, 4).unwrap();
    assert_eq!(outcome.output.unwrap(), 14);
}

#[test]
fn an_event_that_nobody_raises_is_an_error_that_names_it_and_its_line() {
    let hub = TestHub::new(Registry::new().orchestration(waits_for_go));
    let Err(RunError::Waiting { waits, .. }) = hub.run(waits_for_go, ()) else {
        panic!("it cannot end");
    };
    assert!(waits[0].contains("'go'") && waits[0].contains("tests/hub.rs"), "{waits:?}");
    let outcome = hub.raise_at(HOUR, GO, 7).run(waits_for_go, ()).unwrap();
    assert_eq!((outcome.output.unwrap(), outcome.elapsed), (7, HOUR));
}

#[test]
fn a_suspended_orchestration_goes_on_when_it_is_resumed() {
    let hub = TestHub::new(Registry::new().orchestration(waits_for_go));
    let minute = Duration::from_secs(60);
    let hub = hub.suspend_at(minute).raise_at(2 * minute, GO, 7).resume_at(3 * minute);
    assert_eq!(hub.run(waits_for_go, ()).unwrap().elapsed, 3 * minute);
}

#[test]
fn an_activity_that_nobody_registered_is_named() {
    let hub = TestHub::new(Registry::new().orchestration(sleepy));
    let Err(RunError::Waiting { unclaimed, .. }) = hub.run(sleepy, 1) else {
        panic!("it cannot end");
    };
    assert!(unclaimed[0].contains("no worker has registered the activity \"square\""), "{unclaimed:?}");
}

#[test]
fn a_branch_on_what_the_process_remembers_is_found_in_an_ordinary_test() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn moody(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        ctx.sleep(HOUR).await;
        Ok(CALLS.fetch_add(1, Ordering::Relaxed))
    }
    let hub = TestHub::new(Registry::new().orchestration(moody));
    let Err(RunError::NotDeterministic { turn, difference, .. }) = hub.run(moody, ()) else {
        panic!("its result depends on how often it ran");
    };
    assert_eq!(turn, 2);
    assert!(difference.contains("ends otherwise"), "{difference}");
}

#[test]
fn an_order_that_changes_is_found_with_the_line_that_calls() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn either(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        ctx.sleep(HOUR).await;
        let result = match CALLS.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => ctx.call(square, 3).await,
            _ => ctx.activity_named::<u32, u32>("cube").call(3).await,
        };
        Ok(result?)
    }
    let hub = TestHub::new(Registry::new().orchestration(either).activity(square));
    let Err(RunError::NotDeterministic { turn, difference, .. }) = hub.run(either, ()) else {
        panic!("it calls one or the other");
    };
    assert_eq!(turn, 2);
    assert!(difference.contains("tests/hub.rs:"), "{difference}");
}

#[test]
fn a_mock_takes_the_place_of_an_activity() {
    let hub = TestHub::new(Registry::new().orchestration(sleepy).activity(square));
    let outcome = hub.mock(square, |i: u32| -> Result<u32, Failure> { Ok(i + 100) }).run(sleepy, 2).unwrap();
    assert_eq!(outcome.output.unwrap(), 201);
}

#[test]
fn every_order_of_delivery_gives_the_same_sum() {
    async fn fan(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
        let tasks: Vec<_> = (0..n).map(|i| ctx.call(square, i)).collect();
        Ok(join_all(tasks).await.into_iter().map(|result| result.unwrap_or(0)).sum())
    }
    let hub = TestHub::new(Registry::new().orchestration(fan).activity(square));
    hub.explore(0..50, fan, 10, |outcome| match &outcome.output {
        Ok(285) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
}
