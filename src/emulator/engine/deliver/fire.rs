//! Fires what is due: timers, late starts, signals for later, and everything that delivery has put off.

use crate::emulator::engine::Engine;
use crate::emulator::engine::state::timers::TimerKey;
use crate::emulator::engine::volatile::Stage;
use crate::model::Timestamp;

impl Engine {
    /// Fires what is due.
    pub(crate) fn fire(&mut self, now: Timestamp) {
        while let Some(key) = self.decider.state.take_due(now, self.config.timer_lag) {
            match key {
                TimerKey::Start { id, execution } => {
                    let instance = self.decider.state.instance(&id);
                    if instance.is_some_and(|instance| *instance.execution() == execution) {
                        self.ready_turn(&id, now);
                    }
                }
                TimerKey::Timer { id, execution, timer } => {
                    self.decider.fire_timer(&id, &execution, timer, now);
                }
            }
        }
        self.decider.fire_entities(now);
        self.follow(now);
        self.expire(now);
        self.attend(now);
        self.end_watch(now);
        self.release_gathered(now);
        while let Some(mut waiting) = self.work.due(now) {
            if self.set_stage(&waiting.work, Stage::Resting, Stage::Ready) {
                // An instance of another name may have the id since this was put off.
                waiting.class = self.class_of(&waiting.work).unwrap_or(waiting.class);
                self.offer_first(waiting);
            } else {
                self.suspects.clear(&waiting.work);
            }
        }
    }

    /// The earliest moment at which [`Engine::settle`] has something to do by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = [
            self.decider.state.next_timer(self.config.timer_lag),
            self.work.next_due(),
            self.decider.state.entities().next_due(),
            self.unclaimed.next_look(),
            self.next_expiry(),
            self.suspects.next_due(),
            self.unattended.first().map(|(due, _)| *due),
            self.gathering.next_due(),
        ];
        due.into_iter().flatten().min()
    }
}
