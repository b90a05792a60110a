//! Lives through one connection: says hello, opens the stream, and hands on what comes until the stream ends.

use super::activities::Taken;
use super::activity::Activity;
use super::answer::Line;
use super::flight::{Flight, Kind, Ticket};
use super::history::{self, HistoryError};
use super::options::{HistoryLimit, Options};
use super::sized::{self, SizedItem};
use super::staff::Staff;
use super::turns::Item;
use crate::clock::Clock;
use crate::linger::Linger;
use crate::model::Timestamp;
use crate::wire::{self, WorkerCapability, work_item::Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
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
    pub(super) staff: Arc<Staff>,
    pub(super) line: Line,
    pub(super) flight: Flight,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) request: wire::GetWorkItemsRequest,
    pub(super) sticky: bool,
    pub(super) silence: Duration,
    pub(super) linger: Linger,
    /// How many turns and how many entity batches are taken at a time.
    pub(super) most: [usize; 2],
    pub(super) history: HistoryLimit,
    pub(super) histories: Arc<Semaphore>,
    pub(super) told: Told,
}

/// What was warned about already.
#[derive(Default)]
pub(super) struct Told {
    over: [AtomicBool; 3],
    crowded: AtomicBool,
}

fn is_first(told: &AtomicBool) -> bool {
    !told.swap(true, Ordering::Relaxed)
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
    pub(super) async fn open(&self) -> Result<Streaming<SizedItem>, Status> {
        let late = self.clock.sleep_until(self.clock.now().plus(HELLO));
        let mut greeting = self.line.stub();
        tokio::select! {
            biased;
            hello = greeting.hello(()) => drop(hello?),
            () = late => return Err(Status::deadline_exceeded("the scheduler did not say hello")),
        }
        let mut request = tonic::Request::new(self.request.clone());
        if self.sticky {
            request.metadata_mut().insert(STICKY, MetadataValue::from_static("1"));
        }
        sized::open(self.line.transport(), request, self.line.limit()).await
    }

    /// Hands on what comes until the stream ends.
    pub(super) async fn receive(&self, stream: &mut Streaming<SizedItem>) -> Ended {
        let mut heard = None;
        let opened = self.clock.now();
        let mut alarm = self.clock.sleep_until(opened.plus(self.silence));
        // Activities that came together go to their lane together.
        let mut quick = Vec::new();
        loop {
            if !self.flight.has_room() {
                self.staff.turns.poll(&mut quick);
                self.wait_for_room().await;
                // The worker did not listen: it was not the stream that was silent.
                heard = Some(self.clock.now());
            }
            let message = tokio::select! {
                biased;
                message = stream.message() => message,
                () = std::future::ready(()), if !quick.is_empty() => {
                    self.staff.turns.poll(&mut quick);
                    continue;
                }
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
                Ok(Some(SizedItem { item, bytes })) => {
                    heard = Some(self.clock.now());
                    self.hand_on(item, bytes, &mut quick);
                }
                Ok(None) => return Ended::Closed { heard: heard.is_some() },
                Err(status) => return Ended::Failed { status, opened: true },
            }
        }
    }

    /// Leaves the stream unread while the worker has as much as it may have.
    async fn wait_for_room(&self) {
        if is_first(&self.told.crowded) {
            tracing::warn!(
                under_way = self.flight.under_way(),
                "the worker has as many work items, or bytes of them (Worker::max_bytes), as it may have; it takes the next \
                 when others have ended (said once)"
            );
        }
        self.flight.room().await;
    }

    fn hand_on(&self, item: wire::WorkItem, bytes: usize, quick: &mut Vec<Arc<Activity>>) {
        self.linger.stay_among(self.flight.under_way());
        let token = item.completion_token;
        match item.request {
            Some(Request::ActivityRequest(request)) => {
                let ticket = self.flight.begin(Kind::Activity, bytes);
                match self.staff.activities.take(request, token, ticket) {
                    Taken::Yes => {}
                    Taken::ByLane(activity) => quick.push(activity),
                    Taken::Full(token) => self.is_over_limit(Kind::Activity, token),
                }
            }
            Some(Request::OrchestratorRequest(request)) => {
                if self.flight.unanswered(Kind::Turn) >= self.most[0] {
                    return self.is_over_limit(Kind::Turn, token);
                }
                let ticket = self.flight.begin(Kind::Turn, bytes);
                if request.requires_history_streaming {
                    self.fetch_history(request, token, ticket);
                } else {
                    self.staff.turns.push(Item::Turn(Box::new(request)), token, ticket, None);
                }
            }
            Some(Request::EntityRequestV2(request)) => {
                if self.flight.unanswered(Kind::Batch) >= self.most[1] {
                    return self.is_over_limit(Kind::Batch, token);
                }
                let ticket = self.flight.begin(Kind::Batch, bytes);
                self.staff.turns.push(Item::Batch(Box::new(request)), token, ticket, None);
            }
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

    /// The scheduler has handed out more than the worker asked for, and than it keeps in reserve.
    fn is_over_limit(&self, kind: Kind, token: String) {
        if is_first(&self.told.over[kind as usize]) {
            let (what, limit) = match kind {
                Kind::Turn => ("turns", "max_turns"),
                Kind::Batch => ("entity batches", "max_entities"),
                Kind::Activity => ("activities", "max_activities"),
            };
            tracing::warn!(
                "the scheduler hands out more {what} than twice what this worker asked for (Worker::{limit}); \
                 what is more is given back (said once)"
            );
        }
        self.give_back(kind, token);
    }

    /// Fetches the past of a turn, and gives the turn back where that fails.
    fn fetch_history(&self, mut request: wire::OrchestratorRequest, token: String, mut ticket: Ticket) {
        let (line, staff, limit) = (self.line.clone(), Arc::clone(&self.staff), self.history);
        let (clock, histories) = (Arc::clone(&self.clock), Arc::clone(&self.histories));
        tokio::spawn(async move {
            // It is never closed.
            let permit = histories.acquire_owned().await.ok();
            match history::fetch(line.stub(), &request, limit, &*clock, |bytes| ticket.grow(bytes)).await {
                Ok(events) => {
                    request.past_events = events;
                    request.requires_history_streaming = false;
                    staff.turns.push(Item::Turn(Box::new(request)), token, ticket, permit);
                }
                Err(error) => {
                    drop(permit);
                    give_up_turn(&request.instance_id, &error);
                    if error.is_over_limit() {
                        clock.sleep_until(clock.now().plus(history::PAUSE)).await;
                    }
                    line.abandon(Kind::Turn, token).await;
                }
            }
        });
    }

    fn give_back(&self, kind: Kind, token: String) {
        let (line, ticket) = (self.line.clone(), self.flight.begin_call());
        tokio::spawn(async move {
            line.abandon(kind, token).await;
            drop(ticket);
        });
    }
}

fn give_up_turn(instance: &str, error: &HistoryError) {
    tracing::warn!(instance, "a turn is given back: {error}");
}
