//! Holds back what a worker has in hand that cancelled its stream in order to stop, and still completes it.

use super::worklist::WaitingWork;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::volatile::{LeaseId, Stage};
use std::time::Duration;

/// How long the workers that drain do so: JavaScript's and Python's both give up after this time. Work that is not
/// completed by then goes to others, and sooner where the worker's connection ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

impl Engine {
    /// Remembers what a stream held whose worker drains.
    pub(crate) fn hold_for_draining(&mut self, stream: StreamId, held: Vec<LeaseId>) {
        // A worker may cancel streams for as long as its connection lives; what it has completed since is let go here.
        let leases = &self.leases;
        self.draining.retain(|_, held| held.iter().any(|lease| leases.is_live(*lease)));
        if !held.is_empty() {
            self.draining.insert(stream, held);
        }
    }

    /// The connection of a worker that drains has ended: others get what it has not completed.
    pub(crate) fn end_draining(&mut self, stream: StreamId) {
        for lease in self.draining.remove(&stream).unwrap_or_default().into_iter().rev() {
            let Some(work) = self.leases.get(lease).map(|lease| lease.held.work()) else { continue };
            if self.orphans.get(&work) != Some(&lease) {
                continue;
            }
            let Some(class) = self.class_of(&work) else { continue };
            if self.set_stage(&work, Stage::Resting, Stage::Ready) {
                self.offer_first(WaitingWork { work, class, avoid: None });
            }
        }
    }
}
