//! Keeps the place where the outcome of one durable wait will be put.

use super::failure::Refused;
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
pub(super) enum Outcome {
    /// With a value, still encoded.
    Value(Option<String>),
    /// With a failure.
    Failure(Box<TaskFailureDetails>),
    /// With an external event.
    Event(Raised),
    /// Without having been scheduled.
    Refused(Refused),
}

/// One durable wait.
#[derive(Debug)]
pub(super) struct Slot {
    state: RefCell<State>,
    /// Whether the future that waits is still there.
    wanted: Cell<bool>,
    /// Whether a failure may be tried again although nobody waits any more.
    detached: Cell<bool>,
}

enum State {
    Open(Option<Waker>),
    Settled { order: u64, outcome: Outcome },
    Taken,
}

impl fmt::Debug for State {
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
pub(super) enum Look {
    /// Nothing yet; the waker is kept. `first` when it is the first one.
    Waiting { first: bool },
    /// The outcome.
    Ready(Outcome),
    /// The outcome was taken before.
    Gone,
}

impl Slot {
    pub(super) fn open() -> Self {
        Self { state: RefCell::new(State::Open(None)), wanted: Cell::new(true), detached: Cell::new(false) }
    }

    pub(super) fn settled(order: u64, outcome: Outcome) -> Self {
        let slot = Self::open();
        slot.state.replace(State::Settled { order, outcome });
        slot
    }

    /// Looks, and keeps the waker when there is nothing yet.
    pub(super) fn look(&self, waker: &Waker) -> Look {
        let mut state = self.state.borrow_mut();
        match &mut *state {
            State::Open(Some(kept)) => {
                kept.clone_from(waker);
                Look::Waiting { first: false }
            }
            State::Open(none) => {
                *none = Some(waker.clone());
                Look::Waiting { first: true }
            }
            State::Taken => Look::Gone,
            settled @ State::Settled { .. } => match std::mem::replace(settled, State::Taken) {
                State::Settled { outcome, .. } => Look::Ready(outcome),
                State::Open(_) | State::Taken => Look::Gone,
            },
        }
    }

    /// Puts the outcome in. The waker of whoever waits is returned, to be woken when nothing is borrowed any more.
    pub(super) fn settle(&self, order: u64, outcome: Outcome) -> Option<Waker> {
        match self.state.replace(State::Settled { order, outcome }) {
            State::Open(waker) => waker,
            State::Settled { .. } | State::Taken => None,
        }
    }

    /// When the outcome came, in the order of history; `None` while there is none, or none any more.
    pub(super) fn order(&self) -> Option<u64> {
        match &*self.state.borrow() {
            State::Settled { order, .. } => Some(*order),
            State::Open(_) | State::Taken => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(&*self.state.borrow(), State::Open(_))
    }

    pub(super) fn is_taken(&self) -> bool {
        matches!(&*self.state.borrow(), State::Taken)
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
    pub(super) fn give_up(&self) -> Left {
        self.wanted.set(false);
        match self.state.replace(State::Taken) {
            State::Open(waker) => {
                let awaited = waker.is_some();
                // Stays open: an event or a grant must find out that nobody wants it any more.
                self.state.replace(State::Open(None));
                Left::Open { awaited }
            }
            State::Settled { outcome, .. } => Left::Outcome(outcome),
            State::Taken => Left::Nothing,
        }
    }
}

/// What a dropped future leaves behind.
pub(super) enum Left {
    Open { awaited: bool },
    Outcome(Outcome),
    Nothing,
}
