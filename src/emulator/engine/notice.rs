//! Says what happened in a hub, for the log.
//!
//! The engine decides nothing by a [`Notice`] and stores none. It makes only those that are listened to: a hub whose
//! log is not read pays nothing for it.

use super::command::{StreamId, WorkKind};
use crate::model::{InstanceId, Status};
use std::time::Duration;

/// From how many returns of a work item on there is a warning: one or two are made when a worker is stopped.
pub const AGAIN: u32 = 3;

/// How much of what happens is made into [`Notice`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listening {
    /// Nothing.
    #[default]
    Off,
    /// What should not happen, and what the user ought to mend.
    Warnings,
    /// Instances and workers that come and go, too.
    Lives,
    /// Every work item that is handed out and answered, too.
    Work,
}

/// A work item, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What kind of work.
    pub kind: WorkKind,
    /// The instance or entity.
    pub id: InstanceId,
    /// The orchestrator, activity or entity.
    pub name: String,
    /// The number of the action that scheduled it, for an activity.
    pub task: Option<i32>,
    /// The stream of the worker that has or had it; `None` once that stream has ended.
    pub stream: Option<StreamId>,
    /// Who that worker says it is.
    pub worker: Option<String>,
}

/// What a connected worker takes that is nearest to what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nearest {
    /// The same name in other upper and lower case.
    Name(String),
    /// The same version, written otherwise.
    Version(String),
    /// The same name, in these versions.
    Versions(Vec<String>),
}

/// Something that happened in a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An instance was created.
    InstanceStarted {
        /// Its id.
        id: InstanceId,
        /// Its orchestrator.
        name: String,
        /// Its orchestrator's version, where it has one.
        version: Option<String>,
    },
    /// An instance has ended.
    InstanceEnded {
        /// Its id.
        id: InstanceId,
        /// Its orchestrator.
        name: String,
        /// How.
        status: Status,
        /// What its failure says: its type and message.
        failure: Option<String>,
    },
    /// A worker has opened a stream.
    WorkerJoined {
        /// The stream.
        stream: StreamId,
        /// Who it says it is.
        worker: Option<String>,
        /// What it takes, in words.
        takes: String,
    },
    /// A worker's stream has ended.
    WorkerLeft {
        /// The stream.
        stream: StreamId,
        /// Who it said it is.
        worker: Option<String>,
        /// How many work items it held, which others get now.
        held: usize,
    },
    /// A work item went to a worker.
    HandedOut {
        /// Which.
        item: Item,
        /// The length of its message.
        bytes: usize,
    },
    /// A worker answered a work item.
    Answered {
        /// Which.
        item: Item,
    },
    /// A worker gave a work item back, or an answer could not be used: it is handed out again.
    GivenBack {
        /// Which.
        item: Item,
        /// How often that happened to it without an answer in between.
        times: u32,
    },
    /// Something that should not happen, and that the user ought to mend.
    Warning(Warning),
}

/// What should not happen in a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Work waits that no connected worker takes.
    Unclaimed {
        /// What kind of work.
        kind: WorkKind,
        /// The orchestrator, activity or entity.
        name: String,
        /// Its version, where it has one.
        version: Option<String>,
        /// How many pieces of it wait.
        waits: usize,
        /// How many workers are connected.
        workers: usize,
        /// What a connected worker takes that may have been meant.
        nearest: Option<Nearest>,
    },
    /// A stream ended soon after it was given a work item, and before the answer.
    Broke {
        /// Which work item; the longest, where there were several.
        item: Item,
        /// The length of its message.
        bytes: usize,
        /// How long after it was handed out.
        after: Duration,
    },
    /// A worker answered the turn of a rewind without a new history: the instance has failed as before.
    NotRewound {
        /// The turn.
        item: Item,
    },
    /// An event was sent to an entity, which takes only operations: it was refused or dropped.
    EventForEntity {
        /// The entity.
        id: InstanceId,
        /// The event's name.
        event: String,
    },
    /// A worker did not read its stream for too long: the stream was ended.
    StreamGivenUp {
        /// The stream.
        stream: StreamId,
        /// Who it said it is.
        worker: Option<String>,
    },
    /// A worker has held work for too long: another stream gets it first.
    LeaseRanOut {
        /// The kind of work.
        kind: WorkKind,
        /// The instance or entity.
        id: InstanceId,
        /// The stream that held it.
        stream: StreamId,
    },
    /// Workers died again and again of the same work: it has failed.
    KillsWorkers {
        /// The kind of work.
        kind: WorkKind,
        /// The instance or entity.
        id: InstanceId,
        /// How many workers it was.
        times: u32,
    },
    /// A part of a worker's answer could not be done, and was left out.
    Skipped {
        /// The instance or entity whose worker asked for it.
        id: InstanceId,
        /// What it was, why it could not be done, and what to do.
        what: String,
    },
    /// A work item is too large for any worker: what it is about has failed because of it, or stays as it was.
    TooLarge {
        /// The kind of work.
        kind: WorkKind,
        /// The instance or entity.
        id: InstanceId,
        /// How large it is, how large it may be, and what to do.
        what: String,
    },
    /// A worker's answer makes no sense: what it is about has failed because of it.
    Nonsense {
        /// The kind of work.
        kind: WorkKind,
        /// The instance or entity.
        id: InstanceId,
        /// What is wrong.
        what: String,
    },
}

impl Notice {
    /// How much must be listened to for this to be made.
    pub fn needs(&self) -> Listening {
        match self {
            Self::InstanceStarted { .. }
            | Self::InstanceEnded { .. }
            | Self::WorkerJoined { .. }
            | Self::WorkerLeft { .. } => Listening::Lives,
            Self::GivenBack { times, .. } if *times >= AGAIN => Listening::Warnings,
            Self::HandedOut { .. } | Self::Answered { .. } | Self::GivenBack { .. } => Listening::Work,
            Self::Warning(_) => Listening::Warnings,
        }
    }
}

/// What has happened, as far as it is listened to.
#[derive(Debug, Default)]
pub(super) struct Notices {
    listening: Listening,
    kept: Vec<Notice>,
}

impl Notices {
    pub(super) fn listen(&mut self, listening: Listening) {
        self.listening = listening;
    }

    /// Whether what `needs` names is listened to.
    pub(super) fn are_for(&self, needs: Listening) -> bool {
        self.listening >= needs
    }

    /// Makes a notice where what `needs` names is listened to.
    pub(super) fn note(&mut self, needs: Listening, notice: impl FnOnce() -> Notice) {
        if self.are_for(needs) {
            self.kept.push(notice());
        }
    }

    /// Makes a warning where warnings are listened to.
    pub(super) fn warn(&mut self, warning: impl FnOnce() -> Warning) {
        self.note(Listening::Warnings, || Notice::Warning(warning()));
    }

    pub(super) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.kept)
    }
}
