//! Tries again, in the orchestration's own time.

use super::story::{Story, broke, completed, failed, fired};
use std::collections::BTreeMap;
use std::time::Duration;
use taskhub::model::Timestamp;
use taskhub::sdk::*;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;

async fn flaky(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

fn minute(attempts: u32) -> RetryPolicy {
    RetryPolicy::attempts(attempts).first_interval(Duration::from_secs(60))
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).activity(flaky)
}

async fn two(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    let a = ctx.activity(flaky).retry(minute(3)).call(1);
    let b = ctx.activity(flaky).retry(minute(3)).call(2);
    Ok(a.await? + b.await?)
}

fn due(story: &Story, timer: i32) -> Timestamp {
    let timer = story.actions.iter().find_map(|(id, action)| match action {
        Action::CreateTimer(set) if *id == timer => set.fire_at,
        _ => None,
    });
    Timestamp::from_wire(&timer.unwrap())
}

#[test]
fn two_retried_calls_that_are_awaited_one_after_the_other_overlap() {
    let mut story = Story::begins(with(two), "two", "null");
    let began = story.now;
    // The second fails while the first is awaited, and is retried all the same.
    story.later(5).turn(vec![failed(2, broke("busy"))]);
    assert_eq!(story.wants(), ["3 timer"]);
    assert_eq!(due(&story, 3), began.plus(Duration::from_secs(65)));
    story.later(60).turn(vec![fired(3)]);
    assert_eq!(story.wants(), ["4 flaky(2)"]);
    story.turn(vec![completed(4, "2")]);
    assert_eq!(story.turn(vec![completed(1, "1")]).result(), "3");
}

#[test]
fn an_attempt_tells_its_number_and_which_call_it_belongs_to() {
    let mut story = Story::begins(with(two), "two", "null");
    story.turn(vec![failed(1, broke("busy"))]);
    story.later(60).turn(vec![fired(3)]);
    let Some((4, Action::ScheduleTask(again))) = story.actions.first() else { panic!("{:?}", story.actions) };
    assert_eq!(again.tags["taskhub.attempt"], "2");
    assert_eq!(again.tags["taskhub.call"], "1");
    let request = taskhub::wire::ActivityRequest {
        name: "flaky".into(),
        tags: again.tags.clone(),
        task_id: 4,
        orchestration_instance: Some(taskhub::wire::OrchestrationInstance {
            instance_id: "i".into(),
            execution_id: Some("e".into()),
        }),
        ..Default::default()
    };
    let first = taskhub::wire::ActivityRequest { tags: BTreeMap::default(), task_id: 1, ..request.clone() };
    let (second, _) = ActivityContext::of(request, Cancellation::new());
    let (first, _) = ActivityContext::of(first, Cancellation::new());
    assert_eq!((first.attempt(), second.attempt()), (1, 2));
    assert_eq!(first.idempotency_key(), second.idempotency_key());
}

#[test]
fn the_last_attempt_is_the_last() {
    let mut story = Story::begins(with(two), "two", "null");
    for (task, timer) in [(1, 3), (4, 5)] {
        story.turn(vec![failed(task, broke("busy"))]);
        story.later(60).turn(vec![fired(timer)]);
    }
    story.turn(vec![failed(6, broke("still busy"))]);
    assert_eq!(story.failure().error_message, "still busy");
    assert_eq!(story.failure().error_type, "Broke");
}

#[test]
fn a_failure_that_calls_itself_final_is_not_tried_again() {
    let mut story = Story::begins(with(two), "two", "null");
    story.turn(vec![failed(1, taskhub::model::failure::not_retriable("Quota", "no more"))]);
    assert_eq!(story.failure().error_type, "Quota");
}

#[test]
fn a_condition_decides_by_the_failure() {
    async fn picky(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let policy = minute(3).when(|failure| failure.error_type != "Broke");
        Ok(ctx.activity(flaky).retry(policy).call(1).await?)
    }
    let mut story = Story::begins(with(picky), "picky", "null");
    assert_eq!(story.turn(vec![failed(1, broke("busy"))]).failure().error_message, "busy");
}

#[test]
fn a_dropped_call_is_not_tried_again_and_a_detached_one_is() {
    async fn drops(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        drop(ctx.activity(flaky).retry(minute(3)).call(1));
        ctx.activity(flaky).retry(minute(3)).call(2).detach();
        ctx.event(EventKey::<()>::new("Go")).await?;
        Ok(())
    }
    let mut story = Story::begins(with(drops), "drops", "null");
    assert!(story.turn(vec![failed(1, broke("busy"))]).actions.is_empty());
    assert_eq!(story.turn(vec![failed(2, broke("busy"))]).wants(), ["3 timer"]);
}

#[test]
fn a_retried_child_gets_a_new_id_unless_one_was_chosen_for_it() {
    async fn child(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
        Ok(())
    }
    async fn parent(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let free = ctx.orchestration(child).retry(minute(2)).call(());
        let named = ctx.orchestration(child).id("mine").retry(minute(2)).call(());
        free.await?;
        Ok(named.await?)
    }
    let failed = |id| {
        taskhub::wire::history_event::EventType::SubOrchestrationInstanceFailed(
            taskhub::wire::SubOrchestrationInstanceFailedEvent {
                task_scheduled_id: id,
                failure_details: Some(broke("busy")),
            },
        )
    };
    let mut story = Story::begins(with(parent).orchestration(child), "parent", "null");
    story.turn(vec![failed(1), failed(2)]);
    story.later(60).turn(vec![fired(3), fired(4)]);
    assert_eq!(story.wants(), ["5 child child 0123456789abcdef0123456789abcdef:0005", "6 child child mine"]);
}

#[test]
fn an_error_travels_with_its_type_and_one_of_another_type_as_details() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, thiserror::Error)]
    enum WorkError {
        #[error("item {0} is malformed")]
        Malformed(i64),
    }
    impl DurableError for WorkError {
        fn retryable(&self) -> bool {
            false
        }
    }
    async fn work(i: i64) -> Result<i64, WorkError> {
        Err(WorkError::Malformed(i))
    }
    async fn tells(ctx: OrchestrationContext, (): ()) -> Result<String, Failure> {
        let (a, b) = (ctx.call(work, i64::MAX), ctx.call(work, 2));
        let a = match a.await {
            Err(TaskError::App(WorkError::Malformed(item))) => format!("malformed {item}"),
            other => format!("{other:?}"),
        };
        let b = match b.await {
            Err(TaskError::Failed(details)) => format!("{}: {}", details.error_type, details.message),
            other => format!("{other:?}"),
        };
        Ok(format!("{a}, {b}"))
    }
    let runner = Registry::new().activity(work).activity_runner("work", None).unwrap();
    let (context, _) = ActivityContext::of(taskhub::wire::ActivityRequest::default(), Cancellation::new());
    let details = futures::executor::block_on(runner.run(context, Some(i64::MAX.to_string()))).unwrap_err();
    assert_eq!(details.error_type, "WorkError");
    assert_eq!(details.error_message, format!("item {} is malformed", i64::MAX));
    assert!(details.is_non_retriable);

    let mut story = Story::begins(with(tells).activity(work), "tells", "null");
    story.turn(vec![failed(1, details), failed(2, broke("down"))]);
    assert_eq!(story.result(), format!("\"malformed {}, Broke: down\"", i64::MAX));
}
