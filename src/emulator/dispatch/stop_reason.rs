//! Says to callers why a hub has stopped.

use crate::emulator::engine::command::Refusal;
use crate::emulator::store::Fault;
use std::sync::OnceLock;

/// Why a hub has stopped, where it was not told to.
#[derive(Debug, Default)]
pub(super) struct StopReason(OnceLock<Fault>);

impl StopReason {
    /// Says that the store made the hub stop. Said before the channel closes.
    pub(super) fn because(&self, fault: Fault) {
        // The first fault counts: the hub ends with it.
        let _ = self.0.set(fault);
    }

    /// What callers of a hub that has stopped are told.
    pub(super) fn refusal(&self) -> Refusal {
        match self.0.get() {
            Some(fault) => Refusal::StoreFailed { why: fault.to_string() },
            None => Refusal::ShuttingDown,
        }
    }
}
