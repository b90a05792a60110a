//! Tells what becomes of work whose worker leaves: one that drains, and one whose instance is terminated meanwhile.

use super::fixture::{Story, call, complete, id};
use crate::emulator::engine::Config;
use crate::emulator::engine::command::{Command, Offer, StreamId};
use crate::wire::{OrchestrationStatus as Wire, work_item::Request};
use pretty_assertions::assert_eq;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn draining() -> Offer {
    Offer { drains: true, ..Offer::default() }
}

/// A turn, an activity and a batch are with a worker that drains and that has cancelled its stream; another is there.
fn cancelled() -> (Story, Vec<String>) {
    let mut story = Story::begins();
    story.worker_with(1, draining());
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    story.start("one", "b");
    let signal = Command::SignalEntity {
        id: id("@counter@c"),
        request_id: String::new(),
        operation: "add".into(),
        input: None,
        at: None,
    };
    story.ask(signal).unwrap();
    let tokens: Vec<_> = story.items.drain(..).map(|(_, item)| item.completion_token).collect();
    assert_eq!(tokens.len(), 3);
    story.worker(2);
    story.ask(Command::CancelStream { stream: StreamId(1) }).unwrap();
    (story, tokens)
}

#[test]
fn what_a_draining_worker_holds_goes_to_others_after_half_a_minute() {
    let (mut story, _) = cancelled();
    story.later(29 * SECOND);
    assert!(story.items.is_empty(), "{:?}", story.items);
    story.later(SECOND);
    assert_eq!(story.items.len(), 3);
    assert!(story.items.iter().all(|(stream, _)| *stream == StreamId(2)));
}

#[test]
fn what_a_draining_worker_holds_goes_to_others_at_once_when_its_connection_ends() {
    let (mut story, tokens) = cancelled();
    story.done(&tokens[0], "1").unwrap();
    // Its instance is at rest no more: the turn that this makes is for the other worker.
    story.turn();
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    assert_eq!(story.items.len(), 2);
    story.later(60 * SECOND);
    assert_eq!(story.items.len(), 2, "each is handed out once");
}

#[test]
fn a_worker_that_does_not_drain_loses_what_it_holds_with_its_stream() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    story.turn();
    story.worker(2);
    story.ask(Command::CancelStream { stream: StreamId(1) }).unwrap();
    assert_eq!(story.items.len(), 1);
}

/// What happens to an instance whose first turn is with a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Leaves,
    IsTerminated,
    IsAnsweredLate,
    AnotherComes,
}

fn orders(left: &[Step]) -> Vec<Vec<Step>> {
    if left.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in left {
        let rest: Vec<_> = left.iter().copied().filter(|step| step != first).collect();
        all.extend(orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()));
    }
    all
}

/// The second worker completes every turn that it has.
fn complete_all(story: &mut Story) {
    while let Some((stream, item)) = story.items.pop_front() {
        if stream == StreamId(2) && matches!(item.request, Some(Request::OrchestratorRequest(_))) {
            let done = complete(1, Wire::Completed, None);
            story.answer(&item.completion_token, vec![done]).unwrap();
        }
    }
}

#[test]
fn an_id_ends_and_starts_again_in_whatever_order_its_worker_leaves_it_is_terminated_and_answered() {
    use Step::{AnotherComes, IsAnsweredLate, IsTerminated, Leaves};
    let stream = StreamId(1);
    let ways =
        [Command::CloseStream { stream }, Command::LoseStream { stream }, Command::CancelStream { stream }];
    for (order, way) in orders(&[Leaves, IsTerminated, IsAnsweredLate, AnotherComes])
        .into_iter()
        .flat_map(|order| ways.clone().map(|way| (order.clone(), way)))
    {
        // Once with an answer of the first worker, and once without.
        for skipped in [None, Some(IsAnsweredLate)] {
            let mut story = Story::with(Config { unattended: Some(5 * SECOND), ..Config::default() });
            story.worker_with(1, draining());
            story.start("one", "a");
            let (_, token) = story.turn();
            for step in order.iter().filter(|step| Some(**step) != skipped) {
                match step {
                    Leaves => drop(story.ask(way.clone())),
                    IsTerminated => {
                        let end = Command::Terminate { id: id("a"), output: None, recursive: false };
                        story.ask(end).unwrap();
                    }
                    // It is refused where another worker has the turn.
                    IsAnsweredLate => drop(story.answer(&token, vec![call(1, "square")])),
                    AnotherComes => story.worker(2),
                }
                complete_all(&mut story);
            }
            story.later(31 * SECOND);
            complete_all(&mut story);
            let ended = story.state("a").orchestration_status();
            assert!(
                matches!(ended, Wire::Terminated | Wire::Completed),
                "{order:?} {way:?}, skipped {skipped:?}: {ended:?}"
            );
            story.start("one", "a");
            complete_all(&mut story);
            assert_eq!(
                story.state("a").orchestration_status(),
                Wire::Completed,
                "started again: {order:?} {way:?}, skipped {skipped:?}"
            );
        }
    }
}
