//! Says how many bytes instances take, closely enough to bound them.

use super::HubState;
use super::instance::{Arrived, Instance, PendingActivity};
use crate::model::InstanceId;
use prost::Message as _;

/// What an instance takes beside its payloads: its own fields, its places in the index.
const INSTANCE: usize = 1_500;
/// What an event, an activity, a timer or a child takes beside its bytes.
pub(super) const ENTRY: usize = 64;

impl Arrived {
    pub(super) fn bytes(&self) -> usize {
        self.event.len() + ENTRY
    }
}

impl PendingActivity {
    pub(super) fn bytes(&self) -> usize {
        self.request.len() + ENTRY
    }
}

impl Instance {
    /// About how many bytes it takes, counted anew.
    fn count_bytes(&self) -> usize {
        let events = |arrived: &[Arrived]| arrived.iter().map(Arrived::bytes).sum::<usize>();
        let (first, second) = self.inbox.as_slices();
        let output = self.end().and_then(|end| end.output.as_ref()).map_or(0, String::len);
        INSTANCE
            + self.started.encoded_len()
            + self.history.bytes()
            + events(first)
            + events(second)
            + events(&self.late)
            + self.activities.values().map(PendingActivity::bytes).sum::<usize>()
            + (self.timers.len() + self.children.len() + self.offspring.len()) * ENTRY
            + self.custom_status.as_ref().map_or(0, String::len)
            + output
    }
}

impl HubState {
    /// About how many bytes instances and entities take.
    ///
    /// Counted as it grows, so that no command pays for more than it adds; an instance is counted anew where it gets
    /// smaller, which costs no more than to drop what it had.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.entities.bytes()
    }

    /// Counts an instance anew.
    pub(super) fn recount(&mut self, id: &InstanceId) {
        let Some(slot) = self.instances.get_mut(id) else { return };
        self.bytes -= slot.instance.bytes;
        slot.instance.bytes = slot.instance.count_bytes();
        self.bytes += slot.instance.bytes;
    }

    /// Gives memory back that a peak has left in tables and queues. It is looked at where instances are removed, and costs
    /// each of them a constant.
    pub(super) fn shrink(&mut self) {
        let (held, room) = (self.instances.len(), self.instances.capacity());
        if room > 4_096 && held < room / 8 {
            self.instances.shrink_to(held * 2);
        }
    }
}
