//! Tells how turns go: what they are given, what they leave behind.

use super::fixture::{Story, action, call, complete, id};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, StreamId};
use crate::emulator::engine::{Config, command::Until, command::WaiterId};
use crate::model::{Kind, Timestamp};
use crate::wire::{self, OrchestrationStatus as Wire, orchestrator_action::OrchestratorActionType as Action};
use pretty_assertions::assert_eq;
use std::time::Duration;

#[test]
fn an_activity_a_timer_and_a_child_leave_the_twelve_events_of_the_protocol() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("parent", "a");
    let (turn, token) = story.turn();
    assert_eq!((turn.past_events.len(), turn.new_events.len()), (0, 2));
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (activity, token) = story.activity();
    assert_eq!((activity.name.as_str(), activity.task_id), ("square", 1));
    story.done(&token, "1").unwrap();
    let (turn, token) = story.turn();
    assert_eq!((turn.past_events.len(), turn.new_events.len()), (3, 2));
    let fire_at = story.now.plus(Duration::from_secs(60)).to_wire();
    story
        .answer(
            &token,
            vec![action(2, Action::CreateTimer(wire::CreateTimerAction { fire_at: Some(fire_at) }))],
        )
        .unwrap();
    assert!(story.items.is_empty());
    story.later(Duration::from_secs(60));
    let (_, token) = story.turn();
    let child = wire::CreateSubOrchestrationAction { name: "child".into(), ..Default::default() };
    story.answer(&token, vec![action(3, Action::CreateSubOrchestration(child))]).unwrap();
    let (turn, token) = story.turn();
    assert_eq!(turn.instance_id, "a:0003");
    story.answer(&token, vec![complete(1, Wire::Completed, Some("2"))]).unwrap();
    let (_, token) = story.turn();
    story.answer(&token, vec![complete(4, Wire::Completed, Some("3"))]).unwrap();
    assert_eq!(
        story.kinds("a"),
        vec![
            (Kind::OrchestratorStarted, -1),
            (Kind::ExecutionStarted, 0),
            (Kind::TaskScheduled, 1),
            (Kind::OrchestratorStarted, -1),
            (Kind::TaskCompleted, -1),
            (Kind::TimerCreated, 2),
            (Kind::OrchestratorStarted, -1),
            (Kind::TimerFired, -1),
            (Kind::SubOrchestrationInstanceCreated, 3),
            (Kind::OrchestratorStarted, -1),
            (Kind::SubOrchestrationInstanceCompleted, -1),
            (Kind::ExecutionCompleted, 4),
        ]
    );
    assert_eq!(story.state("a").orchestration_status(), Wire::Completed);
}

#[test]
fn what_a_lost_stream_held_goes_to_another_and_the_old_token_is_unknown() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (first, old) = story.turn();
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    story.worker(2);
    let (second, new) = story.turn();
    assert_eq!(first.execution_id, second.execution_id);
    assert!(matches!(story.answer(&old, vec![]), Err(Refusal::NoSuchWorkItem { .. })));
    story.answer(&new, vec![complete(1, Wire::Completed, None)]).unwrap();
    assert_eq!(story.answer(&new, vec![]), Ok(Reply::Done));
    assert_eq!(story.kinds("a").len(), 3);
}

#[test]
fn an_answer_of_a_lost_stream_counts_while_nobody_else_has_the_work() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    story.answer(&token, vec![complete(1, Wire::Completed, None)]).unwrap();
    assert_eq!(story.state("a").orchestration_status(), Wire::Completed);
    story.worker(2);
    assert!(story.items.is_empty());
}

#[test]
fn a_terminate_of_the_same_turn_wins_over_continue_as_new() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    let output = Some("\"stop\"".to_owned());
    story.ask(Command::Terminate { id: id("a"), output, recursive: false }).unwrap();
    story.answer(&token, vec![complete(1, Wire::ContinuedAsNew, Some("2"))]).unwrap();
    let state = story.state("a");
    assert_eq!((state.orchestration_status(), state.output.as_deref()), (Wire::Terminated, Some("\"stop\"")));
}

#[test]
fn a_thousand_generations_keep_their_instance_and_their_events() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("eternal", "a");
    let waiting = Command::Wait { waiter: WaiterId(1), id: id("a"), until: Until::Ended, payloads: true };
    assert_eq!(story.ask(waiting), Ok(Reply::Waiting));
    for generation in 0..1_000 {
        let (turn, token) = story.turn();
        assert!(turn.past_events.is_empty(), "generation {generation} begins with a past");
        story.answer(&token, vec![complete(1, Wire::ContinuedAsNew, Some("2"))]).unwrap();
        story.later(Duration::from_millis(1));
    }
    let (_, token) = story.turn();
    story.answer(&token, vec![complete(1, Wire::Completed, Some("end"))]).unwrap();
    assert_eq!(story.answers.len(), 1);
    assert_eq!(story.kinds("a").len(), 3);
}

#[test]
fn an_instance_that_takes_anothers_place_begins_a_millisecond_later_than_that_ones_last_turn() {
    let mut story = Story::begins();
    story.worker(1);
    let mut before = None;
    for _ in 0..3 {
        story.start("one", "a");
        let (turn, token) = story.turn();
        let at = turn.new_events[0].timestamp.as_ref().map(Timestamp::from_wire);
        let at = at.expect("a turn has a time").as_micros();
        assert!(
            before.is_none_or(|before| at >= before + 1_000),
            "its GUIDs would be those of its predecessor"
        );
        before = Some(at);
        story.answer(&token, vec![complete(1, Wire::Completed, None)]).unwrap();
        // No further ahead than that, whatever the rate: the next one has to wait for the hub's clock.
        story.later(Duration::from_millis(1));
    }
}

#[test]
fn a_worker_that_keeps_orchestrations_is_sent_what_is_new_and_gets_the_rest_when_it_asks() {
    let mut story = Story::begins();
    story.worker_with(1, Offer { sticky: true, ..Offer::default() });
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, token) = story.activity();
    story.done(&token, "1").unwrap();
    let (turn, token) = story.turn();
    assert_eq!((turn.past_events.len(), turn.new_events.len()), (0, 2));
    assert!(turn.properties.contains_key("taskhub.past"));
    let response = wire::OrchestratorResponse {
        completion_token: token,
        requires_history: true,
        ..wire::OrchestratorResponse::default()
    };
    story.ask(Command::CompleteTurn(Box::new(response))).unwrap();
    let (turn, _) = story.turn();
    assert_eq!((turn.past_events.len(), turn.new_events.len()), (3, 2));
}

#[test]
fn what_is_scheduled_and_not_done_is_ready_again_after_a_rebuild() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square"), call(2, "square")]).unwrap();
    let (_, token) = story.activity();
    story.done(&token, "1").unwrap();
    let config = Config { seed: 8, ..Config::default() };
    story.engine = Engine::rebuild(config, story.log.clone(), story.now);
    story.items.clear();
    story.worker(2);
    let mut names: Vec<_> = story.items.iter().map(|(_, item)| item.request.is_some()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 2, "the turn that has a completion, and the activity that has none");
}

#[test]
fn sixty_four_events_drained_one_by_one_take_sixty_four_turns_in_order() {
    let mut story = Story::begins();
    story.start("one", "a");
    for n in 0..64 {
        story.ask(Command::Raise { id: id("a"), name: format!("e{n}"), input: None }).unwrap();
    }
    story.worker(1);
    let mut turns = 0;
    while !story.items.is_empty() {
        let (_, token) = story.turn();
        turns += 1;
        let actions = if turns == 65 { vec![complete(1, Wire::Completed, None)] } else { vec![] };
        story
            .ask(Command::CompleteTurn(Box::new(wire::OrchestratorResponse {
                completion_token: token,
                actions,
                num_events_processed: Some(1),
                ..wire::OrchestratorResponse::default()
            })))
            .unwrap();
    }
    assert_eq!(turns, 65);
    let raised: Vec<_> = story
        .history("a")
        .into_iter()
        .filter_map(|event| match event.event_type {
            Some(wire::history_event::EventType::EventRaised(raised)) => Some(raised.name),
            _ => None,
        })
        .collect();
    assert_eq!(raised, (0..64).map(|n| format!("e{n}")).collect::<Vec<_>>());
}
