//! Says how many bytes things take, closely enough to bound them.

use super::instance::{Activity, Arrived, Instance};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::Reply;
use crate::model::InstanceId;
use prost::Message as _;

/// What an instance takes beside its payloads: its own fields, its places in the index.
const INSTANCE: usize = 1_500;
/// What an event, an activity, a timer or a child takes beside its bytes.
pub(crate) const ENTRY: usize = 64;

impl Reply {
    /// About how many bytes it takes: those of the message that it becomes, where that can be long.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Done | Self::Started(_) | Self::Waiting | Self::Purged { .. } | Self::Stats(_) => 0,
            Self::State(state) => state.as_ref().map_or(0, |state| state.encoded_len()),
            Self::States { states, .. } => states.iter().map(prost::Message::encoded_len).sum(),
            Self::Ids { ids, .. } => ids.iter().map(String::len).sum(),
            Self::Unterminated(ids) => ids.iter().map(|id| id.as_str().len()).sum(),
            Self::History(events) | Self::HistoryPage { events, .. } => {
                events.iter().map(bytes::Bytes::len).sum()
            }
            Self::Entity(entity) => entity.as_ref().map_or(0, prost::Message::encoded_len),
            Self::Entities { entities, .. } => entities.iter().map(prost::Message::encoded_len).sum(),
        }
    }
}

impl Arrived {
    pub(crate) fn bytes(&self) -> usize {
        self.event.len() + ENTRY
    }
}

impl Activity {
    pub(crate) fn bytes(&self) -> usize {
        self.request.len() + ENTRY
    }
}

impl Instance {
    /// About how many bytes it takes, counted anew.
    fn count_bytes(&self) -> usize {
        let events = |arrived: &[Arrived]| arrived.iter().map(Arrived::bytes).sum::<usize>();
        let (first, second) = self.inbox.as_slices();
        let output = self.end.as_ref().and_then(|end| end.output.as_ref()).map_or(0, String::len);
        INSTANCE
            + self.started.encoded_len()
            + self.history.bytes()
            + events(first)
            + events(second)
            + events(&self.late)
            + self.activities.values().map(Activity::bytes).sum::<usize>()
            + (self.timers.len() + self.children.len() + self.offspring.len()) * ENTRY
            + self.custom_status.as_ref().map_or(0, String::len)
            + output
    }
}

impl Engine {
    /// About how many bytes instances and entities take.
    ///
    /// Counted as it grows, so that no command pays for more than it adds; an instance is counted anew where it gets
    /// smaller, which costs no more than to drop what it had.
    pub fn bytes(&self) -> usize {
        self.bytes + self.entities.bytes()
    }

    /// Counts an instance anew.
    pub(crate) fn recount(&mut self, id: &InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        self.bytes -= instance.bytes;
        instance.bytes = instance.count_bytes();
        self.bytes += instance.bytes;
    }

    /// Gives memory back that a peak has left in tables and queues. It is looked at where instances are removed, and costs
    /// each of them a constant.
    pub(crate) fn shrink(&mut self) {
        let (held, room) = (self.instances.len(), self.instances.capacity());
        if room > 4_096 && held < room / 8 {
            self.instances.shrink_to(held * 2);
        }
    }
}
