//! Drives engine and replay against each other until an orchestration ends.

use super::replayer::Replayer;
use super::run_error::RunError;
use super::scenario::{Scenario, ScriptStep};
use crate::emulator::engine::command::{Command, Effect, Offer, Reply, StreamId};
use crate::emulator::engine::record::Record;
use crate::emulator::engine::{Config, Engine};
use crate::model::{History, InstanceId, Timestamp};
use crate::report;
use crate::sdk::registry::ActivityRun;
use crate::sdk::{ActivityContext, Cached, Cancellation, run_entity_batch, run_turn};
use crate::view::unclaimed;
use crate::wire::{self, work_item::Request};
use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// 2026-01-01T00:00:00Z: every test begins at the same moment.
const BEGINNING: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
/// More turns than any test needs.
const MOST_TURNS: usize = 100_000;
/// Longer histories are not replayed in full after each turn.
const CHECKED_EVENTS: usize = 2_000;

/// What the worker has in its hands.
struct RunningCall {
    name: String,
    answer: wire::ActivityResponse,
    run: ActivityRun,
}

/// A hub under way.
pub(super) struct Drive<'a> {
    scenario: &'a Scenario,
    engine: Engine,
    log: Vec<Record>,
    now: Timestamp,
    stream: u64,
    items: VecDeque<wire::WorkItem>,
    running: Vec<RunningCall>,
    kept: BTreeMap<String, Cached>,
    script: VecDeque<(Timestamp, ScriptStep)>,
    turns: usize,
    order: Option<u64>,
}

/// What is left when it has ended.
pub(super) struct FinishedRun {
    pub(super) state: wire::OrchestrationState,
    pub(super) history: Vec<wire::HistoryEvent>,
    pub(super) elapsed: Duration,
    pub(super) turns: usize,
}

impl<'a> Drive<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Result<Self, RunError> {
        let mut lines: Vec<_> =
            scenario.script.iter().map(|(after, line)| (BEGINNING.plus(*after), line.clone())).collect();
        lines.sort_by_key(|(at, _)| *at);
        let mut drive = Self {
            scenario,
            engine: Engine::new(Config { seed: 1, ..Config::default() }),
            log: Vec::new(),
            now: BEGINNING,
            stream: 0,
            items: VecDeque::new(),
            running: Vec::new(),
            kept: BTreeMap::new(),
            script: lines.into(),
            turns: 0,
            order: scenario.order,
        };
        drive.connect()?;
        Ok(drive)
    }

    /// The worker opens its stream.
    fn connect(&mut self) -> Result<(), RunError> {
        self.stream += 1;
        let offer =
            Offer { sticky: true, filters: Some(self.scenario.registry.filters()), ..Offer::default() };
        self.ask(Command::OpenStream { stream: StreamId(self.stream), offer: Box::new(offer) }).map(drop)
    }

    fn ask(&mut self, command: Command) -> Result<Reply, RunError> {
        self.engine.handle(command, self.now).map_err(|refusal| RunError::Setup { what: refusal.to_string() })
    }

    pub(super) fn run(mut self, name: &str, input: String) -> Result<FinishedRun, RunError> {
        let id =
            InstanceId::parse(&self.scenario.id).map_err(|why| RunError::Setup { what: why.to_string() })?;
        let request = wire::CreateInstanceRequest {
            name: name.to_owned(),
            input: Some(input),
            ..wire::CreateInstanceRequest::default()
        };
        self.ask(Command::Start { id: Some(id.clone()), request: Box::new(request) })?;
        loop {
            self.settle();
            let elapsed = self.now.since(BEGINNING);
            let over = self.scenario.until.is_some_and(|until| elapsed >= until);
            if over || self.state(&id, false)?.completed_timestamp.is_some() {
                let (state, history) = (self.state(&id, true)?, self.history(&id)?);
                return Ok(FinishedRun { state, history, elapsed, turns: self.turns });
            }
            if self.turns > MOST_TURNS {
                return Err(RunError::TooManyTurns { turns: self.turns });
            }
            if let Some(item) = self.next_item() {
                self.work(item)?;
            } else if !self.run_activities()? && !self.next_moment()? {
                return Err(self.waiting(&id)?);
            }
        }
    }

    fn state(&mut self, id: &InstanceId, payloads: bool) -> Result<wire::OrchestrationState, RunError> {
        let Reply::State(Some(state)) = self.ask(Command::Get { id: id.clone(), payloads })? else {
            return Err(RunError::Setup { what: "the orchestration has purged itself".to_owned() });
        };
        Ok(Arc::unwrap_or_clone(state))
    }

    /// What a hub does after each batch, and a worker when work arrives.
    fn settle(&mut self) {
        self.engine.settle(self.now);
        self.log.extend(self.engine.take_records());
        for effect in self.engine.take_effects() {
            if let Effect::Deliver { stream, item } = effect
                && stream == StreamId(self.stream)
                && let Ok(item) = wire::WorkItem::decode(item)
            {
                self.items.push_back(item);
            }
        }
    }

    fn next_item(&mut self) -> Option<wire::WorkItem> {
        let at = self.draw(self.items.len());
        self.items.remove(at)
    }

    /// The first of so many, or one that the seed says.
    fn draw(&mut self, of: usize) -> usize {
        match &mut self.order {
            Some(seed) if of > 1 => {
                // A step of a linear congruential generator; its upper bits are good enough to pick by.
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(*seed >> 33).unwrap_or_default() % of
            }
            Some(_) | None => 0,
        }
    }

    fn work(&mut self, item: wire::WorkItem) -> Result<(), RunError> {
        let completion_token = item.completion_token;
        match item.request {
            Some(Request::OrchestratorRequest(turn)) => self.turn(turn, completion_token),
            Some(Request::ActivityRequest(activity)) => {
                self.begin(&activity, &completion_token);
                if self.scenario.faults.activities_twice {
                    self.begin(&activity, &completion_token);
                }
                Ok(())
            }
            Some(Request::EntityRequestV2(batch)) => {
                let answer = run_entity_batch(&self.scenario.registry, batch);
                let answer = wire::EntityBatchResult { completion_token, ..answer };
                self.answer(Command::CompleteBatch(Box::new(answer)))
            }
            Some(Request::EntityRequest(_) | Request::HealthPing(_)) | None => Ok(()),
        }
    }

    fn turn(&mut self, turn: wire::OrchestratorRequest, token: String) -> Result<(), RunError> {
        let id = turn.instance_id.clone();
        let again = self.in_full(&turn)?;
        let outcome = run_turn(&self.scenario.registry, turn, self.kept.remove(&id));
        if outcome.response.requires_history {
            let answer = wire::OrchestratorResponse { completion_token: token, ..outcome.response };
            return self.answer(Command::CompleteTurn(Box::new(answer)));
        }
        self.turns += 1;
        if let Some(again) = again {
            let replayed = run_turn(&self.scenario.registry, again, None).response;
            if let Some(difference) = difference(&outcome.response, &replayed) {
                return Err(self.not_deterministic(id, outcome.response, token, difference)?);
            }
        }
        if let Some(cached) = outcome.cached {
            self.kept.insert(id, cached);
        }
        let answer = wire::OrchestratorResponse { completion_token: token, ..outcome.response };
        self.answer(Command::CompleteTurn(Box::new(answer)))?;
        if self.scenario.faults.crashes.contains(&self.turns) {
            self.crash()?;
        }
        Ok(())
    }

    /// Takes the answer as it came first, and replays what it made of the history: that names the line of code.
    fn not_deterministic(
        &mut self,
        id: String,
        first: wire::OrchestratorResponse,
        token: String,
        difference: String,
    ) -> Result<RunError, RunError> {
        self.answer(Command::CompleteTurn(Box::new(wire::OrchestratorResponse {
            completion_token: token,
            ..first
        })))?;
        let history = History::from(self.history(&InstanceId::unchecked(id))?);
        // What decides by chance may happen to agree with history; four times in a row it hardly will.
        let replayer = Replayer::new(self.scenario.registry.clone());
        let located = (0..4).find_map(|_| replayer.replay(&history).err());
        let difference = located.map_or(difference, |why| why.to_string());
        Ok(RunError::NotDeterministic { turn: self.turns, difference, history: report::table(&history) })
    }

    /// The same turn with its whole past, where the worker was spared it and it is to be checked.
    fn in_full(
        &mut self,
        turn: &wire::OrchestratorRequest,
    ) -> Result<Option<wire::OrchestratorRequest>, RunError> {
        if !self.scenario.check || turn.properties.is_empty() {
            return Ok(None);
        }
        let past_events = self.history(&InstanceId::unchecked(turn.instance_id.as_str()))?;
        if past_events.len() > CHECKED_EVENTS {
            return Ok(None);
        }
        let properties = BTreeMap::new();
        Ok(Some(wire::OrchestratorRequest { past_events, properties, ..turn.clone() }))
    }

    /// Everything that is not stored is lost: the worker with what it kept and ran, and the hub, which comes back from
    /// its records.
    fn crash(&mut self) -> Result<(), RunError> {
        self.settle();
        self.items.clear();
        self.running.clear();
        self.kept.clear();
        let seed = 1_000 + u128::from(self.stream);
        self.engine = Engine::rebuild(Config { seed, ..Config::default() }, self.log.clone(), self.now);
        self.connect()
    }

    fn answer(&mut self, command: Command) -> Result<(), RunError> {
        if self.scenario.faults.answers_twice {
            self.ask(command.clone())?;
        }
        self.ask(command).map(drop)
    }

    fn begin(&mut self, request: &wire::ActivityRequest, token: &str) {
        let name = request.name.clone();
        let answer = wire::ActivityResponse {
            instance_id: request
                .orchestration_instance
                .as_ref()
                .map(|instance| instance.instance_id.clone())
                .unwrap_or_default(),
            task_id: request.task_id,
            completion_token: token.to_owned(),
            ..wire::ActivityResponse::default()
        };
        let version = request.version.clone();
        let runner = self.scenario.registry.activity_runner(&name, version.as_deref());
        let run: ActivityRun = if let Some(runner) = runner {
            let (context, input) = ActivityContext::of(request.clone(), Cancellation::new());
            runner.run(context, input)
        } else {
            let failure = crate::sdk::Registry::activity_not_found(&name);
            Box::pin(std::future::ready(Err(failure)))
        };
        self.running.push(RunningCall { name, answer, run });
    }

    /// Lets every activity go as far as it can; whether any has moved.
    fn run_activities(&mut self) -> Result<bool, RunError> {
        if self.running.is_empty() {
            return Ok(false);
        }
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut done = VecDeque::new();
        let mut still = Vec::new();
        for mut running in std::mem::take(&mut self.running) {
            match running.run.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => done.push_back((running.answer, result)),
                Poll::Pending => still.push(running),
            }
        }
        self.running = still;
        let moved = !done.is_empty() || woken.0.load(Ordering::Relaxed);
        loop {
            let at = self.draw(done.len());
            let Some((mut answer, result)) = done.remove(at) else { break };
            match result {
                Ok(result) => answer.result = result,
                Err(failure) => answer.failure_details = Some(failure),
            }
            self.answer(Command::CompleteActivity(Box::new(answer)))?;
            // Results that arrive together make one turn; a seed also lets them arrive one by one.
            if self.draw(2) == 1 {
                self.settle();
            }
        }
        if !moved && let Some(stuck) = self.running.first() {
            return Err(RunError::Foreign { activity: stuck.name.clone() });
        }
        Ok(moved)
    }

    /// Turns the clock to what comes next. Returns whether anything does.
    fn next_moment(&mut self) -> Result<bool, RunError> {
        let line = self.script.front().map(|(at, _)| *at);
        let over = self.scenario.until.map(|until| BEGINNING.plus(until));
        let next = [self.engine.next_due(), line, over].into_iter().flatten().min();
        let Some(next) = next else { return Ok(false) };
        self.now = self.now.max(next);
        while self.script.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, line)) = self.script.pop_front()
        {
            let id = InstanceId::unchecked(self.scenario.id.as_str());
            let command = match line {
                ScriptStep::Raise { name, data } => {
                    let input = Some(data.map_err(|what| RunError::Setup { what })?);
                    Command::Raise { id, name, input }
                }
                ScriptStep::Terminate { output } => Command::Terminate { id, output, recursive: false },
                ScriptStep::Suspend => Command::Suspend { id, reason: None },
                ScriptStep::Resume => Command::Resume { id, reason: None },
            };
            self.ask(command)?;
        }
        Ok(true)
    }

    fn history(&mut self, id: &InstanceId) -> Result<Vec<wire::HistoryEvent>, RunError> {
        let command = Command::History { id: id.clone(), execution: None };
        let Reply::History(events) = self.ask(command)? else { return Ok(Vec::new()) };
        Ok(events.into_iter().filter_map(|event| wire::HistoryEvent::decode(event).ok()).collect())
    }

    fn waiting(&mut self, id: &InstanceId) -> Result<RunError, RunError> {
        let waits = self.kept.iter().flat_map(|(id, cached)| {
            cached
                .waits()
                .into_iter()
                .map(move |(what, place)| format!("{id} waits for {what}, asked for at {place}"))
        });
        let waits = waits.collect();
        let Reply::Stats(stats) = self.ask(Command::Stats)? else {
            return Err(RunError::Setup { what: "the hub does not say what it holds".to_owned() });
        };
        let registered = self.scenario.registry.filters();
        let sentences = stats.unclaimed.iter().map(|(kind, name)| unclaimed(*kind, name, &registered));
        let unclaimed = sentences.collect();
        Ok(RunError::Waiting { waits, unclaimed, history: report::table(&self.history(id)?.into()) })
    }
}

/// Notes that an activity was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How the answer of a kept orchestration differs from that of a replay.
fn difference(kept: &wire::OrchestratorResponse, replayed: &wire::OrchestratorResponse) -> Option<String> {
    let differing = kept.actions.iter().zip(&replayed.actions).find(|(kept, replayed)| kept != replayed);
    if let Some((kept, replayed)) = differing {
        return Some(format!("first it wanted {kept:?}, replayed it wants {replayed:?}"));
    }
    if kept.actions.len() != replayed.actions.len() {
        return Some(format!(
            "first it had {} actions, replayed it has {}: {:?}",
            kept.actions.len(),
            replayed.actions.len(),
            kept.actions.iter().chain(&replayed.actions).last()
        ));
    }
    (kept.custom_status != replayed.custom_status).then(|| {
        format!("the custom status was {:?}, replayed {:?}", kept.custom_status, replayed.custom_status)
    })
}
