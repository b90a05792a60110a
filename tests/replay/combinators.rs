//! Fans out, races and joins with the ordinary combinators.

use super::story::{Story, broke, completed, failed, fired, raised};
use futures::future::join_all;
use futures::stream::{self, FuturesUnordered, StreamExt};
use std::time::Duration;
use taskhub::sdk::*;

async fn double(i: u32) -> Result<u32, Failure> {
    Ok(2 * i)
}

async fn all(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let results = join_all((0..n).map(|i| ctx.call(double, i))).await;
    Ok(results.into_iter().map(Result::unwrap).sum())
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).activity(double)
}

#[test]
fn a_join_of_more_than_thirty_tasks_ends_when_the_last_one_has_settled() {
    let mut story = Story::begins(with(all), "all", "100");
    assert_eq!(story.actions.len(), 100);
    assert_eq!(story.wants()[..2], ["1 double(0)", "2 double(1)"]);
    for id in (2..=100).rev() {
        assert!(story.turn(vec![completed(id, "1")]).actions.is_empty());
    }
    assert_eq!(story.turn(vec![completed(1, "1")]).result(), "100");
}

#[test]
fn a_join_of_nothing_is_done_at_once() {
    assert_eq!(Story::begins(with(all), "all", "0").result(), "0");
}

#[test]
fn the_sample_tells_which_items_failed_and_loses_no_other() {
    let registry = taskhub::orchestration::registry();
    let mut story = Story::begins(registry, "fan_out_fan_in", "[1,2,3]");
    assert_eq!(story.wants(), ["1 list_work_items([1,2,3])"]);
    story.turn(vec![completed(1, "[1,2,3]")]);
    assert_eq!(story.wants(), ["2 process(1)", "3 process(2)", "4 process(3)"]);
    story.turn(vec![completed(4, "9"), failed(3, broke("no luck"))]);
    assert!(story.actions.is_empty());
    story.turn(vec![completed(2, "1")]);
    let outcomes = r#"[{"Ok":1},{"Err":{"item":2,"reason":"no luck"}},{"Ok":9}]"#;
    assert_eq!(story.wants(), [format!("5 aggregate({outcomes})")]);
    let summary = r#"{"results":[1,9],"sum":10,"average":5.0,"failures":[{"item":2,"reason":"no luck"}]}"#;
    assert_eq!(story.turn(vec![completed(5, summary)]).result(), summary);
}

#[test]
fn at_most_so_many_are_in_flight_when_the_stream_is_buffered() {
    async fn bounded(ctx: OrchestrationContext, n: u32) -> Result<usize, Failure> {
        Ok(stream::iter(0..n).map(|i| ctx.call(double, i)).buffer_unordered(8).count().await)
    }
    let mut story = Story::begins(with(bounded), "bounded", "20");
    assert_eq!(story.actions.len(), 8);
    for id in 1..=12 {
        assert_eq!(story.turn(vec![completed(id, "0")]).wants(), [format!("{} double({})", id + 8, id + 7)]);
    }
    let rest = (13..=20).map(|id| completed(id, "0")).collect();
    assert_eq!(story.turn(rest).result(), "20");
}

#[test]
fn the_first_three_of_many_are_taken_in_the_order_of_history() {
    async fn first(ctx: OrchestrationContext, (): ()) -> Result<Vec<u32>, Failure> {
        let tasks: FuturesUnordered<_> = (0..5).map(|i| ctx.call(double, i)).collect();
        Ok(tasks.take(3).map(Result::unwrap).collect().await)
    }
    let mut story = Story::begins(with(first), "first", "null");
    story.turn(vec![completed(4, "44"), completed(2, "22"), completed(5, "55"), completed(1, "11")]);
    assert_eq!(story.result(), "[44,22,55]");
}

const DONE: EventKey<u32> = EventKey::new("Done");

async fn event_or_timer(ctx: OrchestrationContext, (): ()) -> Result<String, Failure> {
    ctx.call(double, 1).await?;
    // By now both may have happened.
    Ok(match race(ctx.event(DONE), ctx.sleep(Duration::from_secs(60))).await {
        Either::First(value) => format!("event {}", value?),
        Either::Second(()) => "timer".into(),
    })
}

#[test]
fn the_earlier_in_history_wins_a_race() {
    let mut story = Story::begins(with(event_or_timer), "event_or_timer", "null");
    story.turn(vec![completed(1, "2")]);
    assert_eq!(story.wants(), ["2 timer"]);
    assert_eq!(story.later(60).turn(vec![fired(2), raised("done", "5")]).result(), r#""timer""#);

    let mut story = Story::begins(with(event_or_timer), "event_or_timer", "null");
    story.turn(vec![completed(1, "2")]);
    assert_eq!(story.later(60).turn(vec![raised("DONE", "5"), fired(2)]).result(), r#""event 5""#);
}

#[test]
fn the_earlier_wins_even_when_both_are_ready_before_the_race_begins() {
    async fn both(ctx: OrchestrationContext, (): ()) -> Result<String, Failure> {
        let (mut a, mut b) = (ctx.call(double, 1), ctx.call(double, 2));
        ctx.event(DONE).await?;
        Ok(match race(&mut a, &mut b).await {
            Either::First(_) => "a".into(),
            Either::Second(_) => "b".into(),
        })
    }
    let mut story = Story::begins(with(both), "both", "null");
    story.turn(vec![completed(2, "4"), completed(1, "2"), raised("Done", "0")]);
    assert_eq!(story.result(), r#""b""#);
}

#[test]
fn a_task_that_lost_a_race_by_reference_can_still_be_awaited() {
    async fn patient(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let mut task = ctx.call(double, 4);
        if let Either::Second(()) = race(&mut task, ctx.sleep(Duration::from_secs(1))).await {
            ctx.set_custom_status("late");
        }
        Ok(task.await?)
    }
    let mut story = Story::begins(with(patient), "patient", "null");
    assert_eq!(story.later(1).turn(vec![fired(2)]).status.as_deref(), Some(r#""late""#));
    assert_eq!(story.turn(vec![completed(1, "8")]).result(), "8");
}
