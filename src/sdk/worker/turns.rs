//! Runs turns and entity batches in lanes, and answers for turns that do not end.

use super::activities::Activities;
use super::activity::Activity;
use super::answer::{Answer, failed_turn};
use super::baton::Baton;
use super::flight::{Flight, Kind, Ticket};
use super::lane::{Job, Lane, Limits, Look, Plan, Rest, Spare, Stub, Work};
use super::options::Options;
use super::sticky::Sticky;
use super::stopped::Left;
use crate::clock::Clock;
use crate::model::{Timestamp, failure};
use crate::sdk::registry::{Cached, Registry, run_entity_batch, run_turn};
use crate::wire;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// From how many events or operations on a work item counts as long: each takes about a microsecond, and what users
/// do with them; to hand the runtime over and back takes about a hundred.
const LONG: usize = 256;

/// How many work items under way are much: the connection's thread is kept busy by them alone.
const MUCH: usize = 128;

/// The type of the failure of an orchestration whose turn never yielded.
pub const STUCK: &str = "OrchestratorStuck";

/// A work item for a lane.
pub(super) enum Item {
    Turn(Box<wire::OrchestratorRequest>),
    Batch(Box<wire::EntityRequest>),
}

impl Item {
    fn instance_id(&self) -> &str {
        match self {
            Self::Turn(request) => &request.instance_id,
            Self::Batch(request) => &request.instance_id,
        }
    }
}

/// Something for a lane's thread to do.
pub(super) enum Errand {
    Item {
        item: Item,
        token: String,
        ticket: Option<Ticket>,
        /// Counts a history that was fetched, until the turn begins.
        history: Option<OwnedSemaphorePermit>,
    },
    /// A quick activity to poll.
    Activity(Arc<Activity>),
}

/// What answers for an errand that never ends.
pub(super) enum Claim {
    Item {
        kind: Kind,
        instance_id: String,
        token: String,
        ticket: Option<Ticket>,
    },
    /// It answers for itself, and is named among the activities.
    Activity,
}

impl Stub for Claim {
    type Subject = Left;

    fn subject(&self) -> Option<Left> {
        let Self::Item { kind, instance_id, .. } = self else { return None };
        let instance_id = instance_id.clone();
        Some(if *kind == Kind::Turn { Left::Turn { instance_id } } else { Left::Batch { instance_id } })
    }

    fn must_yield(&self) -> bool {
        matches!(self, Self::Item { .. })
    }
}

/// What came of an errand; the answer has no completion token yet.
pub(super) enum Outcome {
    Turn(Box<wire::OrchestratorResponse>),
    Batch(Box<wire::EntityBatchResult>),
    Abandon,
    /// An activity was polled; what came of it is not the lane's to say.
    Polled,
}

impl Job for Errand {
    type Stub = Claim;
    type Result = Outcome;

    fn stub(&mut self) -> Claim {
        match self {
            Self::Item { item, token, ticket, .. } => Claim::Item {
                kind: match item {
                    Item::Turn(_) => Kind::Turn,
                    Item::Batch(_) => Kind::Batch,
                },
                instance_id: item.instance_id().to_owned(),
                token: std::mem::take(token),
                ticket: ticket.take(),
            },
            Self::Activity(_) => Claim::Activity,
        }
    }

    fn is_long(&self) -> bool {
        let length = match self {
            Self::Item { item: Item::Turn(request), .. } => {
                request.past_events.len() + request.new_events.len()
            }
            Self::Item { item: Item::Batch(request), .. } => request.operation_requests.len(),
            Self::Activity(_) => 0,
        };
        length >= LONG
    }

    fn may_leave(&self) -> bool {
        matches!(self, Self::Activity(_))
    }
}

/// The lanes of one worker.
pub(super) struct Turns {
    lanes: Vec<Lane<Errand>>,
    activities: Arc<Activities>,
    done: Outbox,
}

/// Where answers go, to be sent.
pub(super) type Outbox = UnboundedSender<(Answer, Ticket)>;

/// The answers that are to be sent.
pub(super) type Done = UnboundedReceiver<(Answer, Ticket)>;

impl Turns {
    pub(super) fn start(
        registry: &Arc<Registry>,
        options: &Options,
        clock: &Arc<dyn Clock>,
        flight: Flight,
        baton: &Arc<Baton>,
        (activities, done): (&Arc<Activities>, Outbox),
    ) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let capacity = options.sticky.div_ceil(threads);
        let (registry, performed) = (Arc::clone(registry), Arc::clone(activities));
        let plan = Arc::new(Plan {
            work: Box::new(move || work(Arc::clone(&registry), Arc::clone(&performed), capacity)),
            deliver: deliver(done.clone()),
            is_swamped: Box::new(move || flight.under_way() >= MUCH),
            clock: Arc::clone(clock),
            spare: Spare::new(options.stuck_threads),
        });
        let rest = if threads == 1 { Rest::Driving(Arc::clone(baton)) } else { Rest::Asleep };
        let lanes = (0..threads)
            .map(|index| Lane::start(format!("taskhub-turns-{index}"), Arc::clone(&plan), rest.clone()))
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { lanes, activities: Arc::clone(activities), done })
    }

    /// Puts a work item into its instance's lane.
    pub(super) fn push(
        &self,
        item: Item,
        token: String,
        ticket: Ticket,
        history: Option<OwnedSemaphorePermit>,
    ) {
        let lane = &self.lanes[place(item.instance_id(), self.lanes.len())];
        lane.push([Errand::Item { item, token, ticket: Some(ticket), history }]);
    }

    /// Puts quick activities into the first lane.
    pub(super) fn poll(&self, activities: &mut Vec<Arc<Activity>>) {
        self.lanes[0].push(activities.drain(..).map(Errand::Activity));
    }

    /// Looks after the lanes once.
    pub(super) fn look(&self, limits: &Limits) {
        for found in self.lanes.iter().flat_map(|lane| lane.look(limits)) {
            match found {
                Look::Slow(what) => tracing::warn!(
                    limit = ?limits.slow,
                    "{what} does not yield: orchestrators and entities must not compute long or block; move that into \
                     an activity"
                ),
                Look::Stuck(claim) => self.give_up(claim, limits),
                Look::Full(threads) => tracing::error!(
                    threads,
                    "turns that do not yield keep as many threads as they may (Worker::stuck_threads), and a thread that \
                     spins cannot be ended: other turns of this worker wait until one of them ends. Restart the process"
                ),
            }
        }
        for held_up in self.lanes.iter().flat_map(Lane::take_held_up) {
            match held_up {
                Errand::Activity(activity) => self.activities.queue(activity),
                // It may not leave its lane.
                Errand::Item { .. } => {}
            }
        }
    }

    /// An orchestrator that never yields would never yield again: its orchestration fails.
    fn give_up(&self, claim: Claim, limits: &Limits) {
        let limit = limits.stuck.unwrap_or_default();
        let Claim::Item { kind, instance_id, token, ticket } = claim else { return };
        tracing::error!(instance = instance_id, ?limit, "a turn never yielded; its thread is given up");
        let message = format!(
            "'{instance_id}' did not yield for {limit:?}: orchestrators and entities must not compute long or block; \
             move that into an activity"
        );
        let details = failure::not_retriable(STUCK, message);
        let answer = if kind == Kind::Turn {
            Answer::Turn(Box::new(failed_turn(instance_id, token, details)))
        } else {
            Answer::Batch(Box::new(wire::EntityBatchResult {
                failure_details: Some(details),
                completion_token: token,
                ..Default::default()
            }))
        };
        send(&self.done, answer, ticket);
    }

    /// Names the turns and batches that run.
    pub(super) fn subjects(&self) -> Vec<Left> {
        self.lanes.iter().flat_map(Lane::subjects).collect()
    }

    /// Ends each thread after what it runs.
    pub(super) fn close(&self) {
        self.lanes.iter().for_each(Lane::close);
    }
}

fn send(done: &Outbox, answer: Answer, ticket: Option<Ticket>) {
    if let Some(mut ticket) = ticket {
        ticket.answered();
        // The receiver is gone once the worker has stopped.
        drop(done.send((answer, ticket)));
    }
}

/// Made outside of [`Turns::start`], so that it borrows nothing.
fn deliver(done: Outbox) -> Box<dyn Fn(Outcome, Claim) + Send + Sync> {
    Box::new(move |outcome, claim| {
        let Claim::Item { kind, token, ticket, .. } = claim else { return };
        let answer = match outcome {
            Outcome::Turn(mut response) => {
                response.completion_token = token;
                Answer::Turn(response)
            }
            Outcome::Batch(mut result) => {
                result.completion_token = token;
                Answer::Batch(result)
            }
            Outcome::Abandon => Answer::Abandon(kind, token),
            Outcome::Polled => return,
        };
        send(&done, answer, ticket);
    })
}

/// What a lane's thread does: it owns the orchestrators that wait for their next turn.
fn work(registry: Arc<Registry>, activities: Arc<Activities>, capacity: usize) -> Work<Errand> {
    let mut sticky: Sticky<Cached> = Sticky::new(capacity);
    Box::new(move |errand, since: Timestamp| {
        let item = match errand {
            Errand::Activity(activity) => {
                activities.poll_here(&activity, since);
                return Outcome::Polled;
            }
            Errand::Item { item, history, .. } => {
                drop(history);
                item
            }
        };
        match item {
            Item::Turn(request) => {
                let id = request.instance_id.clone();
                let cached = sticky.take(&id);
                let outcome = run_turn(&registry, *request, cached);
                if outcome.abandon {
                    return Outcome::Abandon;
                }
                if let Some(cached) = outcome.cached {
                    sticky.put(id, cached);
                }
                if let Some(fault) = outcome.fault {
                    tracing::error!(
                        instance = outcome.response.instance_id,
                        error = fault.error_type,
                        "{}",
                        fault.message
                    );
                }
                Outcome::Turn(Box::new(outcome.response))
            }
            Item::Batch(request) => Outcome::Batch(Box::new(run_entity_batch(&registry, *request))),
        }
    })
}

/// Which of `lanes` lanes an instance runs in (FNV-1a; a lane must be the same for every turn, nothing more).
fn place(id: &str, lanes: usize) -> usize {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % lanes.max(1) as u64).unwrap_or_default()
}
