//! Lets terminate, suspend and resume take effect where no worker is there to be told.
//!
//! An instance that has begun hears of them in a turn. Where no connected worker takes its orchestrator, that turn never
//! comes: after a time, in which a worker may connect, the engine does what the worker would have done.

use crate::emulator::engine::Engine;
use crate::emulator::engine::decide::terminate::is_told;
use crate::emulator::engine::volatile::Stage;
use crate::model::{InstanceId, Timestamp};

impl Engine {
    /// A control event waits for a turn of this instance.
    pub(crate) fn await_worker(&mut self, id: &InstanceId, now: Timestamp) {
        if let Some(after) = self.config.unattended {
            self.unattended.insert((now.plus(after), id.clone()));
        }
    }

    /// Does for instances without a worker what they were told long enough ago.
    pub(crate) fn attend(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.unattended.first().filter(|(due, _)| *due <= now).cloned() {
            self.unattended.pop_first();
            let Some((instance, volatile)) = self.decider.state.slot(&id) else { continue };
            if instance.has_ended() || !is_told(instance) {
                continue;
            }
            let (class, is_out) = (volatile.turn.class, matches!(volatile.turn.stage, Stage::Out(_)));
            let named = self.work.named(class).clone();
            if is_out || self.streams.anyone_takes(class, &named) {
                // A worker is there, and may be gone before it has done it.
                self.await_worker(&id, now);
            } else {
                self.decider.heed_without_worker(&id, now);
                self.follow(now);
            }
        }
    }

    /// After a rebuild: an instance that was told something still waits for a worker.
    pub(crate) fn await_worker_again(&mut self, id: &InstanceId, now: Timestamp) {
        if self.decider.state.living(id).is_some_and(is_told) {
            self.await_worker(id, now);
        }
    }
}
