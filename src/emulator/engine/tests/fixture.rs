//! Plays client and worker against an engine.

use crate::emulator::engine::command::{Command, Effect, Offer, Refusal, Reply, StreamId};
use crate::emulator::engine::record::Record;
use crate::emulator::engine::{Config, Engine};
use crate::model::{InstanceId, Kind, Timestamp};
use crate::wire::{self, orchestrator_action::OrchestratorActionType as Action, work_item::Request};
use prost::Message as _;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Story {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    pub(super) log: Vec<Record>,
    pub(super) items: VecDeque<(StreamId, wire::WorkItem)>,
    pub(super) answers: Vec<Effect>,
}

pub(super) fn id(id: &str) -> InstanceId {
    InstanceId::unchecked(id)
}

pub(super) fn request(name: &str, input: &str) -> wire::CreateInstanceRequest {
    wire::CreateInstanceRequest {
        name: name.into(),
        input: Some(input.into()),
        ..wire::CreateInstanceRequest::default()
    }
}

pub(super) fn action(id: i32, action: Action) -> wire::OrchestratorAction {
    wire::OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

pub(super) fn call(id: i32, name: &str) -> wire::OrchestratorAction {
    action(
        id,
        Action::ScheduleTask(wire::ScheduleTaskAction {
            name: name.into(),
            ..wire::ScheduleTaskAction::default()
        }),
    )
}

pub(super) fn complete(
    id: i32,
    status: wire::OrchestrationStatus,
    result: Option<&str>,
) -> wire::OrchestratorAction {
    action(
        id,
        Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
            orchestration_status: status.into(),
            result: result.map(Into::into),
            ..wire::CompleteOrchestrationAction::default()
        }),
    )
}

impl Story {
    pub(super) fn begins() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(mut config: Config) -> Self {
        config.seed = 7;
        Self {
            engine: Engine::new(config),
            now: Timestamp::from_micros(1_000_000),
            log: Vec::new(),
            items: VecDeque::new(),
            answers: Vec::new(),
        }
    }

    /// What a hub does after each batch of commands.
    pub(super) fn settle(&mut self) {
        self.engine.settle(self.now);
        self.log.extend(self.engine.take_records());
        for effect in self.engine.take_effects() {
            match effect {
                Effect::Deliver { stream, item } => {
                    self.items.push_back((stream, wire::WorkItem::decode(item).unwrap()));
                }
                other @ (Effect::Answer { .. } | Effect::Report { .. } | Effect::End { .. }) => {
                    self.answers.push(other);
                }
            }
        }
    }

    pub(super) fn ask(&mut self, command: Command) -> Result<Reply, Refusal> {
        let reply = self.engine.handle(command, self.now);
        self.settle();
        reply
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.settle();
    }

    pub(super) fn worker(&mut self, stream: u64) {
        self.worker_with(stream, Offer::default());
    }

    pub(super) fn worker_with(&mut self, stream: u64, offer: Offer) {
        self.ask(Command::OpenStream { stream: StreamId(stream), offer: Box::new(offer) }).unwrap();
    }

    pub(super) fn start(&mut self, name: &str, instance: &str) {
        let request = Box::new(request(name, "1"));
        self.ask(Command::Start { id: Some(id(instance)), request }).unwrap();
    }

    #[track_caller]
    pub(super) fn turn(&mut self) -> (wire::OrchestratorRequest, String) {
        let (_, item) = self.items.pop_front().expect("a turn is handed out");
        match item.request {
            Some(Request::OrchestratorRequest(turn)) => (turn, item.completion_token),
            other => panic!("a turn was expected, not {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn activity(&mut self) -> (wire::ActivityRequest, String) {
        let (_, item) = self.items.pop_front().expect("an activity is handed out");
        match item.request {
            Some(Request::ActivityRequest(activity)) => (activity, item.completion_token),
            other => panic!("an activity was expected, not {other:?}"),
        }
    }

    pub(super) fn answer(
        &mut self,
        token: &str,
        actions: Vec<wire::OrchestratorAction>,
    ) -> Result<Reply, Refusal> {
        self.ask(Command::CompleteTurn(Box::new(wire::OrchestratorResponse {
            completion_token: token.into(),
            actions,
            ..wire::OrchestratorResponse::default()
        })))
    }

    pub(super) fn done(&mut self, token: &str, result: &str) -> Result<Reply, Refusal> {
        self.ask(Command::CompleteActivity(Box::new(wire::ActivityResponse {
            completion_token: token.into(),
            result: Some(result.into()),
            ..wire::ActivityResponse::default()
        })))
    }

    #[track_caller]
    pub(super) fn state(&mut self, instance: &str) -> wire::OrchestrationState {
        match self.ask(Command::Get { id: id(instance), payloads: true }) {
            Ok(Reply::State(Some(state))) => Arc::unwrap_or_clone(state),
            other => panic!("{instance} should exist: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn history(&mut self, instance: &str) -> Vec<wire::HistoryEvent> {
        let command = Command::History { id: id(instance), execution: None };
        match self.ask(command) {
            Ok(Reply::History(events)) => {
                events.into_iter().map(|event| wire::HistoryEvent::decode(event).unwrap()).collect()
            }
            other => panic!("a history was expected: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn kinds(&mut self, instance: &str) -> Vec<(Kind, i32)> {
        let kind = |event: &wire::HistoryEvent| Kind::of(event.event_type.as_ref().unwrap());
        self.history(instance).iter().map(|event| (kind(event), event.event_id)).collect()
    }
}
