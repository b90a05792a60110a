//! Runs an instance again.

use super::Decider;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::record::Record;
use crate::model::{InstanceId, Timestamp, event};
use crate::wire;

impl Decider {
    /// `RestartInstance` (protocol/instances.md#restart): the same name, version, input and tags, no parent.
    pub(crate) fn restart(
        &mut self,
        id: &InstanceId,
        new_id: bool,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let instance = self.state.instance(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        if !new_id && !instance.has_ended() {
            return Err(Refusal::WrongStatus {
                id: id.clone(),
                status: instance.status(),
                action: "restart under the same id",
                hint: "terminate it first, or restart it with a new id",
            });
        }
        let started = instance.started().clone();
        let target = if new_id { self.ids.instance() } else { id.clone() };
        let execution = self.ids.execution();
        let started = wire::ExecutionStartedEvent {
            orchestration_instance: Some(event::instance_ref(&target, &execution)),
            parent_instance: None,
            scheduled_start_timestamp: None,
            ..started
        };
        self.put(Record::Created { id: target.clone(), at: now, started: Box::new(started), start_at: None });
        Ok(Reply::Started(target))
    }
}
