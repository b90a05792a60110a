//! Puts into inboxes what clients send: events, suspend, resume.

use super::Engine;
use super::command::{Refusal, Reply};
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire::HistoryEvent;

impl Engine {
    /// Raises an event; one for an instance that has ended is dropped (wire-semantics B.4).
    pub(super) fn raise(
        &mut self,
        id: &InstanceId,
        name: String,
        input: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.send(id, Kind::EventRaised, &event::event_raised(now, name, input), now)
    }

    /// Suspends an instance: it is SUSPENDED once the turn that tells its worker is committed (wire-semantics B.6).
    pub(super) fn suspend(
        &mut self,
        id: &InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.send(id, Kind::ExecutionSuspended, &event::execution_suspended(now, reason), now)
    }

    /// Resumes an instance, likewise.
    pub(super) fn resume(
        &mut self,
        id: &InstanceId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.send(id, Kind::ExecutionResumed, &event::execution_resumed(now, reason), now)
    }

    /// For an instance that does not exist there is nothing to send to, and a client hears it (wire-semantics F 10).
    fn send(
        &mut self,
        id: &InstanceId,
        kind: Kind,
        event: &HistoryEvent,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        if !self.instances.contains_key(id) {
            return Err(Refusal::NoSuchInstance { id: id.clone() });
        }
        self.deliver(id, kind, event, now);
        Ok(Reply::Done)
    }
}
