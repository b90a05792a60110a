//! Hands out turns that are too large for workers which cannot fetch the past.

use super::returned::FIRST_REST;
use super::streams::Standing;
use super::turn::least_len;
use super::worklist::Work;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{StreamId, WorkKind};
use crate::emulator::engine::decide::too_large::Excess;
use crate::emulator::engine::volatile::{ClassId, Stage};
use crate::model::{InstanceId, Timestamp};

impl Engine {
    /// Whether a turn of an instance is too large for a worker that cannot fetch the past.
    pub(crate) fn is_long(&self, id: &InstanceId) -> bool {
        self.decider.state.instance(id).is_some_and(|instance| least_len(instance) > self.config.item_bytes)
    }

    /// Whether no connected worker can be given a turn of an instance, because of its size, and none has one.
    pub(crate) fn reaches_no_worker(&mut self, id: &InstanceId) -> bool {
        let Some((_, volatile)) = self.decider.state.slot(id) else { return false };
        let (class, keeper) = (volatile.turn.class, volatile.kept_by);
        if matches!(volatile.turn.stage, Stage::Out(_)) || !self.is_long(id) {
            return false;
        }
        self.able(class, keeper).is_none_or(|able| able.is_empty())
    }

    /// The streams that can be given the turn of a long instance, and where each stands if it has room; `None` where no
    /// stream takes the class at all.
    fn able(&mut self, class: ClassId, keeper: Option<StreamId>) -> Option<Vec<Option<Standing>>> {
        let named = self.work.named(class).clone();
        let takers = self.streams.takers(class, &named);
        if takers.is_empty() {
            return None;
        }
        let able = takers.into_iter().filter(|(id, stream, _)| {
            stream.offer.history_streaming || (stream.offer.sticky && keeper == Some(*id))
        });
        Some(able.map(|(.., place)| place).collect())
    }

    /// Hands out the turn of a long instance that is first in its class: to a worker that can fetch the past or has kept
    /// it. Whether the next of the class may be looked at.
    pub(crate) fn hand_long(
        &mut self,
        class: ClassId,
        id: &InstanceId,
        keeper: Option<StreamId>,
        now: Timestamp,
    ) -> bool {
        let Some(able) = self.able(class, keeper) else { return false };
        let Some(waiting) = self.work.take(class) else { return false };
        match able.iter().flatten().min() {
            Some((.., stream)) => drop(self.hand(*stream, &waiting.work, WorkKind::Turn, now)),
            None if able.is_empty() => {
                let bytes = self.decider.state.instance(id).map_or(0, least_len);
                self.fail_long(id, bytes, now);
            }
            // The others of its class must not wait for it.
            None => {
                self.set_stage(&waiting.work, Stage::Ready, Stage::Resting);
                self.work.put_off(now.plus(FIRST_REST), waiting);
            }
        }
        true
    }

    /// Ends an instance whose turn no worker can receive.
    pub(crate) fn fail_long(&mut self, id: &InstanceId, bytes: usize, now: Timestamp) {
        let Some(volatile) = self.decider.state.volatile_mut(id) else { return };
        volatile.turn.stage = Stage::Idle;
        self.suspects.clear(&Work::Turn(id.clone()));
        self.decider.turn_too_large(id, Excess { bytes, limit: self.config.item_bytes }, now);
        self.follow(now);
    }
}
