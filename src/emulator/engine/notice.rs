//! Says what happened in a hub, for whoever keeps its log.
//!
//! The engine decides nothing by a [`Notice`] and stores none. It makes only those that are listened to: a hub whose
//! log nobody reads pays nothing for it.

use super::Engine;
use super::command::{StreamId, WorkKind};
use super::record::Record;
use crate::model::{InstanceId, Status};

/// How much of what happens is made into [`Notice`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listening {
    /// Nothing.
    #[default]
    Off,
    /// What should not happen, and what somebody ought to mend.
    Warnings,
    /// Instances and workers that come and go, too.
    Lives,
    /// Every work item that is handed out and answered, too.
    Work,
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
    /// A part of a worker's answer could not be done, and was left out.
    Skipped {
        /// The instance or entity whose worker asked for it.
        id: InstanceId,
        /// What it was, why it could not be done, and what to do.
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
            Self::Skipped { .. } | Self::Nonsense { .. } => Listening::Warnings,
        }
    }
}

impl Engine {
    /// Says how much of what happens from now on is to be made into notices.
    pub fn listen(&mut self, listening: Listening) {
        self.listening = listening;
    }

    /// What has happened since this was last asked.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Tells of an instance that begins or ends by a record.
    pub(super) fn note_life(&mut self, record: &Record) {
        if self.listening < Listening::Lives {
            return;
        }
        match record {
            Record::Created { id, started, .. } => self.notices.push(Notice::InstanceStarted {
                id: id.clone(),
                name: started.name.clone(),
                version: started.version.clone(),
            }),
            Record::Committed { id, commit } => {
                let Some(end) = &commit.end else { return };
                let name = self.instances.get(id).map(|instance| instance.started.name.clone());
                self.notices.push(Notice::InstanceEnded {
                    id: id.clone(),
                    name: name.unwrap_or_default(),
                    status: end.status,
                    failure: end
                        .failure
                        .as_deref()
                        .map(|failure| format!("{}: {}", failure.error_type, failure.error_message)),
                });
            }
            Record::Arrived { .. }
            | Record::Continued { .. }
            | Record::RewindBegan { .. }
            | Record::Rewound { .. }
            | Record::RewindRefused { .. }
            | Record::Late { .. }
            | Record::Removed { .. }
            | Record::Entity(_) => {}
        }
    }

    /// Makes a notice where somebody listens to what `needs` names.
    pub(super) fn note(&mut self, needs: Listening, notice: impl FnOnce() -> Notice) {
        if self.listening >= needs {
            self.notices.push(notice());
        }
    }
}
