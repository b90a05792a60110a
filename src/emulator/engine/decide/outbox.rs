//! Carries what instances send each other.
//!
//! Deciding one thing can ask for another in a different instance, and that for a third: a chain of a thousand
//! children ends one after the other. They queue here and are carried one by one; nothing recurses.

use super::Decider;
use crate::emulator::engine::entity::{LockRequest, Operation};
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::{Record, Settles};
use crate::emulator::engine::state::history::encode;
use crate::emulator::engine::state::instance::{ParentRef, TICK};
use crate::model::{ExecutionId, InstanceId, Kind, Timestamp, event};
use crate::wire;

/// Something on its way from one instance or entity to another.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A child is to be created.
    Child { id: InstanceId, parent: ParentRef, started: Box<wire::ExecutionStartedEvent> },
    /// A child has ended; its parent hears of it.
    ChildEnded {
        parent: ParentRef,
        child: ExecutionId,
        outcome: Result<Option<String>, Box<wire::TaskFailureDetails>>,
    },
    /// An event for an orchestration; dropped where there is none that could take it.
    Event { to: InstanceId, name: String, input: Option<String> },
    /// An orchestration is to be terminated.
    Terminate { id: InstanceId, output: Option<String>, recursive: bool },
    /// An orchestration is to be ended at once, and its children.
    Force { id: InstanceId, output: Option<String> },
    /// A failed child is to be rewound with its parent.
    Rewind { id: InstanceId, rewound: Box<wire::ExecutionRewoundEvent> },
    /// An operation for an entity.
    Operation { to: InstanceId, operation: Box<Operation> },
    /// A wish to lock entities.
    Lock(LockRequest),
    /// The end of a critical section at one entity.
    Unlock { entity: InstanceId, holder: InstanceId, section: String },
    /// An execution is over: whatever it has locked is free.
    Release { holder: InstanceId },
}

impl Decider {
    /// Whether everything that was sent has been carried.
    pub(crate) fn has_carried(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Carries what is on its way, and what that sends in turn.
    pub(crate) fn carry(&mut self, now: Timestamp) {
        while let Some(outgoing) = self.outbox.pop_front() {
            match outgoing {
                Outgoing::Child { id, parent, started } => self.create_child(&id, &parent, started, now),
                Outgoing::ChildEnded { parent, child, outcome } => {
                    self.child_ended(&parent, &child, outcome, now);
                }
                Outgoing::Event { to, name, input } => {
                    self.note_event_for_entity(&to, &name);
                    let event = event::event_raised(now, name, input);
                    self.send_event(&to, Kind::EventRaised, &event, now);
                }
                Outgoing::Terminate { id, output, recursive } => {
                    // The instance may have ended, or never have been: no call waits for the answer.
                    drop(self.terminate(&id, output, recursive, now));
                }
                Outgoing::Force { id, output } => {
                    // One that has ended meanwhile is what was wanted.
                    self.force(&id, output.as_ref(), true, now);
                }
                Outgoing::Rewind { id, rewound } => self.rewind_child(&id, *rewound, now),
                Outgoing::Operation { to, operation } => self.operate(&to, *operation, now),
                Outgoing::Lock(request) => self.lock(request, now),
                Outgoing::Unlock { entity, holder, section } => self.unlock(&entity, &holder, &section, now),
                Outgoing::Release { holder } => self.release_locks(&holder, now),
            }
        }
    }

    /// Puts an event into an inbox; dropped where the instance does not exist or has ended.
    pub(super) fn send_event(
        &mut self,
        to: &InstanceId,
        kind: Kind,
        event: &wire::HistoryEvent,
        now: Timestamp,
    ) {
        self.arrive(to, Settles::Nothing, kind, event, now);
    }

    /// Puts an event into an inbox and takes away what it answers.
    pub(crate) fn arrive(
        &mut self,
        to: &InstanceId,
        settles: Settles,
        kind: Kind,
        event: &wire::HistoryEvent,
        now: Timestamp,
    ) {
        let Some((instance, volatile)) = self.state.slot_mut(to) else { return };
        if instance.has_ended() {
            return;
        }
        let at = now.max(volatile.last_arrival.plus(TICK));
        volatile.last_arrival = at;
        let event = if at == now {
            encode(event)
        } else {
            encode(&wire::HistoryEvent { timestamp: Some(at.to_wire()), ..event.clone() })
        };
        self.put(Record::Arrived { id: to.clone(), settles, kind, event });
    }

    /// Tells the log of an event that was sent to an entity.
    pub(super) fn note_event_for_entity(&mut self, id: &InstanceId, event: &str) {
        if id.is_entity() {
            self.notices.warn(|| Warning::EventForEntity { id: id.clone(), event: event.to_owned() });
        }
    }
}
