//! Runs turns and entity batches on turn threads, and fails the turns that do not end.

use super::activities::Activities;
use super::activity::RunningActivity;
use super::completion::{ResultSender, WorkResult, failed_turn};
use super::handoff::Handoff;
use super::in_flight::{InFlight, InFlightGuard, WorkItemKind};
use super::lru::LruCache;
use super::options::Options;
use super::stopped::Left;
use super::turn_thread::{
    Job, JobFunction, JobHandle, JobReport, SpareThreads, TurnLimits, TurnThread, TurnThreadPlan, WaitMode,
};
use crate::clock::Clock;
use crate::model::{Timestamp, failure};
use crate::sdk::registry::{Cached, Registry, run_entity_batch, run_turn};
use crate::wire;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// From how many events or operations on a work item counts as long: each takes about a microsecond, and what users
/// do with them; to hand the runtime over and back takes about a hundred.
const LONG: usize = 256;

/// From how many work items in flight the connection alone keeps a thread busy.
const MUCH: usize = 128;

/// The type of the failure of an orchestration whose turn never yielded.
pub const STUCK: &str = "OrchestratorStuck";

/// A work item for a turn thread.
pub(super) enum TurnOrBatch {
    Turn(Box<wire::OrchestratorRequest>),
    Batch(Box<wire::EntityRequest>),
}

impl TurnOrBatch {
    fn instance_id(&self) -> &str {
        match self {
            Self::Turn(request) => &request.instance_id,
            Self::Batch(request) => &request.instance_id,
        }
    }
}

/// A job of a turn thread.
pub(super) enum TurnJob {
    Item {
        item: TurnOrBatch,
        token: String,
        guard: Option<InFlightGuard>,
        /// Counts a history that was fetched, until the turn begins.
        history: Option<OwnedSemaphorePermit>,
    },
    /// A quick activity to poll.
    Activity(Arc<RunningActivity>),
}

/// What a job that never ends is failed by.
pub(super) enum TurnJobHandle {
    Item {
        kind: WorkItemKind,
        instance_id: String,
        token: String,
        guard: Option<InFlightGuard>,
    },
    /// An activity sends its own result, and is named among the activities.
    Activity,
}

impl JobHandle for TurnJobHandle {
    type Subject = Left;

    fn subject(&self) -> Option<Left> {
        let Self::Item { kind, instance_id, .. } = self else { return None };
        let instance_id = instance_id.clone();
        Some(if *kind == WorkItemKind::Turn {
            Left::Turn { instance_id }
        } else {
            Left::Batch { instance_id }
        })
    }

    fn must_yield(&self) -> bool {
        matches!(self, Self::Item { .. })
    }
}

/// The result of a job; it has no completion token yet.
pub(super) enum TurnJobResult {
    Turn(Box<wire::OrchestratorResponse>),
    Batch(Box<wire::EntityBatchResult>),
    Abandon,
    /// An activity was polled; it sends its own result.
    Polled,
}

impl Job for TurnJob {
    type Handle = TurnJobHandle;
    type Result = TurnJobResult;

    fn handle(&mut self) -> TurnJobHandle {
        match self {
            Self::Item { item, token, guard, .. } => TurnJobHandle::Item {
                kind: match item {
                    TurnOrBatch::Turn(_) => WorkItemKind::Turn,
                    TurnOrBatch::Batch(_) => WorkItemKind::Batch,
                },
                instance_id: item.instance_id().to_owned(),
                token: std::mem::take(token),
                guard: guard.take(),
            },
            Self::Activity(_) => TurnJobHandle::Activity,
        }
    }

    fn is_long(&self) -> bool {
        let length = match self {
            Self::Item { item: TurnOrBatch::Turn(request), .. } => {
                request.past_events.len() + request.new_events.len()
            }
            Self::Item { item: TurnOrBatch::Batch(request), .. } => request.operation_requests.len(),
            Self::Activity(_) => 0,
        };
        length >= LONG
    }

    fn may_leave(&self) -> bool {
        matches!(self, Self::Activity(_))
    }
}

/// The turn threads of one worker.
pub(super) struct Turns {
    threads: Vec<TurnThread<TurnJob>>,
    activities: Arc<Activities>,
    done: ResultSender,
}

impl Turns {
    pub(super) fn start(
        registry: &Arc<Registry>,
        options: &Options,
        clock: &Arc<dyn Clock>,
        in_flight: InFlight,
        handoff: &Arc<Handoff>,
        (activities, done): (&Arc<Activities>, ResultSender),
    ) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let capacity = options.sticky.div_ceil(threads);
        let (registry, performed) = (Arc::clone(registry), Arc::clone(activities));
        let plan = Arc::new(TurnThreadPlan {
            work: Box::new(move || work(Arc::clone(&registry), Arc::clone(&performed), capacity)),
            deliver: deliver(done.clone()),
            is_swamped: Box::new(move || in_flight.under_way() >= MUCH),
            clock: Arc::clone(clock),
            spare: SpareThreads::new(options.stuck_threads),
        });
        let wait_mode = if threads == 1 { WaitMode::Driving(Arc::clone(handoff)) } else { WaitMode::Asleep };
        let turn_threads = (0..threads)
            .map(|index| {
                TurnThread::start(format!("taskhub-turns-{index}"), Arc::clone(&plan), wait_mode.clone())
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { threads: turn_threads, activities: Arc::clone(activities), done })
    }

    /// Puts a work item into the queue of its instance's turn thread.
    pub(super) fn push(
        &self,
        item: TurnOrBatch,
        token: String,
        guard: InFlightGuard,
        history: Option<OwnedSemaphorePermit>,
    ) {
        let thread = &self.threads[place(item.instance_id(), self.threads.len())];
        thread.push([TurnJob::Item { item, token, guard: Some(guard), history }]);
    }

    /// Puts quick activities into the queue of the first turn thread.
    pub(super) fn poll(&self, activities: &mut Vec<Arc<RunningActivity>>) {
        self.threads[0].push(activities.drain(..).map(TurnJob::Activity));
    }

    /// Checks the turn threads once.
    pub(super) fn look(&self, limits: &TurnLimits) {
        for found in self.threads.iter().flat_map(|thread| thread.look(limits)) {
            match found {
                JobReport::Slow(what) => tracing::warn!(
                    limit = ?limits.slow,
                    "{what} does not yield: orchestrators and entities must not compute long or block; move that into \
                     an activity"
                ),
                JobReport::Stuck(handle) => self.give_up(handle, limits),
                JobReport::Full(threads) => tracing::error!(
                    threads,
                    "turns that do not yield keep as many threads as they may (Worker::stuck_threads), and a thread that \
                     spins cannot be ended: other turns of this worker wait until one of them ends. Restart the process"
                ),
            }
        }
        for held_up in self.threads.iter().flat_map(TurnThread::take_held_up) {
            match held_up {
                TurnJob::Activity(activity) => self.activities.queue(activity),
                // A turn stays on its thread.
                TurnJob::Item { .. } => {}
            }
        }
    }

    /// An orchestrator that never yields would never yield again: its orchestration fails.
    fn give_up(&self, handle: TurnJobHandle, limits: &TurnLimits) {
        let limit = limits.stuck.unwrap_or_default();
        let TurnJobHandle::Item { kind, instance_id, token, guard } = handle else { return };
        tracing::error!(instance = instance_id, ?limit, "a turn never yielded; its thread is given up");
        let message = format!(
            "'{instance_id}' did not yield for {limit:?}: orchestrators and entities must not compute long or block; \
             move that into an activity"
        );
        let details = failure::not_retriable(STUCK, message);
        let answer = if kind == WorkItemKind::Turn {
            WorkResult::Turn(Box::new(failed_turn(instance_id, token, details)))
        } else {
            WorkResult::Batch(Box::new(wire::EntityBatchResult {
                failure_details: Some(details),
                completion_token: token,
                ..Default::default()
            }))
        };
        send(&self.done, answer, guard);
    }

    /// Names the turns and batches that run.
    pub(super) fn subjects(&self) -> Vec<Left> {
        self.threads.iter().flat_map(TurnThread::subjects).collect()
    }

    /// Ends each thread after what it runs.
    pub(super) fn close(&self) {
        self.threads.iter().for_each(TurnThread::close);
    }
}

fn send(done: &ResultSender, answer: WorkResult, guard: Option<InFlightGuard>) {
    if let Some(mut guard) = guard {
        guard.answered();
        // The receiver is gone once the worker has stopped.
        drop(done.send((answer, guard)));
    }
}

/// Made outside of [`Turns::start`], so that it borrows nothing.
fn deliver(done: ResultSender) -> Box<dyn Fn(TurnJobResult, TurnJobHandle) + Send + Sync> {
    Box::new(move |outcome, handle| {
        let TurnJobHandle::Item { kind, token, guard, .. } = handle else { return };
        let answer = match outcome {
            TurnJobResult::Turn(mut response) => {
                response.completion_token = token;
                WorkResult::Turn(response)
            }
            TurnJobResult::Batch(mut result) => {
                result.completion_token = token;
                WorkResult::Batch(result)
            }
            TurnJobResult::Abandon => WorkResult::Abandon(kind, token),
            TurnJobResult::Polled => return,
        };
        send(&done, answer, guard);
    })
}

/// The function that a turn thread runs jobs with: it owns the orchestrators that wait for their next turn.
fn work(registry: Arc<Registry>, activities: Arc<Activities>, capacity: usize) -> JobFunction<TurnJob> {
    let mut cached_orchestrations: LruCache<Cached> = LruCache::new(capacity);
    Box::new(move |job, since: Timestamp| {
        let item = match job {
            TurnJob::Activity(activity) => {
                activities.poll_here(&activity, since);
                return TurnJobResult::Polled;
            }
            TurnJob::Item { item, history, .. } => {
                drop(history);
                item
            }
        };
        match item {
            TurnOrBatch::Turn(request) => {
                let id = request.instance_id.clone();
                let cached = cached_orchestrations.take(&id);
                let outcome = run_turn(&registry, *request, cached);
                if outcome.abandon {
                    return TurnJobResult::Abandon;
                }
                if let Some(cached) = outcome.cached {
                    cached_orchestrations.put(id, cached);
                }
                if let Some(fault) = outcome.fault {
                    tracing::error!(
                        instance = outcome.response.instance_id,
                        error = fault.error_type,
                        "{}",
                        fault.message
                    );
                }
                TurnJobResult::Turn(Box::new(outcome.response))
            }
            TurnOrBatch::Batch(request) => {
                TurnJobResult::Batch(Box::new(run_entity_batch(&registry, *request)))
            }
        }
    })
}

/// Which of `threads` turn threads an instance runs on, the same for each of its turns (FNV-1a).
fn place(id: &str, threads: usize) -> usize {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % threads.max(1) as u64).unwrap_or_default()
}
