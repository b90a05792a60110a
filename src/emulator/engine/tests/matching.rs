//! Tells that a command does not cost what waits in vain, and that nothing starves for it.

use super::fixture::{Story, action, call, complete, id};
use crate::emulator::engine::command::{Command, Offer, PurgeTarget, StreamId, WorkKind};
use crate::wire::work_item::Request;
use crate::wire::{self, OrchestrationStatus as Wire, orchestrator_action::OrchestratorActionType as Action};
use pretty_assertions::assert_eq;

/// How many names wait that no worker takes.
const CROWD: usize = 15_000;

fn takes(orchestrations: &[&str], activities: &[&str]) -> Offer {
    let orchestrations = orchestrations
        .iter()
        .map(|name| wire::OrchestrationFilter { name: (*name).into(), versions: vec![] })
        .collect();
    let activities = activities
        .iter()
        .map(|name| wire::ActivityFilter { name: (*name).into(), versions: vec![] })
        .collect();
    let filters = wire::WorkItemFilters { orchestrations, activities, entities: vec![] };
    Offer { filters: Some(filters), ..Offer::default() }
}

/// A hub in which instances of so many names wait.
fn crowded(names: usize) -> Story {
    let mut story = Story::begins();
    for name in 0..names {
        story.start(&format!("name{name}"), &format!("i{name}"));
    }
    story
}

/// How many classes were looked at while `what` was done.
fn visits(story: &mut Story, what: impl FnOnce(&mut Story)) -> usize {
    let before = story.engine.streams.matching.visits;
    what(story);
    story.engine.streams.matching.visits - before
}

/// Runs an instance of one activity from start to end.
fn run(story: &mut Story, name: &str, instance: &str) {
    story.start(name, instance);
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, token) = story.activity();
    story.done(&token, "1").unwrap();
    let (_, token) = story.turn();
    story.answer(&token, vec![complete(2, Wire::Completed, None)]).unwrap();
}

fn end(story: &mut Story, instance: &str) {
    story.ask(Command::Terminate { id: id(instance), output: None, recursive: false }).unwrap();
}

/// Ends an instance that has had a turn: its worker hears of it.
fn end_begun(story: &mut Story, instance: &str) {
    end(story, instance);
    let (turn, token) = story.turn();
    assert_eq!(turn.instance_id, instance);
    story.answer(&token, vec![]).unwrap();
}

fn purge(story: &mut Story, instance: &str) {
    story.ask(Command::Purge { target: PurgeTarget::One(id(instance)), recursive: false }).unwrap();
}

/// The instance whose turn was handed out.
fn instance_of(item: &wire::WorkItem) -> &str {
    match &item.request {
        Some(Request::OrchestratorRequest(turn)) => &turn.instance_id,
        other => panic!("a turn was expected, not {other:?}"),
    }
}

#[test]
fn a_command_looks_at_no_name_that_waits_in_vain() {
    let mut story = crowded(CROWD);
    story.worker_with(1, takes(&["one"], &["square"]));
    let reading = |story: &mut Story| drop(story.state("i7"));
    assert_eq!(visits(&mut story, reading), 0);
    // Two turns and an activity: one look at each.
    assert_eq!(visits(&mut story, |story| run(story, "one", "a")), 3);
    // Another of the names that wait, and another piece of one of them.
    assert_eq!(visits(&mut story, |story| story.start("other", "b")), 0);
    assert_eq!(visits(&mut story, |story| story.start("name0", "c")), 0);
    // A worker that takes none of them, and its end.
    let joins = |story: &mut Story| story.worker_with(2, takes(&["nothing"], &[]));
    assert_eq!(visits(&mut story, joins), 0);
    let leaves = |story: &mut Story| drop(story.ask(Command::CloseStream { stream: StreamId(2) }));
    assert_eq!(visits(&mut story, leaves), 0);
    // A worker for two of the names gets these.
    let joins = |story: &mut Story| story.worker_with(3, takes(&["name0", "name9"], &[]));
    assert_eq!(visits(&mut story, joins), 3);
    let given: Vec<_> = story.items.iter().map(|(_, item)| instance_of(item)).collect();
    assert_eq!(given, ["i0", "i9", "c"]);
}

#[test]
fn a_command_looks_at_no_name_whose_workers_are_busy() {
    let mut story = Story::begins();
    story.worker_with(1, Offer { turns: Some(1), ..Offer::default() });
    story.start("one", "a");
    let (_, token) = story.turn();
    let visited = visits(&mut story, |story| {
        for name in 0..100 {
            story.start(&format!("name{name}"), &format!("i{name}"));
        }
    });
    assert_eq!(visited, 0, "there is no room");
    // There is room for one: one is looked at.
    let answers = |story: &mut Story| drop(story.answer(&token, vec![complete(1, Wire::Completed, None)]));
    assert_eq!(visits(&mut story, answers), 1);
    assert_eq!(story.items.len(), 1);
}

#[test]
fn names_are_forgotten_when_their_instances_and_activities_are_gone() {
    let mut story = Story::begins();
    // It does not answer all that it is handed.
    let any = Some(usize::MAX);
    story.worker_with(1, Offer { turns: any, activities: any, batches: any, ..Offer::default() });
    for name in 0..3_000 {
        let (name, instance) = (format!("name{name}"), format!("i{name}"));
        story.start(&name, &instance);
        let (_, token) = story.turn();
        let (done, not_done) = (format!("of {name}"), format!("never done {name}"));
        story.answer(&token, vec![call(1, &done), call(2, &not_done)]).unwrap();
        let (_, token) = story.activity();
        story.done(&token, "1").unwrap();
        story.activity();
        let (_, token) = story.turn();
        // One that takes the place of another under its number.
        story.answer(&token, vec![call(2, &format!("again {name}"))]).unwrap();
        story.items.clear();
        end_begun(&mut story, &instance);
        if story.now.as_micros() % 2 == 0 {
            purge(&mut story, &instance);
        } else {
            // Another execution of the same id takes the place of the first, under another name.
            story.start("again", &instance);
            let (_, token) = story.turn();
            story.answer(&token, vec![complete(1, Wire::Completed, None)]).unwrap();
        }
        story.later(std::time::Duration::from_micros(1));
        let entity = Command::SignalEntity {
            id: id(&format!("@e{name}@k")),
            operation: "add".into(),
            input: None,
            request_id: String::new(),
            at: None,
        };
        story.ask(entity).unwrap();
        story.items.clear();
    }
    let known = story.engine.work.classes();
    assert!(known < 300, "{known} names are remembered");
    assert_eq!(story.engine.work.entries(), 0);
}

#[test]
fn versions_are_forgotten_when_an_instance_continues_in_another() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("eternal", "a");
    for generation in 0..1_000 {
        let (_, token) = story.turn();
        let next = Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
            orchestration_status: Wire::ContinuedAsNew.into(),
            new_version: Some(generation.to_string()),
            ..Default::default()
        });
        let called = call(1, &format!("of {generation}"));
        story.answer(&token, vec![called, action(2, next)]).unwrap();
        story.items.retain(|(_, item)| matches!(item.request, Some(Request::OrchestratorRequest(_))));
        story.later(std::time::Duration::from_millis(1));
    }
    let known = story.engine.work.classes();
    assert!(known < 300, "{known} classes are remembered");
}

#[test]
fn names_stay_known_as_long_as_an_instance_has_them() {
    let mut story = Story::begins();
    for name in 0..1_000 {
        story.start(&format!("name{name}"), &format!("i{name}"));
    }
    for instance in 0..1_000 {
        end(&mut story, &format!("i{instance}"));
    }
    story.start("late", "z");
    story.worker(1);
    assert_eq!(story.items.len(), 1);
    assert!(story.engine.work.classes() >= 1_000);
}

#[test]
fn what_is_out_of_date_leaves_its_queue_though_the_head_waits() {
    let mut story = Story::begins();
    story.start("slow", "head");
    for round in 0..1_000 {
        story.start("slow", "b");
        end(&mut story, "b");
        if round % 2 == 0 {
            purge(&mut story, "b");
        }
        let signal = Command::SignalEntity {
            id: id("@counter@c"),
            operation: "add".into(),
            input: None,
            request_id: String::new(),
            at: None,
        };
        story.ask(signal).unwrap();
        let target = PurgeTarget::One(id("@counter@c"));
        story.ask(Command::Purge { target, recursive: false }).unwrap();
        let entries = story.engine.work.entries();
        assert!(entries < 6, "{entries} entries wait in round {round}, of which one stands");
    }
    story.worker(1);
    let given: Vec<_> = story.items.iter().map(|(_, item)| instance_of(item)).collect();
    assert_eq!(given, ["head"]);
}

#[test]
fn activities_of_an_instance_that_ended_leave_their_queue() {
    let mut story = Story::begins();
    story.worker_with(1, takes(&["one"], &[]));
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, (1..=1_000).map(|task| call(task, "square")).collect()).unwrap();
    story.start("one", "b");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    assert_eq!(story.engine.work.entries(), 1_001);
    end_begun(&mut story, "a");
    assert_eq!(story.engine.work.entries(), 1);
}

#[test]
fn an_answer_that_comes_late_leaves_no_entry_behind() {
    let mut story = Story::begins();
    story.worker_with(1, takes(&["one"], &["square"]));
    story.start("one", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "square")]).unwrap();
    let (_, activity) = story.activity();
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    assert_eq!(story.engine.work.entries(), 1);
    story.done(&activity, "1").unwrap();
    assert_eq!(story.engine.work.entries(), 1, "the turn that hears of it");
    story.worker_with(2, takes(&["one"], &["square"]));
    let (_, turn) = story.turn();
    story.ask(Command::CloseStream { stream: StreamId(2) }).unwrap();
    story.answer(&turn, vec![complete(2, Wire::Completed, None)]).unwrap();
    assert_eq!(story.engine.work.entries(), 0);
}

#[test]
fn names_take_turns_where_there_is_room_for_one_at_a_time() {
    let mut story = Story::begins();
    for round in 0..4 {
        for name in ["x", "y", "z"] {
            story.start(name, &format!("{name}{round}"));
        }
    }
    // A fourth name comes later, and much of it.
    story.worker_with(1, Offer { turns: Some(1), ..Offer::default() });
    for round in 0..100 {
        story.start("w", &format!("w{round}"));
    }
    let mut order = String::new();
    for _ in 0..14 {
        let (_, item) = story.items.pop_front().expect("a turn is handed out");
        order.push_str(&instance_of(&item)[..1]);
        story.answer(&item.completion_token, vec![complete(1, Wire::Completed, None)]).unwrap();
    }
    assert_eq!(order, "xyzwxyzwxyzwxy");
}

#[test]
fn a_worker_gets_what_waited_for_it_whatever_its_filters_look_like() {
    let any_version = |name: &str| wire::OrchestrationFilter { name: name.into(), versions: vec![] };
    let versions = |name: &str, versions: &[&str]| wire::OrchestrationFilter {
        name: name.into(),
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
    };
    let of =
        |orchestrations| Some(wire::WorkItemFilters { orchestrations, activities: vec![], entities: vec![] });
    let cases: [(Option<wire::WorkItemFilters>, &[&str]); 8] = [
        (None, &["one", "one 1", "one 2", "two 2"]),
        (of(vec![]), &[]),
        (of(vec![any_version("one")]), &["one", "one 1", "one 2"]),
        (of(vec![versions("one", &["2", ""])]), &["one", "one 2"]),
        (of(vec![versions("one", &["1"]), versions("one", &["2"])]), &["one 1", "one 2"]),
        (of(vec![any_version("*")]), &["one", "one 1", "one 2", "two 2"]),
        (of(vec![versions("*", &["2"]), any_version("two")]), &["one 2", "two 2"]),
        (of(vec![any_version("One")]), &[]),
    ];
    for (filters, wanted) in cases {
        // What waits before the worker comes is found by its filters, what comes later by its class: both agree.
        for worker_first in [false, true] {
            let mut story = Story::begins();
            let joins = |story: &mut Story| {
                story.worker_with(1, Offer { filters: filters.clone(), ..Offer::default() });
            };
            if worker_first {
                joins(&mut story);
            }
            for (name, version) in [("one", None), ("one", Some("1")), ("one", Some("2")), ("two", Some("2"))]
            {
                let instance = version.map_or(name.to_owned(), |version| format!("{name} {version}"));
                let mut request = super::fixture::request(name, "1");
                request.version = version.map(Into::into);
                let start = Command::Start { id: Some(id(&instance)), request: Box::new(request) };
                story.ask(start).unwrap();
            }
            if !worker_first {
                joins(&mut story);
            }
            let given: Vec<_> = story.items.iter().map(|(_, item)| instance_of(item)).collect();
            assert_eq!(given, wanted, "{filters:?}");
        }
    }
}

#[test]
fn an_entity_is_taken_in_any_case_and_not_by_a_star() {
    for (name, taken) in [("Counter", true), ("COUNTER", true), ("*", false), ("count", false)] {
        let mut story = Story::begins();
        let signal = Command::SignalEntity {
            id: id("@counter@c"),
            operation: "add".into(),
            input: None,
            request_id: String::new(),
            at: None,
        };
        story.ask(signal).unwrap();
        let filters = wire::WorkItemFilters {
            entities: vec![wire::EntityFilter { name: name.into() }],
            ..wire::WorkItemFilters::default()
        };
        story.worker_with(1, Offer { filters: Some(filters), ..Offer::default() });
        assert_eq!(story.items.len(), usize::from(taken), "{name}");
    }
}

#[test]
fn work_that_comes_back_finds_the_next_worker_with_room() {
    let mut story = Story::begins();
    story.worker_with(1, Offer { turns: Some(1), ..takes(&["one"], &[]) });
    story.worker_with(2, Offer { turns: Some(1), ..takes(&["one", "two"], &[]) });
    story.start("one", "a");
    story.start("one", "b");
    story.start("one", "c");
    story.start("two", "d");
    assert_eq!(story.items.len(), 2);
    // The first stream ends: what it held waits before the others, and the second one has no room.
    story.ask(Command::CloseStream { stream: StreamId(1) }).unwrap();
    assert_eq!(story.items.len(), 2);
    let (_, first) = story.items.pop_front().unwrap();
    let (stream, second) = story.items.pop_front().unwrap();
    assert_eq!((instance_of(&first), instance_of(&second), stream), ("a", "b", StreamId(2)));
    let mut order = Vec::new();
    let mut token = second.completion_token;
    loop {
        story.answer(&token, vec![complete(1, Wire::Completed, None)]).unwrap();
        let Some((_, item)) = story.items.pop_front() else { break };
        order.push(instance_of(&item).to_owned());
        token = item.completion_token;
    }
    order.sort();
    assert_eq!(order, ["a", "c", "d"]);
    let abandoned = Command::Abandon { kind: WorkKind::Turn, token: "none".into() };
    assert!(story.ask(abandoned).is_err());
}
