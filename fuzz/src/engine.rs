//! Reads bytes as a conversation with a hub: frames of a kind, a length and a message.

use prost::Message;
use std::time::Duration;
use taskhub::emulator::engine::command::{
    Command, Effect, EntityQuery, ListIds, Offer, PurgeTarget, Query, Refusal, StreamId, WorkKind,
};
use taskhub::emulator::engine::record::Record;
use taskhub::emulator::engine::{Config, Engine};
use taskhub::model::{InstanceId, Statuses, Timestamp};
use taskhub::wire::{self, work_item::Request};

/// More than this many messages tell nothing new and cost time.
const MOST_MESSAGES: usize = 200;

/// A hub that is talked to in bytes.
struct Hub {
    engine: Engine,
    now: Timestamp,
    log: Vec<Record>,
    /// The latest token of each kind of work, put into answers that come without one.
    tokens: [String; 3],
}

/// A conversation with a hub. Whatever is refused changes nothing, and what was recorded makes the hub again.
pub fn messages(bytes: &[u8]) {
    let mut hub = Hub {
        engine: Engine::new(Config::default()),
        now: Timestamp::from_micros(1_700_000_000_000_000),
        log: Vec::new(),
        tokens: Default::default(),
    };
    let open = Command::OpenStream { stream: StreamId(1), offer: Box::new(Offer::default()) };
    hub.ask(open);
    let mut rest = bytes;
    for _ in 0..MOST_MESSAGES {
        let Some((head, after)) = rest.split_at_checked(3) else { break };
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(after.len());
        let (message, after) = after.split_at(length);
        rest = after;
        hub.hear(head[0], message);
    }
    hub.check_rebuild();
}

impl Hub {
    fn hear(&mut self, kind: u8, message: &[u8]) {
        self.now = self.now.plus(Duration::from_micros(1 + u64::from(kind / 32) * 700_000));
        // What is no message of its kind is turned down before it comes here.
        if let Some(command) = self.read(kind % 32, message) {
            self.ask(command);
        }
        self.engine.settle(self.now);
        self.log.extend(self.engine.take_records());
        for effect in self.engine.take_effects() {
            if let Effect::Deliver { item, .. } = effect {
                let item = wire::WorkItem::decode(item).expect("what is delivered is a work item");
                let kind = match item.request.expect("a work item has work") {
                    Request::OrchestratorRequest(_) => 0,
                    Request::ActivityRequest(_) => 1,
                    Request::EntityRequestV2(_) => 2,
                    other => panic!("{other:?} is never sent"),
                };
                self.tokens[kind] = item.completion_token;
            }
        }
    }

    fn ask(&mut self, command: Command) {
        let told = self.engine.handle(command, self.now);
        let records = self.engine.take_records();
        if let Err(refusal) = told {
            assert!(records.is_empty(), "refused with {refusal:?}, and yet: {records:?}");
            assert!(!refusal.to_string().is_empty());
            assert_ne!(refusal, Refusal::ShuttingDown);
        }
        self.log.extend(records);
    }

    fn read(&self, kind: u8, message: &[u8]) -> Option<Command> {
        let id = |raw: String| InstanceId::unchecked(raw);
        Some(match kind {
            0 => {
                let request: wire::CreateInstanceRequest = decode(message)?;
                let id = InstanceId::parse(&request.instance_id).ok()?;
                Command::Start { id: Some(id), request: Box::new(request) }
            }
            1 => {
                let request: wire::RaiseEventRequest = decode(message)?;
                Command::Raise { id: id(request.instance_id), name: request.name, input: request.input }
            }
            2 => {
                let request: wire::TerminateRequest = decode(message)?;
                let wire::TerminateRequest { instance_id, output, recursive } = request;
                Command::Terminate { id: id(instance_id), output, recursive }
            }
            3 => {
                let request: wire::SuspendRequest = decode(message)?;
                Command::Suspend { id: id(request.instance_id), reason: request.reason }
            }
            4 => {
                let request: wire::ResumeRequest = decode(message)?;
                Command::Resume { id: id(request.instance_id), reason: request.reason }
            }
            5 => {
                let request: wire::RewindInstanceRequest = decode(message)?;
                Command::Rewind { id: id(request.instance_id), reason: request.reason }
            }
            6 => {
                let request: wire::RestartInstanceRequest = decode(message)?;
                Command::Restart { id: id(request.instance_id), new_id: request.restart_with_new_instance_id }
            }
            7 => {
                let request: wire::QueryInstancesRequest = decode(message)?;
                let query = request.query?;
                Command::Query(Query {
                    statuses: Statuses::from_wire(&query.runtime_status),
                    created_from: query.created_time_from.as_ref().map(Timestamp::from_wire),
                    created_to: query.created_time_to.as_ref().map(Timestamp::from_wire),
                    id_prefix: query.instance_id_prefix.unwrap_or_default(),
                    page_size: usize::try_from(query.max_instance_count).unwrap_or_default(),
                    after: query.continuation_token,
                    payloads: query.fetch_inputs_and_outputs,
                })
            }
            8 => {
                let list: wire::ListInstanceIdsRequest = decode(message)?;
                Command::ListIds(ListIds {
                    statuses: Statuses::from_wire(&list.runtime_status),
                    completed_from: list.completed_time_from.as_ref().map(Timestamp::from_wire),
                    completed_to: list.completed_time_to.as_ref().map(Timestamp::from_wire),
                    page_size: usize::try_from(list.page_size).unwrap_or_default(),
                    until_empty: list.page_size % 2 == 0,
                    after: list.last_instance_key,
                })
            }
            9 => {
                let request: wire::PurgeInstancesRequest = decode(message)?;
                let target = match request.request? {
                    wire::purge_instances_request::Request::InstanceId(one) => PurgeTarget::One(id(one)),
                    wire::purge_instances_request::Request::InstanceBatch(batch) => {
                        PurgeTarget::Batch(batch.instance_ids.into_iter().map(id).collect())
                    }
                    wire::purge_instances_request::Request::PurgeInstanceFilter(filter) => {
                        PurgeTarget::Filter {
                            statuses: Statuses::from_wire(&filter.runtime_status),
                            created_from: filter.created_time_from.as_ref().map(Timestamp::from_wire),
                            created_to: filter.created_time_to.as_ref().map(Timestamp::from_wire),
                            at_most: 10,
                        }
                    }
                };
                Command::Purge { target, recursive: request.recursive }
            }
            10 => {
                let request: wire::SignalEntityRequest = decode(message)?;
                Command::SignalEntity {
                    id: InstanceId::parse_entity(&request.instance_id).ok()?,
                    operation: request.name,
                    input: request.input,
                    request_id: request.request_id,
                    at: request.scheduled_time,
                }
            }
            11 => {
                let request: wire::GetEntityRequest = decode(message)?;
                Command::GetEntity { id: id(request.instance_id), state: request.include_state }
            }
            12 => {
                let request: wire::QueryEntitiesRequest = decode(message)?;
                let query = request.query?;
                Command::QueryEntities(EntityQuery {
                    id_prefix: query.instance_id_starts_with.unwrap_or_default(),
                    modified_from: query.last_modified_from.as_ref().map(Timestamp::from_wire),
                    modified_to: query.last_modified_to.as_ref().map(Timestamp::from_wire),
                    state: query.include_state,
                    transient: query.include_transient,
                    page_size: query
                        .page_size
                        .and_then(|size| usize::try_from(size).ok())
                        .unwrap_or_default(),
                    after: query.continuation_token,
                })
            }
            13 => {
                let request: wire::StreamInstanceHistoryRequest = decode(message)?;
                let wire::StreamInstanceHistoryRequest {
                    instance_id,
                    execution_id,
                    for_work_item_processing: _,
                } = request;
                Command::History { id: id(instance_id), execution: execution_id }
            }
            14..=19 => {
                let mut answer: wire::OrchestratorResponse = decode(message)?;
                self.token(0, &mut answer.completion_token);
                Command::CompleteTurn(Box::new(answer))
            }
            20..=22 => {
                let mut answer: wire::ActivityResponse = decode(message)?;
                self.token(1, &mut answer.completion_token);
                Command::CompleteActivity(Box::new(answer))
            }
            23..=26 => {
                let mut answer: wire::EntityBatchResult = decode(message)?;
                self.token(2, &mut answer.completion_token);
                Command::CompleteBatch(Box::new(answer))
            }
            27 => {
                let token = String::from_utf8_lossy(message).into_owned();
                Command::Abandon { kind: WorkKind::Turn, token }
            }
            28 => Command::Abandon { kind: WorkKind::Turn, token: self.tokens[0].clone() },
            29 => Command::Abandon { kind: WorkKind::Activity, token: self.tokens[1].clone() },
            30 => Command::Abandon { kind: WorkKind::Batch, token: self.tokens[2].clone() },
            _ => Command::Stats,
        })
    }

    /// Bytes do not guess tokens: an answer without one means the work that came last.
    fn token(&self, kind: usize, token: &mut String) {
        if token.is_empty() {
            token.clone_from(&self.tokens[kind]);
        }
    }

    fn check_rebuild(mut self) {
        let config = Config { seed: 1, ..Config::default() };
        let mut again = Engine::rebuild(config, std::mem::take(&mut self.log), self.now);
        let query = Query { page_size: 1_000, payloads: true, ..Query::default() };
        let entities =
            EntityQuery { page_size: 1_000, state: true, transient: true, ..EntityQuery::default() };
        for command in [Command::Query(query), Command::QueryEntities(entities)] {
            let before = self.engine.handle(command.clone(), self.now);
            assert_eq!(before, again.handle(command, self.now), "what was recorded makes the same hub");
        }
    }
}

fn decode<T: Message + Default>(message: &[u8]) -> Option<T> {
    T::decode(message).ok()
}
