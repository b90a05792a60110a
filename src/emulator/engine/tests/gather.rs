//! Tells when a turn waits for more completions, and when it does not.

use super::fixture::{Story, action, call, complete, id};
use crate::emulator::engine::Config;
use crate::emulator::engine::command::{Command, Offer, StreamId, WorkKind};
use crate::model::Timestamp;
use crate::wire::{self, OrchestrationStatus as Wire, orchestrator_action::OrchestratorActionType as Action};
use pretty_assertions::assert_eq;
use std::collections::VecDeque;
use std::time::Duration;

const LONGEST: Duration = Duration::from_millis(250);
const TURN: Duration = Duration::from_millis(20);
const MILLISECOND: Duration = Duration::from_millis(1);

fn gathers() -> Story {
    let mut story = Story::begins();
    story.engine =
        crate::emulator::engine::Engine::new(Config { seed: 7, gather: LONGEST, ..Config::default() });
    story
}

/// The tokens of the activities that are handed out, in order.
fn activities(story: &mut Story) -> VecDeque<String> {
    std::iter::from_fn(|| story.items.pop_front()).map(|(_, item)| item.completion_token).collect()
}

/// An instance whose first turn scheduled so many activities and took [`TURN`].
fn waits_for(story: &mut Story, width: i32) -> VecDeque<String> {
    story.start("fan", "a");
    let (_, token) = story.turn();
    story.later(TURN);
    story.answer(&token, (1..=width).map(|task| call(task, "square")).collect()).unwrap();
    activities(story)
}

/// Completes an activity; whether a turn is handed out for it.
fn completes(story: &mut Story, tokens: &mut VecDeque<String>) -> bool {
    let token = tokens.pop_front().expect("an activity is under way");
    story.done(&token, "1").unwrap();
    story
        .items
        .iter()
        .any(|(_, item)| matches!(item.request, Some(wire::work_item::Request::OrchestratorRequest(_))))
}

/// After how long the turn that is gathered for is handed out, if nothing else comes.
fn released_after(story: &mut Story) -> Duration {
    let due = story.engine.next_due().expect("the turn is released by itself");
    let after = due.since(story.now);
    story.later(after.saturating_sub(Duration::from_micros(1)));
    assert_eq!(story.items.len(), 0, "a microsecond too early");
    story.later(Duration::from_micros(1));
    assert_eq!(story.items.len(), 1, "its moment has come");
    after
}

/// Answers the turn that is handed out, after [`TURN`]. How many events it brought.
fn answer(story: &mut Story, actions: Vec<wire::OrchestratorAction>) -> usize {
    let (turn, token) = story.turn();
    story.later(TURN);
    story.answer(&token, actions).unwrap();
    turn.new_events.len() - 1
}

/// Plays a fan-in: 200 activities complete every 60 ms, and a turn takes 2 us for every event that it replays. How many
/// turns there were.
fn turns_of_a_fan(story: &mut Story, width: usize) -> usize {
    const WAVE: usize = 200;
    story.start("fan", "a");
    let mut turns = 0;
    let mut tokens = VecDeque::new();
    // The turn that is with the worker: its token, when it will be answered, and how many completions it knows.
    let mut at_work: Option<(String, Timestamp, usize)> = None;
    let mut known = 0;
    loop {
        for (_, item) in std::mem::take(&mut story.items) {
            match item.request {
                Some(wire::work_item::Request::OrchestratorRequest(turn)) => {
                    turns += 1;
                    let events = turn.past_events.len() + turn.new_events.len();
                    known += if turns == 1 { 0 } else { turn.new_events.len() - 1 };
                    let takes = Duration::from_micros(2 * events.max(width) as u64);
                    at_work = Some((item.completion_token, story.now.plus(takes), known));
                }
                Some(wire::work_item::Request::ActivityRequest(_)) => tokens.push_back(item.completion_token),
                other => panic!("{other:?}"),
            }
        }
        if let Some((token, _, known)) = at_work.take_if(|(_, until, _)| *until <= story.now) {
            if turns == 1 {
                let width = i32::try_from(width).unwrap();
                story.answer(&token, (1..=width).map(|task| call(task, "square")).collect()).unwrap();
            } else if known == width {
                story.answer(&token, vec![complete(0, Wire::Completed, None)]).unwrap();
                return turns;
            } else {
                story.answer(&token, vec![]).unwrap();
            }
            continue;
        }
        if story.now.as_micros() % 60_000 == 0 {
            for token in tokens.drain(..WAVE.min(tokens.len())) {
                let done = wire::ActivityResponse { completion_token: token, ..Default::default() };
                story.engine.handle(Command::CompleteActivity(Box::new(done)), story.now).unwrap();
            }
            story.settle();
        }
        let wave = Timestamp::from_micros((story.now.as_micros() / 60_000 + 1) * 60_000);
        let next = [Some(wave), at_work.as_ref().map(|(_, until, _)| *until), story.engine.next_due()];
        let next = next.into_iter().flatten().min().unwrap();
        story.later(next.since(story.now));
    }
}

#[test]
fn the_turns_of_a_fan_in_grow_with_the_logarithm_of_its_width() {
    let turns = [1_000, 10_000].map(|width| {
        let mut story = gathers();
        story.worker(1);
        turns_of_a_fan(&mut story, width)
    });
    assert!(turns.iter().all(|turns| *turns <= 20), "{turns:?}");
}

#[test]
fn a_fan_in_without_gathering_takes_a_turn_for_every_wave() {
    let mut story = Story::begins();
    story.worker(1);
    assert!(turns_of_a_fan(&mut story, 10_000) > 40);
}

#[test]
fn a_completion_waits_as_long_as_the_last_turn_took_and_longer_where_turns_came_to_nothing() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert!(!completes(&mut story, &mut tokens), "others are to come");
        story.later(MILLISECOND);
        assert!(!completes(&mut story, &mut tokens));
        waits.push(released_after(&mut story).as_millis() + 1);
        assert_eq!(answer(&mut story, vec![]), 2);
    }
    assert_eq!(waits, [20, 40, 80, 160, 160, 160]);
}

#[test]
fn a_completion_waits_for_a_bounded_time_however_long_turns_take() {
    let mut story = gathers();
    story.worker(1);
    story.start("fan", "a");
    let (_, token) = story.turn();
    // The worker stood in a debugger.
    story.later(Duration::from_secs(60));
    story.answer(&token, (1..=1_000).map(|task| call(task, "square")).collect()).unwrap();
    let mut tokens = activities(&mut story);
    assert!(!completes(&mut story, &mut tokens));
    let mut waits = Vec::new();
    loop {
        waits.push(released_after(&mut story).as_millis());
        let (_, token) = story.turn();
        if waits.len() == 5 {
            break;
        }
        story.later(Duration::from_secs(60));
        story.answer(&token, vec![]).unwrap();
        assert!(!completes(&mut story, &mut tokens));
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 2_000]);
}

#[test]
fn half_as_many_completions_as_there_is_history_release_the_turn() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    // The history has two events and the thousand that it scheduled.
    for _ in 0..500 {
        assert!(!completes(&mut story, &mut tokens));
    }
    assert!(completes(&mut story, &mut tokens));
    assert_eq!(answer(&mut story, vec![]), 501);
}

#[test]
fn the_last_completion_releases_the_turn() {
    let mut story = gathers();
    story.worker(1);
    // Work of another instance is under way all the time.
    story.start("other", "b");
    story.turn();
    let mut tokens = waits_for(&mut story, 1_000);
    for _ in 0..501 {
        completes(&mut story, &mut tokens);
    }
    assert_eq!(answer(&mut story, vec![]), 501);
    while tokens.len() > 1 {
        assert!(!completes(&mut story, &mut tokens));
    }
    assert!(completes(&mut story, &mut tokens));
    assert_eq!(answer(&mut story, vec![complete(0, Wire::Completed, None)]), 499);
    assert_eq!(story.state("a").orchestration_status(), Wire::Completed);
    assert_eq!(story.engine.next_due(), None);
}

/// An instance with a long history behind it, and a dear last turn, that has just scheduled so many activities.
fn with_a_past(story: &mut Story, width: i32) -> VecDeque<String> {
    let mut first = waits_for(story, 1_000);
    while !first.is_empty() {
        if completes(story, &mut first) && !first.is_empty() {
            answer(story, vec![]);
        }
    }
    let (_, token) = story.turn();
    story.later(TURN);
    story.answer(&token, (2_001..=2_000 + width).map(|task| call(task, "square")).collect()).unwrap();
    activities(story)
}

#[test]
fn a_race_of_few_is_told_at_once_however_long_the_history() {
    for width in [1, 2, 7] {
        let mut story = gathers();
        story.worker(1);
        let mut tokens = with_a_past(&mut story, width);
        while !tokens.is_empty() {
            assert!(completes(&mut story, &mut tokens), "one of {width}");
            answer(&mut story, vec![]);
        }
    }
}

#[test]
fn an_orchestrator_that_goes_on_after_each_completion_hears_of_each_at_once() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 200);
    assert!(!completes(&mut story, &mut tokens), "nothing is known of it yet");
    released_after(&mut story);
    for task in 1_001..1_020 {
        assert_eq!(answer(&mut story, vec![call(task, "square")]), 1);
        tokens.extend(activities(&mut story));
        assert!(completes(&mut story, &mut tokens), "it keeps a window of activities under way");
    }
    // The first that it makes nothing of is the last that it hears of at once.
    answer(&mut story, vec![]);
    assert!(!completes(&mut story, &mut tokens));
}

#[test]
fn a_custom_status_is_a_reaction_too() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 200);
    completes(&mut story, &mut tokens);
    released_after(&mut story);
    let (_, token) = story.turn();
    story.later(TURN);
    story
        .ask(Command::CompleteTurn(Box::new(wire::OrchestratorResponse {
            completion_token: token,
            custom_status: Some("\"1 of 200\"".into()),
            ..Default::default()
        })))
        .unwrap();
    assert!(completes(&mut story, &mut tokens));
}

#[test]
fn whatever_else_arrives_releases_the_turn_at_once_with_what_was_gathered() {
    type Arrives = fn(&mut Story);
    let arrivals: [(&str, Arrives); 6] = [
        ("an event", |story| {
            story.ask(Command::Raise { id: id("a"), name: "e".into(), input: None }).unwrap();
        }),
        ("a suspension", |story| {
            story.ask(Command::Suspend { id: id("a"), reason: None }).unwrap();
        }),
        ("a timer", |story| story.later(Duration::from_millis(8))),
        ("a child", |story| {
            story.ask(Command::Terminate { id: id("child"), output: None, recursive: false }).unwrap();
        }),
        ("a termination", |story| {
            story.ask(Command::Terminate { id: id("a"), output: None, recursive: false }).unwrap();
        }),
        ("the end of the worker", |story| {
            story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
            story.worker_with(2, Offer { activities: Some(0), ..Offer::default() });
        }),
    ];
    for (what, arrives) in arrivals {
        let mut story = gathers();
        let filters = wire::WorkItemFilters {
            orchestrations: vec![wire::OrchestrationFilter { name: "fan".into(), versions: vec![] }],
            activities: vec![wire::ActivityFilter { name: "square".into(), versions: vec![] }],
            entities: vec![],
        };
        story.worker_with(1, Offer { filters: Some(filters), ..Offer::default() });
        story.start("fan", "a");
        let (_, token) = story.turn();
        story.later(TURN);
        let fire_at = Some(story.now.plus(Duration::from_millis(10)).to_wire());
        let timer = action(501, Action::CreateTimer(wire::CreateTimerAction { fire_at }));
        let child = Action::CreateSubOrchestration(wire::CreateSubOrchestrationAction {
            instance_id: "child".into(),
            name: "child".into(),
            ..Default::default()
        });
        let mut actions: Vec<_> = (1..=500).map(|task| call(task, "square")).collect();
        actions.extend([timer, action(502, child)]);
        story.answer(&token, actions).unwrap();
        let mut tokens = activities(&mut story);
        story.later(MILLISECOND);
        assert!(!completes(&mut story, &mut tokens), "{what}");
        story.later(MILLISECOND);
        assert!(!completes(&mut story, &mut tokens), "{what}");
        arrives(&mut story);
        let turn = story.items.iter().find_map(|(_, item)| match &item.request {
            Some(wire::work_item::Request::OrchestratorRequest(turn)) if turn.instance_id == "a" => {
                Some(turn)
            }
            _ => None,
        });
        assert!(turn.is_some(), "{what} releases the turn");
    }
}

#[test]
fn what_arrived_while_a_turn_was_out_is_told_at_once_if_an_event_is_among_it() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    completes(&mut story, &mut tokens);
    released_after(&mut story);
    let (_, token) = story.turn();
    completes(&mut story, &mut tokens);
    story.ask(Command::Raise { id: id("a"), name: "e".into(), input: None }).unwrap();
    completes(&mut story, &mut tokens);
    story.later(TURN);
    story.answer(&token, vec![]).unwrap();
    assert_eq!(answer(&mut story, vec![]), 3);
}

#[test]
fn what_a_worker_has_left_of_a_turn_is_told_at_once() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    for _ in 0..3 {
        completes(&mut story, &mut tokens);
    }
    released_after(&mut story);
    for _ in 0..3 {
        let (_, token) = story.turn();
        story.later(TURN);
        story
            .ask(Command::CompleteTurn(Box::new(wire::OrchestratorResponse {
                completion_token: token,
                num_events_processed: Some(1),
                ..Default::default()
            })))
            .unwrap();
    }
    assert_eq!(story.engine.next_due(), None);
}

#[test]
fn nothing_is_gathered_for_a_short_history_a_quick_turn_or_a_worker_that_keeps_orchestrations() {
    let mut short = gathers();
    short.worker(1);
    let mut tokens = waits_for(&mut short, 100);
    assert!(completes(&mut short, &mut tokens));

    let mut quick = gathers();
    quick.worker(1);
    quick.start("fan", "a");
    let (_, token) = quick.turn();
    quick.later(MILLISECOND);
    quick.answer(&token, (1..=1_000).map(|task| call(task, "square")).collect()).unwrap();
    let mut tokens = activities(&mut quick);
    assert!(completes(&mut quick, &mut tokens));

    let mut sticky = gathers();
    sticky.worker_with(1, Offer { sticky: true, ..Offer::default() });
    let mut tokens = waits_for(&mut sticky, 1_000);
    assert!(completes(&mut sticky, &mut tokens));
}

#[test]
fn nothing_is_gathered_while_no_work_is_with_any_worker() {
    let mut story = gathers();
    story.worker_with(1, Offer { activities: Some(2), ..Offer::default() });
    let mut tokens = waits_for(&mut story, 1_000);
    assert!(!completes(&mut story, &mut tokens));
    // The only worker takes no more activities: no completion can come.
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    story.items.clear();
    story.worker_with(2, Offer { activities: Some(0), ..Offer::default() });
    assert_eq!(answer(&mut story, vec![]), 1);
}

#[test]
fn what_was_gathered_is_told_once_the_last_work_that_was_out_is_given_back() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    assert!(!completes(&mut story, &mut tokens));
    for token in tokens {
        assert!(story.items.is_empty(), "a completion may still come");
        story.ask(Command::Abandon { kind: WorkKind::Activity, token }).unwrap();
    }
    // What was given back rests, and no time has passed.
    assert_eq!(answer(&mut story, vec![]), 1);
}

#[test]
fn an_instance_that_ends_or_is_replaced_while_it_gathers_leaves_nothing_behind() {
    let mut story = gathers();
    story.worker(1);
    let mut tokens = waits_for(&mut story, 1_000);
    assert!(!completes(&mut story, &mut tokens));
    story.ask(Command::Terminate { id: id("a"), output: None, recursive: false }).unwrap();
    let (_, token) = story.turn();
    story.answer(&token, vec![]).unwrap();
    assert_eq!(story.state("a").orchestration_status(), Wire::Terminated);
    assert_eq!(story.engine.next_due(), None);
    story.items.clear();
    story.start("fan", "a");
    assert_eq!(answer(&mut story, vec![complete(0, Wire::Completed, None)]), 1);
}
