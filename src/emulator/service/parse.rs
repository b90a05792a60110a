//! Parses requests into commands, and refuses invalid ones.

use super::Service;
use super::metadata::Sdk;
use crate::emulator::engine::command::{Command, EntityQuery, ListIds, PurgeTarget, Query, Refusal};
use crate::emulator::engine::limit::{self, Limit};
use crate::model::{InstanceId, Statuses, Timestamp};
use crate::wire::{self, purge_instances_request::Request as Target};

/// How many instances are on a page by default, and at most.
const PAGE: usize = 100;
const MOST_ON_A_PAGE: usize = 1_000;
/// How many ids one batch may name (protocol/instances.md#purge).
const MOST_IN_A_BATCH: usize = 500;
/// How many instances a filter purge visits before the hub serves other calls.
pub(super) const PURGE_SLICE: usize = 1_000;

type Parsed = Result<Command, Refusal>;

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::Invalid { what: what.into() }
}

fn page(asked: i32) -> usize {
    usize::try_from(asked).ok().filter(|asked| *asked > 0).map_or(PAGE, |asked| asked.min(MOST_ON_A_PAGE))
}

fn moment(wire: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    wire.as_ref().map(Timestamp::from_wire)
}

/// The cursor of a page. Some SDKs send "" for the first page.
fn cursor(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

impl Service {
    /// Refuses a payload above the limit.
    fn payload(&self, what: &str, payload: Option<&String>) -> Result<(), Refusal> {
        Limit(self.max_payload).why_not(what, payload).map_or(Ok(()), |wrong| Err(invalid(wrong)))
    }

    /// Refuses a reason of a suspension, a resumption or a rewind above the limit.
    pub(super) fn reason(&self, reason: Option<&String>) -> Result<(), Refusal> {
        self.payload("reason", reason)
    }

    pub(super) fn parse_start(&self, request: wire::CreateInstanceRequest) -> Parsed {
        self.capacity.check()?;
        self.payload("input", request.input.as_ref())?;
        bounded(limit::name("orchestration's name", &request.name))?;
        bounded(limit::name("version", request.version.as_deref().unwrap_or_default()))?;
        bounded(limit::name("execution id", request.execution_id.as_deref().unwrap_or_default()))?;
        bounded(limit::tags(&request.tags))?;
        let id = match request.instance_id.as_str() {
            "" => None,
            id => Some(InstanceId::parse(id)?),
        };
        Ok(Command::Start { id, request: Box::new(request) })
    }

    pub(super) fn parse_raise(&self, request: wire::RaiseEventRequest) -> Parsed {
        self.capacity.check()?;
        self.payload("event's data", request.input.as_ref())?;
        bounded(limit::name("event's name", &request.name))?;
        let id = InstanceId::unchecked(request.instance_id);
        Ok(Command::Raise { id, name: request.name, input: request.input })
    }

    pub(super) fn parse_terminate(&self, request: wire::TerminateRequest) -> Parsed {
        self.payload("output", request.output.as_ref())?;
        Ok(Command::Terminate {
            id: InstanceId::unchecked(request.instance_id),
            output: request.output,
            recursive: request.recursive,
        })
    }

    pub(super) fn parse_signal(&self, request: wire::SignalEntityRequest) -> Parsed {
        self.capacity.check()?;
        self.payload("input", request.input.as_ref())?;
        bounded(limit::name("operation's name", &request.name))?;
        Ok(Command::SignalEntity {
            id: InstanceId::parse_entity(&request.instance_id)?,
            operation: request.name,
            input: request.input,
            request_id: request.request_id,
            at: request.scheduled_time,
        })
    }
}

/// The refusal for a name or tags above a limit.
fn bounded(wrong: Option<String>) -> Result<(), Refusal> {
    wrong.map_or(Ok(()), |wrong| Err(invalid(wrong)))
}

pub(super) fn get(request: wire::GetInstanceRequest) -> Command {
    Command::Get { id: InstanceId::unchecked(request.instance_id), payloads: request.get_inputs_and_outputs }
}

pub(super) fn query(request: wire::QueryInstancesRequest) -> Command {
    let query = request.query.unwrap_or_default();
    Command::Query(Query {
        statuses: Statuses::from_wire(&query.runtime_status),
        created_from: moment(query.created_time_from),
        created_to: moment(query.created_time_to),
        page_size: page(query.max_instance_count),
        payloads: query.fetch_inputs_and_outputs,
        id_prefix: query.instance_id_prefix.unwrap_or_default(),
        after: cursor(query.continuation_token),
    })
}

/// A client walks over the ids of ended instances until a page says that it is the last.
///
/// .NET's export sends an empty key at first and ends on an empty page alone; JavaScript's and Python's exports send none
/// at first and begin anew after a filled page without a key; Python's plain client wants none with its last page (R37,
/// R77).
pub(super) fn list_ids(request: wire::ListInstanceIdsRequest, sdk: Sdk) -> Command {
    let exports = match sdk {
        Sdk::JavaScript | Sdk::Python => true,
        Sdk::Java | Sdk::PlainGo | Sdk::Other => request.last_instance_key.as_deref() == Some(""),
    };
    Command::ListIds(ListIds {
        statuses: Statuses::from_wire(&request.runtime_status),
        completed_from: moment(request.completed_time_from),
        completed_to: moment(request.completed_time_to),
        page_size: page(request.page_size),
        until_empty: exports,
        after: cursor(request.last_instance_key),
    })
}

pub(super) fn query_entities(request: wire::QueryEntitiesRequest) -> Command {
    let query = request.query.unwrap_or_default();
    Command::QueryEntities(EntityQuery {
        id_prefix: query.instance_id_starts_with.unwrap_or_default(),
        modified_from: moment(query.last_modified_from),
        modified_to: moment(query.last_modified_to),
        state: query.include_state,
        transient: query.include_transient,
        page_size: page(query.page_size.unwrap_or_default()),
        after: cursor(query.continuation_token),
    })
}

/// The target of a purge, and for a filter its timeout.
pub(super) fn purge(
    request: wire::PurgeInstancesRequest,
) -> Result<(PurgeTarget, Option<std::time::Duration>), Refusal> {
    match request.request {
        None => Err(invalid("the purge has no target: give an instance id, a batch or a filter")),
        Some(Target::InstanceId(id)) => {
            let id = InstanceId::unchecked(id);
            // A purge of an orchestration leaves an entity with that id alone (protocol/instances.md#purge).
            let mistaken = request.is_orchestration && id.is_entity();
            Ok((if mistaken { PurgeTarget::Batch(Vec::new()) } else { PurgeTarget::One(id) }, None))
        }
        Some(Target::InstanceBatch(batch)) => {
            let count = batch.instance_ids.len();
            if count > MOST_IN_A_BATCH {
                return Err(invalid(format!(
                    "the batch names {count} instances; at most {MOST_IN_A_BATCH} are allowed"
                )));
            }
            let ids = batch.instance_ids.into_iter().map(InstanceId::unchecked).collect();
            Ok((PurgeTarget::Batch(ids), None))
        }
        Some(Target::PurgeInstanceFilter(filter)) => {
            let target = PurgeTarget::Filter {
                statuses: Statuses::from_wire(&filter.runtime_status),
                created_from: moment(filter.created_time_from),
                created_to: moment(filter.created_time_to),
                at_most: PURGE_SLICE,
            };
            Ok((target, filter.timeout.and_then(|timeout| timeout.try_into().ok())))
        }
    }
}
