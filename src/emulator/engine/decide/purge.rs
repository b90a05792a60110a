//! Deletes instances and entities.

use super::Decider;
use super::outbox::Outgoing;
use crate::emulator::engine::command::{PurgeTarget, Refusal, Reply};
use crate::emulator::engine::record::Record;
use crate::model::{InstanceId, Timestamp};

impl Decider {
    /// `PurgeInstances` (protocol/instances.md#purge).
    pub(crate) fn purge(
        &mut self,
        target: PurgeTarget,
        recursive: bool,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let mut more = false;
        let deleted = match target {
            PurgeTarget::One(id) => {
                if let Some(instance) = self.state.instance(&id)
                    && !instance.has_ended()
                {
                    return Err(Refusal::WrongStatus {
                        id,
                        status: instance.status(),
                        action: "purge",
                        hint: "terminate it first, or wait for its end",
                    });
                }
                self.purge_one(&id, recursive, now)
            }
            PurgeTarget::Batch(ids) => ids.iter().map(|id| self.purge_one(id, recursive, now)).sum(),
            PurgeTarget::Filter { statuses, created_from, created_to, at_most } => {
                let found = self.state.index().ended_and_created(statuses, created_from, created_to, at_most);
                more = found.len() >= at_most;
                found.iter().map(|id| self.purge_one(id, recursive, now)).sum()
            }
        };
        Ok(Reply::Purged { deleted, more })
    }

    /// Deletes an instance that has ended, with its subtree where that is asked for, or an entity. How many there were;
    /// children that run are passed over.
    fn purge_one(&mut self, id: &InstanceId, recursive: bool, now: Timestamp) -> usize {
        if self.state.instance(id).is_none() && id.is_entity() {
            return usize::from(self.purge_entity(id, now));
        }
        let mut deleted = 0;
        let mut doomed = vec![id.clone()];
        while let Some(id) = doomed.pop() {
            let Some(instance) = self.state.instance(&id).filter(|instance| instance.has_ended()) else {
                continue;
            };
            if recursive {
                doomed.extend(instance.offspring().iter().cloned());
            }
            self.put(Record::Removed { id: id.clone() });
            self.outbox.push_back(Outgoing::Release { holder: id });
            deleted += 1;
        }
        deleted
    }
}
