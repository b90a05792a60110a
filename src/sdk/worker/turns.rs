//! Runs turns and entity batches in lanes, and looks after turns that do not end.

use super::answer::{Answer, Kind, Line, failed_turn};
use super::baton::Baton;
use super::flight::{Flight, Ticket};
use super::lane::{Job, Lane, Look, Plan, Rest, Work};
use super::options::Options;
use super::sticky::Sticky;
use crate::clock::Clock;
use crate::model::failure;
use crate::sdk::registry::{Cached, Registry, run_entity_batch, run_turn};
use crate::wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often the watchdog looks while there is something to look at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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

/// A work item on its way through a lane.
pub(super) struct Errand {
    item: Item,
    token: String,
    ticket: Ticket,
}

/// What answers for an errand that never ends.
#[derive(Clone)]
pub(super) struct Claim {
    kind: Kind,
    instance_id: String,
    token: String,
}

impl Job for Errand {
    type Stub = Claim;
    type Result = (Answer, Ticket);

    fn stub(&self) -> Claim {
        let (kind, instance_id) = match &self.item {
            Item::Turn(request) => (Kind::Turn, request.instance_id.clone()),
            Item::Batch(request) => (Kind::Batch, request.instance_id.clone()),
        };
        Claim { kind, instance_id, token: self.token.clone() }
    }

    fn is_long(&self) -> bool {
        let length = match &self.item {
            Item::Turn(request) => request.past_events.len() + request.new_events.len(),
            Item::Batch(request) => request.operation_requests.len(),
        };
        length >= LONG
    }
}

/// The lanes of one worker.
pub(super) struct Turns {
    lanes: Vec<Lane<Errand>>,
    flight: Flight,
    clock: Arc<dyn Clock>,
    slow: Option<Duration>,
    stuck: Option<Duration>,
}

/// What the lanes have done, to be sent.
pub(super) type Done = UnboundedReceiver<(Answer, Ticket)>;

impl Turns {
    pub(super) fn start(
        registry: &Arc<Registry>,
        options: &Options,
        clock: &Arc<dyn Clock>,
        flight: Flight,
        baton: &Arc<Baton>,
    ) -> std::io::Result<(Self, Done)> {
        let (done, answers) = unbounded_channel();
        let threads = options.threads.max(1);
        let capacity = options.sticky.div_ceil(threads);
        let (registry, others) = (Arc::clone(registry), flight.clone());
        let plan = Arc::new(Plan {
            work: Box::new(move || work(Arc::clone(&registry), capacity)),
            deliver: deliver(done),
            is_swamped: Box::new(move || others.under_way() >= MUCH),
            clock: Arc::clone(clock),
        });
        let rest = if threads == 1 { Rest::Driving(Arc::clone(baton)) } else { Rest::Asleep };
        let lanes = (0..threads)
            .map(|index| Lane::start(format!("taskhub-turns-{index}"), Arc::clone(&plan), rest.clone()))
            .collect::<std::io::Result<Vec<_>>>()?;
        let turns =
            Self { lanes, flight, clock: Arc::clone(clock), slow: options.slow, stuck: options.stuck };
        Ok((turns, answers))
    }

    /// Puts a work item into its instance's lane.
    pub(super) fn push(&self, item: Item, token: String) {
        let id = match &item {
            Item::Turn(request) => &request.instance_id,
            Item::Batch(request) => &request.instance_id,
        };
        let lane = &self.lanes[place(id, self.lanes.len())];
        lane.push(Errand { item, token, ticket: self.flight.begin() });
    }

    /// Looks after the lanes for as long as it is polled.
    pub(super) async fn watch(&self, line: &Line) {
        if self.slow.is_none() && self.stuck.is_none() {
            return std::future::pending().await;
        }
        loop {
            self.flight.busy().await;
            self.clock.sleep_until(self.clock.now().plus(LOOK_EVERY)).await;
            for lane in &self.lanes {
                match lane.look(self.slow, self.stuck) {
                    Look::Fine => {}
                    Look::Slow(claim) => tracing::warn!(
                        instance = claim.instance_id,
                        limit = ?self.slow,
                        "a turn does not yield: orchestrators and entities must not compute long or block; \
                         move that into an activity"
                    ),
                    Look::Stuck(claim) => self.give_up(claim, line),
                }
            }
        }
    }

    /// An orchestrator that never yields would never yield again: its orchestration fails.
    fn give_up(&self, claim: Claim, line: &Line) {
        let limit = self.stuck.unwrap_or_default();
        tracing::error!(instance = claim.instance_id, ?limit, "a turn never yielded; its thread is given up");
        let message = format!(
            "'{}' did not yield for {limit:?}: orchestrators and entities must not compute long or block; move that \
             into an activity",
            claim.instance_id
        );
        let details = failure::not_retriable(STUCK, message);
        let answer = match claim.kind {
            Kind::Turn => Answer::Turn(Box::new(failed_turn(claim.instance_id, claim.token, details))),
            Kind::Batch => Answer::Batch(Box::new(wire::EntityBatchResult {
                failure_details: Some(details),
                completion_token: claim.token,
                ..Default::default()
            })),
        };
        let (line, ticket) = (line.clone(), self.flight.begin());
        tokio::spawn(async move {
            line.answer(answer).await;
            drop(ticket);
        });
    }
}

/// Made outside of [`Turns::start`], so that it borrows nothing.
fn deliver(done: UnboundedSender<(Answer, Ticket)>) -> Box<dyn Fn((Answer, Ticket)) + Send + Sync> {
    // Nobody listens any more when the worker has stopped.
    Box::new(move |answer| drop(done.send(answer)))
}

/// What a lane's thread does: it owns the orchestrators that wait for their next turn.
fn work(registry: Arc<Registry>, capacity: usize) -> Work<Errand> {
    let mut sticky: Sticky<Cached> = Sticky::new(capacity);
    Box::new(move |Errand { item, token, ticket }| {
        let answer = match item {
            Item::Turn(request) => {
                let id = request.instance_id.clone();
                let cached = sticky.take(&id);
                let outcome = run_turn(&registry, *request, cached);
                if outcome.abandon {
                    return (Answer::Abandon(Kind::Turn, token), ticket);
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
                let mut response = outcome.response;
                response.completion_token = token;
                Answer::Turn(Box::new(response))
            }
            Item::Batch(request) => {
                let mut result = run_entity_batch(&registry, *request);
                result.completion_token = token;
                Answer::Batch(Box::new(result))
            }
        };
        (answer, ticket)
    })
}

/// Which of `lanes` lanes an instance runs in (FNV-1a; a lane must be the same for every turn, nothing more).
fn place(id: &str, lanes: usize) -> usize {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % lanes.max(1) as u64).unwrap_or_default()
}
