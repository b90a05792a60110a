//! Decides what a timer does whose moment has come.

use super::Decider;
use crate::emulator::engine::record::Settles;
use crate::model::{ExecutionId, InstanceId, Kind, Timestamp, event};

impl Decider {
    /// A timer is due: its orchestration hears that it has fired, where the execution that set it still waits for it.
    pub(crate) fn fire_timer(
        &mut self,
        id: &InstanceId,
        execution: &ExecutionId,
        timer: i32,
        now: Timestamp,
    ) {
        let Some(instance) = self.state.instance(id) else { return };
        let fire_at = instance.timer(timer).filter(|_| instance.execution() == execution);
        if let Some(fire_at) = fire_at {
            let event = event::timer_fired(now, timer, fire_at);
            self.arrive(id, Settles::Timer(timer), Kind::TimerFired, &event, now);
        }
    }
}
