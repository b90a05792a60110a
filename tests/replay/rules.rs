//! Breaks the rules of orchestrators, each in a way that must be told by name.

use super::story::{Story, completed, fired, raised, request, terminated};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::*;

async fn first(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

async fn second(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

/// Plays `was` for its first turn, and then lets `is` continue its history.
#[track_caller]
fn redeployed<F: Orchestrator<M>, M, G: Orchestrator<N>, N>(was: F, is: G) -> String {
    let registry = |registry: Registry| registry.activity(first).activity(second);
    let story = Story::begins(registry(Registry::new().orchestration_named("job", None, was)), "job", "null");
    let now = registry(Registry::new().orchestration_named("job", None, is));
    let new =
        vec![event::orchestrator_started(story.now), event::task_completed(story.now, 1, Some("1".into()))];
    let outcome = run_turn(&now, request(story.history, new, 0), None);
    let fault = outcome.fault.expect("the two differ");
    assert_eq!(fault.error_type, "NonDeterminism");
    assert!(fault.non_retriable);
    assert_eq!(outcome.response.actions.len(), 1, "{:?}", outcome.response.actions);
    fault.message
}

async fn calls_first(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    Ok(ctx.call(first, 1).await?)
}

#[test]
fn another_name_under_the_same_id_is_reported_with_the_line_that_scheduled_it() {
    async fn calls_second(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.call(second, 1).await?)
    }
    let line = line!() - 2;
    let message = redeployed(calls_first, calls_second);
    let expected = format!(
        "history says that activity 'first' was scheduled as #1, but the code at tests/replay/rules.rs:{line}:16 \
         scheduled activity 'second'"
    );
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn another_kind_under_the_same_id_is_reported() {
    async fn sleeps(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(1)
    }
    let message = redeployed(calls_first, sleeps);
    assert!(message.contains("activity 'first' was scheduled as #1"), "{message}");
    assert!(message.contains("scheduled timer"), "{message}");
}

#[test]
fn something_history_has_and_the_code_has_not_is_reported() {
    async fn waits(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.event(EventKey::new("Go")).await?)
    }
    let message = redeployed(calls_first, waits);
    assert!(message.contains("the code scheduled nothing as #1"), "{message}");
}

#[test]
fn something_the_code_has_and_history_has_not_is_reported() {
    async fn calls_both(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let (a, b) = (ctx.call(first, 1), ctx.call(second, 2));
        Ok(a.await? + b.await?)
    }
    let message = redeployed(calls_first, calls_both);
    assert!(message.contains("scheduled activity 'second' as #2, but history says it did not"), "{message}");
    assert!(message.contains("tests/replay/rules.rs:"), "{message}");
}

#[test]
fn awaiting_a_channel_is_a_foreign_await_in_the_same_turn() {
    async fn waits(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let (_keep, receiver) = futures::channel::oneshot::channel::<()>();
        receiver.await?;
        Ok(())
    }
    let story = Story::begins(Registry::new().orchestration(waits), "waits", "null");
    assert_eq!(story.failure().error_type, "ForeignAwait");
    assert!(story.failure().is_non_retriable);
}

#[test]
fn a_channel_between_two_branches_is_no_foreign_await() {
    async fn talks(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let tells = async {
            let value = ctx.call(first, 7).await?;
            sender.send(value).map_err(|_| Failure::new("no receiver is left"))
        };
        let hears = async { Ok::<u32, Failure>(receiver.await?) };
        let ((), value) = futures::try_join!(tells, hears)?;
        Ok(value)
    }
    let mut story = Story::begins(Registry::new().orchestration(talks).activity(first), "talks", "null");
    assert_eq!(story.turn(vec![completed(1, "7")]).result(), "7");
}

#[test]
fn a_tokio_timer_is_reported_as_a_foreign_await() {
    #[expect(clippy::disallowed_methods, reason = "this is what must be noticed")]
    async fn naps(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
    let story = Story::begins(Registry::new().orchestration(naps), "naps", "null");
    assert_eq!(story.failure().error_type, "ForeignAwait");
    assert!(story.failure().error_message.contains("tokio API"), "{:?}", story.failure());
}

thread_local! {
    static OUTSIDE: RefCell<Option<futures::channel::oneshot::Sender<()>>> = const { RefCell::new(None) };
}

#[test]
fn a_wake_from_outside_fails_the_next_turn_even_beside_a_durable_wait() {
    async fn mixed(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let (sender, receiver) = futures::channel::oneshot::channel();
        OUTSIDE.set(Some(sender));
        let _ = futures::future::select(receiver, ctx.event(EventKey::<()>::new("Go"))).await;
        Ok(())
    }
    let registry = Registry::new().orchestration(mixed);
    let now = Timestamp::from_micros(1);
    let start = vec![
        event::orchestrator_started(now),
        event::execution_started(now, super::story::started("mixed", "null")),
    ];
    let outcome = run_turn(&registry, request(vec![], start.clone(), 0), None);
    let cached = outcome.cached.unwrap();
    assert!(!cached.was_woken_from_outside());
    OUTSIDE.take().unwrap().send(()).unwrap();
    assert!(cached.was_woken_from_outside());
    let next = vec![event::orchestrator_started(now), event::event_raised(now, "x".into(), None)];
    let outcome = run_turn(&registry, request(start, next, 0), Some(cached));
    assert_eq!(outcome.fault.unwrap().error_type, "ForeignAwait");
}

#[test]
fn a_loop_that_wakes_itself_and_waits_for_nothing_ends() {
    async fn spins(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let _timer = ctx.sleep(Duration::from_secs(1));
        poll_fn::<(), _>(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Ok(())
    }
    let story = Story::begins(Registry::new().orchestration(spins), "spins", "null");
    assert_eq!(story.failure().error_type, "NeverYields");
}

#[test]
fn a_panic_fails_the_orchestration_and_nothing_else() {
    async fn panics(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        ctx.call(first, 1).await?;
        panic!("out of luck")
    }
    let registry = Registry::new().orchestration(panics).activity(first);
    let mut story = Story::begins(registry, "panics", "null");
    story.turn(vec![completed(1, "1")]);
    assert_eq!(story.failure().error_type, "OrchestratorPanicked");
    assert_eq!(story.failure().error_message, "the orchestrator panicked: out of luck");
}

#[test]
fn an_input_that_does_not_read_says_which_and_why() {
    async fn takes(_: OrchestrationContext, n: u32) -> Result<u32, Failure> {
        Ok(n)
    }
    let story = Story::begins(Registry::new().orchestration(takes), "takes", r#""three""#);
    let failure = story.failure();
    assert_eq!(failure.error_type, "DecodeError");
    assert!(failure.error_message.contains(r#"the input of "takes" does not read as u32"#), "{failure:?}");
}

#[test]
fn a_name_that_nobody_registered_is_reported_for_good() {
    let story = Story::begins(Registry::new(), "nobody", "null");
    assert_eq!(story.failure().error_type, "OrchestratorTaskNotFound");
    assert!(story.failure().is_non_retriable);
}

#[test]
fn a_termination_ends_even_what_has_failed_in_the_same_turn() {
    async fn panics(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        ctx.event(EventKey::<()>::new("Go")).await?;
        panic!("out of luck")
    }
    let mut story = Story::begins(Registry::new().orchestration(panics), "panics", "null");
    assert_eq!(story.turn(vec![raised("go", "null"), terminated("\"bye\"")]).wants(), ["1 TERMINATED"]);
    assert_eq!(story.end().result.as_deref(), Some("\"bye\""));
}

#[test]
fn a_closure_is_not_called_without_a_name() {
    async fn calls(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.call(|i: u32| Ok::<u32, Failure>(i), 1).await?)
    }
    let story = Story::begins(Registry::new().orchestration(calls), "calls", "null");
    assert!(story.failure().error_message.contains("has no name of its own"), "{:?}", story.failure());
}

#[test]
fn an_input_that_json_cannot_hold_is_reported_where_it_is_sent() {
    async fn sends(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        ctx.set_custom_status(std::collections::BTreeMap::from([((1, 2), 3)]));
        Ok(())
    }
    let story = Story::begins(Registry::new().orchestration(sends), "sends", "null");
    assert_eq!(story.failure().error_type, "Refused");
    assert!(story.failure().error_message.contains("tests/replay/rules.rs:"), "{:?}", story.failure());
}

#[test]
fn a_task_that_is_awaited_twice_fails_with_a_sentence() {
    async fn twice(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let mut timer = ctx.sleep(Duration::from_secs(1));
        (&mut timer).await;
        timer.await;
        Ok(0)
    }
    let mut story = Story::begins(Registry::new().orchestration(twice), "twice", "null");
    story.turn(vec![fired(1)]);
    assert!(story.failure().error_message.contains("awaited again"), "{:?}", story.failure());
}

#[test]
fn the_context_stays_with_its_orchestrator() {
    // What is kept beyond the end can still be dropped.
    async fn leaks(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let task = Rc::new(ctx.call(first, 1));
        std::mem::forget(Rc::clone(&task));
        Ok(())
    }
    let registry = Registry::new().orchestration(leaks).activity(first);
    assert_eq!(Story::begins(registry, "leaks", "null").wants(), ["1 first(1)", "2 COMPLETED"]);
}
