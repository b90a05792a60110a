//! Names everything that can be asked of a hub.

mod refusal;
mod reply;
mod size;

pub use refusal::Refusal;
pub use reply::{Effect, Reply, Stats, WorkerStats};
pub(crate) use size::PAGE_BYTES;

use crate::model::{InstanceId, Statuses, Timestamp};
use crate::wire;

/// What a client, a worker or the hub's task asks of one hub. Parsed at the door: ids and ranges are valid, payloads are as they came.
#[derive(Debug, Clone)]
pub enum Command {
    /// Create an instance (`StartInstance`). Answered with [`Reply::Started`].
    Start {
        /// The id it shall have; `None` lets the engine mint one.
        id: Option<InstanceId>,
        /// The request, whose `instance_id` is not read again.
        request: Box<wire::CreateInstanceRequest>,
    },
    /// Look at an instance (`GetInstance`). Answered with [`Reply::State`].
    Get {
        /// Which instance.
        id: InstanceId,
        /// Whether input, output and custom status are wanted.
        payloads: bool,
    },
    /// Wait for an instance. Answered with [`Reply::State`] where nothing is left to wait for, otherwise with
    /// [`Reply::Waiting`] now and [`Effect::Answer`] later.
    Wait {
        /// Who waits; chosen by the caller, unique while it waits.
        waiter: WaiterId,
        /// For which instance.
        id: InstanceId,
        /// For what.
        until: Until,
        /// Whether input, output and custom status are wanted.
        payloads: bool,
    },
    /// The waiter has gone away; nothing is owed to it any more. Answered with [`Reply::Done`], always.
    Forget {
        /// Who.
        waiter: WaiterId,
    },
    /// Raise an event (`RaiseEvent`). Answered with [`Reply::Done`].
    Raise {
        /// The instance that gets it.
        id: InstanceId,
        /// The event's name, in the case it came.
        name: String,
        /// Its data.
        input: Option<String>,
    },
    /// Terminate an instance (`TerminateInstance`). Answered with [`Reply::Done`].
    Terminate {
        /// Which instance.
        id: InstanceId,
        /// Becomes the instance's output.
        output: Option<String>,
        /// Whether its children are terminated too.
        recursive: bool,
    },
    /// End instances at once, whatever their workers do. Answered with [`Reply::Unterminated`].
    ForceTerminate {
        /// Which instances.
        ids: Vec<InstanceId>,
        /// Becomes the output of each.
        output: Option<String>,
        /// Whether their children are ended so too.
        recursive: bool,
    },
    /// Suspend an instance. Answered with [`Reply::Done`].
    Suspend {
        /// Which instance.
        id: InstanceId,
        /// Why.
        reason: Option<String>,
    },
    /// Resume an instance. Answered with [`Reply::Done`].
    Resume {
        /// Which instance.
        id: InstanceId,
        /// Why.
        reason: Option<String>,
    },
    /// Rewind a failed instance. Answered with [`Reply::Done`].
    Rewind {
        /// Which instance.
        id: InstanceId,
        /// Why.
        reason: Option<String>,
    },
    /// Run an instance again from its input. Answered with [`Reply::Started`].
    Restart {
        /// Which instance.
        id: InstanceId,
        /// Whether the new run gets an id of its own.
        new_id: bool,
    },
    /// List instances, a page at a time. Answered with [`Reply::States`].
    Query(Query),
    /// List the ids of ended instances. Answered with [`Reply::Ids`].
    ListIds(ListIds),
    /// Delete instances or entities. Answered with [`Reply::Purged`].
    Purge {
        /// Which.
        target: PurgeTarget,
        /// Whether the whole subtree of children goes too.
        recursive: bool,
    },
    /// Read an instance's history. Answered with [`Reply::History`].
    History {
        /// Which instance.
        id: InstanceId,
        /// Which execution; `None` for the current one.
        execution: Option<String>,
    },
    /// Read a part of an instance's history. Answered with [`Reply::HistoryPage`].
    HistoryPage(HistoryPage),
    /// Signal an entity. Answered with [`Reply::Done`].
    SignalEntity {
        /// Which entity.
        id: InstanceId,
        /// The operation's name.
        operation: String,
        /// Its input.
        input: Option<String>,
        /// The request's id; empty lets the engine mint one.
        request_id: String,
        /// When it is to be delivered; `None` or a moment not in the future for now.
        at: Option<prost_types::Timestamp>,
    },
    /// Look at an entity. Answered with [`Reply::Entity`].
    GetEntity {
        /// Which entity.
        id: InstanceId,
        /// Whether its state is wanted.
        state: bool,
    },
    /// List entities, a page at a time. Answered with [`Reply::Entities`].
    QueryEntities(EntityQuery),
    /// A worker opens a stream of work items. Answered with [`Reply::Done`].
    OpenStream {
        /// The stream; chosen by the caller, never used again in this hub's life.
        stream: StreamId,
        /// What the worker takes.
        offer: Box<Offer>,
    },
    /// A stream has ended, by its worker or by the hub: what it holds goes back. Answered with [`Reply::Done`], always.
    CloseStream {
        /// Which stream.
        stream: StreamId,
    },
    /// A stream's connection broke without a word, as it does when its worker dies: what it holds goes back, and may be
    /// what the worker died of. Answered with [`Reply::Done`], always.
    LoseStream {
        /// Which stream.
        stream: StreamId,
    },
    /// A worker has cancelled its stream, and its connection lives: it may still complete what it holds. Where it is one
    /// that does so, others get that when it took too long, or with a [`Command::CloseStream`] once the connection has
    /// ended.
    CancelStream {
        /// Which.
        stream: StreamId,
    },
    /// A worker has read so much of its stream since an [`Effect::Report`]. Answered with [`Reply::Done`], always.
    Drained {
        /// Which stream.
        stream: StreamId,
        /// How many bytes of work items its worker took since the last report, or since the stream began.
        bytes: usize,
    },
    /// A turn's answer (`CompleteOrchestratorTask`). Answered with [`Reply::Done`].
    CompleteTurn(Box<wire::OrchestratorResponse>),
    /// An activity's answer (`CompleteActivityTask`). Answered with [`Reply::Done`].
    CompleteActivity(Box<wire::ActivityResponse>),
    /// An entity batch's answer (`CompleteEntityTask`). Answered with [`Reply::Done`].
    CompleteBatch(Box<wire::EntityBatchResult>),
    /// A worker's answer cannot be read, because of its size: what it is about fails by name. Answered with
    /// [`Reply::Done`].
    FailWork {
        /// What kind of work item was answered.
        kind: WorkKind,
        /// Its completion token.
        token: String,
        /// The instance, where the answer names one: for a worker that sends no token.
        instance: String,
        /// The task of an activity, likewise.
        task: i32,
        /// What was wrong, and what to do.
        why: String,
    },
    /// A worker gives a work item back (`Abandon*`). Answered with [`Reply::Done`].
    Abandon {
        /// What kind of work item it says it has.
        kind: WorkKind,
        /// Its completion token.
        token: String,
    },
    /// What the hub holds and who is connected. Answered with [`Reply::Stats`].
    Stats,
}

/// One who waits for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// One stream of work items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What a waiter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The first committed turn, or the end.
    Started,
    /// The end.
    Ended,
}

/// The three kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// A turn of an orchestration.
    Turn,
    /// An activity.
    Activity,
    /// A batch of operations of an entity.
    Batch,
}

/// What a worker takes from its stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// How many uncompleted turns at the most; `None` for no limit.
    pub turns: Option<usize>,
    /// How many uncompleted activities at the most; `None` for no limit.
    pub activities: Option<usize>,
    /// How many uncompleted entity batches at the most; `None` for no limit.
    pub batches: Option<usize>,
    /// What it can run; `None` for everything.
    pub filters: Option<wire::WorkItemFilters>,
    /// Whether it can fetch a long history by `StreamInstanceHistory`.
    pub history_streaming: bool,
    /// Whether it keeps orchestrations between turns and asks for history when it needs it (a private header of
    /// our own worker; no other SDK ever sends it). See ARCHITECTURE.md, "Sticky turns".
    pub sticky: bool,
    /// Who it says it is.
    pub worker: Option<String>,
    /// Whether it goes on completing what it holds after it has cancelled its stream.
    pub drains: bool,
}

impl std::fmt::Display for Offer {
    /// What it takes, in words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(filters) = &self.filters else { return f.write_str("everything") };
        let mut kinds = Vec::new();
        let mut list = |kind: &str, names: Vec<String>| {
            if !names.is_empty() {
                kinds.push(format!("{kind} {}", names.join(", ")));
            }
        };
        let named = |name: &str, versions: &[String]| match versions {
            [] => name.to_owned(),
            versions => format!("{name} ({})", versions.join(", ")),
        };
        list("orchestrations", filters.orchestrations.iter().map(|f| named(&f.name, &f.versions)).collect());
        list("activities", filters.activities.iter().map(|f| named(&f.name, &f.versions)).collect());
        list("entities", filters.entities.iter().map(|f| f.name.clone()).collect());
        if kinds.is_empty() { f.write_str("nothing") } else { f.write_str(&kinds.join("; ")) }
    }
}

/// Which instances to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// With one of these statuses.
    pub statuses: Statuses,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_to: Option<Timestamp>,
    /// With an id that starts so; empty for all.
    pub id_prefix: String,
    /// How many on a page, at least 1.
    pub page_size: usize,
    /// Where the page begins: the `next` of the page before.
    pub after: Option<String>,
    /// Whether input, output and custom status are wanted.
    pub payloads: bool,
}

/// Which ended instances to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListIds {
    /// With one of these statuses; only those that are terminal fit.
    pub statuses: Statuses,
    /// Ended at or after.
    pub completed_from: Option<Timestamp>,
    /// Ended before.
    pub completed_to: Option<Timestamp>,
    /// How many on a page, at least 1.
    pub page_size: usize,
    /// Where the page begins: the `next` of the page before.
    pub after: Option<String>,
    /// Whether every page with ids says where the next one begins, so that only an empty page is the last. A `next`
    /// remembers it.
    pub until_empty: bool,
}

/// Which entities to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityQuery {
    /// With an id that starts so; empty for all.
    pub id_prefix: String,
    /// Modified at or after.
    pub modified_from: Option<Timestamp>,
    /// Modified before.
    pub modified_to: Option<Timestamp>,
    /// Whether their state is wanted.
    pub state: bool,
    /// Whether entities without state (only a lock, or a backlog) are listed too.
    pub transient: bool,
    /// How many on a page, at least 1.
    pub page_size: usize,
    /// Where the page begins: the `next` of the page before.
    pub after: Option<String>,
}

/// Which part of a history to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Of which instance.
    pub id: InstanceId,
    /// Of which execution; `None` for the current one.
    pub execution: Option<String>,
    /// How many events were read before.
    pub after: usize,
    /// How many events the reader gets in all; `None` for as many as there are now. What is appended while it reads is not
    /// part of what it asked for.
    pub until: Option<usize>,
    /// How many bytes of events a part has, one event at the least.
    pub bytes: usize,
}

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeTarget {
    /// One instance; refused while it runs. An entity where the id is one.
    One(InstanceId),
    /// Several; those that run or do not exist are passed over.
    Batch(Vec<InstanceId>),
    /// Every ended instance that fits.
    Filter {
        /// With one of these statuses; only those that are terminal fit.
        statuses: Statuses,
        /// Created at or after.
        created_from: Option<Timestamp>,
        /// Created before.
        created_to: Option<Timestamp>,
        /// How many instances this call may visit; the caller asks again while `more` is said.
        at_most: usize,
    },
}
