//! Tells how long work rests that was given back, and how much a turn holds.

use super::fixture::{Story, call, complete, id};
use crate::emulator::engine::command::{Command, Offer, WorkKind};
use crate::wire::{self, OrchestrationStatus as Wire, work_item::Request};
use pretty_assertions::assert_eq;

/// Gives the work item at hand back eight times, and says after how many milliseconds it came again.
fn rests(story: &mut Story, kind: WorkKind) -> Vec<u128> {
    let mut rests = Vec::new();
    for _ in 0..8 {
        let (_, item) = story.items.pop_front().expect("work is handed out");
        story.ask(Command::Abandon { kind, token: item.completion_token }).unwrap();
        assert!(story.items.is_empty(), "it rests");
        let due = story.engine.next_due().expect("it comes again");
        rests.push(due.since(story.now).as_millis());
        story.later(due.since(story.now));
    }
    rests
}

const GROWING: [u128; 8] = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];

#[test]
fn work_that_is_given_back_rests_twice_as_long_each_time_up_to_five_seconds() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    assert_eq!(rests(&mut story, WorkKind::Turn), GROWING);

    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    assert_eq!(rests(&mut story, WorkKind::Activity), GROWING);
}

#[test]
fn a_batch_that_is_given_back_rests_as_long_and_from_the_beginning_once_one_was_answered() {
    let mut story = Story::begins();
    story.worker(1);
    let signal = |story: &mut Story| {
        let (operation, request_id) = ("add".into(), String::new());
        let signal =
            Command::SignalEntity { id: id("@counter@a"), operation, input: None, request_id, at: None };
        story.ask(signal).unwrap();
    };
    signal(&mut story);
    assert_eq!(rests(&mut story, WorkKind::Batch), GROWING);

    let (_, item) = story.items.pop_front().unwrap();
    let success = wire::operation_result::ResultType::Success(wire::OperationResultSuccess::default());
    let answer = wire::EntityBatchResult {
        results: vec![wire::OperationResult { result_type: Some(success) }],
        completion_token: item.completion_token,
        ..Default::default()
    };
    story.ask(Command::CompleteBatch(Box::new(answer))).unwrap();
    signal(&mut story);
    assert_eq!(rests(&mut story, WorkKind::Batch)[0], 100);
}

/// An event with so much in it that three make one message.
const LARGE: usize = 1 << 20;

fn raise(story: &mut Story, name: &str) {
    let input = Some("x".repeat(LARGE - 100));
    story.ask(Command::Raise { id: id("a"), name: name.into(), input }).unwrap();
}

/// How many new events the turn at hand has, whether its past is to be fetched, and how many bytes it is.
fn weigh(story: &Story) -> (usize, bool, usize) {
    let (_, item) = story.items.front().expect("a turn is handed out");
    let Some(Request::OrchestratorRequest(turn)) = &item.request else { panic!("{item:?}") };
    (turn.new_events.len(), turn.requires_history_streaming, prost::Message::encoded_len(item))
}

#[test]
fn events_that_do_not_fit_into_one_message_come_in_the_turns_after_it() {
    for history_streaming in [false, true] {
        let mut story = Story::begins();
        story.start("one", "a");
        for name in ["1", "2", "3", "4", "5", "6", "7"] {
            raise(&mut story, name);
        }
        story.worker_with(1, Offer { history_streaming, ..Offer::default() });
        let mut seen = 0;
        loop {
            let (new_events, streamed, bytes) = weigh(&story);
            // A worker that cannot fetch its past gets it whole, and one event with it.
            assert!(bytes < 4 << 20 || !history_streaming, "{bytes} bytes");
            assert_eq!(streamed, history_streaming && seen > 0);
            assert!(new_events >= 2, "there is progress in every turn");
            // All but the moment that each begins with.
            seen += new_events - 1;
            let (_, token) = story.turn();
            if seen == 8 {
                story.answer(&token, vec![complete(1, Wire::Completed, None)]).unwrap();
                break;
            }
            story.answer(&token, vec![]).unwrap();
        }
        assert!(story.items.is_empty());
        let raised = story.history("a").into_iter().filter_map(|event| match event.event_type {
            Some(wire::history_event::EventType::EventRaised(raised)) => Some(raised.name),
            _ => None,
        });
        assert_eq!(raised.collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6", "7"]);
    }
}
