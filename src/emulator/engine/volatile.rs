//! Keeps what delivery notes of an instance and of its activities, and what is gone with the process.
//!
//! It stands in the slot of its instance, so that one look-up finds both. The state makes it, moves it and drops it, and
//! reads nothing of it; delivery reads and writes it, and writes nothing else of an instance.

use super::command::StreamId;
use crate::model::Timestamp;
use std::time::Duration;

/// The number of a lease; never used twice in a life of the hub.
pub(crate) type LeaseId = u64;

/// A class of work (kind, name, version) that the worklist knows, or has forgotten: an id is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassId(pub(crate) u64);

impl ClassId {
    /// No class: the worklist has not heard of the work yet.
    pub(crate) const NONE: Self = Self(0);
}

/// Where a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There is nothing to hand out.
    Idle,
    /// In the worklist.
    Ready,
    /// Given back by a worker; it returns to the worklist after a delay.
    Resting,
    /// With a worker.
    Out(LeaseId),
}

/// A piece of work's place in delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement {
    pub(crate) class: ClassId,
    pub(crate) stage: Stage,
    /// How often it was given back by a worker.
    pub(crate) given_back: u32,
}

impl Default for Placement {
    fn default() -> Self {
        Self { class: ClassId::NONE, stage: Stage::Idle, given_back: 0 }
    }
}

/// What an instance's turns were like, and until when completions are gathered (`deliver/gather`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    pub(crate) until: Option<Timestamp>,
    /// How long the last turn was with its worker.
    pub(crate) took: Duration,
    pub(crate) habit: Habit,
}

/// What came of the completions that the orchestrator has heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It has heard of none yet.
    #[default]
    New,
    /// Nothing, after so many turns: it seems to wait for more.
    Waits(u32),
    /// It went on at once.
    Reacts,
}

/// What is noted of an instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Volatile {
    /// Where its next turn is.
    pub(crate) turn: Placement,
    /// The stream that ran the last committed turn of this execution, and may have kept the orchestrator.
    pub(crate) kept_by: Option<StreamId>,
    pub(crate) pace: Pace,
    /// The time of the event that arrived last: the next one is later.
    pub(crate) last_arrival: Timestamp,
}

impl Volatile {
    /// Of an instance that was created at this moment.
    pub(crate) fn new(created: Timestamp) -> Self {
        Self { turn: Placement::default(), kept_by: None, pace: Pace::default(), last_arrival: created }
    }
}
