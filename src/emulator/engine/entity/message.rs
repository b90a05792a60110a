//! Shapes what is sent to entities: operations and lock requests.

use crate::emulator::engine::command::Refusal;
use crate::model::{ExecutionId, InstanceId, Timestamp, event};
use crate::wire::{self, HistoryEvent, history_event::EventType};
use prost::Message as _;

/// The orchestration that sent something, and that answers go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its instance.
    pub instance: InstanceId,
    /// The execution that asked; another one does not want the answer.
    pub execution: ExecutionId,
}

/// One operation on its way to an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    sender: Option<Caller>,
    request: HistoryEvent,
}

impl Operation {
    /// A signal of a client or of another entity.
    pub fn signal(now: Timestamp, signal: wire::EntityOperationSignaledEvent) -> Self {
        let signal = wire::EntityOperationSignaledEvent { target_instance_id: None, ..signal };
        let body = EventType::EntityOperationSignaled(signal);
        Self { sender: None, request: event::new(event::ARRIVED, now, body) }
    }

    /// A signal of an orchestration; it passes while that orchestration holds the entity.
    pub fn signal_from(sender: Caller, now: Timestamp, signal: wire::EntityOperationSignaledEvent) -> Self {
        Self { sender: Some(sender), ..Self::signal(now, signal) }
    }

    /// A call of an orchestration, which waits for the answer. Who calls is written into it here, whatever the worker
    /// wrote: not every SDK fills it in.
    pub fn call(sender: Caller, now: Timestamp, call: wire::EntityOperationCalledEvent) -> Self {
        let body = EventType::EntityOperationCalled(wire::EntityOperationCalledEvent {
            parent_instance_id: Some(sender.instance.as_str().to_owned()),
            parent_execution_id: Some(sender.execution.as_str().to_owned()),
            target_instance_id: None,
            ..call
        });
        Self { sender: Some(sender), request: event::new(event::ARRIVED, now, body) }
    }

    /// An operation as it was kept.
    pub(in crate::emulator::engine) fn restored(sender: Option<Caller>, request: HistoryEvent) -> Self {
        Self { sender, request }
    }

    /// The event that a worker gets.
    pub fn request(&self) -> &HistoryEvent {
        &self.request
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.encoded_len()
    }

    /// The orchestration that sent it; `None` for clients and entities.
    pub fn sender(&self) -> Option<&Caller> {
        self.sender.as_ref()
    }

    /// When it was sent, or was to be delivered if that is later.
    pub(super) fn asked_at(&self) -> Timestamp {
        let sent = self.request.timestamp.as_ref().map(Timestamp::from_wire).unwrap_or_default();
        sent.max(self.due().unwrap_or_default())
    }

    /// Who waits for its result, and under which request id; `None` for a signal.
    pub fn awaited(&self) -> Option<(&Caller, &str)> {
        match (&self.sender, &self.request.event_type) {
            (Some(caller), Some(EventType::EntityOperationCalled(call))) => Some((caller, &call.request_id)),
            _ => None,
        }
    }

    pub(super) fn sent_by(&self, instance: &InstanceId) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.instance == *instance)
    }
}

/// The entities that a lock request names and which of them is asked first, or what is wrong with it.
pub(in crate::emulator::engine) fn check_lock_set(
    wire: &wire::EntityLockRequestedEvent,
) -> Result<(Vec<InstanceId>, usize), String> {
    let set: Vec<InstanceId> = wire
        .lock_set
        .iter()
        .map(|id| match InstanceId::unchecked(id.as_str()) {
            id if id.entity_name().is_some() => Ok(id),
            id => Err(format!("the lock set names {id}, which is not an entity: use @name@key")),
        })
        .collect::<Result<_, _>>()?;
    match usize::try_from(wire.position).ok().filter(|at| *at < set.len()) {
        Some(position) => Ok((set, position)),
        None => Err(format!(
            "the lock request is at position {} of a set of {}; name at least one entity and begin at 0",
            wire.position,
            set.len()
        )),
    }
}

/// A wish to lock a set of entities, on its way along the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// Who wants the lock.
    pub caller: Caller,
    /// The critical section, as its orchestration names it.
    pub section: String,
    /// The entities, in the order in which they are locked.
    pub set: Vec<InstanceId>,
    /// Which of the set is asked now.
    pub position: usize,
}

impl LockRequest {
    /// Reads the request of an orchestration's turn.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] where the set is empty, names something that is not an entity, or the position is outside.
    pub fn parse(caller: Caller, wire: &wire::EntityLockRequestedEvent) -> Result<Self, Refusal> {
        let (set, position) = check_lock_set(wire).map_err(|what| Refusal::Invalid { what })?;
        Ok(Self { caller, section: wire.critical_section_id.clone(), set, position })
    }

    /// The entity that is asked now.
    pub fn target(&self) -> Option<&InstanceId> {
        self.set.get(self.position)
    }
}
