//! Waits for external events: who is first, who gives up, and who gets what was given back.

use super::story::{Story, completed, fired, raised};
use futures::future::join_all;
use std::time::Duration;
use taskhub::sdk::*;

const GO: EventKey<u32> = EventKey::new("Go");

async fn step(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).activity(step)
}

#[test]
fn waits_for_one_name_are_served_in_the_order_they_were_made() {
    async fn three(ctx: OrchestrationContext, (): ()) -> Result<Vec<u32>, Failure> {
        let waits: Vec<_> = (0..3).map(|_| ctx.event(GO)).collect();
        Ok(join_all(waits).await.into_iter().map(Result::unwrap).collect())
    }
    let mut story = Story::begins(with(three), "three", "null");
    story.turn(vec![raised("go", "1")]);
    assert_eq!(story.turn(vec![raised("GO", "2"), raised("Go", "3")]).result(), "[1,2,3]");
}

#[test]
fn events_that_came_before_the_wait_are_kept_in_their_order() {
    async fn late(ctx: OrchestrationContext, (): ()) -> Result<Vec<u32>, Failure> {
        ctx.call(step, 1).await?;
        Ok(vec![ctx.event(GO).await?, ctx.event(GO).await?])
    }
    let mut story = Story::begins(with(late), "late", "null");
    story.turn(vec![raised("go", "1"), raised("go", "2")]);
    assert_eq!(story.turn(vec![completed(1, "1")]).result(), "[1,2]");
}

async fn impatient(ctx: OrchestrationContext, (): ()) -> Result<Option<u32>, Failure> {
    // Gives up after a minute, and later waits again.
    if let Either::First(early) = race(ctx.event(GO), ctx.sleep(Duration::from_secs(60))).await {
        return Ok(Some(early?));
    }
    ctx.call(step, 1).await?;
    Ok(Some(ctx.event(GO).await?))
}

#[test]
fn a_wait_that_lost_its_race_does_not_eat_the_next_event() {
    let mut story = Story::begins(with(impatient), "impatient", "null");
    assert_eq!(story.later(60).turn(vec![fired(1)]).wants(), ["2 step(1)"]);
    story.turn(vec![raised("go", "7")]);
    assert_eq!(story.turn(vec![completed(2, "1")]).result(), "7");
}

#[test]
fn an_event_handed_to_a_wait_that_is_then_dropped_goes_to_the_next() {
    async fn drops(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let first = ctx.event(GO);
        let second = ctx.event(GO);
        ctx.call(step, 1).await?;
        drop(first);
        Ok(second.await?)
    }
    let mut story = Story::begins(with(drops), "drops", "null");
    story.turn(vec![raised("go", "7")]);
    assert_eq!(story.turn(vec![completed(1, "1")]).result(), "7");
}

#[test]
fn a_falsy_value_is_a_value() {
    async fn falsy(ctx: OrchestrationContext, (): ()) -> Result<(bool, u32, Option<u32>), Failure> {
        let yes = ctx.event(EventKey::<bool>::new("Yes")).await?;
        let none = ctx.event(EventKey::<Option<u32>>::new("None")).await?;
        Ok((yes, ctx.call(step, 0).await?, none))
    }
    let mut story = Story::begins(with(falsy), "falsy", "null");
    story.turn(vec![raised("yes", "false"), raised("none", "null")]);
    assert_eq!(story.turn(vec![completed(1, "0")]).result(), "[false,0,null]");
}

#[test]
fn an_event_of_another_type_says_which_and_why() {
    async fn reads(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.event(GO).await?)
    }
    let mut story = Story::begins(with(reads), "reads", "null");
    story.turn(vec![raised("go", "\"seven\"")]);
    assert!(
        story.failure().error_message.contains("the event \"Go\" does not read as u32"),
        "{:?}",
        story.failure()
    );
}

#[test]
fn a_completion_that_comes_twice_or_for_no_task_is_skipped() {
    async fn once(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let one = ctx.call(step, 1).await?;
        Ok(one + ctx.call(step, 2).await?)
    }
    let mut story = Story::begins(with(once), "once", "null");
    story.turn(vec![completed(1, "1"), completed(1, "9"), completed(77, "9"), fired(2)]);
    assert_eq!(story.turn(vec![fired(2), completed(2, "2")]).result(), "3");
}
