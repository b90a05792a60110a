//! Tells the same stories on every target: with no sockets, against an emulator in the process, in a container, and
//! against any endpoint.
//!
//! `TASKHUB_TEST_TARGET=hub|in_process|container|endpoint` plays on that one alone, and fails where it cannot be had.
#![cfg(all(feature = "emulator", feature = "sdk"))]

#[path = "emulator/container.rs"]
mod container;
#[path = "emulator/functions.rs"]
mod functions;
#[path = "emulator/history.rs"]
mod history;
#[path = "emulator/stage.rs"]
mod stage;

use functions::*;
use pretty_assertions::assert_eq;
use rstest::rstest;
use stage::{Stage, Target};
use std::sync::Arc;
use std::time::Duration;
use taskhub::activities::{Failed, Summary};
use taskhub::model::History;
use taskhub::orchestration::fan_out_fan_in;
use taskhub::sdk::{Orchestrator, Registry};
use taskhub::testing::TestHub;
use tokio::sync::Barrier;

/// What came of a story: what was returned, and what happened.
struct Played<O> {
    output: O,
    history: History,
}

/// Plays an orchestration on a target; `None` where that cannot be had, or another one is forced.
async fn play<F: Orchestrator<M>, M>(
    target: Target,
    registry: Registry,
    orchestrator: F,
    input: F::Input,
) -> Option<Played<F::Output>> {
    if !target.is_wanted() {
        return None;
    }
    if target == Target::Hub {
        let outcome =
            TestHub::new(registry).run(orchestrator, input).unwrap_or_else(|stuck| panic!("{stuck}"));
        let output = outcome.output.unwrap_or_else(|error| panic!("it failed: {error}"));
        history::is_sound(&outcome.history);
        return Some(Played { output, history: outcome.history });
    }
    let stage = Stage::set(target).await?;
    let worker = stage.worker(registry).await;
    let run = stage.client.start(orchestrator, input).await.expect("it starts");
    let output = run.result().await.expect("it ends well");
    let history = run.history().await.expect("it has a history");
    worker.stop().await;
    history::is_sound(&history);
    Some(Played { output, history })
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn ten_items_fan_out_and_in(#[case] target: Target) {
    let Some(played) = play(target, registry(), fan_out_fan_in, (1..=10).collect()).await else { return };
    let results: Vec<i64> = (1..=10).map(|i| i * i).collect();
    let expected = Summary { results, sum: 385, average: Some(38.5), failures: vec![] };
    assert_eq!(played.output, expected);
    history::fans_out(&played.history, "process", 10);
    history::is_golden("fan_out_fan_in.json", &played.history);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn one_failing_item_loses_no_other(#[case] target: Target) {
    let Some(played) = play(target, registry(), fan_out_fan_in, vec![1, i64::MAX, 3]).await else { return };
    assert_eq!(played.output.results, [1, 9]);
    let [Failed { item: i64::MAX, reason }] = &played.output.failures[..] else {
        panic!("one item fails: {:?}", played.output)
    };
    assert!(reason.contains("too large"), "{reason}");
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn an_error_comes_back_as_the_type_it_was(#[case] target: Target) {
    let Some(played) = play(target, registry(), sort_out, vec![7, 13, 21]).await else { return };
    assert_eq!(played.output, (vec![7, 21], vec![13]));
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn no_items_give_an_empty_summary(#[case] target: Target) {
    let Some(played) = play(target, registry(), fan_out_fan_in, vec![]).await else { return };
    assert_eq!(played.output, Summary::default());
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn a_thousand_items_fan_out_and_in(#[case] target: Target) {
    let Some(played) = play(target, registry(), fan_out_fan_in, (1..=1_000).collect()).await else { return };
    assert_eq!((played.output.results.len(), played.output.sum), (1_000, 333_833_500));
    history::fans_out(&played.history, "process", 1_000);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn text_of_any_alphabet_comes_back_as_it_went(#[case] target: Target) {
    let text = "gr\u{fc}n \u{7dd1} \u{1f343} \" \\ \u{0} \n end".to_owned();
    let Some(played) = play(target, registry(), repeat, text.clone()).await else { return };
    assert_eq!(played.output, text);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn an_activity_that_panics_fails_and_its_worker_lives(#[case] target: Target) {
    let Some(played) = play(target, registry(), survives, ()).await else { return };
    assert!(played.output.contains("the roof is on fire"), "{}", played.output);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn parallel_activities_really_overlap(#[case] target: Target) {
    let guests: Vec<String> = (0..5).map(|n| format!("guest {n}")).collect();
    let registry = Registry::new().orchestration(party).activity_on(Arc::new(Barrier::new(5)), meet);
    let Some(played) = play(target, registry, party, guests.clone()).await else { return };
    assert_eq!(played.output, guests);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn children_report_to_their_parents(#[case] target: Target) {
    let Some(played) = play(target, registry(), tree, 3).await else { return };
    assert_eq!(played.output, 15);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn a_timer_that_is_due_first_wins_the_race(#[case] target: Target) {
    let Some(played) = play(target, registry(), approval, Duration::from_millis(30)).await else { return };
    assert_eq!(played.output, None);
    history::is_won_by_a_timer(&played.history);
}

#[rstest]
#[case::hub(Target::Hub)]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn an_event_that_comes_first_wins_the_race(#[case] target: Target) {
    const DAY: Duration = Duration::from_secs(86_400);
    if !target.is_wanted() {
        return;
    }
    if target == Target::Hub {
        let hub = TestHub::new(registry()).raise_at(DAY / 2, APPROVED, "Ada".to_owned());
        let outcome = hub.run(approval, DAY).unwrap();
        assert_eq!((outcome.output.unwrap().as_deref(), outcome.elapsed), (Some("Ada"), DAY / 2));
        history::is_won_by_an_event(&outcome.history);
        return;
    }
    let Some(stage) = Stage::set(target).await else { return };
    let worker = stage.worker(registry()).await;
    let run = stage.client.start(approval, DAY).await.unwrap();
    run.raise(APPROVED, "Ada".to_owned()).await.unwrap();
    assert_eq!(run.result().await.unwrap().as_deref(), Some("Ada"));
    history::is_won_by_an_event(&run.history().await.unwrap());
    worker.stop().await;
}

#[rstest]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn what_is_started_before_any_worker_is_there_runs_when_one_comes(#[case] target: Target) {
    if !target.is_wanted() {
        return;
    }
    let Some(stage) = Stage::set(target).await else { return };
    let run = stage.client.start(repeat, "early".to_owned()).await.unwrap();
    let worker = stage.worker(registry()).await;
    assert_eq!(run.result().await.unwrap(), "early");
    let history = run.history().await.unwrap();
    history::is_sound(&history);
    history::runs_each_once(&history, "echo", 1);
    worker.stop().await;
}

#[rstest]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn a_killed_workers_activities_are_finished_by_another(#[case] target: Target) {
    if !target.is_wanted() {
        return;
    }
    let Some(stage) = Stage::set(target).await else { return };
    // The four wait at the first worker for a fifth that never comes.
    let doomed = Arc::new(Barrier::new(5));
    let first = stage.worker(Registry::new().orchestration(party).activity_on(doomed, meet)).await;
    let guests: Vec<String> = (0..4).map(|n| format!("guest {n}")).collect();
    let run = stage.client.start(party, guests.clone()).await.unwrap();
    run.started().await.unwrap();
    first.kill().await;
    let barrier = Arc::new(Barrier::new(4));
    let second = stage.worker(Registry::new().orchestration(party).activity_on(barrier, meet)).await;
    assert_eq!(run.result().await.unwrap(), guests);
    let history = run.history().await.unwrap();
    history::is_sound(&history);
    history::runs_each_once(&history, "meet", 4);
    second.stop().await;
}

#[rstest]
#[case::in_process(Target::InProcess)]
#[case::container(Target::Container)]
#[case::endpoint(Target::Endpoint)]
#[tokio::test]
async fn two_workers_share_what_there_is_to_do(#[case] target: Target) {
    if !target.is_wanted() {
        return;
    }
    let Some(stage) = Stage::set(target).await else { return };
    // One barrier for both, and each takes one activity at a time: neither could end alone.
    let barrier = Arc::new(Barrier::new(2));
    let worker = || {
        let registry = Registry::new().orchestration(party).activity_on(barrier.clone(), meet);
        taskhub::sdk::Worker::new(&stage.client, registry).max_activities(1).start().unwrap()
    };
    let (one, other) = (worker(), worker());
    one.connected().await;
    other.connected().await;
    let guests: Vec<String> = (0..20).map(|n| format!("guest {n}")).collect();
    let run = stage.client.start(party, guests.clone()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), guests);
    let history = run.history().await.unwrap();
    history::is_sound(&history);
    history::fans_out(&history, "meet", 20);
    history::runs_each_once(&history, "meet", 20);
    one.stop().await;
    other.stop().await;
}
