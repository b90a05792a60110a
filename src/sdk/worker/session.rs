//! Lives through one connection: says hello, opens the stream, and hands on what comes until the stream ends.

use super::answer::Kind;
use super::options::Options;
use super::perform::Performer;
use super::turns::{Item, Turns};
use crate::clock::Clock;
use crate::linger::Linger;
use crate::model::Timestamp;
use crate::sdk::connect::Stub;
use crate::wire::{self, WorkerCapability, work_item::Request};
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::{Status, Streaming};

/// How long a scheduler may take to say hello.
const HELLO: Duration = Duration::from_secs(30);
/// Says that this worker keeps orchestrations between turns and asks for history when it needs it. A private word
/// between this worker and this repository's emulator; nobody else knows it, and nobody else is touched by it.
/// `emulator/service/metadata.rs` reads it.
const STICKY: &str = "x-taskhub-sticky";

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// The scheduler closed the stream; `heard` says whether anything had come.
    Closed { heard: bool },
    /// It failed, or could not be opened.
    Failed { status: Status, opened: bool },
    /// Nothing came for too long, not even a ping.
    Silent,
}

/// What a session needs, for as long as the worker lives.
pub(super) struct Desk {
    pub(super) performer: Performer,
    pub(super) turns: Arc<Turns>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) request: wire::GetWorkItemsRequest,
    pub(super) sticky: bool,
    pub(super) silence: Duration,
    pub(super) linger: Linger,
}

/// What the worker tells the scheduler about itself.
pub(super) fn offer(
    options: &Options,
    id: &str,
    filters: Option<wire::WorkItemFilters>,
) -> wire::GetWorkItemsRequest {
    let mut request = wire::GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: Options::limit(options.max_turns),
        max_concurrent_activity_work_items: Options::limit(options.max_activities),
        max_concurrent_entity_work_items: Options::limit(options.max_entities),
        work_item_filters: filters,
        worker_instance_id: id.to_owned(),
        ..Default::default()
    };
    if options.history_streaming {
        request.capabilities.push(WorkerCapability::HistoryStreaming.into());
    }
    request
}

impl Desk {
    /// Opens the stream of work items; once this returns, the scheduler has accepted it.
    pub(super) async fn open(&self, mut stub: Stub) -> Result<Streaming<wire::WorkItem>, Status> {
        let late = self.clock.sleep_until(self.clock.now().plus(HELLO));
        let mut greeting = stub.clone();
        tokio::select! {
            biased;
            hello = greeting.hello(()) => drop(hello?),
            () = late => return Err(Status::deadline_exceeded("the scheduler did not say hello")),
        }
        let mut request = tonic::Request::new(self.request.clone());
        if self.sticky {
            request.metadata_mut().insert(STICKY, MetadataValue::from_static("1"));
        }
        Ok(stub.get_work_items(request).await?.into_inner())
    }

    /// Hands on what comes until the stream ends.
    pub(super) async fn receive(&self, stream: &mut Streaming<wire::WorkItem>) -> Ended {
        let mut heard = None;
        let opened = self.clock.now();
        let mut alarm = self.clock.sleep_until(opened.plus(self.silence));
        loop {
            let message = tokio::select! {
                biased;
                message = stream.message() => message,
                () = &mut alarm => {
                    let last: Timestamp = heard.unwrap_or(opened);
                    if self.clock.now().since(last) >= self.silence {
                        return Ended::Silent;
                    }
                    alarm = self.clock.sleep_until(last.plus(self.silence));
                    continue;
                }
            };
            match message {
                Ok(Some(item)) => {
                    heard = Some(self.clock.now());
                    self.hand_on(item);
                }
                Ok(None) => return Ended::Closed { heard: heard.is_some() },
                Err(status) => return Ended::Failed { status, opened: true },
            }
        }
    }

    fn hand_on(&self, item: wire::WorkItem) {
        self.linger.stay_among(self.performer.flight.under_way());
        let token = item.completion_token;
        match item.request {
            Some(Request::ActivityRequest(request)) => self.performer.begin(request, token),
            Some(Request::OrchestratorRequest(request)) if request.requires_history_streaming => {
                self.fetch_history(request, token);
            }
            Some(Request::OrchestratorRequest(request)) => {
                self.turns.push(Item::Turn(Box::new(request)), token);
            }
            Some(Request::EntityRequestV2(request)) => self.turns.push(Item::Batch(Box::new(request)), token),
            Some(Request::EntityRequest(_)) => {
                tracing::warn!(
                    "the scheduler sent an entity batch of the old kind, which cannot be answered; it is given back"
                );
                self.give_back(Kind::Batch, token);
            }
            Some(Request::HealthPing(_)) => {}
            None => tracing::debug!("a work item of a kind that this worker does not know was passed over"),
        }
    }

    /// Fetches the past of a turn, and gives the turn back where that fails.
    fn fetch_history(&self, mut request: wire::OrchestratorRequest, token: String) {
        let (line, turns, ticket) =
            (self.performer.line.clone(), Arc::clone(&self.turns), self.performer.flight.begin());
        tokio::spawn(async move {
            match past(line.stub(), &request).await {
                Ok(events) => {
                    request.past_events = events;
                    request.requires_history_streaming = false;
                    turns.push(Item::Turn(Box::new(request)), token);
                }
                Err(status) => {
                    tracing::warn!(
                        instance = request.instance_id,
                        said = status.message(),
                        "a history could not be fetched; its turn is given back"
                    );
                    line.abandon(Kind::Turn, token).await;
                }
            }
            drop(ticket);
        });
    }

    fn give_back(&self, kind: Kind, token: String) {
        let (line, ticket) = (self.performer.line.clone(), self.performer.flight.begin());
        tokio::spawn(async move {
            line.abandon(kind, token).await;
            drop(ticket);
        });
    }
}

/// The past of a turn whose history does not come with it.
async fn past(
    mut stub: Stub,
    request: &wire::OrchestratorRequest,
) -> Result<Vec<wire::HistoryEvent>, Status> {
    let ask = wire::StreamInstanceHistoryRequest {
        instance_id: request.instance_id.clone(),
        execution_id: request.execution_id.clone(),
        for_work_item_processing: true,
    };
    let mut chunks = stub.stream_instance_history(ask).await?.into_inner();
    let mut events = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        events.extend(chunk.events);
    }
    Ok(events)
}
