//! Names everything that a hub answers, and what it does once its records are stored.

use super::{HistoryPage, Offer, Refusal, StreamId, WaiterId, WorkKind};
use crate::model::InstanceId;
use crate::wire;
use bytes::Bytes;
use std::sync::Arc;

/// What the engine answers at once.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Done, and nothing to say.
    Done,
    /// The instance that was created.
    Started(InstanceId),
    /// The instance, or that there is none.
    State(Option<Arc<wire::OrchestrationState>>),
    /// Not yet: the answer comes as [`Effect::Answer`].
    Waiting,
    /// Those that could not be ended: entities, ids without an instance, and instances that have ended.
    Unterminated(Vec<InstanceId>),
    /// A page of instances.
    States {
        /// The instances.
        states: Vec<wire::OrchestrationState>,
        /// Where the next page begins; `None` on the last page.
        next: Option<String>,
    },
    /// A page of ids.
    Ids {
        /// The ids.
        ids: Vec<String>,
        /// Where the next page begins; `None` on the last page.
        next: Option<String>,
    },
    /// How much was deleted.
    Purged {
        /// How many instances and entities.
        deleted: usize,
        /// Whether the `at_most` of a filter purge stopped it; ask again to go on.
        more: bool,
    },
    /// History, as encoded events (`wire::HistoryEvent`, without framing), in order.
    History(Vec<Bytes>),
    /// A part of a history.
    HistoryPage {
        /// Encoded events, in order.
        events: Vec<Bytes>,
        /// What to ask for next; `None` after the last part.
        next: Option<HistoryPage>,
    },
    /// The entity, or that there is none.
    Entity(Option<Box<wire::EntityMetadata>>),
    /// A page of entities.
    Entities {
        /// The entities.
        entities: Vec<wire::EntityMetadata>,
        /// Where the next page begins; `None` on the last page.
        next: Option<String>,
    },
    /// What the hub holds.
    Stats(Box<Stats>),
}

/// What to do once the records are stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand work to a stream.
    Deliver {
        /// Which stream.
        stream: StreamId,
        /// An encoded `wire::WorkItem`.
        item: Bytes,
    },
    /// Say with [`Command::Drained`](super::Command::Drained) what the worker has taken from its stream, now or as soon as it takes something.
    Report {
        /// Which stream.
        stream: StreamId,
    },
    /// End a stream whose worker does not read it: it is closed here already.
    End {
        /// Which stream.
        stream: StreamId,
    },
    /// Answer a call that waits.
    Answer {
        /// Who.
        waiter: WaiterId,
        /// The state waited for, or why there will be none.
        answer: Result<Arc<wire::OrchestrationState>, Refusal>,
    },
}

/// What a hub holds, for dashboards, tests and the failure print.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// How many instances there are, by status, in the order of [`Status::ALL`](crate::model::Status::ALL).
    pub instances: [usize; 7],
    /// How many entities there are, stateless ones among them.
    pub entities: usize,
    /// Turns ready and not handed out.
    pub ready_turns: usize,
    /// Activities ready and not handed out.
    pub ready_activities: usize,
    /// Entity batches ready and not handed out.
    pub ready_batches: usize,
    /// Timers set and not due.
    pub timers: usize,
    /// Waiting clients.
    pub waiters: usize,
    /// About how many bytes instances and entities take: histories, inboxes, payloads and state.
    pub bytes: usize,
    /// Connected workers.
    pub workers: Vec<WorkerStats>,
    /// Names that are ready and that no connected worker takes.
    pub unclaimed: Vec<(WorkKind, String)>,
}

/// One connected worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerStats {
    /// Its stream.
    pub stream: StreamId,
    /// What it takes.
    pub offer: Offer,
    /// Uncompleted turns, activities and entity batches it holds.
    pub active: [usize; 3],
}
