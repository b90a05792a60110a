//! Tells how instances are ended and suspended without a worker.

use super::fixture::{Story, action, call, id};
use crate::emulator::engine::command::{Command, Offer, PurgeTarget, Reply, StreamId};
use crate::emulator::engine::{Config, Engine};
use crate::model::{InstanceId, Kind};
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::{self, OrchestrationStatus as Wire, work_item::Request};
use pretty_assertions::assert_eq;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// An instance that has begun, and whose worker has left.
fn left_alone() -> Story {
    let mut story = Story::with(Config { unattended: Some(5 * SECOND), ..Config::default() });
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    story.items.clear();
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    story
}

fn terminate(recursive: bool) -> Command {
    Command::Terminate { id: id("a"), output: Some("\"stop\"".into()), recursive }
}

fn purge(instance: &str) -> Command {
    Command::Purge { target: PurgeTarget::One(id(instance)), recursive: false }
}

#[test]
fn an_instance_without_a_worker_is_terminated_after_a_while_and_can_be_purged() {
    let mut story = left_alone();
    story.ask(terminate(false)).unwrap();
    assert_eq!(story.engine.next_due(), Some(story.now.plus(5 * SECOND)));
    story.later(Duration::from_micros(4_999_999));
    assert_eq!(story.state("a").orchestration_status(), Wire::Running);
    story.later(Duration::from_micros(1));
    let state = story.state("a");
    assert_eq!((state.orchestration_status(), state.output.as_deref()), (Wire::Terminated, Some("\"stop\"")));
    let kinds: Vec<_> = story.kinds("a").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds[kinds.len() - 3..],
        [Kind::OrchestratorStarted, Kind::ExecutionTerminated, Kind::ExecutionCompleted]
    );
    assert_eq!(story.ask(purge("a")), Ok(Reply::Purged { deleted: 1, more: false }));
    assert_eq!(story.engine.next_due(), None);
}

#[test]
fn a_worker_that_comes_in_time_is_told() {
    let mut story = left_alone();
    story.ask(terminate(false)).unwrap();
    story.later(4 * SECOND);
    // One that takes something else is none.
    let nothing =
        wire::WorkItemFilters { activities: vec![wire::ActivityFilter::default()], ..Default::default() };
    story.worker_with(2, Offer { filters: Some(nothing), ..Offer::default() });
    story.worker(3);
    story.later(60 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Running, "the worker decides");
    // It leaves without having said anything.
    story.ask(Command::CloseStream { stream: StreamId(3) }).unwrap();
    story.later(10 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Terminated);
}

#[test]
fn an_instance_without_a_worker_is_suspended_and_resumed_and_a_worker_hears_of_both() {
    let mut story = left_alone();
    let suspend = Command::Suspend { id: id("a"), reason: Some("pause".into()) };
    story.ask(suspend.clone()).unwrap();
    story.later(5 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Suspended);
    story.ask(Command::Resume { id: id("a"), reason: None }).unwrap();
    story.later(5 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Running);
    story.ask(suspend).unwrap();
    story.later(5 * SECOND);
    let config = Config { seed: 8, unattended: Some(5 * SECOND), ..Config::default() };
    story.engine = Engine::rebuild(config, story.log.clone(), story.now);
    assert_eq!(story.state("a").orchestration_status(), Wire::Suspended, "and after a restart");
    story.worker(2);
    story.items.retain(|(_, item)| matches!(item.request, Some(Request::OrchestratorRequest(_))));
    for news in [vec![Kind::ExecutionSuspended, Kind::ExecutionResumed], vec![Kind::ExecutionSuspended]] {
        let (turn, token) = story.turn();
        let kind = |event: &wire::HistoryEvent| Kind::of(event.event_type.as_ref().unwrap());
        assert_eq!(turn.new_events.iter().skip(1).map(kind).collect::<Vec<_>>(), news);
        story.answer(&token, vec![]).unwrap();
    }
    assert_eq!(story.state("a").orchestration_status(), Wire::Suspended);
}

#[test]
fn what_was_told_before_a_restart_takes_effect_after_it() {
    let mut story = left_alone();
    story.ask(terminate(false)).unwrap();
    let config = Config { seed: 8, unattended: Some(5 * SECOND), ..Config::default() };
    story.engine = Engine::rebuild(config, story.log.clone(), story.now);
    story.later(5 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Terminated);
}

fn force(ids: &[&str], recursive: bool) -> Command {
    let ids = ids.iter().map(|id| InstanceId::unchecked(*id)).collect();
    Command::ForceTerminate { ids, output: Some("\"now\"".into()), recursive }
}

#[test]
fn a_forced_end_is_there_at_once_whatever_the_worker_does_and_its_answer_is_dropped() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, activity) = story.activity();
    story.ask(Command::Raise { id: id("a"), name: "e".into(), input: None }).unwrap();
    let (_, turn) = story.turn();
    let told = story.ask(force(&["a", "nobody", "@counter@a"], false));
    assert_eq!(told, Ok(Reply::Unterminated(vec![id("nobody"), id("@counter@a")])));
    let state = story.state("a");
    assert_eq!((state.orchestration_status(), state.output.as_deref()), (Wire::Terminated, Some("\"now\"")));
    let before = story.history("a");
    assert_eq!(story.answer(&turn, vec![call(2, "square")]), Ok(Reply::Done));
    assert_eq!(story.done(&activity, "1"), Ok(Reply::Done));
    assert_eq!(story.history("a"), before);
    assert!(story.items.is_empty());
    assert_eq!(story.ask(force(&["a"], false)), Ok(Reply::Unterminated(vec![id("a")])));
    assert_eq!(story.ask(purge("a")), Ok(Reply::Purged { deleted: 1, more: false }));
}

#[test]
fn a_forced_end_goes_on_with_the_children_where_that_is_asked_for() {
    for recursive in [false, true] {
        let mut story = Story::begins();
        story.worker(1);
        story.start("one", "a");
        let (_, token) = story.turn();
        let child = wire::CreateSubOrchestrationAction {
            name: "child".into(),
            instance_id: "b".into(),
            ..Default::default()
        };
        story.answer(&token, vec![action(1, Action::CreateSubOrchestration(child))]).unwrap();
        story.ask(force(&["a"], recursive)).unwrap();
        let child = story.state("b").orchestration_status();
        assert_eq!(child, if recursive { Wire::Terminated } else { Wire::Pending });
    }
}

#[test]
fn a_rewind_that_no_worker_answers_can_be_ended_too() {
    let mut story = left_alone();
    story.worker(2);
    story.items.clear();
    story.ask(Command::Raise { id: id("a"), name: "e".into(), input: None }).unwrap();
    let (_, token) = story.turn();
    story.answer(&token, vec![super::fixture::complete(2, Wire::Failed, None)]).unwrap();
    story.ask(Command::CloseStream { stream: StreamId(2) }).unwrap();
    story.ask(Command::Rewind { id: id("a"), reason: None }).unwrap();
    story.ask(terminate(false)).unwrap();
    story.later(5 * SECOND);
    assert_eq!(story.state("a").orchestration_status(), Wire::Terminated);
    story.worker(3);
    assert!(story.items.is_empty(), "nothing is left to rewind");
}
