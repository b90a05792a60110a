//! Serves one stream of work items: opens it, and hands each work item to its executor until the stream ends.

use super::activities::Accepted;
use super::activity::RunningActivity;
use super::completion::SchedulerClient;
use super::executors::Executors;
use super::history::{self, HistoryError};
use super::in_flight::{InFlight, InFlightGuard, WorkItemKind};
use super::options::{HistoryLimit, Options};
use super::sized::{self, SizedItem};
use super::turn_thread;
use super::turns::TurnOrBatch;
use crate::busy_wait::BusyWait;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::model::extension::STICKY_HEADER;
use crate::wire::{self, WorkerCapability, work_item::Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::metadata::MetadataValue;
use tonic::{Status, Streaming};

/// How long a scheduler may take to say hello.
const HELLO: Duration = Duration::from_secs(30);

/// Why a stream of work items has ended.
#[derive(Debug)]
pub(super) enum StreamEnd {
    /// The scheduler closed the stream; `heard` says whether anything had come.
    Closed { heard: bool },
    /// It failed, or could not be opened.
    Failed { status: Status, opened: bool },
    /// Nothing came for too long, not even a ping.
    Silent,
}

/// What serving a stream needs; it outlives the single stream.
pub(super) struct Session {
    pub(super) executors: Arc<Executors>,
    pub(super) scheduler: SchedulerClient,
    pub(super) in_flight: InFlight,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) request: wire::GetWorkItemsRequest,
    pub(super) sticky: bool,
    pub(super) silence: Duration,
    pub(super) busy_wait: BusyWait,
    /// How many turns and how many entity batches are taken at a time.
    pub(super) most: [usize; 2],
    pub(super) history: HistoryLimit,
    pub(super) histories: Arc<Semaphore>,
    pub(super) warned: WarnedOnce,
}

/// Which warnings were given already; each is given once.
#[derive(Default)]
pub(super) struct WarnedOnce {
    over: [AtomicBool; 3],
    reader_waits: AtomicBool,
}

fn is_first(told: &AtomicBool) -> bool {
    !told.swap(true, Ordering::Relaxed)
}

/// The request that opens the stream: it tells the scheduler what this worker takes.
pub(super) fn work_items_request(
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

impl Session {
    /// Opens the stream of work items; once this returns, the scheduler has accepted it.
    pub(super) async fn open(&self) -> Result<Streaming<SizedItem>, Status> {
        let late = self.clock.sleep_until(self.clock.now().plus(HELLO));
        let mut greeting = self.scheduler.stub();
        tokio::select! {
            biased;
            hello = greeting.hello(()) => drop(hello?),
            () = late => return Err(Status::deadline_exceeded("the scheduler did not say hello")),
        }
        let mut request = tonic::Request::new(self.request.clone());
        if self.sticky {
            request.metadata_mut().insert(STICKY_HEADER, MetadataValue::from_static("1"));
        }
        sized::open(self.scheduler.transport(), request, self.scheduler.limit()).await
    }

    /// Hands the work items of the stream to their executors until the stream ends.
    pub(super) async fn receive(&self, stream: &mut Streaming<SizedItem>) -> StreamEnd {
        let mut heard = None;
        let opened = self.clock.now();
        let mut alarm = self.clock.sleep_until(opened.plus(self.silence));
        // Activities that arrived together go to the turn thread together.
        let mut quick = Vec::new();
        loop {
            if !self.in_flight.has_room() {
                self.executors.turns.poll(&mut quick);
                self.wait_for_room().await;
                // The worker did not listen: it was not the stream that was silent.
                heard = Some(self.clock.now());
            }
            let message = tokio::select! {
                biased;
                message = stream.message() => message,
                () = std::future::ready(()), if !quick.is_empty() => {
                    self.executors.turns.poll(&mut quick);
                    continue;
                }
                () = &mut alarm => {
                    let last: Timestamp = heard.unwrap_or(opened);
                    if self.clock.now().since(last) >= self.silence {
                        return StreamEnd::Silent;
                    }
                    alarm = self.clock.sleep_until(last.plus(self.silence));
                    continue;
                }
            };
            match message {
                Ok(Some(SizedItem { item, bytes })) => {
                    heard = Some(self.clock.now());
                    self.hand_on(item, bytes, &mut quick);
                    if quick.len() >= turn_thread::BATCH {
                        self.executors.turns.poll(&mut quick);
                        // The turn thread leaves the runtime now, and does not first read all that has arrived.
                        tokio::task::yield_now().await;
                    }
                }
                Ok(None) => return StreamEnd::Closed { heard: heard.is_some() },
                Err(status) => return StreamEnd::Failed { status, opened: true },
            }
        }
    }

    /// Leaves the stream unread while the worker has as much as it may have.
    async fn wait_for_room(&self) {
        if is_first(&self.warned.reader_waits) {
            tracing::warn!(
                under_way = self.in_flight.under_way(),
                "the worker has as many work items, or bytes of them (Worker::max_bytes), as it may have; it takes the next \
                 when others have ended (said once)"
            );
        }
        self.in_flight.until_room().await;
    }

    fn hand_on(&self, item: wire::WorkItem, bytes: usize, quick: &mut Vec<Arc<RunningActivity>>) {
        // A ping brings no work, and nothing follows it.
        if !matches!(item.request, Some(Request::HealthPing(_))) {
            self.busy_wait.extend_if_few(self.in_flight.under_way());
        }
        let token = item.completion_token;
        match item.request {
            Some(Request::ActivityRequest(request)) => {
                let guard = self.in_flight.begin(WorkItemKind::Activity, bytes);
                match self.executors.activities.take(request, token, guard) {
                    Accepted::Yes => {}
                    Accepted::ForTurnThread(activity) => quick.push(activity),
                    Accepted::Full(token) => self.is_over_limit(WorkItemKind::Activity, token),
                }
            }
            Some(Request::OrchestratorRequest(request)) => {
                if self.in_flight.unanswered(WorkItemKind::Turn) >= self.most[0] {
                    return self.is_over_limit(WorkItemKind::Turn, token);
                }
                let guard = self.in_flight.begin(WorkItemKind::Turn, bytes);
                if request.requires_history_streaming {
                    self.fetch_history(request, token, guard);
                } else {
                    self.executors.turns.push(TurnOrBatch::Turn(Box::new(request)), token, guard, None);
                }
            }
            Some(Request::EntityRequestV2(request)) => {
                if self.in_flight.unanswered(WorkItemKind::Batch) >= self.most[1] {
                    return self.is_over_limit(WorkItemKind::Batch, token);
                }
                let guard = self.in_flight.begin(WorkItemKind::Batch, bytes);
                self.executors.turns.push(TurnOrBatch::Batch(Box::new(request)), token, guard, None);
            }
            Some(Request::EntityRequest(_)) => {
                tracing::warn!(
                    "the scheduler sent an entity batch of the old kind, which cannot be answered; it is given back"
                );
                self.give_back(WorkItemKind::Batch, token);
            }
            Some(Request::HealthPing(_)) => {}
            None => tracing::debug!("a work item of a kind that this worker does not know was passed over"),
        }
    }

    /// The scheduler has handed out more than the worker asked for, and than it keeps in reserve.
    fn is_over_limit(&self, kind: WorkItemKind, token: String) {
        if is_first(&self.warned.over[kind as usize]) {
            let (what, limit) = match kind {
                WorkItemKind::Turn => ("turns", "max_turns"),
                WorkItemKind::Batch => ("entity batches", "max_entities"),
                WorkItemKind::Activity => ("activities", "max_activities"),
            };
            tracing::warn!(
                "the scheduler hands out more {what} than twice what this worker asked for (Worker::{limit}); \
                 what is more is given back (said once)"
            );
        }
        self.give_back(kind, token);
    }

    /// Fetches the past of a turn, and gives the turn back where that fails.
    fn fetch_history(&self, mut request: wire::OrchestratorRequest, token: String, mut guard: InFlightGuard) {
        let (scheduler, executors, limit) =
            (self.scheduler.clone(), Arc::clone(&self.executors), self.history);
        let (clock, histories) = (Arc::clone(&self.clock), Arc::clone(&self.histories));
        tokio::spawn(async move {
            // It is never closed.
            let permit = histories.acquire_owned().await.ok();
            match history::fetch(scheduler.stub(), &request, limit, &*clock, |bytes| guard.grow(bytes)).await
            {
                Ok(events) => {
                    request.past_events = events;
                    request.requires_history_streaming = false;
                    executors.turns.push(TurnOrBatch::Turn(Box::new(request)), token, guard, permit);
                }
                Err(error) => {
                    drop(permit);
                    give_up_turn(&request.instance_id, &error);
                    if error.is_over_limit() {
                        clock.sleep_until(clock.now().plus(history::PAUSE)).await;
                    }
                    scheduler.abandon(WorkItemKind::Turn, token).await;
                }
            }
        });
    }

    fn give_back(&self, kind: WorkItemKind, token: String) {
        let (scheduler, guard) = (self.scheduler.clone(), self.in_flight.begin_call());
        tokio::spawn(async move {
            scheduler.abandon(kind, token).await;
            drop(guard);
        });
    }
}

fn give_up_turn(instance: &str, error: &HistoryError) {
    tracing::warn!(instance, "a turn is given back: {error}");
}
