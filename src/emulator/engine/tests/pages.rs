//! Reads histories in parts, counts what the state takes, and shares what many wait for.

use super::fixture::{Story, call, complete, id};
use crate::emulator::engine::command::{
    Command, Effect, HistoryPage, PurgeTarget, Refusal, Reply, Until, WaiterId,
};
use crate::emulator::engine::{Config, Engine};
use crate::wire::{OrchestrationStatus as Wire, work_item::Request};
use bytes::Bytes;
use std::sync::Arc;

fn page(instance: &str, bytes: usize) -> HistoryPage {
    HistoryPage { id: id(instance), execution: None, after: 0, until: None, bytes }
}

fn read(story: &mut Story, page: HistoryPage) -> (Vec<Bytes>, Option<HistoryPage>) {
    match story.ask(Command::HistoryPage(page)) {
        Ok(Reply::HistoryPage { events, next }) => (events, next),
        other => panic!("a page was expected: {other:?}"),
    }
}

/// An instance that has run one turn with that many activities.
fn with_history(story: &mut Story, instance: &str, activities: i32) {
    story.start("x", instance);
    let token = next_turn(story).expect("it has a turn");
    story.answer(&token, (1..=activities).map(|task| call(task, "square")).collect()).unwrap();
}

/// The token of the next turn, whatever else is out.
fn next_turn(story: &mut Story) -> Option<String> {
    let is_turn = |request: &Option<Request>| matches!(request, Some(Request::OrchestratorRequest(_)));
    let at = story.items.iter().position(|(_, item)| is_turn(&item.request))?;
    Some(story.items.remove(at)?.1.completion_token)
}

fn purge(story: &mut Story, which: &[&str]) {
    let target = PurgeTarget::Batch(which.iter().map(|which| id(which)).collect());
    let purged = story.ask(Command::Purge { target, recursive: false });
    assert_eq!(purged, Ok(Reply::Purged { deleted: which.len(), more: false }));
}

#[test]
fn a_history_in_parts_is_the_history() {
    let mut story = Story::begins();
    story.worker(1);
    with_history(&mut story, "a", 20);
    let Ok(Reply::History(whole)) = story.ask(Command::History { id: id("a"), execution: None }) else {
        panic!("a history was expected")
    };
    for bytes in [1, 100, 1_000, usize::MAX] {
        let (mut parts, mut next) = (Vec::new(), Some(page("a", bytes)));
        while let Some(page) = next {
            let (events, more) = read(&mut story, page);
            assert!(!events.is_empty());
            parts.extend(events);
            next = more;
        }
        assert_eq!(parts, whole, "parts of {bytes} bytes");
    }
}

#[test]
fn what_is_appended_while_a_history_is_read_is_not_part_of_it_and_what_replaces_it_ends_the_reading() {
    let mut story = Story::begins();
    story.worker(1);
    with_history(&mut story, "a", 2);
    let (first, next) = read(&mut story, page("a", 1));
    assert_eq!(first.len(), 1);
    let (_, token) = story.activity();
    story.done(&token, "1").unwrap();
    let (_, _unanswered) = story.activity();
    let (_, token) = story.turn();
    story.answer(&token, vec![]).unwrap();
    let (rest, last) = read(&mut story, HistoryPage { bytes: usize::MAX, ..next.clone().unwrap() });
    assert_eq!((first.len() + rest.len(), last), (4, None), "OrchestratorStarted, its start, two activities");
    story.ask(Command::Raise { id: id("a"), name: "e".into(), input: None }).unwrap();
    let (_, token) = story.turn();
    story.answer(&token, vec![complete(3, Wire::Completed, Some("1"))]).unwrap();
    purge(&mut story, &["a"]);
    let refused = story.ask(Command::HistoryPage(next.unwrap())).unwrap_err();
    assert_eq!(refused, Refusal::HistoryReplaced { id: id("a") });
    assert_eq!(read(&mut story, page("a", 1)), (Vec::new(), None), "who begins to read finds nothing");
}

#[test]
fn all_who_wait_for_the_same_are_given_one_copy_of_it() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("x", "a");
    for waiter in 0..3 {
        let wait =
            Command::Wait { waiter: WaiterId(waiter), id: id("a"), until: Until::Ended, payloads: true };
        story.ask(wait).unwrap();
    }
    let (_, token) = story.turn();
    story.answer(&token, vec![complete(1, Wire::Completed, Some("1"))]).unwrap();
    let states: Vec<_> = story
        .answers
        .iter()
        .map(|effect| {
            let Effect::Answer { answer: Ok(state), .. } = effect else { panic!("{effect:?}") };
            state.clone()
        })
        .collect();
    assert_eq!(states.len(), 3);
    assert!(states.iter().all(|state| Arc::ptr_eq(state, &states[0])));
}

#[test]
fn what_the_state_takes_grows_with_it_is_the_same_after_a_rebuild_and_gone_with_it() {
    let mut story = Story::begins();
    story.worker(1);
    assert_eq!(story.engine.bytes(), 0);
    with_history(&mut story, "a", 3);
    let three = story.engine.bytes();
    with_history(&mut story, "b", 3);
    assert_eq!(story.engine.bytes(), 2 * three);
    for _ in 0..3 {
        let (_, token) = story.activity();
        story.done(&token, &"x".repeat(1_000)).unwrap();
    }
    assert!(story.engine.bytes() > 2 * three + 2_000);
    let signal = |input: &str| Command::SignalEntity {
        id: id("@counter@a"),
        operation: "add".into(),
        input: Some(input.into()),
        request_id: String::new(),
        at: None,
    };
    story.ask(signal(&"1".repeat(1_000))).unwrap();
    let again = Engine::rebuild(Config { seed: 8, ..Config::default() }, story.log.clone(), story.now);
    assert_eq!(again.bytes(), story.engine.bytes());
    purge(&mut story, &["@counter@a"]);
    for instance in ["a", "b"] {
        story.ask(Command::Terminate { id: id(instance), output: None, recursive: false }).unwrap();
    }
    while let Some(token) = next_turn(&mut story) {
        story.answer(&token, vec![complete(9, Wire::Terminated, None)]).unwrap();
    }
    purge(&mut story, &["a", "b"]);
    assert_eq!(story.engine.bytes(), 0);
}
