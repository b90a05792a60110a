//! Tells what the engine says for the log, and what that costs it.

use super::fixture::{Story, call};
use crate::emulator::engine::notice::{Listening, Notice, Warning};
use pretty_assertions::assert_eq;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_secs(2);

#[test]
fn where_nothing_is_listened_to_nothing_is_said_and_nothing_wakes_the_hub() {
    let mut story = Story::begins();
    story.start("nobody_takes_it", "a");
    assert_eq!(story.engine.next_due(), None);
    story.worker(1);
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, token) = story.activity();
    story.done(&token, "1").unwrap();
    assert_eq!(story.engine.take_notices(), []);
}

#[test]
fn work_that_no_worker_takes_wakes_the_hub_until_that_is_told_and_no_further() {
    let mut story = Story::begins();
    story.engine.listen(Listening::Warnings);
    story.start("nobody_takes_it", "a");
    let due = story.engine.next_due().expect("it is to be looked at again");
    assert_eq!((due.since(story.now), story.engine.take_notices()), (A_WHILE, vec![]));
    story.later(A_WHILE);
    let told = story.engine.take_notices();
    assert!(
        matches!(&told[..], [Notice::Warning(Warning::Unclaimed { name, waits: 1, .. })] if name == "nobody_takes_it"),
        "{told:?}"
    );
    assert_eq!(story.engine.next_due(), None);
    story.later(A_WHILE);
    assert_eq!(story.engine.take_notices(), [], "it is told once");
}

#[test]
fn when_warnings_are_listened_to_no_more_what_waits_does_not_wake_the_hub() {
    let mut story = Story::begins();
    story.engine.listen(Listening::Warnings);
    story.start("nobody_takes_it", "a");
    story.engine.listen(Listening::Off);
    assert_eq!(story.engine.next_due(), None);
}
