//! Tells what becomes of work whose worker does not answer, or does not even read.

use super::fixture::{Story, call, complete, id};
use crate::emulator::engine::command::{Command, Effect, Offer, Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::{Config, LeaseTimes};
use crate::wire::{OrchestrationStatus as Wire, work_item::Request};
use pretty_assertions::assert_eq;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn streams_of(story: &Story) -> Vec<u64> {
    story.items.iter().map(|(stream, _)| stream.0).collect()
}

fn bounded() -> Story {
    Story::with(Config { backlog: 1_000, stall: Some(30 * SECOND), ..Config::default() })
}

/// An instance whose turn is larger than the half of what may wait for a worker.
fn start_large(story: &mut Story, instance: &str) {
    let request = Box::new(super::fixture::request("large", &"x".repeat(600)));
    story.ask(Command::Start { id: Some(id(instance)), request }).unwrap();
}

#[test]
fn a_stream_that_does_not_drain_gets_no_more_and_another_one_gets_it() {
    let mut story = bounded();
    story.worker(1);
    for instance in ["a", "b", "c", "d"] {
        start_large(&mut story, instance);
    }
    assert_eq!(streams_of(&story), [1, 1], "as much as may wait, and what goes over it");
    assert_eq!(story.answers, [Effect::Report { stream: StreamId(1) }]);
    story.worker(2);
    assert_eq!(streams_of(&story), [1, 1, 2, 2]);
}

#[test]
fn a_stream_that_drains_gets_more() {
    let mut story = bounded();
    story.worker(1);
    for instance in ["a", "b", "c", "d"] {
        start_large(&mut story, instance);
    }
    let bytes = story.items.iter().map(|(_, item)| prost::Message::encoded_len(item)).sum();
    story.ask(Command::Drained { stream: StreamId(1), bytes }).unwrap();
    assert_eq!(streams_of(&story), [1, 1, 1, 1]);
}

#[test]
fn a_stream_that_does_not_drain_for_its_time_is_ended_and_what_it_held_is_handed_out_again() {
    let mut story = bounded();
    story.worker(1);
    start_large(&mut story, "a");
    start_large(&mut story, "b");
    assert_eq!(story.engine.next_due(), Some(story.now.plus(30 * SECOND)));
    // Something was taken, and not enough: the time begins anew.
    story.later(29 * SECOND);
    story.ask(Command::Drained { stream: StreamId(1), bytes: 1 }).unwrap();
    story.later(29 * SECOND);
    assert!(!story.answers.contains(&Effect::End { stream: StreamId(1) }));
    let (_, token) = story.turn();
    story.turn();
    story.later(SECOND);
    assert!(story.answers.contains(&Effect::End { stream: StreamId(1) }));
    story.worker(2);
    assert_eq!(streams_of(&story), [2, 2]);
    assert!(matches!(story.answer(&token, vec![]), Err(Refusal::NoSuchWorkItem { .. })));
    // The connection lets go of the stream at last.
    assert_eq!(story.ask(Command::LoseStream { stream: StreamId(1) }), Ok(Reply::Done));
}

#[test]
fn a_worker_that_states_no_limit_gets_a_thousand_of_a_kind_and_the_next_worker_the_rest() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, (1..=1_500).map(|task| call(task, "square")).collect()).unwrap();
    assert_eq!(story.items.len(), 1_000);
    story.worker(2);
    assert_eq!(story.items.iter().filter(|(stream, _)| stream.0 == 2).count(), 500);
}

#[test]
fn work_goes_to_the_stream_that_holds_the_fewest_items() {
    let mut story = Story::begins();
    story.worker(1);
    story.worker(2);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square"), call(2, "square")]).unwrap();
    assert_eq!(streams_of(&story).iter().sum::<u64>(), 3, "one each");
    // The one keeps what it has, the other answers: what comes goes to the other, each time.
    for task in 3..10 {
        let at = story.items.iter().position(|(stream, _)| stream.0 == 2).expect("the other has one");
        let (_, item) = story.items.remove(at).unwrap();
        story.done(&item.completion_token, "1").unwrap();
        let turn = story
            .items
            .iter()
            .position(|(_, item)| matches!(item.request, Some(Request::OrchestratorRequest(_))));
        let (_, turn) = story.items.remove(turn.expect("a turn")).unwrap();
        story.answer(&turn.completion_token, vec![call(task, "square")]).unwrap();
        assert_eq!(streams_of(&story), [1, 2]);
    }
}

fn leased() -> Story {
    let leases = LeaseTimes { turns: Some(10 * SECOND), others: Some(60 * SECOND) };
    Story::with(Config { leases, ..Config::default() })
}

#[test]
fn a_turn_that_is_held_for_too_long_goes_to_another_stream_and_the_old_token_is_unknown() {
    let mut story = leased();
    story.worker(1);
    story.start("one", "a");
    let (first, old) = story.turn();
    story.worker(2);
    assert_eq!(story.engine.next_due(), Some(story.now.plus(10 * SECOND)));
    story.later(9 * SECOND);
    assert!(story.items.is_empty());
    story.later(SECOND);
    assert_eq!(streams_of(&story), [2]);
    let (second, new) = story.turn();
    assert_eq!(first.execution_id, second.execution_id);
    assert!(matches!(story.answer(&old, vec![]), Err(Refusal::NoSuchWorkItem { .. })));
    story.answer(&new, vec![complete(1, Wire::Completed, Some("done"))]).unwrap();
    assert_eq!(story.state("a").output.as_deref(), Some("done"));
    assert_eq!(story.engine.next_due(), None, "nothing is held any more");
}

#[test]
fn activities_and_batches_have_a_time_of_their_own_and_come_again_to_the_only_stream_there_is() {
    let mut story = leased();
    story.worker(1);
    let signal = Command::SignalEntity {
        id: id("@counter@a"),
        operation: "add".into(),
        input: None,
        request_id: String::new(),
        at: None,
    };
    story.ask(signal).unwrap();
    story.items.clear();
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, old) = story.activity();
    story.later(59 * SECOND);
    assert!(story.items.is_empty());
    story.later(SECOND);
    let kinds: Vec<_> = story.items.iter().map(|(_, item)| item.request.clone().unwrap()).collect();
    assert!(
        matches!(
            &kinds[..],
            [Request::EntityRequestV2(_), Request::ActivityRequest(_)]
                | [Request::ActivityRequest(_), Request::EntityRequestV2(_)]
        ),
        "{kinds:?}"
    );
    assert!(matches!(story.done(&old, "late"), Err(Refusal::NoSuchWorkItem { .. })));
    let abandon = Command::Abandon { kind: WorkKind::Activity, token: old };
    assert!(matches!(story.ask(abandon), Err(Refusal::NoSuchWorkItem { .. })));
}

#[test]
fn answered_leases_do_not_pile_up_behind_one_that_lasts() {
    let mut story = leased();
    story.worker_with(1, Offer { turns: Some(2), ..Offer::default() });
    story.start("held", "held");
    story.turn();
    story.start("eternal", "a");
    for _ in 0..5_000 {
        story.later(Duration::from_millis(1));
        let (_, token) = story.turn();
        story.answer(&token, vec![complete(1, Wire::ContinuedAsNew, None)]).unwrap();
    }
    assert!(story.engine.leases.queued() < 2_000, "{} are kept", story.engine.leases.queued());
}
