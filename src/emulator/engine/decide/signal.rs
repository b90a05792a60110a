//! Puts into inboxes what clients send: events, suspend, resume.

use super::Decider;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire::HistoryEvent;

impl Decider {
    /// Raises an event; one for an instance that has ended is dropped (protocol/instances.md#events).
    pub(crate) fn raise(
        &mut self,
        id: &InstanceId,
        name: String,
        input: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        if id.is_entity() {
            self.note_event_for_entity(id, &name);
            let what = format!("'{id}' is an entity; signal it instead of raising an event");
            return Err(Refusal::Invalid { what });
        }
        self.send(id, Kind::EventRaised, &event::event_raised(now, name, input), now)
    }

    /// Suspends an instance: it is SUSPENDED once the turn that tells its worker is committed (protocol/instances.md#suspend).
    pub(crate) fn suspend(
        &mut self,
        id: &InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        if self.will_be_suspended(id)? {
            return Ok(Reply::Done);
        }
        self.send(id, Kind::ExecutionSuspended, &event::execution_suspended(now, reason), now)
    }

    /// Resumes an instance, likewise.
    pub(crate) fn resume(
        &mut self,
        id: &InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        if !self.will_be_suspended(id)? {
            return Ok(Reply::Done);
        }
        self.send(id, Kind::ExecutionResumed, &event::execution_resumed(now, reason), now)
    }

    /// Whether an instance is suspended once what has arrived is told. A suspension of such a one, and a resume of any
    /// other, reach no worker: some wait for a resume each, some fail the instance (R73).
    fn will_be_suspended(&self, id: &InstanceId) -> Result<bool, Refusal> {
        let instance = self.state.instance(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "these two kinds control it, no other does")]
        let control = |kind: Kind| match kind {
            Kind::ExecutionSuspended => Some(true),
            Kind::ExecutionResumed => Some(false),
            _ => None,
        };
        let last = instance.inbox().iter().rev().find_map(|arrived| control(arrived.kind));
        Ok(last.unwrap_or_else(|| instance.phase().is_suspended()))
    }

    /// For an instance that does not exist there is nothing to send to, and a client hears it (protocol/instances.md#events).
    fn send(
        &mut self,
        id: &InstanceId,
        kind: Kind,
        event: &HistoryEvent,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        if self.state.instance(id).is_none() {
            return Err(Refusal::NoSuchInstance { id: id.clone() });
        }
        self.send_event(id, kind, event, now);
        Ok(Reply::Done)
    }
}
