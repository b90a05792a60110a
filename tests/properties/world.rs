//! Carries out a case's steps against an engine: clients, streams, time, and the end of the process.

use super::entities;
use super::invariants::Book;
use super::mail::{Life, Mail};
use super::reading::raised;
use super::step::{Reuse, Step};
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;
use taskhub::emulator::engine::command::{
    Command, Effect, Offer, PurgeTarget, Refusal, Reply, StreamId, Until, WaiterId, WorkKind,
};
use taskhub::emulator::engine::record::Record;
use taskhub::emulator::engine::{Config, Engine};
use taskhub::model::{InstanceId, Status, Statuses, Timestamp};
use taskhub::wire::{self, HistoryEvent, work_item::Request};

pub(crate) const INSTANCES: u8 = 5;

/// A piece of work in a worker's hands.
#[derive(Debug, Clone)]
pub(crate) struct Held<T> {
    pub(crate) stream: StreamId,
    pub(crate) token: String,
    pub(crate) work: T,
    /// Its stream has ended. An answer still counts until another worker has the work.
    pub(crate) lost: bool,
}

/// A turn, with its whole past, however that came.
#[derive(Debug, Clone)]
pub(crate) struct HeldTurn {
    pub(crate) id: InstanceId,
    pub(crate) execution: String,
    pub(crate) past: Vec<HistoryEvent>,
    pub(crate) new: Vec<HistoryEvent>,
    /// The first part of its answer is out.
    pub(crate) begun: bool,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<Record>,
    lives: u128,
    steps: u64,
    streams: BTreeMap<StreamId, Offer>,
    opened: u64,
    pub(crate) turns: Vec<Held<HeldTurn>>,
    pub(crate) activities: Vec<Held<wire::ActivityRequest>>,
    pub(crate) batches: Vec<Held<wire::EntityRequest>>,
    /// Answers that were given before, or that no instance waits for any more: none of them may change anything.
    spent: Vec<Command>,
    waiters: BTreeMap<WaiterId, (InstanceId, Until)>,
    pub(crate) mail: Mail,
    pub(crate) book: Book,
    /// Work was given back and rests for a while.
    pub(crate) resting: bool,
}

pub(crate) fn instance(who: u8) -> InstanceId {
    InstanceId::unchecked(format!("i{}", who % INSTANCES))
}

pub(crate) fn name_of(id: &InstanceId) -> &'static str {
    if id.as_str().len().is_multiple_of(2) && id.as_str() < "i3" { "A" } else { "B" }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            engine: Engine::new(config(1)),
            now: Timestamp::from_micros(1_700_000_000_000_000),
            log: Vec::new(),
            lives: 1,
            steps: 0,
            streams: BTreeMap::new(),
            opened: 0,
            turns: Vec::new(),
            activities: Vec::new(),
            batches: Vec::new(),
            spent: Vec::new(),
            waiters: BTreeMap::new(),
            mail: Mail::default(),
            book: Book::default(),
            resting: false,
        }
    }

    /// One step, and everything the engine says to it.
    pub(crate) fn take(&mut self, step: Step) {
        self.tick();
        self.steps += 1;
        self.carry_out(step);
        // Not after every step: what is not handed out yet is what the end of a process meets.
        if !self.steps.is_multiple_of(3) {
            self.settle();
        }
        self.observe();
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(Duration::from_micros(1));
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Start { who, later, reuse } => self.start(who, later, reuse),
            Step::Raise { who } => self.raise(&instance(who)),
            Step::Terminate { who, recursive } => {
                let output = Some("\"ended\"".to_owned());
                drop(self.ask(Command::Terminate { id: instance(who), output, recursive }));
            }
            Step::Suspend { who } => drop(self.ask(Command::Suspend { id: instance(who), reason: None })),
            Step::Resume { who } => drop(self.ask(Command::Resume { id: instance(who), reason: None })),
            Step::Rewind { who } => {
                let id = instance(who);
                let before = self.status(&id);
                let told = self.ask(Command::Rewind { id: id.clone(), reason: Some(String::new()) });
                assert_eq!(told.is_ok(), before == Some(Status::Failed), "{before:?}: {told:?}");
                if told.is_ok() {
                    self.book.rewinds = true;
                    assert_ne!(self.status(&id), Some(Status::Failed), "it has left FAILED");
                }
            }
            Step::Restart { who, new_id } => self.restart(&instance(who), new_id),
            Step::Purge { who, recursive } => self.purge(&instance(who), recursive),
            Step::PurgeEnded => {
                let target = PurgeTarget::Filter {
                    statuses: Statuses::of([Status::Completed, Status::Running]),
                    created_from: None,
                    created_to: None,
                    at_most: 2,
                };
                let ended =
                    self.states().into_iter().filter(|state| status(state) == Status::Completed).count();
                match self.ask(Command::Purge { target, recursive: false }) {
                    Ok(Reply::Purged { deleted, more }) => {
                        assert_eq!(deleted, ended.min(2));
                        assert!(more || ended <= 2);
                    }
                    told => panic!("{told:?}"),
                }
            }
            Step::Wait { who, started } => self.wait(&instance(who), started),
            Step::Signal { entity, later } => self.signal(entity, later),
            Step::PurgeEntity { entity } => self.purge_entity(entity),
            Step::Open { shape } => self.open(shape),
            Step::Close { which } => self.close(which),
            Step::Turn { which, turn } => {
                if let Some(at) = pick(which, self.turns.len()) {
                    self.answer_turn(at, &turn);
                }
            }
            Step::Activity { which, ok } => {
                if let Some(at) = pick(which, self.activities.len()) {
                    self.answer_activity(at, ok);
                }
            }
            Step::Batch { which, batch } => {
                if let Some(at) = pick(which, self.batches.len()) {
                    self.answer_batch(at, batch);
                }
            }
            Step::Abandon { which } => self.abandon(which),
            Step::Late { which } => {
                if let Some(at) = pick(which, self.spent.len()) {
                    let again = self.spent[at].clone();
                    self.must_change_nothing(&again);
                }
            }
            Step::Pass { millis } => self.pass(Duration::from_millis(millis.into())),
            Step::Reload { calm } => self.reload(calm),
        }
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        // Longer than a worker that drains keeps its work, and than what is given back rests.
        if by >= Duration::from_secs(31) {
            self.resting = false;
        }
    }

    /// Asks the engine. A refusal changes nothing.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Reply, Refusal> {
        let told = self.engine.handle(command, self.now);
        let records = self.engine.take_records();
        if let Err(refusal) = &told {
            assert!(records.is_empty(), "refused with {refusal:?}, and yet: {records:?}");
        }
        self.log.extend(records);
        self.hear();
        told
    }

    fn must_change_nothing(&mut self, command: &Command) {
        let told = self.engine.handle(command.clone(), self.now);
        assert!(
            matches!(told, Ok(Reply::Done) | Err(Refusal::NoSuchWorkItem { .. })),
            "{command:?}: {told:?}"
        );
        assert_eq!(self.engine.take_records(), [], "{command:?}");
    }

    /// An answer that was given, or can be given no more.
    pub(crate) fn spend(&mut self, command: Command) {
        if self.spent.len() < 20 {
            self.spent.push(command);
        }
    }

    pub(crate) fn settle(&mut self) {
        self.engine.settle(self.now);
        self.log.extend(self.engine.take_records());
        self.hear();
    }

    fn hear(&mut self) {
        for effect in self.engine.take_effects() {
            match effect {
                Effect::Deliver { stream, item } => {
                    let item = wire::WorkItem::decode(item).expect("a work item");
                    self.receive(stream, item);
                }
                Effect::Report { .. } | Effect::End { .. } => panic!("nothing is bounded here"),
                Effect::Answer { waiter, answer } => {
                    let (id, until) = self.waiters.remove(&waiter).expect("a client waits");
                    match answer {
                        Ok(state) => {
                            assert_eq!(state.instance_id, id.as_str());
                            assert!(satisfies(status(&state), until), "{until:?}: {state:?}");
                        }
                        Err(refusal) => assert_eq!(refusal, Refusal::Purged { id }),
                    }
                }
            }
        }
    }

    fn receive(&mut self, stream: StreamId, item: wire::WorkItem) {
        let offer = self.streams.get(&stream).unwrap_or_else(|| panic!("{stream:?} has ended")).clone();
        let token = item.completion_token;
        assert!(!token.is_empty());
        match item.request.expect("work") {
            Request::OrchestratorRequest(turn) => {
                let work = self.check_turn(turn, &offer);
                self.turns.push(Held { stream, token, work, lost: false });
                within(offer.turns, &self.turns, stream);
            }
            Request::ActivityRequest(activity) => {
                let same = |held: &Held<wire::ActivityRequest>| {
                    held.work.task_id == activity.task_id
                        && held.work.orchestration_instance == activity.orchestration_instance
                };
                assert!(
                    !self.activities.iter().any(|held| !held.lost && same(held)),
                    "out twice: {activity:?}"
                );
                for held in self.activities.extract_if(.., |held| same(held)).collect::<Vec<_>>() {
                    let late = entities::activity_answer(&held, true);
                    self.spend(Command::CompleteActivity(Box::new(late)));
                }
                self.activities.push(Held { stream, token, work: activity, lost: false });
                within(offer.activities, &self.activities, stream);
            }
            Request::EntityRequestV2(batch) => {
                self.check_batch(&batch);
                self.batches.push(Held { stream, token, work: batch, lost: false });
                within(offer.batches, &self.batches, stream);
            }
            other => panic!("{other:?} is never sent"),
        }
    }

    fn start(&mut self, who: u8, later: Option<u16>, reuse: Reuse) {
        let id = instance(who);
        let scheduled = later.map(|millis| self.now.plus(Duration::from_millis(millis.into())).to_wire());
        let all = Status::ALL.to_vec();
        let ended: Vec<Status> = all.iter().copied().filter(|status| status.is_terminal()).collect();
        let replaceable = match reuse {
            Reuse::Unsaid => None,
            Reuse::Nothing => Some(Vec::new()),
            Reuse::Everything => Some(all),
            Reuse::Ended => Some(ended.clone()),
        };
        let policy = replaceable.clone().map(|statuses| wire::OrchestrationIdReusePolicy {
            replaceable_status: statuses.into_iter().map(|status| status.to_wire().into()).collect(),
        });
        let request = wire::CreateInstanceRequest {
            instance_id: id.as_str().into(),
            name: name_of(&id).into(),
            input: Some("\"in\"".into()),
            scheduled_start_timestamp: scheduled,
            orchestration_id_reuse_policy: policy,
            ..Default::default()
        };
        let before = self.status(&id);
        let told = self.ask(Command::Start { id: Some(id.clone()), request: Box::new(request) });
        let replaceable = replaceable.unwrap_or(ended);
        match (before, told) {
            (None, Ok(Reply::Started(started))) => assert_eq!(started, id),
            (Some(status), Ok(Reply::Started(_))) => assert!(replaceable.contains(&status), "{status}"),
            (Some(status), Err(Refusal::AlreadyExists { .. })) => assert!(!replaceable.contains(&status)),
            (before, told) => panic!("{before:?}: {told:?}"),
        }
    }

    fn raise(&mut self, id: &InstanceId) {
        let before = self.state(id);
        let text = self.mail.write("client");
        let told = self.ask(Command::Raise { id: id.clone(), name: "e".into(), input: Some(text.clone()) });
        match before {
            None => assert_eq!(told, Err(Refusal::NoSuchInstance { id: id.clone() })),
            Some(state) => {
                assert_eq!(told, Ok(Reply::Done));
                self.mail.sent(&text, life(&state), !status(&state).is_terminal());
            }
        }
    }

    fn restart(&mut self, id: &InstanceId, new_id: bool) {
        let before = self.state(id);
        let told = self.ask(Command::Restart { id: id.clone(), new_id });
        match before {
            None => assert_eq!(told, Err(Refusal::NoSuchInstance { id: id.clone() })),
            Some(state) if new_id || status(&state).is_terminal() => {
                let Ok(Reply::Started(started)) = told else { panic!("{told:?}") };
                assert_eq!(started == *id, !new_id);
                let new = self.state(&started).expect("it exists");
                assert_eq!((status(&new), &new.name), (Status::Pending, &state.name));
                assert_ne!(new.execution_id, state.execution_id);
            }
            Some(_) => assert!(matches!(told, Err(Refusal::WrongStatus { .. })), "{told:?}"),
        }
    }

    fn purge(&mut self, id: &InstanceId, recursive: bool) {
        let before = self.status(id);
        let told = self.ask(Command::Purge { target: PurgeTarget::One(id.clone()), recursive });
        match before {
            None => assert_eq!(told, Ok(Reply::Purged { deleted: 0, more: false })),
            Some(status) if status.is_terminal() => {
                let Ok(Reply::Purged { deleted, more: false }) = told else { panic!("{told:?}") };
                assert!(deleted == 1 || (recursive && deleted > 1), "{deleted}");
                assert_eq!(self.status(id), None);
            }
            Some(_) => assert!(matches!(told, Err(Refusal::WrongStatus { .. })), "{told:?}"),
        }
    }

    fn wait(&mut self, id: &InstanceId, started: bool) {
        let before = self.status(id);
        let until = if started { Until::Started } else { Until::Ended };
        let waiter = WaiterId(self.mail.number());
        let told = self.ask(Command::Wait { waiter, id: id.clone(), until, payloads: false });
        match before {
            None => assert_eq!(told, Err(Refusal::NoSuchInstance { id: id.clone() })),
            Some(status) if satisfies(status, until) => {
                assert!(matches!(told, Ok(Reply::State(Some(_)))), "{told:?}");
            }
            Some(_) => {
                assert_eq!(told, Ok(Reply::Waiting));
                self.waiters.insert(waiter, (id.clone(), until));
            }
        }
    }

    /// Opens a stream. Four at the most are open at a time.
    pub(crate) fn open(&mut self, shape: u8) {
        if self.streams.len() >= 4 {
            return;
        }
        let one = Some(1);
        let filters = wire::WorkItemFilters {
            orchestrations: vec![wire::OrchestrationFilter { name: "A".into(), versions: Vec::new() }],
            activities: vec![wire::ActivityFilter { name: "work".into(), versions: Vec::new() }],
            entities: Vec::new(),
        };
        let offer = match shape % 6 {
            0 => Offer::default(),
            1 => Offer { turns: one, activities: one, batches: one, ..Offer::default() },
            2 => Offer { sticky: true, ..Offer::default() },
            3 => Offer { filters: Some(filters), ..Offer::default() },
            4 => Offer { drains: true, ..Offer::default() },
            _ => Offer { history_streaming: true, ..Offer::default() },
        };
        self.opened += 1;
        let stream = StreamId(self.opened);
        self.streams.insert(stream, offer.clone());
        let told = self.ask(Command::OpenStream { stream, offer: Box::new(offer) });
        assert_eq!(told, Ok(Reply::Done));
    }

    fn close(&mut self, which: u8) {
        let Some(at) = pick(which, self.streams.len()) else { return };
        let stream = *self.streams.keys().nth(at).expect("picked");
        self.close_stream(stream);
    }

    fn close_stream(&mut self, stream: StreamId) {
        let drains = self.streams.remove(&stream).is_some_and(|offer| offer.drains);
        lose(&mut self.turns, stream);
        lose(&mut self.activities, stream);
        lose(&mut self.batches, stream);
        // Half of the workers die; what they held may rest, and be handed out alone.
        let command = if drains {
            // Its connection may end as well, at once or never.
            self.resting = true;
            assert_eq!(self.ask(Command::CancelStream { stream }), Ok(Reply::Done));
            if stream.0.is_multiple_of(2) {
                return;
            }
            Command::CloseStream { stream }
        } else if stream.0.is_multiple_of(2) {
            self.resting = true;
            Command::LoseStream { stream }
        } else {
            Command::CloseStream { stream }
        };
        assert_eq!(self.ask(command), Ok(Reply::Done));
    }

    fn abandon(&mut self, which: u8) {
        let all = self.turns.len() + self.activities.len() + self.batches.len();
        let Some(at) = pick(which, all) else { return };
        let (kind, token, lost) = if at < self.turns.len() {
            let held = self.turns.remove(at);
            (WorkKind::Turn, held.token, held.lost)
        } else if at - self.turns.len() < self.activities.len() {
            let held = self.activities.remove(at - self.turns.len());
            (WorkKind::Activity, held.token, held.lost)
        } else {
            let held = self.batches.remove(at - self.turns.len() - self.activities.len());
            (WorkKind::Batch, held.token, held.lost)
        };
        self.resting = true;
        let command = Command::Abandon { kind, token };
        match self.ask(command.clone()) {
            Ok(Reply::Done) => {}
            told => assert!(lost && matches!(told, Err(Refusal::NoSuchWorkItem { .. })), "{told:?}"),
        }
        self.spend(command);
    }

    /// The process ends, and another one begins with what was recorded. In a calm, the workers had gone before.
    fn reload(&mut self, calm: bool) {
        if calm {
            for stream in self.streams.keys().copied().collect::<Vec<_>>() {
                self.close_stream(stream);
            }
            self.settle();
        }
        let before = self.projection();
        let stats = self.stats();
        self.lives += 1;
        // As a store would give them back.
        let kept: Vec<Record> = self
            .log
            .iter()
            .map(|record| Record::decode(record.encode().into()).expect("a record is read as it was written"))
            .collect();
        assert!(kept == self.log, "a record reads as it was written");
        self.engine = Engine::rebuild(config(self.lives), kept, self.now);
        assert_eq!(self.engine.take_records(), [], "a rebuild decides nothing");
        assert_eq!(self.engine.take_effects(), [], "a rebuild says nothing");
        self.streams.clear();
        self.waiters.clear();
        assert_eq!(before, self.projection(), "before and after");
        // What had fired only to make something ready is due once more, and changes nothing.
        self.settle();
        let again = self.stats();
        if calm && !self.resting {
            let ready = |stats: &taskhub::emulator::engine::command::Stats| {
                [stats.ready_turns, stats.ready_activities, stats.ready_batches, stats.timers]
            };
            assert_eq!(ready(&stats), ready(&again), "turns, activities, batches and timers that wait");
        }
        self.resting = false;
        for held in std::mem::take(&mut self.turns) {
            let late = wire::OrchestratorResponse {
                instance_id: held.work.id.as_str().into(),
                completion_token: held.token,
                ..Default::default()
            };
            self.spend(Command::CompleteTurn(Box::new(late)));
        }
        for held in std::mem::take(&mut self.activities) {
            let late = entities::activity_answer(&held, true);
            self.spend(Command::CompleteActivity(Box::new(late)));
        }
        for held in std::mem::take(&mut self.batches) {
            let late = wire::EntityBatchResult { completion_token: held.token, ..Default::default() };
            self.spend(Command::CompleteBatch(Box::new(late)));
        }
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn close_all(&mut self) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.close_stream(stream);
        }
    }

    pub(crate) fn waits(&self) -> usize {
        self.waiters.len()
    }

    /// Marks as seen what a committed turn consumed and the history does not show any more.
    pub(crate) fn saw_all(&mut self, life: &Life, events: &[HistoryEvent]) {
        for text in raised(events) {
            self.mail.saw(life, text);
        }
    }
}

/// How long a work item may be: the engine keeps 64 KiB of it for the envelope, and a history of more than the rest fails its
/// instance, unless a worker fetches histories.
const ITEM: usize = (64 << 10) + 2_500;

fn config(seed: u128) -> Config {
    // No number of losses fails anything: which were too many, this world does not know.
    Config { item_bytes: ITEM, seed, turn_bytes: 600, batch: 5, most_losses: None, ..Config::default() }
}

/// The `which`-th of so many.
pub(crate) fn pick(which: u8, of: usize) -> Option<usize> {
    (of > 0).then(|| usize::from(which) % of)
}

fn within<T>(limit: Option<usize>, held: &[Held<T>], stream: StreamId) {
    let active = held.iter().filter(|held| held.stream == stream && !held.lost).count();
    assert!(limit.is_none_or(|limit| active <= limit), "{active} at a time, {limit:?} allowed");
}

fn lose<T>(held: &mut [Held<T>], stream: StreamId) {
    for held in held.iter_mut().filter(|held| held.stream == stream) {
        held.lost = true;
    }
}

fn satisfies(status: Status, until: Until) -> bool {
    match until {
        Until::Started => status != Status::Pending,
        Until::Ended => status.is_terminal(),
    }
}

pub(crate) fn status(state: &wire::OrchestrationState) -> Status {
    Status::from_wire(state.orchestration_status()).expect("a status that instances have")
}

pub(crate) fn life(state: &wire::OrchestrationState) -> Life {
    let created = state.created_timestamp.as_ref().expect("always set");
    (InstanceId::unchecked(state.instance_id.as_str()), Timestamp::from_wire(created))
}
