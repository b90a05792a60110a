//! Tells work that kills its workers from work that was only there when one died (protocol/transport.md#lost-workers).
//!
//! A worker that dies takes everything with it that it held, and says nothing about which of it was the cause. What is
//! known is how long each item had been there, and what else was. So:
//!
//! - Only a connection that breaks without a word counts. A stream that its worker cancels, or that ends after a
//!   `GOAWAY`, says that the worker was well.
//! - An item that has been with a worker for [`FRESH`] and let it live is not a suspect: what kills does so soon. All
//!   others are, each time.
//! - An item is *blamed* when there is no other to suspect: it was the only fresh one, or all that the worker held.
//! - A suspect of the second time is handed out alone: to a stream without another fresh item, which gets no more until
//!   the suspect is answered or has been there for [`FRESH`]. One at a time in a hub; others go on with the other streams.
//! - An answer, whatever it says, clears the item. A worker that dies with nothing in its hands voids all blame: something
//!   else kills workers.
//!
//! Innocent work that is in flight while workers are killed at random is so suspected, separated and cleared, but only
//! blamed by chance, and failing takes many blames in a row without one answer.

use super::worklist::{WaitingWork, Work};
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::volatile::LeaseId;
use crate::model::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long after it was handed out an item is a suspect when its worker dies.
pub(crate) const FRESH: Duration = Duration::from_secs(5);

/// How often an item may be a suspect before it is handed out alone.
const TOGETHER: u32 = 2;

/// The delay before an item that was lost for the second time is offered again; it doubles each time.
const FIRST_REST: Duration = Duration::from_millis(100);

/// What is known of an item whose workers died.
#[derive(Debug, Clone, Copy, Default)]
struct LossCounts {
    /// How often a worker died that held it.
    lost: u32,
    /// How often it was a suspect.
    suspected: u32,
    /// How often it was the only one.
    blamed: u32,
}

/// What becomes of an item whose worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is offered again after this while.
    Again(Duration),
    /// It was blamed so often: it fails.
    Fails(u32),
}

/// The stream that is kept free for a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quarantine {
    /// None is.
    Free,
    /// It gets nothing new, so that what it holds is answered or no longer fresh by then.
    Draining { stream: StreamId, until: Timestamp },
    /// It has the suspect, and gets nothing else until then.
    Watching { stream: StreamId, lease: LeaseId, until: Timestamp },
}

/// The items whose workers died, and the one that is watched.
#[derive(Debug)]
pub(crate) struct Suspects {
    known: BTreeMap<Work, LossCounts>,
    /// Those that are ready to be handed out alone.
    pub(crate) waiting: VecDeque<WaitingWork>,
    pub(crate) quarantine: Quarantine,
}

impl Default for Suspects {
    fn default() -> Self {
        Self { known: BTreeMap::new(), waiting: VecDeque::new(), quarantine: Quarantine::Free }
    }
}

impl Suspects {
    /// A worker died that held this: `fresh` says whether it is a suspect, `alone` whether there is no other.
    pub(crate) fn lost(&mut self, work: &Work, fresh: bool, alone: bool, limit: Option<u32>) -> Verdict {
        let losses = self.known.entry(work.clone()).or_default();
        losses.lost = losses.lost.saturating_add(1);
        losses.suspected = losses.suspected.saturating_add(u32::from(fresh));
        losses.blamed = losses.blamed.saturating_add(u32::from(alone));
        match limit {
            Some(limit) if alone && losses.blamed >= limit => Verdict::Fails(losses.blamed),
            Some(_) | None => Verdict::Again(match losses.lost {
                // As a rule it is innocent, and nothing is gained by letting it wait.
                1 => Duration::ZERO,
                lost => FIRST_REST.saturating_mul(1 << (lost - 2).min(10)),
            }),
        }
    }

    /// Whether an item is to be handed out alone.
    pub(crate) fn are_with(&self, work: &Work) -> bool {
        !self.known.is_empty() && self.known.get(work).is_some_and(|losses| losses.suspected >= TOGETHER)
    }

    /// It was answered, or is not wanted any more.
    pub(crate) fn clear(&mut self, work: &Work) {
        if !self.known.is_empty() {
            self.known.remove(work);
        }
    }

    /// It has let its worker live long enough to be handed out with others again. How often it was blamed stays.
    pub(crate) fn trust(&mut self, work: &Work) {
        if let Some(losses) = self.known.get_mut(work) {
            losses.suspected = 0;
        }
    }

    /// What was to blame is gone from it; what is left of it goes on being handed out alone.
    pub(crate) fn forgive(&mut self, work: &Work) {
        if let Some(losses) = self.known.get_mut(work) {
            losses.blamed = 0;
        }
    }

    /// A worker died that held nothing: something else kills workers, and may have killed those before.
    pub(crate) fn forgive_all(&mut self) {
        for losses in self.known.values_mut() {
            losses.blamed = 0;
        }
    }

    /// Whether no work is under suspicion, and no stream kept free.
    pub(crate) fn are_none(&self) -> bool {
        self.known.is_empty() && self.quarantine == Quarantine::Free
    }

    /// When the stream that is kept free is opened again.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        match self.quarantine {
            Quarantine::Free => None,
            Quarantine::Draining { until, .. } | Quarantine::Watching { until, .. } => Some(until),
        }
    }
}
