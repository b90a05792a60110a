//! Tells work that kills its workers from work that was only there when one died (protocol/transport.md#lost-workers).

use super::fixture::{Story, action, call, id};
use crate::emulator::engine::Config;
use crate::emulator::engine::command::{Command, StreamId};
use crate::model::Kind;
use crate::wire::history_event::EventType;
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::{self, OrchestrationStatus as Wire, work_item::Request};
use pretty_assertions::assert_eq;
use std::time::Duration;

/// A worker that is started again whenever it dies, and what it does with its work.
struct Workers {
    story: Story,
    stream: u64,
    deaths: u32,
    /// What was answered, by the name of the activity or orchestration.
    answered: Vec<String>,
}

fn name_of(item: &wire::WorkItem) -> String {
    match item.request.as_ref().unwrap() {
        Request::ActivityRequest(activity) => activity.name.clone(),
        Request::OrchestratorRequest(turn) => turn.instance_id.clone(),
        Request::EntityRequestV2(batch) => {
            let operations = batch.operation_requests.iter().map(|operation| match &operation.event_type {
                Some(EventType::EntityOperationSignaled(signal)) => signal.operation.clone(),
                Some(EventType::EntityOperationCalled(call)) => call.operation.clone(),
                other => panic!("{other:?}"),
            });
            operations.collect::<Vec<_>>().join("+")
        }
        other @ (Request::EntityRequest(_) | Request::HealthPing(_)) => panic!("{other:?}"),
    }
}

impl Workers {
    fn begin(config: Config) -> Self {
        let mut workers = Self { story: Story::with(config), stream: 0, deaths: 0, answered: Vec::new() };
        workers.restart();
        workers
    }

    fn restart(&mut self) {
        self.stream += 1;
        self.story.worker(self.stream);
    }

    fn die(&mut self) {
        self.deaths += 1;
        assert!(self.deaths < 500, "workers die without end");
        self.story.items.clear();
        self.story.ask(Command::LoseStream { stream: StreamId(self.stream) }).unwrap();
        self.restart();
    }

    /// Works until nothing is left to do for so long; dies of what has "poison" in its name, after the others that it
    /// was handed with it are begun.
    fn work(&mut self, for_long: Duration) {
        let end = self.story.now.plus(for_long);
        loop {
            if self.story.items.iter().any(|(_, item)| name_of(item).contains("poison")) {
                self.die();
                continue;
            }
            if let Some((_, item)) = self.story.items.pop_front() {
                self.answered.push(name_of(&item));
                self.answer(item);
                continue;
            }
            let Some(due) = self.story.engine.next_due().filter(|due| *due <= end) else {
                self.story.now = end;
                return;
            };
            self.story.later(due.since(self.story.now));
        }
    }

    fn answer(&mut self, item: wire::WorkItem) {
        let token = item.completion_token;
        match item.request.unwrap() {
            Request::ActivityRequest(_) => drop(self.story.done(&token, "1").unwrap()),
            Request::OrchestratorRequest(_) => {
                self.story.answer(&token, vec![]).unwrap();
            }
            Request::EntityRequestV2(batch) => {
                let success = || wire::OperationResult {
                    result_type: Some(wire::operation_result::ResultType::Success(
                        wire::OperationResultSuccess::default(),
                    )),
                };
                let answer = wire::EntityBatchResult {
                    results: batch.operation_requests.iter().map(|_| success()).collect(),
                    completion_token: token,
                    ..Default::default()
                };
                self.story.ask(Command::CompleteBatch(Box::new(answer))).unwrap();
            }
            other @ (Request::EntityRequest(_) | Request::HealthPing(_)) => panic!("{other:?}"),
        }
    }

    /// Starts an instance whose first turn does this.
    fn first_turn(&mut self, instance: &str, actions: Vec<wire::OrchestratorAction>) {
        self.story.start("any", instance);
        let (_, item) = self.story.items.pop_back().expect("its turn is handed out");
        self.story.answer(&item.completion_token, actions).unwrap();
    }

    fn failures(&mut self, instance: &str) -> Vec<(i32, wire::TaskFailureDetails)> {
        let failed = self.story.history(instance).into_iter().filter_map(|event| match event.event_type {
            Some(EventType::TaskFailed(failed)) => Some((failed.task_scheduled_id, failed.failure_details?)),
            _ => None,
        });
        failed.collect()
    }
}

#[test]
fn an_activity_that_kills_its_workers_fails_by_name_after_so_many_and_its_neighbours_do_not() {
    let mut workers = Workers::begin(Config { most_losses: Some(4), ..Config::default() });
    let mut calls: Vec<_> = (1..=20).map(|task| call(task, "innocent")).collect();
    calls.push(call(21, "poison"));
    workers.first_turn("a", calls);
    workers.work(Duration::from_secs(600));
    let failures = workers.failures("a");
    let [(21, failed)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failed.error_type.as_str(), failed.is_non_retriable), ("WorkerLost", true));
    assert!(failed.error_message.starts_with("4 workers"), "{}", failed.error_message);
    assert_eq!(workers.answered.iter().filter(|name| *name == "innocent").count(), 20);
    // Twice in company, until it is handed out alone, and then as often as is allowed.
    assert_eq!(workers.deaths, 6);
}

#[test]
fn innocent_work_goes_on_while_a_suspect_rests() {
    let mut workers = Workers::begin(Config::default());
    workers.first_turn("a", vec![call(1, "poison")]);
    for round in 0..5 {
        workers.work(Duration::from_millis(10));
        let before = workers.deaths;
        workers.first_turn(&format!("b{round}"), vec![call(1, "innocent")]);
        workers.work(Duration::ZERO);
        assert_eq!(workers.deaths, before, "nothing but the innocent was handed out");
        assert_eq!(workers.answered.iter().filter(|name| *name == "innocent").count(), 1);
        workers.work(Duration::from_secs(1));
        workers.answered.clear();
    }
    assert!(workers.deaths < 10, "{}", workers.deaths);
}

#[test]
fn a_turn_that_kills_its_workers_fails_its_instance() {
    let mut workers = Workers::begin(Config { most_losses: Some(3), ..Config::default() });
    workers.story.start("any", "poison");
    workers.story.start("any", "b");
    workers.work(Duration::from_secs(600));
    let state = workers.story.state("poison");
    assert_eq!(state.orchestration_status(), Wire::Failed);
    let failed = state.failure_details.unwrap();
    assert_eq!((failed.error_type.as_str(), failed.is_non_retriable), ("WorkerLost", true));
    assert_eq!(workers.story.kinds("poison").last().map(|(kind, _)| *kind), Some(Kind::ExecutionCompleted));
    assert_eq!(workers.story.state("b").orchestration_status(), Wire::Running);
}

fn call_entity(id: i32, operation: &str) -> wire::OrchestratorAction {
    let call = wire::EntityOperationCalledEvent {
        request_id: format!("00000000-0000-0000-0000-00000000000{id}"),
        operation: operation.into(),
        target_instance_id: Some("@counter@a".into()),
        ..Default::default()
    };
    action(
        id,
        Action::SendEntityMessage(wire::SendEntityMessageAction {
            entity_message_type: Some(
                wire::send_entity_message_action::EntityMessageType::EntityOperationCalled(call),
            ),
        }),
    )
}

#[test]
fn the_call_fails_that_kills_an_entitys_workers_and_the_operations_around_it_run() {
    let mut workers = Workers::begin(Config { most_losses: Some(3), ..Config::default() });
    workers.first_turn("a", vec![call_entity(1, "get"), call_entity(2, "poison"), call_entity(3, "set")]);
    workers.work(Duration::from_secs(600));
    let history = workers.story.history("a");
    let failed: Vec<_> = history
        .iter()
        .filter_map(|event| match &event.event_type {
            Some(EventType::EntityOperationFailed(failed)) => failed.failure_details.clone(),
            _ => None,
        })
        .map(|details| details.error_type)
        .collect();
    assert_eq!(failed, ["WorkerLost"]);
    let ran = history
        .iter()
        .filter(|event| matches!(event.event_type, Some(EventType::EntityOperationCompleted(_))));
    assert_eq!(ran.count(), 2);
}

#[test]
fn a_signal_that_kills_its_workers_is_never_dropped_and_comes_every_five_seconds() {
    let mut workers = Workers::begin(Config { most_losses: Some(3), ..Config::default() });
    let signal = |operation: &str| Command::SignalEntity {
        id: id("@counter@a"),
        operation: operation.into(),
        input: None,
        request_id: String::new(),
        at: None,
    };
    workers.story.ask(signal("poison")).unwrap();
    workers.work(Duration::from_secs(60));
    let before = workers.deaths;
    workers.work(Duration::from_secs(100));
    assert!((15..=25).contains(&(workers.deaths - before)), "{} in 100 s", workers.deaths - before);
}

#[test]
fn a_stream_that_its_worker_ends_is_no_loss_and_so_is_one_that_is_given_up() {
    let mut story = Story::with(Config { most_losses: Some(2), ..Config::default() });
    story.start("any", "a");
    for stream in 1..20 {
        story.worker(stream);
        assert_eq!(story.items.len(), 1, "it is handed out at once");
        story.items.clear();
        story.ask(Command::CloseStream { stream: StreamId(stream) }).unwrap();
    }
    assert_eq!(story.state("a").orchestration_status(), Wire::Pending);
}

#[test]
fn innocents_outlive_a_thousand_workers_that_are_killed_at_random() {
    let mut story = Story::begins();
    story.worker(1);
    story.start("any", "a");
    let (_, token) = story.turn();
    story.answer(&token, (1..=200).map(|task| call(task, "innocent")).collect()).unwrap();
    let (mut stream, mut chance, mut answered) = (1_u64, 7_u64, 0);
    let mut draw = |of: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % of
    };
    for _ in 0..1_000 {
        story.later(Duration::from_millis(100 + draw(900)));
        // A few are done in the life of a worker; then it is killed with whatever it has.
        for _ in 0..draw(3) {
            let next = story
                .items
                .iter()
                .position(|(_, item)| matches!(item.request, Some(Request::ActivityRequest(_))));
            let Some((_, item)) = next.and_then(|at| story.items.remove(at)) else { break };
            story.done(&item.completion_token, "1").unwrap();
            answered += 1;
        }
        story.items.clear();
        story.ask(Command::LoseStream { stream: StreamId(stream) }).unwrap();
        stream += 1;
        story.worker(stream);
    }
    assert!(answered > 0);
    let failed = story
        .history("a")
        .into_iter()
        .filter(|event| matches!(event.event_type, Some(EventType::TaskFailed(_))));
    assert_eq!(failed.count(), 0);
    assert_ne!(story.state("a").orchestration_status(), Wire::Failed, "its turns are innocent too");
}

#[test]
fn a_worker_that_dies_with_nothing_in_its_hands_says_that_something_else_kills_workers() {
    let mut workers = Workers::begin(Config { most_losses: Some(8), ..Config::default() });
    workers.story.start("any", "poison");
    for _ in 0..10 {
        let before = workers.deaths;
        for _ in 0..60 {
            if workers.deaths < before + 2 {
                workers.work(Duration::from_secs(1));
            }
        }
        assert!(workers.story.items.is_empty(), "the suspect rests");
        workers.die();
    }
    assert!(workers.deaths > 20, "{}", workers.deaths);
    assert_eq!(workers.story.state("poison").orchestration_status(), Wire::Pending);
}

#[test]
fn a_suspect_that_lets_its_worker_live_for_five_seconds_keeps_no_stream_to_itself() {
    let mut story = Story::with(Config::default());
    story.worker(1);
    story.start("any", "a");
    let (_, token) = story.turn();
    story.answer(&token, vec![call(1, "long")]).unwrap();
    for stream in 1..=2 {
        story.items.clear();
        story.ask(Command::LoseStream { stream: StreamId(stream) }).unwrap();
        story.worker(stream + 1);
    }
    story.later(Duration::from_millis(100));
    let (_, long) = story.activity();
    story.start("any", "b");
    assert!(story.items.is_empty(), "the suspect has the stream to itself");
    story.later(Duration::from_secs(5));
    assert_eq!(story.turn().0.instance_id, "b");
    story.done(&long, "1").unwrap();
    assert_eq!(story.turn().0.instance_id, "a");
}
