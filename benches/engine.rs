//! Measures the engine alone: what a command costs in an empty hub and in a full one, and what pages cost.
//!
//! `cargo bench --bench engine`. No sockets, no threads: the same commands as over gRPC, decided one by one.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]

use prost::Message as _;
use std::time::{Duration, Instant};
use taskhub::emulator::engine::command::{
    Command, Effect, ListIds, Offer, Query, Reply, StreamId, Until, WaiterId,
};
use taskhub::emulator::engine::{Config, Engine};
use taskhub::model::{InstanceId, Status, Statuses, Timestamp};
use taskhub::wire::{self, orchestrator_action::OrchestratorActionType as Action};

const FINISHED: usize = 100_000;
const CROWD: u64 = 10_000;
const THOUSAND: u64 = 1_000;
/// How many names wait that no worker takes.
const PENDING: usize = 15_000;

struct Hub {
    engine: Engine,
    now: Timestamp,
}

impl Hub {
    fn new() -> Self {
        let mut hub = Self {
            engine: Engine::new(Config { seed: 1, ..Config::default() }),
            now: Timestamp::from_micros(1_700_000_000_000_000),
        };
        hub.ask(Command::OpenStream { stream: StreamId(1), offer: Box::default() });
        hub
    }

    /// Asks, settles, and gives the tokens of what was handed out.
    fn ask(&mut self, command: Command) -> (Reply, Vec<String>) {
        self.now = self.now.plus(Duration::from_micros(10));
        let reply = self.engine.handle(command, self.now).expect("every command of this benchmark is legal");
        self.engine.settle(self.now);
        drop(self.engine.take_records());
        let token = |effect| match effect {
            Effect::Deliver { item, .. } => {
                wire::WorkItem::decode(item).ok().map(|item| item.completion_token)
            }
            Effect::Answer { .. } | Effect::Report { .. } | Effect::End { .. } => None,
        };
        let tokens = self.engine.take_effects().into_iter().filter_map(token).collect();
        (reply, tokens)
    }

    fn start(&mut self, id: String) -> Vec<String> {
        let request = wire::CreateInstanceRequest { name: "work".into(), ..Default::default() };
        self.ask(Command::Start { id: Some(InstanceId::unchecked(id)), request: Box::new(request) }).1
    }

    fn answer(&mut self, token: String, action: Action) -> Vec<String> {
        let actions = vec![wire::OrchestratorAction { id: 1, orchestrator_action_type: Some(action) }];
        let answer = wire::OrchestratorResponse { completion_token: token, actions, ..Default::default() };
        self.ask(Command::CompleteTurn(Box::new(answer))).1
    }

    /// Starts an instance and completes it in its first turn.
    fn run_one(&mut self, id: String) {
        let token = self.start(id).pop().expect("its turn is handed out");
        self.answer(token, completed());
    }
}

/// What commands cost while instances of so many names wait that no worker takes.
fn pending(names: usize) {
    let mut hub = Hub::new();
    hub.ask(Command::CloseStream { stream: StreamId(1) });
    let filter = wire::OrchestrationFilter { name: "work".into(), versions: vec![] };
    let filters = wire::WorkItemFilters { orchestrations: vec![filter], ..Default::default() };
    let offer = Offer { filters: Some(filters), ..Offer::default() };
    hub.ask(Command::OpenStream { stream: StreamId(2), offer: Box::new(offer) });
    for n in 0..names {
        let request = wire::CreateInstanceRequest { name: format!("name{n}"), ..Default::default() };
        let id = Some(InstanceId::unchecked(format!("p{n}")));
        hub.ask(Command::Start { id, request: Box::new(request) });
    }
    let id = InstanceId::unchecked("p0");
    let get = median(|_| drop(hub.ask(Command::Get { id: id.clone(), payloads: true })), 500);
    println!("a state, {names:>6} names pending:           {:>9.2} us", get.as_secs_f64() * 1e6);
    let run = median(|n| hub.run_one(format!("r{n}")), 500);
    println!("start and one turn, {names:>6} names pending:{:>9.2} us", run.as_secs_f64() * 1e6);
}

fn completed() -> Action {
    Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
        orchestration_status: wire::OrchestrationStatus::Completed.into(),
        result: Some("1".into()),
        ..Default::default()
    })
}

/// The median of so many runs.
fn median(mut run: impl FnMut(usize), runs: usize) -> Duration {
    let mut took: Vec<_> = (0..runs)
        .map(|n| {
            let began = Instant::now();
            run(n);
            began.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() / 2]
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() {
    let mut empty = Hub::new();
    let alone = median(|n| empty.run_one(format!("e{n}")), 5_000);
    println!("start and one turn, empty hub:            {:>9.2} us", alone.as_secs_f64() * 1e6);

    for names in [0, PENDING / 3, PENDING] {
        pending(names);
    }

    let mut full = Hub::new();
    let before = resident_kib();
    for n in 0..FINISHED {
        full.run_one(format!("f{n:06}"));
    }
    let each = (resident_kib() - before) as f64 * 1024.0 / FINISHED as f64;
    println!("memory of a finished instance:            {each:>9.0} bytes");

    for n in 0..CROWD {
        let token = full.start(format!("t{n}")).pop().expect("its turn is handed out");
        let fire_at = Some(full.now.plus(Duration::from_secs(86_400 + n)).to_wire());
        full.answer(token, Action::CreateTimer(wire::CreateTimerAction { fire_at }));
    }
    for n in 0..CROWD {
        full.ask(Command::SignalEntity {
            id: InstanceId::unchecked(format!("@counter@{n}")),
            operation: "add".into(),
            input: None,
            request_id: String::new(),
            at: None,
        });
    }
    for n in 2..THOUSAND {
        // They take other names: none of them is in the way, all of them are there.
        let filter = wire::OrchestrationFilter { name: format!("other{}", n % 10), versions: vec![] };
        let filters = wire::WorkItemFilters { orchestrations: vec![filter], ..Default::default() };
        let offer = Offer { filters: Some(filters), ..Offer::default() };
        full.ask(Command::OpenStream { stream: StreamId(n), offer: Box::new(offer) });
    }
    for n in 0..THOUSAND {
        full.ask(Command::Wait {
            waiter: WaiterId(n),
            id: InstanceId::unchecked(format!("t{n}")),
            until: Until::Ended,
            payloads: false,
        });
    }
    let crowded = median(|n| full.run_one(format!("x{n}")), 5_000);
    println!(
        "start and one turn, full hub:             {:>9.2} us   {:.2} times",
        crowded.as_secs_f64() * 1e6,
        crowded.as_secs_f64() / alone.as_secs_f64()
    );
    println!(
        "  (with {FINISHED} finished instances, {CROWD} timers, {CROWD} entities, {THOUSAND} streams, {THOUSAND} waiting clients)"
    );

    let page = |what: &str, query: &Query, hub: &mut Hub| {
        let took = median(
            |_| {
                let (reply, _) = hub.ask(Command::Query(query.clone()));
                assert!(matches!(reply, Reply::States { ref states, .. } if states.len() == 100));
            },
            500,
        );
        println!("a page of 100 by {what:<25}{:>9.2} us", took.as_secs_f64() * 1e6);
    };
    let of = Query { page_size: 100, payloads: true, ..Query::default() };
    page("status", &Query { statuses: Statuses::of([Status::Completed]), ..of.clone() }, &mut full);
    page("prefix", &Query { id_prefix: "f05".into(), ..of.clone() }, &mut full);
    let middle = Timestamp::from_micros(1_700_000_001_000_000);
    page("time", &Query { created_from: Some(middle), ..of.clone() }, &mut full);
    let both = Query { statuses: Statuses::of([Status::Running]), id_prefix: "t1".into(), ..of };
    page("status and prefix", &both, &mut full);
    let list = ListIds { page_size: 100, ..ListIds::default() };
    let took = median(|_| drop(full.ask(Command::ListIds(list.clone()))), 500);
    println!("a page of 100 ids by end                  {:>9.2} us", took.as_secs_f64() * 1e6);
}
