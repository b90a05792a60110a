//! Keeps the place where the outcome of one durable wait will be put.

use super::failure::InvalidCall;
use crate::wire::TaskFailureDetails;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::task::Waker;

/// Where in the orchestrator's source something was scheduled or waited for.
pub(super) type CallSite = &'static Location<'static>;

/// An external event that has arrived.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub(super) name: String,
    pub(super) input: Option<String>,
    pub(super) timestamp: Option<prost_types::Timestamp>,
    /// Its place among all events that have arrived.
    pub(super) order: u64,
}

/// How a wait ended, as it came.
#[derive(Debug)]
pub(super) enum WaitOutcome {
    /// With a value, still encoded.
    Value(Option<String>),
    /// With a failure.
    Failure(Box<TaskFailureDetails>),
    /// With an external event.
    Event(Raised),
    /// Without having been scheduled.
    InvalidCall(InvalidCall),
}

/// One durable wait.
#[derive(Debug)]
pub(super) struct Slot {
    state: RefCell<SlotState>,
    /// Whether the future that waits is still there.
    wanted: Cell<bool>,
    /// Whether a failed attempt is retried although the future that waited is dropped.
    detached: Cell<bool>,
}

enum SlotState {
    Open(Option<Waker>),
    Settled { order: u64, outcome: WaitOutcome },
    Taken,
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open(None) => "open",
            Self::Open(Some(_)) => "awaited",
            Self::Settled { .. } => "settled",
            Self::Taken => "taken",
        })
    }
}

/// What a poll of a slot finds.
#[derive(Debug)]
pub(super) enum SlotPoll {
    /// Nothing yet; the waker is kept. `first` when it is the first one.
    Waiting { first: bool },
    /// The outcome.
    Ready(WaitOutcome),
    /// The outcome was taken before.
    Gone,
}

impl Slot {
    pub(super) fn open() -> Self {
        Self {
            state: RefCell::new(SlotState::Open(None)),
            wanted: Cell::new(true),
            detached: Cell::new(false),
        }
    }

    pub(super) fn settled(order: u64, outcome: WaitOutcome) -> Self {
        let slot = Self::open();
        slot.state.replace(SlotState::Settled { order, outcome });
        slot
    }

    /// Looks, and keeps the waker when there is nothing yet.
    pub(super) fn look(&self, waker: &Waker) -> SlotPoll {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            SlotState::Open(Some(kept)) => {
                kept.clone_from(waker);
                SlotPoll::Waiting { first: false }
            }
            SlotState::Open(none) => {
                *none = Some(waker.clone());
                SlotPoll::Waiting { first: true }
            }
            SlotState::Taken => SlotPoll::Gone,
            settled @ SlotState::Settled { .. } => match std::mem::replace(settled, SlotState::Taken) {
                SlotState::Settled { outcome, .. } => SlotPoll::Ready(outcome),
                SlotState::Open(_) | SlotState::Taken => SlotPoll::Gone,
            },
        }
    }

    /// Puts the outcome in. Returns the waker of the future that waits; the caller wakes it when nothing is
    /// borrowed any more.
    pub(super) fn settle(&self, order: u64, outcome: WaitOutcome) -> Option<Waker> {
        match self.state.replace(SlotState::Settled { order, outcome }) {
            SlotState::Open(waker) => waker,
            SlotState::Settled { .. } | SlotState::Taken => None,
        }
    }

    /// When the outcome came, in the order of history; `None` while there is none, or none any more.
    pub(super) fn order(&self) -> Option<u64> {
        match &*self.state.borrow() {
            SlotState::Settled { order, .. } => Some(*order),
            SlotState::Open(_) | SlotState::Taken => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(&*self.state.borrow(), SlotState::Open(_))
    }

    pub(super) fn is_taken(&self) -> bool {
        matches!(&*self.state.borrow(), SlotState::Taken)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    pub(super) fn keeps_trying(&self) -> bool {
        self.wanted.get() || self.detached.get()
    }

    pub(super) fn detach(&self) {
        self.detached.set(true);
    }

    /// The future that waits is dropped. Returns what it leaves behind.
    pub(super) fn give_up(&self) -> AbandonedWait {
        self.wanted.set(false);
        match self.state.replace(SlotState::Taken) {
            SlotState::Open(waker) => {
                let awaited = waker.is_some();
                // Stays open: an event or a grant must find out that no future wants it any more.
                self.state.replace(SlotState::Open(None));
                AbandonedWait::Open { awaited }
            }
            SlotState::Settled { outcome, .. } => AbandonedWait::Outcome(outcome),
            SlotState::Taken => AbandonedWait::Nothing,
        }
    }
}

/// What a dropped future leaves behind.
pub(super) enum AbandonedWait {
    Open { awaited: bool },
    Outcome(WaitOutcome),
    Nothing,
}
